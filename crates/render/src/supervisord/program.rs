//! One process as a `[program:…]`.

use std::fmt::Write as _;

use landfall_app::{
    Name, Reference,
    model::{Command, GiveUp, Priority, Probe, Process, ProcessKind, Service},
    units::Time,
};

use super::{Place, file::escaped, last, note};
use crate::{
    Note, shell,
    variables::{part, variables},
};

/// As many failed starts as supervisord is told to forgive where nothing gives up: it has no "for ever".
const ALWAYS: u32 = 1_000_000;

pub(super) fn write(
    service_name: &Name,
    service: &Service,
    process: &Process,
    at: usize,
    place: &Place,
    notes: &mut Vec<Note>,
) -> String {
    let name = &process.name;
    let setting = |key: &str| format!("service.{service_name}.process.{name}.{key}");
    let mut text = format!("[program:{name}]\n");
    let own = own_environment(service_name, service, process, notes);
    let mut words = nice(service, process, notes, &setting);
    for after in &process.after {
        let sibling = service.processes.iter().find(|one| one.name == *after);
        match sibling.and_then(|sibling| wait(sibling, service)) {
            Some(probe) => {
                words.extend([
                    "python3".to_owned(),
                    format!("%(here)s/{}", last(&place.after)),
                ]);
                words.extend(probe);
                words.push("--".to_owned());
            }
            None if sibling.is_some_and(|one| matches!(one.kind, ProcessKind::Stays(_))) => note(
                notes,
                setting("after"),
                format!("is started behind {after}, which has no probe to wait for"),
            ),
            None => {}
        }
    }
    let ours = words.len();
    words.extend(in_one_line(
        own.words
            .into_iter()
            .chain(command(service_name, service, process, notes))
            .collect(),
    ));
    // `%(here)s` is an expansion, and ours; in what comes from the app file `%` is a letter.
    let ours_line = words[..ours].join(" ");
    let rest = escaped(&shell::line(&words[ours..]), '\'').unwrap_or_default();
    let space = if ours_line.is_empty() { "" } else { " " };
    let _ = writeln!(text, "command={ours_line}{space}{rest}");
    if !own.line.is_empty() {
        let _ = writeln!(text, "environment={}", own.line);
    }
    let seconds = |time: Time| time.as_millis().div_ceil(1000);
    let steady = match process.health.ready {
        Some(_) => 1,
        None => seconds(process.health.up).max(1),
    };
    let restart = &service.restart;
    let retries = match restart.give_up {
        GiveUp::Never => ALWAYS,
        GiveUp::Exit | GiveUp::Stay => restart.attempts,
    };
    let _ = write!(
        text,
        "priority={}\n\
         autorestart=true\n\
         startsecs={steady}\n\
         startretries={retries}\n\
         stopsignal={}\n\
         stopwaitsecs={}\n\
         killasgroup=true\n\
         stdout_logfile=/dev/stdout\n\
         stdout_logfile_maxbytes=0\n\
         stderr_logfile=/dev/stderr\n\
         stderr_logfile_maxbytes=0\n",
        10 * (at + 1),
        service.stop.signal.trim_start_matches("SIG"),
        seconds(service.stop.grace),
    );
    if process.memory.is_some() || process.cpu.is_some() {
        note(
            notes,
            setting("memory"),
            "one process has no limit of its own here: the container's holds for all of them",
        );
    }
    if process.health.live.is_some() {
        note(
            notes,
            setting("health.live"),
            "a process that runs and doesn't answer isn't started again",
        );
    }
    text
}

/// What a process sets for itself.
struct Own {
    /// `A="b",C="d"`
    line: String,
    /// `env A=b`, for what such a line can't hold.
    words: Vec<String>,
}

fn own_environment(
    service_name: &Name,
    service: &Service,
    process: &Process,
    notes: &mut Vec<Note>,
) -> Own {
    let mut env = process.env.clone();
    env.retain(|variable, value| service.env.get(variable) != Some(value));
    let found = variables(service, &env, |reference| address(reference, service));
    let (mut pairs, mut words) = (Vec::new(), Vec::new());
    for (variable, value) in &found.plain {
        // Up to 4.3 supervisord knows no escapes here, later it does: what either could read in its own way
        // goes before the command, whose words all versions read as a shell does.
        let line = value.replace('%', "%%");
        match !value.contains(['"', '\'', '\\']) && escaped(value, '"').as_ref() == Ok(&line) {
            true => pairs.push(format!("{variable}=\"{line}\"")),
            false => words.push(format!("{variable}={value}")),
        }
    }
    if !words.is_empty() {
        words.insert(0, "env".to_owned());
    }
    for (variable, of) in &found.apart {
        note(
            notes,
            format!(
                "service.{service_name}.process.{}.env.{variable}",
                process.name
            ),
            format!("isn't known here ({of}): set it in the container"),
        );
    }
    Own {
        line: pairs.join(","),
        words,
    }
}

/// Siblings are on this container's loopback; other services aren't known here.
fn address(reference: &Reference, service: &Service) -> Option<String> {
    match reference {
        Reference::Process(_, field) => part("127.0.0.1", service.port?, *field),
        _ => None,
    }
}

fn command(
    service_name: &Name,
    service: &Service,
    process: &Process,
    notes: &mut Vec<Note>,
) -> Vec<String> {
    let ProcessKind::Stays(command) = &process.kind else {
        return Vec::new();
    };
    let found = variables(service, &process.env, |reference| {
        address(reference, service)
    });
    let known = |name: &str| match (name, service.port) {
        ("PORT", Some(port)) => Some(port.to_string()),
        _ => found.plain.get(name).cloned(),
    };
    command.expand(known).unwrap_or_else(|missing| {
        note(
            notes,
            format!("service.{service_name}.process.{}.command", process.name),
            format!(
                "names `${}`, which only the container knows: a shell puts it in",
                missing.0
            ),
        );
        by_shell(command)
    })
}

/// The words, without a line end in any of them, which the file can't hold: a shell puts those in again.
fn in_one_line(words: Vec<String>) -> Vec<String> {
    const SCRIPT: &str = r#"for word do line=$(printf "%b." "$word"); set -- "$@" "${line%.}"; shift; done; exec "$@""#;
    if !words.iter().any(|word| word.contains(['\n', '\r'])) {
        return words;
    }
    let encoded = words.iter().map(|word| {
        let word = word.replace('\\', "\\\\");
        word.replace('\n', "\\n").replace('\r', "\\r")
    });
    let shell = ["sh", "-c", SCRIPT, "sh"].map(str::to_owned);
    shell.into_iter().chain(encoded).collect()
}

/// A command whose variables only the running container knows: its shell puts them in. What isn't a variable
/// is given to it as an argument, so that no letter of it can mean anything to the shell.
fn by_shell(command: &Command) -> Vec<String> {
    let mut script = "exec".to_owned();
    let mut given = Vec::new();
    for word in command.words() {
        let one = Command::Words(vec![word.clone()]);
        script.push_str(" \"");
        // Each variable in turn splits the word into what stands before it and behind it.
        let marks = one.variables();
        let marked = one
            .expand(|name| Some(format!("\0{name}\0")))
            .unwrap_or_default();
        let text = marked.into_iter().next().unwrap_or_default();
        for (at, piece) in text.split('\0').enumerate() {
            match at % 2 {
                1 => {
                    let _ = write!(script, "${{{piece}}}");
                }
                _ if piece.is_empty() && !marks.is_empty() => {}
                _ => {
                    given.push(piece.to_owned());
                    let _ = write!(script, "${{{}}}", given.len());
                }
            }
        }
        script.push('"');
    }
    let mut words = vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
    words.extend(given);
    words
}

/// Without root nobody becomes nicer than before: the others get less of the processor instead.
fn nice(
    service: &Service,
    process: &Process,
    notes: &mut Vec<Note>,
    setting: &impl Fn(&str) -> String,
) -> Vec<String> {
    let high = service
        .processes
        .iter()
        .any(|one| one.priority == Priority::High);
    let by = match (process.priority, high) {
        (Priority::High, _) => {
            note(
                notes,
                setting("priority"),
                "its siblings are nicer, since a container's user can't be less nice than before",
            );
            0
        }
        (Priority::Normal, false) => 0,
        (Priority::Normal, true) => 5,
        (Priority::Low, false) => 10,
        (Priority::Low, true) => 15,
    };
    match by {
        0 => Vec::new(),
        by => ["nice", "-n", &by.to_string()].map(str::to_owned).to_vec(),
    }
}

/// How `supervisord-after.py` is told to wait for a process; none where there is nothing to ask.
fn wait(process: &Process, service: &Service) -> Option<Vec<String>> {
    let health = &process.health;
    let seconds = |time: Time| format!("{}", time.duration().as_secs_f64());
    let mut words = match health.ready.as_ref()? {
        Probe::Http { path, status, body } => vec![
            "http".to_owned(),
            service.port?.to_string(),
            word(path)?,
            status.map_or("''".to_owned(), |status| status.to_string()),
            word(body.as_deref().unwrap_or_default())?,
        ],
        Probe::Tcp { port } => vec!["tcp".to_owned(), port.or(service.port)?.to_string()],
        Probe::Run(run) => {
            let given = run.arguments();
            let mut words = vec!["run".to_owned(), given.len().to_string()];
            for one in given {
                words.push(word(&one)?);
            }
            words
        }
    };
    words.extend([seconds(health.interval), seconds(health.timeout)]);
    Some(words)
}

fn word(text: &str) -> Option<String> {
    escaped(&shell::quoted(text), '\'').ok()
}
