//! Commands and processes as other tools' files write them, and as the app file does.

/// A process found somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedProcess {
    /// Its name, as the app file allows it.
    pub name: String,
    /// What it executes.
    pub command: DetectedCommand,
    /// Which start first: lower ones. Those without a number don't wait.
    pub order: Option<u32>,
    /// Other processes need no restart of it.
    pub restarts: bool,
}

/// A command as the app file can write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DetectedCommand {
    /// Split into words, executed without a shell.
    Words(String),
    /// An exact list.
    Exact(Vec<String>),
}

impl DetectedCommand {
    /// A line as a shell would take it: with a shell only where it needs one.
    pub fn line(text: &str) -> Self {
        let text = port_variable(text.trim());
        // Without a shell there is nothing that the program would have to replace.
        let text = text
            .strip_prefix("exec ")
            .map_or(text.as_str(), str::trim)
            .to_owned();
        let first = text.split_whitespace().next().unwrap_or_default();
        let builtin = [
            "cd", "export", "source", ".", "exec", "eval", "set", "if", "for", "while", "ulimit",
            "umask", "{", "until", "case",
        ];
        let of_shell = builtin.contains(&first) || (first.contains('=') && !first.starts_with('-'));
        let unclosed = ['"', '\'']
            .iter()
            .any(|quote| text.matches(*quote).count() % 2 == 1)
            || text.ends_with('\\');
        match unclosed
            || of_shell
            || text.contains(['&', '|', ';', '<', '>', '`', '(', '\n', '~'])
            || text.contains("${")
        {
            true => Self::Exact(vec!["sh".to_owned(), "-c".to_owned(), text]),
            false => Self::Words(text),
        }
    }

    /// A list of words, written as a line where that reads the same.
    pub fn words(words: &[String]) -> Self {
        let plain = |word: &String| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_./=:@%+,[]".contains(&byte))
        };
        match words {
            [shell, option, line]
                if matches!(shell.rsplit('/').next(), Some("sh" | "bash"))
                    && option.trim_start_matches('-').ends_with('c') =>
            {
                match Self::line(line.strip_prefix("exec ").unwrap_or(line)) {
                    Self::Words(text) => Self::Words(text),
                    Self::Exact(_) => {
                        Self::Exact(vec![shell.clone(), option.clone(), line.clone()])
                    }
                }
            }
            words if words.iter().all(plain) => Self::Words(words.join(" ")),
            words => Self::Exact(words.to_vec()),
        }
    }

    /// The whole text, to look into.
    pub fn text(&self) -> String {
        match self {
            Self::Words(text) => text.clone(),
            Self::Exact(words) => words.join(" "),
        }
    }

    /// Puts `$PORT` where a number stands as the port to listen on; the number, if there was one.
    /// A list is executed as it stands, so `$PORT` would reach the program: it becomes words first.
    pub fn take_port(&mut self) -> Option<u16> {
        match self {
            Self::Words(text) => {
                let (replaced, port) = replace_port(text);
                *text = replaced;
                port
            }
            Self::Exact(words) if words.first().is_some_and(|word| word == "sh") => {
                let line = words.last_mut()?;
                let (replaced, port) = replace_port(line);
                *line = replaced;
                port
            }
            Self::Exact(_) => None,
        }
    }

    /// Whether it is told its port by the environment.
    pub fn names_port(&self) -> bool {
        let text = self.text();
        text.contains("$PORT") || text.contains("${PORT")
    }
}

/// `${PORT}` and `${PORT:-8000}` as `$PORT`: `${…}` means something else in the app file.
fn port_variable(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${PORT") {
        let (before, from) = rest.split_at(at);
        let Some(end) = from.find('}') else { break };
        let inner = &from["${PORT".len()..end];
        if !(inner.is_empty() || inner.starts_with(":-") || inner.starts_with('-')) {
            break;
        }
        out.push_str(before);
        out.push_str("$PORT");
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    out.replace("%(ENV_PORT)s", "$PORT")
}

fn replace_port(text: &str) -> (String, Option<u16>) {
    if text.contains("$PORT") {
        return (text.to_owned(), None);
    }
    let mut found = None;
    let mut after_option = false;
    let mut number = |digits: &str| match (found, digits.parse::<u16>()) {
        (None, Ok(port)) if port > 0 => {
            found = Some(port);
            true
        }
        _ => false,
    };
    let words: Vec<String> = text
        .split(' ')
        .map(|word| {
            let was_after = std::mem::replace(
                &mut after_option,
                matches!(word, "--port" | "-p" | "--http-port"),
            );
            if was_after && number(word) {
                return "$PORT".to_owned();
            }
            if let Some(digits) = word.strip_prefix("--port=")
                && number(digits)
            {
                return "--port=$PORT".to_owned();
            }
            let hosts = ["0.0.0.0", "127.0.0.1", "localhost", "[::]", "*", ""];
            if let Some((host, digits)) = word.rsplit_once(':')
                && hosts.contains(&host.rsplit('=').next().unwrap_or_default())
                && number(digits)
            {
                return format!("{host}:$PORT");
            }
            word.to_owned()
        })
        .collect();
    (words.join(" "), found)
}

/// A name as the app file allows it.
pub fn name(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => name.push(character),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    let name: String = name.chars().take(40).collect();
    match name.trim_end_matches('-') {
        "" => "app".to_owned(),
        name => name.to_owned(),
    }
}

/// The programs of a supervisord file.
pub fn supervisord(text: &str) -> Vec<DetectedProcess> {
    let mut programs: Vec<DetectedProcess> = Vec::new();
    let mut inside = false;
    for line in logical_lines(text) {
        if let Some(section) = line.strip_prefix('[') {
            inside = false;
            if let Some(program) = section.trim_end_matches(']').strip_prefix("program:") {
                inside = true;
                let command = DetectedCommand::Words(String::new());
                programs.push(DetectedProcess {
                    name: name(program),
                    command,
                    order: None,
                    restarts: true,
                });
            }
            continue;
        }
        let (Some((key, value)), Some(program), true) =
            (line.split_once('='), programs.last_mut(), inside)
        else {
            continue;
        };
        let value = value.split(" ;").next().unwrap_or_default().trim();
        match key.trim() {
            "command" => program.command = DetectedCommand::line(&environment_references(value)),
            "priority" => program.order = value.parse().ok(),
            "autorestart" => program.restarts = value != "false",
            _ => {}
        }
    }
    programs.retain(|program| !program.command.text().is_empty());
    // All alike means that nobody thought of an order.
    if programs
        .windows(2)
        .all(|pair| pair[0].order == pair[1].order)
    {
        programs.iter_mut().for_each(|program| program.order = None);
    }
    programs.sort_by_key(|program| program.order.unwrap_or(999));
    programs
}

/// `%(ENV_X)s` as `$X`, `%%` as `%`.
fn environment_references(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("%(ENV_") {
        let Some((name, after)) = from.split_once(")s") else {
            break;
        };
        out.push_str(before);
        out.push('$');
        out.push_str(name);
        rest = after;
    }
    out.push_str(rest);
    out.replace("%%", "%")
}

/// Lines without comments; those that begin with white space belong to the one before.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with([';', '#']) {
            continue;
        }
        match lines.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
            Some(last) => {
                last.push(' ');
                last.push_str(trimmed);
            }
            None => lines.push(trimmed.to_owned()),
        }
    }
    lines
}

/// The processes of a Procfile, and its `release` command.
pub fn procfile(text: &str) -> (Vec<DetectedProcess>, Option<String>) {
    let (mut processes, mut release) = (Vec::new(), None);
    for line in text.lines() {
        let Some((process, command)) = line.split_once(':') else {
            continue;
        };
        let (process, command) = (process.trim(), command.trim());
        if process.starts_with('#') || command.is_empty() {
            continue;
        }
        match process {
            "release" => release = Some(command.to_owned()),
            _ => processes.push(DetectedProcess {
                name: name(process),
                command: DetectedCommand::line(command),
                order: None,
                restarts: true,
            }),
        }
    }
    (processes, release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_become_the_variable() {
        for (text, expected, port) in [
            (
                "uvicorn a:b --host 0.0.0.0 --port 8000",
                "uvicorn a:b --host 0.0.0.0 --port $PORT",
                Some(8000),
            ),
            (
                "gunicorn a --bind=0.0.0.0:5000 -w 2",
                "gunicorn a --bind=0.0.0.0:$PORT -w 2",
                Some(5000),
            ),
            ("next start -p 3000", "next start -p $PORT", Some(3000)),
            (
                "x --port=80 --other 80",
                "x --port=$PORT --other 80",
                Some(80),
            ),
            ("x --port ${PORT:-8000}", "x --port $PORT", None),
            (
                "agent --api http://localhost:8000 app:main",
                "agent --api http://localhost:8000 app:main",
                None,
            ),
        ] {
            let mut command = DetectedCommand::line(text);
            assert_eq!(command.take_port(), port, "{text}");
            assert_eq!(command, DetectedCommand::Words(expected.to_owned()));
        }
    }

    #[test]
    fn a_shell_only_where_one_is_needed() {
        let exact = |text: &str| matches!(DetectedCommand::line(text), DetectedCommand::Exact(_));
        assert!(exact("cd app && x") && exact("A=b x") && exact("x > log") && exact("x ${B:-1}"));
        assert!(!exact("x 'a b' --c=d"));
        let words = |words: &[&str]| {
            DetectedCommand::words(
                &words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            words(&["sh", "-c", "exec x $PORT"]),
            DetectedCommand::Words("x $PORT".to_owned())
        );
        assert_eq!(
            words(&["x", "a b"]),
            DetectedCommand::Exact(vec!["x".to_owned(), "a b".to_owned()])
        );
    }

    #[test]
    fn programs_come_in_their_order() {
        let text = "[supervisord]\nnodaemon=true\n[program:agent]\ncommand=python -m agent ; the second\npriority=200\n\
                    [program:API_server]\ncommand=uvicorn app.main:app\n  --port %(ENV_PORT)s\npriority=100\nautorestart=true\n[eventlistener:x]\ncommand=y\n";
        let found = supervisord(text);
        assert_eq!(
            found
                .iter()
                .map(|program| program.name.as_str())
                .collect::<Vec<_>>(),
            ["api-server", "agent"]
        );
        assert_eq!(
            found[0].command,
            DetectedCommand::Words("uvicorn app.main:app --port $PORT".to_owned())
        );
        assert_eq!(
            found[1].command,
            DetectedCommand::Words("python -m agent".to_owned())
        );
        let (processes, release) =
            procfile("web: gunicorn x\n# c: d\nrelease: migrate\nworker: x | y\n");
        assert_eq!((processes.len(), release.as_deref()), (2, Some("migrate")));
    }

    #[test]
    fn names_are_made_to_fit() {
        for (text, expected) in [
            ("Union Action", "union-action"),
            ("1st_App.", "st-app"),
            ("日本", "app"),
            ("a--b", "a-b"),
        ] {
            assert_eq!(name(text), expected);
        }
    }
}
