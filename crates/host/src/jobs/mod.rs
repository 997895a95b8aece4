//! What the host does on schedule: the jobs of the apps, and of its own the backups and their checks.
//!
//! One task keeps the agenda of all live releases and sets one alarm, for what is due next. Each run
//! is a row of the ledger before it begins, so that nothing runs twice and what was left out is said:
//! a run is *skipped* where the one before still goes on, and *missed* where nobody was there (the
//! host didn't run, the machine slept). Missed runs aren't made up for. What is under way when the
//! host dies is ended by the next one and stands as cut off.

mod agenda;
mod alarm;
mod own;
mod run;
mod schedule;
mod scheduler;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use landfall_app::Name;
use landfall_release::RunKind;
use tokio::sync::Notify;

pub use own::begin as begin_own;
pub use run::{recover, stop};
pub use schedule::next;
use schedule::{Schedule, ScheduleError};
pub use scheduler::keep;
pub use view::{by_hand, history, refuse_bad, status, wait};

/// What can be due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A `[job.x]`.
    Job(Name),
    /// A backup: of a backing service by its name, of a volume as `SERVICE.VOLUME`.
    Backup(String),
    /// A check of the backups of the same.
    Check(String),
}

impl Due {
    /// Its kind, as its runs are kept.
    pub fn kind(&self) -> RunKind {
        match self {
            Self::Job(_) => RunKind::Job,
            Self::Backup(_) => RunKind::Backup,
            Self::Check(_) => RunKind::Check,
        }
    }

    /// Its name, as its runs are kept.
    pub fn name(&self) -> &str {
        match self {
            Self::Job(name) => name.as_str(),
            Self::Backup(subject) | Self::Check(subject) => subject,
        }
    }
}

/// Something on a schedule, in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// What.
    pub due: Due,
}

/// What the host remembers of its schedules while it lives.
#[derive(Debug, Default)]
pub struct Jobs {
    changed: Notify,
    running: Mutex<BTreeMap<Key, Arc<Running>>>,
}

/// A run that is under way.
#[derive(Debug, Default)]
struct Running {
    /// Told to end.
    stop: Notify,
    /// Told once it has ended.
    ended: Notify,
}

impl Jobs {
    /// Something that schedules depend on has changed: what is live, or whether it shall run.
    pub fn changed(&self) {
        self.changed.notify_one();
    }

    /// Whether a run of it is under way.
    pub fn is_running(&self, key: &Key) -> bool {
        self.held().contains_key(key)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Running>>> {
        // A map of handles is whole at any time.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
