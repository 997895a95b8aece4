//! Runs: one time that something on a schedule was done, or wasn't.

use serde::{Deserialize, Serialize};

/// What kind of thing is on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// A `[job.x]` of the app file.
    Job,
    /// A backup of a backing service or a volume.
    Backup,
    /// A check of backups that were made.
    Check,
}

impl RunKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Backup => "backup",
            Self::Check => "check",
        }
    }
}

impl std::fmt::Display for RunKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for RunKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "job" => Ok(Self::Job),
            "backup" => Ok(Self::Backup),
            "check" => Ok(Self::Check),
            _ => Err(()),
        }
    }
}

/// How a run ended, or why there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// It ended well.
    Done,
    /// It ended badly.
    Failed,
    /// It took longer than it may, and was ended.
    TimedOut,
    /// It was ended because its app was stopped.
    Stopped,
    /// The host ended while it was under way.
    CutOff,
    /// The one before was still under way when it was due.
    Skipped,
    /// Nobody was there when it was due.
    Missed,
}

impl RunOutcome {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Stopped => "stopped",
            Self::CutOff => "cut-off",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
        }
    }

    /// Whether somebody should look.
    pub fn is_trouble(self) -> bool {
        !matches!(self, Self::Done | Self::Stopped)
    }
}

impl std::fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for RunOutcome {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [
            Self::Done,
            Self::Failed,
            Self::TimedOut,
            Self::Stopped,
            Self::CutOff,
            Self::Skipped,
            Self::Missed,
        ];
        all.into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or(())
    }
}
