//! Smoke: pages fetched through the front after the switch, as a user would.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use landfall_app::Name;
use landfall_redact::Masker;
use landfall_release::{Failure, Release, Rollout};

use crate::{
    fetch::{self, Fetched},
    host::Host,
};

/// How long a page may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Fetches the pages of all services in turn.
pub async fn fetch(host: &Host, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let ports = host.stable_ports(&release.content)?;
    let mut said = Vec::new();
    for (name, service) in &release.content.app.services {
        let Some(port) = ports.get(name) else {
            continue;
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        for page in &service.smoke {
            let path = &page.path;
            let failed =
                |what: String| Failure::new("smoke-failed", format!("{path} of {name} {what}"));
            let fetched =
                fetch::get(address, &address.to_string(), path, &page.headers, LIMIT).await;
            let Fetched { status, body } =
                fetched.map_err(|said| failed(format!("can't be fetched: {said}")))?;
            let expected = page
                .status
                .map_or((200..300).contains(&status), |expected| expected == status);
            if !expected {
                let wanted = page
                    .status
                    .map_or_else(|| "2xx".to_owned(), |status| status.to_string());
                return Err(failed(format!("answers {status}, expected {wanted}"))
                    .with("its body begins", beginning(host, &release, name, &body)?));
            }
            if let Some(text) = &page.contains
                && !body.contains(text)
            {
                return Err(failed(format!("doesn't contain `{text}`"))
                    .with("its body begins", beginning(host, &release, name, &body)?));
            }
            said.push(format!("{path} {status}"));
        }
    }
    Ok(said.join(", "))
}

/// How a page begins, without the secrets that its service may show.
fn beginning(
    host: &Host,
    release: &Release,
    service: &Name,
    body: &str,
) -> Result<String, Failure> {
    let mask = host.with_surroundings(release, service, "smoke", 0, None, |surroundings| {
        Ok(surroundings.mask())
    })?;
    let (masker, _) = Masker::new(mask);
    Ok(masker.mask_text(body).chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
    };

    use super::*;
    use crate::testing::Bed;

    #[tokio::test]
    async fn what_a_page_shows_of_a_secret_is_masked() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let bed = Bed::with_ports((port, port));
        let text = "[service.web]\ncommand = \"bin/web --port $PORT\"\nport = 3000\n\
            secrets = [\"TOKEN\"]\nsmoke = [\"/\"]";
        let release = bed.release(text, &[("TOKEN", "secret-value")]);
        // The second secret lies across the place where what is said of the page ends.
        let body = format!("no database at secret-value {}", "secret-value".repeat(30));
        let answer = format!(
            "HTTP/1.1 500 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let page = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            (&stream).write_all(answer.as_bytes()).unwrap();
        });
        let failure = fetch(&bed.host, &bed.begun(&release)).await.unwrap_err();
        page.join().unwrap();
        assert_eq!(failure.name, "smoke-failed");
        let said = serde_json::to_string(&failure).unwrap();
        assert!(said.contains("no database at *** ***"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
