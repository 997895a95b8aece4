//! Backups, as this host knows them: what stands in the stores is the truth, this answers at once.

use landfall_app::Name;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::{
    Ledger, LedgerError,
    store::{from_json, signed, to_json, unsigned, word},
};

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRow {
    /// Its name, of all backups.
    pub id: String,
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// What was backed up: a backing service, or `SERVICE.VOLUME`.
    pub subject: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// When it was last restored into a scratch instance and found the same.
    pub verified_at: Option<u64>,
    /// Everything else.
    pub body: BackupBody,
}

/// What is known of a backup besides its times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct BackupBody {
    /// Where it is: `s3://backups/shop`.
    pub store: String,
    /// What it is of: `PostgreSQL 15.20`.
    pub server: String,
    /// Why it was made: `scheduled`, `asked`, `before-restore`, `before-upgrade`.
    pub reason: String,
    /// Its bytes in the store.
    pub bytes: u64,
    /// What is in it, in a few words: `12 tables, 5,000 rows`.
    pub said: String,
    /// What a later look at it found wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

const COLUMNS: &str = "id, app, environment, subject, created_at, verified_at, body";

impl Ledger {
    /// Keeps a backup, new or changed.
    pub fn put_backup(&self, row: &BackupRow) -> Result<(), LedgerError> {
        let body = to_json("a backup", &row.body)?;
        self.write(|write| {
            write.sql.execute(
                "INSERT INTO backups (id, app, environment, subject, created_at, verified_at, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET verified_at = ?6, body = ?7",
                params![
                    row.id,
                    row.app.as_str(),
                    row.environment.as_str(),
                    row.subject,
                    signed(row.created_at),
                    row.verified_at.map(signed),
                    body
                ],
            )?;
            Ok(())
        })
    }

    /// Forgets a backup.
    pub fn remove_backup(&self, id: &str) -> Result<(), LedgerError> {
        self.write(|write| {
            write
                .sql
                .execute("DELETE FROM backups WHERE id = ?1", [id])?;
            Ok(())
        })
    }

    /// One backup of an environment.
    pub fn backup(
        &self,
        app: &Name,
        environment: &Name,
        id: &str,
    ) -> Result<Option<BackupRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM backups
                 WHERE app = ?1 AND environment = ?2 AND id = ?3"
            ))?;
            let key = [app.as_str(), environment.as_str(), id];
            let found = query.query_row(key, |row| Ok(backup(row))).optional()?;
            found.transpose()
        })
    }

    /// The backups of an environment, the newest first.
    pub fn backups(&self, app: &Name, environment: &Name) -> Result<Vec<BackupRow>, LedgerError> {
        self.read(|sql| {
            let mut query = sql.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM backups WHERE app = ?1 AND environment = ?2
                 ORDER BY created_at DESC, id DESC"
            ))?;
            let mut rows = query.query([app.as_str(), environment.as_str()])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(backup(row)?);
            }
            Ok(all)
        })
    }
}

fn backup(row: &Row<'_>) -> Result<BackupRow, LedgerError> {
    let body: String = row.get(6)?;
    Ok(BackupRow {
        id: row.get(0)?,
        app: word("an app's name", row.get(1)?)?,
        environment: word("an environment's name", row.get(2)?)?,
        subject: row.get(3)?,
        created_at: unsigned(row.get(4)?),
        verified_at: row.get::<_, Option<i64>>(5)?.map(unsigned),
        body: from_json("a backup", &body)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    #[test]
    fn the_newest_comes_first_and_what_is_found_later_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("ledger.db"), Clock::system()).unwrap();
        let name = |text: &str| text.parse::<Name>().unwrap();
        let row = |id: &str, at, verified_at| BackupRow {
            id: id.to_owned(),
            app: name("shop"),
            environment: name("local"),
            subject: "db".to_owned(),
            created_at: at,
            verified_at,
            body: BackupBody::default(),
        };
        ledger.put_backup(&row("a", 1, Some(2))).unwrap();
        ledger.put_backup(&row("b", 5, None)).unwrap();
        let mut changed = row("a", 1, Some(9));
        changed.body.problem = Some("damaged".to_owned());
        ledger.put_backup(&changed).unwrap();
        let all = ledger.backups(&name("shop"), &name("local")).unwrap();
        assert_eq!(all, [row("b", 5, None), changed.clone()]);
        let found = ledger.backup(&name("shop"), &name("local"), "a").unwrap();
        assert_eq!(found, Some(changed));
        assert_eq!(
            ledger.backup(&name("shop"), &name("other"), "a").unwrap(),
            None
        );
        ledger.remove_backup("b").unwrap();
        assert_eq!(
            ledger.backups(&name("shop"), &name("local")).unwrap().len(),
            1
        );
    }
}
