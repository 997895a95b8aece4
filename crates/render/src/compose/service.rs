//! A service of the app as one of the compose file.

use landfall_app::{
    App, Name,
    model::{Build, ProcessKind, Service, Source},
    units::{Cpu, Size, Time},
};
use landfall_yaml::{Map, Node};

use super::{
    develop,
    image::{self, Image, below},
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

/// The service whose artifact a service runs.
fn source<'a>(app: &'a App, name: &'a Name, service: &'a Service) -> (&'a Name, &'a Service) {
    match &service.source {
        Source::SameAs(other) => app.services.get_key_value(other).unwrap_or((name, service)),
        _ => (name, service),
    }
}

/// The context and the Dockerfile of a build, relative to the app file: as a build of ours finds them.
fn places(writer: &Writer<'_>, name: &Name, root: &str, build: &Build) -> (String, String) {
    let root = folded("", root);
    let context = context(&root, build);
    let places = match &build.dockerfile {
        Some(named) => [folded(&root, named), folded(&context, named)],
        // As what writes it calls it.
        None if writer.share_folder(&root, &context) => {
            [folded(&root, &format!("{name}.Dockerfile")), String::new()]
        }
        None => [folded(&context, "Dockerfile"), folded(&root, "Dockerfile")],
    };
    let found = places
        .iter()
        .find(|place| writer.project.has(place))
        .unwrap_or(&places[0]);
    (context, found.clone())
}

/// The context of a build; `root` is folded already.
pub fn context(root: &str, build: &Build) -> String {
    build
        .context
        .as_deref()
        .map_or(root.to_owned(), |context| folded(root, context))
}

/// A path that is said relative to a folder.
pub fn folded(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A path as the compose file says it.
pub fn shown(path: &str) -> String {
    match path {
        "" => ".".to_owned(),
        path => literal(&format!("./{path}")),
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

/// The image, and how it is built.
pub fn made_of(writer: &mut Writer<'_>, facts: &Facts<'_>, map: &mut Map) {
    let (owner, made) = source(writer.app, facts.name, facts.service);
    let built = format!("{}-{owner}", writer.app.app);
    match (&made.source, &made.push) {
        (Source::Image(reference), _) => {
            map.set("image", literal(reference));
            return;
        }
        (_, Some(push)) if !writer.local => {
            let last = push.rsplit('/').next().unwrap_or_default();
            let tagged = last.contains([':', '@']);
            let image = match tagged {
                true => literal(push),
                false => {
                    let variable = format!("{}_TAG", upper(owner.as_str()));
                    let said = format!("which image of {owner} runs: latest, or <branch>-<commit>");
                    let tag = writer.variables.defaulted(
                        &variable,
                        &format!("tag of {owner}"),
                        "latest",
                        &said,
                    );
                    format!("{}:{tag}", literal(push))
                }
            };
            map.set("image", image);
        }
        // Built here and known nowhere else: never asked for at a registry, where anyone could own that name.
        _ => {
            map.set("image", built);
            map.set(
                "pull_policy",
                if facts.build.is_some() {
                    "build"
                } else {
                    "never"
                },
            );
        }
    }
    if let Some((build, context, file)) = &facts.build {
        let section = build_section(writer, facts, build, context, file);
        map.set("build", section);
    }
}

fn build_section(
    writer: &mut Writer<'_>,
    facts: &Facts<'_>,
    build: &Build,
    context: &str,
    file: &str,
) -> Map {
    let setting = format!("service.{}.build", facts.name);
    let mut section = Map::new();
    section.set("context", shown(context));
    // Relative to the context.
    let inside = match context {
        "" => Some(file),
        context => file
            .strip_prefix(context)
            .and_then(|rest| rest.strip_prefix('/')),
    };
    let relative = match inside {
        Some(inside) => inside.to_owned(),
        None => format!("{}{file}", "../".repeat(context.split('/').count())),
    };
    if relative != "Dockerfile" {
        section.set("dockerfile", literal(&relative));
    }
    if let Some(stage) = &build.stage {
        section.set("target", literal(stage));
    }
    let mut arguments = Map::new();
    for (name, value) in &build.args {
        match (super::variables::plain(value), value) {
            (Some(text), _) => arguments.set(name.as_str(), literal(&text)),
            (None, landfall_app::Value::Text(template)) => {
                arguments.set(name.as_str(), writer.template(template))
            }
            (None, landfall_app::Value::Generate(_)) => continue,
        };
    }
    if !arguments.is_empty() {
        section.set("args", arguments);
    }
    if !build.secrets.is_empty() {
        section.set("secrets", build.secrets.clone());
        for secret in &build.secrets {
            writer.variables.secret(secret);
        }
    }
    if !writer.project.has(file) {
        writer.note(
            &setting,
            format!("there is no {file} yet: landfall render dockerfile writes one"),
        );
    }
    if build.run.is_some() {
        writer.note(
            setting,
            "its `run` is a step of the Dockerfile that landfall render dockerfile writes",
        );
    }
    section
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
    for (target, source) in &service.files {
        bind(folded(&service.root, source), target);
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

/// What a volume of a service is called.
pub fn volume_name(service: &Name, volume: &Name) -> String {
    format!("{service}-{volume}")
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

/// Limits and numbers. `serving`: not of a command that runs once.
pub fn resources(writer: &mut Writer<'_>, facts: &Facts<'_>, serving: bool, map: &mut Map) {
    let (name, service) = (facts.name, facts.service);
    let memory = service.memory.and_then(|memory| memory.limit);
    // No swap beside it, as an instance of ours has none.
    map.set_some("memswap_limit", memory.map(|memory| size(memory.bytes())));
    let mut deploy = Map::new();
    let replicas = service.replicas.initial();
    if serving && replicas > 1 {
        match service.publish {
            None => {
                deploy.set("replicas", replicas);
            }
            Some(published) => writer.note(
                format!("service.{name}.replicas"),
                format!("one runs: only one container can have port {published} of the machine, and nothing here shares it out"),
            ),
        }
    }
    let mut resources = Map::new();
    let limits = limits(memory, service.cpu.and_then(|cpu| cpu.limit), service.pids);
    if !limits.is_empty() {
        resources.set("limits", limits);
    }
    let mut reserved = Map::new();
    reserved.set_some(
        "memory",
        service
            .memory
            .and_then(|memory| memory.request)
            .map(|memory| size(memory.bytes())),
    );
    reserved.set_some("cpus", service.cpu.and_then(|cpu| cpu.request).map(cores));
    if service.gpu > 0 {
        let mut device = Map::new();
        device.set("driver", "nvidia").set("count", service.gpu);
        device.set("capabilities", Node::Flow(vec!["gpu".into()]));
        reserved.set("devices", vec![device]);
    }
    if !reserved.is_empty() {
        resources.set("reservations", reserved);
    }
    if !resources.is_empty() {
        deploy.set("resources", resources);
    }
    if !deploy.is_empty() {
        map.set("deploy", deploy);
    }
}

/// Limits, where there are some.
pub fn limits(memory: Option<Size>, cpu: Option<Cpu>, pids: Option<u32>) -> Map {
    let mut limits = Map::new();
    limits.set_some("memory", memory.map(|memory| size(memory.bytes())));
    limits.set_some("cpus", cpu.map(cores));
    limits.set_some("pids", pids);
    limits
}

/// Bytes as Compose reads them: its `M` is 1024 times 1024.
pub fn size(bytes: u64) -> String {
    let units = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units
        .iter()
        .find(|(by, _)| bytes > 0 && bytes.is_multiple_of(*by))
    {
        Some((by, unit)) => format!("{}{unit}", bytes / by),
        None => format!("{bytes}B"),
    }
}

fn cores(cpu: Cpu) -> String {
    let (whole, rest) = (cpu.thousandths() / 1000, cpu.thousandths() % 1000);
    format!("{whole}.{rest:03}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
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
