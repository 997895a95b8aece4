//! The app as a compose file, with what belongs to it: `.env.example` and a line of `.gitignore`.
//!
//! Each environment has one file that is whole: `compose.yaml` for production, `compose.local.yaml` for
//! development (built here, sources mounted, `docker compose up --watch`). Development isn't an override
//! of production: Compose would read it by itself on every server that has a checkout, lists would be
//! appended where they should be replaced, and neither could be read alone. `compose.override.yaml` is
//! therefore left to the user; Compose puts it over `compose.yaml`, and we never write it.
//!
//! Every value that isn't derived is a variable with what the app file says as its default, and no secret
//! is ever in a file: it is a variable that must be set.

mod backing;
mod build;
mod develop;
mod example;
mod image;
mod left_out;
mod limits;
mod one_off;
mod probe;
mod service;
#[cfg(test)]
mod tests;
mod value;
mod variables;

use std::collections::BTreeSet;

use landfall_app::{App, LOCAL, Name, Reference, Value, model::Service};
use landfall_yaml::{Map, Node};

use crate::{Comment, Extent, Input, Refusal, Rendered, Written, keep};
use service::Facts;
use value::Writer;

/// Renders it.
///
/// # Errors
/// Never so far: what Compose can't say is noted.
pub fn render(input: &Input<'_>) -> Result<Rendered, Refusal> {
    let app = input.app;
    let mut writer = Writer::new(app, input.project);
    let names = FileNames::of(app, input.environments);
    let mut parts = Parts::default();
    left_out::of_app(&mut writer);
    let others = ["compose.yml", "docker-compose.yaml", "docker-compose.yml"];
    if let Some(other) = others.iter().find(|other| input.project.has(other)) {
        writer.note("compose", format!("{other} is there too: of several files docker compose takes compose.yaml, and says so"));
    }
    let mut slower = false;
    for (name, service) in &app.services {
        let facts = Facts::of(&writer, name, service);
        slower |= probe::slower(&service.health);
        one_service(&mut writer, &facts, &mut parts);
        left_out::of_service(&mut writer, name, service);
    }
    if slower {
        writer.note(
            "health.interval",
            "5s where it is shorter: each probe starts a program in the container",
        );
    }
    for (name, backing) in app.backing.iter().filter(|(_, backing)| backing.own()) {
        let own = writer
            .backing_name(name)
            .unwrap_or(name.as_str())
            .to_owned();
        let written = backing::write(&mut writer, name, backing);
        parts.add(own, written.service);
        parts.volumes.extend(written.volumes);
        parts.configs.extend(written.configs);
    }
    commands(&mut writer, &mut parts);
    let text = document(app, &names, parts);
    let variables = &writer.variables;
    let mut files = vec![
        written(&names.compose, text, Extent::Whole),
        written(
            &names.example,
            example::write(variables, &names.env),
            Extent::Whole,
        ),
    ];
    let ignored = input.project.text(".gitignore").unwrap_or_default();
    // Said in another way, it needn't be said again.
    if ignored.contains("/.env\n") || !ignores_env(&ignored) {
        files.push(written(".gitignore", "/.env\n".to_owned(), Extent::Lines));
    }
    let mut notes = writer.notes;
    // What several services have in common is said once.
    let mut said = BTreeSet::new();
    notes.retain(|note| said.insert((note.setting.clone(), note.said.clone())));
    Ok(Rendered { files, notes })
}

/// Whether lines of an ignore file leave out the file of variables.
fn ignores_env(text: &str) -> bool {
    let lines = [
        ".env", "/.env", "**/.env", ".env*", "/.env*", "**/.env*", "*.env", "**/*.env", ".*", "*",
    ];
    text.lines().any(|line| lines.contains(&line.trim()))
}

/// What the files are called.
struct FileNames {
    compose: String,
    example: String,
    env: String,
    /// The project's name, by which Compose tells one app's containers from another's.
    project: String,
}

impl FileNames {
    fn of(app: &App, environments: &[App]) -> Self {
        let environment = app.environment.as_str();
        let mut others = environments
            .iter()
            .map(|app| app.environment.as_str())
            .filter(|name| *name != LOCAL);
        // Production is the one of that name, or the only one that isn't local.
        let main = environment != LOCAL
            && match others.clone().any(|name| name == "production") {
                true => environment == "production",
                false => others.all(|name| name == environment),
            };
        match main {
            true => Self {
                compose: "compose.yaml".to_owned(),
                example: ".env.example".to_owned(),
                env: ".env".to_owned(),
                project: app.app.to_string(),
            },
            false => Self {
                compose: format!("compose.{environment}.yaml"),
                example: format!(".env.{environment}.example"),
                env: ".env".to_owned(),
                project: format!("{}-{environment}", app.app),
            },
        }
    }
}

#[derive(Default)]
struct Parts {
    services: Map,
    volumes: Vec<String>,
    configs: Vec<(String, String)>,
    /// Secrets of builds.
    secrets: BTreeSet<String>,
}

impl Parts {
    /// A service, apart from the one before it.
    fn add(&mut self, name: impl Into<String>, service: Map) {
        if !self.services.is_empty() {
            self.services.blank();
        }
        self.services.set(name, service);
    }
}

fn written(path: &str, text: String, extent: Extent) -> Written {
    Written {
        path: path.to_owned(),
        text,
        extent,
        comment: Comment::Hash,
        executable: false,
    }
}

/// A service, and before it what must have ended well.
fn one_service(writer: &mut Writer<'_>, facts: &Facts<'_>, parts: &mut Parts) {
    let mut waits = backing_waits(writer, facts.service);
    for (wanted, run) in one_off::before(facts) {
        let name = writer.name(&wanted, "once");
        let map = one_off::write(writer, facts, run, None, &waits);
        parts.add(name.as_str(), map);
        waits.push((name, "service_completed_successfully"));
    }
    let map = service::write(writer, facts, &waits);
    parts.add(facts.name.as_str(), map);
    parts.volumes.extend(
        facts
            .service
            .volumes
            .keys()
            .map(|volume| service::volume_name(facts.name, volume)),
    );
    if let Some((build, ..)) = &facts.build {
        parts.secrets.extend(build.secrets.iter().cloned());
    }
}

/// The backing services that a service is started after.
fn backing_waits(writer: &Writer<'_>, service: &Service) -> Vec<(String, &'static str)> {
    let mut named: BTreeSet<&Name> = service.uses.keys().collect();
    for value in variables::environments(service).flat_map(|environment| environment.values()) {
        if let Value::Text(template) = value {
            named.extend(
                template
                    .references()
                    .filter_map(|reference| match reference {
                        Reference::Backing(name, _) => Some(name),
                        _ => None,
                    }),
            );
        }
    }
    named
        .into_iter()
        .filter_map(|name| {
            let own = writer.backing_name(name)?.to_owned();
            let seen = writer.app.backing.get(name).is_some_and(backing::seen);
            Some((
                own,
                if seen {
                    "service_healthy"
                } else {
                    "service_started"
                },
            ))
        })
        .collect()
}

/// Jobs and hooks: commands that are run when somebody asks for them.
fn commands(writer: &mut Writer<'_>, parts: &mut Parts) {
    let app = writer.app;
    for (job, facts) in &app.jobs {
        let Some((of, service)) = app.services.get_key_value(&facts.service) else {
            continue;
        };
        let (of, waits) = (
            Facts::of(writer, of, service),
            backing_waits(writer, service),
        );
        let name = writer.name(job.as_str(), "job");
        let map = one_off::write(writer, &of, &facts.run, Some("jobs"), &waits);
        parts.add(name.as_str(), map);
        let timeout = facts
            .timeout
            .map(|timeout| format!("timeout {} ", timeout.as_millis().div_ceil(1000)))
            .unwrap_or_default();
        writer.note(
            format!("job.{job}"),
            format!(
                "nothing runs it by schedule; a line for cron, in {}: {} {timeout}docker compose run --rm {name}",
                app.timezone, facts.schedule
            ),
        );
    }
    for (point, hook) in &app.hooks {
        let Some((of, service)) = app.services.get_key_value(&hook.service) else {
            continue;
        };
        let (of, waits) = (
            Facts::of(writer, of, service),
            backing_waits(writer, service),
        );
        let point_name = one_off::point(*point);
        let name = writer.name(&format!("hook-{point_name}"), "hook");
        let map = one_off::write(writer, &of, &hook.run, Some("hooks"), &waits);
        parts.add(name.as_str(), map);
        writer.note(
            format!("hook.{point_name}"),
            format!(
                "run {} as: docker compose run --rm {name}",
                one_off::moment(*point)
            ),
        );
    }
}

fn document(app: &App, names: &FileNames, mut parts: Parts) -> String {
    let mut document = Map::new();
    match app.environment.as_str() {
        LOCAL => document.comment(format!(
            "For development: docker compose -f {} up --watch",
            names.compose
        )),
        environment => {
            let file = if names.compose == "compose.yaml" {
                String::new()
            } else {
                format!("-f {} ", names.compose)
            };
            document.comment(format!(
                "For {environment}: docker compose {file}up -d --wait"
            ))
        }
    };
    document.comment(format!(
        "Variables come from {}; {} names them all.",
        names.env, names.example
    ));
    document.set("name", names.project.as_str());
    parts.services.blank().comment(place("services"));
    document.blank().set("services", parts.services);
    let mut volumes = Map::new();
    for volume in parts.volumes {
        volumes.set(volume, Map::new());
    }
    if !volumes.is_empty() {
        document.blank().set("volumes", volumes);
    }
    let mut configs = Map::new();
    for (name, text) in parts.configs {
        let mut config = Map::new();
        config.set("content", Node::Block(text));
        configs.set(name, config);
    }
    if !configs.is_empty() {
        document.blank().set("configs", configs);
    }
    let mut secrets = Map::new();
    for name in parts.secrets {
        let mut secret = Map::new();
        secret.set("environment", name.as_str());
        secrets.set(name, secret);
    }
    if !secrets.is_empty() {
        document.blank().set("secrets", secrets);
    }
    document.blank().comment(place("more"));
    landfall_yaml::write(&document)
}

/// A place of the user's, as a comment that isn't marked yet.
fn place(name: &str) -> String {
    keep(name, 0, Comment::Hash).replace("# ", "")
}
