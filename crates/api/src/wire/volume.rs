//! Volumes: the kept folders of services.

use std::path::PathBuf;

use landfall_app::Name;
use serde::{Deserialize, Serialize};

use super::Accepted;

/// A volume, as `GET …/volumes` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VolumeStatus {
    /// The service.
    pub service: Name,
    /// Its name.
    pub name: Name,
    /// Where the service finds it; none where the live release doesn't use it.
    pub path: Option<String>,
    /// Its folder on this machine.
    pub folder: PathBuf,
    /// Whether that is a place that somebody moved it to.
    pub moved: bool,
    /// Bytes on the disk; none where they can't be counted.
    pub size: Option<u64>,
    /// The cron line of its backups, where it is backed up.
    pub backup: Option<String>,
    /// What it is of a backing service, where `service` is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing: Option<BackingData>,
}

/// Data of a backing service that lies where volumes lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackingData {
    /// What it works with.
    Used,
    /// What an upgrade left.
    Kept {
        /// The version that wrote it.
        version: String,
    },
}

/// `POST …/volumes/{service}.{name}/move`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MoveVolume {
    /// The folder on another disk; none: back into the state folder.
    pub to: Option<PathBuf>,
    /// Who asks: `user@machine`.
    pub by: String,
}

/// The query of `POST …/volumes/{service}.{name}/import`: the body is a tar archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ImportVolume {
    /// Who asks: `user@machine`.
    pub by: String,
}

/// The answer to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VolumeChanged {
    /// Its folder now.
    pub folder: PathBuf,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The start of the app, where it was stopped for this.
    pub start: Option<Accepted>,
}

/// `DELETE …/volumes/{service}.{name}` answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VolumeRemoved {
    /// Bytes freed.
    pub freed: u64,
}
