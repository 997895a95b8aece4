//! fly.toml: each group of processes is a service; all share one build.

mod health;
mod machine;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use landfall_yaml::read::{Mapping, Node};

use crate::{
    Imported, Input, Refusal,
    draft::{Draft, Names, Table},
    tree::{self, Found, given, joined, port, several, texts, time, without_shell},
};

/// What the top of the file says and has no equal.
const LOST: tree::Sayings<'static> = &[
    (
        "swap_size_mb",
        "would give each machine swap; here the machine has what it has",
    ),
    (
        "statics",
        "would serve files past the app; let the app serve them, or a service with static = \"…\"",
    ),
    (
        "metrics",
        "would have its metrics collected; nobody collects any here",
    ),
    ("host_dedication_id", "would choose a machine at fly.io"),
];
const NOTES: tree::Sayings<'static> = &[
    (
        "primary_region",
        "chooses a region of fly.io; here an environment's target says where",
    ),
    (
        "console_command",
        "is for fly console; here it is landfall run",
    ),
    ("app", "is the app's name"),
];

/// Reads fly.toml.
///
/// # Errors
/// Where it isn't there or isn't TOML.
pub fn import(input: &Input<'_>) -> Result<Imported, Refusal> {
    let (file, text) = input.named_text()?;
    let map = tree::toml(&text, &file)?;
    let mut fly = Fly {
        map: &map,
        found: Found::of(&file),
        services: BTreeMap::new(),
        order: Vec::new(),
        file: &file,
    };
    let mut names = Names::new();
    let wanted = given(&map, "app").and_then(|entry| entry.value.as_text());
    let app = names
        .give(wanted.as_deref().unwrap_or(input.name), "app")
        .name;
    let mut draft = Draft::new(&app);
    draft.comments.push(format!(
        "From {file}. `landfall check` reads it, `landfall config` shows it with every default."
    ));
    fly.groups(&app);
    fly.build(input);
    fly.environment(&mut draft);
    fly.deploy();
    fly.listeners();
    fly.mounts();
    fly.machines();
    fly.files();
    fly.checks();
    fly.endings();
    fly.experimental();
    fly.found.rest(
        "",
        &map,
        &[
            "app",
            "build",
            "env",
            "deploy",
            "http_service",
            "services",
            "mounts",
            "vm",
            "files",
            "checks",
            "processes",
            "kill_signal",
            "kill_timeout",
            "restart",
            "experimental",
        ],
        LOST,
        NOTES,
    );
    let Fly {
        found,
        services,
        order,
        ..
    } = fly;
    let mut services = services;
    for (_, name) in order {
        if let Some(table) = services.remove(&name) {
            *draft.service(&name) = table;
        }
    }
    found.settle(draft)
}

/// The work on one file.
struct Fly<'a> {
    map: &'a Mapping,
    found: Found<'a>,
    services: BTreeMap<String, Table>,
    /// Groups of processes, and the names of their services.
    order: Vec<(String, String)>,
    file: &'a str,
}

/// A list of tables, or one table.
fn tables<'n>(map: &'n Mapping, key: &str) -> Vec<&'n Node> {
    given(map, key)
        .map(|entry| several(&entry.value))
        .unwrap_or_default()
}

impl Fly<'_> {
    /// A service for each group of processes; without any, one.
    fn groups(&mut self, app: &str) {
        let processes = given(self.map, "processes").and_then(|entry| entry.value.map());
        let mut names = Names::new();
        let none = Mapping::default();
        for entry in &processes.unwrap_or(&none).entries {
            let given = names.give(&entry.key, app);
            let line = entry.span.line;
            if given.changed {
                self.found.remarks.note(
                    line,
                    joined("processes", &entry.key),
                    format!("is called {} here", given.name),
                );
            }
            let mut table = Table::new();
            table.from(self.file, line);
            let command = entry.value.as_text().unwrap_or_default();
            if !command.trim().is_empty() {
                table
                    .set("command", without_shell(&command))
                    .from(self.file, line);
            }
            self.services.insert(given.name.clone(), table);
            self.order.push((entry.key.clone(), given.name));
        }
        if self.order.is_empty() {
            self.services.insert(app.to_owned(), Table::new());
            self.order.push(("app".to_owned(), app.to_owned()));
        }
    }

    /// The services that a section is for: those named by its `processes`, else all.
    fn of(&self, section: &Mapping) -> Vec<String> {
        let named = given(section, "processes")
            .map(|entry| texts(&entry.value))
            .unwrap_or_default();
        let all = self
            .order
            .iter()
            .filter(|(group, _)| named.is_empty() || named.contains(group));
        all.map(|(_, name)| name.clone()).collect()
    }

    fn service(&mut self, name: &str) -> &mut Table {
        self.services.entry(name.to_owned()).or_default()
    }

    /// Sets a key of several services.
    fn set(
        &mut self,
        names: &[String],
        key: &str,
        value: impl Into<crate::draft::Value>,
        line: usize,
    ) {
        let (value, file) = (value.into(), self.file);
        for name in names {
            self.service(name).set(key, value.clone()).from(file, line);
        }
    }

    fn all(&self) -> Vec<String> {
        self.order.iter().map(|(_, name)| name.clone()).collect()
    }

    fn build(&mut self, input: &Input<'_>) {
        let empty = Mapping::default();
        let entry = given(self.map, "build");
        let map = entry.and_then(|entry| entry.value.map()).unwrap_or(&empty);
        let text =
            |key| given(map, key).and_then(|entry| Some((entry.value.as_text()?, entry.span.line)));
        self.found.rest(
            "build",
            map,
            &["image", "dockerfile", "build-target", "build_target", "args", "buildpacks", "builder"],
            &[
                ("ignorefile", "would take another .dockerignore; put its lines into .dockerignore"),
                ("settings", "is for builders of fly.io"),
                ("builtin", "is a builder of fly.io; here what stands in the folder says how it is built, or a Dockerfile"),
                ("compression", "would choose how layers are packed"),
                ("compression_level", "would choose how layers are packed"),
                ("compose", "would run the containers of a compose file in one machine; landfall import compose reads that file"),
            ],
            &[],
        );
        for key in ["builder", "buildpacks"] {
            if let Some(entry) = given(map, key) {
                self.found.remarks.lost(entry.span.line, joined("build", key), "would build by buildpacks; here what stands in the folder says how it is built, or a Dockerfile");
            }
        }
        let (first, file) = (self.order[0].1.clone(), self.file);
        let others: Vec<String> = self.all().split_off(1);
        if let Some((image, line)) = text("image") {
            let all = self.all();
            return self.set(&all, "image", image, line);
        }
        let there = input
            .source
            .read("Dockerfile")
            .is_ok_and(|found| found.is_some());
        let mut build = Table::new();
        match text("dockerfile") {
            Some((path, line)) if path.contains("://") => {
                self.found.remarks.lost(
                    line,
                    "build.dockerfile",
                    "is an address; put the file into the repository",
                );
            }
            Some((path, line)) => {
                build
                    .set("dockerfile", path.trim_start_matches("./"))
                    .from(file, line);
            }
            None if there => {
                build.set("dockerfile", "Dockerfile");
            }
            None => {}
        }
        if let Some((stage, line)) = text("build-target").or_else(|| text("build_target")) {
            build.set("stage", stage).from(file, line);
        }
        if let Some(arguments) = given(map, "args").and_then(|entry| entry.value.map()) {
            for entry in &arguments.entries {
                let value = entry.value.as_text().unwrap_or_default();
                let key = joined("build.args", &entry.key);
                let mut made = Table::new();
                self.found
                    .variable(&mut made, None, &key, entry.span.line, &entry.key, &value);
                if made.has("secrets") {
                    build
                        .push("secrets", entry.key.as_str())
                        .from(file, entry.span.line);
                    self.found.remarks.changed(entry.span.line, key, "is given to the build as a secret file, not as an argument, which would stay in the image");
                } else if let Some(env) = made.known_table("env").cloned() {
                    build
                        .table("args")
                        .set(&entry.key, env.text(&entry.key).unwrap_or_default())
                        .from(file, entry.span.line);
                }
            }
        }
        let alone = build.len() == 1;
        let service = self.service(&first);
        match build.text("dockerfile").map(str::to_owned) {
            Some(path) if alone => {
                service.set("build", path);
            }
            None if build.is_empty() => service.todo("say how it is built: fly.io found that out by itself; here requirements.txt, pyproject.toml, package.json or a Dockerfile say it"),
            _ => *service.table("build") = build,
        }
        for name in others {
            let mut same = Table::new();
            same.set("same-as", first.as_str());
            *self.service(&name).table("build") = same;
        }
    }

    fn environment(&mut self, draft: &mut Draft) {
        let Some(map) = given(self.map, "env").and_then(|entry| entry.value.map()) else {
            return;
        };
        // `[env]` of the app never reaches somebody else's image.
        let of_image = self.services.values().any(|service| service.has("image"));
        for entry in &map.entries {
            let (key, line) = (joined("env", &entry.key), entry.span.line);
            let Some(value) = entry.value.as_text() else {
                self.found.remarks.lost(line, key, "is no text");
                continue;
            };
            let mut made = Table::new();
            self.found
                .variable(&mut made, None, &key, line, &entry.key, &value);
            let secret = made.has("secrets");
            let into = if secret || of_image {
                self.all()
            } else {
                Vec::new()
            };
            for name in into {
                let service = self.services.entry(name).or_default();
                if secret {
                    service
                        .push("secrets", entry.key.as_str())
                        .from(self.file, line);
                } else if of_image && made.has("env") {
                    service
                        .table("env")
                        .set(&entry.key, value.as_str())
                        .from(self.file, line);
                }
            }
            if made.has("env") && !of_image {
                draft
                    .top
                    .own
                    .table("env")
                    .set(&entry.key, value)
                    .from(self.file, line);
            }
        }
    }

    fn deploy(&mut self) {
        let Some(map) = given(self.map, "deploy").and_then(|entry| entry.value.map()) else {
            return;
        };
        let first = vec![self.order[0].1.clone()];
        if let Some(entry) = given(map, "release_command")
            && let Some(command) = entry.value.as_text()
        {
            let migrate = match without_shell(&command) {
                // Of a migration a text goes to a shell; one of plain words means the same there.
                crate::draft::Value::Text(text) if text.contains('$') => {
                    vec!["sh", "-c", &text].into()
                }
                other => other,
            };
            self.set(&first, "migrate", migrate, entry.span.line);
        }
        if let Some(entry) = given(map, "strategy") {
            let line = entry.span.line;
            let all = self.all();
            match entry.value.as_text().unwrap_or_default().as_str() {
                "bluegreen" => {}
                "rolling" => {
                    let unavailable =
                        given(map, "max_unavailable").and_then(|entry| entry.value.as_integer());
                    match unavailable.filter(|count| *count > 0) {
                        Some(count) => {
                            let rolling: Table = [("unavailable".to_owned(), count.into())]
                                .into_iter()
                                .collect();
                            let strategy: Table = [("rolling".to_owned(), rolling.into())]
                                .into_iter()
                                .collect();
                            self.set(&all, "strategy", strategy, line);
                        }
                        None => self.set(&all, "strategy", "rolling", line),
                    }
                }
                "canary" => {
                    self.set(&all, "strategy", "rolling", line);
                    self.found.remarks.changed(line, "deploy.strategy", "canary begins with one machine and goes on replica by replica: rolling does that here");
                }
                "immediate" => {
                    self.set(&all, "strategy", "recreate", line);
                    self.found.remarks.changed(line, "deploy.strategy", "would not wait for health checks; recreate replaces all at once too, and waits");
                }
                other => self.found.remarks.lost(
                    line,
                    "deploy.strategy",
                    format!("{other} is no strategy of fly.io"),
                ),
            }
        }
        self.found.rest(
            "deploy",
            map,
            &["release_command", "strategy", "max_unavailable"],
            &[
                ("release_command_timeout", "would end the release command after that time; here it takes as long as it takes"),
                ("release_command_vm", "would run the release command in a machine of that size; here it has the service's"),
                ("wait_timeout", "would wait so long for machines; health.start of a service says how long a start may take"),
                ("seed_command", "would run once after the first deployment"),
            ],
            &[],
        );
    }

    fn mounts(&mut self) {
        for node in tables(self.map, "mounts")
            .into_iter()
            .chain(tables(self.map, "mount"))
        {
            let Some(map) = node.map() else { continue };
            let text = |key| given(map, key).and_then(|entry| entry.value.as_text());
            let line = node.span.line;
            let Some(destination) = text("destination") else {
                self.found
                    .remarks
                    .lost(line, "mounts", "has no destination");
                continue;
            };
            let name = Names::new()
                .give(&text("source").unwrap_or_default(), "data")
                .name;
            for service in self.of(map) {
                let file = self.file;
                let service = self.service(&service);
                service
                    .table("volumes")
                    .set(&name, destination.as_str())
                    .from(file, line);
                if !service.has("strategy") {
                    service
                        .set("strategy", "recreate")
                        .comment("a volume belongs to one release at a time, as at fly.io");
                }
            }
            let grows = "is a volume's size; here it has no bound but its disk";
            self.found.rest(
                "mounts",
                map,
                &["source", "destination", "processes"],
                &[
                    ("snapshot_retention", "would keep snapshots so long; backup of the volume does that: backup = { schedule = \"0 3 * * *\", to = \"…\" }"),
                    ("scheduled_snapshots", "would make snapshots daily; backup of the volume does that: backup = { schedule = \"0 3 * * *\", to = \"…\" }"),
                ],
                &[
                    ("initial_size", grows),
                    ("auto_extend_size_threshold", grows),
                    ("auto_extend_size_increment", grows),
                    ("auto_extend_size_limit", grows),
                ],
            );
        }
    }

    fn files(&mut self) {
        for node in tables(self.map, "files") {
            let Some(map) = node.map() else { continue };
            let text = |key| {
                given(map, key)
                    .and_then(|entry| entry.value.as_text())
                    .filter(|text| !text.is_empty())
            };
            let (names, line) = (self.of(map), node.span.line);
            match (text("guest_path"), text("local_path")) {
                (Some(inside), Some(local)) => {
                    for name in names {
                        let file = self.file;
                        self.service(&name).table("files").set(&inside, local.trim_start_matches("./")).from(file, line);
                    }
                }
                _ => self.found.remarks.lost(line, "files", "would put a value or a secret into a file; put the file into the repository, or let the app read the secret from its environment"),
            }
        }
    }

    fn endings(&mut self) {
        let all = self.all();
        let mut stop = Table::new();
        if let Some(entry) = given(self.map, "kill_signal")
            && let Some(signal) = entry.value.as_text()
        {
            stop.set("signal", signal.to_ascii_uppercase())
                .from(self.file, entry.span.line);
        }
        if let Some(entry) = given(self.map, "kill_timeout") {
            match time(&entry.value, "s") {
                Some(grace) => {
                    stop.set("grace", grace).from(self.file, entry.span.line);
                }
                None => self
                    .found
                    .remarks
                    .lost(entry.span.line, "kill_timeout", "is no time"),
            }
        }
        if !stop.is_empty() {
            for name in &all {
                *self.service(name).table("stop") = stop.clone();
            }
        }
        for node in tables(self.map, "restart") {
            let Some(map) = node.map() else { continue };
            let line = node.span.line;
            match given(map, "policy").and_then(|entry| entry.value.as_text()).as_deref() {
                Some("always") | None => {}
                Some(policy) => self.found.remarks.changed(line, "restart.policy", format!("{policy} would leave it down after some ends; here what stays is started again after any")),
            }
            if let Some(entry) = given(map, "retries") {
                let retries = entry.value.as_integer().unwrap_or(10).clamp(1, 1000);
                for name in self.of(map) {
                    let restart = self.service(&name).table("restart");
                    restart.set("give-up", "stay");
                    restart.set("attempts", retries);
                }
            }
        }
    }

    fn experimental(&mut self) {
        let Some(map) = given(self.map, "experimental").and_then(|entry| entry.value.map()) else {
            return;
        };
        let first = vec![self.order[0].1.clone()];
        let words = |key| given(map, key).map(|entry| (texts(&entry.value), entry.span.line));
        let whole = words("exec").or_else(|| words("cmd"));
        if let Some((words, line)) = whole.filter(|(words, _)| !words.is_empty()) {
            self.set(&first, "command", crate::draft::words(&words), line);
        }
        self.found.rest(
            "experimental",
            map,
            &["cmd", "exec"],
            &[("entrypoint", "would take the place of the image's ENTRYPOINT; put it before the words of command, and build an image without one")],
            &[
                ("auto_rollback", "is always so here: what fails is undone"),
                ("enable_consul", "is for apps of fly.io itself"),
                ("allowed_public_ports", "opens nothing by itself"),
            ],
        );
    }
}
