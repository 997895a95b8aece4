//! How it all is: the aggregate health, the state file, and telling those who watch.

use std::{
    fs, io,
    time::{SystemTime, UNIX_EPOCH},
};

use landfall_supervise::{
    control::Answer,
    specification::{VERSION, files},
    state::{Ended, Phase, ProcessPhase, State},
};

use super::{LAST_LINES, Supervisor};
use crate::run::member::Member;

/// Milliseconds since the Unix epoch.
pub fn wall() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Why a process is not well, in a few words.
fn trouble(member: &Member, waits_for: Option<&str>) -> Option<String> {
    let name = &member.process.name;
    if member.satisfied() {
        return None;
    }
    Some(match (member.phase, waits_for) {
        (ProcessPhase::Waiting, Some(other)) => format!("{name} waits for {other}"),
        (ProcessPhase::Waiting | ProcessPhase::Starting, _) => format!("{name} starting"),
        (ProcessPhase::CrashLoop, _) => format!("{name} crash-loop"),
        (ProcessPhase::Restarting, _) => format!("{name} restarting"),
        (ProcessPhase::Failed, _) => format!("{name} failed"),
        (ProcessPhase::Stopping, _) => format!("{name} stopping"),
        (ProcessPhase::Done, _) => format!("{name} stopped"),
        (ProcessPhase::Ready | ProcessPhase::NotReady, _) => format!("{name} not ready"),
    })
}

impl Supervisor {
    /// How it is, now.
    pub(super) fn state(&self) -> State {
        let required = || {
            self.members
                .iter()
                .enumerate()
                .filter(|(_, member)| member.process.required)
        };
        let reason = required().find_map(|(index, member)| trouble(member, self.waits_for(index)));
        let healthy = reason.is_none() && self.stopping.is_none();
        let ready = match self.members.iter().find(|member| member.process.front) {
            Some(front) => front.phase == ProcessPhase::Ready,
            None => healthy,
        };
        let phase = match &self.stopping {
            Some(_) => Phase::Stopping,
            None if self.was_healthy || healthy => Phase::Running,
            None => Phase::Starting,
        };
        let reason = if self.stopping.is_some() {
            reason.or_else(|| Some("stopping".to_owned()))
        } else {
            reason
        };
        let mut notes = self.notes.clone();
        if self.logs.closed() {
            notes.push("Standard output is closed: log lines are dropped.".to_owned());
        }
        State {
            version: VERSION,
            sequence: self
                .published
                .as_ref()
                .map_or(1, |published| published.sequence),
            instance: self.specification.instance.clone(),
            supervisor: std::process::id(),
            started_at: self.started_at,
            phase,
            ready,
            healthy,
            reason,
            processes: self
                .members
                .iter()
                .enumerate()
                .map(|(index, member)| member.state(self.logs.words(index)))
                .collect(),
            notes,
            dropped: self.logs.dropped(),
            ended: None,
        }
    }

    /// Writes the state and tells those who watch, if anything has changed that is worth it.
    pub(super) fn publish(&mut self, ended: Option<Ended>) {
        let mut state = self.state();
        if let Some(ended) = ended {
            state.phase = Phase::Ended;
            state.reason = None;
            state.ended = Some(ended);
        }
        self.was_healthy |= state.healthy;
        if let Some(published) = &self.published {
            if essence(published.clone()) == essence(state.clone()) {
                return;
            }
            state.sequence = published.sequence + 1;
        }
        if let Err(error) = self.write(&state) {
            // Once is enough: the disk may be full for long.
            let note = format!("The state file can't be written: {error}.");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self.published = Some(state.clone());
        if let Some(clients) = &mut self.clients {
            clients.changed(&Answer::State(Box::new(state)));
        }
    }

    fn write(&self, state: &State) -> io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        // The folder may have been taken away under us: there is nobody to tell then.
        let next = folder.join("state.json.new");
        fs::write(&next, serde_json::to_vec(state)?)?;
        fs::rename(next, folder.join(files::STATE))
    }

    /// The end: the last lines, the last state, and nothing of ours left.
    pub(super) fn finish(&mut self, ended: Ended) {
        self.end_orphans();
        self.groups.end();
        self.remark(match &ended {
            Ended::Stopped => "stopped".to_owned(),
            Ended::Finished => "all processes ended well".to_owned(),
            Ended::GaveUp { process } => format!("stopped, since {process} failed for good"),
        });
        self.logs.finish(LAST_LINES);
        self.publish(Some(ended));
        if let Some(clients) = &mut self.clients {
            clients.finish();
        }
        if let Some(folder) = &self.folder {
            let _ = fs::remove_file(folder.join(files::CONTROL));
        }
    }
}

/// A state without what changes all the time: nobody is woken for that.
fn essence(mut state: State) -> State {
    state.sequence = 0;
    state.dropped = 0;
    for process in &mut state.processes {
        process.last_words.clear();
        if let Some(probe) = &mut process.last_probe {
            probe.at = 0;
            probe.took = 0;
        }
    }
    state
}
