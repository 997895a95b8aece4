//! Health checks: a probe of the app file as a command that is run in the container, by what its image
//! has. An image's own HEALTHCHECK is preferred to a command that asks the same.

use landfall_app::{
    model::{Health, Probe, Run},
    units::Time,
};
use landfall_yaml::{Map, Node};

use super::{
    image::{Image, Program},
    variables::literal,
};

/// Each probe starts a program, which is more than a question: not more often than this.
const SHORTEST: Time = Time::from_secs(5);

/// The health check of a service, or why it has none.
#[derive(Debug, PartialEq)]
pub enum Check {
    /// As it is written.
    Written(Map),
    /// It has no probe: it is ready once it runs.
    None,
    /// It has a probe, and nothing is known in its image that could ask.
    Unknown,
}

/// The check of a service's front process.
pub fn check(health: &Health, port: u16, image: &Image) -> Check {
    let mut map = Map::new();
    let Some(ready) = &health.ready else {
        return match image.health_check {
            // Its author's, seen as soon as ours are.
            true => {
                times(&mut map, health);
                Check::Written(map)
            }
            false => Check::None,
        };
    };
    let command = match ready {
        Probe::Run(run) => Some(run.arguments()),
        // Asked by its author, who knows what is in it.
        _ if image.health_check => None,
        probe => match image
            .program
            .and_then(|program| asked(program, probe, port, health.timeout))
        {
            Some(command) => Some(command),
            None => return Check::Unknown,
        },
    };
    if let Some(command) = command {
        map.set("test", test(&command));
    }
    times(&mut map, health);
    Check::Written(map)
}

/// A command as a health check executes it, without a shell.
pub fn test(command: &[String]) -> Node {
    let words = std::iter::once("CMD".to_owned()).chain(command.iter().map(|word| literal(word)));
    Node::Flow(words.map(Node::from).collect())
}

/// How often, how long, how many.
pub fn times(map: &mut Map, health: &Health) {
    map.set("interval", duration(health.interval.max(SHORTEST)))
        .set("timeout", duration(health.timeout))
        .set("retries", health.retries)
        .set("start_period", duration(health.start));
}

/// Whether probes happen less often than the file says.
pub fn slower(health: &Health) -> bool {
    health.ready.is_some() && health.interval < SHORTEST
}

/// A time as Compose reads it.
pub fn duration(time: Time) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

const PYTHON_HTTP: &str = "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=int(sys.argv[2])); \
c.request('GET', sys.argv[3]); r = c.getresponse(); \
sys.exit(not (str(r.status).startswith(sys.argv[4]) and sys.argv[5].encode() in r.read()))";
const PYTHON_TCP: &str = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), int(sys.argv[2])).close()";
const NODE_HTTP: &str = "const [, port, timeout, path, status, text] = process.argv; \
require('http').get({host: '127.0.0.1', port, path, timeout: timeout * 1000}, r => { let b = ''; \
r.on('data', d => b += d).on('end', () => process.exit(String(r.statusCode).startsWith(status) && b.includes(text) ? 0 : 1)); \
}).on('timeout', () => process.exit(1)).on('error', () => process.exit(1))";
const NODE_TCP: &str = "const s = require('net').connect(process.argv[1], '127.0.0.1', () => process.exit(0)); \
s.setTimeout(process.argv[2] * 1000, () => process.exit(1)); s.on('error', () => process.exit(1))";
const WGET: &str = "wget -q -T \"$1\" -O - \"http://127.0.0.1:$2$3\" | grep -qF -- \"$4\"";
const BASH_HTTP: &str = "exec 3<>\"/dev/tcp/127.0.0.1/$1\"; printf 'GET %s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' \"$2\" >&3; \
read -r _ status _ <&3; [[ $status == \"$3\"* ]] && grep -qF -- \"$4\" <&3";
const BASH_TCP: &str = "exec 3<>\"/dev/tcp/127.0.0.1/$1\"";

/// The command by which a program asks; none where it can't ask that. What is asked are arguments, so no
/// program is made from data.
fn asked(program: Program, probe: &Probe, port: u16, timeout: Time) -> Option<Vec<String>> {
    let seconds = (timeout.as_millis().div_ceil(1000)).to_string();
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    match probe {
        Probe::Run(run) => Some(Run::arguments(run)),
        Probe::Http { path, status, body } => {
            let status_text = status.map_or("2".to_owned(), |status| status.to_string());
            let body = body.as_deref().unwrap_or_default();
            let port = port.to_string();
            Some(match program {
                Program::Python(name) => words(&[
                    name,
                    "-c",
                    PYTHON_HTTP,
                    &port,
                    &seconds,
                    path,
                    &status_text,
                    body,
                ]),
                Program::Node(name) => words(&[
                    name,
                    "-e",
                    NODE_HTTP,
                    &port,
                    &seconds,
                    path,
                    &status_text,
                    body,
                ]),
                // It says nothing about which good status it was.
                Program::Alpine if status.is_some_and(|status| status != 200) => return None,
                Program::Alpine if body.is_empty() => words(&[
                    "wget",
                    "-q",
                    "-T",
                    &seconds,
                    "-O",
                    "/dev/null",
                    &format!("http://127.0.0.1:{port}{path}"),
                ]),
                Program::Alpine => words(&["sh", "-c", WGET, "sh", &seconds, &port, path, body]),
                Program::Bash => words(&[
                    "bash",
                    "-c",
                    BASH_HTTP,
                    "bash",
                    &port,
                    path,
                    &status_text,
                    body,
                ]),
            })
        }
        Probe::Tcp { port: other } => {
            let port = other.unwrap_or(port).to_string();
            Some(match program {
                Program::Python(name) => words(&[name, "-c", PYTHON_TCP, &port, &seconds]),
                Program::Node(name) => words(&[name, "-e", NODE_TCP, &port, &seconds]),
                Program::Alpine => words(&["nc", "-z", "-w", &seconds, "127.0.0.1", &port]),
                Program::Bash => words(&["bash", "-c", BASH_TCP, "bash", &port]),
            })
        }
    }
}
