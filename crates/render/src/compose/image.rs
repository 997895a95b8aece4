//! What is known of an image without running it: what programs a health check finds in it, whether it
//! brings one, and what of the repository stands where in it. Read from its name and its Dockerfile.

use crate::Project;

/// What an image has that can ask a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Python, by the name of its program.
    Python(&'static str),
    /// Node, by the name of its program.
    Node(&'static str),
    /// `wget` and `nc` of Alpine. Other BusyBoxes are built with an `nc` that can't just look.
    Alpine,
    /// Bash, which connects by itself.
    Bash,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// What asks a port; none known.
    pub program: Option<Program>,
    /// Whether its Dockerfile has a HEALTHCHECK.
    pub health_check: bool,
    /// What is copied from the repository after the last command that ran over it, as it stands there: a
    /// path relative to the context, and where it is in the image.
    pub live: Vec<(String, String)>,
    /// What of the repository a command ran over: a change of it needs another build.
    pub built: Vec<String>,
}

/// An image by its reference.
pub fn named(reference: &str) -> Image {
    Image {
        program: program(reference),
        ..Image::default()
    }
}

/// What the name of an image says about what is in it.
fn program(reference: &str) -> Option<Program> {
    let reference = reference
        .split('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let last = reference.rsplit('/').next().unwrap_or_default();
    let (name, tag) = last.split_once(':').unwrap_or((last, ""));
    if reference.contains("distroless/") {
        return match name {
            name if name.starts_with("python") => Some(Program::Python("/usr/bin/python3")),
            name if name.starts_with("nodejs") => Some(Program::Node("/nodejs/bin/node")),
            _ => None,
        };
    }
    let is = |names: &[&str]| names.contains(&name);
    if name == "python" || tag.starts_with("python") {
        return Some(Program::Python("python"));
    }
    if name == "node" {
        return Some(Program::Node("node"));
    }
    if is(&["alpine", "caddy"]) || tag.contains("alpine") {
        return Some(Program::Alpine);
    }
    let debian = is(&[
        "buildpack-deps",
        "debian",
        "golang",
        "httpd",
        "mariadb",
        "mysql",
        "nginx",
        "openjdk",
        "perl",
        "php",
        "postgres",
        "redis",
        "ruby",
        "rust",
        "ubuntu",
    ]);
    debian.then_some(Program::Bash)
}

#[derive(Debug)]
struct Stage<'a> {
    base: String,
    alias: Option<String>,
    steps: Vec<(String, &'a str)>,
}

/// The image that a Dockerfile makes; `stage` is its last one by default. `context` is the folder that it
/// copies from, as the project calls it.
pub fn built(text: &str, stage: Option<&str>, context: &str, project: &dyn Project) -> Image {
    let joined = text.replace("\r\n", "\n").replace("\\\n", " ");
    let stages = stages(&joined);
    let wanted = stage.map(str::to_ascii_lowercase);
    let named = |name: &str| {
        stages
            .iter()
            .position(|stage| stage.alias.as_deref() == Some(name))
    };
    let last = wanted
        .and_then(|name| named(&name))
        .or(stages.len().checked_sub(1));
    let Some(mut at) = last else {
        return Image::default();
    };
    // From the stage upwards to the image that all of it stands on.
    let mut chain = vec![at];
    while let Some(below) = named(&stages[at].base).filter(|below| *below < at) {
        chain.push(below);
        at = below;
    }
    let mut image = Image {
        program: program(&stages[at].base),
        ..Image::default()
    };
    let mut directory = "/".to_owned();
    for (word, rest) in chain.iter().rev().flat_map(|at| &stages[*at].steps) {
        match word.as_str() {
            "HEALTHCHECK" => image.health_check = rest.trim() != "NONE",
            "WORKDIR" => directory = joined_path(&directory, rest.trim()),
            // Whatever was copied before it may have been changed by it.
            "RUN" => image
                .built
                .extend(image.live.drain(..).map(|(from, _)| from)),
            "COPY" => copies(rest, &directory, context, project, &mut image),
            _ => {}
        }
    }
    image.built.dedup();
    image
}

fn stages(text: &str) -> Vec<Stage<'_>> {
    let mut arguments: Vec<(&str, &str)> = Vec::new();
    let mut stages: Vec<Stage<'_>> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let Some((word, rest)) = line
            .split_once(char::is_whitespace)
            .filter(|_| !line.starts_with('#'))
        else {
            continue;
        };
        let (word, rest) = (word.to_ascii_uppercase(), rest.trim());
        match word.as_str() {
            "ARG" if stages.is_empty() => arguments.extend(rest.split_once('=')),
            "FROM" => {
                let mut words = rest
                    .split_whitespace()
                    .filter(|word| !word.starts_with("--"));
                let mut base = words.next().unwrap_or_default().to_owned();
                for (name, value) in &arguments {
                    base = base
                        .replace(&format!("${{{name}}}"), value)
                        .replace(&format!("${name}"), value);
                }
                let alias = words.nth(1).map(str::to_ascii_lowercase);
                stages.push(Stage {
                    base,
                    alias,
                    steps: Vec::new(),
                });
            }
            _ => {
                if let Some(stage) = stages.last_mut() {
                    stage.steps.push((word, rest));
                }
            }
        }
    }
    stages
}

/// Entries of a folder that no container wants to see from outside: what was made there for another one.
const APART: [&str; 9] = [
    "__pycache__/",
    "build/",
    "dist/",
    "node_modules/",
    "out/",
    "target/",
    "tests/",
    "venv/",
    "backups/",
];

/// Notes what a COPY brings from the context.
fn copies(rest: &str, directory: &str, context: &str, project: &dyn Project, image: &mut Image) {
    let mut words: Vec<&str> = rest.split_whitespace().collect();
    if words.iter().any(|word| word.starts_with("--from")) {
        return;
    }
    words.retain(|word| !word.starts_with("--"));
    let quoted;
    if rest.trim_start().starts_with('[') {
        quoted = serde_json::from_str::<Vec<String>>(rest.trim()).unwrap_or_default();
        words = quoted.iter().map(String::as_str).collect();
    }
    let Some((to, sources)) = words.split_last() else {
        return;
    };
    let unclear = |text: &str| {
        text.contains(['$', '*', '?', '[']) || text.contains("..") || text.contains("<<")
    };
    let into = to.ends_with('/') || *to == "." || sources.len() > 1;
    for source in sources {
        let from = source
            .trim_start_matches("./")
            .trim_start_matches('/')
            .trim_end_matches('/');
        if unclear(source) || unclear(to) {
            image.built.push(".".to_owned());
            continue;
        }
        let to = joined_path(directory, to);
        let entries = project.list(&below(context, from));
        if from.is_empty() || from == "." {
            let plain = |entry: &&String| {
                let name = entry.trim_end_matches('/');
                let made = name.starts_with('.')
                    || name.starts_with("Dockerfile")
                    || name.starts_with("compose");
                !made
                    && !name.starts_with("landfall.")
                    && !name.ends_with(".md")
                    && !APART.contains(&entry.as_str())
            };
            for entry in entries.iter().filter(plain) {
                let name = entry.trim_end_matches('/');
                image.live.push((name.to_owned(), joined_path(&to, name)));
            }
        } else if !entries.is_empty() {
            image.live.push((from.to_owned(), to));
        } else if project.has(&below(context, from)) {
            let name = from.rsplit('/').next().unwrap_or(from);
            let place = if into { joined_path(&to, name) } else { to };
            image.live.push((from.to_owned(), place));
        }
    }
}

/// A path below a folder of the project.
pub fn below(folder: &str, path: &str) -> String {
    match (folder, path) {
        ("" | ".", path) => path.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// A path in an image, from where its commands start.
fn joined_path(directory: &str, path: &str) -> String {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    match path {
        "" | "." => directory.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{}/{path}", directory.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn project(files: &[&str]) -> BTreeMap<String, Vec<u8>> {
        files
            .iter()
            .map(|file| ((*file).to_owned(), Vec::new()))
            .collect()
    }

    #[test]
    fn what_an_images_name_says() {
        for (reference, known) in [
            ("python:3.13-slim", Some(Program::Python("python"))),
            (
                "docker.io/library/python:3-alpine",
                Some(Program::Python("python")),
            ),
            (
                "ghcr.io/astral-sh/uv:python3.13-bookworm",
                Some(Program::Python("python")),
            ),
            ("node:22@sha256:00", Some(Program::Node("node"))),
            (
                "gcr.io/distroless/python3-debian12",
                Some(Program::Python("/usr/bin/python3")),
            ),
            ("gcr.io/distroless/static", None),
            ("nginx:1-alpine", Some(Program::Alpine)),
            ("localhost:5000/debian:12-slim", Some(Program::Bash)),
            ("scratch", None),
            ("acme/shop:1", None),
        ] {
            assert_eq!(program(reference), known, "{reference}");
        }
    }

    #[test]
    fn what_is_copied_after_the_last_command_can_be_seen_live() {
        let text = "ARG PYTHON=3.13\nFROM python:${PYTHON}-slim AS base\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install \\\n -r requirements.txt\n\
                    FROM base\nCOPY --chown=1000 app.py other.py ./\nCOPY [\"templates\", \"templates\"]\nCOPY --from=base /x /y\nHEALTHCHECK CMD true\n";
        let project = project(&[
            "backend/requirements.txt",
            "backend/app.py",
            "backend/other.py",
            "backend/templates/a.html",
        ]);
        let image = built(text, None, "backend", &project);
        assert_eq!(image.program, Some(Program::Python("python")));
        assert!(image.health_check);
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            image.live,
            [
                pair("app.py", "/app/app.py"),
                pair("other.py", "/app/other.py"),
                pair("templates", "/app/templates")
            ]
        );
        assert_eq!(image.built, ["requirements.txt"]);
        assert!(!built(text, Some("base"), "backend", &project).health_check);
    }

    #[test]
    fn a_whole_folder_is_seen_entry_by_entry() {
        let project = project(&[
            "app/a.py",
            "node_modules/x",
            ".env",
            "Dockerfile",
            "main.py",
            "landfall.toml",
        ]);
        let image = built("FROM python:3\nCOPY . /srv\n", None, "", &project);
        let places: Vec<&str> = image.live.iter().map(|(_, to)| to.as_str()).collect();
        assert_eq!(places, ["/srv/app", "/srv/main.py"]);
        assert_eq!(
            built("FROM x\nCOPY *.py .\n", None, "", &project).built,
            ["."]
        );
    }
}
