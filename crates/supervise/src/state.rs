//! How a supervisor and its processes are: the answer to `state` and `watch`, and the state file.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Everything a supervisor says of itself. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct State {
    /// [`VERSION`](crate::specification::VERSION) of the supervisor that wrote it.
    pub version: u32,
    /// Grows with each change.
    pub sequence: u64,
    /// The instance.
    pub instance: String,
    /// The supervisor's own process.
    pub supervisor: u32,
    /// When it started.
    pub started_at: u64,
    /// Where it is in its life.
    pub phase: Phase,
    /// Whether the front process (or, without one, every required process) takes traffic.
    pub ready: bool,
    /// Whether all required processes are ready: the aggregate health.
    pub healthy: bool,
    /// Why not, in a few words: `agent not ready`.
    pub reason: Option<String>,
    /// The processes, in the specification's order.
    pub processes: Vec<ProcessState>,
    /// What the specification asks and this machine doesn't allow, in whole sentences.
    pub notes: Vec<String>,
    /// Bytes of log lines dropped because their reader stalled.
    pub dropped: u64,
    /// Set at the end: why the supervisor ended.
    pub ended: Option<Ended>,
}

/// Where a supervisor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not everything has been ready yet.
    Starting,
    /// Everything has been ready once.
    Running,
    /// Asked to end.
    Stopping,
    /// Ended.
    Ended,
}

/// Why a supervisor ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// All processes ended well.
    Finished,
    /// A process failed for good.
    GaveUp {
        /// Which.
        process: String,
    },
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessState {
    /// Its name.
    pub name: String,
    /// Whether health needs it.
    pub required: bool,
    /// Where it is in its life.
    pub phase: ProcessPhase,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// When it last started.
    pub started_at: Option<u64>,
    /// When it last became ready.
    pub ready_at: Option<u64>,
    /// How often it was started again.
    pub restarts: u32,
    /// Failures in a row.
    pub failures: u32,
    /// When it is started again, while it waits for that.
    pub next_start_at: Option<u64>,
    /// How it last ended.
    pub last_exit: Option<Exit>,
    /// What the last probe said.
    pub last_probe: Option<ProbeResult>,
    /// TCP ports on which its tree listens; looked up when a probe fails or the start takes long,
    /// and for the front process when it becomes ready.
    pub listening: Vec<u16>,
    /// The same with the addresses; `[::]` stands for all of IPv4 too.
    #[serde(default)]
    pub addresses: Vec<SocketAddr>,
    /// Its last lines, masked; at most ten.
    pub last_words: Vec<String>,
}

impl ProcessState {
    /// Whether its tree listens on a port, but on nothing that others than its own machine, or its
    /// own container, could reach.
    #[must_use]
    pub fn only_loopback(&self, port: u16) -> bool {
        let mut there = self
            .addresses
            .iter()
            .filter(|address| address.port() == port)
            .peekable();
        there.peek().is_some() && there.all(|address| address.ip().to_canonical().is_loopback())
    }
}

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessPhase {
    /// For those it comes after.
    Waiting,
    /// Started, not ready yet.
    Starting,
    /// Ready.
    Ready,
    /// Was ready; its probe fails now.
    NotReady,
    /// Ended too soon or too often; waits for its next start.
    CrashLoop,
    /// Ended; waits for its next start, the first since it was well.
    Restarting,
    /// Asked to end.
    Stopping,
    /// Ended well, as it should (`ends`), or stopped.
    Done,
    /// Given up.
    Failed,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exit {
    /// When.
    pub at: u64,
    /// Its exit code.
    pub code: Option<i32>,
    /// Or the signal's name.
    pub signal: Option<String>,
    /// Why we ended it, where we did.
    pub cause: Option<Cause>,
}

/// Why the supervisor ended a process, or could not start it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its liveness probe failed.
    NotAlive,
    /// It wasn't ready in time.
    NeverReady,
    /// It exceeded its memory limit.
    Memory,
    /// It was asked to stop or to restart.
    Asked,
    /// It could not be executed: the system's words.
    NotExecuted(String),
}

/// What a probe said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProbeResult {
    /// When.
    pub at: u64,
    /// Whether it passed.
    pub passed: bool,
    /// In a few words: `200`, `503`, `connection refused`, `timed out`, `exit 1`, `another process answers`.
    pub said: String,
    /// How long it took, in microseconds.
    pub took: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(addresses: &[&str]) -> ProcessState {
        serde_json::from_value(serde_json::json!({
            "name": "web", "required": true, "phase": "ready", "pid": null, "started-at": null,
            "ready-at": null, "restarts": 0, "failures": 0, "next-start-at": null, "last-exit": null,
            "last-probe": null, "listening": [], "addresses": addresses, "last-words": [],
        }))
        .unwrap()
    }

    #[test]
    fn who_can_be_reached_from_elsewhere() {
        for (addresses, only) in [
            (&["127.0.0.1:80", "[::1]:80", "0.0.0.0:81"][..], true),
            (&["[::ffff:127.0.0.1]:80"], true),
            (&["127.0.0.1:80", "0.0.0.0:80"], false),
            (&["[::]:80"], false),
            (&["10.209.0.2:80"], false),
            (&["127.0.0.1:81"], false),
            (&[], false),
        ] {
            assert_eq!(
                listening(addresses).only_loopback(80),
                only,
                "{addresses:?}"
            );
        }
    }
}
