//! The application as everyone but the parser sees it: one environment, every default filled in.
//!
//! These types are what a release seals, so they are written and read as JSON without loss. Names
//! in maps are sorted; lists keep the order of the file. Templates (`${…}`) stay unresolved where
//! their value is known only at run time: ports, and the values of secrets.

mod backing_setting;
mod edge;
mod platform;
mod rollout;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    name::Name,
    template::Value,
    units::{Cpu, Size, Time},
};

pub use backing_setting::RefusedSetting;
pub use edge::{Cors, Domain, Http, Public, Redirect, Route, Smoke};
pub use platform::{
    Alert, Backing, BackingKind, Backup, Hook, HookPoint, Job, Logs, Notify, Pipeline,
    RegistryLogin, SecretsFrom, Test, Volume,
};
pub use rollout::{GiveUp, Observe, Replicas, Restart, StartOrder, Stop, Strategy};

/// One application, resolved for one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct App {
    /// The app's name.
    pub app: Name,
    /// The environment that this is resolved for.
    pub environment: Name,
    /// Where services run that name no target of their own.
    pub target: Target,
    /// Time zone of jobs, backups and quiet hours; an IANA name.
    pub timezone: String,
    /// Services by name.
    pub services: BTreeMap<Name, Service>,
    /// Backing services by name.
    pub backing: BTreeMap<Name, Backing>,
    /// Scheduled jobs by name.
    pub jobs: BTreeMap<Name, Job>,
    /// Commands at points of a deployment.
    pub hooks: BTreeMap<HookPoint, Hook>,
    /// How long logs are kept.
    pub logs: Logs,
    /// Alert rules by their subject.
    pub alerts: BTreeMap<String, Alert>,
    /// Where news of deployments goes.
    pub notify: Vec<Notify>,
    /// The pipeline in front of a deployment.
    pub pipeline: Option<Pipeline>,
    /// Logins of image registries, by host.
    pub registries: BTreeMap<String, RegistryLogin>,
    /// Where secrets come from.
    pub secrets_from: SecretsFrom,
    /// Only a push to this branch may deploy.
    pub branch: Option<String>,
    /// Only what this environment has verified may be deployed.
    pub verified_in: Option<Name>,
    /// How many people must agree to a plan.
    pub approvals: u32,
    /// Password in front of everything: `user:password`.
    pub basic_auth: Option<Value>,
    /// One environment for each pull request.
    pub per_pull_request: bool,
    /// When an environment made for a pull request ends.
    pub expires: Option<Time>,
}

/// Where something runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// This machine.
    Local,
    /// A server by SSH: `ssh://user@host[:port]`.
    Ssh(String),
    /// A Dokku server: its SSH destination.
    Dokku(String),
    /// A Kubernetes cluster.
    Kubernetes {
        /// The context of the user's kubeconfig; the current one by default.
        context: Option<String>,
        /// The namespace; the app's name by default.
        namespace: Option<String>,
    },
    /// A Netlify site.
    Netlify(String),
    /// A Hugging Face Space: `owner/name`.
    HuggingFace(String),
}

/// What is built, shipped and scaled as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// Where it runs.
    pub target: Target,
    /// As processes or as containers.
    pub runtime: Runtime,
    /// Its folder, relative to the app file; `.` for that folder itself.
    pub root: String,
    /// What it is made of.
    pub source: Source,
    /// Where an image of it is published.
    pub push: Option<String>,
    /// Where the app listens; `$PORT` says it too.
    pub port: Option<u16>,
    /// A port opened on the machine.
    pub publish: Option<u16>,
    /// Open to the outside where a target needs that said.
    pub public: Public,
    /// Host names that lead here.
    pub domains: Vec<Domain>,
    /// Host and path routes that lead here.
    pub routes: Vec<Route>,
    /// Probes of the process that listens on `$PORT`, or of the only process.
    pub health: Health,
    /// Memory for all its processes together.
    pub memory: Option<Limits<Size>>,
    /// Processor time for all its processes together.
    pub cpu: Option<Limits<Cpu>>,
    /// Graphics processors.
    pub gpu: u32,
    /// Pages fetched through the front after the switch.
    pub smoke: Vec<Smoke>,
    /// Cross-origin answers, replacing those of the app.
    pub cors: Option<Cors>,
    /// Environment, all three strengths of both levels merged.
    pub env: BTreeMap<String, Value>,
    /// Secrets given to it, by name.
    pub secrets: BTreeMap<String, SecretUse>,
    /// Its processes in the order of the file; one named after the service where it has `command`.
    /// Empty for static files and for images that run their own command.
    pub processes: Vec<Process>,
    /// The folder of static files that is served, relative to the root or to `build`'s output.
    pub static_files: Option<String>,
    /// Backing services used: the name of each, and the variable that carries its URL.
    pub uses: BTreeMap<Name, String>,
    /// Run once per deployment with the new release, before it gets traffic.
    pub migrate: Option<Run>,
    /// How many run.
    pub replicas: Replicas,
    /// All replicas at once, or one until it is ready and then the others.
    pub start: StartOrder,
    /// How a new release takes the place of the old one.
    pub strategy: Strategy,
    /// How long old connections live after the switch.
    pub drain: Time,
    /// How a process is asked to end.
    pub stop: Stop,
    /// The window after the switch in which trouble rolls back.
    pub observe: Option<Observe>,
    /// Limits and headers of HTTP.
    pub http: Http,
    /// Redirects answered at the edge.
    pub redirects: Vec<Redirect>,
    /// Kept folders: name of each, and the path inside.
    pub volumes: BTreeMap<Name, Volume>,
    /// Files put in: path inside, and path in the repository.
    pub files: BTreeMap<String, String>,
    /// The user that it runs as.
    pub user: Option<u32>,
    /// Whether a container's own file system can't be written.
    #[serde(default)]
    pub read_only: bool,
    /// Folders in memory, in a container.
    #[serde(default)]
    pub tmpfs: Vec<String>,
    /// Capabilities that a container keeps, without `CAP_`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Most processes and threads in a container.
    #[serde(default)]
    pub pids: Option<u32>,
    /// Disk limit of a container's own file system.
    #[serde(default)]
    pub disk: Option<Size>,
    /// Whether and how strictly its image is scanned for vulnerabilities.
    #[serde(default)]
    pub scan: Option<Scan>,
    /// When and how its processes are started again.
    pub restart: Restart,
}

/// A scan of an image for known vulnerabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scan {
    /// Findings of this severity or worse stop a deployment.
    pub severity: Severity,
    /// Whether a deployment stops too where nothing could be scanned.
    pub required: bool,
}

/// How bad a vulnerability is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Service {
    /// The process that listens on `$PORT`, if the service has a port and processes.
    pub fn front(&self) -> Option<&Process> {
        self.processes.iter().find(|process| process.front)
    }
}

/// How a service runs where the target lets it choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Plain processes under our supervisor.
    Process,
    /// A container.
    Container,
}

/// What a service is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Built from the repository.
    Build(Build),
    /// Somebody else's image.
    Image(String),
    /// The same artifact as another service's.
    SameAs(Name),
}

/// How a service is built. Without `dockerfile` and `run` the builder is found by what stands in
/// the folder (requirements.txt, pyproject.toml, package.json, plain files).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Build {
    /// A Dockerfile, relative to the root.
    pub dockerfile: Option<String>,
    /// The build context, relative to the root.
    pub context: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, Value>,
    /// The stage to build.
    pub stage: Option<String>,
    /// Secrets given to the build.
    pub secrets: Vec<String>,
    /// A command that builds.
    pub run: Option<Run>,
    /// Environment of that command.
    pub env: BTreeMap<String, Value>,
    /// What a release keeps of the folder; all of it by default.
    pub output: Option<String>,
    /// Folders kept from build to build.
    pub cache: Vec<String>,
}

/// A command that stays: executed without a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Words of a string: `$NAME` and `${NAME}` of the process's own environment are expanded by us.
    Words(Vec<String>),
    /// A list, taken exactly as it stands.
    Exact(Vec<String>),
}

/// A command that happens once and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Run {
    /// Given verbatim to `sh -eu -c`.
    Shell(String),
    /// A list, taken exactly as it stands.
    Exact(Vec<String>),
}

/// One of several commands that share a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Process {
    /// Its name, unique in the service.
    pub name: Name,
    /// What it executes.
    pub kind: ProcessKind,
    /// Started once these are ready (or, if `run`, have ended well), stopped before them.
    pub after: Vec<Name>,
    /// Whether this is the one that listens on `$PORT`: the one whose command, environment or
    /// `port` names it, else the first that stays.
    pub front: bool,
    /// Whether health needs it.
    pub required: bool,
    /// Its own probes; for the front process the service's are merged in.
    pub health: Health,
    /// Relative to its siblings.
    pub priority: Priority,
    /// Its own memory limit.
    pub memory: Option<Size>,
    /// Its own processor limit.
    pub cpu: Option<Cpu>,
    /// Its whole environment: the service's and its own merged.
    pub env: BTreeMap<String, Value>,
}

/// Whether a process stays or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessKind {
    /// Stays, and is started again when it ends.
    Stays(Command),
    /// Must end with 0 before the others start.
    Ends(Run),
}

/// Processor priority relative to the siblings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Before the others.
    High,
    /// As it comes.
    #[default]
    Normal,
    /// After the others.
    Low,
}

/// The probes of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Health {
    /// Ready for traffic; `None`: ready once it has been up for `up`.
    pub ready: Option<Probe>,
    /// Still alive; `None`: alive while it runs. Only what the file names: never `ready` again.
    pub live: Option<Probe>,
    /// How long a start may take.
    pub start: Time,
    /// Between two probes.
    pub interval: Time,
    /// For one probe.
    pub timeout: Time,
    /// Failures in a row until it counts as not ready, or not alive.
    pub retries: u32,
    /// Ready after so long without a probe.
    pub up: Time,
}

/// One way to ask a process how it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// An HTTP request to `$PORT`.
    Http {
        /// Its path.
        path: String,
        /// The answer's status; any 2xx by default. A redirect is not healthy unless named here.
        status: Option<u16>,
        /// A text that the answer's body must contain.
        body: Option<String>,
    },
    /// A connection to `$PORT`, or to this port.
    Tcp {
        /// Another port than `$PORT`.
        port: Option<u16>,
    },
    /// A command that must end with 0.
    Run(Run),
}

/// A request and a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits<T> {
    /// What it is promised.
    pub request: Option<T>,
    /// What it may not exceed.
    pub limit: Option<T>,
}

/// How a service uses a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretUse {
    /// A deployment goes on without it.
    pub optional: bool,
}
