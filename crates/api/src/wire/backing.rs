//! Backing services: how they are, and how a client of theirs is started.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use landfall_app::{Name, model::Runtime};
use landfall_supervise::state::ProcessPhase;
use serde::{Deserialize, Serialize};

/// A backing service in the status, and in `GET …/backing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackingStatus {
    /// Its name.
    pub name: Name,
    /// What it is: `postgres`, `redis`, or an image's name.
    pub kind: String,
    /// The version that runs, as far as it is known.
    pub version: Option<String>,
    /// How it runs; none: somebody else's.
    pub runtime: Option<Runtime>,
    /// The image that it runs.
    #[serde(default)]
    pub image: Option<String>,
    /// Where it listens: `127.0.0.1:21003`.
    pub address: String,
    /// Whether it should run.
    pub wanted: bool,
    /// Whether the file names it.
    pub named: bool,
    /// Whether it is ready, and has room on the disk.
    pub healthy: bool,
    /// Why not, in a few words.
    pub reason: Option<String>,
    /// Where its process is in its life.
    pub phase: Option<ProcessPhase>,
    /// When it last started.
    pub started_at: Option<u64>,
    /// How often it was started again.
    pub restarts: u32,
    /// Memory and processor.
    pub usage: super::Usage,
    /// Memory limit in bytes.
    pub memory_limit: Option<u64>,
    /// Bytes of disk that it takes.
    pub disk: Option<u64>,
    /// Disk limit in bytes.
    pub disk_limit: Option<u64>,
    /// Connections of clients, and how many it takes.
    pub connections: Option<UseOf>,
    /// Memory for the data of a cache.
    pub data_memory: Option<UseOf>,
    /// The database that apps use.
    pub database: Option<String>,
    /// Data of earlier versions, kept after upgrades.
    #[serde(default)]
    pub kept: Vec<Kept>,
    /// Its last words, where it isn't well.
    #[serde(default)]
    pub last_words: Vec<String>,
}

/// Use of something that has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UseOf {
    /// Used.
    pub used: u64,
    /// The limit; 0 where there is none.
    pub limit: u64,
}

/// Data of an earlier version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    /// The version that wrote it.
    pub version: String,
    /// Its folder.
    pub folder: PathBuf,
    /// When it was left.
    pub at: u64,
}

/// `GET …/backing/{name}/client`: what a client is executed with. It holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackingClient {
    /// What it is: `postgres`, `redis`, or an image's name.
    pub kind: String,
    /// The host to connect to from this machine.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// The user of apps; empty where there is none.
    pub user: String,
    /// The password of apps; empty where there is none.
    pub password: String,
    /// The database of apps; empty where there is none.
    pub database: String,
    /// The whole URL.
    pub url: String,
    /// The folder of the server's own programs, where it is a plain process.
    pub programs: Option<PathBuf>,
    /// The container that has the programs.
    pub container: Option<String>,
    /// What is put in front of a command in the container, so that it gets its environment: one time.
    #[serde(default)]
    pub execution: Vec<String>,
    /// The environment that the programs of its kind need to log in.
    pub environment: BTreeMap<String, String>,
}

/// The query of `GET …/backing/{name}/client`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct BackingClientQuery {
    /// Whether a program is executed with it, and not only the address is asked for.
    pub execute: bool,
}

impl fmt::Debug for BackingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BackingClient({}, {}:{})",
            self.kind, self.host, self.port
        )
    }
}

/// `POST …/backing/{name}/upgrade`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UpgradeBacking {
    /// The version; that of the app file by default.
    pub to: Option<String>,
    /// As a plain process or as a container; as the app file says by default.
    #[serde(default)]
    pub runtime: Option<Runtime>,
    /// Who asks.
    pub by: String,
}

/// What an upgrade answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UpgradedBacking {
    /// The version before.
    pub from: String,
    /// The version now.
    pub to: String,
    /// Milliseconds in which nobody could use it.
    pub downtime: u64,
    /// Tables, or databases of a cache, that were compared.
    pub compared: u32,
    /// Rows, or keys, in them.
    pub rows: u64,
    /// The folder of the data before.
    pub kept: PathBuf,
    /// Whether it is elsewhere now, so that the app finds it with its next processes.
    #[serde(default)]
    pub moved: bool,
}
