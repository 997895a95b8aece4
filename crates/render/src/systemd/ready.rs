//! Readiness: systemd has no probes, but what is ordered behind a unit waits for its `ExecStartPost`.

use landfall_app::{model::Probe, units::Time};

use super::words::{line, word};
use crate::systemd::unit::seconds;

/// Asks until the answer has a status that fits a pattern of the shell.
const HTTP: &str = r#"until case $(curl --silent --output /dev/null --max-time "$2" --write-out "%{http_code}" "$1") in $3) true ;; *) false ;; esac; do sleep "$4"; done"#;
/// Connects until it can. The path is the shell's own.
const TCP: &str = r#"until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do sleep "$2"; done"#;
/// Runs a command until it ends well.
const RUN: &str = r#"pause=$1; shift; until "$@"; do sleep "$pause"; done"#;

/// The line that waits until a probe of a process on `port` succeeds. `port` is a number or a specifier.
pub(super) fn waits(
    probe: &Probe,
    port: Option<&str>,
    interval: Time,
    timeout: Time,
) -> Option<String> {
    let time = |time: Time| format!("{}", time.duration().as_secs_f64());
    Some(match probe {
        Probe::Http { path, status, .. } => {
            let pattern = status.map_or("2??".to_owned(), |status| status.to_string());
            format!(
                "{} http://127.0.0.1:{}{} {}",
                line(["/bin/sh", "-c", HTTP, "ready"]),
                port?,
                // Behind the port, so that what is quoted of it stays one word with it.
                path_word(path),
                line([time(timeout), pattern, time(interval)])
            )
        }
        Probe::Tcp { port: other } => {
            let other = other.map(|port| port.to_string());
            format!(
                "{} {} {}",
                line(["/bin/bash", "-c", TCP, "ready"]),
                other.as_deref().or(port)?,
                word(&time(interval))
            )
        }
        Probe::Run(run) => format!(
            "{} {}",
            line(["/bin/sh", "-c", RUN, "ready", &time(interval)]),
            line(run.arguments())
        ),
    })
}

/// A path within a word: what systemd could read as more than letters is encoded as in a URL.
fn path_word(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'%' => text.push_str("%%"),
            b'$' => text.push_str("$$"),
            byte if byte.is_ascii_alphanumeric() || b"/_-.~?=&:@+,".contains(&byte) => {
                text.push(char::from(byte));
            }
            byte => text.push_str(&format!("%%{byte:02X}")),
        }
    }
    text
}

/// How long a start may take, as `TimeoutStartSec`.
pub(super) fn start(time: Time) -> String {
    seconds(time)
}
