//! One process of a program: its command, with what a shell has to do before it, and its keys.

use std::collections::BTreeMap;

use super::{
    Dockerfile, Found,
    ini::{Key, Section},
    program::{Shared, environment, truth, user, variable},
    value::{self, Text, expand},
};
use crate::{
    RemarkKind,
    draft::{self, Table, Value},
};

/// Makes one process of a program.
pub(super) struct Maker<'a> {
    pub section: &'a Section,
    pub expansions: &'a value::Names,
    pub dockerfile: &'a Dockerfile,
    pub known: &'a BTreeMap<String, String>,
    pub shared: &'a mut Shared,
    /// Whether it may be one that runs once: where something else stays.
    pub may_end: bool,
    /// Of several alike only the first one is spoken of.
    pub first: bool,
    pub found: &'a mut Found,
}

impl Maker<'_> {
    fn say(&mut self, kind: RemarkKind, key: &Key, said: impl Into<String>) {
        if self.first {
            self.found.say(kind, self.section, key.line, &key.key, said);
        }
    }

    /// Fills the process; whether it runs once and ends.
    pub fn process(&mut self, own: &mut Table, service: &mut Table) -> bool {
        let section = self.section;
        let mut prefix: Vec<String> = Vec::new();
        let mut assigned: Vec<String> = Vec::new();
        let restarts = section
            .get("autorestart")
            .map(|key| key.value.to_ascii_lowercase());
        let restarts = restarts.as_deref().unwrap_or("unexpected");
        let quick = section.get("startsecs").is_some_and(|key| key.value == "0");
        let once =
            self.may_end && quick && restarts != "unexpected" && truth(restarts) == Some(false);
        for key in &section.keys {
            match key.key.as_str() {
                "command" | "autostart" | "numprocs" | "numprocs_start" | "priority" => {}
                "process_name" => {}
                "environment" => self.environment(key, own, service, &mut assigned),
                "directory" => self.directory(key, &mut prefix),
                "umask" => match key.value.bytes().all(|byte| byte.is_ascii_digit()) {
                    true => prefix.push(format!("umask {} && ", key.value)),
                    false => self.say(RemarkKind::Lost, key, "is no number such as 022"),
                },
                "user" => {
                    if self.first {
                        user(section, key, service, self.found);
                    }
                }
                "autorestart" if once => self.say(
                    RemarkKind::Changed,
                    key,
                    "with startsecs=0 it runs once: here it must end well before the others start",
                ),
                "autorestart" if truth(&key.value) == Some(false) => {
                    own.set("required", false).from(&section.file, key.line);
                    self.say(RemarkKind::Changed, key, "it would not be started again when it ends; here what stays is, and health stays good without it");
                }
                "autorestart" if restarts == "unexpected" => self.say(
                    RemarkKind::Note,
                    key,
                    "it would stay down once it ends well; here what stays is started again",
                ),
                "autorestart" => {}
                "startsecs" => {
                    if let Ok(seconds) = key.value.parse::<u32>()
                        && seconds > 1
                    {
                        own.table("health")
                            .set("up", format!("{seconds}s"))
                            .from(&section.file, key.line);
                    }
                }
                "startretries" => {
                    self.shared.attempts = self.shared.attempts.max(key.value.parse().ok())
                }
                "stopsignal" => self.signal(key),
                "stopwaitsecs" => self.shared.grace = self.shared.grace.max(key.value.parse().ok()),
                "stopasgroup" | "killasgroup" => self.say(
                    RemarkKind::Note,
                    key,
                    "is always so here: a process is ended with all that it has started",
                ),
                "exitcodes" => self.say(
                    RemarkKind::Changed,
                    key,
                    "would say which ends are expected; here what stays is started again after any",
                ),
                "redirect_stderr" => self.say(
                    RemarkKind::Note,
                    key,
                    "landfall logs has both, in their order",
                ),
                "serverurl" => self.say(
                    RemarkKind::Lost,
                    key,
                    "would tell it where supervisord listens, which isn't there any more",
                ),
                other if other.starts_with("stdout_") || other.starts_with("stderr_") => {
                    let file = other.ends_with("_logfile")
                        && !["", "NONE", "none", "AUTO", "auto", "syslog"]
                            .contains(&key.value.as_str())
                        && !key.value.starts_with("/dev/")
                        && !key.value.starts_with("/proc/");
                    match file {
                        true => self.say(RemarkKind::Note, key, "what it prints isn't written there; landfall logs keeps it, for 7 days by default"),
                        false => self.say(RemarkKind::Note, key, "landfall logs keeps what it prints"),
                    }
                }
                _ => self.say(
                    RemarkKind::Note,
                    key,
                    "is no key of supervisord's programs, and does nothing there either",
                ),
            }
        }
        self.command(own, once, &prefix, &assigned);
        once
    }

    fn signal(&mut self, key: &Key) {
        let name = key.value.to_ascii_uppercase();
        let name = match name.trim_start_matches("SIG") {
            "1" | "HUP" => "SIGHUP",
            "2" | "INT" => "SIGINT",
            "3" | "QUIT" => "SIGQUIT",
            "9" | "KILL" => "SIGKILL",
            "10" | "USR1" => "SIGUSR1",
            "12" | "USR2" => "SIGUSR2",
            "15" | "TERM" => "SIGTERM",
            "28" | "WINCH" => "SIGWINCH",
            _ => return self.say(RemarkKind::Lost, key, "is no signal that an app file knows"),
        };
        self.shared.signals.insert(name.to_owned());
        if self.shared.signals.len() == 2 {
            self.say(RemarkKind::Lost, key, "is another signal than that of the other programs; a service has one for all its processes, so SIGTERM stays");
        }
    }

    fn environment(
        &mut self,
        key: &Key,
        own: &mut Table,
        service: &mut Table,
        assigned: &mut Vec<String>,
    ) {
        let mut quiet = Found::default();
        let section = self.section;
        let before = self.known.clone();
        for (name, text) in environment(section, key, self.expansions, &mut quiet) {
            let taken = variable(section, key.line, &name, &text, own, &before, &mut quiet);
            if !taken {
                // It names what only the process itself has: its shell puts it in.
                assigned.push(format!("{name}={} ", text.shell_word()));
            }
        }
        let secrets = own.remove("secrets").map(|entry| entry.value);
        if let Some(Value::List(names)) = secrets {
            for name in names {
                let Value::Text(name) = name else { continue };
                if self.shared.secrets.insert(name.clone()) {
                    service.push("secrets", name).from(&section.file, key.line);
                }
            }
        }
        if self.first {
            self.found.remarks.append(&mut quiet.remarks);
        }
        self.found.secrets.append(&mut quiet.secrets);
    }

    fn directory(&mut self, key: &Key, prefix: &mut Vec<String>) {
        match expand(&key.value, self.expansions) {
            Ok(text) => {
                let folder = text.shell_word();
                let own = self.dockerfile.folder.as_deref() == Some(folder.trim_end_matches('/'));
                if !own && folder != "." && folder != "./" {
                    prefix.push(format!("cd {folder} && "));
                }
            }
            Err(reference) => self.say(
                RemarkKind::Lost,
                key,
                format!("names {reference}, which isn't known here"),
            ),
        }
    }

    fn command(&mut self, own: &mut Table, once: bool, prefix: &[String], assigned: &[String]) {
        let section = self.section;
        let Some(key) = section.get("command") else {
            return;
        };
        let text = match expand(&key.value.replace('\n', " "), self.expansions) {
            Ok(text) => text,
            Err(reference) => {
                self.say(
                    RemarkKind::Lost,
                    key,
                    format!("names {reference}, which isn't known here; say what starts it"),
                );
                own.set(
                    "command",
                    vec![
                        "sh",
                        "-c",
                        "echo 'landfall.toml says no command yet' >&2; exit 1",
                    ],
                );
                own.todo("say what starts it");
                return;
            }
        };
        let Some(words) = text.words() else {
            self.say(
                RemarkKind::Lost,
                key,
                "has a quote that is never closed; say what starts it",
            );
            own.set(
                "command",
                vec![
                    "sh",
                    "-c",
                    "echo 'landfall.toml says no command yet' >&2; exit 1",
                ],
            );
            own.todo("say what starts it");
            return;
        };
        let words = unwrapped(&words, own, once);
        let shell_words: Vec<String> = words.iter().map(Text::shell_word).collect();
        let env = own.known_table("env").cloned().unwrap_or_default();
        let known = |name: &str| {
            let value = env
                .text(name)
                .or_else(|| self.known.get(name).map(String::as_str));
            value.is_some_and(|value| !value.is_empty() && !value.contains(char::is_whitespace))
        };
        let plain: Option<Vec<String>> =
            words.iter().map(|word| word.resolved(&|_| None)).collect();
        let simple = prefix.is_empty() && assigned.is_empty();
        let value = match (&plain, simple) {
            (Some(plain), true) => script(plain, &known).unwrap_or_else(|| draft::words(plain)),
            (None, true) => {
                let raw: Vec<String> = words.iter().map(Text::shell_text).collect();
                let line = raw.join(" ");
                let whole = raw.iter().all(|word| {
                    draft::quoted(&word.replace(['$', '{', '}'], ""))
                        == word.replace(['$', '{', '}'], "")
                });
                match whole.then(|| draft::command(&line, &known)) {
                    Some(Value::Text(line)) => Value::Text(tidy(&line)),
                    _ => match raw.as_slice() {
                        [shell, flag, text]
                            if flag == "-c"
                                && matches!(shell.rsplit('/').next(), Some("sh" | "bash")) =>
                        {
                            vec![shell.as_str(), "-c", text].into()
                        }
                        _ => vec![
                            "sh".to_owned(),
                            "-c".to_owned(),
                            format!("exec {}", shell_words.join(" ")),
                        ]
                        .into(),
                    },
                }
            }
            (_, false) => {
                let line = format!(
                    "{}{}exec {}",
                    prefix.concat(),
                    assigned.concat(),
                    shell_words.join(" ")
                );
                vec!["sh".to_owned(), "-c".to_owned(), line].into()
            }
        };
        let mut value = value;
        if self.shared.port.is_none()
            && let Value::Text(line) = &value
            && let Some((line, port)) = draft::take_port(line)
        {
            self.shared.port = Some(port);
            value = Value::Text(line);
        }
        let names = match &value {
            Value::Text(line) => line.contains("$PORT") || line.contains("${PORT}"),
            Value::List(words) => words.iter().any(|word| matches!(word, Value::Text(word) if word.contains("$PORT") || word.contains("${PORT}"))),
            _ => false,
        };
        if names && self.shared.port.is_none() {
            self.shared.port = Some(self.dockerfile.port.unwrap_or(8000));
        }
        own.set(if once { "run" } else { "command" }, value)
            .from(&section.file, key.line);
    }
}

/// The words of the program itself: what `nice` does says `priority`, and what our own
/// `supervisord-after.py` does says `after`.
fn unwrapped<'w>(words: &'w [Text], own: &mut Table, once: bool) -> &'w [Text] {
    let plain = |index: usize| words.get(index).and_then(|word| word.resolved(&|_| None));
    let nice = match (plain(0).as_deref(), plain(1).as_deref()) {
        (Some("nice"), Some("-n")) if !once => {
            plain(2).and_then(|number| number.parse::<i32>().ok())
        }
        _ => None,
    };
    let words = match nice {
        Some(number) if words.len() > 3 => {
            if number >= 10 {
                own.set("priority", "low");
            }
            &words[3..]
        }
        _ => words,
    };
    let named = |word: &Text, name: &str| {
        word.resolved(&|_| None)
            .is_some_and(|word| word.ends_with(name))
    };
    let after = words
        .get(1)
        .is_some_and(|word| named(word, "supervisord-after.py"));
    let end = words.iter().position(|word| {
        named(word, "--") && word.resolved(&|_| None).is_some_and(|word| word == "--")
    });
    match end.filter(|end| after && *end + 1 < words.len()) {
        Some(end) => &words[end + 1..],
        None => words,
    }
}

/// `sh -c LINE`, where a shell isn't needed for it.
fn script(words: &[String], known: &dyn Fn(&str) -> bool) -> Option<Value> {
    let [shell, flag, line] = words else {
        return None;
    };
    let is_shell = matches!(shell.rsplit('/').next(), Some("sh" | "bash"));
    match (is_shell && flag == "-c").then(|| draft::command(line, known))? {
        Value::Text(line) => Some(Value::Text(line)),
        _ => None,
    }
}

/// `${X}` as `$X` where nothing follows that could belong to the name.
fn tidy(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, from)) = rest.split_once("${") {
        out.push_str(before);
        let (name, after) = from.split_once('}').unwrap_or((from, ""));
        match after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            true => out.push_str(&format!("${{{name}}}")),
            false => out.push_str(&format!("${name}")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
