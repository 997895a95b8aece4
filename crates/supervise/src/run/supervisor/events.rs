//! Waiting for events, and handing each to whom it concerns.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use landfall_supervise::state::Ended;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid},
};

use super::Supervisor;
use crate::run::system;

/// What a polled descriptor stands for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Logs,
    Listener,
    Client(usize),
    Health,
    Probe,
}

/// How a child ended.
#[derive(Clone, Copy)]
pub struct Status {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

impl Supervisor {
    /// Waits until something happens or is due.
    pub(super) fn wait(&mut self, signals: &OwnedFd) -> io::Result<()> {
        let mut sources: Vec<(Source, BorrowedFd<'_>, PollFlags)> = vec![
            (Source::Signals, signals.as_fd(), PollFlags::IN),
            (Source::Logs, self.logs.answered(), PollFlags::IN),
        ];
        if let Some(clients) = &self.clients {
            sources.extend(
                clients
                    .waits()
                    .enumerate()
                    .map(|(index, (descriptor, flags))| {
                        let source = index
                            .checked_sub(1)
                            .map_or(Source::Listener, Source::Client);
                        (source, descriptor, flags)
                    }),
            );
        }
        if let Some(answering) = &self.answering {
            sources.extend(
                answering
                    .waits()
                    .map(|(descriptor, flags)| (Source::Health, descriptor, flags)),
            );
        }
        for run in self.members.iter().filter_map(|member| member.run.as_ref()) {
            let probers = run.ready.iter().chain(&run.live);
            let attempts = probers.filter_map(|prober| prober.attempt.as_ref()?.waits());
            sources.extend(attempts.map(|(descriptor, flags)| (Source::Probe, descriptor, flags)));
        }
        let mut polled: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, descriptor, flags)| PollFd::from_borrowed_fd(*descriptor, *flags))
            .collect();
        let timeout = self.due.map(|due| {
            // A little later rather than a little too early, which would mean a round in vain.
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_micros(50);
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<(Source, PollFlags)> = sources
            .iter()
            .zip(&polled)
            .map(|((source, ..), polled)| (*source, polled.revents()))
            .filter(|(_, events)| !events.is_empty())
            .collect();
        self.dispatch(&ready, signals);
        Ok(())
    }

    fn dispatch(&mut self, ready: &[(Source, PollFlags)], signals: &OwnedFd) {
        let (mut health, mut listener) = (false, false);
        for (source, events) in ready {
            match source {
                Source::Signals => self.take_signals(signals),
                Source::Logs => self.drained = self.logs.drained().unwrap_or(self.drained),
                Source::Listener => listener = true,
                Source::Client(index) => self.serve(*index, *events),
                Source::Health => health = true,
                // Looked at in each round.
                Source::Probe => {}
            }
        }
        if health {
            // The answer is about how it is now, not about how it was last published.
            let state = self.state();
            if let Some(answering) = &mut self.answering {
                answering.advance(Instant::now(), &state);
            }
        } else if let (Some(answering), Some(state)) = (&mut self.answering, &self.published)
            && answering
                .deadline()
                .is_some_and(|deadline| deadline <= Instant::now())
        {
            answering.advance(Instant::now(), state);
        }
        if let Some(clients) = &mut self.clients {
            clients.sweep();
            // Last, since the indices of the others must hold until they are served.
            if listener {
                clients.accept();
            }
        }
    }

    fn take_signals(&mut self, signals: &OwnedFd) {
        let mut ended = false;
        while let Some(signal) = system::next_signal(signals) {
            if signal == libc::SIGCHLD {
                ended = true;
            } else {
                self.remark(format!(
                    "asked to stop by {}",
                    crate::run::signals::name(signal)
                ));
                self.stop(Ended::Stopped, signal == libc::SIGINT);
            }
        }
        if ended {
            self.reap();
        }
    }

    /// Takes note of every child that has ended. A process that we started is looked at before it is
    /// reaped: until then nobody else can get its number, so its group can be killed safely.
    fn reap(&mut self) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        for index in 0..self.members.len() {
            if let Some(pid) = self.running(index)
                && let Ok(Some(found)) = waitid(WaitId::Pid(pid), look)
            {
                let status = Status {
                    code: found.exit_status(),
                    signal: found.terminating_signal(),
                };
                self.process_ended(index, pid, status);
            }
            for pid in self.probing(index) {
                if let Ok(Some(found)) = waitid(WaitId::Pid(pid), look) {
                    let status = Status {
                        code: found.exit_status(),
                        signal: found.terminating_signal(),
                    };
                    self.probe_ended(index, pid, status);
                }
            }
        }
        // All who are left are orphans, or done with.
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let status = Status {
                code: status.exit_status(),
                signal: status.terminating_signal(),
            };
            // One of ours that ended in between.
            for index in 0..self.members.len() {
                if self.running(index) == Some(pid) {
                    self.process_ended(index, pid, status);
                } else if self.probing(index).contains(&pid) {
                    self.probe_ended(index, pid, status);
                }
            }
        }
        let now = Instant::now();
        for remains in self
            .members
            .iter_mut()
            .filter_map(|member| member.run.as_mut()?.remains.as_mut())
        {
            remains.next = now;
        }
    }

    /// The main process of a member, while it has not ended.
    pub(super) fn running(&self, index: usize) -> Option<Pid> {
        self.members[index]
            .run
            .as_ref()
            .filter(|run| run.remains.is_none())
            .map(|run| run.pid)
    }

    /// The commands that probe a member.
    pub(super) fn probing(&self, index: usize) -> Vec<Pid> {
        let run = self.members[index].run.as_ref();
        run.into_iter()
            .flat_map(|run| run.ready.iter().chain(&run.live))
            .filter_map(|prober| prober.attempt.as_ref()?.pid())
            .collect()
    }
}
