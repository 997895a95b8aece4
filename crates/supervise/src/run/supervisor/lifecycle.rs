//! Starting, asking to end, what follows from an end, and the order of it all.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use landfall_supervise::{
    specification::{GiveUp, Probe},
    state::{Cause, Ended, Exit, ProcessPhase},
};
use rustix::process::{Signal, kill_process_group};

use super::{Stopping, Supervisor, publish::wall};
use crate::run::{
    backoff::{self, Next},
    launch::launch,
    member::{Ending, Prober, Run},
};

impl Supervisor {
    pub(super) fn remark(&self, text: String) {
        self.logs.remark(text);
    }

    fn name(&self, index: usize) -> &str {
        &self.members[index].process.name
    }

    /// Whether everything that a process comes after is there.
    pub(super) fn waits_for(&self, index: usize) -> Option<&str> {
        let after = &self.members[index].process.after;
        self.members
            .iter()
            .find(|member| after.contains(&member.process.name) && !member.satisfied())
            .map(|member| member.process.name.as_str())
    }

    /// Starts a process if it is due and may.
    pub(super) fn tick_start(&mut self, index: usize, now: Instant) -> bool {
        let member = &self.members[index];
        if self.stopping.is_some() || member.run.is_some() {
            return false;
        }
        match member.phase {
            ProcessPhase::Waiting => {}
            ProcessPhase::Restarting | ProcessPhase::CrashLoop => {
                if let Some((at, _)) = member.next_start
                    && now < at
                {
                    self.due_at(at);
                    return false;
                }
            }
            _ => return false,
        }
        if self.waits_for(index).is_some() {
            let member = &mut self.members[index];
            let changed = member.phase != ProcessPhase::Waiting;
            member.phase = ProcessPhase::Waiting;
            member.next_start = None;
            return changed;
        }
        self.start(index);
        true
    }

    fn start(&mut self, index: usize) {
        let now = Instant::now();
        let listens = self.members[index].process.front && self.specification.port.is_some();
        // Where nobody can see who listens, a connection must do.
        let probe = self.specification.port.filter(|_| !self.visible);
        let probe = probe.map(|port| Probe::Tcp {
            address: (Ipv4Addr::LOCALHOST, port).into(),
        });
        let member = &mut self.members[index];
        member.next_start = None;
        member.starts += 1;
        member.started_at = Some(wall());
        member.ready_at = None;
        member.last_probe = None;
        member.listening.clear();
        let memory_kills = self.groups.memory_kills(index);
        let launched = self.groups.ready(index).and_then(|groups| {
            member.groups = groups;
            let settings = member.settings(member.process.command.clone());
            launch(&member.process.name, &settings, true)
        });
        match launched {
            Ok(launched) => {
                let health = &member.process.health;
                let ready = match &health.ready {
                    Some(probe) => Some(Prober::new(Some(probe.clone()), now)),
                    None => listens.then(|| Prober::new(probe, now)),
                };
                member.phase = ProcessPhase::Starting;
                member.run = Some(Run {
                    pid: launched.pid,
                    report: launched.report,
                    started: now,
                    was_ready: false,
                    memory_kills,
                    ending: None,
                    remains: None,
                    ready: ready.filter(|_| !member.process.ends),
                    live: None,
                    looked: None,
                });
                let remark = format!(
                    "{} started as process {}",
                    member.process.name, launched.pid
                );
                if let Some(streams) = launched.streams {
                    self.logs.read(index, streams);
                }
                self.remark(remark);
            }
            // Nothing runs: the policy applies as if it had ended at once.
            Err(error) => {
                let cause = Some(Cause::NotExecuted(format!(
                    "no process could be made: {error}"
                )));
                let exit = Exit {
                    at: wall(),
                    code: None,
                    signal: None,
                    cause,
                };
                self.after_end(index, exit, Duration::ZERO, false, false);
            }
        }
    }

    /// Asks a process to end: its whole group gets the signal, and after the grace SIGKILL.
    pub(super) fn ask_to_end(&mut self, index: usize, cause: Cause, again: bool, grace: Duration) {
        let signal = if cause == Cause::Memory {
            Signal::KILL
        } else {
            self.signal
        };
        let member = &mut self.members[index];
        let Some(run) = &mut member.run else { return };
        if run.remains.is_some() || run.ending.is_some() {
            return;
        }
        run.cancel_probes();
        run.ending = Some(Ending {
            cause,
            kill_at: Instant::now() + grace,
            killed: signal == Signal::KILL,
            again,
        });
        member.phase = ProcessPhase::Stopping;
        let _ = kill_process_group(run.pid, signal);
        // One that is stopped takes the signal only when it goes on.
        let _ = kill_process_group(run.pid, Signal::CONT);
    }

    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.specification.stop.grace)
    }

    /// Sends SIGKILL to one whose grace is over.
    pub(super) fn tick_end(&mut self, index: usize, now: Instant) -> bool {
        let Some(run) = &mut self.members[index].run else {
            return false;
        };
        let Some(ending) = run
            .ending
            .as_mut()
            .filter(|ending| !ending.killed && run.remains.is_none())
        else {
            return false;
        };
        if now < ending.kill_at {
            let at = ending.kill_at;
            self.due_at(at);
            return false;
        }
        ending.killed = true;
        let pid = run.pid;
        let remark = format!(
            "{} did not end within its grace and is killed",
            self.name(index)
        );
        self.remark(remark);
        let _ = kill_process_group(pid, Signal::KILL);
        true
    }

    /// Nothing is left of a run: what follows.
    pub(super) fn after_end(
        &mut self,
        index: usize,
        exit: Exit,
        up: Duration,
        was_ready: bool,
        again: bool,
    ) {
        let restart = &self.specification.restart;
        let stopping = self.stopping.is_some();
        let member = &mut self.members[index];
        let well = member.process.ends && exit.code == Some(0);
        let mut remark = format!("{} {}", member.process.name, ended_how(&exit));
        member.last_exit = Some(exit);
        let mut gave_up = false;
        if stopping {
            if member.phase != ProcessPhase::Failed {
                member.phase = ProcessPhase::Done;
            }
        } else if again {
            member.phase = ProcessPhase::Waiting;
            member.failures = 0;
        } else if well {
            member.phase = ProcessPhase::Done;
        } else {
            let (failures, next) =
                backoff::after_end(restart, member.failures, up, backoff::chance());
            member.failures = failures;
            match next {
                Next::After(delay) => {
                    let first = failures <= 1 && was_ready;
                    member.phase = if first {
                        ProcessPhase::Restarting
                    } else {
                        ProcessPhase::CrashLoop
                    };
                    let at = wall() + u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    member.next_start = Some((Instant::now() + delay, at));
                    remark += &format!(", starts again in {:.1} s", delay.as_secs_f64());
                }
                Next::GiveUp => {
                    member.phase = ProcessPhase::Failed;
                    remark += &format!(", given up after {failures} failures");
                    gave_up = true;
                }
            }
        }
        let process = member.process.name.clone();
        self.remark(remark);
        if gave_up && self.specification.restart.give_up == GiveUp::Exit {
            self.stop(Ended::GaveUp { process }, false);
        }
    }

    /// Begins to stop everything. Asked a second time from the terminal, without grace.
    pub(super) fn stop(&mut self, why: Ended, interrupt: bool) {
        let grace = self.grace();
        let stopping = self.stopping.get_or_insert_with(|| Stopping {
            since: Instant::now(),
            grace,
            why,
            interrupts: 0,
        });
        if interrupt {
            stopping.interrupts += 1;
            if stopping.interrupts > 1 {
                stopping.grace = Duration::ZERO;
            }
        }
        let until = stopping.since + stopping.grace;
        for member in &mut self.members {
            let Some(run) = &mut member.run else {
                member.next_start = None;
                if member.phase != ProcessPhase::Failed {
                    member.phase = ProcessPhase::Done;
                }
                continue;
            };
            if let Some(ending) = &mut run.ending {
                ending.kill_at = ending.kill_at.min(until);
            }
            if let Some(remains) = &mut run.remains {
                remains.grace = remains.grace.min(until);
            }
        }
    }

    /// Asks those to end whom nobody needs any more; after half of the grace all of them, so that
    /// each has some of it.
    pub(super) fn tick_stopping(&mut self, now: Instant) -> bool {
        let Some(stopping) = &self.stopping else {
            return false;
        };
        let half = stopping.since + stopping.grace / 2;
        let until = stopping.since + stopping.grace;
        let mut ask = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let asked = member
                .run
                .as_ref()
                .is_none_or(|run| run.ending.is_some() || run.remains.is_some());
            let needed = self.members.iter().any(|other| {
                other.run.is_some() && other.process.after.contains(&member.process.name)
            });
            if !asked && (!needed || now >= half) {
                ask.push(index);
            }
        }
        if now < half {
            self.due_at(half);
        }
        for index in &ask {
            self.ask_to_end(
                *index,
                Cause::Asked,
                false,
                until.saturating_duration_since(now),
            );
        }
        !ask.is_empty()
    }

    /// Why it is over, if it is.
    pub(super) fn ended(&self) -> Option<Ended> {
        if self.members.iter().any(|member| member.run.is_some()) {
            return None;
        }
        match &self.stopping {
            Some(stopping) => Some(stopping.why.clone()),
            None => self
                .members
                .iter()
                .all(|member| member.phase == ProcessPhase::Done)
                .then_some(Ended::Finished),
        }
    }

    /// Stops one process, or all, and starts again.
    pub(super) fn restart(&mut self, process: Option<&str>) -> Result<(), String> {
        if self.stopping.is_some() {
            return Err("the supervisor is stopping".to_owned());
        }
        let chosen: Vec<usize> = (0..self.members.len())
            .filter(|index| process.is_none_or(|process| self.name(*index) == process))
            .collect();
        if chosen.is_empty() {
            let known: Vec<&str> = (0..self.members.len())
                .map(|index| self.name(index))
                .collect();
            return Err(format!(
                "no process {:?}; there are {}",
                process.unwrap_or_default(),
                known.join(", ")
            ));
        }
        let grace = self.grace();
        for index in chosen {
            self.ask_to_end(index, Cause::Asked, true, grace);
            let member = &mut self.members[index];
            if let Some(run) = &mut member.run {
                // Also one that is ending already, for whatever reason.
                let ending = run.ending.get_or_insert_with(|| Ending {
                    cause: Cause::Asked,
                    kill_at: Instant::now(),
                    killed: true,
                    again: true,
                });
                ending.again = true;
            } else {
                member.phase = ProcessPhase::Waiting;
                member.next_start = None;
                member.failures = 0;
            }
        }
        Ok(())
    }
}

/// How a process ended, in words.
pub fn ended_how(exit: &Exit) -> String {
    let how = match (&exit.code, &exit.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by {signal}"),
        (None, None) => "did not start".to_owned(),
    };
    match &exit.cause {
        None => how,
        Some(Cause::NotAlive) => format!("{how}, since its liveness probe failed"),
        Some(Cause::NeverReady) => format!("{how}, since it was not ready in time"),
        Some(Cause::Memory) => format!("{how}, since it exceeded its memory limit"),
        Some(Cause::Asked) => format!("{how}, as asked"),
        Some(Cause::NotExecuted(why)) => format!("could not be executed: {why}"),
    }
}
