//! Backups: what there is, and how it was verified.

use std::fmt;

use landfall_release::Failure;
use serde::{Deserialize, Serialize};

/// `GET …/backups`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backups {
    /// What is backed up.
    pub subjects: Vec<BackupStatus>,
    /// The backups that this host knows, the newest first.
    pub backups: Vec<BackupSummary>,
    /// This host's public key: every backup that it makes is encrypted to it.
    pub recipient: String,
    /// The file with its private half.
    pub key_file: String,
    /// The public keys of the people that backups are encrypted to as well.
    pub people: Vec<String>,
}

/// Something that is backed up, in the status too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackupStatus {
    /// A backing service, or `SERVICE.VOLUME`.
    pub subject: String,
    /// Where to.
    pub to: String,
    /// Its cron line.
    pub schedule: String,
    /// The time zone of the line.
    pub timezone: String,
    /// How long each is kept, in milliseconds.
    pub keep: u64,
    /// When the next one is due; none while the app is stopped.
    pub next: Option<u64>,
    /// The last one that was verified.
    pub verified: Option<BackupSummary>,
    /// How many there are.
    pub count: u32,
    /// Why the last try failed, where that was after the last verified one.
    pub problem: Option<String>,
    /// What is being done with it now: `dumping`, `restoring`.
    pub doing: Option<String>,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackupSummary {
    /// Its name.
    pub id: String,
    /// What was backed up.
    pub subject: String,
    /// What it is of: `PostgreSQL 15.20`.
    pub server: String,
    /// Why it was made: `scheduled`, `asked`, `before-restore`, `before-upgrade`.
    pub reason: String,
    /// Where it is.
    pub store: String,
    /// When the dump began.
    pub created_at: u64,
    /// When it was last restored into a scratch instance and found the same; none: never.
    pub verified_at: Option<u64>,
    /// Bytes in the store.
    pub bytes: u64,
    /// What is in it, in a few words.
    pub said: String,
    /// What a later look at it found wrong.
    pub problem: Option<String>,
}

/// `POST …/backups`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct MakeBackup {
    /// Of what; none: of everything that the file wants backed up.
    pub subject: Option<String>,
    /// Who asks: `user@machine`.
    pub by: String,
    /// The public keys of those who shall be able to read it, as the secrets file has them now.
    pub recipients: Option<Vec<String>>,
}

/// `POST …/backups/verify`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct VerifyBackup {
    /// Which; none: the newest of each subject.
    pub id: Option<String>,
    /// Who asks.
    pub by: String,
}

/// `POST …/backups/restore`, and `…/look` for what a store has.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RestoreBackup {
    /// Which; none: the last verified one.
    pub id: Option<String>,
    /// Of what; none: the only thing that is backed up.
    pub subject: Option<String>,
    /// From another store than the file says.
    pub from: Option<BackupStore>,
    /// A key that opens it, beside this host's own.
    pub key: Option<String>,
    /// Restore although what is there now can't be dumped.
    pub without_safety_dump: bool,
    /// Who asks.
    pub by: String,
}

impl fmt::Debug for RestoreBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestoreBackup({:?}, {:?})", self.id, self.subject)
    }
}

/// A store, with what opens it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct BackupStore {
    /// `s3://bucket/prefix`, or a folder.
    pub to: String,
    /// The S3 server.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The key to the bucket.
    pub access_key: Option<String>,
    /// Its secret half.
    pub secret_key: Option<String>,
}

impl fmt::Debug for BackupStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupStore({})", self.to)
    }
}

/// What was begun: each has news of its own, `GET …/backups/SUBJECT/news`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackupsBegun {
    /// Of what.
    pub subjects: Vec<String>,
}

/// A line of `GET …/backups/SUBJECT/news`. After an end nothing more comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupNews {
    /// How far it is.
    Progress {
        /// What is being done: `dumping`, `restoring`, …
        stage: String,
        /// Bytes so far.
        bytes: u64,
        /// Bytes in all, where known.
        of: Option<u64>,
    },
    /// A backup was made, or verified again.
    Done(BackupSummary),
    /// A backup was restored.
    Restored(BackupRestored),
    /// It failed.
    Failed(Failure),
}

impl BackupNews {
    /// Whether nothing more comes.
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Progress { .. })
    }
}

/// A backup was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackupRestored {
    /// Which.
    pub backup: BackupSummary,
    /// Where what was there before is kept.
    pub kept: String,
    /// How that is removed once it isn't needed any more.
    pub drop: String,
    /// The dump that was made of it before.
    pub safety: Option<String>,
    /// The deployment that starts the app again; none where nothing is deployed yet.
    pub deployment: Option<super::Accepted>,
}
