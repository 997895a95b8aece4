//! `.dockerignore`: what an image never needs. Whatever a build may need is left out of it.

use std::collections::BTreeSet;

use landfall_app::model::{ProcessKind, Run};

use super::{
    subject::{Kind, Subject, join},
    written,
};
use crate::{Comment, Written, keep};

/// Paths that are never needed.
const NEVER: [&str; 19] = [
    "**/.git",
    "**/.github",
    "**/.gitignore",
    "**/.idea",
    "**/.vscode",
    "**/.DS_Store",
    "**/.env",
    "**/.env.*",
    "**/*.pem",
    "**/*.key",
    "**/.landfall",
    "**/landfall*.toml",
    "**/Dockerfile",
    "**/*.Dockerfile",
    "**/.dockerignore",
    "**/*.dockerignore",
    "**/compose*.y*ml",
    "**/docker-compose*.y*ml",
    "**/*.log",
];

const PYTHON: [&str; 10] = [
    "**/__pycache__",
    "**/*.py[cod]",
    "**/.venv",
    "**/venv",
    "**/.mypy_cache",
    "**/.pytest_cache",
    "**/.ruff_cache",
    "**/.coverage",
    "**/htmlcov",
    "**/*.egg-info",
];
const NODE: [&str; 4] = [
    "**/node_modules",
    "**/.next",
    "**/coverage",
    "**/*.tsbuildinfo",
];
const RUST: [&str; 1] = ["**/target"];
/// Where tests stand.
const TESTS: [&str; 4] = ["tests", "test", "e2e", "__tests__"];

/// The file of a context, for all services that are built in it.
pub fn file(context: &str, subjects: &[&Subject<'_>], all: &[Subject<'_>]) -> Written {
    let needed: BTreeSet<String> = subjects
        .iter()
        .flat_map(|subject| needed(subject))
        .collect();
    let mut text = String::from("# What no image needs, and what no image may have.\n");
    let mut told = BTreeSet::new();
    let mut put = |pattern: &str| {
        if told.insert(pattern.to_owned()) && !needed.iter().any(|path| hits(pattern, path)) {
            text.push_str(pattern);
            text.push('\n');
        }
    };
    NEVER.iter().for_each(|pattern| put(pattern));
    for subject in subjects {
        match subject.kind() {
            Some(Kind::Python) => PYTHON.iter().for_each(|pattern| put(pattern)),
            Some(Kind::Node) => NODE.iter().for_each(|pattern| put(pattern)),
            Some(Kind::Rust) => RUST.iter().for_each(|pattern| put(pattern)),
            Some(Kind::Go | Kind::Pages) | None => {}
        }
        for name in TESTS {
            if subject.has_folder(name) {
                put(&join(&subject.folder, name));
            }
        }
        if subject.kind() == Some(Kind::Go) {
            put("**/*_test.go");
        }
        for volume in subject.service.volumes.values() {
            // What an app on this machine has written where its volume is later.
            if let Some(path) = volume.path.strip_prefix("/app/") {
                put(&join(&subject.folder, path));
            }
        }
    }
    // Other services have images of their own.
    let inner = |path: &str| -> Option<String> {
        match context {
            "" => Some(path.to_owned()),
            context => Some(path.strip_prefix(context)?.strip_prefix('/')?.to_owned()),
        }
    };
    let own: BTreeSet<String> = subjects
        .iter()
        .flat_map(|subject| {
            let folder = subject.in_app("");
            let above = folder
                .match_indices('/')
                .map(|(at, _)| folder[..at].to_owned());
            above.chain([folder.clone()]).collect::<Vec<_>>()
        })
        .collect();
    for other in all {
        let theirs = other.in_app("");
        if let (false, Some(folder)) = (own.contains(&theirs), inner(&theirs))
            && !folder.is_empty()
        {
            put(&folder);
        }
    }
    // Backups that are kept here.
    for subject in subjects {
        let backups = subject
            .app
            .backing
            .values()
            .filter_map(|backing| backing.backup.as_ref());
        for backup in backups {
            let there = backup.to.trim_start_matches("./");
            if !there.contains(':')
                && !there.starts_with(['/', '.'])
                && let Some(folder) = inner(there)
            {
                put(&folder);
            }
        }
    }
    text.push_str(&keep("ignored", 0, Comment::Hash));
    written(&join(context, ".dockerignore"), text, Comment::Hash)
}

/// What a service's build certainly takes, relative to the context.
fn needed(subject: &Subject<'_>) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    let service = subject.service;
    paths.extend(service.static_files.iter().cloned());
    for file in ["Cargo.toml", "pyproject.toml", "requirements.txt"] {
        let text = subject.text(file).unwrap_or_default();
        let targets = file == "Cargo.toml" && text.contains("[[test]]");
        for name in TESTS {
            // A target, a workspace's member or an included file of that folder.
            if targets || text.contains(&format!("{name}/")) {
                paths.push(name.to_owned());
            }
        }
    }
    let package: serde_json::Value = subject
        .text("package.json")
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    for (name, script) in package["scripts"].as_object().into_iter().flatten() {
        let tests = ["test", "lint", "e2e", "format"];
        if tests.iter().any(|test| name.contains(test)) {
            continue;
        }
        let words = script.as_str().unwrap_or_default().split_whitespace();
        paths.extend(words.map(|word| word.trim_start_matches("./").to_owned()));
    }
    let mut words: Vec<String> = Vec::new();
    for process in &service.processes {
        words.extend(match &process.kind {
            ProcessKind::Stays(command) => command.words().to_vec(),
            ProcessKind::Ends(run) => run.arguments(),
        });
    }
    let runs = [&subject.build.run, &service.migrate];
    words.extend(runs.into_iter().flatten().flat_map(Run::arguments));
    for word in words.iter().flat_map(|word| word.split_whitespace()) {
        paths.push(word.trim_start_matches("./").to_owned());
        // A module of Python's.
        paths.push(word.split(':').next().unwrap_or_default().replace('.', "/"));
    }
    let mut paths: Vec<String> = paths
        .iter()
        .map(|path| join(&subject.folder, path))
        .collect();
    paths.extend(service.files.values().map(|path| {
        let path = path.trim_start_matches("./");
        path.strip_prefix(subject.context.as_str())
            .unwrap_or(path)
            .trim_start_matches('/')
            .to_owned()
    }));
    paths
}

/// Whether a pattern takes a path, or a folder above it, away.
fn hits(pattern: &str, path: &str) -> bool {
    match pattern.strip_prefix("**/") {
        Some(name) => path.split('/').any(|part| like(name, part)),
        None => {
            path == pattern
                || path
                    .strip_prefix(pattern)
                    .is_some_and(|rest| rest.starts_with('/'))
        }
    }
}

/// A name with `*` in it. A class of characters is taken for anything.
fn like(pattern: &str, name: &str) -> bool {
    let pattern = pattern.split('[').next().unwrap_or(pattern);
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut last = first.len() == pattern.len();
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        last = part.is_empty();
        if last {
            rest = "";
        }
    }
    rest.is_empty() || (last && pattern.ends_with('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_hit_what_docker_would_leave_out() {
        assert!(hits("**/target", "a/target/b"));
        assert!(!hits("**/target", "a/targets"));
        assert!(hits("**/.env.*", ".env.local"));
        assert!(hits("**/*.key", "certs/a.key"));
        assert!(!hits("**/*.key", "certs/a.keys"));
        assert!(hits("tests", "tests/a.py"));
        assert!(!hits("tests", "src/tests/a.py"));
    }
}
