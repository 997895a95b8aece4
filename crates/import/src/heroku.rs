//! Heroku's app.json, which Dokku reads too, with the Procfile beside it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use landfall_yaml::read::{Mapping, Node};

use crate::{
    Imported, Input, Refusal, Remarks,
    draft::{self, Draft, Names, Table, Value},
    procfile,
    tree::{self, Found, given, joined, several, texts, time},
};

const NOTES: tree::Sayings<'static> = &[
    ("name", "is the app's name, made to fit"),
    ("description", "is for people"),
    ("keywords", "is for people"),
    ("website", "is for people"),
    ("repository", "is for people"),
    ("logo", "is for people"),
    ("success_url", "is for people"),
    (
        "stack",
        "chooses the machine's base at Heroku; here the Dockerfile, or this machine",
    ),
    ("image", "chooses the machine's base, as stack does"),
    ("$schema", "is for editors"),
    ("landfall", "is landfall's own mark of a file that it wrote"),
];
const LOST: tree::Sayings<'static> = &[(
    "environments",
    "would be other settings for review apps and tests; an [environment.NAME] holds what is different there",
)];

/// Reads app.json, and the Procfile beside it.
///
/// # Errors
/// Where it isn't there, isn't JSON, or is another tool's app.json.
pub fn import(input: &Input<'_>) -> Result<Imported, Refusal> {
    let (file, text) = input.named_text()?;
    let map = tree::json(&text, &file)?;
    let known = [
        "addons",
        "buildpacks",
        "env",
        "formation",
        "scripts",
        "stack",
        "healthchecks",
        "cron",
        "environments",
    ];
    let has = |key: &&str| map.get(key).is_some();
    let procfile = procfile_beside(&file);
    let beside = input.text(&procfile)?;
    if map.get("expo").is_some() || (!known.iter().any(has) && beside.is_none()) {
        return Err(Refusal {
            name: "bad-import",
            file,
            line: 1,
            message: "says nothing of an app for Heroku: neither env nor addons, formation, buildpacks or scripts".to_owned(),
            mend: None,
        });
    }
    let mut names = Names::new();
    let wanted = given(&map, "name").and_then(|entry| entry.value.as_text());
    let app = names
        .give(wanted.as_deref().unwrap_or(input.name), "app")
        .name;
    let mut heroku = Heroku {
        map: &map,
        found: Found::of(&file),
        file: &file,
        draft: Draft::new(&app),
        app: app.clone(),
    };
    heroku.draft.comments.push(format!(
        "From {file}. `landfall check` reads it, `landfall config` shows it with every default."
    ));
    heroku.draft.service(&app).from(&file, 1);
    procfile::build(input, heroku.draft.service(&app), false)?;
    heroku.environment();
    let mut remarks = Remarks::of(&procfile);
    heroku.processes(beside.as_deref(), &mut remarks);
    heroku.addons();
    heroku.formation();
    heroku.scripts();
    heroku.health();
    heroku.cron();
    heroku.buildpacks();
    heroku.found.rest(
        "",
        &map,
        &[
            "env",
            "addons",
            "formation",
            "scripts",
            "healthchecks",
            "cron",
            "buildpacks",
        ],
        LOST,
        NOTES,
    );
    let Heroku {
        mut found, draft, ..
    } = heroku;
    found.remarks.list.append(&mut remarks.list);
    found.settle(draft)
}

fn procfile_beside(file: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/Procfile"),
        None => "Procfile".to_owned(),
    }
}

/// The work on one file.
struct Heroku<'a> {
    map: &'a Mapping,
    found: Found<'a>,
    file: &'a str,
    draft: Draft,
    app: String,
}

impl<'a> Heroku<'a> {
    fn service(&mut self) -> &mut Table {
        self.draft.top.service(&self.app)
    }

    fn table(&self, key: &str) -> Option<&'a Mapping> {
        let map: &'a Mapping = self.map;
        given(map, key)?.value.map()
    }

    fn list(&self, key: &str) -> Vec<&'a Node> {
        let map: &'a Mapping = self.map;
        given(map, key)
            .map(|entry| several(&entry.value))
            .unwrap_or_default()
    }

    /// `env`: a text, or what is asked for.
    fn environment(&mut self) {
        let Some(given_map) = given(self.map, "env").and_then(|entry| entry.value.map()) else {
            return;
        };
        let file = self.file;
        for entry in &given_map.entries {
            let (name, line, key) = (
                entry.key.as_str(),
                entry.span.line,
                joined("env", &entry.key),
            );
            let long = entry.value.map();
            let generated = long
                .and_then(|map| map.get("generator")?.as_text())
                .as_deref()
                == Some("secret");
            let value = match long {
                Some(map) => given(map, "value").and_then(|entry| entry.value.as_text()),
                None => entry.value.as_text(),
            };
            let why = long.and_then(|map| given(map, "description")?.value.as_text());
            if !draft::is_variable(name) {
                self.found.remarks.lost(
                    line,
                    key,
                    "is no name of a variable: letters, digits and `_`",
                );
                continue;
            }
            if name == "PORT" || name == "BUILDPACK_URL" {
                self.found
                    .remarks
                    .note(line, key, "is given by Landfall, or not needed");
                continue;
            }
            let service = self.draft.top.service(&self.app);
            if generated {
                let generate: Table = [("generate".to_owned(), Value::Whole(32))]
                    .into_iter()
                    .collect();
                service.table("env").set(name, generate).from(file, line);
                continue;
            }
            match value.filter(|value| !value.is_empty()) {
                Some(value) => self.found.variable(service, None, &key, line, name, &value),
                // What somebody has to say before the app can run is what a secret is: asked for by name.
                None => {
                    let required = long
                        .and_then(|map| map.get("required")?.as_bool())
                        .unwrap_or(true);
                    let secret: Value = match required {
                        true => name.into(),
                        false => [
                            ("name".to_owned(), name.into()),
                            ("optional".to_owned(), true.into()),
                        ]
                        .into_iter()
                        .collect::<Table>()
                        .into(),
                    };
                    service.push("secrets", secret).from(file, line);
                    let said = why.map_or(String::new(), |why| {
                        format!(": {}", why.trim_end_matches('.'))
                    });
                    self.found.remarks.note(
                        line,
                        key,
                        format!("has no value here, so it is asked for as a secret{said}"),
                    );
                }
            }
        }
    }

    fn processes(&mut self, beside: Option<&str>, remarks: &mut Remarks<'_>) {
        let service = self.draft.top.service(&self.app);
        let Some(text) = beside else {
            if !service.has("build") {
                service.todo("say what starts it, for example command = \"bin/web --port $PORT\"; there is no Procfile beside app.json");
                service.set(
                    "command",
                    vec![
                        "sh",
                        "-c",
                        "echo 'landfall.toml says no command yet' >&2; exit 1",
                    ],
                );
            }
            return;
        };
        let entries = procfile::entries(text, remarks);
        let env = service.known_table("env").cloned().unwrap_or_default();
        let known = |name: &str| {
            env.text(name)
                .is_some_and(|value| !value.is_empty() && !value.contains(char::is_whitespace))
        };
        procfile::processes(&entries, &self.app, service, remarks, &known);
    }

    fn addons(&mut self) {
        let mut uses: BTreeMap<&str, String> = BTreeMap::new();
        for node in self.list("addons") {
            let (line, long) = (node.span.line, node.map());
            let plan = match long {
                Some(map) => given(map, "plan").and_then(|entry| entry.value.as_text()),
                None => node.as_text(),
            };
            let plan = plan.unwrap_or_default();
            let (addon, _) = plan.split_once(':').unwrap_or((&plan, ""));
            let alias = long.and_then(|map| given(map, "as")?.value.as_text());
            let version = long.and_then(|map| {
                given(map.get("options")?.map()?, "version")?
                    .value
                    .as_text()
            });
            let (name, variable) = match addon {
                "heroku-postgresql" | "herokupostgresql" | "dokku-postgres" => {
                    ("postgres", "DATABASE_URL")
                }
                "heroku-redis" | "heroku-kvs" | "heroku-key-value-store" | "dokku-redis" => {
                    ("redis", "REDIS_URL")
                }
                "rediscloud" => ("redis", "REDISCLOUD_URL"),
                "redistogo" => ("redis", "REDISTOGO_URL"),
                "openredis" => ("redis", "OPENREDIS_URL"),
                "scheduler" | "heroku-scheduler" | "advanced-scheduler" | "cron-to-go" => {
                    self.found.remarks.lost(line, format!("addons {addon}"), "runs what is set up on its page; each of it is a [job.NAME] here, with run and schedule");
                    continue;
                }
                _ => {
                    self.found.remarks.lost(line, format!("addons {addon}"), "is a service of somebody else; name its variable in secrets and give it a value, or run one like it as [backing.NAME] with an image");
                    continue;
                }
            };
            let variable =
                alias.map_or_else(|| variable.to_owned(), |alias| format!("{alias}_URL"));
            if let Some(known) = uses.get(name) {
                self.found.remarks.lost(
                    line,
                    format!("addons {addon}"),
                    format!("is a second {name}, for {variable}; the first one is {known}"),
                );
                continue;
            }
            let backing = self.draft.backing(name);
            backing.from(self.file, line);
            if let Some(version) = version {
                backing.set("version", version).from(self.file, line);
            }
            uses.insert(name, variable);
        }
        if uses.is_empty() {
            return;
        }
        let usual = |(name, variable): (&&str, &String)| match *name {
            "postgres" => variable == "DATABASE_URL",
            _ => variable == "REDIS_URL",
        };
        let service = self.service();
        match uses.iter().all(usual) {
            true => {
                service.set("uses", uses.keys().copied().collect::<Vec<_>>());
            }
            false => {
                let table: Table = uses
                    .iter()
                    .map(|(name, variable)| ((*name).to_owned(), variable.as_str().into()))
                    .collect();
                service.set("uses", table);
            }
        }
        // Their variables are given by Landfall now.
        for variable in uses.values() {
            if let Some(Value::Table(env)) = service.entry("env").map(|entry| &mut entry.value) {
                env.remove(variable);
            }
            if let Some(Value::List(secrets)) =
                service.entry("secrets").map(|entry| &mut entry.value)
            {
                secrets.retain(|secret| match secret {
                    Value::Text(name) => name != variable,
                    Value::Table(table) => table.text("name") != Some(variable),
                    _ => true,
                });
            }
        }
        if matches!(service.get("secrets"), Some(Value::List(list)) if list.is_empty()) {
            service.remove("secrets");
        }
    }

    fn formation(&mut self) {
        let Some(map) = given(self.map, "formation").and_then(|entry| entry.value.map()) else {
            return;
        };
        let file = self.file;
        for entry in &map.entries {
            let (line, key) = (entry.span.line, joined("formation", &entry.key));
            let Some(own) = entry.value.map() else {
                continue;
            };
            let quantity = given(own, "quantity").and_then(|entry| entry.value.as_integer());
            let name = Names::new().give(&entry.key, "app").name;
            let service = self.draft.top.service(&self.app);
            let process = service
                .known_table("process")
                .is_some_and(|all| all.has(&name));
            match quantity {
                Some(count) if count > 1 && entry.key == "web" => {
                    service.set("replicas", count).from(file, line);
                }
                Some(0) if process => {
                    service.table("process").remove(&name);
                    self.found.remarks.lost(line, key.as_str(), "has a quantity of 0, so it is left out; for what runs now and then there is landfall run");
                }
                Some(count) if count > 1 => {
                    self.found.remarks.changed(line, key.as_str(), format!("would run {count} times; all processes of a service are scaled together: give it a service of its own, with build = {{ same-as = \"{}\" }} and replicas = {count}", self.app));
                }
                _ => {}
            }
            if let Some(size) = given(own, "size").and_then(|entry| entry.value.as_text()) {
                let memory = match size.to_ascii_lowercase().as_str() {
                    "free" | "hobby" | "eco" | "basic" | "standard-1x" | "1x" => Some("512MiB"),
                    "standard-2x" | "2x" => Some("1GiB"),
                    "performance-m" | "private-s" | "private-m" => Some("2560MiB"),
                    "performance-l" | "private-l" | "px" => Some("14GiB"),
                    _ => None,
                };
                let service = self.draft.top.service(&self.app);
                let known = service
                    .known_table("process")
                    .is_some_and(|all| all.has(&name));
                match memory {
                    Some(memory) if known => { service.table("process").table(&name).set("memory", memory).from(file, line); }
                    Some(memory) if !service.has("process") => { service.set("memory", memory).from(file, line); }
                    Some(_) => {}
                    None => self.found.remarks.lost(line, format!("{key}.size"), format!("{size} is no size known here; memory of the service says how much it gets")),
                }
            }
            self.found.rest(
                &key,
                own,
                &["quantity", "size", "max_parallel"],
                &[
                    (
                        "autoscaling",
                        "would scale it by its load; replicas = { min = 1, max = 3 } does that",
                    ),
                    ("service", "says how Dokku exposes it"),
                ],
                &[],
            );
        }
    }

    fn scripts(&mut self) {
        let Some(map) = self.table("scripts") else {
            return;
        };
        for entry in &map.entries {
            let (line, key) = (entry.span.line, joined("scripts", &entry.key));
            let command = entry.value.as_text().unwrap_or_default();
            let file = self.file;
            match (entry.key.as_str(), entry.value.map()) {
                ("dokku", Some(own)) => {
                    for inner in &own.entries {
                        let (line, key) = (inner.span.line, joined(&key, &inner.key));
                        let command = inner.value.as_text().unwrap_or_default();
                        match inner.key.as_str() {
                            "predeploy" if !self.service().has("migrate") => { self.service().set("migrate", draft::once(&command)).from(file, line); }
                            "postdeploy" => { self.draft.top.hooks.set("switched", draft::once(&command)).from(file, line); }
                            _ => self.found.remarks.lost(line, key, "would run at a point of Dokku's deployment; hook has before, verified, switched, after and failed"),
                        }
                    }
                }
                ("postdeploy", _) => self.found.remarks.lost(line, key, format!("would run once, after the app is made for the first time: landfall run -- {command}; what runs in every deployment is migrate")),
                ("test" | "test-setup", _) => self.found.remarks.lost(line, key, "would run in Heroku CI; pipeline = { tests = [{ run = \"…\" }] } will"),
                ("pr-predestroy", _) => self.found.remarks.lost(line, key, "would run before a review app ends"),
                _ => self.found.remarks.lost(line, key, "is no script that Heroku runs"),
            }
        }
    }

    /// Dokku's `healthchecks`.
    fn health(&mut self) {
        let Some(map) = self.table("healthchecks") else {
            return;
        };
        let file = self.file;
        for entry in &map.entries {
            let name = Names::new().give(&entry.key, "app").name;
            for node in several(&entry.value) {
                let Some(check) = node.map() else { continue };
                let (line, key) = (node.span.line, joined("healthchecks", &entry.key));
                let text = |key| given(check, key).and_then(|entry| entry.value.as_text());
                let mut health = Table::new();
                if let Some(path) = text("path") {
                    let live = text("type").as_deref() == Some("liveness");
                    health.set(if live { "live" } else { "ready" }, path);
                } else if let Some(command) = given(check, "command") {
                    health.set("run", texts(&command.value));
                }
                if let Some(body) = text("content") {
                    health.set("body", body);
                }
                for (theirs, ours) in [
                    ("timeout", "timeout"),
                    ("wait", "interval"),
                    ("initialDelay", "start"),
                    ("uptime", "up"),
                ] {
                    if let Some(text) = given(check, theirs)
                        .and_then(|entry| time(&entry.value, "s"))
                        .filter(|text| text != "0s")
                    {
                        health.set(ours, text);
                    }
                }
                if let Some(attempts) =
                    given(check, "attempts").and_then(|entry| entry.value.as_integer())
                {
                    health.set("retries", attempts);
                }
                self.found.rest(
                    &key,
                    check,
                    &[
                        "path",
                        "command",
                        "content",
                        "timeout",
                        "wait",
                        "initialDelay",
                        "uptime",
                        "attempts",
                        "type",
                        "port",
                        "listening",
                    ],
                    &[
                        (
                            "httpHeaders",
                            "would be sent with the question; Landfall's probe sends none",
                        ),
                        ("scheme", "would ask by HTTPS; the probe speaks plain HTTP"),
                        ("warn", "would only warn"),
                    ],
                    &[
                        ("name", "is a name for people"),
                        ("onFailure", "would run something when it fails"),
                    ],
                );
                if health.is_empty() {
                    continue;
                }
                let service = self.draft.top.service(&self.app);
                if !service.has("port") && (health.has("ready") || health.has("live")) {
                    service
                        .set("port", 8000)
                        .comment("a guess; $PORT says it to the app");
                }
                let place = match service
                    .known_table("process")
                    .is_some_and(|all| all.has(&name))
                    && entry.key != "web"
                {
                    true => service.table("process").table(&name),
                    false => service,
                };
                match place.has("health") {
                    true => {
                        let own = place.table("health");
                        // A page says more than a command; both can't be asked.
                        if health.has("ready") && own.remove("run").is_some() {
                            self.found.remarks.lost(line, key.as_str(), "stands beside a command that is asked too; a service has one question for being ready, so it is the page");
                        }
                        for (key, one) in health.entries() {
                            if !own.has(key) {
                                own.set(key, one.value.clone()).from(file, line);
                            }
                        }
                    }
                    false => {
                        place.set("health", health).from(file, line);
                    }
                }
            }
        }
    }

    /// Dokku's `cron`.
    fn cron(&mut self) {
        let nodes = self.list("cron");
        let mut names = Names::new();
        for node in nodes {
            let Some(map) = node.map() else { continue };
            let text = |key| given(map, key).and_then(|entry| entry.value.as_text());
            let line = node.span.line;
            let (Some(command), Some(schedule)) = (text("command"), text("schedule")) else {
                self.found
                    .remarks
                    .lost(line, "cron", "has no command or no schedule");
                continue;
            };
            let schedule = match schedule.as_str() {
                "@hourly" => "0 * * * *".to_owned(),
                "@daily" | "@midnight" => "0 0 * * *".to_owned(),
                "@weekly" => "0 0 * * 0".to_owned(),
                "@monthly" => "0 0 1 * *".to_owned(),
                "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
                _ => schedule,
            };
            let words: Vec<&str> = command.split_whitespace().take(3).collect();
            let name = names.give(&words.join("-"), "job").name;
            let file = self.file;
            let job = self.draft.job(&name);
            job.from(file, line);
            job.set("run", draft::once(&command)).from(file, line);
            job.set("schedule", schedule).from(file, line);
            self.found.rest("cron", map, &["command", "schedule"], &[("concurrency_policy", "would say what happens where one still runs; a job here never runs twice at once")], &[]);
        }
    }

    fn buildpacks(&mut self) {
        let nodes = self.list("buildpacks");
        for node in nodes {
            let url = match node.map() {
                Some(map) => given(map, "url").and_then(|entry| entry.value.as_text()),
                None => node.as_text(),
            };
            let url = url.unwrap_or_default();
            let line = node.span.line;
            let own = [
                "heroku/python",
                "heroku/nodejs",
                "heroku/buildpack-python",
                "heroku/buildpack-nodejs",
                "heroku-buildpack-python",
                "heroku-buildpack-nodejs",
            ];
            match own.iter().any(|own| url.trim_end_matches(".git").ends_with(own)) {
                true => self.found.remarks.note(line, "buildpacks", format!("{url} is what Landfall does by itself with requirements.txt, pyproject.toml or package.json")),
                false => self.found.remarks.lost(line, "buildpacks", format!("{url} would take part in the build; build = {{ run = \"…\" }} or a Dockerfile does that")),
            }
        }
    }
}
