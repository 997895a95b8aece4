//! What a process leaves behind: its group, its descendants in sessions of their own, its last
//! lines. Nothing starts in its place before all of that is gone.

use std::time::{Duration, Instant};

use landfall_supervise::{
    specification::PROCESS_VARIABLE,
    state::{Cause, Exit, ProcessPhase},
    tree,
};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use super::{Supervisor, events::Status, publish::wall};
use crate::run::{member::Remains, probe, signals};

/// Who does not go after SIGKILL for so long hangs in the system: the rest goes on without it.
const HOPELESS: Duration = Duration::from_secs(5);

/// How long its last lines are waited for.
const LAST_WORDS: Duration = Duration::from_millis(30);

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().cast_unsigned()
}

impl Supervisor {
    /// A main process has ended, and is reaped here.
    pub(super) fn process_ended(&mut self, index: usize, pid: Pid, status: Status) {
        let now = Instant::now();
        let stopping = self
            .stopping
            .as_ref()
            .map(|stopping| stopping.since + stopping.grace);
        let member = &mut self.members[index];
        let Some(run) = &mut member.run else { return };
        run.cancel_probes();
        let mut cause = run.ending.as_ref().map(|ending| ending.cause.clone());
        let mut memory = false;
        if let Some(error) = probe::report(&run.report) {
            cause = Some(Cause::NotExecuted(error));
        }
        // Whoever was asked to end may have others in its group that are still at it; after a
        // crash there is nothing to wait for. A process that ends by itself and well, as it should,
        // may leave nothing behind either.
        let grace = match &run.ending {
            Some(ending) if !ending.killed => ending.kill_at,
            _ => stopping.filter(|_| run.ending.is_some()).unwrap_or(now),
        };
        if grace <= now {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        let signal = status.signal.map(signals::name);
        // Nobody else says that it was the system, for memory; 137 is how a shell reports it.
        let killed = status.signal == Some(libc::SIGKILL) || status.code == Some(137);
        if cause.is_none()
            && killed
            && self
                .groups
                .memory_kills(index)
                .grown_since(&run.memory_kills)
        {
            cause = Some(Cause::Memory);
            memory = true;
        }
        let code = if matches!(cause, Some(Cause::NotExecuted(_))) {
            None
        } else {
            status.code
        };
        run.remains = Some(Remains {
            exit: Exit {
                at: wall(),
                code,
                signal,
                cause,
            },
            grace,
            asked: false,
            next: now,
            wait: Duration::from_millis(2),
            killed: None,
            draining: None,
        });
        // What comes of it shows when everything is cleaned up; its dependents must not start now.
        if run.ending.is_none() && !member.process.ends && self.stopping.is_none() {
            member.phase = ProcessPhase::Restarting;
        } else if member.phase == ProcessPhase::Ready {
            member.phase = ProcessPhase::Stopping;
        }
        if memory {
            self.account_for_kill(index);
        }
    }

    /// A process was killed by the system for memory: one of the kills that are counted for those in
    /// the same group isn't theirs.
    fn account_for_kill(&mut self, index: usize) {
        for other in 0..self.members.len() {
            if other != index
                && self.groups.share_memory(index, other)
                && let Some(run) = &mut self.members[other].run
            {
                run.memory_kills
                    .account_for_one(&self.groups.memory_kills(other));
            }
        }
    }

    /// The processes that belong to a member: its main process, its children, and orphans of its
    /// own that have become ours.
    pub(super) fn tree(&self, index: usize) -> Vec<u32> {
        if !self.visible {
            return Vec::new();
        }
        let own = std::process::id();
        let main = self.members[index].run.as_ref().map(|run| number(run.pid));
        let mut others = Vec::new();
        for other in 0..self.members.len() {
            others.extend(self.probing(other).into_iter().map(number));
            if other != index {
                others.extend(self.running(other).map(number));
            }
        }
        let alone = self.members.len() == 1;
        let mut found = Vec::new();
        for child in tree::children(own) {
            if others.contains(&child) {
                continue;
            }
            let ours = Some(child) == main
                || alone
                || tree::variable(child, PROCESS_VARIABLE).as_ref()
                    == Some(&self.members[index].process.name)
                || (main.is_some() && tree::status(child).map(|status| status.group) == main);
            if ours {
                found.extend(tree::descendants(child));
            }
        }
        found
    }

    /// Ends what is left, step by step; when all is gone, what follows.
    pub(super) fn tick_remains(&mut self, index: usize, now: Instant) -> bool {
        let Some(remains) = self.members[index]
            .run
            .as_ref()
            .and_then(|run| run.remains.as_ref())
        else {
            return false;
        };
        if let Some((ticket, until)) = remains.draining {
            if self.drained < ticket && now < until {
                self.due_at(until);
                return false;
            }
            return self.gone(index);
        }
        if now < remains.next {
            let next = remains.next;
            self.due_at(next);
            return false;
        }
        let mut left = self.tree(index);
        let more = self.groups.own_processes(index);
        left.extend(
            more.into_iter()
                .filter(|pid| !left.contains(pid))
                .collect::<Vec<_>>(),
        );
        let signal = self.signal;
        let Some(run) = self.members[index].run.as_mut() else {
            return false;
        };
        let Some(remains) = run.remains.as_mut() else {
            return false;
        };
        let hopeless = remains.killed.is_some_and(|since| now >= since + HOPELESS);
        if left.is_empty() || hopeless {
            let ticket = self.logs.drain(index);
            remains.draining = Some((ticket, now + LAST_WORDS));
            self.due_at(now + LAST_WORDS);
            if hopeless {
                let name = &self.members[index].process.name;
                self.notes.push(format!(
                    "Processes that {name} left behind do not end: {left:?}."
                ));
            }
            return hopeless;
        }
        let send = if now >= remains.grace {
            remains.killed.get_or_insert(now);
            Some(Signal::KILL)
        } else if remains.asked {
            None
        } else {
            remains.asked = true;
            Some(signal)
        };
        if let Some(signal) = send {
            if signal == Signal::KILL {
                self.groups.kill(index);
            }
            let group = number(run.pid);
            for pid in left
                .into_iter()
                // Those of the group have had the signal; a second one means haste to some.
                .filter(|pid| {
                    signal == Signal::KILL
                        || tree::status(*pid).is_none_or(|status| status.group != group)
                })
                .filter_map(|pid| Pid::from_raw(pid.cast_signed()))
            {
                let _ = kill_process(pid, signal);
            }
        }
        remains.next = now + remains.wait;
        if now < remains.grace {
            remains.next = remains.next.min(remains.grace);
        }
        remains.wait = (remains.wait * 2).min(Duration::from_millis(100));
        let next = remains.next;
        self.due_at(next);
        false
    }

    fn gone(&mut self, index: usize) -> bool {
        let Some(run) = self.members[index].run.take() else {
            return false;
        };
        let again = run.ending.is_some_and(|ending| ending.again);
        let up = run.started.elapsed();
        if let Some(remains) = run.remains {
            self.after_end(index, remains.exit, up, run.was_ready, again);
        }
        true
    }

    /// At the very end: whoever is still ours, whatever it belonged to.
    pub(super) fn end_orphans(&self) {
        for _ in 0..if self.visible { 20 } else { 0 } {
            let own = std::process::id();
            let left: Vec<u32> = tree::descendants(own)
                .into_iter()
                .filter(|pid| *pid != own)
                .collect();
            for pid in left
                .iter()
                .filter_map(|pid| Pid::from_raw(pid.cast_signed()))
            {
                let _ = kill_process(pid, Signal::KILL);
            }
            while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
            if left.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
