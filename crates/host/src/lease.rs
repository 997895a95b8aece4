//! The lock of an environment while something changes it: a lease with a heartbeat, given back when
//! it is dropped. One that a killed host held frees itself.

use std::time::Duration;

use landfall_app::Name;
use landfall_ledger::{Ledger, LedgerError, Locked};
use landfall_release::{DeploymentNumber, Failure};
use tokio::task::JoinHandle;

use crate::host::{Host, ledger_failed};

/// How long a lock lasts without its heartbeat, and how often that beats.
const LEASE: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A lock that is held.
pub struct Held {
    ledger: Ledger,
    lease: landfall_ledger::Lease,
    heartbeat: JoinHandle<()>,
}

impl Held {
    /// Takes the lock of an environment.
    pub fn take(
        host: &Host,
        app: &Name,
        environment: &Name,
        by: &str,
        reason: &str,
        deployment: Option<DeploymentNumber>,
    ) -> Result<Self, Failure> {
        let lease = host
            .ledger
            .lock(app, environment, by, reason, deployment, LEASE);
        let lease = lease.map_err(|error| match error {
            LedgerError::Locked(held) => locked(app, environment, &held, host.ledger.now()),
            other => ledger_failed(other),
        })?;
        let (ledger, mut beaten) = (host.ledger.clone(), lease.clone());
        let heartbeat = tokio::spawn(async move {
            let first = tokio::time::Instant::now() + HEARTBEAT;
            let mut beat = tokio::time::interval_at(first, HEARTBEAT);
            loop {
                beat.tick().await;
                // A lost lease shows at the switch, whose generation is then refused.
                if ledger.renew(&mut beaten, LEASE).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            ledger: host.ledger.clone(),
            lease,
            heartbeat,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heartbeat.abort();
        // One that can't be given back frees itself.
        let _ = self.ledger.unlock(&self.lease);
    }
}

/// Refuses where something already changes the environment: a lock is held, or a deployment has
/// begun that has not taken it yet.
pub fn refuse_busy(host: &Host, app: &Name, environment: &Name) -> Result<(), Failure> {
    let now = host.ledger.now();
    if let Some(held) = host
        .ledger
        .locked(app, environment)
        .map_err(ledger_failed)?
    {
        return Err(locked(app, environment, &held, now));
    }
    let unfinished = host.ledger.unfinished().map_err(ledger_failed)?;
    match unfinished
        .into_iter()
        .find(|rollout| rollout.app == *app && rollout.environment == *environment)
    {
        None => Ok(()),
        Some(rollout) => {
            let held = Locked {
                holder: rollout.by,
                reason: format!("deployment {}", rollout.deployment),
                since: now,
                deployment: Some(rollout.deployment),
                expires_at: now,
            };
            Err(locked(app, environment, &held, now))
        }
    }
}

/// Who holds the lock, since when, and what to do.
fn locked(app: &Name, environment: &Name, held: &Locked, now: u64) -> Failure {
    let seconds = now.saturating_sub(held.since) / 1000;
    let message = format!(
        "{app}, {environment} is locked by {} for {}, {seconds} s ago",
        held.holder, held.reason
    );
    let failure = Failure::new("locked", message);
    match held.deployment {
        Some(deployment) => failure.with(
            "mend",
            format!("wait for it: landfall deployments {deployment} -e {environment} shows how far it is"),
        ),
        None => failure.with("mend", "wait for it: the lock frees itself when its holder is gone"),
    }
}
