//! Kamal's config/deploy.yml: each role of servers is a service, accessories are backing services.

mod accessory;
mod proxy;
mod role;
#[cfg(test)]
mod tests;

use landfall_yaml::read::{Limits, Mapping, Node, Value, read};

use crate::{
    Imported, Input, Refusal,
    draft::{self, Draft, Names, Table},
    tree::{self, Found, given, joined, several, texts, time},
};

const LOST: tree::Sayings<'static> = &[
    ("labels", "would label the containers"),
    (
        "asset_path",
        "would keep files of the release before beside those of the new one; drain lets old pages end",
    ),
    (
        "error_pages_path",
        "would show pages of its own for errors of the proxy",
    ),
    (
        "hooks_path",
        "would run scripts at points of a deployment; hook has before, verified, switched, after and failed",
    ),
    (
        "logging",
        "would choose Docker's way to keep logs; landfall keeps them: [logs] keep and max",
    ),
    (
        "require_destination",
        "would refuse to deploy without a destination; here -e names the environment",
    ),
];
const NOTES: tree::Sayings<'static> = &[
    ("minimum_version", "is about Kamal itself"),
    (
        "secrets_path",
        "is where Kamal's secrets lie; landfall secrets import reads a file of them",
    ),
    ("hooks_output", "is about Kamal's output"),
    ("output", "is about Kamal's output"),
    ("run_directory", "is a folder of Kamal on the servers"),
    ("sshkit", "is about Kamal's connections"),
    (
        "aliases",
        "are words for Kamal's command; landfall run and landfall exec do what they stand for",
    ),
    ("allow_empty_roles", "is about Kamal's check of this file"),
    ("primary_role", "says which role has the proxy"),
    (
        "retain_containers",
        "says how many releases stay to go back to; landfall keeps some by itself",
    ),
    ("readiness_delay", "is taken over as health.up"),
    (
        "boot",
        "would deploy to a part of the servers at a time; an environment has one, where a release starts beside the old one",
    ),
];

/// Reads config/deploy.yml.
///
/// # Errors
/// Where it isn't there, isn't YAML, or names no service.
pub fn import(input: &Input<'_>) -> Result<Imported, Refusal> {
    let (file, text) = input.named_text()?;
    let mut found = Found::of(&file);
    let text = without_erb(&text, &mut found);
    let documents = read(text.as_bytes(), &Limits::default()).map_err(|problems| {
        let problem = problems.0.first();
        Refusal {
            name: "bad-import",
            file: file.clone(),
            line: problem.map_or(0, |problem| problem.span.line),
            message: format!(
                "is not YAML: {}",
                problem.map_or("", |problem| problem.message.as_str())
            ),
            mend: problem.and_then(|problem| problem.mend.clone()),
        }
    })?;
    let refused = |line, message: &str| Refusal {
        name: "bad-import",
        file: file.clone(),
        line,
        message: message.to_owned(),
        mend: None,
    };
    let root = documents.first().ok_or_else(|| refused(0, "is empty"))?;
    let map = root
        .map()
        .ok_or_else(|| refused(root.span.line, "is no mapping, so no file of Kamal's"))?;
    let service = given(map, "service").and_then(|entry| entry.value.as_text());
    let service = service.ok_or_else(|| refused(root.span.line, "has no service, so it is no file of Kamal's; what is merged over another file is imported with that one"))?;
    let mut names = Names::new();
    let app = names.give(&service, "app").name;
    let mut draft = Draft::new(&app);
    draft.comments.push(format!(
        "From {file}. `landfall check` reads it, `landfall config` shows it with every default."
    ));
    let mut kamal = Kamal {
        map,
        found,
        file: &file,
        draft,
        app,
        names: Names::new(),
        server: None,
    };
    kamal.roles();
    kamal.registry();
    kamal.accessories();
    kamal.found.rest(
        "",
        map,
        &[
            "service",
            "image",
            "servers",
            "registry",
            "env",
            "proxy",
            "builder",
            "volumes",
            "accessories",
            "deploy_timeout",
            "drain_timeout",
            "stop_timeout",
            "healthcheck",
            "traefik",
            "primary_role",
            "ssh",
        ],
        LOST,
        NOTES,
    );
    let Kamal { found, draft, .. } = kamal;
    found.settle(draft)
}

/// The work on one file.
struct Kamal<'a> {
    map: &'a Mapping,
    found: Found<'a>,
    file: &'a str,
    draft: Draft,
    app: String,
    names: Names,
    /// The server that the app runs on.
    server: Option<String>,
}

/// `<%= ENV["X"] %>` and other Ruby is executed by Kamal when it reads the file; here nothing is. A line
/// of Ruby alone goes, a value with Ruby in it becomes a marked one.
fn without_erb(text: &str, found: &mut Found<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let mut kept = String::new();
        let mut rest = line;
        let mut ruby = false;
        loop {
            if inside {
                ruby = true;
                match rest.split_once("%>") {
                    Some((_, after)) => {
                        inside = false;
                        rest = after;
                    }
                    None => break,
                }
            } else if let Some((before, after)) = rest
                .split_once("<%")
                .filter(|(before, _)| !before.trim_start().starts_with('#'))
            {
                kept.push_str(before);
                if after.starts_with('=') {
                    kept.push_str(ERB);
                }
                inside = true;
                rest = after;
            } else {
                kept.push_str(rest);
                break;
            }
        }
        if ruby {
            found.remarks.lost(
                index + 1,
                "<% %>",
                "is Ruby, which Kamal executes when it reads the file; put the value in by hand",
            );
            // What was Ruby alone is no line of YAML.
            if kept.trim().is_empty() {
                kept.clear();
            }
        }
        out.push_str(&kept);
        out.push('\n');
    }
    out
}

/// What stands for a value that Ruby would have computed.
const ERB: &str = "RUBY-VALUE";

impl<'a> Kamal<'a> {
    /// Variables: `KEY: value`, or `clear`, `secret` and `tags`.
    fn environment(&mut self, map: &'a Mapping, path: &str, into: &mut Table) {
        let long =
            map.get("clear").is_some() || map.get("secret").is_some() || map.get("tags").is_some();
        let clear = match long {
            true => given(map, "clear").and_then(|entry| entry.value.map()),
            false => Some(map),
        };
        let below = if long {
            joined(path, "clear")
        } else {
            path.to_owned()
        };
        for entry in clear.map(|map| map.entries.as_slice()).unwrap_or_default() {
            let key = joined(&below, &entry.key);
            match entry.value.as_text() {
                Some(value) if value.contains(ERB) => {
                    into.todo(format!(
                        "{} is computed by Ruby in {}: give it a value here",
                        entry.key, self.file
                    ));
                }
                Some(value) => {
                    self.found
                        .variable(into, None, &key, entry.span.line, &entry.key, &value)
                }
                None if entry.value.is_null() => {}
                None => self.found.remarks.lost(entry.span.line, key, "is no text"),
            }
        }
        if !long {
            return;
        }
        if let Some(secret) = given(map, "secret") {
            for node in several(&secret.value) {
                let Some(text) = node.as_text() else { continue };
                let (name, other) = text.split_once(':').unwrap_or((&text, ""));
                let line = node.span.line;
                if !draft::is_variable(name) || (!other.is_empty() && !draft::is_variable(other)) {
                    self.found.remarks.lost(
                        line,
                        joined(path, "secret"),
                        "is no name of a variable",
                    );
                    continue;
                }
                match other {
                    "" => {
                        into.push("secrets", name).from(self.file, line);
                    }
                    other => {
                        into.push("secrets", other).from(self.file, line);
                        into.table("env")
                            .set(name, format!("${{secret.{other}}}"))
                            .from(self.file, line);
                    }
                }
            }
        }
        self.found.rest(
            path,
            map,
            &["clear", "secret"],
            &[("tags", "would give servers with a tag other variables; an environment of the app, or a service of its own, does that")],
            &[],
        );
    }

    /// Logins of a registry, from names of secrets.
    fn registry(&mut self) {
        let Some(entry) = given(self.map, "registry") else {
            return;
        };
        let Some(map) = entry.value.map() else { return };
        let server = given(map, "server").and_then(|entry| entry.value.as_text());
        let server = server.unwrap_or_else(|| "docker.io".to_owned());
        if server.starts_with("localhost") {
            return self.found.remarks.note(entry.span.line, "registry.server", "is a registry of this machine, which isn't needed: images are built where they run");
        }
        let mut login = Table::new();
        for key in ["username", "password"] {
            let Some(value) = given(map, key) else {
                continue;
            };
            let line = value.span.line;
            let name = value
                .value
                .list()
                .and_then(|list| list.first())
                .and_then(Node::as_text);
            match (name, value.value.as_text()) {
                (Some(secret), _) if draft::is_variable(&secret) => {
                    login
                        .set(key, format!("${{secret.{secret}}}"))
                        .from(self.file, line);
                }
                (None, Some(text))
                    if key == "username" && !text.contains("${") && !text.contains(ERB) =>
                {
                    login.set(key, text).from(self.file, line);
                }
                (None, Some(text)) if !text.contains(ERB) => {
                    self.found.remarks.secret(
                        line,
                        joined("registry", key),
                        "KAMAL_REGISTRY_PASSWORD",
                    );
                    self.found
                        .secrets
                        .insert("KAMAL_REGISTRY_PASSWORD".to_owned());
                    login
                        .set(key, "${secret.KAMAL_REGISTRY_PASSWORD}")
                        .from(self.file, line);
                }
                _ => {}
            }
        }
        if login.len() == 2 {
            let host = server.split('/').next().unwrap_or(&server).to_owned();
            self.draft
                .top
                .own
                .table("registry")
                .set(&host, login)
                .from(self.file, entry.span.line);
        }
        self.found.rest(
            "registry",
            map,
            &["server", "username", "password"],
            &[],
            &[],
        );
    }
}

/// The time of a key, in seconds where it has no unit.
fn seconds(map: &Mapping, key: &str) -> Option<(String, usize)> {
    let entry = given(map, key)?;
    Some((time(&entry.value, "s")?, entry.span.line))
}

/// Hosts of a list: texts, or mappings from a host to its tags.
fn hosts(node: &Node) -> Vec<(String, bool)> {
    several(node)
        .into_iter()
        .filter_map(|host| match &host.value {
            Value::Map(map) => Some((map.entries.first()?.key.clone(), true)),
            _ => Some((texts(host).into_iter().next()?, false)),
        })
        .collect()
}
