//! Locks of environments: leases, which free themselves when nobody renews them.

use std::time::Duration;

use landfall_app::Name;
use landfall_release::DeploymentNumber;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Ledger, LedgerError,
    store::{signed, unsigned},
};

/// A lock that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// Tells this lease from all earlier ones; greater than theirs.
    pub token: u64,
    /// When it ends unless it is renewed, in milliseconds since the Unix epoch.
    pub expires_at: u64,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("locked by {holder} for {reason}")]
pub struct Locked {
    /// `user@machine`.
    pub holder: String,
    /// What for.
    pub reason: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub since: u64,
    /// The deployment.
    pub deployment: Option<DeploymentNumber>,
    /// When it ends unless it is renewed.
    pub expires_at: u64,
}

impl Ledger {
    /// Takes the lock of an environment. A lease that expired is taken over, and so is that of the
    /// same deployment: it is being taken up again.
    pub fn lock(
        &self,
        app: &Name,
        environment: &Name,
        holder: &str,
        reason: &str,
        deployment: Option<DeploymentNumber>,
        lasting: Duration,
    ) -> Result<Lease, LedgerError> {
        self.write(|write| {
            if let Some(held) = holder_of(&write.sql, app, environment)? {
                let own = deployment.is_some() && held.deployment == deployment;
                if held.expires_at > write.now && !own {
                    return Err(held.into());
                }
            }
            let token: i64 = write.sql.query_row(
                "UPDATE counters SET value = value + 1 WHERE name = 'lease' RETURNING value",
                [],
                |row| row.get(0),
            )?;
            let expires_at = write.now.saturating_add(lasting.as_millis() as u64);
            write.sql.execute(
                "INSERT OR REPLACE INTO locks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    app.as_str(),
                    environment.as_str(),
                    holder,
                    reason,
                    deployment.map(|deployment| signed(deployment.0)),
                    token,
                    signed(write.now),
                    signed(expires_at)
                ],
            )?;
            Ok(Lease {
                app: app.clone(),
                environment: environment.clone(),
                token: unsigned(token),
                expires_at,
            })
        })
    }

    /// Makes a lease last from now on. One that expired but that nobody took is still good.
    pub fn renew(&self, lease: &mut Lease, lasting: Duration) -> Result<(), LedgerError> {
        lease.expires_at = self.write(|write| {
            let expires_at = write.now.saturating_add(lasting.as_millis() as u64);
            let rows = write.sql.execute(
                "UPDATE locks SET expires_at = ?4 WHERE app = ?1 AND environment = ?2 AND token = ?3",
                params![lease.app.as_str(), lease.environment.as_str(), signed(lease.token), signed(expires_at)],
            )?;
            match rows {
                0 => {
                    Err(LedgerError::LeaseLost { app: lease.app.clone(), environment: lease.environment.clone() })
                }
                _ => Ok(expires_at),
            }
        })?;
        Ok(())
    }

    /// Gives a lease back. Nothing happens where it was lost meanwhile: the lock is another's.
    pub fn unlock(&self, lease: &Lease) -> Result<(), LedgerError> {
        self.write(|write| {
            write.sql.execute(
                "DELETE FROM locks WHERE app = ?1 AND environment = ?2 AND token = ?3",
                params![
                    lease.app.as_str(),
                    lease.environment.as_str(),
                    signed(lease.token)
                ],
            )?;
            Ok(())
        })
    }

    /// Gives back whatever a deployment holds, also where its lease is not in memory any more.
    pub fn unlock_deployment(
        &self,
        app: &Name,
        environment: &Name,
        deployment: DeploymentNumber,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            write.sql.execute(
                "DELETE FROM locks WHERE app = ?1 AND environment = ?2 AND deployment = ?3",
                params![app.as_str(), environment.as_str(), signed(deployment.0)],
            )?;
            Ok(())
        })
    }

    /// Who holds the lock of an environment now; none where it is free or expired.
    pub fn locked(&self, app: &Name, environment: &Name) -> Result<Option<Locked>, LedgerError> {
        let now = self.now();
        self.read(|sql| Ok(holder_of(sql, app, environment)?.filter(|held| held.expires_at > now)))
    }
}

fn holder_of(
    sql: &Connection,
    app: &Name,
    environment: &Name,
) -> Result<Option<Locked>, LedgerError> {
    let mut query = sql.prepare_cached(
        "SELECT holder, reason, since, deployment, expires_at FROM locks WHERE app = ?1 AND environment = ?2",
    )?;
    let held = query.query_row([app.as_str(), environment.as_str()], |row| {
        Ok(Locked {
            holder: row.get(0)?,
            reason: row.get(1)?,
            since: unsigned(row.get(2)?),
            deployment: row
                .get::<_, Option<i64>>(3)?
                .map(|number| DeploymentNumber(unsigned(number))),
            expires_at: unsigned(row.get(4)?),
        })
    });
    Ok(held.optional()?)
}
