//! Backing services: what was made for an environment, so that it is found, started again and never
//! made twice. Their passwords are kept with the other values that the host made up.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use landfall_app::{
    Name,
    model::{Backing, Runtime},
};
use landfall_release::{ImageArtifact, ReleaseNumber};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::{
    Ledger, LedgerError,
    store::{from_json, signed, to_json, unsigned, word},
};

/// A backing service of an environment.
#[derive(Debug, Clone, PartialEq)]
pub struct BackingRow {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// Its name.
    pub name: Name,
    /// When it was made, in milliseconds since the Unix epoch; given by the ledger.
    pub created_at: u64,
    /// When anything of it last changed; given by the ledger.
    pub changed_at: u64,
    /// Whether it should run.
    pub running: bool,
    /// Everything else.
    pub body: BackingBody,
}

/// What is known of a backing service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackingBody {
    /// As the release says that last provisioned it.
    pub wanted: Backing,
    /// That release: its secrets are those of an image's environment.
    pub release: ReleaseNumber,
    /// The version that made the data: `15`.
    pub version: String,
    /// How it runs.
    pub runtime: Runtime,
    /// The image that it runs, pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageArtifact>,
    /// Where it listens.
    pub address: Ipv4Addr,
    /// The port there.
    pub port: u16,
    /// The folder of its data.
    pub data: PathBuf,
    /// The user that apps log in as; empty where there is none.
    pub user: String,
    /// The database that apps use; empty where there is none.
    pub database: String,
    /// Digest of everything that it was started with: another one needs a restart.
    #[serde(default)]
    pub digest: String,
    /// Whether its first start went to the end: roles, databases, scripts.
    #[serde(default)]
    pub initialized: bool,
    /// Data of earlier versions, kept after upgrades.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptData>,
    /// Of which one this is the next version, while that is being upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_of: Option<Name>,
    /// As it last ran well, while it is being changed: what it becomes again if it can't be that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<BackingBody>>,
    /// Scripts of its first start that went to their end, with the digest of their texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
    /// Where its data was put while a restore tries what is in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<PathBuf>,
}

/// Data of an earlier version, kept after an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeptData {
    /// The version that wrote it.
    pub version: String,
    /// Its folder.
    pub folder: PathBuf,
    /// When it was left, in milliseconds since the Unix epoch.
    pub at: u64,
}

const COLUMNS: &str = "app, environment, name, created_at, changed_at, running, body";

impl Ledger {
    /// Keeps a backing service, new or changed.
    pub fn put_backing(
        &self,
        app: &Name,
        environment: &Name,
        name: &Name,
        running: bool,
        body: &BackingBody,
    ) -> Result<(), LedgerError> {
        let text = to_json("a backing service", body)?;
        self.write(|write| {
            write.sql.execute(
                "INSERT INTO backing (app, environment, name, created_at, changed_at, running, body)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET changed_at = ?4, running = ?5, body = ?6",
                params![
                    app.as_str(),
                    environment.as_str(),
                    name.as_str(),
                    signed(write.now),
                    running,
                    text
                ],
            )?;
            Ok(())
        })
    }

    /// Notes whether a backing service should run; whether there is such a one.
    pub fn set_backing_running(
        &self,
        app: &Name,
        environment: &Name,
        name: &Name,
        running: bool,
    ) -> Result<bool, LedgerError> {
        self.write(|write| {
            let rows = write.sql.execute(
                "UPDATE backing SET running = ?4, changed_at = ?5
                 WHERE app = ?1 AND environment = ?2 AND name = ?3",
                params![
                    app.as_str(),
                    environment.as_str(),
                    name.as_str(),
                    running,
                    signed(write.now)
                ],
            )?;
            Ok(rows == 1)
        })
    }

    /// One backing service.
    pub fn backing(
        &self,
        app: &Name,
        environment: &Name,
        name: &Name,
    ) -> Result<Option<BackingRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM backing WHERE app = ?1 AND environment = ?2 AND name = ?3"
            ))?;
            let key = [app.as_str(), environment.as_str(), name.as_str()];
            let found = query.query_row(key, |row| Ok(backing(row))).optional()?;
            found.transpose()
        })
    }

    /// The backing services of an environment, by name.
    pub fn backings_of(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<Vec<BackingRow>, LedgerError> {
        let mut rows = self.backings()?;
        rows.retain(|row| row.app == *app && row.environment == *environment);
        Ok(rows)
    }

    /// All backing services of the host.
    pub fn backings(&self) -> Result<Vec<BackingRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM backing ORDER BY app, environment, name"
            ))?;
            let mut rows = query.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(backing(row)?);
            }
            Ok(all)
        })
    }

    /// Forgets a backing service, its passwords too.
    pub fn remove_backing(
        &self,
        app: &Name,
        environment: &Name,
        name: &Name,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            let key = [app.as_str(), environment.as_str(), name.as_str()];
            write.sql.execute(
                "DELETE FROM backing WHERE app = ?1 AND environment = ?2 AND name = ?3",
                key,
            )?;
            write.sql.execute(
                "DELETE FROM generated WHERE app = ?1 AND environment = ?2
                 AND (key = 'backing:' || ?3 OR key = 'backing-superuser:' || ?3)",
                key,
            )?;
            Ok(())
        })
    }
}

fn backing(row: &Row<'_>) -> Result<BackingRow, LedgerError> {
    let body: String = row.get(6)?;
    Ok(BackingRow {
        app: word("an app's name", row.get(0)?)?,
        environment: word("an environment's name", row.get(1)?)?,
        name: word("a backing service's name", row.get(2)?)?,
        created_at: unsigned(row.get(3)?),
        changed_at: unsigned(row.get(4)?),
        running: row.get(5)?,
        body: from_json("a backing service", &body)?,
    })
}
