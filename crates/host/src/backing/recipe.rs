//! What a server is started with: its command, its environment, how it is seen to be ready and how it
//! is asked to end. Pure; the same for a plain process and for process 1 of its image, but for where
//! programs and data are.

use std::collections::BTreeMap;

use landfall_app::model::{Backing, BackingKind, Command, RefusedSetting, Run};
use landfall_redact::Secret;
use landfall_release::{Failure, ImageConfig};
use sha2::{Digest as _, Sha256};

use super::packages::Programs;
use crate::specification::words;

/// The superuser of PostgreSQL; apps never log in as it.
pub const SUPERUSER: &str = "postgres";

/// Everything that a recipe is made from.
pub struct Facts<'a> {
    /// As the file says.
    pub wanted: &'a Backing,
    /// The port that it listens on.
    pub port: u16,
    /// Where it finds its data.
    pub data: &'a str,
    /// Its programs on this machine; none in a container.
    pub programs: Option<&'a Programs>,
    /// What the author of its image set; none as a plain process.
    pub image: Option<&'a ImageConfig>,
    /// The password of apps.
    pub password: &'a Secret,
    /// The password of the superuser.
    pub superuser: &'a Secret,
    /// The environment of an image, rendered: plain values and secret ones.
    pub env: (BTreeMap<String, String>, BTreeMap<String, String>),
}

/// What a server is started with.
#[derive(PartialEq)]
pub struct Recipe {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Plain variables.
    pub plain: BTreeMap<String, String>,
    /// Variables with secrets in them.
    pub secret: BTreeMap<String, String>,
    /// A command that ends with 0 when it is ready; none: a connection to its port.
    pub ready: Option<Vec<String>>,
    /// The signal that ends it well.
    pub signal: String,
    /// Seconds until it is killed.
    pub grace: u64,
}

/// The recipe of a backing service.
pub fn recipe(facts: &Facts<'_>) -> Recipe {
    match facts.wanted.kind {
        BackingKind::Postgres => postgres(facts),
        BackingKind::Redis => redis(facts),
        BackingKind::Image(_) => image(facts),
    }
}

/// Settings that the file may not set.
pub fn refuse_own(name: &str, wanted: &Backing) -> Result<(), Failure> {
    let mut settings = wanted.settings.iter();
    let refused = settings.find_map(|(setting, value)| {
        let why = wanted.kind.refuses_setting(setting, value)?;
        Some((setting, why))
    });
    let Some((setting, why)) = refused else {
        return Ok(());
    };
    let (what, mend) = match why {
        RefusedSetting::Own => (
            "set by Landfall",
            "take it out; `memory` and `save` are keys of their own",
        ),
        RefusedSetting::NotOne => (
            "not one setting with its value",
            "each setting by its name in the server's manual",
        ),
    };
    let message = format!("`settings.{setting}` of {name} is {what}");
    Err(Failure::new("bad-backing", message).with("mend", mend))
}

/// Settings of PostgreSQL that fit its memory. What the file sets wins.
pub fn postgres_settings(wanted: &Backing) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let connections: u64 = wanted
        .settings
        .get("max_connections")
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(100);
    settings.insert("max_connections".to_owned(), connections.to_string());
    if let Some(memory) = wanted.memory {
        let kib = memory.bytes() >> 10;
        let shared = (kib / 4).max(128);
        // Three sorts at once for each connection, of what the shared buffers leave.
        let work = (kib.saturating_sub(shared) / (3 * connections.max(1))).clamp(1 << 10, 64 << 10);
        let maintenance = (kib / 16).clamp(1 << 10, 2 << 20);
        for (name, value) in [
            ("shared_buffers", shared),
            ("effective_cache_size", kib / 4 * 3),
            ("work_mem", work),
            ("maintenance_work_mem", maintenance),
        ] {
            settings.insert(name.to_owned(), format!("{value}kB"));
        }
    }
    settings.extend(wanted.settings.clone());
    settings
}

fn postgres(facts: &Facts<'_>) -> Recipe {
    let mut command = entrypoint(facts);
    command.push(program(facts, "postgres"));
    if facts.programs.is_some() {
        command.extend(["-D", facts.data].map(str::to_owned));
    }
    let mut set = |name: &str, value: &str| {
        command.extend(["-c".to_owned(), format!("{name}={value}")]);
    };
    if facts.programs.is_some() {
        set("listen_addresses", "127.0.0.1");
        // Nobody needs one, and its path could be too long.
        set("unix_socket_directories", "");
    }
    let port = facts.port.to_string();
    set("port", &port);
    set("password_encryption", "scram-sha-256");
    for (name, value) in postgres_settings(facts.wanted) {
        set(&name, &value);
    }
    let mut plain = base(facts);
    for (name, value) in [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", port.as_str()),
        ("PGUSER", SUPERUSER),
        ("PGDATABASE", "postgres"),
        ("PGCONNECT_TIMEOUT", "3"),
    ] {
        plain.insert(name.to_owned(), value.to_owned());
    }
    let superuser = facts.superuser.expose().to_owned();
    let mut secret = BTreeMap::from([("PGPASSWORD".to_owned(), superuser.clone())]);
    if facts.programs.is_none() {
        // The image's first start uses its own socket, as whom it is told here.
        plain.remove("PGHOST");
        plain.remove("PGPORT");
        plain.insert("PGDATA".to_owned(), facts.data.to_owned());
        plain.insert("POSTGRES_USER".to_owned(), SUPERUSER.to_owned());
        plain.insert("POSTGRES_DB".to_owned(), "postgres".to_owned());
        secret.insert("POSTGRES_PASSWORD".to_owned(), superuser);
    }
    let psql = program(facts, "psql");
    let ready = [&psql, "-h", "127.0.0.1", "-p", &port, "-XAtqc", "SELECT 1"];
    Recipe {
        command,
        plain,
        secret,
        ready: Some(ready.map(str::to_owned).to_vec()),
        // The fast way: sessions end, nothing is lost, and the next start has nothing to repair.
        signal: "SIGINT".to_owned(),
        grace: 60,
    }
}

fn redis(facts: &Facts<'_>) -> Recipe {
    let mut command = entrypoint(facts);
    command.push(program(facts, "redis-server"));
    let mut set = |words: &[&str]| command.extend(words.iter().map(|word| (*word).to_owned()));
    let port = facts.port.to_string();
    set(&["--port", &port, "--dir", facts.data]);
    set(&["--daemonize", "no", "--protected-mode", "no"]);
    // A dump is asked for by one client alone; nobody else is waited for.
    set(&["--repl-diskless-sync-delay", "0"]);
    if facts.programs.is_some() {
        set(&["--bind", "127.0.0.1"]);
    }
    if facts.programs.is_some_and(keeps_title) {
        set(&["--set-proc-title", "no"]);
    }
    // The digest of a long random password says nothing about it, so that it may be an argument.
    let digest = hexadecimal(&Sha256::digest(facts.password.expose().as_bytes()));
    let digest = format!("#{digest}");
    set(&["--user", "default", "on", &digest, "~*", "&*", "+@all"]);
    for line in &facts.wanted.save {
        set(&["--save"]);
        match line.trim() {
            "" => set(&[""]),
            line => set(&line.split_whitespace().collect::<Vec<_>>()),
        }
    }
    if let Some(memory) = facts.wanted.memory {
        set(&["--maxmemory", &for_data(memory.bytes()).to_string()]);
    }
    for (name, value) in [("maxmemory-policy", "noeviction"), ("appendonly", "no")] {
        if !facts.wanted.settings.contains_key(name) {
            set(&[&format!("--{name}"), value]);
        }
    }
    for (name, value) in &facts.wanted.settings {
        set(&[&format!("--{name}")]);
        set(&value.split_whitespace().collect::<Vec<_>>());
    }
    let cli = program(facts, "redis-cli");
    // `redis-cli` ends with 0 also where the server says no.
    let ask = "test \"$(\"$0\" -h 127.0.0.1 -p \"$1\" PING)\" = PONG";
    let ready = ["/bin/sh", "-c", ask, &cli, &port];
    let password = facts.password.expose().to_owned();
    Recipe {
        command,
        plain: base(facts),
        secret: BTreeMap::from([("REDISCLI_AUTH".to_owned(), password)]),
        ready: Some(ready.map(str::to_owned).to_vec()),
        signal: "SIGTERM".to_owned(),
        grace: 60,
    }
}

/// The memory of a Redis for data. The rest is for itself, for the buffers of clients, and for the
/// pages that change during a snapshot.
fn for_data(memory: u64) -> u64 {
    let rest = (memory / 4).max(16 << 20);
    memory.saturating_sub(rest).max(memory / 2)
}

/// Whether a Redis can keep the title that it was started with, so that it is found by its
/// environment, which another title overwrites.
fn keeps_title(programs: &Programs) -> bool {
    let mut parts = programs.version.split('.');
    let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
    (part(), part()) >= (Some(6), Some(2))
}

fn image(facts: &Facts<'_>) -> Recipe {
    let none = ImageConfig::default();
    let config = facts.image.unwrap_or(&none);
    let mut command = config.entrypoint.clone();
    match &facts.wanted.command {
        Some(Command::Words(words) | Command::Exact(words)) => command.extend(words.clone()),
        None => command.extend(config.command.clone()),
    }
    let mut plain = base(facts);
    plain.extend(facts.env.0.clone());
    let own_check = config.health_check.as_ref();
    let own_check = own_check.map(|check| check.command.clone());
    let signal = config.stop_signal.clone();
    Recipe {
        command,
        plain,
        secret: facts.env.1.clone(),
        ready: facts
            .wanted
            .health
            .as_ref()
            .map(|run: &Run| words(run))
            .or(own_check),
        signal: signal.unwrap_or_else(|| "SIGTERM".to_owned()),
        grace: 30,
    }
}

/// A program of this machine's packages, or of an image, which has it on its path.
fn program(facts: &Facts<'_>, name: &str) -> String {
    match facts.programs {
        Some(programs) => programs.path(name),
        None => name.to_owned(),
    }
}

/// What an image runs in front of its server.
fn entrypoint(facts: &Facts<'_>) -> Vec<String> {
    let entrypoint = facts.image.map(|image| image.entrypoint.clone());
    entrypoint.unwrap_or_default()
}

/// The environment that everything has: an image's own, or a clean one.
fn base(facts: &Facts<'_>) -> BTreeMap<String, String> {
    match facts.image {
        Some(image) => image.environment.clone(),
        None => BTreeMap::from([
            (
                "PATH".to_owned(),
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            ),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ]),
    }
}

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::app;

    fn wanted(text: &str, name: &str) -> Backing {
        let text = format!("[service.web]\ncommand = \"bin/web\"\n{text}");
        app(&text).backing[name].clone()
    }

    fn recipe_of(wanted: &Backing, image: Option<&ImageConfig>) -> Recipe {
        let programs = Programs {
            version: "15".to_owned(),
            folder: "/programs".into(),
        };
        recipe(&Facts {
            wanted,
            port: 21_000,
            data: "/data",
            programs: image.is_none().then_some(&programs),
            image,
            password: &Secret::new("app-password".to_owned()),
            superuser: &Secret::new("super-password".to_owned()),
            env: Default::default(),
        })
    }

    #[test]
    fn settings_of_postgres_fit_its_memory() {
        let wanted = wanted(
            "[backing.postgres]\nmemory = \"1GiB\"\nsettings = { work_mem = \"8MB\" }",
            "postgres",
        );
        let settings = postgres_settings(&wanted);
        let of = |name: &str| settings[name].as_str();
        assert_eq!(of("shared_buffers"), "262144kB");
        assert_eq!(of("effective_cache_size"), "786432kB");
        assert_eq!(of("maintenance_work_mem"), "65536kB");
        assert_eq!((of("work_mem"), of("max_connections")), ("8MB", "100"));
    }

    #[test]
    fn no_password_is_an_argument_or_a_plain_variable() {
        for (text, name) in [
            ("[backing.postgres]", "postgres"),
            ("[backing.redis]", "redis"),
        ] {
            let image = ImageConfig {
                entrypoint: vec!["docker-entrypoint.sh".to_owned()],
                ..ImageConfig::default()
            };
            for image in [None, Some(&image)] {
                let recipe = recipe_of(&wanted(text, name), image);
                let shown = format!("{:?}{:?}{:?}", recipe.command, recipe.plain, recipe.ready);
                assert!(!shown.contains("app-password") && !shown.contains("super-password"));
                assert!(!recipe.secret.is_empty());
                let first = recipe.command[0].as_str();
                assert_eq!(first == "docker-entrypoint.sh", image.is_some());
            }
        }
    }

    #[test]
    fn redis_is_told_its_limit_and_when_to_save() {
        let wanted = wanted(
            "[backing.redis]\nmemory = \"100MiB\"\nsave = [\"900 1\", \"300 10\"]\n\
             settings = { maxmemory-policy = \"allkeys-lru\" }",
            "redis",
        );
        let command = recipe_of(&wanted, None).command.join(" ");
        assert!(command.contains("--save 900 1 --save 300 10 --maxmemory 78643200"));
        assert!(command.contains("--maxmemory-policy allkeys-lru"));
        assert!(!command.contains("noeviction"));
    }

    #[test]
    fn settings_that_are_landfalls_are_refused() {
        // `check` says so first; a release of before it did is refused here.
        let refused = |name: &str, setting: &str, value: &str| {
            let mut wanted = wanted(&format!("[backing.{name}]"), name);
            wanted.settings.insert(setting.to_owned(), value.to_owned());
            let refused = refuse_own(name, &wanted).err();
            refused.map(|failure| failure.name)
        };
        for (name, setting, value) in [
            ("postgres", "port", "5432"),
            ("postgres", "Port", "5432"),
            ("postgres", "listen-addresses", "*"),
            ("postgres", "port=5432", ""),
            ("redis", "Bind", "0.0.0.0"),
            ("redis", "include", "/etc/redis.conf"),
            ("redis", "RENAME-command", "CONFIG x"),
            ("redis", "hz", "10 --port 1"),
        ] {
            assert_eq!(
                refused(name, setting, value).as_deref(),
                Some("bad-backing"),
                "{setting}"
            );
        }
        assert_eq!(refused("postgres", "work_mem", "8MB"), None);
        assert_eq!(refused("redis", "maxmemory-policy", "allkeys-lru"), None);
    }
}
