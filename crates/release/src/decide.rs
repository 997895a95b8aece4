//! The state machine of a rollout: from what its journal says, what comes next. Nothing else is
//! remembered anywhere, so whoever reads the journal can go on.

use std::collections::BTreeSet;

use crate::{
    failure::Failure,
    release::Generation,
    rollout::{Decision, Direction, Outcome, Record, Rollout, Step},
};

/// What comes next in a rollout, by its records so far.
///
/// Forward through its steps; after a failure back through those that were started, newest first.
/// What was found unfinished goes on if its switch has happened, or if it changed something and has
/// none; and else back. An undo that fails
/// doesn't keep the others from being undone, but where the traffic can't be moved back, what it
/// is on stays. What was found unfinished takes its lock again first; the lock is given back last,
/// either way.
pub fn decide(rollout: &Rollout, records: &[Record]) -> Decision {
    let state = State::of(rollout, records);
    match (state.ended, state.direction) {
        (Some(outcome), _) => Decision::End(outcome),
        (None, _) if state.lock_lost => Decision::Perform(Step::Lock),
        (None, Direction::Forward) => state.forward(rollout),
        (None, Direction::Undo) => state.back(rollout),
    }
}

/// Which way a rollout goes, by its records so far.
pub fn direction(rollout: &Rollout, records: &[Record]) -> Direction {
    State::of(rollout, records).direction
}

/// Why a rollout isn't or won't be done: the failure that turned it around. None where all went
/// well, or where it was turned around because it was found unfinished.
pub fn cause<'a>(rollout: &Rollout, records: &'a [Record]) -> Option<&'a Failure> {
    let turned = (0..records.len())
        .find(|&index| direction(rollout, &records[..=index]) == Direction::Undo)?;
    match &records[turned] {
        Record::Failed { failure, .. } => Some(failure),
        _ => None,
    }
}

impl Step {
    /// Whether there is something to undo once it was started.
    pub fn is_undone(self) -> bool {
        matches!(self, Self::StopOld | Self::Start | Self::Switch)
    }

    /// Whether the rollout is done also where this fails: the new release serves, and what is left
    /// is to tidy up.
    pub fn may_fail(self) -> bool {
        matches!(self, Self::Retire | Self::After | Self::Unlock)
    }

    /// Whether it leaves everything as it was.
    pub fn changes_nothing(self) -> bool {
        matches!(self, Self::Preflight | Self::Lock | Self::Unlock)
    }
}

/// What the records come to.
struct State {
    direction: Direction,
    started: BTreeSet<Step>,
    /// Finished, or failed where that is no matter.
    settled: BTreeSet<Step>,
    /// Undone, or not to be undone.
    undone: BTreeSet<Step>,
    /// Of those, the ones whose undo failed.
    not_undone: BTreeSet<Step>,
    /// Whoever held the lock is gone, and there is more to do than to give it back.
    lock_lost: bool,
    /// Turned around where there is no way back.
    stuck: bool,
    ended: Option<Outcome>,
}

impl State {
    fn of(rollout: &Rollout, records: &[Record]) -> Self {
        let mut state = Self {
            direction: Direction::Forward,
            started: BTreeSet::new(),
            settled: BTreeSet::new(),
            undone: BTreeSet::new(),
            not_undone: BTreeSet::new(),
            lock_lost: false,
            stuck: false,
            ended: None,
        };
        for record in records {
            state.add(rollout, record);
        }
        state
    }

    fn add(&mut self, rollout: &Rollout, record: &Record) {
        use Direction::{Forward, Undo};
        match record {
            Record::Started {
                step,
                direction: Forward,
            } => {
                self.started.insert(*step);
            }
            Record::Started {
                direction: Undo, ..
            } => {}
            Record::Finished {
                step: Step::Lock,
                direction: Forward,
                ..
            } => {
                self.settled.insert(Step::Lock);
                self.lock_lost = false;
            }
            Record::Finished {
                step,
                direction: Forward,
                ..
            } => {
                self.settled.insert(*step);
            }
            Record::Finished {
                step,
                direction: Undo,
                ..
            } => {
                self.undone.insert(*step);
            }
            // Half of it is done: better to end it without the lock than to leave it.
            Record::Failed {
                step: Step::Lock,
                direction: Forward,
                ..
            } if self.lock_lost => {
                self.lock_lost = false;
            }
            Record::Failed {
                step,
                direction: Forward,
                ..
            } if step.may_fail() => {
                self.settled.insert(*step);
            }
            Record::Failed {
                direction: Forward, ..
            } => self.turn_around(),
            Record::Failed {
                step,
                direction: Undo,
                ..
            } => {
                self.undone.insert(*step);
                self.not_undone.insert(*step);
            }
            Record::TakenUp { live } => self.take_up(rollout, *live),
            Record::Ended { outcome } => self.ended = Some(*outcome),
        }
    }

    fn take_up(&mut self, rollout: &Rollout, live: Option<Generation>) {
        if self.is_complete(rollout) {
            return;
        }
        self.lock_lost = self.started.contains(&Step::Lock)
            && !self.settled.contains(&Step::Unlock)
            && !self.changed_nothing();
        // An undo stays one: its way back may already have given a higher generation.
        if self.direction == Direction::Undo {
            return;
        }
        let switched = self.started.contains(&Step::Switch) && live >= Some(rollout.generation);
        if self.started.contains(&Step::Retire) {
            // The old release may be gone. Where the traffic isn't on the new one although it was,
            // it is switched again.
            if !switched {
                self.settled.remove(&Step::Switch);
            }
        } else if !switched && (rollout.goes_live() || self.changed_nothing()) {
            self.turn_around();
        }
    }

    fn changed_nothing(&self) -> bool {
        self.started.iter().all(|step| step.changes_nothing())
    }

    fn turn_around(&mut self) {
        self.direction = Direction::Undo;
        // There is no way back to a release that may have been stopped for good.
        self.stuck |= self.started.contains(&Step::Retire);
    }

    fn is_complete(&self, rollout: &Rollout) -> bool {
        rollout.steps.iter().all(|step| self.settled.contains(step))
    }

    fn forward(&self, rollout: &Rollout) -> Decision {
        match rollout
            .steps
            .iter()
            .find(|step| !self.settled.contains(step))
        {
            Some(step) => Decision::Perform(*step),
            None => Decision::End(Outcome::Done),
        }
    }

    fn back(&self, rollout: &Rollout) -> Decision {
        let to_undo = |step: &&Step| {
            step.is_undone()
                && self.started.contains(step)
                && !self.undone.contains(step)
                && !self.keeps(**step)
        };
        if let Some(step) = rollout.steps.iter().rev().find(to_undo) {
            return Decision::Undo(*step);
        }
        if self.started.contains(&Step::Lock) && !self.settled.contains(&Step::Unlock) {
            return Decision::Perform(Step::Unlock);
        }
        Decision::End(if self.stuck || !self.not_undone.is_empty() {
            Outcome::NotUndone
        } else if self.changed_nothing() {
            Outcome::Refused
        } else {
            Outcome::Undone
        })
    }

    /// Whether a step stays although the rollout is undone, for its undo could leave nothing that
    /// serves: the old release may be gone, or the traffic may still be on the new one.
    fn keeps(&self, step: Step) -> bool {
        self.stuck || (step == Step::Start && self.not_undone.contains(&Step::Switch))
    }
}
