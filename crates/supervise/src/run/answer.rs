//! The aggregate health over HTTP, for platforms that ask: 200 or 503, and why.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use landfall_supervise::state::State;
use rustix::event::PollFlags;
use serde::Serialize;

/// Who hasn't asked by then is let go.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST: usize = 64;
const LONGEST: usize = 8 * 1024;

/// What the answer says.
#[derive(Serialize)]
struct Body<'state> {
    healthy: bool,
    ready: bool,
    reason: Option<&'state str>,
    processes: BTreeMap<&'state str, landfall_supervise::state::ProcessPhase>,
}

struct Asking {
    stream: OwnedFd,
    head: Vec<u8>,
    until: Instant,
}

/// The listener and those who are asking.
pub struct Answering {
    listener: TcpListener,
    asking: Vec<Asking>,
}

impl Answering {
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            asking: Vec::new(),
        })
    }

    /// What to poll for: the listener first.
    pub fn waits(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let all = self
            .asking
            .iter()
            .map(|asking| (asking.stream.as_fd(), PollFlags::IN));
        std::iter::once((self.listener.as_fd(), PollFlags::IN)).chain(all)
    }

    /// When someone's patience ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.asking.iter().map(|asking| asking.until).min()
    }

    /// Takes new ones in, reads, and answers whoever has asked.
    pub fn advance(&mut self, now: Instant, state: &State) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.asking.len() >= MOST {
                // The one that has kept us waiting longest makes room.
                self.asking.remove(0);
            }
            if stream.set_nonblocking(true).is_ok() {
                self.asking.push(Asking {
                    stream: stream.into(),
                    head: Vec::new(),
                    until: now + PATIENCE,
                });
            }
        }
        self.asking.retain_mut(|asking| {
            let mut buffer = [0; 2048];
            loop {
                match rustix::io::read(&asking.stream, &mut buffer) {
                    Ok(0) => return false,
                    Ok(read) => asking.head.extend_from_slice(&buffer[..read]),
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(_) => return false,
                }
                if asking.head.len() > LONGEST {
                    return false;
                }
            }
            if asking.head.windows(4).any(|end| end == b"\r\n\r\n") {
                // A few hundred bytes: an empty socket buffer takes them whole.
                let _ = rustix::io::write(&asking.stream, answer(state).as_bytes());
                return false;
            }
            now < asking.until
        });
    }
}

fn answer(state: &State) -> String {
    let body = Body {
        healthy: state.healthy,
        ready: state.ready,
        reason: state.reason.as_deref(),
        processes: state
            .processes
            .iter()
            .map(|process| (process.name.as_str(), process.phase))
            .collect(),
    };
    let body = serde_json::to_string(&body).unwrap_or_default();
    let status = if state.healthy {
        "200 OK"
    } else {
        "503 Service Unavailable"
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
