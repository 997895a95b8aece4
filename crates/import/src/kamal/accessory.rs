//! Accessories: databases, caches and what else runs beside the app.

use landfall_yaml::read::{Entry, Mapping, Node};

use super::{ERB, Kamal};
use crate::{
    draft::{Names, Table, Value},
    tree::{given, joined, several, texts, without_shell},
};

/// Variables of the image of PostgreSQL that only say what Landfall makes by itself.
const MADE: [&str; 7] = [
    "POSTGRES_PASSWORD",
    "POSTGRES_USER",
    "POSTGRES_DB",
    "PGDATA",
    "POSTGRES_PASSWORD_FILE",
    "POSTGRES_USER_FILE",
    "POSTGRES_DB_FILE",
];

impl<'a> Kamal<'a> {
    /// PostgreSQL and Redis are what Landfall provides by itself; others are backing services of an image.
    pub(super) fn accessories(&mut self) {
        let map: &'a Mapping = self.map;
        let Some(map) = given(map, "accessories").and_then(|entry| entry.value.map()) else {
            return;
        };
        let mut names = Names::new();
        for entry in &map.entries {
            let path = joined("accessories", &entry.key);
            let Some(own) = entry.value.map() else {
                continue;
            };
            let given_name = names.give(&entry.key, "backing");
            if given_name.changed {
                self.found.remarks.note(
                    entry.span.line,
                    path.as_str(),
                    format!("is called {} here", given_name.name),
                );
            }
            self.accessory(entry, own, &path, &given_name.name);
        }
    }

    fn accessory(&mut self, entry: &'a Entry, map: &'a Mapping, path: &str, name: &str) {
        let (file, line) = (self.file, entry.span.line);
        let image = given(map, "image")
            .and_then(|entry| entry.value.as_text())
            .unwrap_or_default();
        if image.is_empty() || image.contains(ERB) {
            return self
                .found
                .remarks
                .lost(line, path, "has no image that is known here");
        }
        let (repository, tag) = split(&image);
        let base = repository.rsplit('/').next().unwrap_or(repository);
        let official = !repository.contains('/')
            || repository.starts_with("library/")
            || repository == "valkey/valkey";
        let kind = match base {
            "postgres" if official => Some("postgres"),
            "redis" | "valkey" if official => Some("redis"),
            _ => None,
        };
        let mut backing = Table::new();
        backing.from(file, line);
        match kind {
            Some(kind) => {
                if kind != name {
                    backing.set("kind", kind);
                }
                let version: String = tag
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || *c == '.')
                    .collect();
                let version = version.trim_end_matches('.');
                if !version.is_empty() && base != "valkey" {
                    backing.set("version", version).from(file, line);
                }
                if base == "valkey" {
                    self.found.remarks.changed(
                        line,
                        joined(path, "image"),
                        "valkey becomes redis, which speaks the same",
                    );
                }
            }
            None => {
                backing.set("image", image.as_str()).from(file, line);
            }
        }
        let mut own = Table::new();
        if let Some(env) = given(map, "env").and_then(|entry| entry.value.map()) {
            self.environment(env, &joined(path, "env"), &mut own);
        }
        self.backing_environment(&own, kind.is_some(), path, line, &mut backing);
        if let Some(command) =
            given(map, "cmd").and_then(|entry| Some((entry.value.as_text()?, entry.span.line)))
        {
            match kind {
                Some(_) => self.found.remarks.lost(
                    command.1,
                    joined(path, "cmd"),
                    "would start it in another way; settings and save say what is set",
                ),
                None => {
                    backing
                        .set("command", without_shell(&command.0))
                        .from(file, command.1);
                }
            }
        }
        if let Some(entry) = given(map, "port") {
            let text = entry.value.as_text().unwrap_or_default();
            let inside = text
                .rsplit(':')
                .next()
                .and_then(|port| port.parse::<u16>().ok());
            if let (None, Some(port)) = (kind, inside) {
                backing.set("port", port).from(file, entry.span.line);
            }
            let open = text.matches(':').count() < 2 || !text.starts_with("127.");
            if open {
                self.found.remarks.note(entry.span.line, joined(path, "port"), "would be open on the server; here only the services that use it reach it, and you by landfall tunnel");
            }
        }
        for key in ["directories", "volumes"] {
            let Some(entry) = given(map, key) else {
                continue;
            };
            for node in several(&entry.value) {
                let inside = match node.map() {
                    Some(map) => given(map, "remote").and_then(|entry| entry.value.as_text()),
                    None => node
                        .as_text()
                        .and_then(|text| text.split(':').nth(1).map(str::to_owned)),
                };
                match (inside, kind) {
                    (Some(_), Some(_)) => {}
                    (Some(inside), None) if !backing.has("data") => {
                        backing.set("data", inside).from(file, node.span.line);
                    }
                    _ => self.found.remarks.lost(
                        node.span.line,
                        joined(path, key),
                        "is a second folder that is kept; a backing service has one, data",
                    ),
                }
            }
        }
        if let Some(entry) = given(map, "files") {
            for node in several(&entry.value) {
                self.file(node, kind, path, &mut backing);
            }
        }
        if let Some(options) = given(map, "options").and_then(|entry| entry.value.map()) {
            let mut limits = Table::new();
            self.options(options, &joined(path, "options"), &mut limits);
            for (key, value) in limits.entries() {
                match key {
                    "memory" | "cpu" => {
                        backing.set(key, value.value.clone()).from(file, line);
                    }
                    _ => self.found.remarks.lost(
                        line,
                        joined(path, &format!("options.{key}")),
                        "has no equal for a backing service",
                    ),
                }
            }
        }
        // On the app's own server it runs in any case.
        let mut taken = vec![
            "image",
            "env",
            "cmd",
            "port",
            "directories",
            "volumes",
            "files",
            "options",
        ];
        let mut named = ["host", "hosts"]
            .into_iter()
            .filter_map(|key| given(map, key));
        let server = self.server.as_deref();
        if named.all(|entry| texts(&entry.value).iter().all(|host| server == Some(host))) {
            taken.extend(["host", "hosts"]);
        }
        self.found.rest(
            path,
            map,
            &taken,
            &[
                ("host", "says on which server it runs; here it runs where the app does"),
                ("hosts", "says on which servers it runs; here it runs where the app does"),
                ("labels", "would label the container"),
                ("proxy", "would make it reachable from outside; give it a [service.NAME] with image and domains instead"),
                ("registry", "is the login of its image's registry; it stands in [registry]"),
            ],
            &[
                ("role", "says on which servers it runs; here it runs where the app does"),
                ("roles", "says on which servers it runs; here it runs where the app does"),
                ("tag", "says on which servers it runs; here it runs where the app does"),
                ("tags", "says on which servers it runs; here it runs where the app does"),
                ("service", "is the container's name"),
                ("network", "is Docker's network; an app has its own"),
            ],
        );
        let variable = match kind {
            Some("postgres") => "DATABASE_URL".to_owned(),
            Some(_) => "REDIS_URL".to_owned(),
            None => format!("{}_URL", name.to_ascii_uppercase().replace('-', "_")),
        };
        self.used(name, &variable, path, line);
        *self.draft.backing(name) = backing;
    }

    /// What of its environment a backing service needs; its user and password are made by Landfall.
    fn backing_environment(
        &mut self,
        own: &Table,
        provided: bool,
        path: &str,
        line: usize,
        backing: &mut Table,
    ) {
        if provided {
            let mut names: Vec<&str> = own
                .known_table("env")
                .map(|env| env.entries().iter().map(|(name, _)| *name).collect())
                .unwrap_or_default();
            if let Some(Value::List(secrets)) = own.get("secrets") {
                names.extend(secrets.iter().filter_map(|secret| match secret {
                    Value::Text(name) => Some(name.as_str()),
                    _ => None,
                }));
            }
            if names.is_empty() {
                return;
            }
            let key = joined(path, "env");
            let others: Vec<&str> = names
                .into_iter()
                .filter(|name| !MADE.contains(name))
                .collect();
            match others.is_empty() {
                true => self.found.remarks.note(line, key, "would make the database's user and password; Landfall makes them by itself, and gives the whole URL to the services that use it"),
                false => self.found.remarks.changed(line, key, format!("{} would be given to the image; Landfall makes the user and the password by itself, gives the whole URL to the services that use it, and settings of a backing service say what else is set", others.join(", "))),
            }
            return;
        }
        if let Some(env) = own.known_table("env") {
            for (name, entry) in env.entries() {
                backing.table("env").set(name, entry.value.clone()).place = entry.place.clone();
            }
        }
        if let Some(Value::List(secrets)) = own.get("secrets") {
            for secret in secrets {
                if let Value::Text(name) = secret {
                    let known = backing.known_table("env").is_some_and(|env| {
                        env.has(name)
                            || env.entries().iter().any(|(_, entry)| {
                                entry.value == Value::Text(format!("${{secret.{name}}}"))
                            })
                    });
                    if !known {
                        backing
                            .table("env")
                            .set(name, format!("${{secret.{name}}}"));
                    }
                }
            }
        }
    }

    /// A file put in: a script of its first start, or nothing that there is an equal for.
    fn file(&mut self, node: &'a Node, kind: Option<&str>, path: &str, backing: &mut Table) {
        let (local, remote) = match node.map() {
            Some(map) => (
                given(map, "local").and_then(|entry| entry.value.as_text()),
                given(map, "remote").and_then(|entry| entry.value.as_text()),
            ),
            None => {
                let text = node.as_text().unwrap_or_default();
                let mut parts = text.split(':').map(str::to_owned);
                (parts.next(), parts.next())
            }
        };
        let (local, remote) = (local.unwrap_or_default(), remote.unwrap_or_default());
        match remote.starts_with("/docker-entrypoint-initdb.d") && kind == Some("postgres") && !local.is_empty() {
            true => { backing.push("init", local).from(self.file, node.span.line); }
            false => self.found.remarks.lost(node.span.line, joined(path, "files"), format!("would put {local} into it as {remote}; settings of a backing service say what is set, or build an image that has it")),
        }
    }

    /// The services use it.
    fn used(&mut self, name: &str, variable: &str, path: &str, line: usize) {
        let services: Vec<String> = self
            .draft
            .top
            .services()
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        for service in services {
            let service = self.draft.service(&service);
            let taken = service.known_table("uses").is_some_and(|uses| {
                uses.entries()
                    .iter()
                    .any(|(_, entry)| entry.value == Value::Text(variable.to_owned()))
            });
            let variable = match taken {
                true => format!("{}_URL", name.to_ascii_uppercase().replace('-', "_")),
                false => variable.to_owned(),
            };
            service
                .table("uses")
                .set(name, variable.as_str())
                .from(self.file, line);
            // The URL is Landfall's to give.
            if let Some(Value::Table(env)) = service.entry("env").map(|entry| &mut entry.value) {
                env.remove(&variable);
            }
            if let Some(Value::List(secrets)) =
                service.entry("secrets").map(|entry| &mut entry.value)
            {
                secrets.retain(|secret| *secret != Value::Text(variable.clone()));
            }
        }
        self.found.remarks.note(line, path, format!("is told to the services as {variable}; where they read a host and a user of its own, write ${{backing.{name}.host}} and the like into their env"));
    }
}

/// An image's repository and its tag.
fn split(image: &str) -> (&str, &str) {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, ""),
    }
}
