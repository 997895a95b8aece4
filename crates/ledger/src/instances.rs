//! Instances: one supervisor each, with its folder. Written before they start, so that one that
//! was started and lost can be found.

use std::{
    ffi::OsString,
    fmt,
    net::Ipv4Addr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    str::FromStr,
};

use landfall_app::Name;
use landfall_release::ReleaseNumber;
use rusqlite::{Row, params};

use crate::{
    Ledger, LedgerError,
    store::{signed, unsigned, word},
};

/// One replica of a service of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRow {
    /// Its id, unique on the host.
    pub id: String,
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// The release.
    pub release: ReleaseNumber,
    /// The service.
    pub service: Name,
    /// Which of the service, from 1.
    pub replica: u32,
    /// The port leased to it.
    pub port: Option<u16>,
    /// Where it listens, if elsewhere than on this machine's loopback: a container's address.
    pub address: Option<Ipv4Addr>,
    /// The folder of its supervisor.
    pub folder: PathBuf,
    /// The boot in which it was started.
    pub boot_id: String,
    /// How far it is.
    pub state: InstanceState,
    /// When it was added, in milliseconds since the Unix epoch; given by the ledger.
    pub created_at: u64,
}

/// How far an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Of a release that is not live yet.
    Starting,
    /// Of the live release.
    Live,
    /// Gets no new requests and will be stopped.
    Draining,
    /// Was stopped on purpose.
    Stopped,
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        })
    }
}

impl FromStr for InstanceState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "starting" => Ok(Self::Starting),
            "live" => Ok(Self::Live),
            "draining" => Ok(Self::Draining),
            "stopped" => Ok(Self::Stopped),
            _ => Err(()),
        }
    }
}

const COLUMNS: &str = "id, app, environment, release, service, replica, port, folder, boot_id, state, created_at, address";

impl Ledger {
    /// Adds an instance. The same one again replaces the row.
    pub fn add_instance(&self, instance: &InstanceRow) -> Result<(), LedgerError> {
        self.write(|write| {
            write.sql.execute(
                &format!("INSERT OR REPLACE INTO instances ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"),
                params![
                    instance.id,
                    instance.app.as_str(),
                    instance.environment.as_str(),
                    signed(instance.release.0),
                    instance.service.as_str(),
                    instance.replica,
                    instance.port,
                    instance.folder.as_os_str().as_bytes(),
                    instance.boot_id,
                    instance.state.to_string(),
                    signed(write.now),
                    instance.address.map(|address| address.to_string())
                ],
            )?;
            Ok(())
        })
    }

    /// Notes where an instance listens, once it is known.
    pub fn set_instance_address(
        &self,
        id: &str,
        address: Option<Ipv4Addr>,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            write.sql.execute(
                "UPDATE instances SET address = ?2 WHERE id = ?1",
                params![id, address.map(|address| address.to_string())],
            )?;
            Ok(())
        })
    }

    /// Notes how far an instance is; whether there is such an instance.
    pub fn set_instance_state(&self, id: &str, state: InstanceState) -> Result<bool, LedgerError> {
        self.write(|write| {
            let rows = write.sql.execute(
                "UPDATE instances SET state = ?2 WHERE id = ?1",
                params![id, state.to_string()],
            )?;
            Ok(rows == 1)
        })
    }

    /// Notes the state of all instances of an environment's releases in one go: those of `live`
    /// become live, other live ones draining.
    pub fn set_live_instances(
        &self,
        app: &Name,
        environment: &Name,
        live: ReleaseNumber,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            write.sql.execute(
                "UPDATE instances SET state = CASE WHEN release = ?3 THEN 'live' ELSE 'draining' END
                 WHERE app = ?1 AND environment = ?2 AND state IN ('starting', 'live')",
                params![app.as_str(), environment.as_str(), signed(live.0)],
            )?;
            Ok(())
        })
    }

    /// Forgets an instance.
    pub fn remove_instance(&self, id: &str) -> Result<(), LedgerError> {
        self.write(|write| {
            write
                .sql
                .execute("DELETE FROM instances WHERE id = ?1", [id])?;
            Ok(())
        })
    }

    /// All instances of the host, oldest first.
    pub fn instances(&self) -> Result<Vec<InstanceRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM instances ORDER BY created_at, rowid"
            ))?;
            let mut rows = query.query([])?;
            let mut instances = Vec::new();
            while let Some(row) = rows.next()? {
                instances.push(instance(row)?);
            }
            Ok(instances)
        })
    }

    /// The instances of an environment, by service and replica, oldest first.
    pub fn instances_of(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<Vec<InstanceRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM instances WHERE app = ?1 AND environment = ?2
                 ORDER BY service, replica, created_at, rowid"
            ))?;
            let mut rows = query.query([app.as_str(), environment.as_str()])?;
            let mut instances = Vec::new();
            while let Some(row) = rows.next()? {
                instances.push(instance(row)?);
            }
            Ok(instances)
        })
    }
}

fn instance(row: &Row<'_>) -> Result<InstanceRow, LedgerError> {
    Ok(InstanceRow {
        id: row.get(0)?,
        app: word("an app's name", row.get(1)?)?,
        environment: word("an environment's name", row.get(2)?)?,
        release: ReleaseNumber(unsigned(row.get(3)?)),
        service: word("a service's name", row.get(4)?)?,
        replica: row.get(5)?,
        port: row.get(6)?,
        folder: OsString::from_vec(row.get(7)?).into(),
        boot_id: row.get(8)?,
        state: word("an instance's state", row.get(9)?)?,
        created_at: unsigned(row.get(10)?),
        address: row
            .get::<_, Option<String>>(11)?
            .map(|text| word("an instance's address", text))
            .transpose()?,
    })
}
