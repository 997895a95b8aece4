//! What an edge is told when it starts.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use crate::log::AccessLog;

/// What an edge is told when it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds the routes (`routes.json`), the control socket (`edge.sock`) and the lock.
    pub folder: PathBuf,
    /// The shared HTTP listener, named `http` at the supervisor. Port 0 takes a free one.
    pub http: SocketAddr,
    /// Worker threads; one for each core is best.
    pub threads: usize,
    /// The control socket of its supervisor, which holds the listening sockets. None: they are bound
    /// here and close with the edge.
    pub supervisor: Option<PathBuf>,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// How long what is under way may take when the edge ends.
    pub drain: Duration,
    /// How long clients may take.
    pub timeouts: Timeouts,
}

/// How long clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request's head, from its first byte (or the connection's beginning).
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Without taking a byte of the answer.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// The defaults: a thread for each core, sockets of its own, the access log on standard output.
    pub fn new(folder: impl Into<PathBuf>, http: SocketAddr) -> Self {
        Self {
            folder: folder.into(),
            http,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            supervisor: None,
            access_log: AccessLog::Output,
            drain: Duration::from_secs(10),
            timeouts: Timeouts::default(),
        }
    }
}
