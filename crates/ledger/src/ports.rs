//! Ports: leased here, so that no two parts of the host ever mean the same one.

use std::ops::RangeInclusive;

use landfall_app::Name;
use rusqlite::{OptionalExtension, params};

use crate::{Ledger, LedgerError, store::word};

/// A leased port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRow {
    /// The port.
    pub port: u16,
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// What for: `stable:web`, `instance:ID`.
    pub purpose: String,
}

impl Ledger {
    /// Leases a port: the one that this purpose already has, else the lowest free one of the range.
    /// Ports to `avoid` are known to be somebody else's; a lease of one of them is replaced.
    pub fn lease_port(
        &self,
        app: &Name,
        environment: &Name,
        purpose: &str,
        range: RangeInclusive<u16>,
        avoid: &[u16],
    ) -> Result<u16, LedgerError> {
        self.write(|write| {
            let key = [app.as_str(), environment.as_str(), purpose];
            let held: Option<u16> = write
                .sql
                .query_row(
                    "SELECT port FROM ports WHERE app = ?1 AND environment = ?2 AND purpose = ?3",
                    key,
                    |row| row.get(0),
                )
                .optional()?;
            match held {
                Some(port) if !avoid.contains(&port) => return Ok(port),
                Some(port) => write
                    .sql
                    .execute("DELETE FROM ports WHERE port = ?1", [port])?,
                None => 0,
            };
            let mut query = write
                .sql
                .prepare("SELECT port FROM ports WHERE port BETWEEN ?1 AND ?2 ORDER BY port")?;
            let taken: Vec<u16> = query
                .query_map([range.start(), range.end()], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let free = |port: &u16| taken.binary_search(port).is_err() && !avoid.contains(port);
            let port = range
                .clone()
                .find(free)
                .ok_or_else(|| LedgerError::NoPort {
                    purpose: purpose.to_owned(),
                    first: *range.start(),
                    last: *range.end(),
                })?;
            write.sql.execute(
                "INSERT INTO ports VALUES (?1, ?2, ?3, ?4)",
                params![port, app.as_str(), environment.as_str(), purpose],
            )?;
            Ok(port)
        })
    }

    /// Gives back what a purpose has leased, if anything.
    pub fn release_port(
        &self,
        app: &Name,
        environment: &Name,
        purpose: &str,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            write.sql.execute(
                "DELETE FROM ports WHERE app = ?1 AND environment = ?2 AND purpose = ?3",
                [app.as_str(), environment.as_str(), purpose],
            )?;
            Ok(())
        })
    }

    /// All leased ports, lowest first.
    pub fn ports(&self) -> Result<Vec<PortRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(
                "SELECT port, app, environment, purpose FROM ports ORDER BY port",
            )?;
            let mut rows = query.query([])?;
            let mut ports = Vec::new();
            while let Some(row) = rows.next()? {
                ports.push(PortRow {
                    port: row.get(0)?,
                    app: word("an app's name", row.get(1)?)?,
                    environment: word("an environment's name", row.get(2)?)?,
                    purpose: row.get(3)?,
                });
            }
            Ok(ports)
        })
    }
}
