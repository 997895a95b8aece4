//! Environments: what is live in each, and whether it shall run.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use landfall_app::Name;
use landfall_release::{Generation, MadeBy, Release, ReleaseNumber};
use rusqlite::{OptionalExtension, Row, params};

use crate::{
    Ledger, LedgerError,
    store::{Write, signed, unsigned, word},
};

/// An environment of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentRow {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// How it is.
    pub state: EnvironmentState,
}

/// How an environment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentState {
    /// The live release.
    pub live: Option<ReleaseNumber>,
    /// Since when, in milliseconds since the Unix epoch.
    pub live_since: Option<u64>,
    /// The generation of its last switch.
    pub generation: Option<Generation>,
    /// Whether it shall run; not, where it was stopped by hand.
    pub running: bool,
    /// The folder of the app file.
    pub folder: PathBuf,
    /// When it was first known, in milliseconds since the Unix epoch.
    pub created_at: u64,
}

const COLUMNS: &str =
    "app, environment, live_release, live_since, generation, running, folder, created_at";

impl Ledger {
    /// Makes an environment known, or notes that its app file is in another folder now.
    pub fn ensure_environment(
        &self,
        app: &Name,
        environment: &Name,
        folder: &Path,
    ) -> Result<(), LedgerError> {
        self.write(|write| write.ensure_environment(app, environment, Some(folder)))
    }

    /// All environments of all apps, by name.
    pub fn environments(&self) -> Result<Vec<EnvironmentRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM environments ORDER BY app, environment"
            ))?;
            let mut rows = query.query([])?;
            let mut environments = Vec::new();
            while let Some(row) = rows.next()? {
                environments.push(EnvironmentRow {
                    app: word("an app's name", row.get(0)?)?,
                    environment: word("an environment's name", row.get(1)?)?,
                    state: state(row)?,
                });
            }
            Ok(environments)
        })
    }

    /// One environment, if it is known.
    pub fn environment(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<Option<EnvironmentState>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM environments WHERE app = ?1 AND environment = ?2"
            ))?;
            Ok(query
                .query_row([app.as_str(), environment.as_str()], state)
                .optional()?)
        })
    }

    /// Notes which release is live. Setting the same again changes nothing, also not its time.
    pub fn set_live(
        &self,
        app: &Name,
        environment: &Name,
        release: Option<ReleaseNumber>,
        generation: Generation,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            let rows = write.sql.execute(
                "UPDATE environments SET
                     live_since = CASE WHEN live_release IS ?3 THEN live_since WHEN ?3 IS NULL THEN NULL ELSE ?5 END,
                     live_release = ?3, generation = ?4
                 WHERE app = ?1 AND environment = ?2",
                params![
                    app.as_str(),
                    environment.as_str(),
                    release.map(|release| signed(release.0)),
                    signed(generation.0),
                    signed(write.now)
                ],
            )?;
            known(rows, app, environment)
        })
    }

    /// Notes whether it shall run.
    pub fn set_running(
        &self,
        app: &Name,
        environment: &Name,
        running: bool,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            let rows = write.sql.execute(
                "UPDATE environments SET running = ?3 WHERE app = ?1 AND environment = ?2",
                params![app.as_str(), environment.as_str(), running],
            )?;
            known(rows, app, environment)
        })
    }

    /// A new generation, greater than all before on this host. For switches outside of a
    /// deployment: a stop, a start, an undo.
    pub fn next_generation(&self) -> Result<Generation, LedgerError> {
        self.write(|write| write.next_generation())
    }

    /// Forgets an environment: its releases, deployments, secrets, ports, instances. Its events
    /// stay, for the chain has no gaps.
    pub fn remove_environment(&self, app: &Name, environment: &Name) -> Result<(), LedgerError> {
        self.write(|write| {
            for table in [
                "environments",
                "releases",
                "deployments",
                "records",
                "locks",
                "ports",
                "instances",
                "secrets",
                "generated",
                "runs",
                "backing",
                "backups",
            ] {
                write.sql.execute(
                    &format!("DELETE FROM {table} WHERE app = ?1 AND environment = ?2"),
                    [app.as_str(), environment.as_str()],
                )?;
            }
            Ok(())
        })
    }

    /// The numbers of replicas that `scale` has set since the app file was last deployed.
    pub fn scaled(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<BTreeMap<Name, u32>, LedgerError> {
        let Some(live) = self.live_release(app, environment)? else {
            return Ok(BTreeMap::new());
        };
        let replicas = |release: &Release| -> BTreeMap<Name, u32> {
            let services = &release.content.app.services;
            services
                .iter()
                .map(|(name, service)| (name.clone(), service.replicas.initial()))
                .collect()
        };
        let mut numbers = replicas(&live);
        let mut by_hand = BTreeSet::new();
        let mut release = live;
        while let Some(base) = base(&release) {
            let Some(before) = self.release(app, environment, base)? else {
                break;
            };
            if matches!(release.content.made_by, MadeBy::Scale { .. }) {
                let (before, after) = (replicas(&before), replicas(&release));
                by_hand.extend(
                    after
                        .into_iter()
                        .filter(|(name, count)| before.get(name) != Some(count))
                        .map(|(name, _)| name),
                );
            }
            release = before;
        }
        numbers.retain(|name, _| by_hand.contains(name));
        Ok(numbers)
    }
}

/// The release that one was made from without a build.
fn base(release: &Release) -> Option<ReleaseNumber> {
    match release.content.made_by {
        MadeBy::Deploy => None,
        // A base is always older; anything else would be a circle.
        MadeBy::Scale { base } | MadeBy::Secrets { base } | MadeBy::Rollback { base } => {
            Some(base).filter(|base| *base < release.number)
        }
    }
}

impl Write<'_> {
    /// Makes an environment known within a transaction.
    pub(crate) fn ensure_environment(
        &self,
        app: &Name,
        environment: &Name,
        folder: Option<&Path>,
    ) -> Result<(), LedgerError> {
        let bytes = folder.map(|folder| folder.as_os_str().as_bytes());
        self.sql.execute(
            "INSERT INTO environments (app, environment, folder, created_at, first_event)
             VALUES (?1, ?2, coalesce(?3, x''), ?4, (SELECT sequence FROM head))
             ON CONFLICT DO UPDATE SET folder = coalesce(?3, folder)",
            params![app.as_str(), environment.as_str(), bytes, signed(self.now)],
        )?;
        Ok(())
    }

    /// A new generation within a transaction.
    pub(crate) fn next_generation(&self) -> Result<Generation, LedgerError> {
        let value = self.sql.query_row(
            "UPDATE counters SET value = value + 1 WHERE name = 'generation' RETURNING value",
            [],
            |row| row.get(0),
        )?;
        Ok(Generation(unsigned(value)))
    }
}

fn known(rows: usize, app: &Name, environment: &Name) -> Result<(), LedgerError> {
    match rows {
        0 => Err(LedgerError::UnknownEnvironment {
            app: app.clone(),
            environment: environment.clone(),
        }),
        _ => Ok(()),
    }
}

fn state(row: &Row<'_>) -> rusqlite::Result<EnvironmentState> {
    Ok(EnvironmentState {
        live: row
            .get::<_, Option<i64>>(2)?
            .map(|number| ReleaseNumber(unsigned(number))),
        live_since: row.get::<_, Option<i64>>(3)?.map(unsigned),
        generation: row
            .get::<_, Option<i64>>(4)?
            .map(|number| Generation(unsigned(number))),
        running: row.get(5)?,
        folder: OsString::from_vec(row.get(6)?).into(),
        created_at: unsigned(row.get(7)?),
    })
}
