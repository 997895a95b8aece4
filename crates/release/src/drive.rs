//! The two traits between which a rollout is driven.

use std::future::Future;

use crate::{
    failure::Failure,
    release::Generation,
    rollout::{Record, Rollout, Step},
};

/// Something that can make a release live. Steps are run one at a time, and each may be run again.
pub trait Target: Send + Sync {
    /// Performs a step; the answer says in a few words what it did.
    fn perform(
        &self,
        rollout: &Rollout,
        step: Step,
    ) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Undoes a step, also one that was cut off.
    fn undo(
        &self,
        rollout: &Rollout,
        step: Step,
    ) -> impl Future<Output = Result<String, Failure>> + Send;

    /// The generation that carries the traffic now; what decides whether a rollout found unfinished
    /// is finished or undone.
    fn live(
        &self,
        rollout: &Rollout,
    ) -> impl Future<Output = Result<Option<Generation>, Failure>> + Send;
}

/// Where a rollout is written down: each record is on disk before the call returns.
pub trait Journal: Send + Sync {
    /// Why it can't be written.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Appends a record.
    fn append(&self, rollout: &Rollout, record: &Record) -> Result<(), Self::Error>;

    /// The records so far.
    fn records(&self, rollout: &Rollout) -> Result<Vec<Record>, Self::Error>;
}
