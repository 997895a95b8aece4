//! A rollout: its steps, its journal, and the pure rule that says what comes next.

use landfall_app::Name;
use serde::{Deserialize, Serialize};

use crate::{
    event::Purpose,
    failure::Failure,
    release::{DeploymentNumber, Generation, ReleaseNumber},
};

/// What a rollout is told to do. Written to the journal before its first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rollout {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// Its number.
    pub deployment: DeploymentNumber,
    /// What for.
    pub purpose: Purpose,
    /// The release made live.
    pub release: ReleaseNumber,
    /// The release that was live.
    pub previous: Option<ReleaseNumber>,
    /// Whether it ran, or was stopped by hand: what an undo goes back to.
    #[serde(default = "yes")]
    pub was_running: bool,
    /// The generation that the switch gives.
    pub generation: Generation,
    /// Who asked.
    pub by: String,
    /// The steps in order, as the target has them.
    pub steps: Vec<Step>,
}

impl Rollout {
    /// Whether a release goes live by it. Without a switch nothing that serves is touched, so that
    /// there is nothing to go back to either.
    pub fn goes_live(&self) -> bool {
        self.steps.contains(&Step::Switch)
    }
}

fn yes() -> bool {
    true
}

/// A step of a rollout. Each can be run again after it was cut off anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Looks whether it can go well: disk, secrets, ports, configuration. Changes nothing.
    Preflight,
    /// Takes the environment's lock.
    Lock,
    /// Brings the app's own backing services up; what runs is never made anew.
    Provision,
    /// Runs the hook `before`.
    Before,
    /// Runs migrations with the new release.
    Migrate,
    /// Stops the old release first (`strategy = "recreate"`).
    StopOld,
    /// Starts the new release beside the old one.
    Start,
    /// Waits until it is ready.
    Verify,
    /// Runs the hook `verified`.
    Verified,
    /// Moves the traffic.
    Switch,
    /// Fetches pages through the front.
    Smoke,
    /// Runs the hook `switched`.
    Switched,
    /// Watches for trouble.
    Observe,
    /// Drains and stops the old release, prunes.
    Retire,
    /// Runs the hook `after`.
    After,
    /// Gives the lock back; also the last step of an undo.
    Unlock,
}

impl Step {
    /// All of them, in the order of a rollout.
    pub const ALL: [Self; 16] = [
        Self::Preflight,
        Self::Lock,
        Self::Provision,
        Self::Before,
        Self::Migrate,
        Self::StopOld,
        Self::Start,
        Self::Verify,
        Self::Verified,
        Self::Switch,
        Self::Smoke,
        Self::Switched,
        Self::Observe,
        Self::Retire,
        Self::After,
        Self::Unlock,
    ];

    /// Its word, as people and journals write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Lock => "lock",
            Self::Provision => "provision",
            Self::Before => "before",
            Self::Migrate => "migrate",
            Self::StopOld => "stop-old",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Verified => "verified",
            Self::Switch => "switch",
            Self::Smoke => "smoke",
            Self::Switched => "switched",
            Self::Observe => "observe",
            Self::Retire => "retire",
            Self::After => "after",
            Self::Unlock => "unlock",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Forward, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards the new release.
    Forward,
    /// Back to the old one.
    Undo,
}

/// A line of a rollout's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A step is about to begin.
    Started {
        /// Which.
        step: Step,
        /// Forward, or undone.
        direction: Direction,
    },
    /// A step ended well.
    Finished {
        /// Which.
        step: Step,
        /// Forward, or undone.
        direction: Direction,
        /// Milliseconds.
        took: u64,
        /// In a few words.
        said: String,
    },
    /// A step failed.
    Failed {
        /// Which.
        step: Step,
        /// Forward, or undone.
        direction: Direction,
        /// Milliseconds.
        took: u64,
        /// Why.
        failure: Box<Failure>,
    },
    /// Somebody found the rollout unfinished and goes on.
    TakenUp {
        /// The generation that the target held then.
        live: Option<Generation>,
    },
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new release serves.
    Done,
    /// It failed, and everything is as before.
    Undone,
    /// It failed, and the undo failed too: somebody must look.
    NotUndone,
    /// Refused before anything changed: the lock is held, the preflight said no.
    Refused,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Perform this step.
    Perform(Step),
    /// Undo this step.
    Undo(Step),
    /// It is over.
    End(Outcome),
}
