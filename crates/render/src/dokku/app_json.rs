//! `app.json`. Dokku reads keys that it doesn't know without a word.

use landfall_app::model::{HookPoint, Probe, Process, ProcessKind, Run};
use landfall_app::units::Time;
use serde_json::{Map, Value, json};

use super::{Place, note, procfile};
use crate::{Note, shell, supervisord, variables};

/// The file. `procfile`: whether there is one, and with it a place for migrations.
pub(super) fn write(place: &Place<'_>, procfile: bool, notes: &mut Vec<Note>) -> String {
    let service = place.service;
    let mut text = Map::new();
    let env = environment(place, notes);
    if !env.is_empty() {
        text.insert("env".to_owned(), Value::Object(env));
    }
    // Without a quantity `web` is one and all others are none. With it `ps:scale` is refused, so that this
    // file is where it is changed.
    let process = place.process();
    let count = service.replicas.initial();
    let mut formation = Map::new();
    formation.insert(process.to_owned(), json!({ "quantity": count }));
    if process != "web" {
        formation.insert("web".to_owned(), json!({ "quantity": 0 }));
    }
    text.insert("formation".to_owned(), Value::Object(formation));
    if let landfall_app::model::Replicas::Scaled { .. } = service.replicas {
        note(
            notes,
            place.setting("replicas"),
            format!("{count} run, whatever the load is"),
        );
    }
    let mut checks = Map::new();
    checks.insert(process.to_owned(), Value::Array(health(place, notes)));
    text.insert("healthchecks".to_owned(), Value::Object(checks));
    if let Some(scripts) = scripts(place, procfile) {
        text.insert("scripts".to_owned(), json!({ "dokku": scripts }));
    }
    let cron = cron(place, notes);
    if !cron.is_empty() {
        text.insert("cron".to_owned(), Value::Array(cron));
    }
    format!("{:#}\n", Value::Object(text))
}

/// What must be set. Dokku looks at it on the first deployment only.
fn environment(place: &Place<'_>, notes: &mut Vec<Note>) -> Map<String, Value> {
    let found = place.variables();
    let mut env = Map::new();
    for (name, optional) in &found.secret {
        env.insert(
            name.clone(),
            json!({ "description": "a secret", "required": !optional }),
        );
    }
    for (name, of) in &found.apart {
        let value = match place.service.env.get(name) {
            // Dokku makes and keeps such a value too; a running app's own is taken along by hand.
            Some(landfall_app::Value::Generate(_)) => {
                note(
                    notes,
                    place.setting(&format!("env.{name}")),
                    "is made anew by Dokku: set the value of the running app by config:set before the first push, where it must stay",
                );
                json!({ "description": "made at the first deployment", "generator": "secret" })
            }
            _ => {
                note(
                    notes,
                    place.setting(&format!("env.{name}")),
                    format!(
                        "is put together of what only the server knows ({of}): set it by config:set"
                    ),
                );
                json!({ "description": of, "required": true })
            }
        };
        env.insert(name.clone(), value);
    }
    for (backing, variable) in &place.service.uses {
        let Some(facts) = place.app.backing.get(backing) else {
            continue;
        };
        let description = format!("the address of {backing}");
        env.insert(
            variable.clone(),
            json!({ "description": description, "required": true }),
        );
        let names = variables::of_backing(&facts.kind, variable);
        let rest: Vec<String> = names.into_iter().skip(1).map(|(name, _)| name).collect();
        note(
            notes,
            place.setting(&format!("uses.{backing}")),
            format!(
                "only {variable} is set; an app that reads {} takes it apart itself",
                rest.join(", ")
            ),
        );
    }
    env
}

/// The checks that a new release must pass. Only those of the type `startup` do gate: one without a type is
/// logged and passed over, and without any ten seconds of life are enough, whatever port it listens on.
fn health(place: &Place<'_>, notes: &mut Vec<Note>) -> Vec<Value> {
    let service = place.service;
    let front: Option<&Process> = service.front().or(match service.processes.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    let health = front.map_or(&service.health, |one| &one.health);
    let seconds = |time: Time| time.as_millis().div_ceil(1000).max(1);
    let wait = seconds(health.interval);
    let attempts = seconds(health.start)
        .div_ceil(wait)
        .max(u64::from(health.retries));
    let mut check = Map::new();
    check.insert("type".to_owned(), json!("startup"));
    check.insert("name".to_owned(), json!(format!("{} is ready", place.name)));
    match &health.ready {
        Some(Probe::Http { path, status, body }) => {
            check.insert("path".to_owned(), json!(path));
            if let Some(body) = body {
                check.insert("content".to_owned(), json!(body));
            }
            if let Some(status) = status {
                let said = format!("any answer from 200 to 399 counts, not {status} alone");
                note(notes, place.setting("health.status"), said);
            }
        }
        Some(Probe::Tcp { .. }) => drop(check.insert("listening".to_owned(), json!(true))),
        Some(Probe::Run(run)) => drop(check.insert("command".to_owned(), json!(run.arguments()))),
        None => drop(check.insert("uptime".to_owned(), json!(seconds(health.up)))),
    }
    let port = match &health.ready {
        Some(Probe::Tcp { port }) => port.or(service.port),
        Some(Probe::Http { .. }) => service.port,
        _ => None,
    };
    if let Some(port) = port {
        check.insert("port".to_owned(), json!(port));
    }
    if health.ready.is_some() {
        check.insert("attempts".to_owned(), json!(attempts));
        check.insert("wait".to_owned(), json!(wait));
        check.insert("timeout".to_owned(), json!(seconds(health.timeout)));
    }
    let mut checks = vec![Value::Object(check)];
    if service.processes.len() > 1 && !place.supervised() {
        let beside = &place.beside;
        let mut command: Vec<String> = ["supervisorctl", "--configuration"]
            .map(str::to_owned)
            .to_vec();
        command.push(supervisord::last(&beside.conf).to_owned());
        command.push("status".to_owned());
        let staying = service
            .processes
            .iter()
            .filter(|one| matches!(one.kind, ProcessKind::Stays(_)) && one.required);
        command.extend(staying.map(|one| one.name.to_string()));
        checks.push(json!({
            "type": "startup",
            "name": "all processes run",
            "command": command,
            "attempts": attempts,
            "wait": wait,
            "timeout": seconds(health.timeout),
        }));
    }
    let live = service
        .processes
        .iter()
        .any(|one| one.health.live.is_some());
    if live || service.health.live.is_some() {
        note(
            notes,
            place.setting("health.live"),
            "nothing is checked after a deployment: a process that runs and doesn't answer stays",
        );
    }
    checks
}

fn scripts(place: &Place<'_>, procfile: bool) -> Option<Value> {
    let mut scripts = Map::new();
    let hook = |point: HookPoint| {
        let hook = place.app.hooks.get(&point)?;
        (hook.service == *place.name).then_some(&hook.run)
    };
    let migrate = place.service.migrate.as_ref().filter(|_| !procfile);
    let before: Vec<&Run> = hook(HookPoint::Before).into_iter().chain(migrate).collect();
    let after: Vec<&Run> = [HookPoint::Switched, HookPoint::After]
        .into_iter()
        .filter_map(hook)
        .collect();
    for (name, runs) in [("predeploy", before), ("postdeploy", after)] {
        let text = match runs.as_slice() {
            [] => continue,
            [one] => procfile::once(one),
            several => {
                let lines: Vec<String> = several
                    .iter()
                    .map(|run| shell::line(run.arguments()))
                    .collect();
                shell::line(["sh", "-eu", "-c", &lines.join("; ")])
            }
        };
        scripts.insert(name.to_owned(), json!(text));
    }
    (!scripts.is_empty()).then_some(Value::Object(scripts))
}

fn cron(place: &Place<'_>, notes: &mut Vec<Note>) -> Vec<Value> {
    let jobs = place
        .app
        .jobs
        .iter()
        .filter(|(_, job)| job.service == *place.name);
    jobs.map(|(name, job)| {
        if place.app.timezone != "UTC" {
            note(
                notes,
                format!("job.{name}.schedule"),
                format!(
                    "is read in the server's time zone, not in {}",
                    place.app.timezone
                ),
            );
        }
        if job.timeout.is_some() {
            note(
                notes,
                format!("job.{name}.timeout"),
                "is a day, whatever the app file says",
            );
        }
        // Tokenized and executed without a shell; `forbid` as it never runs twice at once here.
        json!({
            "command": shell::line(job.run.arguments()),
            "schedule": job.schedule,
            "concurrency_policy": "forbid",
        })
    })
    .collect()
}
