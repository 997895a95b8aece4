//! What surrounds the services: backing services, schedules, news, logs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    model::{Command, Run, Runtime},
    name::Name,
    template::Value,
    units::{Cpu, Share, Size, Time},
};

/// A kept folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Volume {
    /// Where the service finds it.
    pub path: String,
    /// Whether and how it is backed up.
    pub backup: Option<Backup>,
}

/// A database or cache the app uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Backing {
    /// What it is.
    pub kind: BackingKind,
    /// Its version.
    pub version: Option<String>,
    /// Somebody else's: never provisioned.
    pub url: Option<Value>,
    /// Its memory limit.
    pub memory: Option<Size>,
    /// Its disk limit.
    pub disk: Option<Size>,
    /// When it is backed up, and where to.
    pub backup: Option<Backup>,
    /// RDB snapshots of Redis: `"900 1"`.
    pub save: Vec<String>,
    /// Settings passed on as they are.
    pub settings: BTreeMap<String, String>,
    /// Extensions of PostgreSQL.
    pub extensions: Vec<String>,
    /// Scripts run at first start.
    pub init: Vec<String>,
    /// Environment of an image.
    pub env: BTreeMap<String, Value>,
    /// Port of an image.
    pub port: Option<u16>,
    /// As a process or as a container.
    #[serde(default = "contained")]
    pub runtime: Runtime,
    /// Its processor limit.
    #[serde(default)]
    pub cpu: Option<Cpu>,
    /// What an image executes in the place of its CMD.
    #[serde(default)]
    pub command: Option<Command>,
    /// The folder in which an image keeps its data.
    #[serde(default)]
    pub data: Option<String>,
    /// How an image shows that it is ready; a connection to its port by default.
    #[serde(default)]
    pub health: Option<Run>,
}

impl Backup {
    /// The secrets that its store is opened with.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let keys = [&self.access_key, &self.secret_key].into_iter().flatten();
        keys.filter_map(|value| match value {
            Value::Text(template) => Some(template),
            Value::Generate(_) => None,
        })
        .flat_map(|template| template.references())
        .filter_map(|reference| match reference {
            crate::Reference::Secret(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

impl super::App {
    /// What is backed up: backing services by their names, volumes as `SERVICE.VOLUME`.
    pub fn backups(&self) -> impl Iterator<Item = (String, &Backup)> {
        let backing = self
            .backing
            .iter()
            .filter_map(|(name, backing)| Some((name.to_string(), backing.backup.as_ref()?)));
        let volumes = self.services.iter().flat_map(|(service, facts)| {
            let volumes = facts.volumes.iter();
            volumes.filter_map(move |(volume, facts)| {
                Some((format!("{service}.{volume}"), facts.backup.as_ref()?))
            })
        });
        backing.chain(volumes)
    }
}

fn contained() -> Runtime {
    Runtime::Container
}

impl Backing {
    /// Whether it is ours to provision.
    pub fn own(&self) -> bool {
        self.url.is_none()
    }
}

/// Kinds of backing services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackingKind {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// Any image.
    Image(String),
}

/// When something is backed up, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Backup {
    /// A cron line of five fields.
    pub schedule: String,
    /// How long each is kept.
    pub keep: Time,
    /// `s3://bucket/prefix` or a folder.
    pub to: String,
    /// The S3 server.
    pub endpoint: Option<String>,
    /// Its region.
    #[serde(default)]
    pub region: Option<String>,
    /// The key to the bucket; none for a folder.
    #[serde(default)]
    pub access_key: Option<Value>,
    /// Its secret half.
    #[serde(default)]
    pub secret_key: Option<Value>,
    /// A command that quiesces a volume first.
    pub quiesce: Option<Run>,
}

/// Something run on schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Job {
    /// The command.
    pub run: Run,
    /// A cron line of five fields.
    pub schedule: String,
    /// In whose release and environment.
    pub service: Name,
    /// It is ended when it takes longer.
    #[serde(default)]
    pub timeout: Option<Time>,
}

/// Points of a deployment at which hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPoint {
    /// After the lock, before anything changes.
    Before,
    /// After the new release is ready, before the switch.
    Verified,
    /// After the switch.
    Switched,
    /// After the old release retired.
    After,
    /// After a deployment failed and was undone.
    Failed,
}

/// A command at a point of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hook {
    /// The command.
    pub run: Run,
    /// In whose release and environment.
    pub service: Name,
}

/// How long logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Logs {
    /// By age.
    pub keep: Time,
    /// By size, for each service.
    pub max: Size,
}

/// An alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Alert {
    /// The share above which it fires.
    pub above: Share,
    /// For how long.
    pub lasting: Option<Time>,
}

/// Where news goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Notify {
    /// The kind: `slack`, `webhook`, `email`, …
    pub kind: String,
    /// Its address.
    pub to: Value,
    /// Which news: `started`, `succeeded`, `failed`, `rolled-back`, `alert`.
    pub on: Vec<String>,
}

/// What must pass before a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pipeline {
    /// The tests in order.
    pub tests: Vec<Test>,
    /// Least coverage of all reports together.
    pub coverage: Option<Share>,
    /// For all tests together.
    pub timeout: Option<Time>,
}

/// One test of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Test {
    /// The command.
    pub run: Run,
    /// Its folder, relative to the app file.
    pub root: String,
    /// A coverage report it writes.
    pub report: Option<String>,
}

/// A login of an image registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RegistryLogin {
    /// The user.
    pub username: Value,
    /// The password or token.
    pub password: Value,
}

/// Where the values of secrets come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretsFrom {
    /// `landfall.secrets.toml`.
    #[default]
    File,
    /// The environment of the command.
    Env,
    /// A command's standard output; `{environment}` and `{name}` are put in.
    Command(Vec<String>),
}
