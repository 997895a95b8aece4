//! What an image begins with, and what is left in it of its making.

use landfall_app::model::Severity;

use crate::{
    advise::Look,
    finding::Place,
    recipe::{Action, Stage},
    shell,
};

/// Packages whose purpose is to build others.
const BUILD_TOOLS: [&str; 14] = [
    "build-essential",
    "gcc",
    "g++",
    "make",
    "cmake",
    "clang",
    "rustc",
    "cargo",
    "golang",
    "golang-go",
    "build-base",
    "musl-dev",
    "python3-dev",
    "default-jdk",
];

/// Base images that are compilers.
const COMPILERS: [&str; 6] = ["golang", "rust", "maven", "gradle", "gcc", "sbt"];

pub(super) fn look_at(look: &mut Look<'_>) {
    if !look.history {
        unpinned(look);
    }
    build_tools(look);
}

/// The name of a repository's last part, and its tag.
pub(super) fn name_and_tag(base: &str) -> (&str, Option<&str>) {
    let base = base.split('@').next().unwrap_or(base);
    let last = base.rsplit('/').next().unwrap_or(base);
    match last.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (last, None),
    }
}

fn unpinned(look: &mut Look<'_>) {
    let recipe = look.recipe;
    for (index, stage) in recipe.stages.iter().enumerate() {
        let is_stage = |other: &Stage| {
            other
                .name
                .as_deref()
                .is_some_and(|name| name.eq_ignore_ascii_case(&stage.base))
        };
        let base = &stage.base;
        if base == "scratch"
            || base.contains('@')
            || base.contains('$')
            || recipe.stages[..index].iter().any(is_stage)
        {
            continue;
        }
        let tag = name_and_tag(base).1;
        let (severity, said) = match tag {
            None | Some("latest") => (
                Severity::Medium,
                format!("{base} is whatever is newest at the time of the build"),
            ),
            Some(_) => (
                Severity::Low,
                format!("{base} is another image from time to time, under the same name"),
            ),
        };
        let digest = look.project.base(base).and_then(|base| base.digest.clone());
        let literal = look.text.get(stage.base_span.clone()) == Some(base.as_str());
        let span = stage.base_span.clone();
        let mend = match (&digest, tag) {
            (Some(digest), _) => format!("pin it: {base}@{digest}"),
            (None, None | Some("latest")) => {
                "name a version, and pin it by its digest: docker pull says it".to_owned()
            }
            (None, Some(_)) => "pin it by its digest, which docker pull says".to_owned(),
        };
        let found = look.say(
            "unpinned-base",
            severity,
            Place::Line(stage.line),
            said,
            mend,
        );
        if let Some(digest) = digest.filter(|_| literal) {
            found.edit(span.end..span.end, format!("@{digest}"));
        }
    }
}

fn build_tools(look: &mut Look<'_>) {
    const MEND: &str =
        "build in a stage of its own and copy what it made: landfall render dockerfile writes one";
    let recipe = look.recipe;
    if let Some(root) = recipe.root().filter(|_| !look.history) {
        let name = name_and_tag(&root.base).0;
        if COMPILERS.contains(&name) {
            let place = Place::Line(root.line);
            look.say(
                "build-tools-left",
                Severity::High,
                place,
                format!("the image begins with the compiler {}", root.base),
                MEND,
            );
        }
    }
    for step in recipe.lineage() {
        let Action::Run { command, .. } = &step.action else {
            continue;
        };
        let text = command.text();
        let programs = shell::programs(&text);
        let removes = programs
            .iter()
            .any(|simple| ["purge", "remove", "autoremove", "del"].contains(&simple.verb()));
        let installs = programs.iter().filter(|simple| {
            ["install", "add"].contains(&simple.verb())
                && ["apt-get", "apt", "apk", "dnf", "yum"].contains(&simple.program())
        });
        let tools: Vec<&str> = installs
            .flat_map(|simple| simple.arguments())
            .filter(|word| {
                let name = word.split('=').next().unwrap_or(word);
                BUILD_TOOLS.contains(&name) || name.ends_with("-dev") || name.ends_with("-devel")
            })
            .collect();
        if !tools.is_empty() && !removes {
            let said = format!("{} stay in the image", tools.join(", "));
            let place = look.place(step);
            look.say("build-tools-left", Severity::Medium, place, said, MEND);
        }
    }
}
