//! What a supervisor is told to run: written to its folder as `specification.json` before it starts.
//!
//! Nothing secret stands in it. Values that contain secrets come on standard input, as [`Sensitive`].
//! An [`Execution`] is what a single command is told.

use std::{
    collections::BTreeMap,
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The version of the folder's files and of the control protocol.
pub const VERSION: u32 = 1;

/// The variable in each child's environment that says which instance it belongs to; orphans are
/// found by it.
pub const INSTANCE_VARIABLE: &str = "LANDFALL_INSTANCE";

/// The variable in each child's environment that says which of the instance's processes it is, or
/// belongs to.
pub const PROCESS_VARIABLE: &str = "LANDFALL_PROCESS";

/// The variable that tells a child where its supervisor's control socket is.
pub const CONTROL_VARIABLE: &str = "LANDFALL_CONTROL";

/// Names in a supervisor's folder.
pub mod files {
    /// The [`Specification`](super::Specification).
    pub const SPECIFICATION: &str = "specification.json";
    /// Locked by the supervisor while it lives.
    pub const LOCK: &str = "lock";
    /// The control socket.
    pub const CONTROL: &str = "control.sock";
    /// The last [`State`](crate::state::State), replaced at each change.
    pub const STATE: &str = "state.json";
    /// The control groups that the supervisor made, a path on each line; only where it made some, and
    /// removed with them.
    pub const GROUPS: &str = "groups";
}

/// Everything a supervisor needs but the secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Specification {
    /// [`VERSION`].
    pub version: u32,
    /// The instance: the token in each child's environment.
    pub instance: String,
    /// Where commands run that name no folder.
    pub directory: PathBuf,
    /// The port that the front process must listen on.
    #[serde(default)]
    pub port: Option<u16>,
    /// The processes, in order of start where `after` leaves it open.
    pub processes: Vec<Process>,
    /// How they are asked to end.
    #[serde(default)]
    pub stop: Stop,
    /// When they are started again.
    #[serde(default)]
    pub restart: Restart,
    /// Where lines go: segments in a folder, or tagged lines on standard output.
    #[serde(default)]
    pub logs: Logs,
    /// Listening sockets held for the processes; they outlive each of them.
    #[serde(default)]
    pub sockets: Vec<Socket>,
    /// Where the aggregate health is answered over HTTP, for platforms that ask.
    #[serde(default)]
    pub health: Option<SocketAddr>,
    /// Memory for all processes together, in bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Processor time for all processes together, in thousandths of a core.
    #[serde(default)]
    pub cpu: Option<u32>,
    /// Whether the folder is shared by users, as where it is put into a container: its files and its
    /// control socket are open to everyone, since the folder above guards them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Process {
    /// Its name: the tag of its lines.
    pub name: String,
    /// Program and arguments, executed as they stand. The program is found by the environment's `PATH`.
    pub command: Vec<String>,
    /// It must end with 0 before those after it start, and is not started again.
    #[serde(default)]
    pub ends: bool,
    /// Where it runs; the specification's folder by default.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// Its whole environment, but for the values of [`Sensitive`]. Nothing is inherited.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Names of processes that must be ready (or, if they end, have ended well) first.
    #[serde(default)]
    pub after: Vec<String>,
    /// Whether health needs it.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether it is the one that listens on the specification's port.
    #[serde(default)]
    pub front: bool,
    /// Its probes.
    #[serde(default)]
    pub health: Health,
    /// Nice value, −20 to 19; where a lower one isn't permitted, the siblings get nicer instead.
    #[serde(default)]
    pub nice: i8,
    /// Memory limit in bytes: by cgroup where one is writable, else watched, and the process
    /// killed when its tree exceeds it.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Processor limit in thousandths of a core: by cgroup where one is writable, else a note.
    #[serde(default)]
    pub cpu: Option<u32>,
    /// The user it runs as.
    #[serde(default)]
    pub user: Option<u32>,
}

fn yes() -> bool {
    true
}

/// Probes of a process. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Health {
    /// Ready; none: ready once it has been up for `up`.
    pub ready: Option<Probe>,
    /// Alive; none: alive while it runs.
    pub live: Option<Probe>,
    /// Longest start: not ready by then counts as a failure, and it is killed and started again.
    pub start: u64,
    /// Between two probes once it is ready; while it starts, probes follow one another faster.
    pub interval: u64,
    /// Longest probe.
    pub timeout: u64,
    /// Failures in a row until it is not ready, or not alive.
    pub retries: u32,
    /// Ready after so long without a probe.
    pub up: u64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            ready: None,
            live: None,
            start: 30_000,
            interval: 5000,
            timeout: 5000,
            retries: 3,
            up: 1000,
        }
    }
}

/// One way to ask a process how it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Probe {
    /// An HTTP/1.1 GET to an address.
    Http {
        /// Where.
        address: SocketAddr,
        /// The path.
        path: String,
        /// The status expected; any 2xx by default.
        #[serde(default)]
        status: Option<u16>,
        /// A text that the body must contain.
        #[serde(default)]
        body: Option<String>,
    },
    /// A connection.
    Tcp {
        /// Where.
        address: SocketAddr,
    },
    /// A command that must end with 0, in the process's own environment and folder.
    Run {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// How processes are asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Stop {
    /// The signal's name.
    pub signal: String,
    /// Milliseconds until SIGKILL.
    pub grace: u64,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            signal: "SIGTERM".to_owned(),
            grace: 10_000,
        }
    }
}

/// When processes are started again. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Restart {
    /// The first delay; doubled each time, with jitter.
    pub delay: u64,
    /// The longest delay.
    pub max_delay: u64,
    /// Up so long, and the next restart is at once and the delays begin anew.
    pub reset: u64,
    /// Failures in a row until it gives up; 0: never.
    pub attempts: u32,
    /// What giving up means.
    pub give_up: GiveUp,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            delay: 1000,
            max_delay: 60_000,
            reset: 600_000,
            attempts: 0,
            give_up: GiveUp::Exit,
        }
    }
}

/// What giving up means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GiveUp {
    /// The siblings stop and the supervisor ends with a failure.
    #[default]
    Exit,
    /// The process stays down; the siblings go on.
    Stay,
}

/// Where the lines of the processes go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Logs {
    /// To standard output: `process | text`.
    #[default]
    Output,
    /// To segments in a folder.
    Segments {
        /// The folder; it exists.
        folder: PathBuf,
        /// A segment is closed at this size in bytes.
        segment: u64,
        /// The oldest closed segments of this instance go when all exceed this, in bytes; the host
        /// retains by age. It bounds the disk while no host runs.
        keep: u64,
    },
}

/// Listening sockets of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Socket {
    /// The name by which a process asks for them.
    pub name: String,
    /// Where they listen; port 0 takes a free one, read back by its user.
    pub address: SocketAddr,
    /// How many share the address, by SO_REUSEPORT. The first is bound without the option, so that
    /// a taken port shows.
    pub count: u32,
}

/// What only memory may hold, given on standard input as JSON when the supervisor starts.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Sensitive {
    /// Variables with secrets in them, by process.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
    /// Texts masked in every line, with the name that stands in their place.
    pub mask: BTreeMap<String, String>,
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sensitive({} values)", self.mask.len())
    }
}

/// What `exec` gives a command: a file that is removed as soon as it is read, before the command
/// runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Execution {
    /// Its whole environment, by which its program is found too.
    pub environment: BTreeMap<String, String>,
    /// Where it runs; where `exec` itself does by default.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// Whether it keeps the kind of terminal (`TERM`) that `exec` has, where its environment says
    /// none.
    #[serde(default = "yes")]
    pub keep_terminal: bool,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            environment: BTreeMap::new(),
            directory: None,
            keep_terminal: true,
        }
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Execution({} variables)", self.environment.len())
    }
}

impl Execution {
    /// Writes it to a new file: for its owner alone, or for all who reach its folder where that is
    /// shared (mode 0777, guarded by the folder above).
    ///
    /// # Errors
    /// Those of writing; `AlreadyExists` where the file is there.
    pub fn write(&self, file: &Path, shared: bool) -> io::Result<()> {
        let mut written = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(file)?;
        written.write_all(&serde_json::to_vec(self)?)?;
        if shared {
            written.set_permissions(PermissionsExt::from_mode(0o644))?;
        }
        Ok(())
    }
}
