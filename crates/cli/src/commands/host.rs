//! `landfall host`: the program that looks after the apps of this machine.

use std::fmt::Write as _;

use landfall_api::wire::HostStatus;
use landfall_host::HostError;
use serde_json::{Value, json};

use crate::{
    arguments::Host,
    context::Context,
    exit::Exit,
    host,
    report::{Error, Result},
    view::{plain, table::Table},
};

pub fn run(context: &Context, command: &Host) -> Result {
    match command {
        Host::Run(arguments) => {
            if arguments.detached {
                // A session of its own: the terminal's end and its Ctrl-C are not meant for the host.
                // It fails only for the leader of a group, which a background start never is.
                let _ = rustix::process::setsid();
            }
            let settings = host::settings(&context.environment, arguments.leave_with_last_app)?;
            landfall_host::run(settings).map_err(ended)
        }
        Host::Start => context.block_on(start(context)),
        Host::Stop {
            stop_apps,
            keep_apps: _,
        } => context.block_on(stop(context, *stop_apps)),
        Host::Status => context.block_on(status(context)),
        Host::Connect => context.block_on(connect(context)),
    }
}

/// Why a host ended: by the name that it gives, with its mend.
fn ended(error: HostError) -> Error {
    match error {
        HostError::Failed(failure) => Error {
            exit: Exit::Unreachable,
            ..(*failure).into()
        },
        HostError::Folder { path, source } => Error::new(
            "host-failed",
            format!("{} can't be used: {source}", path.display()),
        ),
        error => Error::new("host-failed", error.to_string()),
    }
}

async fn start(context: &Context) -> Result {
    let (_, status, started) = host::ensure(&context.environment, false).await?;
    if context.output.json() {
        context.output.data("host", &status);
        return Ok(());
    }
    let said = if started {
        "Started the host"
    } else {
        "The host runs already"
    };
    context
        .output
        .say(format!("{said}, process {}.", status.process));
    context.output.say(overview(&status));
    Ok(())
}

async fn stop(context: &Context, stop_apps: bool) -> Result {
    let client = host::client(&context.environment);
    let Some(status) = host::running(&client).await? else {
        context.output.say("No host runs.");
        return Ok(());
    };
    let _: Value = client
        .post("/v1/host/stop", &json!({ "keep-apps": !stop_apps }))
        .await?;
    host::gone(&context.environment, status.process)?;
    if context.output.json() {
        context.output.data(
            "host-stopped",
            &json!({ "process": status.process, "apps-run-on": !stop_apps }),
        );
    }
    let apps = match stop_apps {
        true => "",
        false if status.environments.is_empty() => "",
        false => " The apps run on without it; `landfall host start` finds them again.",
    };
    context.output.say(format!(
        "Stopped the host, process {}.{apps}",
        status.process
    ));
    Ok(())
}

async fn status(context: &Context) -> Result {
    let status: HostStatus = host::client(&context.environment).get("/v1/host").await?;
    if context.output.json() {
        context.output.data("host", &status);
    } else {
        context.output.print(&overview(&status));
    }
    Ok(())
}

/// The host and its apps.
pub fn overview(status: &HostStatus) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Host {}, process {}, up for {}, {}; state in {}",
        status.program,
        status.process,
        plain::lasting(plain::now().saturating_sub(status.started_at)),
        plain::bytes(status.memory),
        status.home.display()
    );
    if let Some(http) = status.http {
        let _ = writeln!(
            text,
            "All apps by host name at http://APP.localhost:{}",
            http.port()
        );
    }
    if status.leaves_with_last_app {
        let _ = writeln!(text, "It leaves with its last app");
    }
    let mut table = Table::new(2);
    table.row(["APP", "ENVIRONMENT", "RELEASE", "STATE"]);
    for one in &status.environments {
        let live = one.live.map(|live| live.to_string()).unwrap_or_default();
        table.row([
            one.app.to_string(),
            one.environment.to_string(),
            live,
            plain::word(&one.condition),
        ]);
    }
    match status.environments.is_empty() {
        true => text.push_str("No apps yet\n"),
        false => text.push_str(&table.render()),
    }
    text
}

async fn connect(context: &Context) -> Result {
    let client = host::client(&context.environment);
    let stream = landfall_api::client::connect(client.socket())
        .await
        .map_err(|source| {
            Error::from(landfall_api::ClientError::Unreachable {
                path: client.socket().to_owned(),
                source,
            })
        })?;
    let (mut from_host, mut to_host) = stream.into_split();
    let sending = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut to_host).await;
        // Dropping it tells the host that nothing more comes.
    });
    // The host's end is the end, whatever still comes in.
    let received = tokio::io::copy(&mut from_host, &mut tokio::io::stdout()).await;
    sending.abort();
    received.map(drop).map_err(|error| {
        Error::new(
            "host-failed",
            format!("the connection to the host broke: {error}"),
        )
    })
}
