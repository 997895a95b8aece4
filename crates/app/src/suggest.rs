//! What the user may have meant: the nearest valid word, or our word for another tool's.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::grammar::{APP, Shape, Table};

/// Longer words aren't compared: nobody mistypes them.
const LONGEST: usize = 64;

/// The valid word nearest to this one, if any is near enough.
pub(crate) fn nearest<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST || word.is_empty() {
        return None;
    }
    let word = word.to_lowercase().replace('_', "-");
    let length = word.chars().count();
    let most = match length {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    valid
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            (
                strsim::osa_distance(&word, &candidate.to_lowercase().replace('_', "-")),
                candidate,
            )
        })
        .filter(|(distance, candidate)| {
            *distance <= most && *distance < length.max(candidate.chars().count())
        })
        .filter(|(distance, _)| length > 3 || *distance <= 1)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Other tools' words: the table they are met in (or any), theirs, ours, and what to know.
const FOREIGN: &[(&str, &str, &str, &str)] = &[
    (
        "app-file",
        "servers",
        "environment",
        "where it runs: [environment.production] target = \"ssh://user@host\"",
    ),
    (
        "app-file",
        "hosts",
        "environment",
        "where it runs: [environment.production] target = \"ssh://user@host\"",
    ),
    (
        "service",
        "servers",
        "target",
        "where it runs: [environment.production] target = \"ssh://user@host\"",
    ),
    (
        "app-file",
        "services",
        "service",
        "each service is a table: [service.web]",
    ),
    ("app-file", "name", "app", ""),
    ("app-file", "project", "app", ""),
    (
        "app-file",
        "version",
        "requires-landfall",
        "the file has no version of its own",
    ),
    ("app-file", "minimum_version", "requires-landfall", ""),
    (
        "app-file",
        "environments",
        "environment",
        "each is a table: [environment.production]",
    ),
    ("app-file", "env-vars", "env", ""),
    (
        "app-file",
        "accessories",
        "backing",
        "each is a table: [backing.postgres]",
    ),
    (
        "app-file",
        "databases",
        "backing",
        "each is a table: [backing.postgres]",
    ),
    (
        "app-file",
        "addons",
        "backing",
        "each is a table: [backing.postgres]",
    ),
    (
        "app-file",
        "cron",
        "job",
        "each is a table: [job.nightly] with `run` and `schedule`",
    ),
    (
        "app-file",
        "crons",
        "job",
        "each is a table: [job.nightly] with `run` and `schedule`",
    ),
    (
        "app-file",
        "jobs",
        "job",
        "each is a table: [job.nightly] with `run` and `schedule`",
    ),
    (
        "app-file",
        "hooks",
        "hook",
        "each has its point: [hook] switched = \"…\"",
    ),
    ("app-file", "alerts", "alert", ""),
    (
        "app-file",
        "notifications",
        "notify",
        "each is an entry: [[notify]]",
    ),
    (
        "app-file",
        "registries",
        "registry",
        "each is a table: [registry.\"ghcr.io\"]",
    ),
    ("app-file", "logging", "logs", ""),
    (
        "app-file",
        "tests",
        "pipeline",
        "[pipeline] tests = [{ run = \"…\" }]",
    ),
    (
        "app-file",
        "ci",
        "pipeline",
        "[pipeline] tests = [{ run = \"…\" }]",
    ),
    ("app-file", "tz", "timezone", ""),
    ("app-file", "time-zone", "timezone", ""),
    (
        "service",
        "ports",
        "port",
        "`port` is where the app listens, `publish` opens one on the machine",
    ),
    ("service", "expose", "port", ""),
    ("service", "internal_port", "port", ""),
    ("service", "target_port", "port", ""),
    ("service", "app_port", "port", ""),
    ("service", "published", "publish", ""),
    (
        "service",
        "hosts",
        "domains",
        "a service names its own domains; the machine it runs on is the environment's `target`",
    ),
    ("service", "host", "domains", ""),
    ("service", "hostname", "domains", ""),
    (
        "service",
        "domain",
        "domains",
        "domains = [\"shop.example.com\"]",
    ),
    (
        "service",
        "proxy",
        "routes",
        "`domains`, `routes`, `http` and `health` say what a proxy needs",
    ),
    (
        "service",
        "ingress",
        "routes",
        "`domains` and `routes` say what leads to a service",
    ),
    ("service", "release_command", "migrate", ""),
    ("service", "pre_deploy", "migrate", ""),
    ("service", "predeploycommand", "migrate", ""),
    ("service", "release", "migrate", ""),
    ("service", "instances", "replicas", ""),
    ("service", "scale", "replicas", ""),
    ("service", "count", "replicas", ""),
    ("service", "numreplicas", "replicas", ""),
    (
        "service",
        "processes",
        "process",
        "each process is a table: [service.web.process.worker]",
    ),
    ("service", "dockerfile", "build", "build = \"Dockerfile\""),
    ("service", "context", "build", "build = { context = \"…\" }"),
    ("service", "builder", "build", ""),
    (
        "service",
        "build_command",
        "build",
        "build = { run = \"…\" }",
    ),
    ("service", "args", "build", "build = { args = { … } }"),
    (
        "service",
        "output",
        "build",
        "build = { run = \"…\", output = \"…\" }",
    ),
    ("service", "publish_dir", "static", ""),
    ("service", "site", "static", ""),
    (
        "service",
        "mounts",
        "volumes",
        "volumes = { data = \"/var/lib/shop\" }",
    ),
    (
        "service",
        "disk",
        "volumes",
        "volumes = { data = \"/var/lib/shop\" }",
    ),
    (
        "service",
        "volume",
        "volumes",
        "volumes = { data = \"/var/lib/shop\" }",
    ),
    ("service", "configs", "files", ""),
    ("service", "links", "uses", ""),
    ("service", "databases", "uses", ""),
    (
        "service",
        "accessories",
        "uses",
        "what it uses stands in [backing.postgres]",
    ),
    (
        "service",
        "kill_signal",
        "stop",
        "stop = { signal = \"SIGINT\" }",
    ),
    (
        "service",
        "stop_signal",
        "stop",
        "stop = { signal = \"SIGINT\" }",
    ),
    (
        "service",
        "kill_timeout",
        "stop",
        "stop = { grace = \"30s\" }",
    ),
    (
        "service",
        "stop_grace_period",
        "stop",
        "stop = { grace = \"30s\" }",
    ),
    (
        "service",
        "stop_timeout",
        "stop",
        "stop = { grace = \"30s\" }",
    ),
    ("service", "drain_timeout", "drain", ""),
    ("service", "restart_policy", "restart", ""),
    ("service", "deploy", "strategy", ""),
    (
        "service",
        "resources",
        "memory",
        "`memory` and `cpu` say what it gets",
    ),
    ("service", "mem_limit", "memory", ""),
    (
        "service",
        "limits",
        "memory",
        "`memory` and `cpu` say what it gets",
    ),
    ("service", "cpus", "cpu", ""),
    ("service", "gpus", "gpu", ""),
    ("service", "working_dir", "root", ""),
    ("service", "workdir", "root", ""),
    ("service", "directory", "root", ""),
    ("service", "path", "root", ""),
    ("service", "headers", "http", "http = { headers = { … } }"),
    (
        "service",
        "rate_limit",
        "http",
        "http = { rate = \"50/s\" }",
    ),
    ("service", "timeout", "http", "http = { timeout = \"60s\" }"),
    ("service", "region", "target", ""),
    (
        "service",
        "depends_on",
        "uses",
        "a service starts after the backing services it `uses`; inside of a service a process waits by `after`",
    ),
    (
        "service",
        "after",
        "process",
        "`after` orders the processes of one service: [service.web.process.worker]; services find each other by ${service.X.url}",
    ),
    ("process", "depends_on", "after", ""),
    (
        "process",
        "autorestart",
        "required",
        "what stays is always started again",
    ),
    (
        "process",
        "instances",
        "priority",
        "a process doesn't scale alone: make it a service of its own",
    ),
    (
        "process",
        "replicas",
        "priority",
        "a process doesn't scale alone: make it a service of its own",
    ),
    ("process", "autostart", "after", ""),
    ("process", "nice", "priority", ""),
    ("health", "path", "ready", ""),
    ("health", "test", "run", ""),
    ("health", "initial_delay", "start", ""),
    ("health", "start_period", "start", ""),
    ("health", "grace_period", "start", ""),
    ("health", "period", "interval", ""),
    ("health", "port", "tcp", ""),
    ("health", "failure_threshold", "retries", ""),
    ("health", "max_attempts", "retries", ""),
    (
        "replicas",
        "count",
        "max",
        "a fixed number is `replicas = 2`, without `min` and `max`",
    ),
    (
        "environment",
        "host",
        "target",
        "target = \"ssh://user@host\"",
    ),
    (
        "environment",
        "hosts",
        "target",
        "target = \"ssh://user@host\"",
    ),
    (
        "environment",
        "server",
        "target",
        "target = \"ssh://user@host\"",
    ),
    (
        "environment",
        "servers",
        "target",
        "target = \"ssh://user@host\"",
    ),
    (
        "environment",
        "namespace",
        "target",
        "target = { kubernetes = { namespace = \"…\" } }",
    ),
    (
        "environment",
        "context",
        "target",
        "target = { kubernetes = { context = \"…\" } }",
    ),
    ("environment", "inherits", "extends", ""),
    ("environment", "from", "extends", ""),
    ("environment", "services", "service", ""),
    (
        "environment",
        "domains",
        "service",
        "domains are a service's: service.web.domains = […]",
    ),
    (
        "environment",
        "replicas",
        "service",
        "replicas are a service's: service.web.replicas = 2",
    ),
    ("backing", "type", "kind", ""),
    ("backing", "host", "url", ""),
    ("backing", "storage", "disk", ""),
    ("backing", "backups", "backup", ""),
    ("backup", "retention", "keep", ""),
    ("backup", "cron", "schedule", ""),
    ("backup", "bucket", "to", "to = \"s3://bucket/prefix\""),
    ("job", "cron", "schedule", ""),
    ("", "environment", "env", ""),
    ("", "environment_variables", "env", ""),
    ("", "envs", "env", ""),
    ("", "variables", "env", ""),
    ("", "vars", "env", ""),
    (
        "",
        "env_file",
        "secrets",
        "plain values stand in `env`; secret ones are named in `secrets` and valued by `landfall secrets import`",
    ),
    ("", "secret", "secrets", ""),
    ("", "healthcheck", "health", ""),
    ("", "health_check", "health", ""),
    ("", "healthcheck_path", "health", ""),
    ("", "health_check_path", "health", ""),
    ("", "checks", "health", ""),
    ("", "readiness", "health", "health = { ready = \"/ready\" }"),
    ("", "cmd", "command", ""),
    ("", "entrypoint", "command", ""),
    ("", "exec", "command", ""),
    ("", "start_command", "command", ""),
    ("", "startcommand", "command", ""),
    ("", "script", "run", ""),
    ("", "command", "run", ""),
    ("", "mem", "memory", ""),
    ("", "ram", "memory", ""),
    ("", "cpus", "cpu", ""),
    ("", "type", "kind", ""),
];

/// What to say about a key that a table doesn't have.
pub(crate) struct Suggestion {
    pub label: String,
    pub help: Option<String>,
    /// The key that was meant, where that is plain.
    pub meant: Option<&'static str>,
}

impl Suggestion {
    /// Nothing but that it is unknown.
    pub fn none() -> Self {
        Self {
            label: "unknown here".to_owned(),
            help: None,
            meant: None,
        }
    }
}

/// What to say about a key that a table doesn't have.
pub(crate) fn unknown_key(table: &Table, word: &str) -> Suggestion {
    if word.len() <= LONGEST {
        let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
        let wanted = plain(word);
        let foreign = FOREIGN.iter().find(|(place, theirs, ours, _)| {
            (place.is_empty() || *place == table.name)
                && plain(theirs) == wanted
                && table.key(ours).is_some()
        });
        if let Some((_, _, ours, known)) = foreign {
            let help = (!known.is_empty()).then(|| (*known).to_owned());
            return Suggestion {
                label: format!("this is called `{ours}` here"),
                help,
                meant: Some(ours),
            };
        }
        if let Some(near) = nearest(word, table.keys.iter().map(|key| key.name)) {
            return Suggestion {
                label: format!("did you mean `{near}`?"),
                help: None,
                meant: Some(near),
            };
        }
        if let Some(places) = places().get(word) {
            let places: Vec<_> = places
                .iter()
                .copied()
                .filter(|title| *title != table.title)
                .take(3)
                .collect();
            if !places.is_empty() {
                return Suggestion {
                    label: format!("`{word}` is a key of {}", places.join(", of ")),
                    ..Suggestion::none()
                };
            }
        }
    }
    let names: Vec<_> = table.keys.iter().map(|key| key.name).collect();
    Suggestion {
        help: Some(format!("{} has: {}", table.title, names.join(", "))),
        ..Suggestion::none()
    }
}

/// In which tables each key of the grammar stands.
fn places() -> &'static BTreeMap<&'static str, Vec<&'static str>> {
    static PLACES: OnceLock<BTreeMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    PLACES.get_or_init(|| {
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for table in tables() {
            for key in table.keys {
                places.entry(key.name).or_default().push(table.title);
            }
        }
        places
    })
}

/// All tables of the grammar, each once, in the order of the reference.
pub(crate) fn tables() -> Vec<&'static Table> {
    fn add(table: &'static Table, tables: &mut Vec<&'static Table>) {
        if tables.iter().any(|known| known.name == table.name) {
            return;
        }
        tables.push(table);
        for key in table.keys {
            add_shape(&key.shape, tables);
        }
    }
    fn add_shape(shape: &'static Shape, tables: &mut Vec<&'static Table>) {
        match shape {
            Shape::Scalar(_) => {}
            Shape::Table(table) => add(table, tables),
            Shape::List(inner) | Shape::Map(_, inner) => add_shape(inner, tables),
            Shape::Either(shapes) => shapes.iter().for_each(|shape| add_shape(shape, tables)),
        }
    }
    let mut all = Vec::new();
    add(&APP, &mut all);
    all
}
