//! Why the ledger can't do what it was asked.

use std::path::PathBuf;

use landfall_app::Name;

use crate::locks::Locked;

/// Why the ledger can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file can't be made or opened.
    #[error("can't open the ledger {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file isn't a ledger, or SQLite can't use it.
    #[error("can't use the ledger {path}: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A later version wrote it.
    #[error(
        "the ledger {path} was written by a newer landfall (its schema is {found}, this one knows up to {known}): use that version, or another LANDFALL_HOME"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// A statement failed.
    #[error("the ledger can't be read or written: {0}")]
    Storage(#[from] rusqlite::Error),
    /// A row doesn't hold what it should.
    #[error("the ledger holds {what} that this version can't read: {source}")]
    Content {
        /// What was read.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// A row doesn't hold what it should, outside of JSON.
    #[error("the ledger holds {what} that this version can't read: {text}")]
    Word {
        /// What was read.
        what: &'static str,
        /// The text found.
        text: String,
    },
    /// Nothing is known of this environment.
    #[error("nothing of {app} was deployed to {environment} here")]
    UnknownEnvironment {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
    },
    /// Somebody else holds the lock.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// A lease that was renewed had expired and was taken by somebody else, or was given back.
    #[error(
        "the lock of {app} in {environment} isn't held any more: it expired, or was taken over"
    )]
    LeaseLost {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
    },
    /// All ports of the range are taken.
    #[error(
        "no port between {first} and {last} is free for {purpose}: widen the range, or take an app down"
    )]
    NoPort {
        /// What it was for.
        purpose: String,
        /// First of the range.
        first: u16,
        /// Last of the range.
        last: u16,
    },
    /// The events were changed after they were written.
    #[error("the chain of events is broken at {sequence}: {why}")]
    Chain {
        /// The first event that doesn't fit.
        sequence: u64,
        /// How.
        why: &'static str,
    },
}

impl LedgerError {
    /// Its stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } | Self::Unusable { .. } | Self::Storage(_) => "ledger-unusable",
            Self::Newer { .. } => "ledger-newer",
            Self::Content { .. } | Self::Word { .. } => "ledger-unreadable",
            Self::UnknownEnvironment { .. } => "unknown-environment",
            Self::Locked(_) => "locked",
            Self::LeaseLost { .. } => "lock-lost",
            Self::NoPort { .. } => "no-port",
            Self::Chain { .. } => "ledger-chain",
        }
    }
}
