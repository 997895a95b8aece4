//! Several processes in one image: our supervisor is its first process, with a file that says which.

use std::collections::BTreeMap;

use landfall_app::{
    Field, Reference,
    model::{GiveUp, Health, Priority, Probe, Process, ProcessKind},
    template::Part,
};
use serde_json::{Map, Value, json};

use super::{
    Made,
    command::{self, Start},
    stage::APP,
    subject::Subject,
    written,
};
use crate::Comment;

/// The supervisor's program.
pub const PROGRAM: &str = "landfall-supervise";
/// Where its file is in the image.
const PLACE: &str = "/etc/landfall/supervise.json";
/// Where it answers how all of them are, within the image alone.
const HEALTH: u16 = 9911;

fn is_several(subject: &Subject<'_>) -> bool {
    matches!(command::start(subject), Start::Several)
}

/// Where the health of all processes is asked for.
pub fn address(subject: &Subject<'_>) -> Option<u16> {
    is_several(subject).then_some(HEALTH)
}

fn file(subject: &Subject<'_>) -> (String, String) {
    subject.beside(&format!("{}.supervise.json", subject.name))
}

fn image(subject: &Subject<'_>) -> String {
    format!("{PROGRAM}:{}", subject.version)
}

/// What makes the image in a shell; a link to the program is followed.
fn import(subject: &Subject<'_>) -> String {
    format!(
        "tar -chC \"$(dirname \"$(command -v {PROGRAM})\")\" {PROGRAM} | docker import - {}",
        image(subject)
    )
}

/// Writes the stage that holds the supervisor. No image of it is published: it is made of the program by
/// one line, or taken from wherever that put it.
pub fn stage(subject: &Subject<'_>, made: &mut Made) {
    if !is_several(subject) {
        return;
    }
    let import = import(subject);
    made.text.line("FROM ${SUPERVISE} AS supervise");
    made.note(
        subject.setting("process"),
        format!(
            "its processes run under {PROGRAM}, whose image no registry has: `landfall deploy` makes it, and before a plain `docker build` {import} does"
        ),
    );
}

/// Writes the argument that names the supervisor's image; it stands before the first stage.
pub fn argument(subject: &Subject<'_>, made: &mut Made) {
    if !is_several(subject) {
        return;
    }
    let import = import(subject);
    made.text.says(&format!(
        "The supervisor: one static program, in an image that no registry has. `landfall deploy` makes it.\n\
         Before a plain `docker build` this does, once, where Landfall is installed:\n  {import}\n\
         Without it, and with `docker build --pull`, docker asks a registry for {PROGRAM}, and the\n\
         build ends with \"pull access denied\", or with \"no such host\" where there is no network."
    ));
    made.text.line(format!("ARG SUPERVISE={}", image(subject)));
    made.text.keep("supervise");
}

/// Writes what is copied into the last stage.
pub fn copy(subject: &Subject<'_>, made: &mut Made) {
    if !is_several(subject) {
        return;
    }
    let (_, from) = file(subject);
    made.text.line(format!(
        "COPY --from=supervise /{PROGRAM} /usr/local/bin/{PROGRAM}"
    ));
    made.text.copy(&[], &[from], PLACE);
}

/// Writes CMD and the supervisor's file.
pub fn write(subject: &Subject<'_>, made: &mut Made) {
    let words = [PROGRAM, "run", "--inherit", PLACE].map(str::to_owned);
    made.text.exec("CMD", &words);
    let specification = specification(subject, made);
    let mut text = serde_json::to_string_pretty(&specification).unwrap_or_default();
    text.push('\n');
    let (path, _) = file(subject);
    made.files.push(written(&path, text, Comment::None));
}

fn specification(subject: &Subject<'_>, made: &mut Made) -> Value {
    let service = subject.service;
    let processes: Vec<Value> = service
        .processes
        .iter()
        .map(|process| one(subject, process, made))
        .collect();
    let mut whole = Map::new();
    whole.insert("version".to_owned(), json!(1));
    whole.insert(
        "instance".to_owned(),
        json!(format!("{}.{}", subject.app.app, subject.name)),
    );
    whole.insert("directory".to_owned(), json!(APP));
    if let Some(port) = subject.port() {
        whole.insert("port".to_owned(), json!(port));
    }
    whole.insert("processes".to_owned(), Value::Array(processes));
    whole.insert(
        "stop".to_owned(),
        json!({ "signal": service.stop.signal, "grace": service.stop.grace.as_millis() }),
    );
    let restart = &service.restart;
    whole.insert(
        "restart".to_owned(),
        json!({
            "delay": restart.delay.as_millis(),
            "max-delay": restart.max_delay.as_millis(),
            "reset": restart.reset.as_millis(),
            "attempts": match restart.give_up { GiveUp::Never => 0, _ => restart.attempts },
            "give-up": match restart.give_up { GiveUp::Stay => "stay", _ => "exit" },
        }),
    );
    whole.insert("health".to_owned(), json!(format!("127.0.0.1:{HEALTH}")));
    Value::Object(whole)
}

fn one(subject: &Subject<'_>, process: &Process, made: &mut Made) -> Value {
    let (words, ends) = match &process.kind {
        ProcessKind::Stays(command) => (command::words(command), false),
        ProcessKind::Ends(run) => (run.arguments(), true),
    };
    json!({
        "name": process.name.as_str(),
        "command": words,
        "ends": ends,
        "environment": environment(subject, process, made),
        "after": process.after.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "required": process.required,
        "front": process.front,
        "health": health(subject, &process.health),
        "nice": match process.priority { Priority::High => -5, Priority::Normal => 0, Priority::Low => 10 },
        "memory": process.memory.map(landfall_app::units::Size::bytes),
        "cpu": process.cpu.map(|cpu| cpu.thousandths()),
    })
}

/// What a process has beyond what the container is given: its own plain values, and its siblings' addresses.
fn environment(
    subject: &Subject<'_>,
    process: &Process,
    made: &mut Made,
) -> BTreeMap<String, String> {
    let mut own = BTreeMap::new();
    for (name, value) in &process.env {
        if subject.service.env.get(name) == Some(value) {
            continue;
        }
        let landfall_app::Value::Text(template) = value else {
            continue;
        };
        let known: Option<Vec<String>> = template
            .parts()
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Reference(Reference::Process(_, field)) => {
                    let port = subject.port()?;
                    match field {
                        Field::Url => Some(format!("http://127.0.0.1:{port}")),
                        Field::Host => Some("127.0.0.1".to_owned()),
                        Field::Port => Some(port.to_string()),
                        _ => None,
                    }
                }
                Part::Reference(_) => None,
            })
            .collect();
        match known {
            Some(parts) => {
                own.insert(name.clone(), parts.concat());
            }
            None => made.note(
                subject.setting(&format!("process.{}.env.{name}", process.name)),
                "its value is given to the container, and so to all of its processes",
            ),
        }
    }
    own
}

fn health(subject: &Subject<'_>, health: &Health) -> Value {
    json!({
        "ready": health.ready.as_ref().and_then(|it| probe(subject, it)),
        "live": health.live.as_ref().and_then(|it| probe(subject, it)),
        "start": health.start.as_millis(),
        "interval": health.interval.as_millis(),
        "timeout": health.timeout.as_millis(),
        "retries": health.retries,
        "up": health.up.as_millis(),
    })
}

fn probe(subject: &Subject<'_>, probe: &Probe) -> Option<Value> {
    let address = |port: u16| format!("127.0.0.1:{port}");
    Some(match probe {
        Probe::Http { path, status, body } => json!({ "http": {
            "address": address(subject.port()?), "path": path, "status": status, "body": body,
        }}),
        Probe::Tcp { port } => {
            json!({ "tcp": { "address": address((*port).or(subject.port())?) } })
        }
        Probe::Run(run) => json!({ "run": { "command": run.arguments() } }),
    })
}
