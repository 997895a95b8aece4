//! The app file that `init` writes: commented, valid, with what is open marked.

use std::{collections::BTreeSet, fmt::Write as _};

use landfall_app::model::Command;

use super::{Detected, DetectedCommand, DetectedProcess, DetectedService, Language, process::name};

/// What `init` writes and says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppFileDraft {
    /// The text of `landfall.toml`.
    pub text: String,
    /// What was found, and what is said of it.
    pub found: Vec<(String, String)>,
    /// What is left to the user; each is marked `TODO` in the text too.
    pub todo: Vec<String>,
    /// Lines that `.gitignore` lacks.
    pub ignore: Vec<String>,
}

/// Writes an app file for what was found in a folder of this name.
pub fn write_app_file(detected: &Detected, folder_name: &str) -> AppFileDraft {
    let mut draft = AppFileDraft {
        text: String::new(),
        found: Vec::new(),
        todo: Vec::new(),
        ignore: Vec::new(),
    };
    let app = name(folder_name);
    draft.line("# What runs, and how. `landfall check` reads it, `landfall config` shows it with every default.");
    draft.line(&format!("app = {}", quoted(&app)));
    let nothing = [DetectedService {
        root: ".".to_owned(),
        ..DetectedService::default()
    }];
    let services = if detected.services.is_empty() {
        &nothing[..]
    } else {
        &detected.services
    };
    let alone = services.len() == 1;
    for service in services {
        let name = if service.root == "." {
            app.clone()
        } else {
            name(&service.root)
        };
        draft.service(service, &name, detected, alone);
    }
    if services
        .iter()
        .any(|service| service.dockerfile.is_some() && service.runs_as_processes())
    {
        draft.line("");
        draft.line("[environment.local]");
        draft.line("runtime = \"process\"   # on this machine without a container: faster, and needs no Docker");
    }
    draft.dotenv(detected);
    if let Some(compose) = &detected.compose {
        draft.found.push((
            compose.clone(),
            "landfall import compose reads it".to_owned(),
        ));
    }
    if detected.git && !detected.ignores_dotenv {
        draft.ignore.push(".env".to_owned());
    }
    draft
}

impl DetectedService {
    fn runs_as_processes(&self) -> bool {
        self.language != Language::Other
    }
}

impl AppFileDraft {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A key with its value and why it stands there.
    fn key(&mut self, key: &str, value: &str, why: &str) {
        let _ = match why.is_empty() {
            true => writeln!(self.text, "{key} = {value}"),
            false => writeln!(self.text, "{key} = {value}   # {why}"),
        };
    }

    fn open(&mut self, todo: &str) {
        self.todo.push(todo.to_owned());
        self.line(&format!("# TODO: {todo}"));
    }

    fn found(&mut self, service: &DetectedService, file: &str, said: String) {
        let place = if service.root == "." {
            file.to_owned()
        } else {
            format!("{}/{file}", service.root)
        };
        self.found.push((place, said));
    }

    fn service(&mut self, service: &DetectedService, name: &str, detected: &Detected, alone: bool) {
        self.say(service);
        self.line("");
        self.line(&format!("[service.{name}]"));
        for todo in &service.todo {
            self.open(todo);
        }
        if service.root != "." {
            self.key("root", &quoted(&service.root), "");
        }
        if let Some(dockerfile) = &service.dockerfile {
            self.key("build", &quoted(&dockerfile.file), "");
            let harmless = [
                "PYTHONUNBUFFERED",
                "PYTHONDONTWRITEBYTECODE",
                "PATH",
                "PORT",
                "NODE_ENV",
                "DEBIAN_FRONTEND",
                "VIRTUAL_ENV",
            ];
            let set: Vec<_> = dockerfile
                .variables
                .iter()
                .filter(|name| {
                    !harmless.contains(&name.as_str())
                        && !name.starts_with("PIP_")
                        && !name.starts_with("UV_")
                })
                .cloned()
                .collect();
            if !set.is_empty() && service.runs_as_processes() {
                self.open(&format!("{} sets {}, which plain processes don't see: put them into env if they are needed", dockerfile.file, set.join(", ")));
            }
        }
        if let Some(folder) = &service.static_files {
            self.key("static", &quoted(folder), "the folder that is served");
        }
        if let Some((port, why)) = &service.port {
            self.key(
                "port",
                &port.to_string(),
                &format!("{why}; the app is told it as $PORT"),
            );
        }
        self.health(service);
        if let Some(migrate) = &service.migrate {
            self.key(
                "migrate",
                &quoted(migrate),
                "once per deployment, before it gets traffic",
            );
        }
        let named = named(service, detected);
        if let Some(dotenv) = &detected.dotenv {
            let names = |secret: bool| -> Vec<&str> {
                let given = ["PORT"];
                dotenv
                    .names
                    .iter()
                    .filter(|(name, is)| *is == secret && !given.contains(&name.as_str()))
                    .map(|(name, _)| name.as_str())
                    .collect()
            };
            let (secret, plain) = (names(true), names(false));
            if service.static_files.is_none() {
                if !secret.is_empty() {
                    let list: Vec<_> = secret.iter().map(|name| quoted(name)).collect();
                    let why = if alone {
                        ""
                    } else {
                        "take out what this service doesn't need"
                    };
                    self.key("secrets", &format!("[{}]", list.join(", ")), why);
                }
                if !plain.is_empty() && named.is_empty() {
                    self.open(&format!(
                        "{} names {}: give what the app needs a value here",
                        dotenv.file,
                        plain.join(", ")
                    ));
                    let pairs: Vec<_> = plain.iter().map(|name| format!("{name} = \"\"")).collect();
                    self.line(&format!("# env = {{ {} }}", pairs.join(", ")));
                }
            }
        }
        if !named.is_empty() {
            let mut all = named.clone();
            let known = detected.dotenv.iter().flat_map(|dotenv| &dotenv.names);
            let plain = known.filter(|(name, secret)| !secret && name != "PORT");
            all.extend(plain.map(|(name, _)| name.clone()));
            self.open(&format!(
                "a command names {}: give what the app needs a value here",
                named.iter().cloned().collect::<Vec<_>>().join(", ")
            ));
            let pairs: Vec<_> = all.iter().map(|name| format!("{name} = \"\"")).collect();
            self.line(&format!("env = {{ {} }}", pairs.join(", ")));
        }
        self.processes(service, name);
    }

    /// How to see that it is ready; or that it has no address at all.
    fn health(&mut self, service: &DetectedService) {
        match &service.health {
            _ if service.static_files.is_some() => {}
            _ if service.port.is_none() => self.open(
                "no port is known here, so it has no address: if it serves pages, add port = 8000 and listen on $PORT",
            ),
            Some(health) => {
                let place = format!("{}:{}", health.file, health.line);
                let why = match health.said.as_str() {
                    "/" => format!("{place}; a page that only says whether it works is better"),
                    _ => place,
                };
                self.key("health", &quoted(&health.said), &why);
            }
            None => self.key(
                "# health",
                "\"/health\"",
                "a page that answers 200 once it works; that the port is open says little",
            ),
        }
    }

    fn processes(&mut self, service: &DetectedService, name: &str) {
        match service.processes.as_slice() {
            [] if service.static_files.is_some() => {}
            [] => {
                self.open("say what starts it, for example command = \"bin/web --port $PORT\"");
                self.key(
                    "command",
                    "[\"sh\", \"-c\", \"echo 'landfall.toml says no command yet' >&2; exit 1\"]",
                    "",
                );
            }
            [process] => self.key("command", &command(&process.command), ""),
            processes => {
                for process in processes {
                    self.line("");
                    self.line(&format!("[service.{name}.process.{}]", process.name));
                    self.key("command", &command(&process.command), "");
                    let before = before(process, processes);
                    if !before.is_empty() {
                        let list = match before.as_slice() {
                            [one] => quoted(one),
                            several => format!(
                                "[{}]",
                                several
                                    .iter()
                                    .map(|name| quoted(name))
                                    .collect::<Vec<_>>()
                                    .join(", ")
                            ),
                        };
                        self.key(
                            "after",
                            &list,
                            "started once that is ready, stopped before it",
                        );
                    }
                    if !process.restarts {
                        self.key("required", "false", "health stays good without it");
                    }
                }
            }
        }
    }

    /// What is said of a service's files.
    fn say(&mut self, service: &DetectedService) {
        if let Some(dockerfile) = &service.dockerfile {
            let mut said = vec![
                dockerfile
                    .base
                    .clone()
                    .unwrap_or_else(|| "no base image".to_owned()),
            ];
            said.extend(dockerfile.expose.map(|(port, _)| format!("EXPOSE {port}")));
            if dockerfile.as_root() {
                said.push("runs as root".to_owned());
            }
            self.found(service, &dockerfile.file, said.join(", "));
        }
        match (&service.entry, service.framework, service.language) {
            (Some(entry), ..) => self.found(
                service,
                &format!("{}:{}", entry.file, entry.line),
                entry.said.clone(),
            ),
            (None, Some(framework), Language::Node) => {
                self.found(service, "package.json", framework.to_string())
            }
            (None, None, language @ (Language::Python | Language::Node)) => {
                if let Some(file) = &service.seen {
                    let said = match language {
                        Language::Python => "Python",
                        _ => "Node",
                    };
                    self.found(service, file, said.to_owned());
                }
            }
            (None, Some(framework), _) => self.found(service, "manage.py", framework.to_string()),
            (None, None, Language::Static) => {
                let folder = service.static_files.as_deref().unwrap_or(".");
                self.found(
                    service,
                    format!("{folder}/index.html").trim_start_matches("./"),
                    "a static site".to_owned(),
                );
            }
            _ => {}
        }
        if let Some(health) = &service.health {
            self.found(
                service,
                &format!("{}:{}", health.file, health.line),
                format!("GET {}", health.said),
            );
        }
        if let Some(file) = &service.processes_from {
            let names: Vec<_> = service
                .processes
                .iter()
                .map(|process| process.name.as_str())
                .collect();
            let count = names.len();
            let listed = match names.split_last() {
                Some((last, first)) if !first.is_empty() => {
                    format!("{} and {last}", first.join(", "))
                }
                _ => names.join(""),
            };
            let what = if file == "Procfile" {
                "process"
            } else {
                "program"
            };
            let plural = if count == 1 {
                ""
            } else if file == "Procfile" {
                "es"
            } else {
                "s"
            };
            self.found(
                service,
                file,
                format!("{count} {what}{plural}, {listed}: imported as processes"),
            );
        }
    }

    fn dotenv(&mut self, detected: &Detected) {
        let Some(dotenv) = &detected.dotenv else {
            return;
        };
        let secret = dotenv.names.iter().filter(|(_, secret)| *secret).count();
        let count = dotenv.names.len();
        let said = match &dotenv.problem {
            Some(problem) => format!("can't be read: {problem}"),
            None => format!(
                "{count} name{}, {secret} of them secret; no value copied",
                if count == 1 { "" } else { "s" }
            ),
        };
        self.found.push((dotenv.file.clone(), said));
    }
}

/// The variables that commands name and that nothing gives them: no secret, nor `$PORT`.
fn named(service: &DetectedService, detected: &Detected) -> BTreeSet<String> {
    let commands = service.processes.iter().map(|process| &process.command);
    let words = commands.filter_map(|command| match command {
        DetectedCommand::Words(text) => Some(text.clone()),
        DetectedCommand::Exact(_) => None,
    });
    let secret = |name: &String| {
        let mut known = detected.dotenv.iter().flat_map(|dotenv| &dotenv.names);
        known.any(|(known, secret)| known == name && *secret)
    };
    let given = ["PORT", "PATH", "HOME", "LANG", "VIRTUAL_ENV", "NODE_ENV"];
    let variables = Command::Words(words.collect()).variables();
    let open = variables
        .into_iter()
        .filter(|name| !given.contains(&name.as_str()) && !secret(name));
    open.collect()
}

/// The processes that start before this one: those of the next lower order.
fn before<'a>(process: &DetectedProcess, all: &'a [DetectedProcess]) -> Vec<&'a str> {
    let Some(own) = process.order else {
        return Vec::new();
    };
    let lower = all
        .iter()
        .filter_map(|other| other.order)
        .filter(|order| *order < own)
        .max();
    all.iter()
        .filter(|other| lower.is_some() && other.order == lower)
        .map(|other| other.name.as_str())
        .collect()
}

fn command(command: &DetectedCommand) -> String {
    match command {
        DetectedCommand::Words(text) => quoted(text),
        DetectedCommand::Exact(words) => format!(
            "[{}]",
            words
                .iter()
                .map(|word| quoted(word))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            character if character.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(character));
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}
