//! A service of the app as one of the compose file.

use landfall_app::{
    App, Name,
    model::{Build, ProcessKind, Service, Source},
    units::Time,
};
use landfall_yaml::{Map, Node};

use super::{
    build::{folded, made_of, places, shown, source},
    develop,
    image::{self, Image, below},
    limits::resources,
    probe::{self, Check, duration},
    value::{Writer, port},
    variables::{literal, upper},
};

/// What is known of a service before it is written: its image, where it is built.
pub struct Facts<'a> {
    pub name: &'a Name,
    pub service: &'a Service,
    /// What is in its image.
    pub image: Image,
    /// Its build, where it has one of its own: the context and the Dockerfile, relative to the app file.
    pub build: Option<(&'a Build, String, String)>,
}

impl<'a> Facts<'a> {
    pub fn of(writer: &Writer<'a>, name: &'a Name, service: &'a Service) -> Self {
        let (name_of, made) = source(writer.app, name, service);
        let mut facts = Self {
            name,
            service,
            image: Image::default(),
            build: None,
        };
        match &made.source {
            Source::Image(reference) => facts.image = image::named(reference),
            Source::Build(build) => {
                let (context, file) = places(writer, name_of, &made.root, build);
                if let Some(text) = writer.project.text(&file) {
                    facts.image =
                        image::built(&text, build.stage.as_deref(), &context, writer.project);
                }
                if name_of == name {
                    facts.build = Some((build, context, file));
                }
            }
            Source::SameAs(_) => {}
        }
        facts
    }

    /// Whether another service can wait until it is healthy.
    pub fn check(&self) -> Check {
        let service = self.service;
        let only = service
            .processes
            .first()
            .filter(|_| service.processes.len() == 1);
        let health = service
            .front()
            .or(only)
            .map_or(&service.health, |process| &process.health);
        probe::check(health, port(service), &self.image)
    }
}

/// The whole service. `waits` are those that it is started after, each with the condition.
pub fn write(writer: &mut Writer<'_>, facts: &Facts<'_>, waits: &[(String, &'static str)]) -> Map {
    let (name, service) = (facts.name, facts.service);
    let setting = |key: &str| format!("service.{name}.{key}");
    let mut map = Map::new();
    let environment = writer.environment(name, service, true);
    made_of(writer, facts, &mut map);
    command(writer, facts, &environment, &mut map);
    map.set("init", true).set("restart", "unless-stopped");
    depends(&mut map, waits);
    if let Some(published) = service.publish {
        let variable = format!("{}_PORT", upper(name.as_str()));
        let said = format!("the port of this machine that leads to {name}");
        let published = writer.variables.defaulted(
            &variable,
            &format!("port of {name}"),
            &published.to_string(),
            &said,
        );
        let own = if writer.local { "127.0.0.1:" } else { "" };
        map.set("ports", vec![format!("{own}{published}:{}", port(service))]);
    }
    if !environment.is_empty() {
        map.set("environment", environment);
    }
    let mounts = mounts(facts, writer.local);
    if !mounts.is_empty() {
        map.set("volumes", mounts);
    }
    match facts.check() {
        Check::Written(check) => {
            map.set("healthcheck", check);
        }
        Check::Unknown => writer.note(
            setting("health"),
            "no check is written, since nothing is known in its image that could ask; a HEALTHCHECK of the image counts",
        ),
        Check::None => {}
    }
    hardened(service, &mut map);
    let stop = &service.stop;
    if stop.signal != "SIGTERM" {
        map.set("stop_signal", stop.signal.as_str());
    }
    // Compose's own default.
    if stop.grace != Time::from_secs(10) {
        map.set("stop_grace_period", duration(stop.grace));
    }
    resources(writer, facts, true, &mut map);
    map.set("logging", logging(writer.app));
    if writer.local
        && let Some(watch) = develop::watch(facts)
    {
        map.set("develop", watch);
    }
    map
}

fn command(writer: &mut Writer<'_>, facts: &Facts<'_>, environment: &Map, map: &mut Map) {
    let (name, service) = (facts.name, facts.service);
    let mut stay = service
        .processes
        .iter()
        .filter_map(|process| match &process.kind {
            ProcessKind::Stays(command) => Some(command),
            ProcessKind::Ends(_) => None,
        });
    match (stay.next(), stay.next()) {
        (Some(command), None) => {
            let words = writer.command(command, environment);
            map.set("command", Node::Flow(words.into_iter().map(Node::from).collect()));
        }
        (Some(_), Some(_)) => writer.note(
            format!("service.{name}.process"),
            "a container runs one command: its image's own, which must start all of them, as the supervisor in what landfall render dockerfile writes does",
        ),
        (None, _) => {}
    }
}

/// What a service is started after.
pub fn depends(map: &mut Map, waits: &[(String, &'static str)]) {
    let mut all = Map::new();
    for (other, condition) in waits {
        let mut of = Map::new();
        of.set("condition", *condition);
        all.set(other.as_str(), of);
    }
    if !all.is_empty() {
        map.set("depends_on", all);
    }
}

/// Volumes and files; in development what is edited too.
pub fn mounts(facts: &Facts<'_>, live: bool) -> Vec<Node> {
    let service = facts.service;
    let mut all = Vec::new();
    let mut bind = |source: String, target: &str| {
        let mut only = Map::new();
        // A file that is missing is an error, not an empty folder.
        only.set("create_host_path", false);
        let mut mount = Map::new();
        mount
            .set("type", "bind")
            .set("source", shown(&source))
            .set("target", literal(target));
        mount.set("read_only", true).set("bind", only);
        all.push(Node::Map(mount));
    };
    if live && let Some((_, context, _)) = &facts.build {
        for (from, to) in &facts.image.live {
            bind(below(context, from), to);
        }
    }
    // They stand below the app file's folder, whatever the service's own is.
    for (target, source) in &service.files {
        bind(folded("", source), target);
    }
    for (name, volume) in &service.volumes {
        let mut mount = Map::new();
        mount
            .set("type", "volume")
            .set("source", volume_name(facts.name, name))
            .set("target", literal(&volume.path));
        all.push(Node::Map(mount));
    }
    all
}

/// What a volume of a service is called: no name has a dot, so no other volume is called so.
pub fn volume_name(service: &Name, volume: &Name) -> String {
    format!("{service}.{volume}")
}

/// What a container may do.
pub fn hardened(service: &Service, map: &mut Map) {
    map.set_some("user", service.user.map(|user| user.to_string()));
    if service.read_only {
        map.set("read_only", true);
    }
    let mut folders: Vec<String> = service.tmpfs.clone();
    if service.read_only {
        for folder in ["/tmp", "/run"] {
            if !service
                .tmpfs
                .iter()
                .any(|own| own.split(':').next() == Some(folder))
            {
                folders.push(folder.to_owned());
            }
        }
    }
    if !folders.is_empty() {
        let folders: Vec<String> = folders
            .iter()
            .map(|folder| match folder.contains(':') {
                true => literal(folder),
                false => literal(&format!("{folder}:mode=1777")),
            })
            .collect();
        map.set("tmpfs", folders);
    }
    map.set("cap_drop", Node::Flow(vec!["ALL".into()]));
    if !service.capabilities.is_empty() {
        map.set(
            "cap_add",
            Node::Flow(
                service
                    .capabilities
                    .iter()
                    .map(|name| name.as_str().into())
                    .collect(),
            ),
        );
    }
    map.set(
        "security_opt",
        Node::Flow(vec!["no-new-privileges:true".into()]),
    );
}

/// Logs that never fill the disk: the Engine's default keeps all for ever.
pub fn logging(app: &App) -> Map {
    const FILES: u64 = 5;
    let each = (app.logs.max.bytes() / FILES).max(1 << 20) >> 20;
    let mut options = Map::new();
    options
        .set("max-size", format!("{each}m"))
        .set("max-file", FILES.to_string());
    let mut logging = Map::new();
    logging.set("driver", "local").set("options", options);
    logging
}
