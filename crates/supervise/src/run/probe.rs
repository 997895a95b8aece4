//! One probe under way: it never blocks, and ends by its deadline.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use landfall_supervise::{specification::Probe, tree};
use rustix::{
    event::PollFlags,
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt},
    process::{Pid, Signal, kill_process, kill_process_group},
};

use super::launch::{Launched, Settings, launch};

/// As much of an answer is looked at.
const MOST: usize = 64 * 1024;

/// What a probe said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub passed: bool,
    pub said: String,
    pub took: Duration,
}

/// A probe under way.
pub struct Attempt {
    started: Instant,
    pub deadline: Instant,
    kind: Kind,
}

enum Kind {
    /// A connection, and what is asked over it once it stands.
    Connection {
        socket: OwnedFd,
        connected: bool,
        exchange: Option<Exchange>,
    },
    /// A command.
    Command(Launched),
    /// It ended before it began.
    Ended(bool, String),
}

struct Exchange {
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    status: Option<u16>,
    body: Option<String>,
}

impl Attempt {
    /// Begins a probe; a command runs with the process's own settings.
    pub fn begin(
        name: &str,
        probe: &Probe,
        timeout: Duration,
        settings: impl FnOnce(Vec<String>) -> Settings,
    ) -> Self {
        let started = Instant::now();
        let kind = match probe {
            Probe::Tcp { address } => connection(*address, None),
            Probe::Http {
                address,
                path,
                status,
                body,
            } => {
                let request = format!(
                    "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: landfall-supervise\r\nAccept: */*\r\nConnection: close\r\n\r\n"
                );
                let exchange = Exchange {
                    request: request.into_bytes(),
                    sent: 0,
                    answer: Vec::new(),
                    status: *status,
                    body: body.clone(),
                };
                connection(*address, Some(exchange))
            }
            Probe::Run { command } => {
                match launch(&format!("{name} probe"), &settings(command.clone()), false) {
                    Ok(launched) => Kind::Command(launched),
                    Err(error) => Kind::Ended(false, error.to_string()),
                }
            }
        };
        Self {
            started,
            deadline: started + timeout,
            kind,
        }
    }

    /// The command's process.
    pub const fn pid(&self) -> Option<Pid> {
        match &self.kind {
            Kind::Command(launched) => Some(launched.pid),
            _ => None,
        }
    }

    /// What to poll for.
    pub fn waits(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.kind {
            Kind::Connection {
                socket,
                connected,
                exchange,
            } => {
                let reading = *connected
                    && exchange
                        .as_ref()
                        .is_some_and(|exchange| exchange.sent == exchange.request.len());
                Some((
                    socket.as_fd(),
                    if reading {
                        PollFlags::IN
                    } else {
                        PollFlags::OUT
                    },
                ))
            }
            _ => None,
        }
    }

    /// Goes on as far as it can; what it said where it is through.
    pub fn advance(&mut self, now: Instant) -> Option<Outcome> {
        let outcome = match &mut self.kind {
            Kind::Ended(passed, said) => Some((*passed, said.clone())),
            Kind::Connection {
                socket,
                connected,
                exchange,
            } => match talk(socket, connected, exchange.as_mut()) {
                Ok(outcome) => outcome,
                Err(error) => Some((false, words(error))),
            },
            Kind::Command(_) => None,
        };
        let outcome =
            outcome.or_else(|| (now >= self.deadline).then(|| (false, "timed out".to_owned())));
        outcome.map(|(passed, said)| self.outcome(passed, said))
    }

    /// The command has ended.
    pub fn command_ended(&self, code: Option<i32>, signal: Option<i32>) -> Outcome {
        let mut said = match (code, signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => super::signals::name(signal),
            (None, None) => "ended".to_owned(),
        };
        if let Kind::Command(launched) = &self.kind
            && let Some(error) = report(&launched.report)
        {
            said = error;
        }
        self.outcome(code == Some(0), said)
    }

    fn outcome(&self, passed: bool, said: String) -> Outcome {
        Outcome {
            passed,
            said,
            took: self.started.elapsed(),
        }
    }

    /// Ends it: a command with everything it started.
    pub fn cancel(&self) {
        if let Kind::Command(launched) = &self.kind {
            let tree = tree::descendants(launched.pid.as_raw_nonzero().get().cast_unsigned());
            let _ = kill_process_group(launched.pid, Signal::KILL);
            for pid in tree
                .into_iter()
                .filter_map(|pid| Pid::from_raw(pid.cast_signed()))
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Why a child could not be executed, where it says so.
pub fn report(socket: &OwnedFd) -> Option<String> {
    let mut text = [0; 1024];
    match rustix::io::read(socket, &mut text) {
        Ok(read) if read > 0 => Some(String::from_utf8_lossy(&text[..read]).into_owned()),
        _ => None,
    }
}

fn connection(address: SocketAddr, exchange: Option<Exchange>) -> Kind {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let opened =
        socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).and_then(|socket| {
            match connect(&socket, &address) {
                Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
                Err(error) => Err(error),
            }
        });
    match opened {
        Ok(socket) => Kind::Connection {
            socket,
            connected: false,
            exchange,
        },
        Err(error) => Kind::Ended(false, words(error)),
    }
}

fn words(error: Errno) -> String {
    match error {
        Errno::CONNREFUSED => "connection refused".to_owned(),
        Errno::CONNRESET | Errno::PIPE => "connection closed".to_owned(),
        Errno::TIMEDOUT => "timed out".to_owned(),
        other => {
            let said = io::Error::from(other).to_string();
            said.split(" (os error")
                .next()
                .unwrap_or_default()
                .to_lowercase()
        }
    }
}

type Said = Option<(bool, String)>;

fn talk(
    socket: &OwnedFd,
    connected: &mut bool,
    exchange: Option<&mut Exchange>,
) -> Result<Said, Errno> {
    if !*connected {
        sockopt::socket_error(socket)??;
        // Without an error it may still be on its way.
        match rustix::net::getpeername(socket) {
            Ok(_) => *connected = true,
            Err(Errno::NOTCONN) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let Some(exchange) = exchange else {
        return Ok(Some((true, "connected".to_owned())));
    };
    while exchange.sent < exchange.request.len() {
        match rustix::net::send(
            socket,
            &exchange.request[exchange.sent..],
            rustix::net::SendFlags::NOSIGNAL,
        ) {
            Ok(sent) => exchange.sent += sent,
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    loop {
        let mut buffer = [0; 4096];
        match rustix::io::read(socket, &mut buffer) {
            Ok(read) => {
                exchange.answer.extend_from_slice(&buffer[..read]);
                if let Some(said) = judge(exchange, read == 0) {
                    return Ok(Some(said));
                }
            }
            Err(Errno::AGAIN) => return Ok(None),
            // What came before may be enough.
            Err(error) => return judge(exchange, true).map(Some).ok_or(error),
        }
    }
}

fn judge(exchange: &Exchange, ended: bool) -> Said {
    let answer = String::from_utf8_lossy(&exchange.answer);
    let ended = ended || exchange.answer.len() >= MOST;
    let Some((line, _)) = answer.split_once('\n') else {
        return ended.then(|| {
            (
                false,
                if answer.is_empty() {
                    "empty answer"
                } else {
                    "no HTTP answer"
                }
                .to_owned(),
            )
        });
    };
    let mut words = line.split_ascii_whitespace();
    let status = match (words.next(), words.next().map(str::parse::<u16>)) {
        (Some(version), Some(Ok(status))) if version.starts_with("HTTP/1.") => status,
        _ => return Some((false, "no HTTP answer".to_owned())),
    };
    if exchange
        .status
        .map_or(!(200..300).contains(&status), |expected| expected != status)
    {
        return Some((false, status.to_string()));
    }
    let Some(expected) = &exchange.body else {
        return Some((true, status.to_string()));
    };
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if body.contains(expected) {
        return Some((true, status.to_string()));
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| {
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
    let whole = ended || length.is_some_and(|length| body.len() >= length);
    whole.then(|| (false, format!("{status}, without {expected:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answer: &str, status: Option<u16>, body: Option<&str>, ended: bool) -> Said {
        let exchange = Exchange {
            request: Vec::new(),
            sent: 0,
            answer: answer.as_bytes().to_vec(),
            status,
            body: body.map(str::to_owned),
        };
        judge(&exchange, ended)
    }

    #[test]
    fn answers() {
        let said = |passed: bool, said: &str| Some((passed, said.to_owned()));
        assert_eq!(judged("HTTP/1.1 20", None, None, false), None);
        assert_eq!(
            judged("HTTP/1.1 204 No Content\r\n", None, None, false),
            said(true, "204")
        );
        assert_eq!(
            judged("HTTP/1.1 503 No\r\n", None, None, false),
            said(false, "503")
        );
        assert_eq!(
            judged("HTTP/1.0 401 No\r\n", Some(401), None, false),
            said(true, "401")
        );
        assert_eq!(
            judged("SSH-2.0-x\r\n", None, None, false),
            said(false, "no HTTP answer")
        );
        assert_eq!(judged("", None, None, true), said(false, "empty answer"));
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
        assert_eq!(
            judged(&format!("{head}re"), None, Some("ready"), false),
            None
        );
        assert_eq!(
            judged(&format!("{head}read"), None, Some("ready"), false),
            said(false, "200, without \"ready\"")
        );
        assert_eq!(
            judged(&format!("{head}ready"), None, Some("ready"), false),
            said(true, "200")
        );
    }
}
