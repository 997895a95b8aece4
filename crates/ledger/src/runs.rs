//! Runs of what is on a schedule: jobs, backups, their checks. Also those that were left out, so
//! that nobody has to guess.

use landfall_app::Name;
use landfall_release::{EventKind, ReleaseNumber, RunKind, RunOutcome};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::{
    Ledger, LedgerError,
    store::{Write, from_json, signed, to_json, unsigned, word},
};

/// So many runs are kept of each thing on a schedule.
const KEPT: u64 = 200;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Its number, of all runs of the host.
    pub number: u64,
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// What kind of thing ran.
    pub kind: RunKind,
    /// Its name.
    pub name: String,
    /// When it was due, in milliseconds since the Unix epoch; none where somebody asked for it.
    pub due_at: Option<u64>,
    /// When it began.
    pub started_at: u64,
    /// When it ended; none while it goes on.
    pub ended_at: Option<u64>,
    /// How; none while it goes on.
    pub outcome: Option<RunOutcome>,
    /// Everything else.
    pub body: RunBody,
}

/// What is known of a run besides its times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RunBody {
    /// Who asked for it; none: the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// In which release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseNumber>,
    /// In which service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
    /// In a few words: `exit 3`, `12 runs since 03:00`.
    pub said: String,
    /// The exit code, where a command ended with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Its last lines, masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_words: Vec<String>,
}

/// A run that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginRun {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// What kind of thing runs.
    pub kind: RunKind,
    /// Its name.
    pub name: String,
    /// When it was due; none where somebody asks for it.
    pub due_at: Option<u64>,
    /// Everything else that is known already.
    pub body: RunBody,
}

const COLUMNS: &str =
    "number, app, environment, kind, name, due_at, started_at, ended_at, outcome, body";

impl Ledger {
    /// Writes down that a run begins, and says so.
    pub fn begin_run(&self, begin: BeginRun) -> Result<RunRow, LedgerError> {
        self.write(|write| {
            let row = insert(write, begin)?;
            let kind = EventKind::RunStarted {
                kind: row.kind,
                name: row.name.clone(),
                run: row.number,
                by: row.body.by.clone(),
            };
            write.append_event(Some(&row.app), Some(&row.environment), None, kind)?;
            Ok(row)
        })
    }

    /// Writes down that a run was left out, and says so.
    pub fn leave_out_run(
        &self,
        begin: BeginRun,
        outcome: RunOutcome,
    ) -> Result<RunRow, LedgerError> {
        self.write(|write| {
            let row = insert(write, begin)?;
            let body = row.body.clone();
            finish(write, row, outcome, body)
        })
    }

    /// Writes down how a run ended, and says so. One that has ended stays as it was.
    pub fn end_run(
        &self,
        number: u64,
        outcome: RunOutcome,
        body: RunBody,
    ) -> Result<Option<RunRow>, LedgerError> {
        self.write(|write| {
            let found = write
                .sql
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM runs WHERE number = ?1 AND ended_at IS NULL"
                ))?
                .query_row([signed(number)], |row| Ok(run(row)))
                .optional()?;
            match found.transpose()? {
                None => Ok(None),
                Some(row) => finish(write, row, outcome, body).map(Some),
            }
        })
    }

    /// One run.
    pub fn run(&self, number: u64) -> Result<Option<RunRow>, LedgerError> {
        let mut rows = self.select_runs("number = ?1", &[&signed(number)])?;
        Ok(rows.pop())
    }

    /// The last runs of one thing, newest first, at most so many.
    pub fn runs(
        &self,
        app: &Name,
        environment: &Name,
        kind: RunKind,
        name: &str,
        limit: usize,
    ) -> Result<Vec<RunRow>, LedgerError> {
        self.select_runs(
            "app = ?1 AND environment = ?2 AND kind = ?3 AND name = ?4
             ORDER BY number DESC LIMIT ?5",
            &[
                &app.as_str(),
                &environment.as_str(),
                &kind.as_str(),
                &name,
                &i64::try_from(limit).unwrap_or(i64::MAX),
            ],
        )
    }

    /// The newest run of each thing of an environment.
    pub fn last_runs(&self, app: &Name, environment: &Name) -> Result<Vec<RunRow>, LedgerError> {
        self.select_runs(
            "number IN (SELECT max(number) FROM runs WHERE app = ?1 AND environment = ?2
             GROUP BY kind, name) ORDER BY kind, name",
            &[&app.as_str(), &environment.as_str()],
        )
    }

    /// The runs that haven't ended, of all environments.
    pub fn unfinished_runs(&self) -> Result<Vec<RunRow>, LedgerError> {
        self.select_runs("ended_at IS NULL ORDER BY number", &[])
    }

    /// Up to which time what was due of one thing is accounted for: run, skipped or missed.
    pub fn accounted(
        &self,
        app: &Name,
        environment: &Name,
        kind: RunKind,
        name: &str,
    ) -> Result<Option<u64>, LedgerError> {
        self.read(|sql| {
            let due: Option<i64> = sql
                .prepare_cached(
                    "SELECT max(due_at) FROM runs
                     WHERE app = ?1 AND environment = ?2 AND kind = ?3 AND name = ?4",
                )?
                .query_row(
                    params![app.as_str(), environment.as_str(), kind.as_str(), name],
                    |row| row.get(0),
                )?;
            Ok(due.map(unsigned))
        })
    }

    fn select_runs(
        &self,
        which: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<RunRow>, LedgerError> {
        self.read(|sql| {
            let statement = format!("SELECT {COLUMNS} FROM runs WHERE {which}");
            let mut query = sql.prepare_cached(&statement)?;
            let mut rows = query.query(values)?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(run(row)?);
            }
            Ok(all)
        })
    }
}

fn insert(write: &Write<'_>, begin: BeginRun) -> Result<RunRow, LedgerError> {
    let body = to_json("a run", &begin.body)?;
    write.sql.execute(
        "INSERT INTO runs (app, environment, kind, name, due_at, started_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            begin.app.as_str(),
            begin.environment.as_str(),
            begin.kind.as_str(),
            begin.name,
            begin.due_at.map(signed),
            signed(write.now),
            body
        ],
    )?;
    let number = unsigned(write.sql.last_insert_rowid());
    // The newest row stays, so no number is given twice.
    write.sql.execute(
        "DELETE FROM runs WHERE app = ?1 AND environment = ?2 AND kind = ?3 AND name = ?4
         AND ended_at IS NOT NULL AND number <= (
             SELECT number FROM runs
             WHERE app = ?1 AND environment = ?2 AND kind = ?3 AND name = ?4
             ORDER BY number DESC LIMIT 1 OFFSET ?5)",
        params![
            begin.app.as_str(),
            begin.environment.as_str(),
            begin.kind.as_str(),
            begin.name,
            signed(KEPT)
        ],
    )?;
    Ok(RunRow {
        number,
        app: begin.app,
        environment: begin.environment,
        kind: begin.kind,
        name: begin.name,
        due_at: begin.due_at,
        started_at: write.now,
        ended_at: None,
        outcome: None,
        body: begin.body,
    })
}

fn finish(
    write: &Write<'_>,
    mut row: RunRow,
    outcome: RunOutcome,
    body: RunBody,
) -> Result<RunRow, LedgerError> {
    write.sql.execute(
        "UPDATE runs SET ended_at = ?2, outcome = ?3, body = ?4 WHERE number = ?1",
        params![
            signed(row.number),
            signed(write.now),
            outcome.as_str(),
            to_json("a run", &body)?
        ],
    )?;
    let kind = EventKind::RunEnded {
        kind: row.kind,
        name: row.name.clone(),
        run: row.number,
        outcome,
        took: write.now.saturating_sub(row.started_at),
        said: body.said.clone(),
    };
    write.append_event(Some(&row.app), Some(&row.environment), None, kind)?;
    row.ended_at = Some(write.now);
    row.outcome = Some(outcome);
    row.body = body;
    Ok(row)
}

fn run(row: &Row<'_>) -> Result<RunRow, LedgerError> {
    let outcome: Option<String> = row.get(8)?;
    let body: String = row.get(9)?;
    Ok(RunRow {
        number: unsigned(row.get(0)?),
        app: word("an app's name", row.get(1)?)?,
        environment: word("an environment's name", row.get(2)?)?,
        kind: word("the kind of a run", row.get(3)?)?,
        name: row.get(4)?,
        due_at: row.get::<_, Option<i64>>(5)?.map(unsigned),
        started_at: unsigned(row.get(6)?),
        ended_at: row.get::<_, Option<i64>>(7)?.map(unsigned),
        outcome: outcome
            .map(|text| word("the outcome of a run", text))
            .transpose()?,
        body: from_json("a run", &body)?,
    })
}
