//! One process as the loop sees it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use landfall_supervise::{
    specification::{Probe, Process},
    state::{Cause, Exit, ProbeResult, ProcessPhase, ProcessState},
};
use rustix::{fd::OwnedFd, process::Pid};

use super::{cgroup::MemoryKills, launch::Settings, probe::Attempt};

/// A process, whether it runs or not.
pub struct Member {
    pub process: Process,
    /// Its whole environment, secrets included.
    pub environment: Vec<(String, String)>,
    pub directory: PathBuf,
    pub nice: i32,
    pub descriptors: (Option<u64>, Option<u64>),
    /// The control groups that it and its probes join; those of its last start.
    pub groups: Vec<PathBuf>,
    pub phase: ProcessPhase,
    pub run: Option<Run>,
    /// Since when it waits for its next start, and when that is.
    pub next_start: Option<(Instant, u64)>,
    pub failures: u32,
    pub starts: u32,
    pub started_at: Option<u64>,
    pub ready_at: Option<u64>,
    pub last_exit: Option<Exit>,
    pub last_probe: Option<ProbeResult>,
    /// Where its tree listens, as it was looked up last.
    pub listening: Vec<SocketAddr>,
}

/// One run of a process: from its start until nothing is left of it.
pub struct Run {
    pub pid: Pid,
    /// Says why it could not be executed.
    pub report: OwnedFd,
    pub started: Instant,
    pub was_ready: bool,
    /// What the system had killed in its group for memory before it started.
    pub memory_kills: MemoryKills,
    pub ending: Option<Ending>,
    pub remains: Option<Remains>,
    pub ready: Option<Prober>,
    pub live: Option<Prober>,
    /// When its listening sockets were looked up last.
    pub looked: Option<Instant>,
}

/// It was asked to end.
pub struct Ending {
    pub cause: Cause,
    pub kill_at: Instant,
    pub killed: bool,
    /// Whether it is to start again at once, whatever the policy says.
    pub again: bool,
}

/// Its main process has ended; what it left behind is being ended too.
pub struct Remains {
    pub exit: Exit,
    /// Until then what is left may end by itself.
    pub grace: Instant,
    pub asked: bool,
    pub next: Instant,
    pub wait: Duration,
    /// When the first SIGKILL went out.
    pub killed: Option<Instant>,
    /// Its last output is being read: ticket, and the longest wait.
    pub draining: Option<(u64, Instant)>,
}

/// A probe that comes again and again.
pub struct Prober {
    /// None: whether it listens on its port.
    pub probe: Option<Probe>,
    pub attempt: Option<Attempt>,
    pub next: Instant,
    pub wait: Duration,
    pub failures: u32,
}

/// Between two probes while a process starts: the first wait and the longest.
const FAST: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// The same for commands, which cost a process each.
const FAST_COMMANDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

impl Prober {
    pub fn new(probe: Option<Probe>, now: Instant) -> Self {
        let (wait, _) = Self::fast(probe.as_ref());
        Self {
            probe,
            attempt: None,
            next: now,
            wait,
            failures: 0,
        }
    }

    const fn fast(probe: Option<&Probe>) -> (Duration, Duration) {
        if matches!(probe, Some(Probe::Run { .. })) {
            FAST_COMMANDS
        } else {
            FAST
        }
    }

    /// The next one follows soon, a little later each time.
    pub fn soon(&mut self, now: Instant) {
        self.next = now + self.wait;
        self.wait = (self.wait * 3 / 2).min(Self::fast(self.probe.as_ref()).1);
    }

    pub fn cancel(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            attempt.cancel();
        }
    }
}

impl Run {
    pub fn probers(&mut self) -> impl Iterator<Item = &mut Prober> {
        self.ready.iter_mut().chain(self.live.iter_mut())
    }

    /// Ends its probes.
    pub fn cancel_probes(&mut self) {
        self.probers().for_each(Prober::cancel);
        self.ready = None;
        self.live = None;
    }
}

impl Member {
    pub fn settings(&self, command: Vec<String>) -> Settings {
        Settings {
            command,
            directory: self.directory.clone(),
            environment: self.environment.clone(),
            nice: self.nice,
            descriptors: self.descriptors,
            user: self.process.user,
            groups: self.groups.clone(),
        }
    }

    /// Whether those that come after it may start.
    pub fn satisfied(&self) -> bool {
        if self.process.ends {
            self.phase == ProcessPhase::Done
        } else {
            self.phase == ProcessPhase::Ready
        }
    }

    pub fn state(&self, last_words: Vec<String>) -> ProcessState {
        let mut ports: Vec<u16> = self.listening.iter().map(SocketAddr::port).collect();
        ports.dedup();
        ProcessState {
            name: self.process.name.clone(),
            required: self.process.required,
            phase: self.phase,
            pid: self
                .run
                .as_ref()
                .filter(|run| run.remains.is_none())
                .map(|run| run.pid.as_raw_nonzero().get().cast_unsigned()),
            started_at: self.started_at,
            ready_at: self.ready_at,
            restarts: self.starts.saturating_sub(1),
            failures: self.failures,
            next_start_at: self.next_start.map(|(_, at)| at),
            last_exit: self.last_exit.clone(),
            last_probe: self.last_probe.clone(),
            listening: ports,
            addresses: self.listening.clone(),
            last_words,
        }
    }
}
