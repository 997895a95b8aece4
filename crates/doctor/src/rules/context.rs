//! What of the context is sent to the builder, and needn't be.

use std::collections::BTreeMap;

use landfall_app::model::Severity;

use super::secret::names;
use crate::{
    advise::Look,
    finding::{Effect, Place},
    ignore::Ignore,
    recipe::Action,
};

/// What no image needs, wherever it lies: made again by a build, or a person's own.
const NEEDLESS: [&str; 18] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    ".venv",
    "venv",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".next",
    ".idea",
    ".vscode",
    ".landfall",
    "coverage",
    "htmlcov",
    ".DS_Store",
];

pub(super) fn look_at(look: &mut Look<'_>) {
    let copies = look
        .recipe
        .stages
        .iter()
        .flat_map(|stage| &stage.steps)
        .any(|step| matches!(&step.action, Action::Copy { from: None, .. }));
    if !copies {
        return;
    }
    let ignore = Ignore::read(look.project.ignore.as_deref().unwrap_or_default());
    // By the pattern that would leave it out: bytes, and how many files.
    let mut needless: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    let rust = look
        .project
        .files
        .iter()
        .any(|(path, _)| path == "Cargo.toml");
    for (path, size) in &look.project.files {
        let mut parts = path.split('/');
        let pattern = parts.find_map(|part| {
            if part == "target" && rust {
                return Some("target".to_owned());
            }
            let known = NEEDLESS.iter().find(|name| **name == part);
            known.map(|name| match *name {
                ".git" | ".venv" | "venv" | ".idea" | ".vscode" | ".landfall" => (*name).to_owned(),
                other => format!("**/{other}"),
            })
        });
        let Some(pattern) = pattern else { continue };
        let root = pattern.trim_start_matches("**/");
        // A pattern for the root doesn't leave out what lies deeper.
        if !pattern.starts_with("**/") && !path.starts_with(root) || ignore.leaves_out(path) {
            continue;
        }
        let entry = needless.entry(pattern).or_default();
        entry.0 += size;
        entry.1 += 1;
    }
    needless.retain(|pattern, _| !names(look, pattern.trim_start_matches("**/")));
    let bytes: u64 = needless.values().map(|(bytes, _)| bytes).sum();
    let files: usize = needless.values().map(|(_, files)| files).sum();
    let missing = look.project.ignore.is_none();
    if needless.is_empty() {
        return;
    }
    let mut names: Vec<(&String, u64)> = needless
        .iter()
        .map(|(pattern, (bytes, _))| (pattern, *bytes))
        .collect();
    names.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let shown: Vec<&str> = names
        .iter()
        .take(4)
        .map(|(name, _)| name.trim_start_matches("**/"))
        .collect();
    let said = format!(
        "{}: {} go to the builder, and with COPY . into the image",
        if missing {
            "there is no .dockerignore"
        } else {
            ".dockerignore lacks"
        },
        shown.join(", "),
    );
    let severity = match bytes {
        10_000_000.. => Severity::High,
        100_000.. => Severity::Medium,
        _ => Severity::Low,
    };
    let place = Place::File(".dockerignore".to_owned());
    let mut lines: Vec<String> = needless.keys().cloned().collect();
    if missing {
        // What a person will have sooner or later.
        for line in [".git", ".env", ".env.*", "!.env.example", "**/*.log"] {
            if !lines.iter().any(|known| known == line) && !named(look, line) {
                lines.push(line.to_owned());
            }
        }
    }
    let found = look.say(
        "context-not-ignored",
        severity,
        place,
        said,
        format!("write them into .dockerignore: {files} files fewer"),
    );
    found.finding.effect = Effect::bytes(bytes);
    found.ignore = lines;
}

fn named(look: &Look<'_>, line: &str) -> bool {
    let name = line.trim_start_matches("!").trim_start_matches("**/");
    names(look, name)
        || (line.contains('*')
            && look
                .recipe
                .stages
                .iter()
                .flat_map(|stage| &stage.steps)
                .any(|step| match &step.action {
                    Action::Copy {
                        from: None,
                        sources,
                        ..
                    } => sources
                        .iter()
                        .any(|source| source.contains(name.trim_matches('*'))),
                    _ => false,
                }))
}
