//! Procfiles, as Heroku, Foreman and Dokku read them: `NAME: COMMAND`, one in each line.

use std::collections::BTreeMap;

use crate::{
    Imported, Input, Refusal, Remarks,
    draft::{self, Draft, Names, Table},
};

/// A line of a Procfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The line, from 1.
    pub line: usize,
    /// The process's name as it stands there.
    pub name: String,
    /// What it executes.
    pub command: String,
}

/// Reads a Procfile: each line is a process of one service, `release` its migration.
///
/// # Errors
/// Where it isn't there or names no process.
pub fn import(input: &Input<'_>) -> Result<Imported, Refusal> {
    let (file, text) = input.named_text()?;
    let mut remarks = Remarks::of(&file);
    let entries = entries(&text, &mut remarks);
    if entries.iter().all(|entry| entry.name == "release") {
        return Err(Refusal {
            name: "bad-import",
            file,
            line: 0,
            message: "names no process; a line of a Procfile is `web: bin/web --port $PORT`"
                .to_owned(),
            mend: None,
        });
    }
    let mut names = Names::new();
    let app = names.give(input.name, "app").name;
    let mut draft = Draft::new(&app);
    draft.comments.push(format!(
        "From {file}. `landfall check` reads it, `landfall config` shows it with every default."
    ));
    let service = draft.service(&app);
    service.from(&file, 1);
    build(input, service, false)?;
    processes(&entries, &app, service, &mut remarks, &|_| false);
    draft::settle(draft, remarks.list, Vec::new(), &file)
}

/// The lines that name a process; of a name that stands twice the last one, as Heroku does it.
pub(crate) fn entries(text: &str, remarks: &mut Remarks<'_>) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let named = trimmed.split_once(':').filter(|(name, command)| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            !name.is_empty() && name.bytes().all(letter) && !command.trim().is_empty()
        });
        let Some((name, command)) = named else {
            let short: String = trimmed.chars().take(40).collect();
            remarks.lost(
                index + 1,
                short,
                "is no line `NAME: COMMAND`, so no tool starts anything for it",
            );
            continue;
        };
        let entry = Entry {
            line: index + 1,
            name: name.to_owned(),
            command: command.trim().to_owned(),
        };
        match known.get(name) {
            Some(at) => {
                let before: &mut Entry = &mut found[*at];
                remarks.lost(
                    before.line,
                    name,
                    format!("stands again in line {}, which counts", index + 1),
                );
                *before = entry;
            }
            None => {
                known.insert(name.to_owned(), found.len());
                found.push(entry);
            }
        }
    }
    found
}

/// Says how a service is built, by what stands in the folder. With `always` a Dockerfile is what counts,
/// else only where nothing else says how.
pub(crate) fn build(input: &Input<'_>, service: &mut Table, always: bool) -> Result<(), Refusal> {
    let has = |name: &str| {
        input
            .source
            .read(name)
            .map(|found| found.is_some())
            .unwrap_or(true)
    };
    let native = ["requirements.txt", "pyproject.toml", "package.json"]
        .into_iter()
        .any(has);
    match (has("Dockerfile"), native) {
        (true, native) if always || !native => {
            service.set("build", "Dockerfile");
        }
        (false, false) => service.todo(
            "say how it is built: nothing here that Landfall builds by itself (requirements.txt, pyproject.toml, package.json, Dockerfile)",
        ),
        _ => {}
    }
    Ok(())
}

/// Brings the processes into a service; `known` tells which variables it has.
pub(crate) fn processes(
    entries: &[Entry],
    app: &str,
    service: &mut Table,
    remarks: &mut Remarks<'_>,
    known: &dyn Fn(&str) -> bool,
) {
    let file = remarks.file.to_owned();
    // The one that has the address comes first: that is what makes it the one.
    let mut stay: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.name != "release")
        .collect();
    stay.sort_by_key(|entry| entry.name != "web");
    let mut port = None;
    let mut names = Names::new();
    let alone = stay.len() == 1;
    for (index, entry) in stay.iter().enumerate() {
        let (mut line, default) = draft::port_variable(&entry.command);
        let listens = entry.name == "web" || line.contains("$PORT") || line.contains("${PORT");
        if listens && port.is_none() {
            let taken = (entry.name == "web")
                .then(|| draft::take_port(&line))
                .flatten();
            let why = match (default, &taken) {
                (None, None) => "a guess; $PORT says it to the app",
                _ => "as its command says; $PORT says it too",
            };
            port = Some((
                default.or(taken.as_ref().map(|it| it.1)).unwrap_or(8000),
                why,
            ));
            line = taken.map_or(line, |(line, _)| line);
        }
        let command = draft::command(&line, known);
        let process = match alone {
            true => &mut *service,
            false => {
                let given = names.give(&entry.name, app);
                if given.changed {
                    remarks.note(
                        entry.line,
                        entry.name.as_str(),
                        format!("is called {} here", given.name),
                    );
                }
                service
                    .table("process")
                    .table(&given.name)
                    .from(&file, entry.line)
            }
        };
        process.set("command", command).from(&file, entry.line);
        if index > 0 && entry.name != "web" && entry.name == "console" {
            remarks.changed(entry.line, "console", "Heroku starts it only when it is asked for; here it runs all the time: take it out, and use `landfall run`");
        }
    }
    if let Some((port, why)) = port {
        service.set("port", port).comment(why);
    }
    if let Some(release) = entries.iter().find(|entry| entry.name == "release") {
        service
            .set("migrate", draft::once(&release.command))
            .comment("once per deployment, before it gets traffic")
            .from(&file, release.line);
    }
    let others: Vec<&str> = stay
        .iter()
        .filter(|entry| entry.name != "web")
        .map(|entry| entry.name.as_str())
        .collect();
    if stay.len() > others.len() && !others.is_empty() {
        let line = stay
            .iter()
            .find(|entry| entry.name != "web")
            .map_or(0, |entry| entry.line);
        remarks.note(
            line,
            others.join(", "),
            "Heroku starts only web until another process is scaled up; here all of them run, and are scaled together",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(text: &str) -> Imported {
        let files = BTreeMap::from([
            ("Procfile".to_owned(), text.as_bytes().to_vec()),
            ("requirements.txt".to_owned(), Vec::new()),
        ]);
        import(&Input {
            files: &["Procfile".to_owned()],
            source: &files,
            variables: &BTreeMap::new(),
            profiles: &[],
            name: "shop",
        })
        .unwrap()
    }

    #[test]
    fn one_process_is_the_command() {
        let imported = imported("web: gunicorn app:app\n");
        insta::assert_snapshot!(imported.text, @r#"
        # From Procfile. `landfall check` reads it, `landfall config` shows it with every default.
        app = "shop"

        [service.shop]
        command = "gunicorn app:app"
        port    = 8000  # a guess; $PORT says it to the app
        "#);
        assert!(imported.clean());
    }

    #[test]
    fn several_are_processes_and_release_the_migration() {
        let imported = imported(
            "# what runs\nworker_1: celery -A x worker\nrelease: python manage.py migrate && python x\nweb: gunicorn app:app --bind 0.0.0.0:${PORT:-5000}\nclock: FOO=1 python clock.py | tee log\n",
        );
        insta::assert_snapshot!(imported.text, @r#"
        # From Procfile. `landfall check` reads it, `landfall config` shows it with every default.
        app = "shop"

        [service.shop]
        port    = 5000                                    # as its command says; $PORT says it too
        migrate = "python manage.py migrate && python x"  # once per deployment, before it gets traffic

        [service.shop.process.web]
        command = "gunicorn app:app --bind 0.0.0.0:$PORT"

        [service.shop.process.worker-1]
        command = "celery -A x worker"

        [service.shop.process.clock]
        command = ["sh", "-c", "FOO=1 python clock.py | tee log"]
        "#);
        assert_eq!(imported.remarks.len(), 2, "{:?}", imported.remarks);
    }

    #[test]
    fn lines_that_name_nothing_are_said() {
        let found = imported("web: x\nthis is nothing\nempty:\nweb: y\n");
        let lines: Vec<_> = found.remarks.iter().map(|remark| remark.line).collect();
        assert_eq!(lines, [2, 3, 1]);
        assert!(found.text.contains("command = \"y\""));
    }

    #[test]
    fn a_port_that_stands_in_the_command_is_the_services() {
        let found = imported("web: uvicorn a:b --port 9000");
        assert!(found.text.contains("port    = 9000"), "{}", found.text);
        assert!(found.text.contains("--port $PORT"), "{}", found.text);
    }

    #[test]
    fn variables_that_nobody_gives_are_left_to_a_shell() {
        let found = imported("web: node $NODE_OPTS server.js\nworker: bin/$KIND\n");
        assert!(
            found
                .text
                .contains("[\"sh\", \"-c\", \"node $NODE_OPTS server.js\"]"),
            "{}",
            found.text
        );
    }
}
