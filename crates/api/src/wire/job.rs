//! Jobs: schedules and runs.

use landfall_app::Name;
use landfall_release::{ReleaseNumber, RunKind, RunOutcome};
use serde::{Deserialize, Serialize};

/// A job, as `GET …/jobs` lists them and the status shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobStatus {
    /// Its name.
    pub name: Name,
    /// In whose release and environment it runs.
    pub service: Name,
    /// Its cron line.
    pub schedule: String,
    /// The same in words.
    pub words: String,
    /// The time zone of the line.
    pub timezone: String,
    /// Milliseconds that it may take.
    pub timeout: Option<u64>,
    /// When it is due next; none while the app is stopped.
    pub next: Option<u64>,
    /// Why its schedule can't be kept.
    pub problem: Option<String>,
    /// Its last run.
    pub last: Option<RunSummary>,
}

/// One run, of a job or of something else on a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunSummary {
    /// Its number, of all runs of the host.
    pub number: u64,
    /// What kind of thing ran.
    pub kind: RunKind,
    /// Its name.
    pub name: String,
    /// Who asked for it; none: the schedule.
    pub by: Option<String>,
    /// In which release.
    pub release: Option<ReleaseNumber>,
    /// In which service.
    pub service: Option<Name>,
    /// When it was due; none where somebody asked for it.
    pub due_at: Option<u64>,
    /// When it began.
    pub started_at: u64,
    /// When it ended; none while it goes on.
    pub ended_at: Option<u64>,
    /// How; none while it goes on.
    pub outcome: Option<RunOutcome>,
    /// The exit code, where a command ended with one.
    pub code: Option<i32>,
    /// In a few words.
    pub said: String,
    /// Its last lines, masked.
    pub last_words: Vec<String>,
}

/// `POST …/jobs/{name}/run`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RunRequest {
    /// Who asks: `user@machine`.
    pub by: String,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunBegun {
    /// The run.
    pub run: RunSummary,
    /// The instance that its lines carry.
    pub instance: String,
    /// The process that its lines carry.
    pub process: String,
}

/// The query of `GET …/jobs/{name}/runs`, and of one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RunQuery {
    /// At most so many of the last.
    pub last: Option<usize>,
    /// Answer once it has ended.
    pub wait: bool,
}
