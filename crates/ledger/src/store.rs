//! The file itself: opened, migrated, written by one connection and read by two.

use std::{
    cell::Cell,
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use serde::{Serialize, de::DeserializeOwned};

use crate::{clock::Clock, error::LedgerError, schema::MIGRATIONS};

/// How long a call waits for another program that holds the file, such as a backup.
const BUSY: Duration = Duration::from_secs(10);

/// The host's ledger. Clones share the same file and connections.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

type Listener = Box<dyn Fn(u64) + Send + Sync>;

struct Inner {
    writer: Mutex<Connection>,
    readers: [Mutex<Connection>; 2],
    clock: Clock,
    listeners: RwLock<Vec<Listener>>,
}

/// A transaction that writes.
pub(crate) struct Write<'a> {
    pub(crate) sql: Transaction<'a>,
    /// The one time of everything in it.
    pub(crate) now: u64,
    /// The last event appended in it.
    pub(crate) last_event: Cell<Option<u64>>,
}

impl Ledger {
    /// Opens the ledger, makes it where there is none, and brings an older one up to date.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, LedgerError> {
        private_file(path).map_err(|source| LedgerError::Open {
            path: path.to_owned(),
            source,
        })?;
        let unusable = |source| LedgerError::Unusable {
            path: path.to_owned(),
            source,
        };
        let mut writer = connect(path, 1024).map_err(unusable)?;
        // Before the journal mode: a newer file is left exactly as it is.
        let found: u32 = writer
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(unusable)?;
        if found as usize > MIGRATIONS.len() {
            return Err(LedgerError::Newer {
                path: path.to_owned(),
                found,
                known: MIGRATIONS.len() as u32,
            });
        }
        prepare(&mut writer).map_err(unusable)?;
        let reader = || {
            let connection = connect(path, 512).map_err(unusable)?;
            connection
                .pragma_update(None, "query_only", true)
                .map_err(unusable)?;
            Ok::<_, LedgerError>(Mutex::new(connection))
        };
        let readers = [reader()?, reader()?];
        let inner = Inner {
            writer: Mutex::new(writer),
            readers,
            clock,
            listeners: RwLock::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Has `listener` called with the sequence number of the newest event after each transaction
    /// that appended some. Calls of several threads may come out of order; it must not block long.
    pub fn on_event(&self, listener: Box<dyn Fn(u64) + Send + Sync>) {
        self.inner
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(listener);
    }

    /// What its clock says.
    pub fn now(&self) -> u64 {
        self.inner.clock.now()
    }

    /// Runs `change` in a transaction that is on disk when this returns, or never happened.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&Write<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let (answer, event) = {
            let mut writer = held(&self.inner.writer);
            let sql = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let write = Write {
                sql,
                now: self.inner.clock.now(),
                last_event: Cell::new(None),
            };
            let answer = change(&write)?;
            let event = write.last_event.get();
            write.sql.commit()?;
            (answer, event)
        };
        // Outside of the lock: a listener may use the ledger.
        if let Some(sequence) = event {
            for listener in self
                .inner
                .listeners
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
            {
                listener(sequence);
            }
        }
        Ok(answer)
    }

    /// Runs `look` on a consistent state of the file.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let [first, second] = &self.inner.readers;
        let mut reader = first
            .try_lock()
            .or_else(|_| second.try_lock())
            .unwrap_or_else(|_| held(first));
        let sql = reader.transaction()?;
        look(&sql)
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

/// A transaction cut off by a panic was rolled back: the connection behind a poisoned lock is good.
fn held(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes sure that the file is there and nobody else's to read; SQLite gives its mode to the
/// files that it puts beside it.
fn private_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

fn connect(path: &Path, cache_kib: i64) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn prepare(writer: &mut Connection) -> rusqlite::Result<()> {
    writer.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    writer.pragma_update(None, "synchronous", "full")?;
    writer.pragma_update_and_check(None, "wal_autocheckpoint", 256, |_| Ok(()))?;
    writer.pragma_update_and_check(None, "journal_size_limit", 4 << 20, |_| Ok(()))?;
    let sql = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the lock: two hosts may have come at once.
    let version: u32 = sql.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (migration, next) in MIGRATIONS.iter().zip(1u32..).skip(version as usize) {
        sql.execute_batch(migration)?;
        sql.pragma_update(None, "user_version", next)?;
    }
    sql.commit()
}

/// Numbers are stored as SQLite has them: signed.
pub(crate) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// And read back.
pub(crate) fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// A value as JSON.
pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|source| LedgerError::Content { what, source })
}

/// A value from JSON.
pub(crate) fn from_json<T: DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|source| LedgerError::Content { what, source })
}

/// A value that is one word: names, states.
pub(crate) fn word<T: std::str::FromStr>(
    what: &'static str,
    text: String,
) -> Result<T, LedgerError> {
    text.parse().map_err(|_| LedgerError::Word { what, text })
}
