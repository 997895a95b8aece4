//! `landfall tunnel`: a port of this machine's loopback that leads to a backing service.

use std::{net::Ipv4Addr, sync::Arc};

use landfall_api::wire::backing::BackingClient;
use serde::Serialize;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::{
    app_file,
    arguments::Tunnel,
    commands::backing::client,
    context::Context,
    host,
    report::{Error, Result},
};

/// What `--json` says.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Said {
    name: String,
    host: String,
    port: u16,
    url: String,
}

pub fn run(context: &Context, arguments: &Tunnel) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let host = host::client(&context.environment);
        let name = Some(arguments.backing.as_str());
        let (name, found) = client(&host, &place, name, None, false).await?;
        let taken = |error| {
            Error::new(
                "port-taken",
                format!("port {} can't be opened here: {error}", arguments.port),
            )
            .mend("--port names another one; without it a free one is taken")
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
            .await
            .map_err(taken)?;
        let port = listener.local_addr().map_err(taken)?.port();
        let url = url(&found, port, arguments.show_password);
        if context.output.json() {
            let said = Said {
                name,
                host: Ipv4Addr::LOCALHOST.to_string(),
                port,
                url,
            };
            context.output.data("tunnel", &said);
        } else {
            context.output.print(&url);
            let password = match (found.password.is_empty(), arguments.show_password) {
                (false, false) => "; its password is shown by --show-password",
                _ => "",
            };
            context
                .output
                .say(format!("Leads to {name} until Ctrl-C{password}."));
        }
        let mut interrupt = context.interrupt()?;
        let found = Arc::new(found);
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::spawn(join(stream, found.clone()));
                    }
                }
            }
        }
    })
}

/// Joins a connection with one of its own.
async fn join(mut near: TcpStream, to: Arc<BackingClient>) {
    // A server that is just being started again refuses; the client sees its connection end.
    if let Ok(mut far) = TcpStream::connect((to.host.as_str(), to.port)).await {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}

/// The URL by way of the tunnel.
fn url(client: &BackingClient, port: u16, with_password: bool) -> String {
    let scheme = client
        .url
        .split_once("://")
        .map_or("tcp", |(scheme, _)| scheme);
    let password = match with_password {
        true => landfall_api::path::encode(&client.password),
        false => String::new(),
    };
    let login = match (client.user.is_empty(), password.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!("{}@", client.user),
        (_, false) => format!("{}:{password}@", client.user),
    };
    let path = match client.database.is_empty() {
        true => String::new(),
        false => format!("/{}", client.database),
    };
    format!("{scheme}://{login}127.0.0.1:{port}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_with_and_without_their_password() {
        let client = BackingClient {
            kind: "postgres".to_owned(),
            host: "10.0.0.2".to_owned(),
            port: 5432,
            user: "shop".to_owned(),
            password: "p@ss".to_owned(),
            database: "shop".to_owned(),
            url: "postgresql://shop:p%40ss@10.0.0.2:5432/shop".to_owned(),
            programs: None,
            container: None,
            execution: Vec::new(),
            environment: Default::default(),
        };
        assert_eq!(
            url(&client, 40_000, false),
            "postgresql://shop@127.0.0.1:40000/shop"
        );
        assert_eq!(
            url(&client, 40_000, true),
            "postgresql://shop:p%40ss@127.0.0.1:40000/shop"
        );
    }
}
