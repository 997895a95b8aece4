//! The loop: decide, write down, do, write down.

use std::{sync::Arc, time::Instant};

use landfall_release::{
    Decision, Direction, Failure, Journal, Outcome, Record, Rollout, Step, Target, decide,
};

use crate::faults::{Faults, Point};

/// Why a rollout isn't driven on. Its journal says how far it is; whoever takes it up goes on there.
#[derive(Debug, thiserror::Error)]
pub enum DriveError<E: std::error::Error> {
    /// The journal can't be written or read. Nothing is done that isn't written down first.
    #[error("the journal of the deployment can't be used: {0}")]
    Journal(#[source] E),
    /// The target can't say what is live, so nobody knows which way to go.
    #[error("can't find out which release is live: {0}")]
    Live(#[source] Failure),
    /// A fault was put in that would have killed this program.
    #[error("cut off at {0} by a fault that was put in")]
    Killed(Step),
}

/// Milliseconds since some moment; never goes back.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let start = Instant::now();
        Self::new(move || start.elapsed().as_millis() as u64)
    }

    /// Another clock.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    fn now(&self) -> u64 {
        (self.0)()
    }
}

/// Drives a rollout to its end, from where its journal says it is.
///
/// Dropping the future is as good as a crash: the rollout stands unfinished in its journal.
pub async fn drive<T: Target, J: Journal>(
    rollout: &Rollout,
    target: &T,
    journal: &J,
    faults: &Faults,
) -> Result<Outcome, DriveError<J::Error>> {
    Driver {
        target,
        journal,
        faults,
        clock: Clock::system(),
    }
    .drive(rollout)
    .await
}

/// Takes up a rollout that was found unfinished, and drives it to its end: on, where the traffic
/// is on the new release already, and else back.
pub async fn take_up<T: Target, J: Journal>(
    rollout: &Rollout,
    target: &T,
    journal: &J,
    faults: &Faults,
) -> Result<Outcome, DriveError<J::Error>> {
    Driver {
        target,
        journal,
        faults,
        clock: Clock::system(),
    }
    .take_up(rollout)
    .await
}

/// What it takes to drive rollouts.
pub struct Driver<'a, T, J> {
    /// What makes releases live.
    pub target: &'a T,
    /// Where it is written down.
    pub journal: &'a J,
    /// Faults put in by tests.
    pub faults: &'a Faults,
    /// What measures the steps.
    pub clock: Clock,
}

impl<T: Target, J: Journal> Driver<'_, T, J> {
    /// Drives a rollout to its end, from where its journal says it is.
    pub async fn drive(&self, rollout: &Rollout) -> Result<Outcome, DriveError<J::Error>> {
        let mut records = self.journal.records(rollout).map_err(DriveError::Journal)?;
        loop {
            let (step, direction) = match decide(rollout, &records) {
                Decision::Perform(step) => (step, Direction::Forward),
                Decision::Undo(step) => (step, Direction::Undo),
                Decision::End(outcome) => {
                    if !records
                        .iter()
                        .any(|record| matches!(record, Record::Ended { .. }))
                    {
                        self.append(rollout, &mut records, Record::Ended { outcome })?;
                    }
                    return Ok(outcome);
                }
            };
            self.append(rollout, &mut records, Record::Started { step, direction })?;
            let start = self.clock.now();
            let result = self.run(rollout, step, direction).await?;
            let took = self.clock.now().saturating_sub(start);
            let record = match result {
                Ok(said) => Record::Finished {
                    step,
                    direction,
                    took,
                    said,
                },
                Err(failure) => Record::Failed {
                    step,
                    direction,
                    took,
                    failure: Box::new(failure),
                },
            };
            self.append(rollout, &mut records, record)?;
        }
    }

    /// Takes up a rollout that was found unfinished, and drives it to its end.
    pub async fn take_up(&self, rollout: &Rollout) -> Result<Outcome, DriveError<J::Error>> {
        let records = self.journal.records(rollout).map_err(DriveError::Journal)?;
        if !records
            .iter()
            .any(|record| matches!(record, Record::Ended { .. }))
        {
            let live = self.target.live(rollout).await.map_err(DriveError::Live)?;
            self.journal
                .append(rollout, &Record::TakenUp { live })
                .map_err(DriveError::Journal)?;
        }
        self.drive(rollout).await
    }

    /// Does one step between its two fault points.
    async fn run(
        &self,
        rollout: &Rollout,
        step: Step,
        direction: Direction,
    ) -> Result<Result<String, Failure>, DriveError<J::Error>> {
        let number = rollout.deployment;
        if self
            .faults
            .reach(number, step, direction, Point::Before)
            .await
        {
            return Err(DriveError::Killed(step));
        }
        let result = match (self.faults.failure(number, step, direction), direction) {
            (Some(failure), _) => Err(failure),
            (None, Direction::Forward) => self.target.perform(rollout, step).await,
            (None, Direction::Undo) => self.target.undo(rollout, step).await,
        };
        if self
            .faults
            .reach(number, step, direction, Point::After)
            .await
        {
            return Err(DriveError::Killed(step));
        }
        Ok(result)
    }

    fn append(
        &self,
        rollout: &Rollout,
        records: &mut Vec<Record>,
        record: Record,
    ) -> Result<(), DriveError<J::Error>> {
        self.journal
            .append(rollout, &record)
            .map_err(DriveError::Journal)?;
        records.push(record);
        Ok(())
    }
}
