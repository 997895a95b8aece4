//! What changes in the rest of the app file, key by key.

use std::collections::BTreeSet;

use landfall_app::{
    App,
    model::{Probe, Service},
};
use serde_json::{Map, Value};

use super::{PlanKind, PlanLine};

/// Keys whose values may be secret although they stand in the file.
const HIDDEN: &[&str] = &[
    "basic-auth",
    "registries",
    "notify",
    "headers",
    "args",
    "env",
    "url",
];
/// Keys of a service or process that have lines of their own.
const ELSEWHERE: &[&str] = &["env", "replicas"];

/// A line for each key that differs, of the app and of services that were there before.
pub(super) fn settings(before: &App, after: &App, lines: &mut Vec<PlanLine>) {
    let mut path = Vec::new();
    let (mut old, mut new) = (json(before), json(after));
    let (old_services, new_services) = (taken(&mut old, "services"), taken(&mut new, "services"));
    differ(&mut path, &old, &new, lines);
    for (name, service) in &new_services {
        if let Some(old) = old_services.get(name) {
            path.push(name.clone());
            differ(
                &mut path,
                &without_elsewhere(old),
                &without_elsewhere(service),
                lines,
            );
            path.pop();
        }
    }
    once(lines);
    lines.retain(|line| !follows(line, before, after));
    if lines.is_empty() {
        order(before, after, lines);
    }
}

/// Processes in another order change nothing but which one listens, where none says that it does.
fn order(before: &App, after: &App, lines: &mut Vec<PlanLine>) {
    let front = |service: &Service| service.front().map(|process| process.name.to_string());
    for (name, service) in &after.services {
        let old = before.services.get(name).and_then(front);
        let new = front(service);
        if old != new {
            let subject = format!("{name}.process");
            let line = PlanLine::new(PlanKind::Setting, subject, old, new);
            lines.push(line.because("another process listens on $PORT"));
        }
    }
}

/// Whether a line only says what follows from a service's `port` or from which process names it:
/// which process is in front, and the defaults of `health` that depend on that.
fn follows(line: &PlanLine, before: &App, after: &App) -> bool {
    if line.kind != PlanKind::Setting {
        return false;
    }
    let parts: Vec<_> = line.subject.split('.').collect();
    let (service, process, rest) = match parts.as_slice() {
        [service, "process", process, rest @ ..] => (*service, Some(*process), rest),
        [service, rest @ ..] => (*service, None, rest),
        [] => return false,
    };
    let (Some(old), Some(new)) = (before.services.get(service), after.services.get(service)) else {
        return false;
    };
    let probes = |service: &Service| match process {
        None => Some(service.health.clone()),
        Some(name) => {
            let mut processes = service.processes.iter();
            let process = processes.find(|process| process.name.as_str() == name)?;
            Some(process.health.clone())
        }
    };
    // What nobody wrote: a connection to `$PORT`, or nothing at all.
    let unsaid = |service: &Service| {
        let ready = probes(service).and_then(|health| health.ready);
        matches!(ready, None | Some(Probe::Tcp { port: None }))
    };
    let front = |service: &Service| service.front().map(|process| process.name.clone());
    let moved = old.port.is_some() != new.port.is_some() || front(old) != front(new);
    match rest {
        ["front"] => process.is_some(),
        ["health", "ready", ..] => moved && unsaid(old) && unsaid(new),
        ["health", "up"] => moved,
        _ => false,
    }
}

/// What a service says for its front process stands with that process too: it is told once.
fn once(lines: &mut Vec<PlanLine>) {
    let said = lines.clone();
    lines.retain(|line| {
        let parts: Vec<_> = line.subject.split('.').collect();
        let [service, "process", _, rest @ ..] = parts.as_slice() else {
            return true;
        };
        let of_service = [&[*service], rest].concat().join(".");
        let same = |other: &PlanLine| {
            other.subject == of_service && other.from == line.from && other.to == line.to
        };
        !said.iter().any(same)
    });
}

fn json(app: &App) -> Value {
    serde_json::to_value(app).expect("an app holds only what JSON can say")
}

fn taken(app: &mut Value, key: &str) -> Map<String, Value> {
    match app.get_mut(key).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn without_elsewhere(service: &Value) -> Value {
    let mut service = service.clone();
    let processes = service.get_mut("processes").map(Value::take);
    if let Value::Object(map) = &mut service {
        map.retain(|key, _| !ELSEWHERE.contains(&key.as_str()));
        if let Some(Value::Array(list)) = processes {
            // By name, so that one more at the front isn't a change of all.
            let named = list.into_iter().map(|mut process| {
                let name = process
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                if let Value::Object(process) = &mut process {
                    process.retain(|key, _| key != "name" && !ELSEWHERE.contains(&key.as_str()));
                }
                (name, process)
            });
            map.insert("processes".to_owned(), Value::Object(named.collect()));
        }
    }
    service
}

fn differ(path: &mut Vec<String>, before: &Value, after: &Value, lines: &mut Vec<PlanLine>) {
    if before == after {
        return;
    }
    // What a process runs is one value, however it is said.
    let runs = path.last().is_some_and(|key| key == "kind");
    if let (Value::Object(old), Value::Object(new), false) = (before, after, runs) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            path.push(key.clone());
            differ(
                path,
                old.get(key).unwrap_or(&Value::Null),
                new.get(key).unwrap_or(&Value::Null),
                lines,
            );
            path.pop();
        }
        return;
    }
    let subject = as_written(path, after);
    lines.push(
        match path.iter().any(|key| HIDDEN.contains(&key.as_str())) {
            true => PlanLine::new(PlanKind::Setting, subject, None, None)
                .because("its values aren't shown"),
            false if runs => PlanLine::new(
                PlanKind::Setting,
                subject,
                Some(command(before)),
                Some(command(after)),
            ),
            false => PlanLine::new(PlanKind::Setting, subject, text(before), text(after)),
        },
    );
}

/// A path in the words of the app file, which are not all those of the resolved app.
fn as_written(path: &[String], value: &Value) -> String {
    let word = |key: &String| match key.as_str() {
        "services" => "service".to_owned(),
        "processes" => "process".to_owned(),
        "jobs" => "job".to_owned(),
        "hooks" => "hook".to_owned(),
        "registries" => "registry".to_owned(),
        "static-files" => "static".to_owned(),
        "kind" if value.get("ends").is_some() => "run".to_owned(),
        "kind" if value.get("stays").is_some() => "command".to_owned(),
        key => key.to_owned(),
    };
    // Which of several forms a value has is no word of the file.
    let forms = ["source", "http", "fixed", "shell", "exact", "words"];
    let words: Vec<_> = path
        .iter()
        .filter(|key| !forms.contains(&key.as_str()))
        .map(word)
        .collect();
    words.join(".")
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        // A process that comes or goes: what it runs.
        Value::Object(map) if map.contains_key("kind") && map.contains_key("front") => {
            map.get("kind").map(command)
        }
        // Of a table that comes or goes whole only the keys, for some values in it are hidden.
        Value::Object(map) if map.len() > 1 => {
            let keys = map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, _)| key.as_str());
            Some(keys.collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let (key, value) = map.iter().next()?;
            match (HIDDEN.contains(&key.as_str()), text(value)) {
                (false, Some(text)) => Some(format!("{key} {text}")),
                _ => Some(key.clone()),
            }
        }
        Value::Array(list) => {
            let items: Vec<_> = list.iter().filter_map(text).collect();
            Some(format!("[{}]", items.join(", ")))
        }
        other => Some(other.to_string()),
    }
}

/// The words of a command below whatever says of which kind it is.
fn command(value: &Value) -> String {
    match value {
        Value::Object(map) => map.values().map(command).collect(),
        Value::Array(words) => words.iter().map(command).collect::<Vec<_>>().join(" "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
