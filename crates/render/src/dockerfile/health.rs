//! HEALTHCHECK, by what the image has anyway: curl isn't put in for it.

use landfall_app::{model::Probe, units::Time};

use super::{Made, several, subject::Subject, text};

/// What asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Python's own library.
    Python,
    /// Node's `fetch`.
    Node,
    /// BusyBox's wget, as in Alpine.
    Wget,
    /// Bash's `/dev/tcp`, as in Debian's images.
    Bash,
}

/// What is asked.
struct Question<'a> {
    /// As the language of [`Asks`] says it.
    port: Port,
    path: &'a str,
    status: Option<u16>,
    body: Option<&'a str>,
    seconds: u64,
}

#[derive(Clone, Copy)]
enum Port {
    Variable,
    Number(u16),
}

/// What the app file's defaults are; then an image's own are better, since the Engine asks, not a host.
const INTERVAL: Time = Time::from_secs(1);
const TIMEOUT: Time = Time::from_secs(5);

/// Writes HEALTHCHECK, where there is something to ask.
pub fn write(subject: &Subject<'_>, made: &mut Made, asks: Asks) {
    let health = subject
        .service
        .front()
        .map_or(&subject.service.health, |front| &front.health);
    let timeout = match health.timeout {
        TIMEOUT => Time::from_secs(10),
        timeout => timeout,
    };
    let seconds = timeout.as_millis().div_ceil(1000).max(1);
    let several = several::address(subject);
    let words = match (&health.ready, several) {
        (_, Some(port)) => Some(http(
            asks,
            &Question {
                port: Port::Number(port),
                path: "/",
                status: None,
                body: None,
                seconds,
            },
        )),
        (Some(Probe::Http { path, status, body }), None) => {
            if asks == Asks::Wget && status.is_some_and(|status| !(200..300).contains(&status)) {
                made.note(
                    subject.setting("health"),
                    "wget takes any 2xx for healthy, and no other status: there is no HEALTHCHECK",
                );
                return;
            }
            subject.port().map(|_| {
                http(
                    asks,
                    &Question {
                        port: Port::Variable,
                        path,
                        status: *status,
                        body: body.as_deref(),
                        seconds,
                    },
                )
            })
        }
        (Some(Probe::Tcp { port }), None) => {
            let port = port.map(Port::Number);
            let port = port.or(subject.port().map(|_| Port::Variable));
            port.map(|port| connection(asks, port, seconds))
        }
        (Some(Probe::Run(run)), None) => Some(run.arguments()),
        // Nothing is said of health, but something listens: what accepts connections is ready.
        (None, None) => subject
            .port()
            .map(|_| connection(asks, Port::Variable, seconds)),
    };
    let Some(words) = words else {
        return;
    };
    if health.live.is_some() && several.is_none() {
        made.note(
            subject.setting("health.live"),
            "an image has one HEALTHCHECK, which asks whether it is ready",
        );
    }
    made.text.line(format!(
        "HEALTHCHECK --interval={} --timeout={} --start-period={} --retries={} \\",
        time(match health.interval {
            INTERVAL => Time::from_secs(30),
            interval => interval,
        }),
        time(timeout),
        time(health.start),
        health.retries.max(1),
    ));
    made.text.line(format!("    CMD {}", text::json(&words)));
}

/// As Docker reads it.
fn time(time: Time) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{}ms", millis.max(1)),
    }
}

fn http(asks: Asks, question: &Question<'_>) -> Vec<String> {
    let Question {
        path,
        status,
        body,
        seconds,
        ..
    } = *question;
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    // JSON's texts are Python's and JavaScript's, too.
    let literal = |text: &str| serde_json::Value::from(text).to_string();
    match asks {
        Asks::Python => {
            let port = match question.port {
                Port::Variable => "int(os.environ[\"PORT\"])".to_owned(),
                Port::Number(port) => port.to_string(),
            };
            let well = match status {
                Some(status) => format!("r.status == {status}"),
                None => "200 <= r.status < 300".to_owned(),
            };
            let says = body.map_or(String::new(), |body| {
                format!(
                    " and {} in r.read().decode(\"utf-8\", \"replace\")",
                    literal(body)
                )
            });
            let code = format!(
                "import http.client, os, sys; c = http.client.HTTPConnection(\"127.0.0.1\", {port}, timeout={seconds}); c.request(\"GET\", {}); r = c.getresponse(); sys.exit(not ({well}{says}))",
                literal(&path)
            );
            vec!["python".to_owned(), "-c".to_owned(), code]
        }
        Asks::Node => {
            let port = match question.port {
                Port::Variable => "process.env.PORT".to_owned(),
                Port::Number(port) => port.to_string(),
            };
            let well = match status {
                Some(status) => format!("r.status === {status}"),
                None => "r.ok".to_owned(),
            };
            let then = match body {
                Some(body) => format!(
                    "async r => process.exit({well} && (await r.text()).includes({}) ? 0 : 1)",
                    literal(body)
                ),
                None => format!("r => process.exit({well} ? 0 : 1)"),
            };
            let code = format!(
                "fetch(\"http://127.0.0.1:\" + {port} + {}, {{ redirect: \"manual\" }}).then({then}, () => process.exit(1))",
                literal(&path)
            );
            vec!["node".to_owned(), "-e".to_owned(), code]
        }
        Asks::Wget => {
            let port = match question.port {
                Port::Variable => "\"$PORT\"".to_owned(),
                Port::Number(port) => port.to_string(),
            };
            let url = format!("http://127.0.0.1:{port}{}", text::shell(&path));
            let line = match body {
                Some(body) => format!(
                    "wget -q -T {seconds} -O - {url} | grep -qF -- {}",
                    text::shell(body)
                ),
                None => format!("wget -q -T {seconds} -O /dev/null {url}"),
            };
            vec!["sh".to_owned(), "-c".to_owned(), line]
        }
        Asks::Bash => {
            let port = match question.port {
                Port::Variable => "\"$PORT\"".to_owned(),
                Port::Number(port) => port.to_string(),
            };
            let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
            let well = match status {
                Some(status) => format!("[[ $status == {status} ]]"),
                None => "[[ $status == 2* ]]".to_owned(),
            };
            let says = body.map_or(String::new(), |body| {
                format!(" && [[ $(cat <&3) == *{}* ]]", text::shell(body))
            });
            let line = format!(
                "exec 3<>/dev/tcp/127.0.0.1/{port} && printf %s {} >&3 && read -r -t {seconds} _ status _ <&3 && {well}{says}",
                text::shell(&request)
            );
            vec!["bash".to_owned(), "-c".to_owned(), line]
        }
    }
}

fn connection(asks: Asks, port: Port, seconds: u64) -> Vec<String> {
    let words = |program: &str, option: &str, code: String| {
        vec![program.to_owned(), option.to_owned(), code]
    };
    let shell = match port {
        Port::Variable => "\"$PORT\"".to_owned(),
        Port::Number(port) => port.to_string(),
    };
    match asks {
        Asks::Python => {
            let port = match port {
                Port::Variable => "int(os.environ[\"PORT\"])".to_owned(),
                Port::Number(port) => port.to_string(),
            };
            words(
                "python",
                "-c",
                format!(
                    "import os, socket; socket.create_connection((\"127.0.0.1\", {port}), {seconds})"
                ),
            )
        }
        Asks::Node => {
            let port = match port {
                Port::Variable => "process.env.PORT".to_owned(),
                Port::Number(port) => port.to_string(),
            };
            words(
                "node",
                "-e",
                format!(
                    "require(\"net\").connect({port}, \"127.0.0.1\").on(\"connect\", () => process.exit(0)).on(\"error\", () => process.exit(1))"
                ),
            )
        }
        Asks::Wget => words(
            "sh",
            "-c",
            format!("nc -w {seconds} 127.0.0.1 {shell} -e true"),
        ),
        Asks::Bash => words("bash", "-c", format!("exec 3<>/dev/tcp/127.0.0.1/{shell}")),
    }
}
