//! Backing services: databases and caches of the app's own, with their data, their settings and how they
//! are seen to be ready. Those of somebody else are only addresses.

use landfall_app::{
    Name,
    model::{Backing, BackingKind, Runtime},
};
use landfall_yaml::{Map, Node};

use super::{
    limits::{limits, size},
    probe,
    service::logging,
    value::{Writer, database},
    variables::literal,
};

/// What the entry points of the official images need: they begin as root, give their data to a user and
/// become that.
const CAPABILITIES: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];

/// What a backing service brings into the file.
#[derive(Debug, Default)]
pub struct Parts {
    /// Its service.
    pub service: Map,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Files that stand in the compose file itself, by name.
    pub configs: Vec<(String, String)>,
}

/// Whether others can wait until it is healthy.
pub fn seen(backing: &Backing) -> bool {
    !matches!(backing.kind, BackingKind::Image(_)) || backing.health.is_some()
}

/// One of the app's own.
pub fn write(writer: &mut Writer<'_>, name: &Name, backing: &Backing) -> Parts {
    let own = writer
        .backing_name(name)
        .unwrap_or(name.as_str())
        .to_owned();
    let mut parts = Parts::default();
    let version = match (&backing.kind, &backing.version) {
        (BackingKind::Image(_), None) => String::new(),
        (_, Some(version)) => format!(":{version}"),
        (_, None) => {
            writer.note(
                format!("backing.{name}.version"),
                "none is said: the image's latest is taken, whichever that is",
            );
            ":latest".to_owned()
        }
    };
    let image = match &backing.kind {
        BackingKind::Postgres => format!("postgres{version}"),
        BackingKind::Redis => format!("redis{version}"),
        BackingKind::Image(image) if image.contains('@') => image.clone(),
        BackingKind::Image(image) => format!("{image}{version}"),
    };
    parts.service.set("image", literal(&image));
    match backing.kind {
        BackingKind::Postgres => postgres(writer, name, backing, &own, &mut parts),
        BackingKind::Redis => redis(writer, name, backing, &own, &mut parts),
        BackingKind::Image(_) => any_image(writer, name, backing, &own, &mut parts),
    }
    let service = &mut parts.service;
    service.set("cap_drop", Node::Flow(vec!["ALL".into()]));
    service.set("cap_add", Node::Flow(CAPABILITIES.map(Node::from).to_vec()));
    service.set(
        "security_opt",
        Node::Flow(vec!["no-new-privileges:true".into()]),
    );
    service
        .set("restart", "unless-stopped")
        .set("stop_grace_period", "60s");
    if backing.kind == BackingKind::Postgres {
        // Parallel queries share their memory there.
        let shared = backing
            .memory
            .map_or(256 << 20, |memory| memory.bytes() / 4)
            .max(64 << 20);
        service.set("shm_size", size(shared));
    }
    if let Some(memory) = backing.memory {
        service.set("memswap_limit", size(memory.bytes()));
    }
    let limits = limits(backing.memory, backing.cpu, None);
    if !limits.is_empty() {
        let mut resources = Map::new();
        resources.set("limits", limits);
        let mut deploy = Map::new();
        deploy.set("resources", resources);
        service.set("deploy", deploy);
    }
    service.set("logging", logging(writer.app));
    left_out(writer, name, backing);
    parts
}

fn left_out(writer: &mut Writer<'_>, name: &Name, backing: &Backing) {
    if backing.backup.is_some() {
        writer.note(
            format!("backing.{name}.backup"),
            "nothing backs it up here: have pg_dump, or a copy of its volume, run by schedule",
        );
    }
    if backing.runtime == Runtime::Process {
        writer.note(
            format!("backing.{name}.runtime"),
            "it is a container here, with data of its own",
        );
    }
    if let Some(disk) = backing.disk {
        writer.note(
            format!("backing.{name}.disk"),
            format!("nobody watches that it stays below {disk}"),
        );
    }
}

/// A volume at a place.
fn mount(parts: &mut Parts, own: &str, place: &str) -> Map {
    let volume = format!("{own}.data");
    parts.volumes.push(volume.clone());
    let mut mount = Map::new();
    mount
        .set("type", "volume")
        .set("source", volume)
        .set("target", literal(place));
    mount
}

/// A script of the repository, read at the first start.
fn script(source: &str, target: &str) -> Map {
    let mut bind = Map::new();
    bind.set("create_host_path", false);
    let mut mount = Map::new();
    mount
        .set("type", "bind")
        .set(
            "source",
            literal(&format!("./{}", source.trim_start_matches("./"))),
        )
        .set("target", target)
        .set("read_only", true)
        .set("bind", bind);
    mount
}

fn postgres(writer: &mut Writer<'_>, name: &Name, backing: &Backing, own: &str, parts: &mut Parts) {
    let user = database(writer.app);
    let settings = settings(backing);
    if !settings.is_empty() {
        let mut command = vec!["postgres".to_owned()];
        for (setting, value) in settings {
            command.extend(["-c".to_owned(), literal(&format!("{setting}={value}"))]);
        }
        parts.service.set(
            "command",
            Node::Flow(command.into_iter().map(Node::from).collect()),
        );
    }
    let password = writer.password(name);
    let mut environment = Map::new();
    environment
        .set("POSTGRES_DB", user.as_str())
        .set("POSTGRES_PASSWORD", password)
        .set("POSTGRES_USER", user.as_str());
    parts.service.set("environment", environment);
    // From 18 on the image keeps its data in a folder of the version's below.
    let major = backing
        .version
        .as_deref()
        .and_then(|version| version.split(['.', '-']).next()?.parse::<u32>().ok());
    let place = match major {
        Some(..18) => "/var/lib/postgresql/data",
        _ => "/var/lib/postgresql",
    };
    let mut mounts = vec![Node::Map(mount(parts, own, place))];
    for (index, path) in backing.init.iter().enumerate() {
        let file = path.rsplit('/').next().unwrap_or(path);
        mounts.push(
            script(
                path,
                &literal(&format!(
                    "/docker-entrypoint-initdb.d/{:02}-{file}",
                    index + 10
                )),
            )
            .into(),
        );
    }
    parts.service.set("volumes", mounts);
    if !backing.extensions.is_empty() {
        let sql: String = backing
            .extensions
            .iter()
            .map(|extension| match extension.as_str() {
                "pgvector" => "vector",
                extension => extension,
            })
            .map(|extension| {
                format!(
                    "CREATE EXTENSION IF NOT EXISTS \"{}\";\n",
                    extension.replace('"', "\"\"")
                )
            })
            .collect();
        let config = format!("{own}.extensions");
        let mut given = Map::new();
        given
            .set("source", config.as_str())
            .set("target", "/docker-entrypoint-initdb.d/00-extensions.sql");
        parts.service.set("configs", vec![given]);
        parts.configs.push((config, literal(&sql)));
        writer.note(
            format!("backing.{name}.extensions"),
            "made at the first start alone, and the image must have them: `postgres` brings those of contrib",
        );
    }
    // By TCP, where nothing answers while the image still lays its data out.
    let ready = [
        "pg_isready",
        "-q",
        "-h",
        "127.0.0.1",
        "-U",
        &user,
        "-d",
        &user,
    ];
    parts
        .service
        .set("healthcheck", checked(&ready.map(str::to_owned)));
    writer.note(
        format!("backing.{name}"),
        format!("{user} is the database's superuser here, as the image makes it"),
    );
}

/// Settings that fit the memory, as a host of ours sets them; what the file sets wins.
fn settings(backing: &Backing) -> Vec<(String, String)> {
    let mut all = std::collections::BTreeMap::new();
    if let Some(memory) = backing.memory {
        let connections: u64 = backing
            .settings
            .get("max_connections")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(100);
        let kib = memory.bytes() >> 10;
        let shared = (kib / 4).max(128);
        let work = (kib.saturating_sub(shared) / (3 * connections.max(1))).clamp(1 << 10, 64 << 10);
        for (name, value) in [
            ("shared_buffers", shared),
            ("effective_cache_size", kib / 4 * 3),
            ("work_mem", work),
            ("maintenance_work_mem", (kib / 16).clamp(1 << 10, 2 << 20)),
        ] {
            all.insert(name.to_owned(), format!("{value}kB"));
        }
    }
    all.extend(backing.settings.clone());
    all.into_iter().collect()
}

fn redis(writer: &mut Writer<'_>, name: &Name, backing: &Backing, own: &str, parts: &mut Parts) {
    let password = writer.password(name);
    // In a file of its own: arguments can be read by everyone on the machine.
    let mut lines = format!("requirepass \"{password}\"\n");
    for line in &backing.save {
        let line = line.trim();
        lines.push_str(&match line {
            "" => "save \"\"\n".to_owned(),
            line => literal(&format!("save {line}\n")),
        });
    }
    if let Some(memory) = backing.memory {
        let rest = (memory.bytes() / 4).max(16 << 20);
        let most = memory.bytes().saturating_sub(rest).max(memory.bytes() / 2);
        lines.push_str(&format!("maxmemory {most}\n"));
    }
    for (setting, value) in [("appendonly", "no"), ("maxmemory-policy", "noeviction")] {
        if !backing.settings.contains_key(setting) {
            lines.push_str(&format!("{setting} {value}\n"));
        }
    }
    for (setting, value) in &backing.settings {
        lines.push_str(&literal(&format!("{setting} {value}\n")));
    }
    let config = format!("{own}.configuration");
    const PLACE: &str = "/usr/local/etc/redis/redis.conf";
    parts.service.set(
        "command",
        Node::Flow(vec!["redis-server".into(), PLACE.into()]),
    );
    let mut environment = Map::new();
    environment.set("REDISCLI_AUTH", password);
    parts.service.set("environment", environment);
    let mount = mount(parts, own, "/data");
    parts.service.set("volumes", vec![mount]);
    let mut given = Map::new();
    given.set("source", config.as_str()).set("target", PLACE);
    parts.service.set("configs", vec![given]);
    parts.configs.push((config, lines));
    // It ends with 0 also where the server says no.
    let ask = "test \"$(redis-cli -h 127.0.0.1 PING)\" = PONG";
    parts.service.set(
        "healthcheck",
        checked(&["sh", "-c", ask].map(str::to_owned)),
    );
}

fn any_image(
    writer: &mut Writer<'_>,
    name: &Name,
    backing: &Backing,
    own: &str,
    parts: &mut Parts,
) {
    if let Some(command) = &backing.command {
        let words = writer.command(command, &Map::new());
        parts.service.set(
            "command",
            Node::Flow(words.into_iter().map(Node::from).collect()),
        );
    }
    let mut environment = Map::new();
    for (variable, value) in &backing.env {
        let text = match (super::variables::plain(value), value) {
            (Some(text), _) => literal(&text),
            (None, landfall_app::Value::Text(template)) => writer.template(template),
            (None, landfall_app::Value::Generate(bytes)) => writer.variables.required(
                &format!("{}_{variable}", super::variables::upper(name.as_str())),
                &format!("generated {name} {variable}"),
                &format!("`{variable}` of {name}, made once and kept: openssl rand -hex {bytes}"),
            ),
        };
        environment.set(variable.as_str(), text);
    }
    if !environment.is_empty() {
        parts.service.set("environment", environment);
    }
    if let Some(place) = &backing.data {
        let mount = mount(parts, own, place);
        parts.service.set("volumes", vec![mount]);
    }
    match &backing.health {
        Some(run) => {
            parts.service.set("healthcheck", checked(&run.arguments()));
        }
        None => writer.note(
            format!("backing.{name}.health"),
            "services start once it has started, not once it accepts connections: nothing is known in its image that could ask; say `health = { run = … }`",
        ),
    }
}

fn checked(command: &[String]) -> Map {
    let mut check = Map::new();
    check
        .set("test", probe::test(command))
        .set("interval", "5s")
        .set("timeout", "5s")
        .set("retries", 5u16)
        .set("start_period", "60s");
    check
}
