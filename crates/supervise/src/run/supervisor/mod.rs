//! The loop: it waits for signals, ends of processes, probes, clients and timers, and does what
//! follows. It writes no logs and never waits for anything else.

mod events;
mod health;
mod lifecycle;
mod publish;
mod remains;
mod requests;

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use landfall_supervise::{
    specification::{
        CONTROL_VARIABLE, INSTANCE_VARIABLE, PROCESS_VARIABLE, Sensitive, Specification, files,
    },
    state::{Ended, ProcessPhase, State},
    tree,
};
use rustix::process::Signal;

use super::{
    answer::Answering, cgroup::Groups, clients::Clients, limits::Limits, logs::Logs,
    member::Member, sockets::Sockets,
};

/// How long the log thread has at the end.
const LAST_LINES: Duration = Duration::from_millis(300);

/// The supervisor.
pub struct Supervisor {
    specification: Specification,
    folder: Option<PathBuf>,
    members: Vec<Member>,
    signal: Signal,
    logs: Logs,
    /// The last ticket of the log thread.
    drained: u64,
    sockets: Sockets,
    clients: Option<Clients>,
    answering: Option<Answering>,
    limits: Limits,
    groups: Groups,
    notes: Vec<String>,
    stopping: Option<Stopping>,
    was_healthy: bool,
    started_at: u64,
    published: Option<State>,
    /// Whether trees of processes can be seen.
    visible: bool,
    /// The earliest time at which something is due.
    due: Option<Instant>,
}

struct Stopping {
    since: Instant,
    grace: Duration,
    why: Ended,
    /// How often it was asked for from the terminal.
    interrupts: u32,
}

/// What [`Supervisor::new`] needs besides the specification.
pub struct Parts {
    pub folder: Option<PathBuf>,
    pub sensitive: Sensitive,
    pub signal: Signal,
    pub logs: Logs,
    pub sockets: Sockets,
    pub clients: Option<Clients>,
    pub answering: Option<Answering>,
    pub limits: Limits,
    pub groups: Groups,
    pub notes: Vec<String>,
}

impl Supervisor {
    pub fn new(specification: Specification, parts: Parts) -> Self {
        let mut sensitive = parts.sensitive.environment;
        let members = specification
            .processes
            .iter()
            .enumerate()
            .map(|(index, process)| {
                let mut environment: BTreeMap<String, String> = process.environment.clone();
                environment.extend(sensitive.remove(&process.name).unwrap_or_default());
                environment.insert(INSTANCE_VARIABLE.to_owned(), specification.instance.clone());
                environment.insert(PROCESS_VARIABLE.to_owned(), process.name.clone());
                // A container's user has a home that only the container knows.
                if specification.shared
                    && let Ok(home) = std::env::var("HOME")
                {
                    environment.entry("HOME".to_owned()).or_insert(home);
                }
                if let Some(folder) = &parts.folder {
                    let control = folder.join(files::CONTROL).to_string_lossy().into_owned();
                    environment.insert(CONTROL_VARIABLE.to_owned(), control);
                }
                Member {
                    directory: process
                        .directory
                        .clone()
                        .unwrap_or_else(|| specification.directory.clone()),
                    environment: environment.into_iter().collect(),
                    nice: parts.limits.nice(index),
                    descriptors: parts.limits.descriptors,
                    groups: Vec::new(),
                    process: process.clone(),
                    phase: ProcessPhase::Waiting,
                    run: None,
                    next_start: None,
                    failures: 0,
                    starts: 0,
                    started_at: None,
                    ready_at: None,
                    last_exit: None,
                    last_probe: None,
                    listening: Vec::new(),
                }
            })
            .collect();
        Self {
            specification,
            folder: parts.folder,
            members,
            signal: parts.signal,
            logs: parts.logs,
            drained: 0,
            sockets: parts.sockets,
            clients: parts.clients,
            answering: parts.answering,
            limits: parts.limits,
            groups: parts.groups,
            notes: parts.notes,
            stopping: None,
            was_healthy: false,
            started_at: publish::wall(),
            published: None,
            visible: tree::visible(),
            due: None,
        }
    }

    /// Writes the first state, so that whoever hears that we listen finds one.
    pub fn announce(&mut self) {
        self.publish(None);
    }

    /// Runs until the end.
    pub fn run(&mut self, signals: &OwnedFd) -> io::Result<Ended> {
        loop {
            let now = Instant::now();
            loop {
                self.due = None;
                if !self.tick(now) {
                    break;
                }
            }
            if let Some(ended) = self.ended() {
                self.publish(None);
                self.finish(ended.clone());
                return Ok(ended);
            }
            self.publish(None);
            self.wait(signals)?;
        }
    }

    /// Does everything that is due; whether anything changed, so that more may follow from it.
    fn tick(&mut self, now: Instant) -> bool {
        let mut changed = self.tick_stopping(now);
        self.tick_memory(now);
        for index in 0..self.members.len() {
            changed |= self.tick_start(index, now);
            changed |= self.tick_health(index, now);
            changed |= self.tick_end(index, now);
            changed |= self.tick_remains(index, now);
        }
        if let Some(deadline) = self.answering.as_ref().and_then(Answering::deadline) {
            self.due_at(deadline);
        }
        changed
    }

    /// Notes that something is due at a time.
    fn due_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}
