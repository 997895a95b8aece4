//! What a backup says of itself. Written last, after it was verified: what has no manifest is none.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The version of the format that this program writes.
pub const FORMAT: u32 = 1;

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// Which backup.
    #[serde(flatten)]
    pub identity: Identity,
    /// Why it was made.
    pub reason: Reason,
    /// The release that was live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
    /// What was dumped: `PostgreSQL 15.20`.
    pub server: String,
    /// The program that made it: `landfall 0.1.0`.
    pub program: String,
    /// When the dump began: the state of the data.
    pub created_at: Timestamp,
    /// When it was restored into a scratch instance and found the same; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// About how many bytes it took where it was: what a restored copy needs.
    #[serde(default)]
    pub source_bytes: u64,
    /// Whom it is encrypted to.
    pub recipients: Vec<String>,
    /// Its parts.
    pub parts: Vec<Part>,
    /// What is in it, as counted in the database itself.
    pub contents: Contents,
}

/// Which backup of what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// The app.
    pub app: String,
    /// The environment.
    pub environment: String,
    /// The backing service, or `SERVICE.VOLUME`.
    pub subject: String,
    /// Its own name: when it was made, and some random letters.
    pub id: String,
}

impl Identity {
    /// A new one: `2026-11-21T03-00-00Z-1a2b3c4d`.
    pub fn new(app: &str, environment: &str, subject: &str, at: Timestamp) -> Result<Self, Error> {
        let mut random = [0_u8; 4];
        let mut file = std::fs::File::open("/dev/urandom").map_err(Error::io("/dev/urandom"))?;
        std::io::Read::read_exact(&mut file, &mut random).map_err(Error::io("/dev/urandom"))?;
        let id = format!(
            "{}-{:08x}",
            at.strftime("%Y-%m-%dT%H-%M-%SZ"),
            u32::from_be_bytes(random)
        );
        Ok(Self {
            app: app.to_owned(),
            environment: environment.to_owned(),
            subject: subject.to_owned(),
            id,
        })
    }

    /// Its folder in the store.
    pub fn folder(&self) -> String {
        format!(
            "{}/{}/{}/{}",
            self.app, self.environment, self.subject, self.id
        )
    }

    /// A file of it in the store.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder())
    }
}

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It was due.
    Scheduled,
    /// Somebody asked.
    Asked,
    /// Something else is restored over it.
    BeforeRestore,
    /// The database gets another version.
    BeforeUpgrade,
}

/// What kind of thing was backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A PostgreSQL database.
    Postgres,
    /// A Redis server.
    Redis,
    /// A folder.
    Volume,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Part {
    /// Its name: `dump.age`.
    pub name: String,
    /// What was encrypted.
    pub plain: Sum,
    /// What stands in the store.
    pub sealed: Sum,
}

/// Length and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sum {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contents {
    /// A PostgreSQL database.
    Postgres(PostgresContents),
    /// All databases of a Redis server.
    Redis(RedisContents),
    /// A folder.
    Volume(VolumeContents),
}

impl Contents {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Postgres(_) => Kind::Postgres,
            Self::Redis(_) => Kind::Redis,
            Self::Volume(_) => Kind::Volume,
        }
    }
}

/// A PostgreSQL database, counted in the snapshot that was dumped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PostgresContents {
    /// The database's name.
    pub database: String,
    /// Its owner.
    pub owner: String,
    /// Its encoding.
    pub encoding: String,
    /// Its order of text.
    pub collate: String,
    /// Its classes of characters.
    pub ctype: String,
    /// Settings of the database, and of roles within it: role (empty: all), name, value.
    #[serde(default)]
    pub settings: Vec<(String, String, String)>,
    /// Rows of each table.
    pub tables: BTreeMap<String, TableSum>,
    /// How many there are of what else: indexes, constraints, views, functions, …
    pub objects: BTreeMap<String, u64>,
}

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableSum {
    /// How many.
    pub rows: u64,
    /// The sum of the hashes of all rows, in whatever order they come; a text, since JSON's numbers
    /// are too small.
    pub checksum: String,
}

/// A Redis server at the instant of its snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RedisContents {
    /// Each database that has keys.
    pub databases: BTreeMap<u32, Keyspace>,
    /// The digest of all keys and values as restored; none where keys expire, since those change it
    /// as time goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The keys of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Keyspace {
    /// How many.
    pub keys: u64,
    /// How many of them expire some time.
    pub expires: u64,
}

/// A folder as it went into the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VolumeContents {
    /// Files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Sockets and the like, which can't be kept.
    pub skipped: u64,
    /// Files that changed while they were read: a quiesce command prevents that.
    pub changed: u64,
    /// SHA-256 over the list of all paths with kind, mode, size, and the SHA-256 of each content.
    pub tree: String,
    /// The same over paths with their owners.
    pub owners: String,
}

impl Manifest {
    /// Reads one; one of a later format is refused by name.
    pub fn parse(bytes: &[u8], path: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Only {
            format: u32,
        }
        let damaged = |said: String| Error::Damaged {
            what: path.to_owned(),
            said,
        };
        let only: Only =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if only.format != FORMAT {
            return Err(Error::Bad(format!(
                "{path} has format {}, and this program reads {FORMAT}: take the landfall that made it",
                only.format
            )));
        }
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))
    }

    /// Its text.
    pub fn text(&self) -> Vec<u8> {
        // Keys are strings, numbers or our own newtypes: nothing in it can't be JSON.
        let mut text = serde_json::to_vec_pretty(self).expect("a manifest is always JSON");
        text.push(b'\n');
        text
    }

    /// Bytes in the store.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.sealed.bytes).sum()
    }

    /// A part by its name.
    pub fn part(&self, name: &str) -> Result<&Part, Error> {
        self.parts
            .iter()
            .find(|part| part.name == name)
            .ok_or_else(|| Error::Damaged {
                what: self.identity.path("manifest.json"),
                said: format!("it names no {name}"),
            })
    }
}
