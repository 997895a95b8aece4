//! What the host and its clients say to each other, version 1. JSON; times in milliseconds since
//! the Unix epoch. A failed request answers with a [`Failure`](landfall_release::Failure).

pub mod backing;
pub mod backup;
pub mod container;
pub mod job;
pub mod volume;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use landfall_app::Name;
use landfall_release::{
    Content, DeploymentNumber, Failure, Outcome, Purpose, Record, Release, ReleaseNumber,
    SourceVersion,
};
use landfall_supervise::state::State;
use serde::{Deserialize, Serialize};

/// The protocol's version: the first part of each path, `/v1`.
pub const VERSION: u32 = 1;

/// `GET /v1/host`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostStatus {
    /// The protocol's version.
    pub version: u32,
    /// The host's program version.
    pub program: String,
    /// Its process.
    pub process: u32,
    /// When it started.
    pub started_at: u64,
    /// Its state folder.
    pub home: PathBuf,
    /// The shared HTTP address, once the edge serves.
    pub http: Option<SocketAddr>,
    /// Whether it leaves with its last app (started by `up`).
    pub leaves_with_last_app: bool,
    /// What it looks after.
    pub environments: Vec<EnvironmentSummary>,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// One environment of one app, in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EnvironmentSummary {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// The live release.
    pub live: Option<ReleaseNumber>,
    /// How it is.
    pub condition: Condition,
}

/// How an environment is, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// All required processes are ready.
    Healthy,
    /// Some are not.
    Degraded,
    /// None serves.
    Down,
    /// Stopped by hand.
    Stopped,
    /// Nothing was deployed yet.
    Empty,
}

/// `GET /v1/apps/{app}/{environment}/status`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AppStatus {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// As a whole.
    pub condition: Condition,
    /// The live release.
    pub live: Option<ReleaseNumber>,
    /// Since when.
    pub live_since: Option<u64>,
    /// Its code.
    pub source: Option<SourceVersion>,
    /// The last deployment.
    pub last: Option<DeploymentSummary>,
    /// Who holds the lock.
    pub lock: Option<LockStatus>,
    /// Its services.
    pub services: Vec<ServiceStatus>,
    /// What they use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backing: Vec<backing::BackingStatus>,
    /// Its jobs.
    #[serde(default)]
    pub jobs: Vec<job::JobStatus>,
    /// What of it is backed up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backups: Vec<backup::BackupStatus>,
    /// Why no container of it can be started at the moment, where the Docker Engine is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Commands that help next, where something is wrong.
    pub next: Vec<String>,
}

/// Who holds an environment's lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockStatus {
    /// `user@machine`.
    pub holder: String,
    /// What for.
    pub reason: String,
    /// Since when.
    pub since: u64,
    /// The deployment.
    pub deployment: Option<DeploymentNumber>,
}

/// A service in the status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceStatus {
    /// Its name.
    pub service: Name,
    /// Its URLs, the stable loopback one first.
    pub urls: Vec<String>,
    /// How many should run.
    pub replicas: u32,
    /// Whether it is static files at the edge.
    pub static_files: bool,
    /// Its instances.
    pub instances: Vec<InstanceStatus>,
    /// Requests since the edge started, of the live release.
    pub requests: u64,
    /// Of those, 5xx and failed at the edge.
    pub errors: u64,
    /// Requests per second over the last sampling interval.
    pub requests_per_second: f64,
    /// 95th percentile of the time to the answer's head, in milliseconds; an upper bound of the
    /// histogram's.
    pub p95: Option<u64>,
}

/// An instance in the status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InstanceStatus {
    /// Its id.
    pub id: String,
    /// The replica's number, from 1.
    pub replica: u32,
    /// The release.
    pub release: ReleaseNumber,
    /// Its port.
    pub port: Option<u16>,
    /// The URL of its health check, if any.
    pub health: Option<String>,
    /// What its supervisor says; none where it can't be reached.
    pub state: Option<State>,
    /// Use of each process's tree, by process.
    pub usage: BTreeMap<String, Usage>,
    /// Memory limit of the whole, in bytes.
    pub memory_limit: Option<u64>,
    /// Memory limits of processes, in bytes.
    pub memory_limits: BTreeMap<String, u64>,
}

/// What a process's tree uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Usage {
    /// Processor time over the last sampling interval, in percent of one core.
    pub cpu: f64,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// `GET …/observed`: what the next plan starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Observed {
    /// The live release.
    pub live: Option<Release>,
    /// Whether it runs, or was stopped by hand.
    pub running: bool,
    /// Numbers that `scale` changed since the file was deployed.
    pub scaled: BTreeMap<Name, u32>,
}

/// `POST …/secrets/versions` answers, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecretVersion {
    /// The version that this value has or would get.
    pub version: u32,
    /// Whether the host has seen it before.
    pub known: bool,
}

/// `POST …/deployments`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Submission {
    /// What to make live. `content.secrets` is empty: the host gives the versions.
    pub content: Content,
    /// The values of its secrets.
    pub secrets: BTreeMap<String, String>,
    /// Who asks: `user@machine`.
    pub by: String,
    /// The folder of the app file, for `up` and messages.
    pub folder: PathBuf,
    /// Milliseconds of each step of the preparation, for the record.
    pub prepared: Vec<Prepared>,
    /// Follows `up`: the host may leave with its last app.
    pub attached: bool,
    /// The public keys of those who can read the app's secrets: backups are encrypted to them too.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Only its backing services, where nothing is deployed yet: no release goes live, nothing was
    /// built, and only the secrets of its data are needed.
    #[serde(default)]
    pub provision_only: bool,
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Submission({}, {} secrets)",
            self.content.app.app,
            self.secrets.len()
        )
    }
}

/// A step of the preparation, done where the command ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Prepared {
    /// `build`.
    pub step: String,
    /// Milliseconds.
    pub took: u64,
    /// In a few words.
    pub said: String,
}

/// The answer where a rollout was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Accepted {
    /// Its number.
    pub deployment: DeploymentNumber,
    /// The release made live.
    pub release: ReleaseNumber,
    /// The release that was live.
    pub from: Option<ReleaseNumber>,
    /// The cursor from which its events can be followed.
    pub cursor: u64,
}

/// `POST …/rollback`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rollback {
    /// Which; the one that was live before by default.
    pub release: Option<ReleaseNumber>,
    /// With today's secrets.
    pub keep_secrets: bool,
    /// Who asks.
    pub by: String,
}

/// `POST …/change`: a rollout that needs no build.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Other numbers of replicas.
    Scale {
        /// By service.
        replicas: BTreeMap<Name, u32>,
        /// Who asks.
        by: String,
    },
    /// Other secrets; those not named stay.
    Secrets {
        /// New values.
        values: BTreeMap<String, String>,
        /// Names taken away.
        removed: Vec<String>,
        /// Who asks.
        by: String,
    },
    /// The same release with new processes.
    Restart {
        /// Who asks.
        by: String,
    },
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scale { replicas, .. } => write!(f, "Scale({replicas:?})"),
            Self::Secrets { values, .. } => write!(f, "Secrets({:?})", values.keys()),
            Self::Restart { .. } => f.write_str("Restart"),
        }
    }
}

/// `GET …/releases`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReleaseSummary {
    /// Its number.
    pub number: ReleaseNumber,
    /// Its digest.
    pub digest: String,
    /// When it was sealed.
    pub created_at: u64,
    /// Its code.
    pub source: SourceVersion,
    /// Why it was made, in a few words: `deploy`, `scale`, `secrets`, `rollback to 3`.
    pub made_by: String,
    /// Whether it is live.
    pub live: bool,
    /// Whether it ever was.
    #[serde(default)]
    pub served: bool,
    /// Whether its artifacts are gone, so that it can't be rolled back to.
    pub pruned: bool,
}

/// `GET …/deployments`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeploymentSummary {
    /// Its number.
    pub number: DeploymentNumber,
    /// What for.
    pub purpose: Purpose,
    /// The release made live.
    pub release: ReleaseNumber,
    /// The release that was live.
    pub from: Option<ReleaseNumber>,
    /// Who asked.
    pub by: String,
    /// When it began.
    pub started_at: u64,
    /// When it ended.
    pub ended_at: Option<u64>,
    /// How; none while it runs.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// `GET …/deployments/{number}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeploymentDetail {
    /// In a line.
    pub summary: DeploymentSummary,
    /// What was done before the host had it.
    pub prepared: Vec<Prepared>,
    /// Its journal.
    pub records: Vec<Record>,
}

/// A line of `GET …/logs`, one JSON object each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogLine {
    /// When, in microseconds since the Unix epoch.
    pub at: u64,
    /// The service.
    pub service: String,
    /// The process.
    pub process: String,
    /// The instance.
    pub instance: String,
    /// The replica, from 1.
    pub replica: u32,
    /// The release.
    pub release: u64,
    /// Whether it came by standard error.
    pub error: bool,
    /// The line, masked.
    pub text: String,
}

/// The query of `GET …/logs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct LogQuery {
    /// Only this service.
    pub service: Option<String>,
    /// Only this process.
    pub process: Option<String>,
    /// From this time on, in microseconds since the Unix epoch.
    pub since: Option<u64>,
    /// Up to this time.
    pub until: Option<u64>,
    /// Only lines that contain this text; the lines that continue them come too.
    pub grep: Option<String>,
    /// At most so many of the last.
    pub last: Option<usize>,
    /// Go on with what comes.
    pub follow: bool,
}

/// The query of `GET /v1/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct EventQuery {
    /// After this sequence number.
    pub after: u64,
    /// Only of this app.
    pub app: Option<String>,
    /// Only of this environment.
    pub environment: Option<String>,
    /// Only of this deployment.
    pub deployment: Option<u64>,
    /// At most so many of the last.
    pub last: Option<usize>,
    /// Go on with what comes.
    pub follow: bool,
}

/// `GET …/environment?service=&process=&one-off=`: what `run` and `exec` execute with. It holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExecutionEnvironment {
    /// The folder.
    pub directory: PathBuf,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// What to mask in output that is captured.
    pub mask: BTreeMap<String, String>,
}

impl std::fmt::Debug for ExecutionEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ExecutionEnvironment({}, {} variables)",
            self.directory.display(),
            self.environment.len()
        )
    }
}

/// `DELETE /v1/apps/{app}/{environment}?purge=` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Removed {
    /// How many instances were stopped.
    pub instances: u32,
    /// Bytes freed; with `purge`.
    pub freed: u64,
}
