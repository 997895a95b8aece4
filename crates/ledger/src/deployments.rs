//! Deployments and their journals. A record and the event that tells of it are one transaction.

use landfall_app::Name;
use landfall_release::{
    DeploymentNumber, EventKind, Failure, Journal, Outcome, Purpose, Record, ReleaseNumber,
    Rollout, Step, direction,
};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use crate::{
    Ledger, LedgerError,
    store::{from_json, signed, to_json, unsigned},
};

/// What a deployment begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// What for.
    pub purpose: Purpose,
    /// The release to make live.
    pub release: ReleaseNumber,
    /// Who asks: `user@machine`.
    pub by: String,
    /// The steps in order, as the target has them.
    pub steps: Vec<Step>,
    /// Whatever shall be kept with it about the time before it.
    pub prepared: Option<serde_json::Value>,
}

/// What a deployment ended with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finish {
    /// How.
    pub outcome: Outcome,
    /// The release that serves now.
    pub live: Option<ReleaseNumber>,
    /// Milliseconds since it began.
    pub took: u64,
    /// Requests answered meanwhile.
    pub requests: u64,
    /// Of those, failed at the edge.
    pub failed_requests: u64,
    /// Why, where it failed.
    pub failure: Option<Failure>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentRow {
    /// What it was told to do.
    pub rollout: Rollout,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_at: u64,
    /// When it ended.
    pub ended_at: Option<u64>,
    /// How it ended; none while it runs.
    pub finish: Option<Finish>,
    /// What was kept with it about the time before it.
    pub prepared: Option<serde_json::Value>,
}

const COLUMNS: &str = "body, started_at, ended_at, finish, prepared";

impl Ledger {
    /// Begins a deployment: gives it its number and its generation, notes what was live.
    pub fn begin_deployment(&self, begin: Begin) -> Result<Rollout, LedgerError> {
        self.write(|write| {
            let Begin { app, environment, purpose, release, by, steps, prepared } = begin;
            write.ensure_environment(&app, &environment, None)?;
            let (live, was_running, number): (Option<i64>, bool, i64) = write.sql.query_row(
                "UPDATE environments SET last_deployment = last_deployment + 1
                 WHERE app = ?1 AND environment = ?2 RETURNING live_release, running, last_deployment",
                [app.as_str(), environment.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let rollout = Rollout {
                app,
                environment,
                deployment: DeploymentNumber(unsigned(number)),
                purpose,
                release,
                previous: live.map(|number| ReleaseNumber(unsigned(number))),
                was_running,
                generation: write.next_generation()?,
                by,
                steps,
            };
            write.sql.execute(
                "INSERT INTO deployments (app, environment, number, release, started_at, body, prepared)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    rollout.app.as_str(),
                    rollout.environment.as_str(),
                    number,
                    signed(release.0),
                    signed(write.now),
                    to_json("a rollout", &rollout)?,
                    prepared.map(|prepared| prepared.to_string())
                ],
            )?;
            let kind = EventKind::DeploymentStarted { purpose, release, from: rollout.previous, by: rollout.by.clone() };
            write.append_event(Some(&rollout.app), Some(&rollout.environment), Some(rollout.deployment), kind)?;
            Ok(rollout)
        })
    }

    /// Notes how a deployment ended. Once: a second time changes nothing.
    pub fn finish_deployment(&self, rollout: &Rollout, finish: Finish) -> Result<(), LedgerError> {
        self.write(|write| {
            let rows = write.sql.execute(
                "UPDATE deployments SET ended_at = ?4, finish = ?5
                 WHERE app = ?1 AND environment = ?2 AND number = ?3 AND ended_at IS NULL",
                params![
                    rollout.app.as_str(),
                    rollout.environment.as_str(),
                    signed(rollout.deployment.0),
                    signed(write.now),
                    to_json("a deployment's end", &finish)?
                ],
            )?;
            if rows == 1 {
                let Finish {
                    outcome,
                    live,
                    took,
                    requests,
                    failed_requests,
                    failure,
                } = finish;
                let failure = failure.map(Box::new);
                let kind = EventKind::DeploymentFinished {
                    outcome,
                    live,
                    took,
                    requests,
                    failed_requests,
                    failure,
                };
                write.append_event(
                    Some(&rollout.app),
                    Some(&rollout.environment),
                    Some(rollout.deployment),
                    kind,
                )?;
            }
            Ok(())
        })
    }

    /// A deployment by number.
    pub fn deployment(
        &self,
        app: &Name,
        environment: &Name,
        number: DeploymentNumber,
    ) -> Result<Option<DeploymentRow>, LedgerError> {
        let key = params![app.as_str(), environment.as_str(), signed(number.0)];
        let found =
            self.select_deployments("WHERE app = ?1 AND environment = ?2 AND number = ?3", key)?;
        Ok(found.into_iter().next())
    }

    /// All deployments of an environment, newest first.
    pub fn deployments(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<Vec<DeploymentRow>, LedgerError> {
        let key = params![app.as_str(), environment.as_str()];
        self.select_deployments(
            "WHERE app = ?1 AND environment = ?2 ORDER BY number DESC",
            key,
        )
    }

    /// The rollouts of all apps that have begun and not ended, oldest first.
    pub fn unfinished(&self) -> Result<Vec<Rollout>, LedgerError> {
        let rows = self.select_deployments(
            "WHERE ended_at IS NULL ORDER BY started_at, rowid",
            params![],
        )?;
        Ok(rows.into_iter().map(|row| row.rollout).collect())
    }

    fn select_deployments(
        &self,
        rest: &str,
        key: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<DeploymentRow>, LedgerError> {
        self.read(|sql| {
            let mut query =
                sql.prepare_cached(&format!("SELECT {COLUMNS} FROM deployments {rest}"))?;
            let mut rows = query.query(key)?;
            let mut deployments = Vec::new();
            while let Some(row) = rows.next()? {
                deployments.push(deployment(row)?);
            }
            Ok(deployments)
        })
    }
}

impl Journal for Ledger {
    type Error = LedgerError;

    fn append(&self, rollout: &Rollout, record: &Record) -> Result<(), LedgerError> {
        self.write(|write| {
            write
                .sql
                .prepare_cached(
                    "INSERT INTO records VALUES (?1, ?2, ?3,
                         (SELECT coalesce(max(position), 0) + 1 FROM records
                          WHERE app = ?1 AND environment = ?2 AND deployment = ?3),
                         ?4, ?5)",
                )?
                .execute(params![
                    rollout.app.as_str(),
                    rollout.environment.as_str(),
                    signed(rollout.deployment.0),
                    signed(write.now),
                    to_json("a record", record)?
                ])?;
            if let Some(kind) = event_of(&write.sql, rollout, record)? {
                write.append_event(
                    Some(&rollout.app),
                    Some(&rollout.environment),
                    Some(rollout.deployment),
                    kind,
                )?;
            }
            Ok(())
        })
    }

    fn records(&self, rollout: &Rollout) -> Result<Vec<Record>, LedgerError> {
        self.read(|sql| records_of(sql, rollout))
    }
}

fn records_of(sql: &Connection, rollout: &Rollout) -> Result<Vec<Record>, LedgerError> {
    let mut query = sql.prepare_cached(
        "SELECT body FROM records WHERE app = ?1 AND environment = ?2 AND deployment = ?3 ORDER BY position",
    )?;
    let key = params![
        rollout.app.as_str(),
        rollout.environment.as_str(),
        signed(rollout.deployment.0)
    ];
    let mut rows = query.query(key)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(from_json("a record", &row.get::<_, String>(0)?)?);
    }
    Ok(records)
}

/// The event that tells of a record. The end has its own, which says more.
fn event_of(
    sql: &Connection,
    rollout: &Rollout,
    record: &Record,
) -> Result<Option<EventKind>, LedgerError> {
    Ok(Some(match record.clone() {
        Record::Started { step, direction } => EventKind::StepStarted { step, direction },
        Record::Finished {
            step,
            direction,
            took,
            said,
        } => EventKind::StepFinished {
            step,
            direction,
            took,
            said,
        },
        Record::Failed {
            step,
            direction,
            took,
            failure,
        } => EventKind::StepFailed {
            step,
            direction,
            took,
            failure,
        },
        Record::TakenUp { .. } => EventKind::DeploymentTakenUp {
            direction: direction(rollout, &records_of(sql, rollout)?),
        },
        Record::Ended { .. } => return Ok(None),
    }))
}

fn deployment(row: &Row<'_>) -> Result<DeploymentRow, LedgerError> {
    let finish: Option<String> = row.get(3)?;
    let prepared: Option<String> = row.get(4)?;
    Ok(DeploymentRow {
        rollout: from_json("a rollout", &row.get::<_, String>(0)?)?,
        started_at: unsigned(row.get(1)?),
        ended_at: row.get::<_, Option<i64>>(2)?.map(unsigned),
        finish: finish.as_deref().map(finish_of).transpose()?,
        prepared: prepared
            .map(|prepared| from_json("a preparation", &prepared))
            .transpose()?,
    })
}

/// How a deployment ended, from its column.
pub(crate) fn finish_of(text: &str) -> Result<Finish, LedgerError> {
    from_json("a deployment's end", text)
}
