//! Secrets at rest: ciphertexts by name and version. What they say and how they are encrypted is
//! not known here; a version is told from another by its keyed MAC.

use landfall_app::Name;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{Ledger, LedgerError, store::unsigned};

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name.
    pub name: String,
    /// The version, from 1.
    pub version: u32,
    /// When the host first saw it, in milliseconds since the Unix epoch.
    pub created_at: u64,
}

impl Ledger {
    /// Keeps a value and says its version: that of the same value where it was seen before.
    pub fn put_secret(
        &self,
        app: &Name,
        environment: &Name,
        name: &str,
        mac: &[u8],
        ciphertext: &[u8],
    ) -> Result<u32, LedgerError> {
        self.write(|write| {
            let (version, known) = version_of(&write.sql, app, environment, name, mac)?;
            if !known {
                write.sql.execute(
                    "INSERT INTO secrets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        app.as_str(),
                        environment.as_str(),
                        name,
                        version,
                        mac,
                        ciphertext,
                        write.now.cast_signed()
                    ],
                )?;
            }
            Ok(version)
        })
    }

    /// The version that a value with this MAC has, or would get; and whether it is known.
    pub fn secret_version(
        &self,
        app: &Name,
        environment: &Name,
        name: &str,
        mac: &[u8],
    ) -> Result<(u32, bool), LedgerError> {
        self.read(|sql| version_of(sql, app, environment, name, mac))
    }

    /// The ciphertext of a version.
    pub fn secret(
        &self,
        app: &Name,
        environment: &Name,
        name: &str,
        version: u32,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(
                "SELECT ciphertext FROM secrets WHERE app = ?1 AND environment = ?2 AND name = ?3 AND version = ?4",
            )?;
            let key = params![app.as_str(), environment.as_str(), name, version];
            Ok(query.query_row(key, |row| row.get(0)).optional()?)
        })
    }

    /// All versions of all secrets of an environment, by name, oldest first.
    pub fn secret_versions(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<Vec<SecretRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(
                "SELECT name, version, created_at FROM secrets
                 WHERE app = ?1 AND environment = ?2 ORDER BY name, version",
            )?;
            let rows = query.query_map([app.as_str(), environment.as_str()], |row| {
                Ok(SecretRow {
                    name: row.get(0)?,
                    version: row.get(1)?,
                    created_at: unsigned(row.get(2)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The ciphertext of a value that the host made up itself (`{ generate = 32 }`).
    pub fn generated(
        &self,
        app: &Name,
        environment: &Name,
        key: &str,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(
                "SELECT ciphertext FROM generated WHERE app = ?1 AND environment = ?2 AND key = ?3",
            )?;
            Ok(query
                .query_row([app.as_str(), environment.as_str(), key], |row| row.get(0))
                .optional()?)
        })
    }

    /// Keeps a value that the host made up, and answers what is kept: the earlier one where there
    /// already is one, for such a value never changes.
    pub fn put_generated(
        &self,
        app: &Name,
        environment: &Name,
        key: &str,
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, LedgerError> {
        self.write(|write| {
            write.sql.execute(
                "INSERT INTO generated VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![app.as_str(), environment.as_str(), key, ciphertext],
            )?;
            Ok(write.sql.query_row(
                "SELECT ciphertext FROM generated WHERE app = ?1 AND environment = ?2 AND key = ?3",
                [app.as_str(), environment.as_str(), key],
                |row| row.get(0),
            )?)
        })
    }
}

fn version_of(
    sql: &Connection,
    app: &Name,
    environment: &Name,
    name: &str,
    mac: &[u8],
) -> Result<(u32, bool), LedgerError> {
    let mut query = sql.prepare_cached(
        "SELECT version FROM secrets WHERE app = ?1 AND environment = ?2 AND name = ?3 AND mac = ?4",
    )?;
    let key = params![app.as_str(), environment.as_str(), name, mac];
    if let Some(version) = query.query_row(key, |row| row.get(0)).optional()? {
        return Ok((version, true));
    }
    let next = sql.query_row(
        "SELECT coalesce(max(version), 0) + 1 FROM secrets WHERE app = ?1 AND environment = ?2 AND name = ?3",
        [app.as_str(), environment.as_str(), name],
        |row| row.get(0),
    )?;
    Ok((next, false))
}
