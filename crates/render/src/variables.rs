//! Variables of a process, as files of other tools can hold them: in the clear, by a secret's name, or not
//! at all.

use std::collections::{BTreeMap, BTreeSet};

use landfall_app::{
    App, Field, Name, Reference, Value,
    model::{BackingKind, Service},
};

use crate::Note;

/// What becomes of the variables of a process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// Those whose value may stand in a file.
    pub plain: BTreeMap<String, String>,
    /// Those that are secrets, of the same name; `true`: a deployment goes on without it.
    pub secret: BTreeMap<String, bool>,
    /// Those whose value must be made by whoever sets it up, and of what.
    pub apart: BTreeMap<String, String>,
}

/// Sorts the variables of `env` and the service's secrets. `address` knows what a reference is here; what it
/// doesn't know, and what has a secret in it, is set apart. Variables of `uses` aren't among them.
pub(crate) fn variables(
    service: &Service,
    env: &BTreeMap<String, Value>,
    address: impl Fn(&Reference) -> Option<String>,
) -> Variables {
    let mut found = Variables::default();
    for (name, used) in &service.secrets {
        found.secret.insert(name.clone(), used.optional);
    }
    for (name, value) in env {
        let template = match value {
            Value::Generate(bytes) => {
                let made =
                    format!("{bytes} random bytes as hexadecimal digits, made once and kept");
                found.apart.insert(name.clone(), made);
                continue;
            }
            Value::Text(template) => template,
        };
        let itself = Reference::Secret(name.clone());
        if template.to_string() == format!("${{{itself}}}") {
            found.secret.entry(name.clone()).or_insert(false);
            continue;
        }
        match template.render(|reference| address(reference).ok_or(())) {
            Ok(text) => drop(found.plain.insert(name.clone(), text)),
            Err(()) => drop(found.apart.insert(name.clone(), template.to_string())),
        }
        // What the file sets is stronger than a secret of that name.
        found.secret.remove(name);
    }
    found
}

/// The variables that carry a backing service's address: the URL and its parts.
pub(crate) fn of_backing(kind: &BackingKind, variable: &str) -> Vec<(String, Field)> {
    let prefix = variable.strip_suffix("_URL").unwrap_or(variable);
    let parts: &[(&str, Field)] = match kind {
        BackingKind::Image(_) => &[("HOST", Field::Host), ("PORT", Field::Port)],
        _ => &[
            ("HOST", Field::Host),
            ("PORT", Field::Port),
            ("USER", Field::User),
            ("PASSWORD", Field::Password),
            ("NAME", Field::Name),
        ],
    };
    let parts = parts
        .iter()
        .map(|(part, field)| (format!("{prefix}_{part}"), *field));
    [(variable.to_owned(), Field::Url)]
        .into_iter()
        .chain(parts)
        .collect()
}

/// A URL, host or port of something at `host:port`.
pub(crate) fn part(host: &str, port: u16, field: Field) -> Option<String> {
    match field {
        Field::Url => Some(format!("http://{host}:{port}")),
        Field::Host => Some(host.to_owned()),
        Field::Port => Some(port.to_string()),
        Field::User | Field::Password | Field::Name => None,
    }
}

/// Of what a service refers to: other services by name.
pub(crate) fn services_named(service: &Service) -> BTreeSet<&Name> {
    let processes = service.processes.iter().flat_map(|one| one.env.values());
    let all = service.env.values().chain(processes);
    all.filter_map(|value| match value {
        Value::Text(template) => Some(template),
        Value::Generate(_) => None,
    })
    .flat_map(|template| template.references())
    .filter_map(|reference| match reference {
        Reference::Service(name, _) => Some(name),
        _ => None,
    })
    .collect()
}

/// Each note once, where it came first.
pub(crate) fn once(notes: &mut Vec<Note>) {
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert((note.setting.clone(), note.said.clone())));
}

/// What the app file says and none of these formats can say, but what is named in `said`.
pub(crate) fn unsaid(app: &App, said: &[&str]) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |present: bool, setting: String, text: &str| {
        let last = setting.rsplit('.').next().unwrap_or_default();
        if present && !said.contains(&last) {
            notes.push(Note {
                setting,
                said: text.to_owned(),
            });
        }
    };
    for (name, service) in &app.services {
        let of = |setting: &str| format!("service.{name}.{setting}");
        note(
            service.observe.is_some(),
            of("observe"),
            "nothing watches a new release after the switch and takes it back",
        );
        note(
            !service.smoke.is_empty(),
            of("smoke"),
            "no page is fetched after a deployment",
        );
        note(
            service.cors.is_some(),
            of("cors"),
            "the app answers for itself; a proxy in front can set the headers",
        );
        note(
            !service.redirects.is_empty(),
            of("redirects"),
            "no redirects are answered in front of the app; a proxy can do it",
        );
        note(
            !service.http.headers.is_empty(),
            of("headers"),
            "no headers are set on answers; a proxy in front can do it",
        );
        note(
            service.http.rate_per_second.is_some(),
            of("rate"),
            "requests aren't limited; a proxy in front can do it",
        );
        note(
            service.http.max_body.is_some(),
            of("max-body"),
            "bodies aren't limited; a proxy in front can do it",
        );
        note(
            service.scan.is_some(),
            of("scan"),
            "no image is scanned before it runs",
        );
        note(
            service.gpu > 0,
            of("gpu"),
            "graphics processors aren't passed through",
        );
        note(
            service.disk.is_some(),
            of("disk"),
            "its own file system has no limit",
        );
        note(
            !service.files.is_empty(),
            of("files"),
            "files aren't put in: copy them into the image, or to their places",
        );
        note(
            !service.domains.is_empty() || !service.routes.is_empty(),
            of("domains"),
            "host names and paths lead nowhere by themselves; a proxy in front must route them",
        );
        note(
            service
                .processes
                .iter()
                .any(|one| one.health.live.is_some()),
            of("live"),
            "a process that runs and doesn't answer isn't started again",
        );
        for (volume, facts) in &service.volumes {
            note(
                facts.backup.is_some(),
                format!("service.{name}.volumes.{volume}.backup"),
                "isn't backed up",
            );
        }
    }
    for (name, backing) in &app.backing {
        note(
            backing.backup.is_some(),
            format!("backing.{name}.backup"),
            "isn't backed up: put a dump on a schedule, and restore one now and then",
        );
    }
    note(
        !app.alerts.is_empty(),
        "alert".to_owned(),
        "nobody is told when a limit is exceeded",
    );
    note(
        !app.notify.is_empty(),
        "notify".to_owned(),
        "news of deployments goes nowhere",
    );
    note(
        app.pipeline.is_some(),
        "pipeline".to_owned(),
        "no tests stand in front of a deployment; `landfall render github` writes them as a workflow",
    );
    note(
        app.basic_auth.is_some(),
        "basic-auth".to_owned(),
        "no password stands in front; a proxy can ask for one",
    );
    for point in app.hooks.keys() {
        note(
            true,
            format!(
                "hook.{}",
                serde_json::to_value(point)
                    .ok()
                    .and_then(|value| Some(value.as_str()?.to_owned()))
                    .unwrap_or_default()
            ),
            "isn't run; run it by hand, or where your deployments are started",
        );
    }
    notes
}
