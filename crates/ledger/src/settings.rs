//! What the host keeps for itself, by key.

use rusqlite::{OptionalExtension, params};

use crate::{Ledger, LedgerError};

impl Ledger {
    /// The value of a key.
    pub fn setting(&self, key: &str) -> Result<Option<String>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached("SELECT value FROM settings WHERE key = ?1")?;
            Ok(query.query_row([key], |row| row.get(0)).optional()?)
        })
    }

    /// Sets the value of a key.
    pub fn set_setting(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        self.write(|write| {
            write.sql.execute(
                "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
                params![key, value],
            )?;
            Ok(())
        })
    }

    /// Forgets a key.
    pub fn remove_setting(&self, key: &str) -> Result<(), LedgerError> {
        self.write(|write| {
            write
                .sql
                .execute("DELETE FROM settings WHERE key = ?1", [key])?;
            Ok(())
        })
    }
}
