//! Releases, plans, rollouts, events: what a deployment is, without I/O.

#![forbid(unsafe_code)]

pub mod decide;
pub mod drive;
pub mod event;
pub mod failure;
pub mod plan;
pub mod release;
pub mod rollout;
pub mod run;
mod seal;
mod steps;

pub use decide::{cause, decide, direction};
pub use drive::{Journal, Target};
pub use event::{Event, EventKind, Purpose};
pub use failure::Failure;
pub use plan::{Desired, Plan, PlanKind, PlanLine, plan};
pub use release::{
    Artifact, Content, DeploymentNumber, Generation, HealthCheck, ImageArtifact, ImageConfig,
    MadeBy, Release, ReleaseNumber, SourceVersion,
};
pub use rollout::{Decision, Direction, Outcome, Record, Rollout, Step};
pub use run::{RunKind, RunOutcome};
pub use steps::{steps_for, steps_to_provision};
