//! Events: everything that happens, in order. Progress, JSON output, reports are views of them.

use landfall_app::{Name, model::HookPoint};
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    release::{DeploymentNumber, ReleaseNumber},
    rollout::{Direction, Outcome, Step},
    run::{RunKind, RunOutcome},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    /// Its place in the host's one sequence: the cursor of those who follow.
    pub sequence: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The app; none: the host itself.
    pub app: Option<Name>,
    /// The environment.
    pub environment: Option<Name>,
    /// The deployment that it belongs to.
    pub deployment: Option<DeploymentNumber>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A deployment began.
    DeploymentStarted {
        /// What for.
        purpose: Purpose,
        /// The release made live.
        release: ReleaseNumber,
        /// The release that was live.
        from: Option<ReleaseNumber>,
        /// Who asked: `user@machine`.
        by: String,
    },
    /// A step began.
    StepStarted {
        /// Which.
        step: Step,
        /// Forward, or undone.
        direction: Direction,
    },
    /// News from within a step.
    StepProgress {
        /// Which.
        step: Step,
        /// In a few words.
        said: String,
    },
    /// A step ended well.
    StepFinished {
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
    StepFailed {
        /// Which.
        step: Step,
        /// Forward, or undone.
        direction: Direction,
        /// Milliseconds.
        took: u64,
        /// Why.
        failure: Box<Failure>,
    },
    /// A deployment found unfinished was taken up.
    DeploymentTakenUp {
        /// Where it goes from here.
        direction: Direction,
    },
    /// A deployment ended.
    DeploymentFinished {
        /// How.
        outcome: Outcome,
        /// The release that serves now.
        live: Option<ReleaseNumber>,
        /// Milliseconds since it began.
        took: u64,
        /// Requests answered by this environment meanwhile.
        requests: u64,
        /// Of those, failed at the edge.
        failed_requests: u64,
        /// Why, where it failed.
        failure: Option<Box<Failure>>,
    },
    /// A process changed: crashed, restarted, became ready or not.
    Process {
        /// Its service.
        service: Name,
        /// The instance.
        instance: String,
        /// Its name.
        process: String,
        /// What happened, in a few words: `exited with 1, next start in 2s`.
        said: String,
        /// Whether all required processes of the instance are ready now.
        healthy: bool,
    },
    /// An instance's supervisor died, and another takes its place.
    InstanceLost {
        /// Its service.
        service: Name,
        /// The instance.
        instance: String,
        /// Why, as far as it is known.
        said: String,
    },
    /// A hook that is no step of its deployment ended: what it does changes nothing of the outcome.
    HookEnded {
        /// Which.
        point: HookPoint,
        /// Milliseconds.
        took: u64,
        /// Why it failed, where it did.
        failure: Option<Box<Failure>>,
    },
    /// Something on a schedule began, or was asked for by hand.
    RunStarted {
        /// Its kind.
        kind: RunKind,
        /// Its name.
        name: String,
        /// The run's number.
        run: u64,
        /// Who asked, where it wasn't the schedule.
        by: Option<String>,
    },
    /// It ended, or was left out.
    RunEnded {
        /// Its kind.
        kind: RunKind,
        /// Its name.
        name: String,
        /// The run's number.
        run: u64,
        /// How.
        outcome: RunOutcome,
        /// Milliseconds.
        took: u64,
        /// In a few words.
        said: String,
    },
    /// The app was stopped or started by hand.
    Stopped,
    /// Started again by hand, or after a reboot.
    Started,
    /// A release's artifacts were removed.
    ReleasePruned {
        /// Which.
        release: ReleaseNumber,
    },
    /// The host started.
    HostStarted {
        /// Its version.
        version: String,
        /// How many instances it found running.
        adopted: u32,
        /// How many it had to start.
        started: u32,
    },
    /// The host was asked to stop.
    HostStopped,
}

/// What a deployment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A new release.
    Deploy,
    /// An earlier one.
    Rollback,
    /// The same one, with new processes.
    Restart,
    /// Another number of replicas.
    Scale,
    /// Other secrets.
    Secrets,
    /// Backing services alone, into which a backup is restored before anything is deployed: no
    /// release goes live.
    Provision,
}
