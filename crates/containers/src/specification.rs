//! What a container is made from: plain data, no policy but what every container of ours has.
//!
//! Every one of them runs without new privileges, with all capabilities dropped but the named ones,
//! with the restart policy `no` (a container that comes back by itself at boot is nobody's), no
//! published port, a bounded log, and the image's own health check switched off: the supervisor in
//! it does what restart policies and health checks of the Engine do.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

/// A container to create.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSpecification {
    /// Its name on the Engine.
    pub name: String,
    /// The image, by id (`sha256:…`).
    pub image: String,
    /// Program and arguments; the image's entry point and command are never added to it.
    pub command: Vec<String>,
    /// Where it starts; the image's by default.
    pub directory: Option<String>,
    /// Variables that may stand in the Engine's configuration: nothing secret.
    pub environment: BTreeMap<String, String>,
    /// User, or user and group, by number or by a name of the image; the image's by default.
    pub user: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Its place on a network; none: no network at all.
    pub attachment: Option<Attachment>,
    /// Folders and volumes put in.
    pub mounts: Vec<Mount>,
    /// Folders in memory: path, and options as the Engine takes them (`size=64m,mode=1777`).
    pub tmpfs: BTreeMap<String, String>,
    /// Whether its own file system can't be written.
    pub read_only: bool,
    /// Capabilities kept, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Memory limit in bytes; swap is not added to it.
    pub memory: Option<u64>,
    /// Processor limit in thousandths of a core.
    pub cpu: Option<u32>,
    /// Most processes and threads.
    pub pids: Option<u32>,
    /// Disk limit of its own file system in bytes, where the storage driver can.
    pub disk: Option<u64>,
    /// Graphics processors.
    pub gpus: u32,
    /// Shared memory (`/dev/shm`) in bytes; the Engine's 64 MiB by default.
    pub shared_memory: Option<u64>,
    /// Whether something is written to its standard input when it starts.
    pub input: bool,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether the Engine removes it when it ends.
    pub remove_at_end: bool,
}

/// A place on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// Names under which others on it find this one.
    pub aliases: Vec<String>,
    /// A fixed address; the Engine's choice by default.
    pub address: Option<Ipv4Addr>,
}

/// A folder or a volume put into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A folder or file of this machine.
    Bind {
        /// Where it is.
        source: PathBuf,
        /// Where the container finds it.
        target: String,
        /// Whether it can't be written there.
        read_only: bool,
    },
    /// A named volume.
    Volume {
        /// Its name.
        name: String,
        /// Where the container finds it.
        target: String,
    },
}
