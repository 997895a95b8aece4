//! How far it is.

use serde::{Deserialize, Serialize};

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Asked the store and the disk whether there is room.
    Checking,
    /// Dumping, encrypting, storing.
    Dumping,
    /// Counting rows and their checksums in the same snapshot.
    Counting,
    /// Starting a scratch instance.
    Starting,
    /// Read back from the store and restored.
    Restoring,
    /// Compared with what was dumped.
    Comparing,
    /// The manifest is written; old ones removed.
    Keeping,
}

/// News.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes in all, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}

/// Somebody who is told. Called often: it must be quick.
pub trait Watcher: Send + Sync {
    /// So far.
    fn news(&self, progress: Progress);
}

impl<F: Fn(Progress) + Send + Sync> Watcher for F {
    fn news(&self, progress: Progress) {
        self(progress);
    }
}

/// Nobody.
pub struct Quiet;

impl Watcher for Quiet {
    fn news(&self, _: Progress) {}
}

impl dyn Watcher + '_ {
    /// A stage begins.
    pub fn stage(&self, stage: Stage) {
        self.news(Progress {
            stage,
            bytes: 0,
            of: None,
        });
    }
}
