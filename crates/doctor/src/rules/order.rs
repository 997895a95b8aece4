//! What a change of the sources throws away.

use landfall_app::model::Severity;
use serde_json::Value;

use super::packages::{installs_all, is_pip};
use crate::{
    advise::Look,
    finding::Place,
    recipe::{Action, Command, Stage, Step},
    shell::{self, Simple},
};

/// What a command installs from, and the files that it needs of the sources.
struct Install {
    said: &'static str,
    /// None where they can't be known.
    files: Option<Vec<String>>,
}

pub(super) fn look_at(look: &mut Look<'_>) {
    let recipe = look.recipe;
    for stage in &recipe.stages {
        after_sources(look, stage);
        owner_changed(look, stage);
    }
    added(look);
}

/// Whether a step before this one copies a file of the context.
pub(super) fn brings(stage: &Stage, before: &Step, file: &str) -> bool {
    let earlier = stage
        .steps
        .iter()
        .take_while(|step| step.span != before.span);
    earlier.into_iter().any(|step| match &step.action {
        Action::Copy {
            from: None,
            sources,
            ..
        } => sources.iter().any(|source| {
            let source = source.trim_start_matches("./");
            source == file
                || is_whole(source)
                || (source == "package*.json"
                    && file.starts_with("package")
                    && file.ends_with(".json"))
        }),
        _ => false,
    })
}

fn is_whole(source: &str) -> bool {
    matches!(source, "" | "." | "./")
}

fn after_sources(look: &mut Look<'_>, stage: &Stage) {
    let whole = stage.steps.iter().position(|step| {
        matches!(&step.action, Action::Copy { from: None, sources, .. } if sources.len() == 1 && is_whole(&sources[0]))
    });
    let Some(whole) = whole else { return };
    for (index, step) in stage.steps.iter().enumerate().skip(whole + 1) {
        let Action::Run {
            command: Command::Line(text, _),
            here: false,
            ..
        } = &step.action
        else {
            continue;
        };
        let programs = shell::programs(text);
        let Some(install) = programs.iter().find_map(|simple| install(look, simple)) else {
            continue;
        };
        let said = format!(
            "{} runs again after every change of the sources, which are copied before it in line {}",
            install.said, stage.steps[whole].line
        );
        let files = install.files.unwrap_or_default();
        let safe = !files.is_empty()
            && files.iter().all(|file| look.project.has(file))
            && programs.iter().all(needs_no_sources)
            && stage.steps[whole + 1..index].iter().all(moves_past);
        let listed = match files.as_slice() {
            [] => "what says the dependencies".to_owned(),
            files => files.join(" "),
        };
        let mend = format!("copy {listed} first, install, and copy the rest after it");
        let edits = safe
            .then(|| moved(look.text, &stage.steps[whole], step, &files))
            .flatten();
        let place: Place = look.place(step);
        let found = look.say(
            "dependencies-after-sources",
            Severity::Medium,
            place,
            said,
            mend,
        );
        for (range, text) in edits.into_iter().flatten() {
            found.edit(range, text);
        }
        return;
    }
}

type Change = (std::ops::Range<usize>, String);

/// The files alone right before the installation, and all of it right behind.
fn moved(text: &str, copy: &Step, install: &Step, files: &[String]) -> Option<Vec<Change>> {
    let Action::Copy {
        options,
        to,
        keyword,
        ..
    } = &copy.action
    else {
        return None;
    };
    let whole = text.get(copy.span.clone())?;
    let keyword = text.get(keyword.clone())?;
    let options: String = options.iter().map(|option| format!("{option} ")).collect();
    let to = match to.as_str() {
        "." | "./" => "./".to_owned(),
        other => format!("{}/", other.trim_end_matches('/')),
    };
    // Files of different folders each keep theirs.
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for file in files {
        let folder = file
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/"));
        match lines.iter_mut().find(|(other, _)| *other == folder) {
            Some((_, list)) => list.push(file),
            None => lines.push((folder, vec![file])),
        }
    }
    let lines: Vec<String> = lines
        .iter()
        .map(|(folder, list)| format!("{keyword} {options}{} {to}{folder}", list.join(" ")))
        .collect();
    // The line goes as a whole; between the two stands nothing that needs the sources.
    let rest = text.get(copy.span.end..install.span.start)?;
    let end = copy.span.end + rest.find('\n')? + 1;
    Some(vec![
        (copy.span.start..end, String::new()),
        (
            install.span.start..install.span.start,
            format!("{}\n", lines.join("\n")),
        ),
        (install.span.end..install.span.end, format!("\n{whole}")),
    ])
}

/// Whether a step between the copy and the installation does the same without the sources.
fn moves_past(step: &Step) -> bool {
    match &step.action {
        Action::Run {
            command: Command::Line(text, _),
            here: false,
            ..
        } => shell::programs(text).iter().all(needs_no_sources),
        Action::Environment(_) | Action::Argument(_) | Action::Expose(_) => true,
        _ => false,
    }
}

fn needs_no_sources(simple: &Simple) -> bool {
    let local = simple
        .arguments()
        .any(|word| word.starts_with("./") || word == "." || word == "-e");
    let known = ["apt-get", "apt", "apk", "dnf", "yum", "npm"].contains(&simple.program())
        || is_pip(simple);
    let removes = simple.program() == "rm"
        && simple.arguments().all(|word| {
            word.starts_with('-') || word.starts_with("/var/") || word.starts_with("/root/")
        });
    let quick =
        simple.program() == "npm" && !["ci", "install", "i", "cache"].contains(&simple.verb());
    (known && !local && !quick) || removes
}

fn install(look: &Look<'_>, simple: &Simple) -> Option<Install> {
    if is_pip(simple) {
        let words: Vec<&str> = simple.arguments().collect();
        let at = words
            .iter()
            .position(|word| *word == "-r" || *word == "--requirement")?;
        let file = words.get(at + 1)?;
        // Under the folder of the copy, whatever its name is there.
        let file = file.trim_start_matches("./");
        let own = look.project.texts.get(file);
        let plain = own.is_some_and(|text| {
            text.lines().all(|line| {
                let line = line.trim();
                let index =
                    line.starts_with("--index-url") || line.starts_with("--extra-index-url");
                (index || !line.starts_with('-'))
                    && !line.starts_with('.')
                    && !line.contains("file:")
            })
        });
        let once = words.iter().filter(|word| **word == "-r").count() <= 1;
        return Some(Install {
            said: "pip install",
            files: (plain && once && !file.starts_with('/')).then(|| vec![file.to_owned()]),
        });
    }
    if installs_all(simple) {
        let manifest = look.project.texts.get("package.json");
        let manifest: Option<Value> = manifest.and_then(|text| serde_json::from_str(text).ok());
        let plain = manifest.is_some_and(|manifest| {
            let hooks = ["preinstall", "install", "postinstall", "prepare"];
            let local = ["dependencies", "devDependencies", "optionalDependencies"]
                .iter()
                .any(|kind| {
                    manifest[*kind]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .any(|(_, version)| {
                            version.as_str().is_none_or(|version| {
                                version.starts_with("file:")
                                    || version.starts_with('.')
                                    || version.starts_with("link:")
                                    || version.starts_with("workspace:")
                            })
                        })
                });
            manifest["workspaces"].is_null()
                && !local
                && hooks
                    .iter()
                    .all(|hook| manifest["scripts"][*hook].is_null())
        });
        let files = [
            "package.json",
            "package-lock.json",
            "npm-shrinkwrap.json",
            ".npmrc",
        ];
        let files = files.into_iter().filter(|file| look.project.has(file));
        return Some(Install {
            said: if simple.verb() == "ci" {
                "npm ci"
            } else {
                "npm install"
            },
            files: plain.then(|| files.map(str::to_owned).collect()),
        });
    }
    let verb = simple.verb();
    let said = match (simple.program(), verb) {
        ("yarn", "" | "install") => "yarn install",
        ("pnpm", "install" | "i") => "pnpm install",
        ("poetry", "install") => "poetry install",
        ("uv", "sync") => "uv sync",
        ("bundle", "install") => "bundle install",
        ("composer", "install") => "composer install",
        ("go", "mod") => "go mod download",
        _ => return None,
    };
    Some(Install { said, files: None })
}

/// `COPY` and then `chown -R` of the same: each file is in the image twice.
fn owner_changed(look: &mut Look<'_>, stage: &Stage) {
    for pair in stage.steps.windows(2) {
        let [copy, run] = pair else { continue };
        let (
            Action::Copy {
                to,
                options,
                keyword,
                ..
            },
            Action::Run {
                command: Command::Line(text, span),
                here: false,
                ..
            },
        ) = (&copy.action, &run.action)
        else {
            continue;
        };
        let programs = shell::programs(text);
        let [simple] = programs.as_slice() else {
            continue;
        };
        let words: Vec<&str> = simple.arguments().collect();
        let (["-R", owner, path], "chown") = (words.as_slice(), simple.program()) else {
            continue;
        };
        let same = path.trim_end_matches('/') == to.trim_end_matches('/');
        if !same
            || simple.words.iter().any(|word| word.moving)
            || options.iter().any(|option| option.starts_with("--chown"))
        {
            continue;
        }
        let flag = &simple.words[1];
        let range = span.start + flag.span.start..span.start + simple.words[2].span.start;
        let at = keyword.end;
        let place = look.place(run);
        let said = format!("chown -R writes every file of {path} a second time");
        let (chown, mend) = (format!(" --chown={owner}"), format!("COPY --chown={owner}"));
        look.say("files-doubled", Severity::Medium, place, said, mend)
            .edit(range, "")
            .edit(at..at, chown);
    }
}

/// `ADD` does more than is wanted, or what no cache sees.
fn added(look: &mut Look<'_>) {
    let recipe = look.recipe;
    for step in recipe.stages.iter().flat_map(|stage| &stage.steps) {
        let Action::Copy {
            add: true,
            sources,
            keyword,
            options,
            ..
        } = &step.action
        else {
            continue;
        };
        let place = look.place(step);
        let remote = |source: &String| source.contains("://") || source.starts_with("git@");
        if sources.iter().any(remote) {
            let checked = options
                .iter()
                .any(|option| option.starts_with("--checksum"));
            if !checked {
                look.say("remote-add", Severity::Medium, place, "ADD fetches from the network without checking what it gets", "ADD --checksum=sha256:…, or curl in a RUN that checks it and removes what isn't needed");
            }
            continue;
        }
        let archive = |source: &String| {
            [".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", "*", "$"]
                .iter()
                .any(|end| source.ends_with(end) || (end.len() == 1 && source.contains(end)))
        };
        if !sources.is_empty() && !sources.iter().any(archive) {
            look.say(
                "add-for-copy",
                Severity::Low,
                place,
                "ADD also unpacks and fetches, which isn't wanted here",
                "COPY",
            )
            .edit(keyword.clone(), "COPY");
        }
    }
}
