//! Processes on this machine as a target of rollouts: each step where it is described.

use std::sync::{Arc, Mutex, PoisonError};

use landfall_app::model::HookPoint;
use landfall_ledger::InstanceRow;
use landfall_release::{EventKind, Failure, Generation, Release, Rollout, Step, Target};

use crate::{
    backing,
    host::{Host, ledger_failed},
    identifier::InstanceId,
    lease::Held,
    steps::{commands, instances, preflight, retire, smoke, switch, verify},
};

/// The target of one rollout.
pub struct ProcessTarget {
    host: Arc<Host>,
    lock: Mutex<Option<Held>>,
}

impl ProcessTarget {
    /// A target for a rollout on this host.
    pub fn new(host: Arc<Host>) -> Self {
        Self {
            host,
            lock: Mutex::default(),
        }
    }

    fn lock(&self, rollout: &Rollout) -> Result<String, Failure> {
        let Rollout {
            app,
            environment,
            by,
            deployment,
            ..
        } = rollout;
        let reason = format!("deployment {deployment}");
        let held = Held::take(&self.host, app, environment, by, &reason, Some(*deployment))?;
        self.hold(Some(held));
        Ok(by.clone())
    }

    fn hold(&self, lock: Option<Held>) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = lock;
    }

    fn unlock(&self, rollout: &Rollout) -> Result<String, Failure> {
        self.hold(None);
        // Also one that a host before this one took.
        let freed = self.host.ledger.unlock_deployment(
            &rollout.app,
            &rollout.environment,
            rollout.deployment,
        );
        freed.map_err(ledger_failed)?;
        Ok(String::new())
    }
}

impl Target for ProcessTarget {
    async fn perform(&self, rollout: &Rollout, step: Step) -> Result<String, Failure> {
        let host = &self.host;
        match step {
            Step::Preflight => preflight::look(host, rollout).await,
            Step::Lock => self.lock(rollout),
            Step::Provision => backing::provision(host, rollout).await,
            Step::Before => commands::hook(host, rollout, HookPoint::Before).await,
            Step::Migrate => commands::migrate(host, rollout).await,
            Step::StopOld => instances::stop_old(host, rollout).await,
            Step::Start => {
                preflight::settle_ports(host, rollout).await?;
                instances::start_new(host, rollout).await
            }
            Step::Verify => verify::wait(host, rollout).await,
            Step::Verified => commands::hook(host, rollout, HookPoint::Verified).await,
            Step::Switch => switch::forward(host, rollout).await,
            Step::Smoke => smoke::fetch(host, rollout).await,
            Step::Switched => commands::hook(host, rollout, HookPoint::Switched).await,
            // `check` warns and `deploy` refuses before it comes to this.
            Step::Observe => Err(Failure::new("not-built-yet", "`observe` isn't there yet")),
            Step::Retire => retire::old(host, rollout).await,
            Step::After => commands::hook(host, rollout, HookPoint::After).await,
            Step::Unlock => {
                // Where it was done there is none of these.
                backing::take_back(host, rollout).await;
                self.unlock(rollout)
            }
        }
    }

    async fn undo(&self, rollout: &Rollout, step: Step) -> Result<String, Failure> {
        let host = &self.host;
        match step {
            Step::Start => {
                // What a migration or hook of a killed host left goes with the new release.
                commands::sweep(host, rollout).await?;
                instances::stop_new(host, rollout).await
            }
            Step::StopOld => instances::start_old(host, rollout).await,
            Step::Switch => switch::back(host, rollout).await,
            Step::Unlock | Step::Lock => self.unlock(rollout),
            _ => Ok(String::new()),
        }
    }

    async fn live(&self, rollout: &Rollout) -> Result<Option<Generation>, Failure> {
        let state = self.host.edge.state().await?;
        let (app, environment) = (rollout.app.as_str(), rollout.environment.as_str());
        let found = state
            .apps
            .iter()
            .find(|routes| routes.app == app && routes.environment == environment);
        Ok(found.map(|routes| Generation(routes.generation)))
    }
}

impl Host {
    /// Tells those who follow how far a step is.
    pub fn progress(
        &self,
        rollout: &Rollout,
        step: Step,
        said: impl Into<String>,
    ) -> Result<(), Failure> {
        let kind = EventKind::StepProgress {
            step,
            said: said.into(),
        };
        let event = self.ledger.append_event(
            Some(&rollout.app),
            Some(&rollout.environment),
            Some(rollout.deployment),
            kind,
        );
        event.map(drop).map_err(ledger_failed)
    }

    /// The release that a rollout makes live.
    pub fn new_release(&self, rollout: &Rollout) -> Result<Release, Failure> {
        self.release(&rollout.app, &rollout.environment, rollout.release)
    }

    /// The release that was live before it.
    pub fn old_release(&self, rollout: &Rollout) -> Result<Option<Release>, Failure> {
        let previous = rollout
            .previous
            .map(|number| self.release(&rollout.app, &rollout.environment, number));
        previous.transpose()
    }

    /// The instances of a rollout's environment: those that it started itself, and the others.
    pub fn rows(&self, rollout: &Rollout) -> Result<(Vec<InstanceRow>, Vec<InstanceRow>), Failure> {
        let rows = self
            .ledger
            .instances_of(&rollout.app, &rollout.environment)
            .map_err(ledger_failed)?;
        let deployment = rollout.deployment.to_string();
        Ok(rows.into_iter().partition(|row| {
            let id = InstanceId::parse(&row.id);
            id.is_some_and(|id| id.incarnation.split('-').next() == Some(deployment.as_str()))
        }))
    }
}
