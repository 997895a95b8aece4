//! What the image executes: a list of words without a shell, but where a variable stands in it.

use landfall_app::{
    Value,
    model::{Command, ProcessKind},
    template::Part,
};

use super::{
    Made,
    subject::{Kind, Subject},
    text,
};

/// Stands around the name of a variable while words are made; no command can hold it.
const MARK: char = '\0';

/// What a service starts.
pub enum Start<'a> {
    /// One process.
    One(&'a Command),
    /// Several, in their order.
    Several,
    /// What an older Dockerfile executes.
    Existing(&'a [String]),
    /// Nobody says.
    Unknown,
}

/// What the language of a project says about what is executed.
pub enum Default {
    /// Nothing.
    None,
    /// This, where nobody says.
    Else(Vec<String>),
    /// This in any case: what the app file says holds for plain processes.
    Always(Vec<String>),
}

/// What a service starts.
pub fn start<'a>(subject: &'a Subject<'_>) -> Start<'a> {
    match subject.service.processes.as_slice() {
        [process] => match &process.kind {
            ProcessKind::Stays(command) => Start::One(command),
            ProcessKind::Ends(_) => Start::Several,
        },
        [] => match &subject.existing.command {
            Some(words) => Start::Existing(words),
            None => Start::Unknown,
        },
        _ => Start::Several,
    }
}

/// Whether there is one process at most.
pub fn is_single(subject: &Subject<'_>) -> bool {
    !matches!(start(subject), Start::Several)
}

/// The program that a service's front, or only process starts, without its folder.
pub fn program(subject: &Subject<'_>) -> Option<String> {
    let processes = &subject.service.processes;
    let front = subject.service.front().or(processes.first());
    let words = match front.map(|process| &process.kind) {
        Some(ProcessKind::Stays(command)) => command.words(),
        Some(ProcessKind::Ends(_)) => return None,
        None => subject.existing.command.as_deref()?,
    };
    let [first, rest @ ..] = words else {
        return None;
    };
    let name = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    match (name(first).as_str(), rest) {
        ("sh", [option, script, ..]) if option == "-c" => {
            let script = script.strip_prefix("exec ").unwrap_or(script);
            script.split_whitespace().next().map(name)
        }
        ("python" | "python3", [option, module, ..]) if option == "-m" => Some(module.clone()),
        (first, _) => Some(first.to_owned()),
    }
}

/// A command's words as an image has them. Where variables stand in them a shell puts them in, and is
/// gone then: the program itself gets the signals.
pub fn words(command: &Command) -> Vec<String> {
    if command.variables().is_empty() {
        return expanded(command);
    }
    let line: Vec<String> = expanded(command).iter().map(|word| quoted(word)).collect();
    ["sh", "-c", &format!("exec {}", line.join(" "))]
        .map(str::to_owned)
        .to_vec()
}

fn expanded(command: &Command) -> Vec<String> {
    let marked = |name: &str| Some(format!("{MARK}{name}{MARK}"));
    // The lookup above knows every name.
    command.expand(marked).unwrap_or_default()
}

/// A word with variables in it, for a shell.
fn quoted(word: &str) -> String {
    if !word.contains(MARK) {
        return text::shell(word);
    }
    let mut quoted = String::from("\"");
    for (index, part) in word.split(MARK).enumerate() {
        if index % 2 == 1 {
            quoted.push_str(&format!("${{{part}}}"));
            continue;
        }
        for c in part.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
    }
    quoted.push('"');
    quoted
}

/// The plain values of the variables that the service's commands name: what is no secret, and known.
pub fn named_values(subject: &Subject<'_>) -> Vec<(String, String)> {
    let mut values = Vec::new();
    for process in &subject.service.processes {
        let ProcessKind::Stays(command) = &process.kind else {
            continue;
        };
        for name in command.variables() {
            let known = values.iter().any(|(known, _)| *known == name);
            if let (false, Some(text)) = (known, process.env.get(&name).and_then(literal)) {
                values.push((name, text));
            }
        }
    }
    values
}

/// A value without references.
pub fn literal(value: &Value) -> Option<String> {
    let Value::Text(template) = value else {
        return None;
    };
    let parts: Option<Vec<&str>> = template
        .parts()
        .iter()
        .map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Reference(_) => None,
        })
        .collect();
    parts.map(|parts| parts.concat())
}

/// Variables by which servers that listen on the loopback alone, unless they are told otherwise, are told.
pub fn listens_to_all(subject: &Subject<'_>) -> Option<(&'static str, &'static str)> {
    match program(subject)?.as_str() {
        "uvicorn" => Some(("UVICORN_HOST", "0.0.0.0")),
        "flask" => Some(("FLASK_RUN_HOST", "0.0.0.0")),
        _ => None,
    }
}

/// Servers that end by themselves when they are asked to, as the first process of a container too.
const ENDING: [&str; 8] = [
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "daphne",
    "granian",
    "celery",
    "next",
    "nginx",
];

/// Says that a program of the project's own may not end when it is asked to: the first process of a
/// container gets no signal that it doesn't ask for.
fn ends(subject: &Subject<'_>, made: &mut Made) {
    let Some(program) = program(subject) else {
        return;
    };
    // What Go is compiled to asks for all of them.
    if ENDING.contains(&program.as_str()) || subject.kind() == Some(Kind::Go) {
        return;
    }
    let package = format!("src/{program}");
    let folders = ["", "src", "app", "lib", "server", &program, &package];
    let asks = folders.iter().any(|folder| {
        subject.list(folder).iter().any(|name| {
            let path = super::subject::join(folder, name);
            let code = [".py", ".js", ".mjs", ".cjs", ".ts", ".rs"];
            code.iter().any(|ending| name.ends_with(ending))
                && subject.text(&path).is_some_and(|text| {
                    [
                        "SIGTERM",
                        "signal::ctrl_c",
                        "SignalKind::terminate",
                        "uvicorn.run(",
                    ]
                    .iter()
                    .any(|word| text.contains(word))
                })
        })
    });
    if !asks {
        made.note(
            subject.setting("stop"),
            format!(
                "{program} is the image's first process, which ends by SIGTERM only where its code asks for that signal, and nothing seen here does: docker run --init, and init: true in Compose, pass it on"
            ),
        );
    }
}

/// Writes CMD, or says that nobody says what it is.
pub fn write(subject: &Subject<'_>, made: &mut Made, default: Default) {
    if is_single(subject) {
        ends(subject, made);
    }
    if let Default::Always(words) = default {
        made.text.exec("CMD", &words);
        return;
    }
    match start(subject) {
        Start::One(command) => made.text.exec("CMD", &words(command)),
        Start::Existing(words) => {
            made.note(
                subject.setting("command"),
                format!(
                    "its CMD is taken over from the {} that stands there; said in landfall.toml it would hold everywhere",
                    subject.dockerfile
                ),
            );
            made.text.exec("CMD", words);
        }
        Start::Several => super::several::write(subject, made),
        Start::Unknown => match default {
            Default::Else(words) | Default::Always(words) => made.text.exec("CMD", &words),
            Default::None => {
                made.note(
                    subject.setting("command"),
                    "nobody says what the image executes: name it here, or in the place `landfall:keep command` of the Dockerfile",
                );
                made.text
                    .says("What it executes: CMD [\"program\", \"argument\"]");
                made.text.keep("command");
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Command {
        Command::Words(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn without_variables_there_is_no_shell() {
        assert_eq!(words(&command(&["a", "b c", "$$x"])), ["a", "b c", "$x"]);
        let exact = Command::Exact(vec!["a".to_owned(), "$PORT".to_owned()]);
        assert_eq!(words(&exact), ["a", "$PORT"]);
    }

    #[test]
    fn with_variables_a_shell_puts_them_in_and_nothing_else() {
        assert_eq!(
            words(&command(&["a", "--port", "$PORT"])),
            ["sh", "-c", "exec a --port \"${PORT}\""]
        );
        assert_eq!(
            words(&command(&["a", "it's; $(x)", "\"${A}\\`$$1"])),
            [
                "sh",
                "-c",
                "exec a 'it'\\''s; $(x)' \"\\\"${A}\\\\\\`\\$1\""
            ]
        );
    }
}
