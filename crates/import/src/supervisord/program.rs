//! `[program:NAME]`: what each of its keys is in an app file.

use std::collections::{BTreeMap, BTreeSet};

use landfall_redact::Secret;
use landfall_secrets::dotenv::looks_secret;

use super::{
    Dockerfile, Found,
    ini::{Key, Section},
    process::Maker,
    value::{self, Pair, Text, expand, pairs},
};
use crate::{
    RemarkKind,
    draft::{self, Names, Table, Value},
};

/// So many processes are made of one program at the most.
const MOST: i64 = 32;

/// A process to be.
struct Process {
    name: String,
    priority: i64,
    once: bool,
}

/// What the programs say of themselves, and the app file of the service.
#[derive(Default)]
pub(super) struct Shared {
    pub signals: BTreeSet<String>,
    pub grace: Option<i64>,
    pub attempts: Option<i64>,
    pub port: Option<u16>,
    /// Those that the service was given for its processes.
    pub secrets: BTreeSet<String>,
}

/// Brings the programs into a service as its processes.
pub(super) fn programs(
    sections: &[Section],
    app: &str,
    service: &mut Table,
    dockerfile: &Dockerfile,
    found: &mut Found,
) {
    let all: Vec<&Section> = sections
        .iter()
        .filter(|section| section.name.starts_with("program:"))
        .collect();
    let mut known = BTreeMap::new();
    if let Some(section) = sections
        .iter()
        .find(|section| section.name == "supervisord")
    {
        daemon(section, service, &mut known, found);
    }
    let mut groups: BTreeMap<&str, (String, Option<i64>)> = BTreeMap::new();
    for section in sections {
        let Some(group) = section.name.strip_prefix("group:") else {
            continue;
        };
        let priority = section
            .get("priority")
            .and_then(|key| key.value.parse().ok());
        if let Some(programs) = section.get("programs") {
            groups.extend(
                programs
                    .value
                    .split([',', '\n'])
                    .map(|name| (name.trim(), (group.to_owned(), priority))),
            );
        }
    }
    let mut names = Names::new();
    let mut shared = Shared::default();
    let mut processes = Vec::new();
    let priority = |section: &Section| {
        let program = section.name.trim_start_matches("program:").trim();
        let group = groups.get(program).and_then(|(_, priority)| *priority);
        let own = || {
            section
                .get("priority")
                .and_then(|key| key.value.parse().ok())
        };
        group.or_else(own).unwrap_or(999)
    };
    let mut stay: Vec<&&Section> = all.iter().filter(|section| runs(section, found)).collect();
    stay.sort_by_key(|section| priority(section));
    let ends = |section: &Section| {
        let quick = section.get("startsecs").is_some_and(|key| key.value == "0");
        let restarts = section.get("autorestart").map(|key| truth(&key.value));
        quick && restarts == Some(Some(false))
    };
    let may_end = !stay.iter().all(|section| ends(section));
    let alone = stay.len() == 1 && stay.iter().all(|section| number(section, "numprocs") <= 1);
    for section in stay {
        let program = section.name.trim_start_matches("program:").trim();
        let group = groups.get(program);
        let count = number(section, "numprocs").clamp(1, MOST);
        if let Some(key) = section
            .get("numprocs")
            .filter(|_| number(section, "numprocs") > MOST)
        {
            found.say(
                RemarkKind::Changed,
                section,
                key.line,
                "numprocs",
                format!("becomes {MOST} processes; replicas of the service are the way to more"),
            );
        }
        let first = section
            .get("numprocs_start")
            .and_then(|key| key.value.parse().ok())
            .unwrap_or(0i64);
        for index in 0..count {
            let wanted = match count {
                1 => program.to_owned(),
                _ => format!("{program}-{}", first.saturating_add(index)),
            };
            let given = names.give(&wanted, app);
            if given.changed && index == 0 {
                found.say(
                    RemarkKind::Note,
                    section,
                    section.line,
                    "",
                    format!("is called {} here", given.name),
                );
            }
            let expansions = value::Names {
                program: program.to_owned(),
                group: group.map_or_else(|| program.to_owned(), |(group, _)| group.clone()),
                number: (first.saturating_add(index), count),
            };
            let mut own = Table::new();
            own.from(&section.file, section.line);
            let mut maker = Maker {
                section,
                expansions: &expansions,
                dockerfile,
                known: &known,
                shared: &mut shared,
                may_end,
                first: index == 0,
                found,
            };
            let once = maker.process(&mut own, service);
            processes.push(Process {
                name: given.name.clone(),
                priority: priority(section),
                once,
            });
            match alone && !once {
                true => {
                    for (key, entry) in own.entries() {
                        let set = match (key, &entry.value) {
                            ("env", Value::Table(env)) => {
                                let both = env.entries();
                                both.iter().for_each(|(name, one)| {
                                    service.table("env").set(name, one.value.clone()).place =
                                        one.place.clone();
                                });
                                continue;
                            }
                            // A process that is alone can\'t be one that isn\'t needed.
                            ("required", _) => continue,
                            _ => service.set(key, entry.value.clone()),
                        };
                        set.place = entry.place.clone();
                    }
                }
                false => *service.table("process").table(&given.name) = own,
            }
        }
    }
    if processes.len() > 1 {
        order(service, &processes);
    }
    share(service, &shared, dockerfile);
}

/// Which come after which: those of the next lower priority, where somebody thought of an order.
fn order(service: &mut Table, processes: &[Process]) {
    let levels: BTreeSet<i64> = processes.iter().map(|process| process.priority).collect();
    let mut before: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for process in processes {
        // What ends comes before all others in any case.
        if let Some(level) = levels
            .range(..process.priority)
            .next_back()
            .filter(|_| !process.once)
        {
            before.entry(*level).or_default();
        }
    }
    for process in processes.iter().filter(|process| !process.once) {
        before
            .entry(process.priority)
            .or_default()
            .push(&process.name);
    }
    for process in processes.iter().filter(|process| !process.once) {
        let lower = before
            .range(..process.priority)
            .rev()
            .map(|(_, names)| names)
            .find(|names| !names.is_empty());
        let Some(names) = lower else { continue };
        let entry = service.table("process").table(&process.name);
        match names.as_slice() {
            [one] => entry.set("after", *one),
            several => entry.set("after", several.to_vec()),
        }
        .comment("as their priorities say; started once that is ready");
    }
}

/// What is one for the whole service.
fn share(service: &mut Table, shared: &Shared, dockerfile: &Dockerfile) {
    if let (1, Some(signal)) = (shared.signals.len(), shared.signals.first())
        && signal != "SIGTERM"
    {
        service.table("stop").set("signal", signal.as_str());
    }
    if let Some(grace) = shared.grace.filter(|grace| *grace != 10 && *grace >= 0) {
        service.table("stop").set("grace", format!("{grace}s"));
    }
    // So many are as good as for ever, which is what stands without it.
    if let Some(attempts) = shared
        .attempts
        .filter(|attempts| (1..100_000).contains(attempts))
    {
        let restart = service.table("restart");
        restart.set("give-up", "stay");
        restart.set("attempts", attempts);
    }
    match (shared.port, dockerfile.port) {
        (Some(port), _) => {
            service.set("port", port).comment("as its command says; $PORT says it too");
        }
        (None, Some(port)) => {
            service.set("port", port).comment("EXPOSE of the Dockerfile");
        }
        (None, None) => service.todo("no port is known here, so it has no address: if it serves pages, add port = 8000 and listen on $PORT"),
    }
}

fn number(section: &Section, key: &str) -> i64 {
    section
        .get(key)
        .and_then(|key| key.value.parse().ok())
        .unwrap_or(1)
}

/// Whether supervisord starts it by itself; what it wouldn't is said.
fn runs(section: &Section, found: &mut Found) -> bool {
    let Some(command) = section
        .get("command")
        .filter(|command| !command.value.is_empty())
    else {
        found.say(
            RemarkKind::Lost,
            section,
            section.line,
            "",
            "has no command, so supervisord refuses it too",
        );
        return false;
    };
    let off = section
        .get("autostart")
        .filter(|key| truth(&key.value) == Some(false));
    if off.is_some() {
        found.say(RemarkKind::Lost, section, command.line, "autostart", "is started only when somebody asks for it, so it is left out; for that there is landfall run");
    }
    off.is_none()
}

pub(super) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "on" => Some(true),
        "false" | "f" | "no" | "n" | "0" | "off" => Some(false),
        _ => None,
    }
}

/// `[supervisord]`.
fn daemon(
    section: &Section,
    service: &mut Table,
    known: &mut BTreeMap<String, String>,
    found: &mut Found,
) {
    for key in &section.keys {
        let line = key.line;
        match key.key.as_str() {
            "environment" => {
                for (name, text) in environment(section, key, &value::Names::default(), found) {
                    variable(section, line, &name, &text, service, known, found);
                    if let Some(text) = text.resolved(&|_| None) {
                        known.insert(name, text);
                    }
                }
            }
            "user" => user(section, key, service, found),
            "directory" | "umask" | "minfds" | "minprocs" => {
                found.say(
                    RemarkKind::Lost,
                    section,
                    line,
                    &key.key,
                    "would hold for all programs; here it is what the machine or the image has",
                );
            }
            _ => found.say(
                RemarkKind::Note,
                section,
                line,
                &key.key,
                "is about supervisord itself, which isn't needed any more",
            ),
        }
    }
}

pub(super) fn user(section: &Section, key: &Key, service: &mut Table, found: &mut Found) {
    match key.value.parse::<u32>() {
        Ok(number) if !service.has("user") || service.get("user") == Some(&Value::from(number)) => {
            service.set("user", number).from(&section.file, key.line);
        }
        _ if key.value == "root" || service.text("user").is_some() => {
            found.say(RemarkKind::Note, section, key.line, "user", "is not needed: nothing here runs as another user than the image's, or yours");
        }
        _ => found.say(RemarkKind::Lost, section, key.line, "user", format!("would run as {}; a service has one user for all its processes, and an app file wants its number: user = 1000", key.value)),
    }
}

pub(super) fn environment(
    section: &Section,
    key: &Key,
    expansions: &value::Names,
    found: &mut Found,
) -> Vec<Pair> {
    let text = match expand(&key.value, expansions) {
        Ok(text) => text,
        Err(reference) => {
            found.say(
                RemarkKind::Lost,
                section,
                key.line,
                "environment",
                format!("names {reference}, which isn't known here, so none of it is taken over"),
            );
            return Vec::new();
        }
    };
    pairs(&text).unwrap_or_else(|| {
        found.say(
            RemarkKind::Lost,
            section,
            key.line,
            "environment",
            "is not KEY=\"value\",KEY2=\"value\", so supervisord refuses it too",
        );
        Vec::new()
    })
}

/// A variable with a value that is known; whether it was taken.
pub(super) fn variable(
    section: &Section,
    line: usize,
    name: &str,
    text: &Text,
    table: &mut Table,
    known: &BTreeMap<String, String>,
    found: &mut Found,
) -> bool {
    let key = format!("environment {name}");
    if !draft::is_variable(name) {
        found.say(
            RemarkKind::Lost,
            section,
            line,
            "environment",
            "sets a variable whose name isn't made of letters, digits and `_`",
        );
        return true;
    }
    let Some(value) = text.resolved(&|other| known.get(other).cloned()) else {
        // A variable that is passed on under its own name is there anyway.
        return text.variables() == [name] && text.shell_word() == format!("\"${{{name}}}\"");
    };
    if name == "PORT" {
        found.say(
            RemarkKind::Note,
            section,
            line,
            &key,
            "is given by Landfall, as the service's port",
        );
        return true;
    }
    if value.contains("${") {
        found.say(
            RemarkKind::Lost,
            section,
            line,
            &key,
            "holds `${`, which an app file takes for a reference of its own",
        );
        return true;
    }
    if looks_secret(name, &Secret::new(value.clone())) && !value.is_empty() {
        let said = format!(
            "{name} stands here in plain text; only its name was taken over: landfall secrets set {name}"
        );
        found.say(RemarkKind::PlainSecret, section, line, &key, said);
        found.secrets.insert(name.to_owned());
        // Of a process that isn't alone the service has it.
        table.push("secrets", name).from(&section.file, line);
        return true;
    }
    table
        .table("env")
        .set(name, value)
        .from(&section.file, line);
    true
}
