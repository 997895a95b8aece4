//! Probes: when each comes, and what follows from what it says.

use std::time::{Duration, Instant};

use landfall_supervise::{
    state::{Cause, ProbeResult, ProcessPhase},
    tree::{self, Listener},
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{Supervisor, events::Status, publish::wall};
use crate::run::{
    member::{Member, Prober},
    probe::{Attempt, Outcome},
};

/// Looking up what a tree listens on costs a few milliseconds: not more often than this.
const LOOK: Duration = Duration::from_secs(1);

/// Which of a process's probes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Ready,
    Live,
}

fn prober(member: &mut Member, which: Which) -> Option<&mut Prober> {
    let run = member.run.as_mut()?;
    match which {
        Which::Ready => run.ready.as_mut(),
        Which::Live => run.live.as_mut(),
    }
}

impl Supervisor {
    /// Goes on with a process's probes.
    pub(super) fn tick_health(&mut self, index: usize, now: Instant) -> bool {
        let member = &self.members[index];
        let Some(run) = member
            .run
            .as_ref()
            .filter(|run| run.ending.is_none() && run.remains.is_none())
        else {
            return false;
        };
        let health = &member.process.health;
        let started = run.started;
        let (up, start) = (
            started + Duration::from_millis(health.up),
            started + Duration::from_millis(health.start),
        );
        let mut changed = false;
        if member.phase == ProcessPhase::Starting && !member.process.ends {
            if run.ready.is_none() {
                if now >= up {
                    self.ready(index, now);
                    changed = true;
                } else {
                    self.due_at(up);
                }
            } else if now >= start {
                self.never_ready(index);
                return true;
            } else {
                self.due_at(start);
            }
        }
        changed |= self.tick_prober(index, Which::Ready, now);
        changed | self.tick_prober(index, Which::Live, now)
    }

    fn tick_prober(&mut self, index: usize, which: Which, now: Instant) -> bool {
        let port = self.specification.port;
        let member = &mut self.members[index];
        let name = member.process.name.clone();
        let timeout = Duration::from_millis(member.process.health.timeout);
        // Taken out, since a command needs the member's settings.
        let Some(mut taken) = prober(member, which).and_then(|prober| {
            if prober.attempt.is_some() {
                None
            } else {
                Some((prober.next, prober.probe.clone()))
            }
        }) else {
            return self.advance(index, which, now);
        };
        if now < taken.0 {
            self.due_at(taken.0);
            return false;
        }
        let Some(probe) = taken.1.take() else {
            let began = Instant::now();
            let (passed, said) = match (
                port,
                port.map(|port| tree::listener(port, &self.tree(index))),
            ) {
                (Some(port), Some(Listener::None)) => (false, format!("nothing listens on {port}")),
                (_, Some(Listener::Other)) => (false, "another process answers".to_owned()),
                _ => (true, "listens".to_owned()),
            };
            return self.judge(
                index,
                which,
                Outcome {
                    passed,
                    said,
                    took: began.elapsed(),
                },
                now,
            );
        };
        let attempt = Attempt::begin(&name, &probe, timeout, |command| member.settings(command));
        if let Some(prober) = prober(member, which) {
            prober.attempt = Some(attempt);
        }
        self.advance(index, which, now)
    }

    fn advance(&mut self, index: usize, which: Which, now: Instant) -> bool {
        let Some(prober) = prober(&mut self.members[index], which) else {
            return false;
        };
        let Some(attempt) = &mut prober.attempt else {
            return false;
        };
        let Some(outcome) = attempt.advance(now) else {
            let deadline = attempt.deadline;
            self.due_at(deadline);
            return false;
        };
        prober.cancel();
        self.judge(index, which, outcome, now)
    }

    /// A command that probes has ended.
    pub(super) fn probe_ended(&mut self, index: usize, pid: Pid, status: Status) {
        // What it left in its group goes with it.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        for which in [Which::Ready, Which::Live] {
            let Some(prober) = prober(&mut self.members[index], which) else {
                continue;
            };
            if let Some(attempt) = prober.attempt.take_if(|attempt| attempt.pid() == Some(pid)) {
                let outcome = attempt.command_ended(status.code, status.signal);
                self.judge(index, which, outcome, Instant::now());
            }
        }
    }

    /// What follows from what a probe said.
    fn judge(&mut self, index: usize, which: Which, mut outcome: Outcome, now: Instant) -> bool {
        let member = &self.members[index];
        let phase = member.phase;
        let becomes_ready = which == Which::Ready && outcome.passed && phase != ProcessPhase::Ready;
        if becomes_ready
            && member.process.front
            && self.visible
            && let Some(port) = self.specification.port
        {
            match tree::listener(port, &self.tree(index)) {
                Listener::Ours => {}
                Listener::Other => {
                    outcome.passed = false;
                    outcome.said = "another process answers".to_owned();
                }
                Listener::None => {
                    outcome.passed = false;
                    outcome.said = format!("{}, but nothing listens on {port}", outcome.said);
                }
            }
        }
        if !outcome.passed {
            self.look(index, now, false);
        } else if becomes_ready && self.members[index].process.front {
            // Whoever can't reach it though it is ready wants to know why.
            self.look(index, now, true);
        }
        let member = &mut self.members[index];
        let interval = Duration::from_millis(member.process.health.interval.max(1));
        let retries = member.process.health.retries.max(1);
        let result = ProbeResult {
            at: wall(),
            passed: outcome.passed,
            said: outcome.said,
            took: u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX),
        };
        if which == Which::Ready || !result.passed || member.process.health.ready.is_none() {
            member.last_probe = Some(result);
        }
        let Some(prober) = prober(member, which) else {
            return false;
        };
        if outcome.passed {
            prober.failures = 0;
            prober.next = now + interval;
        } else {
            prober.failures += 1;
            if phase == ProcessPhase::Starting {
                prober.soon(now);
            } else {
                // One that is down for a moment should be back soon.
                prober.next = now + interval.min(Duration::from_secs(1).max(interval / 4));
            }
        }
        let failures = prober.failures;
        match (which, phase, outcome.passed) {
            (Which::Ready, ProcessPhase::Starting | ProcessPhase::NotReady, true) => {
                self.ready(index, now)
            }
            (Which::Ready, ProcessPhase::Ready, false) if failures >= retries => {
                self.members[index].phase = ProcessPhase::NotReady;
                let remark = format!("{} is not ready any more", self.members[index].process.name);
                self.remark(remark);
            }
            (Which::Live, _, false) if failures >= retries => {
                let grace = self.grace();
                self.ask_to_end(index, Cause::NotAlive, false, grace);
            }
            _ => {}
        }
        true
    }

    fn ready(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        member.phase = ProcessPhase::Ready;
        member.ready_at = Some(wall());
        if let Some(run) = &mut member.run {
            run.was_ready = true;
            if run.live.is_none()
                && let Some(probe) = &member.process.health.live
            {
                let mut prober = Prober::new(Some(probe.clone()), now);
                prober.next = now + Duration::from_millis(member.process.health.interval.max(1));
                run.live = Some(prober);
            }
        }
        let remark = format!("{} is ready", member.process.name);
        self.remark(remark);
    }

    fn never_ready(&mut self, index: usize) {
        self.look(index, Instant::now(), true);
        let member = &self.members[index];
        let said = member
            .last_probe
            .as_ref()
            .map_or("", |probe| probe.said.as_str());
        let remark = format!(
            "{} was not ready within {} ms: {said}",
            member.process.name, member.process.health.start
        );
        self.remark(remark);
        let grace = self.grace();
        self.ask_to_end(index, Cause::NeverReady, false, grace);
    }

    /// Looks up what a process's tree listens on.
    fn look(&mut self, index: usize, now: Instant, anyway: bool) {
        let looked = self.members[index].run.as_ref().and_then(|run| run.looked);
        if !anyway && looked.is_some_and(|looked| now < looked + LOOK) {
            return;
        }
        let addresses = tree::addresses(&self.tree(index));
        let member = &mut self.members[index];
        member.listening = addresses;
        if let Some(run) = &mut member.run {
            run.looked = Some(now);
        }
    }

    /// Kills whoever exceeds a memory limit that only we watch.
    pub(super) fn tick_memory(&mut self, now: Instant) {
        let Some(next) = self.limits.next_look() else {
            return;
        };
        if now < next {
            self.due_at(next);
            return;
        }
        let next = self.limits.looked(now);
        self.due_at(next);
        let used: Vec<u64> = (0..self.members.len())
            .map(|index| {
                self.running(index)
                    .map_or(0, |_| tree::memory(&self.tree(index)))
            })
            .collect();
        let mut exceeding: Vec<(usize, u64)> = used
            .iter()
            .enumerate()
            .filter_map(|(index, used)| {
                let limit = self.members[index].process.memory?;
                (*used > limit).then_some((index, limit))
            })
            .collect();
        if let Some(limit) = self.specification.memory
            && exceeding.is_empty()
            && used.iter().sum::<u64>() > limit
            && let Some((index, _)) = used.iter().enumerate().max_by_key(|(_, used)| **used)
        {
            exceeding.push((index, limit));
        }
        for (index, limit) in exceeding {
            let name = &self.members[index].process.name;
            self.remark(format!(
                "{name} uses {} bytes of memory, its limit is {limit}: it is killed",
                used[index]
            ));
            self.ask_to_end(index, Cause::Memory, false, Duration::ZERO);
        }
    }
}
