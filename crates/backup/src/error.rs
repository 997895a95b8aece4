//! Everything that goes wrong, told apart by what the user can do about it.

use std::{io, path::PathBuf};

use landfall_release::Failure;

/// Why a backup, its verification or its restoration failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store says no.
    #[error("{store} refuses access: {said}")]
    Denied {
        /// Where to.
        store: String,
        /// Its words.
        said: String,
    },
    /// There is no such bucket.
    #[error("{store} doesn't exist: {said}")]
    NoBucket {
        /// Where to.
        store: String,
        /// Its words.
        said: String,
    },
    /// Nobody answers there, or not in time.
    #[error("{store} can't be reached: {said}")]
    Unreachable {
        /// Where to.
        store: String,
        /// What was seen.
        said: String,
    },
    /// It answered, but went too slowly to go on.
    #[error("{store} stalls: {said}")]
    Stalled {
        /// Where to.
        store: String,
        /// What was seen.
        said: String,
    },
    /// It fails by itself, also when asked again.
    #[error("{store} fails: {said}")]
    StoreFailed {
        /// Where to.
        store: String,
        /// Its words.
        said: String,
    },
    /// There is no room.
    #[error("no room at {place}: {said}")]
    DiskFull {
        /// Which folder.
        place: PathBuf,
        /// How much is missing, as far as known.
        said: String,
    },
    /// What stands in the store is not what was once written.
    #[error("{what} is damaged: {said}")]
    Damaged {
        /// Which part.
        what: String,
        /// How that shows.
        said: String,
    },
    /// The key at hand doesn't open it.
    #[error("{what} is encrypted to other keys than this one")]
    NotForKey {
        /// Which part.
        what: String,
    },
    /// What was restored is something else than what was dumped.
    #[error("what was restored differs from what was dumped: {}", .0.first().map_or("", String::as_str))]
    Differs(Vec<String>),
    /// There is no such backup.
    #[error("{0}")]
    Unknown(String),
    /// A program of the database failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Which.
        program: String,
        /// How it ended.
        said: String,
        /// What it wrote last.
        last_words: Vec<String>,
    },
    /// The address, a key or the like can't be read.
    #[error("{0}")]
    Bad(String),
    /// The machine itself.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// Maps an error of the machine; a full disk is named as such.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                place: what.clone().into(),
                said: source.to_string(),
            },
            _ => match source.downcast::<Self>() {
                // It went through a reader or writer of ours.
                Ok(own) => own,
                Err(source) => Self::Io { what, source },
            },
        }
    }

    /// Its stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "backup-denied",
            Self::NoBucket { .. } => "no-bucket",
            Self::Unreachable { .. } | Self::Stalled { .. } => "backup-unreachable",
            Self::StoreFailed { .. } => "backup-store-failed",
            Self::DiskFull { .. } => "disk-full",
            Self::Damaged { .. } => "backup-damaged",
            Self::NotForKey { .. } => "not-a-recipient",
            Self::Differs(_) => "backup-differs",
            Self::Unknown(_) => "unknown-backup",
            Self::Program { .. } | Self::Io { .. } => "backup-failed",
            Self::Bad(_) => "bad-backup",
        }
    }

    fn mend(&self) -> Option<&'static str> {
        Some(match self {
            Self::Denied { .. } => {
                "check the secrets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what their user may do with the bucket"
            }
            Self::NoBucket { .. } => "make the bucket, or correct `to`",
            Self::Unreachable { .. } => "check `endpoint` and the network",
            Self::Stalled { .. } | Self::StoreFailed { .. } => {
                "what was kept before is untouched; try again: landfall backup now"
            }
            Self::DiskFull { .. } => {
                "make room: a backup is restored beside the database before it counts"
            }
            Self::Damaged { .. } => "take another one: landfall backup list",
            Self::NotForKey { .. } => "--key FILE names the key of somebody it was encrypted to",
            Self::Differs(_) => "it does not count; try again, and look at the database's own log",
            Self::Unknown(_) => "landfall backup list",
            _ => return None,
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::new(error.name(), error.to_string());
        match &error {
            Error::Differs(all) if all.len() > 1 => {
                failure = failure.with("differences", all.join("\n"));
            }
            Error::Program { last_words, .. } if !last_words.is_empty() => {
                failure = failure.with("its last words", last_words.join("\n"));
            }
            _ => {}
        }
        match error.mend() {
            Some(mend) => failure.with("mend", mend),
            None => failure,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { source, .. } => source,
            other => Self::other(other),
        }
    }
}
