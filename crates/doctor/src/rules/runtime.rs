//! How the container runs: by whom, by which process, how it is seen to be well.

use std::ops::Range;

use landfall_app::model::Severity;

use super::base::name_and_tag;
use crate::{
    advise::Look,
    finding::Place,
    recipe::{Action, Command, Stage, Step},
    shell,
};

pub(super) fn look_at(look: &mut Look<'_>) {
    user(look);
    if let Some(step) = last_of(look.last(), |action| matches!(action, Action::Entry(_))) {
        form(look, step);
    }
    if let Some(step) = last_of(look.last(), |action| matches!(action, Action::Start(_))) {
        form(look, step);
    }
    directory(look);
    port(look);
    health(look);
}

fn last_of(stage: &Stage, wanted: impl Fn(&Action) -> bool) -> Option<&Step> {
    stage.steps.iter().rfind(|step| wanted(&step.action))
}

/// What a stage starts, as a text.
pub(super) fn start_of(stage: &Stage) -> Option<String> {
    let entry = last_of(stage, |action| matches!(action, Action::Entry(_)));
    let start = last_of(stage, |action| matches!(action, Action::Start(_)));
    let mut text = String::new();
    for step in entry.into_iter().chain(start) {
        if let Action::Entry(command) | Action::Start(command) = &step.action {
            text.push_str(&command.text());
            text.push(' ');
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Where something is put that holds for the start: before it, behind all that builds.
fn before_start(stage: &Stage) -> Option<usize> {
    let builds = |step: &Step| {
        matches!(
            step.action,
            Action::Run { .. } | Action::Copy { .. } | Action::Directory(..) | Action::User(_)
        )
    };
    let after = stage.steps.iter().rposition(builds).map_or(0, |at| at + 1);
    let starts = |step: &&Step| matches!(step.action, Action::Start(_) | Action::Entry(_));
    stage.steps[after..]
        .iter()
        .find(starts)
        .map(|step| step.span.start)
}

fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or_default();
    matches!(name, "" | "root" | "0")
}

fn user(look: &mut Look<'_>) {
    let recipe = look.recipe;
    let said = recipe
        .lineage()
        .into_iter()
        .rev()
        .find_map(|step| match &step.action {
            Action::User(name) => Some((step, name.clone())),
            _ => None,
        });
    let root = recipe.root();
    let base = root.and_then(|root| look.project.base(&root.base));
    let inherited = base.map_or("", |base| base.user.as_str());
    const MEND: &str = "USER 1000:1000 before CMD; what it writes must be its own then";
    match said {
        Some((_, name)) if !is_root(&name) => {}
        Some((step, _)) => {
            let place = look.place(step);
            look.say(
                "runs-as-root",
                Severity::High,
                place,
                "what breaks into the process is root in the container",
                MEND,
            );
        }
        None if !is_root(inherited) || look.history => {}
        None if root.is_some_and(|root| root.base.contains("nonroot")) => {}
        None => {
            let stage = look.last();
            let place = Place::Line(stage.line);
            let at = before_start(stage);
            let found = look.say(
                "runs-as-root",
                Severity::High,
                place,
                "no USER: what breaks into the process is root in the container",
                MEND,
            );
            if let Some(at) = at {
                found.edit(at..at, "USER 1000:1000\n");
            }
        }
    }
}

fn form(look: &mut Look<'_>, step: &Step) {
    let (word, command) = match &step.action {
        Action::Entry(command) => ("ENTRYPOINT", command),
        Action::Start(command) => ("CMD", command),
        _ => return,
    };
    let Command::Line(line, span) = command else {
        return;
    };
    let stage = look.last();
    let both = stage
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::Entry(_)))
        && stage
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Start(_)));
    let shelled = stage
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::Shell));
    let words = exec_form(line).filter(|_| !both && !shelled);
    let place = look.place(step);
    let mend = match &words {
        Some(words) => format!("{word} {words}"),
        None => format!("{word} [\"program\", \"argument\"]"),
    };
    let (span, there): (Range<usize>, bool) = (span.clone(), !span.is_empty());
    let found = look.say(
        "shell-form",
        Severity::Medium,
        place,
        format!("{word} is a line for a shell, which may keep TERM from the program"),
        mend,
    );
    if let Some(words) = words.filter(|_| there) {
        found.edit(span, words);
    }
}

/// The same command as a list of words; none where that can't be known to be the same.
fn exec_form(line: &str) -> Option<String> {
    let commands = shell::commands(line);
    let list = |words: &[&str]| {
        serde_json::to_string(words)
            .ok()
            .map(|text| text.replace("\",\"", "\", \""))
    };
    let plain = commands
        .iter()
        .all(|simple| ["", "&&"].contains(&simple.then));
    let last = commands.last()?;
    let first = last.words.first()?;
    let sets = first.text.contains('=') || first.moving;
    if !plain
        || sets
        || commands
            .iter()
            .flat_map(|simple| &simple.words)
            .any(|word| word.text.contains(['<', '>', '`']))
    {
        return None;
    }
    let moving = commands
        .iter()
        .flat_map(|simple| &simple.words)
        .any(|word| word.moving);
    if commands.len() == 1
        && !moving
        && !["exec", "cd", "export", "."].contains(&first.text.as_str())
    {
        let words: Vec<&str> = last.words.iter().map(|word| word.text.as_str()).collect();
        return list(&words);
    }
    // A shell is needed, and gives way to the program.
    let exec = match first.text.as_str() {
        "exec" => String::new(),
        "cd" | "export" | "." | "source" | "set" => return None,
        _ => "exec ".to_owned(),
    };
    let joined = |text: &str| text.replace("\\\r\n", " ").replace("\\\n", " ");
    let line = format!(
        "{}{exec}{}",
        &line[..first.span.start],
        &line[first.span.start..]
    );
    list(&["/bin/sh", "-c", &joined(&line)])
}

fn directory(look: &mut Look<'_>) {
    let recipe = look.recipe;
    for (index, stage) in recipe.stages.iter().enumerate() {
        let first = stage.steps.iter().find_map(|step| match &step.action {
            Action::Directory(path, span) => Some((step, path, span)),
            _ => None,
        });
        let Some((step, path, span)) = first else {
            continue;
        };
        let inherits = recipe.stages[..index]
            .iter()
            .any(|other| other.name.as_deref() == Some(stage.base.as_str()));
        if inherits || path.starts_with(['/', '$']) || look.history {
            continue;
        }
        let base = look
            .project
            .base(&stage.base)
            .map(|base| base.directory.clone());
        let place = look.place(step);
        let mend = match &base {
            Some(base) => format!("WORKDIR {}/{path}", base.trim_end_matches('/')),
            None => format!("WORKDIR /{path}"),
        };
        let found = look.say(
            "relative-workdir",
            Severity::Low,
            place,
            format!("WORKDIR {path} depends on where the base image stands"),
            mend,
        );
        if let Some(base) = base {
            found.edit(
                span.clone(),
                format!("{}/{path}", base.trim_end_matches('/')),
            );
        }
    }
}

/// The ports that the image says it listens on.
fn exposed(look: &Look<'_>) -> Vec<u16> {
    let steps = look.recipe.lineage().into_iter();
    let ports = steps.filter_map(|step| match &step.action {
        Action::Expose(ports) => Some(ports),
        _ => None,
    });
    ports
        .flatten()
        .filter_map(|port| port.split('/').next()?.parse().ok())
        .collect()
}

fn port(look: &mut Look<'_>) {
    let Some(port) = look.project.port else {
        return;
    };
    let exposed = exposed(look);
    if exposed.contains(&port) || look.history {
        return;
    }
    let stage = look.last();
    let step = last_of(stage, |action| matches!(action, Action::Expose(_)));
    match step {
        Some(step) => {
            let place = look.place(step);
            let ports: Vec<String> = exposed.iter().map(u16::to_string).collect();
            let said = format!(
                "EXPOSE says {}, and the app file's port is {port}",
                ports.join(", ")
            );
            look.say(
                "port-mismatch",
                Severity::Medium,
                place,
                said,
                "make both the same",
            );
        }
        None => {
            let at = before_start(stage);
            let place = Place::Line(stage.line);
            let found = look.say(
                "port-mismatch",
                Severity::Low,
                place,
                format!("no EXPOSE, and the app file's port is {port}"),
                format!("EXPOSE {port}"),
            );
            if let Some(at) = at {
                found.edit(at..at, format!("EXPOSE {port}\n"));
            }
        }
    }
}

fn health(look: &mut Look<'_>) {
    let recipe = look.recipe;
    let check = recipe
        .lineage()
        .into_iter()
        .rev()
        .find_map(|step| match &step.action {
            Action::Health(command) => Some((step, command.clone())),
            _ => None,
        });
    let root = recipe.root().map_or("", |root| root.base.as_str());
    let (name, tag) = name_and_tag(root);
    if let Some((step, command)) = check {
        let text = command.map(|command| command.text()).unwrap_or_default();
        let slim = tag.is_some_and(|tag| tag.contains("slim") || tag.contains("alpine"))
            || root.contains("distroless");
        let program = if text.contains("curl") {
            "curl"
        } else {
            return;
        };
        let installs = recipe.lineage().into_iter().any(|step| matches!(&step.action, Action::Run { command, .. } if command.text().contains(program)));
        if slim && !installs && !look.history {
            let place = look.place(step);
            look.say(
                "health-check-program-missing",
                Severity::High,
                place,
                format!("the health check runs {program}, which {root} doesn't have"),
                "ask by the program that is there: python, node, wget",
            );
        }
        return;
    }
    if look.history || look.project.base(root).is_some_and(|base| base.health) {
        return;
    }
    let stage = look.last();
    let port = look.project.port.or_else(|| exposed(look).first().copied());
    let words = port.and_then(|port| probe(name, port));
    let at = before_start(stage);
    let found = look.say(
        "no-health-check",
        Severity::Low,
        Place::Line(stage.line),
        "no HEALTHCHECK: the Engine can't tell whether it works",
        "HEALTHCHECK --interval=30s --timeout=10s --retries=3 CMD […]; with landfall alone `health` in the app file is enough",
    );
    if let (Some(words), Some(at)) = (words, at) {
        found.edit(
            at..at,
            format!("HEALTHCHECK --interval=30s --timeout=10s --retries=3 \\\n    CMD {words}\n"),
        );
    }
}

/// A check by what the base image has anyway.
fn probe(base: &str, port: u16) -> Option<String> {
    match base {
        "python" => Some(format!(
            "[\"python\", \"-c\", \"import socket; socket.create_connection(('127.0.0.1', {port}), 5)\"]"
        )),
        "node" => Some(format!(
            "[\"node\", \"-e\", \"require('net').connect({port}, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))\"]"
        )),
        _ => None,
    }
}
