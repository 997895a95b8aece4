//! What `landfall render compose` writes is read back into an app that means the same.

use std::collections::BTreeMap;

use landfall_app::{
    App,
    model::{BackingKind, Probe, ProcessKind, Source},
};
use landfall_import::{Input, compose::import};
use proptest::prelude::*;

/// What an app means, as far as a compose file can say it. Left out: what is tuned to the memory of a
/// database, how often is looked below five seconds, and who starts first.
fn meaning(app: &App) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, service) in &app.services {
        let mut set = |key: &str, value: String| {
            all.insert(format!("{name}.{key}"), value);
        };
        let source = match &service.source {
            Source::Image(image) => image.clone(),
            Source::Build(build) => format!("{}/{:?}", service.root, build.dockerfile),
            Source::SameAs(other) => other.to_string(),
        };
        set("source", source);
        set("port", format!("{:?} {:?}", service.port, service.publish));
        set(
            "limits",
            format!("{:?} {:?} {:?}", service.memory, service.cpu, service.pids),
        );
        set("env", format!("{:?}", service.env));
        set("secrets", format!("{:?}", service.secrets.keys()));
        set("uses", format!("{:?}", service.uses));
        set(
            "volumes",
            format!(
                "{:?} {:?} {:?}",
                service.volumes, service.files, service.tmpfs
            ),
        );
        set(
            "rights",
            format!(
                "{:?} {} {:?}",
                service.user, service.read_only, service.capabilities
            ),
        );
        set("stop", format!("{:?} {:?}", service.stop, service.migrate));
        let commands: Vec<_> = service
            .processes
            .iter()
            .map(|process| match &process.kind {
                // A line and a list of the same words are the same.
                ProcessKind::Stays(command) => {
                    format!("{:?}", command.expand(|name| Some(format!("<{name}>"))))
                }
                ProcessKind::Ends(run) => format!("{run:?}"),
            })
            .collect();
        set("command", commands.join(" "));
        if let Some(Probe::Http { path, .. }) = &service.health.ready {
            set(
                "health",
                format!(
                    "{path} {:?} {:?}",
                    service.health.timeout, service.health.retries
                ),
            );
        }
    }
    for (name, backing) in &app.backing {
        let tuned = [
            "effective_cache_size",
            "maintenance_work_mem",
            "shared_buffers",
            "work_mem",
            "maxmemory",
        ];
        let settings: Vec<_> = backing
            .settings
            .iter()
            .filter(|(key, _)| !tuned.contains(&key.as_str()))
            .collect();
        let kind = match &backing.kind {
            BackingKind::Image(image) => image.clone(),
            kind => format!("{kind:?}"),
        };
        all.insert(
            format!("backing.{name}"),
            format!(
                "{kind} {:?} {:?} {:?} {settings:?}",
                backing.version, backing.memory, backing.save
            ),
        );
    }
    all
}

fn resolved(text: &str) -> App {
    let (file, diagnostics) = landfall_app::read(text.as_bytes(), "landfall.toml");
    assert!(!diagnostics.has_errors(), "{diagnostics}\n{text}");
    file.unwrap()
        .resolve(&"production".parse().unwrap())
        .unwrap()
        .app
}

/// Renders, imports, and gives both apps.
fn there_and_back(text: &str) -> (App, App, String) {
    let app = resolved(text);
    let mut project: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    project.insert(
        "web/Dockerfile".to_owned(),
        b"FROM python:3-slim\nUSER 1000\nCMD [\"x\"]\n".to_vec(),
    );
    project.insert("x.conf".to_owned(), b"x".to_vec());
    let rendered = landfall_render::render(
        landfall_render::Format::Compose,
        &landfall_render::Input {
            app: &app,
            environments: &[],
            project: &project,
            version: "0.1.0",
        },
    )
    .unwrap();
    for file in rendered.files {
        project.insert(file.path, file.text.into_bytes());
    }
    let imported = import(&Input {
        files: &["compose.yaml".to_owned()],
        source: &project,
        variables: &BTreeMap::new(),
        profiles: &[],
        name: "other",
    })
    .unwrap();
    let text = format!("{}\n[environment.production]\n", imported.text);
    (app, resolved(&text), imported.text)
}

#[test]
fn an_app_with_everything_comes_back() {
    let text = r#"
app = "shop"
[service.web]
root = "web"
build = "Dockerfile"
port = 8000
publish = 8080
health = { ready = "/up", interval = "10s", start = "1m" }
memory = "512MiB"
cpu = 0.5
uses = ["postgres", "redis"]
env = { A = "a", NEXT = "${service.echo.url}/x", N = "1", S = "a$b", Q = "yes" }
secrets = ["TOKEN", "PLAINNAME"]
volumes = { data = "/data" }
migrate = "alembic upgrade head"
[service.echo]
image = "acme/echo:1"
port = 9000
command = ["serve", "--x", "a b", "$X"]
read-only = true
tmpfs = ["/cache"]
user = 1000
capabilities = ["NET_BIND_SERVICE"]
stop = { signal = "SIGINT", grace = "30s" }
files = { "/etc/x.conf" = "x.conf" }
pids = 100
[backing.postgres]
version = "15"
memory = "1GiB"
settings = { max_connections = "200" }
[backing.redis]
version = "7"
save = ["900 1"]
[environment.production]
"#;
    let (before, after, text) = there_and_back(text);
    assert_eq!(meaning(&before), meaning(&after), "{text}");
}

prop_compose! {
    fn app()(
        port in 1024..60000u16, publish in any::<bool>(), memory in 1..64u32, cpu in 1..8u32,
        health in proptest::option::of(prop::sample::select(vec!["/", "/up", "/a/b?c=d"])),
        retries in 1..9u32, timeout in 1..20u32,
        env in prop::collection::btree_map("[A-Z]{2,6}_X", "[ -!#-\\[\\]-z|~]{0,12}", 0..5),
        secrets in prop::collection::btree_set("[A-Z]{2,5}_(TOKEN|VALUE)", 0..3),
        command in prop::collection::vec("[a-z$ \"'#:.-]{1,8}", 0..4),
        caps in prop::sample::subsequence(vec!["CHOWN", "KILL", "SETGID", "SETUID"], 0..4),
        user in proptest::option::of(1..70000u32), read_only in any::<bool>(), postgres in any::<bool>(),
        grace in 1..90u32, volume in any::<bool>(),
    ) -> String {
        let list = |items: Vec<String>| items.iter().map(|item| toml::Value::String(item.clone()).to_string()).collect::<Vec<_>>().join(", ");
        let mut text = format!("app = \"shop\"\n[service.web]\nroot = \"web\"\nbuild = \"Dockerfile\"\nport = {port}\nmemory = \"{memory}MiB\"\ncpu = {cpu}\nstop = {{ grace = \"{grace}s\" }}\nread-only = {read_only}\n", memory = memory * 16);
        if publish { text += &format!("publish = {port}\n"); }
        if let Some(path) = health { text += &format!("health = {{ ready = \"{path}\", interval = \"7s\", retries = {retries}, timeout = \"{timeout}s\" }}\n"); }
        if !env.is_empty() {
            let pairs: Vec<String> = env.iter().map(|(name, value)| format!("{name} = {}", toml::Value::String(value.replace("${", "$")))).collect();
            text += &format!("env = {{ {} }}\n", pairs.join(", "));
        }
        if !secrets.is_empty() { text += &format!("secrets = [{}]\n", list(secrets.into_iter().collect())); }
        if !command.is_empty() { text += &format!("command = [{}]\n", list(command)); }
        if !caps.is_empty() { text += &format!("capabilities = [{}]\n", list(caps.into_iter().map(str::to_owned).collect())); }
        if let Some(user) = user { text += &format!("user = {user}\n"); }
        if volume { text += "volumes = { data = \"/data\" }\n"; }
        if postgres { text += "uses = [\"postgres\"]\n[backing.postgres]\nversion = \"16\"\n"; }
        text + "[environment.production]\n"
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_rendered_is_read_back_with_the_same_meaning(text in app()) {
        let (before, after, read) = there_and_back(&text);
        prop_assert_eq!(meaning(&before), meaning(&after), "{}\n{}", text, read);
    }
}
