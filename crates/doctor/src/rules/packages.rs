//! What installing leaves in a layer.

use std::ops::Range;

use landfall_app::model::Severity;
use serde_json::Value;

use super::order::brings;
use crate::{
    advise::Look,
    finding::Place,
    recipe::{Action, Command, Stage, Step},
    shell::{self, Simple},
};

/// A `RUN` whose line can be changed.
struct Line<'a> {
    step: &'a Step,
    text: &'a str,
    /// Where the line stands.
    span: Range<usize>,
    options: &'a [String],
    programs: Vec<Simple>,
}

impl Line<'_> {
    /// Whether more can be added at its end: only simple commands, one after the other.
    fn takes_more(&self) -> bool {
        let plain = |simple: &Simple| ["", "&&"].contains(&simple.then);
        !self.span.is_empty() && self.programs.iter().all(plain)
    }

    fn cached(&self, path: &str) -> bool {
        self.options
            .iter()
            .any(|option| option.contains("type=cache") && option.contains(path))
    }

    /// The place behind a word.
    fn behind(&self, simple: &Simple, word: &str) -> Option<usize> {
        let found = simple.words.iter().find(|found| found.text == word)?;
        (!self.span.is_empty()).then_some(self.span.start + found.span.end)
    }
}

fn lines<'a>(stage: &'a Stage) -> impl Iterator<Item = Line<'a>> {
    stage.steps.iter().filter_map(|step| match &step.action {
        Action::Run {
            command: Command::Line(text, span),
            options,
            here: false,
        } => Some(Line {
            step,
            text,
            span: span.clone(),
            options,
            programs: shell::programs(text),
        }),
        _ => None,
    })
}

pub(super) fn look_at(look: &mut Look<'_>) {
    let recipe = look.recipe;
    for (index, stage) in recipe.stages.iter().enumerate() {
        let last = index + 1 == recipe.stages.len();
        // What a stage that is thrown away leaves in its layers costs nothing.
        let counts = last
            || look.history
            || recipe.stages[index + 1..]
                .iter()
                .any(|other| Some(other.base.as_str()) == stage.name.as_deref());
        for line in lines(stage) {
            system(look, &line, stage, counts);
            python(look, &line, stage, counts);
            node(look, &line, stage, last);
        }
    }
}

/// What is added at the end of a line.
fn more(command: &str) -> String {
    format!(" \\\n    && {command}")
}

fn is_apt(simple: &Simple) -> bool {
    ["apt-get", "apt"].contains(&simple.program())
}

fn system(look: &mut Look<'_>, line: &Line<'_>, stage: &Stage, counts: bool) {
    let place = look.place(line.step);
    let apt = |verb: &str| {
        line.programs
            .iter()
            .find(|simple| is_apt(simple) && simple.verb() == verb)
    };
    let installs = apt("install");
    let end = line.span.end..line.span.end;
    if let (Some(update), None) = (apt("update"), installs) {
        let alone = line.programs.len() == 1 && line.options.is_empty() && update.then.is_empty();
        let at = stage
            .steps
            .iter()
            .position(|step| step.span == line.step.span);
        let next = at.and_then(|at| stage.steps.get(at + 1));
        let said = "apt-get update stands alone: its layer is kept while the lists in it grow old";
        let found = look.say(
            "lists-updated-apart",
            Severity::Medium,
            place.clone(),
            said,
            "apt-get update && apt-get install in one RUN",
        );
        if let (
            true,
            Some(Step {
                action:
                    Action::Run {
                        command: Command::Line(text, span),
                        options,
                        here: false,
                    },
                ..
            }),
        ) = (alone, next)
            && options.is_empty()
            && !line.span.is_empty()
            && shell::programs(text)
                .iter()
                .any(|simple| is_apt(simple) && simple.verb() == "install")
        {
            found.edit(line.span.end..span.start, more(""));
        }
    }
    if let Some(install) = installs {
        let removed = line.programs.iter().any(|simple| {
            simple.program() == "rm"
                && simple.arguments().any(|word| {
                    word.starts_with("/var/lib/apt") || word.starts_with("/var/lib/apt/lists")
                })
        });
        if counts && !removed && !line.cached("/var/lib/apt") {
            let takes = line.takes_more();
            let found = look.say(
                "package-lists-left",
                Severity::Medium,
                place.clone(),
                "the package lists stay in this layer",
                "apt-get clean && rm -rf /var/lib/apt/lists/* in the same RUN",
            );
            if takes {
                found.edit(
                    end.clone(),
                    more("apt-get clean && rm -rf /var/lib/apt/lists/*"),
                );
            }
        }
        if counts && !install.has("--no-install-recommends") {
            look.say("recommended-packages", Severity::Low, place.clone(), "packages come along that are only recommended", "apt-get install --no-install-recommends, and name what is missing then (ca-certificates?)");
        }
    }
    let upgrades = line.programs.iter().any(|simple| {
        is_apt(simple) && ["upgrade", "dist-upgrade", "full-upgrade"].contains(&simple.verb())
    });
    if upgrades {
        look.say(
            "system-upgraded",
            Severity::Medium,
            place.clone(),
            "the whole system is upgraded: other packages each time, and the old ones stay below",
            "take a newer base image instead (docker build --pull)",
        );
    }
    for simple in line
        .programs
        .iter()
        .filter(|simple| simple.verb() == "add" && simple.program() == "apk")
    {
        if counts
            && !simple.has("--no-cache")
            && !line.cached("/var/cache/apk")
            && !line.text.contains("/var/cache/apk")
        {
            let at = line.behind(simple, "add");
            let found = look.say(
                "package-lists-left",
                Severity::Medium,
                place.clone(),
                "the package lists stay in this layer",
                "apk add --no-cache",
            );
            if let Some(at) = at {
                found.edit(at..at, " --no-cache");
            }
        }
    }
    let fedora = line.programs.iter().find(|simple| {
        ["dnf", "yum", "microdnf"].contains(&simple.program()) && simple.verb() == "install"
    });
    if let Some(simple) = fedora.filter(|_| counts)
        && !line.programs.iter().any(|simple| simple.verb() == "clean")
        && !line.text.contains("/var/cache/")
    {
        let (takes, clean) = (line.takes_more(), format!("{} clean all", simple.program()));
        let found = look.say(
            "package-lists-left",
            Severity::Medium,
            place,
            "the package lists stay in this layer",
            format!("{clean} in the same RUN"),
        );
        if takes {
            found.edit(end, more(&clean));
        }
    }
}

/// Whether a command is pip, and the word that it is told what to do by.
pub(super) fn is_pip(simple: &Simple) -> bool {
    let program = simple.program();
    let as_module = program.starts_with("python") && simple.arguments().take(2).eq(["-m", "pip"]);
    program == "pip" || program == "pip3" || as_module
}

fn python(look: &mut Look<'_>, line: &Line<'_>, stage: &Stage, counts: bool) {
    let set = stage.steps.iter().any(|step| matches!(&step.action, Action::Environment(pairs) if pairs.iter().any(|(name, _)| name == "PIP_NO_CACHE_DIR")));
    let installs = line
        .programs
        .iter()
        .filter(|simple| is_pip(simple) && simple.arguments().any(|word| word == "install"));
    for simple in installs {
        if !counts
            || set
            || simple.has("--no-cache-dir")
            || line.cached("pip")
            || line.cached("/root/.cache")
            || line.text.contains("PIP_NO_CACHE_DIR")
        {
            continue;
        }
        let (place, at) = (look.place(line.step), line.behind(simple, "install"));
        let found = look.say(
            "package-cache-left",
            Severity::Low,
            place,
            "pip keeps what it downloaded in this layer",
            "pip install --no-cache-dir",
        );
        if let Some(at) = at {
            found.edit(at..at, " --no-cache-dir");
        }
    }
}

/// What `npm` is told to do, where it installs all of `package.json`.
pub(super) fn installs_all(simple: &Simple) -> bool {
    let verbs: Vec<&str> = simple
        .arguments()
        .filter(|word| !word.starts_with('-'))
        .collect();
    simple.program() == "npm" && (verbs == ["ci"] || verbs == ["install"] || verbs == ["i"])
}

fn node(look: &mut Look<'_>, line: &Line<'_>, stage: &Stage, last: bool) {
    let Some(simple) = line.programs.iter().find(|simple| installs_all(simple)) else {
        return;
    };
    let place = look.place(line.step);
    let cleans = line
        .programs
        .iter()
        .any(|simple| simple.program() == "npm" && simple.verb() == "cache");
    if last && !cleans && !line.cached(".npm") && !line.text.contains(".npm") {
        let (takes, end) = (line.takes_more(), line.span.end);
        let found = look.say(
            "package-cache-left",
            Severity::Low,
            place.clone(),
            "npm keeps what it downloaded in this layer",
            "npm cache clean --force in the same RUN",
        );
        if takes {
            found.edit(end..end, more("npm cache clean --force"));
        }
    }
    let manifest = look.project.texts.get("package.json");
    let manifest: Option<Value> = manifest.and_then(|text| serde_json::from_str(text).ok());
    let verb = simple
        .words
        .iter()
        .find(|word| matches!(word.text.as_str(), "install" | "i"));
    let locks = ["package-lock.json", "npm-shrinkwrap.json"];
    if let Some(verb) = verb {
        let lock = locks.into_iter().find(|lock| look.project.has(lock));
        let there = lock.is_some_and(|lock| brings(stage, line.step, lock));
        if lock.is_some() {
            let span = line.span.start + verb.span.start..line.span.start + verb.span.end;
            let found = look.say(
                "install-not-locked",
                Severity::Medium,
                place.clone(),
                "npm install may take other versions than the lock file says",
                "npm ci, with the lock file copied before",
            );
            if there && !line.span.is_empty() {
                found.edit(span, "ci");
            }
        }
    }
    if last && let Some(manifest) = manifest {
        development(look, line, simple, stage, &manifest);
    }
}

fn development(
    look: &mut Look<'_>,
    line: &Line<'_>,
    simple: &Simple,
    stage: &Stage,
    manifest: &Value,
) {
    let production = stage.steps.iter().any(|step| matches!(&step.action, Action::Environment(pairs) if pairs.iter().any(|(name, value)| name == "NODE_ENV" && value == "production")));
    let omits = simple.arguments().any(|word| {
        word.starts_with("--omit")
            || word.starts_with("--production")
            || word.starts_with("--only")
            || word == "--include=dev"
    });
    let Some(development) = manifest["devDependencies"]
        .as_object()
        .filter(|list| !list.is_empty())
    else {
        return;
    };
    // Whoever builds in this stage needs them.
    let builds = lines(stage).any(|line| {
        line.programs.iter().any(|simple| {
            ["npx", "yarn", "pnpm", "tsc"].contains(&simple.program())
                || (simple.program() == "npm"
                    && ["run", "exec", "test", "prune"].contains(&simple.verb()))
        })
    });
    if production || omits || builds {
        return;
    }
    let scripts = &manifest["scripts"];
    let hooks = [
        "preinstall",
        "install",
        "postinstall",
        "prepare",
        "prestart",
    ]
    .iter()
    .any(|name| scripts[*name].is_string());
    let start = super::runtime::start_of(stage).unwrap_or_default();
    let started = format!("{start} {}", scripts["start"].as_str().unwrap_or_default());
    let needs = started
        .split(|c: char| c.is_whitespace() || c == '/' || c == '"' || c == ',')
        .any(|word| {
            development.contains_key(word)
                || (word == "tsc" && development.contains_key("typescript"))
        });
    let place: Place = look.place(line.step);
    let at = simple
        .words
        .iter()
        .find(|word| matches!(word.text.as_str(), "install" | "i" | "ci"));
    let at = at
        .filter(|_| !line.span.is_empty())
        .map(|word| line.span.start + word.span.end);
    let count = development.len();
    let said = format!(
        "{count} development {} installed in the image",
        if count == 1 {
            "dependency is"
        } else {
            "dependencies are"
        }
    );
    let found = look.say(
        "development-dependencies",
        Severity::Medium,
        place,
        said,
        "npm ci --omit=dev",
    );
    if let Some(at) = at.filter(|_| !hooks && !needs) {
        found.edit(at..at, " --omit=dev");
    }
}
