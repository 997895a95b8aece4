//! A service of which a Dockerfile is written: its folder, its build context, and where things are in it.

use std::collections::BTreeMap;

use landfall_app::{
    Name,
    model::{App, Build, Runtime, Service, Source},
};

use super::existing::Existing;
use crate::{Input, Note, Project, Refusal};

/// Where pages are served when nothing says where.
const PAGES_PORT: u16 = 8080;

/// A service that is built.
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a Name,
    /// The service.
    pub service: &'a Service,
    /// The app, in the environment that the service is taken from.
    pub app: &'a App,
    /// How it is built.
    pub build: &'a Build,
    /// The build context, relative to the app file; empty for the app file's own folder.
    pub context: String,
    /// The project's folder, relative to the context; empty for the context itself.
    pub folder: String,
    /// The Dockerfile, relative to the app file.
    pub dockerfile: String,
    /// What the Dockerfile says that stands there already.
    pub existing: Existing,
    /// The version of Landfall.
    pub version: &'a str,
    project: &'a dyn Project,
}

/// What a folder shows to be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// requirements.txt, pyproject.toml, …
    Python,
    /// package.json
    Node,
    /// Cargo.toml
    Rust,
    /// go.mod
    Go,
    /// Files that are served as they stand.
    Pages,
}

/// The services that are built.
pub fn subjects<'a>(input: &Input<'a>, notes: &mut Vec<Note>) -> Result<Vec<Subject<'a>>, Refusal> {
    let mut found = Vec::new();
    for (name, service) in &input.app.services {
        // An environment that runs plain processes says nothing of containers: another one may.
        let (app, service) = std::iter::once(input.app)
            .chain(input.environments)
            .filter_map(|app| Some((app, app.services.get(name)?)))
            .find(|(_, service)| service.runtime == Runtime::Container)
            .unwrap_or((input.app, service));
        let Source::Build(build) = &service.source else {
            continue;
        };
        let root = below("", &service.root)?;
        let context = match &build.context {
            Some(context) => below(&root, context)?,
            None => root.clone(),
        };
        found.push((name, service, app, build, root, context));
    }
    // Several services of one folder can't share a name.
    let mut shares: BTreeMap<(String, String), u32> = BTreeMap::new();
    for (_, _, _, build, root, context) in &found {
        if build.dockerfile.is_none() {
            *shares.entry((root.clone(), context.clone())).or_default() += 1;
        }
    }
    let mut taken: BTreeMap<String, &Name> = BTreeMap::new();
    let mut subjects = Vec::new();
    for (name, service, app, build, root, context) in found {
        let dockerfile = match &build.dockerfile {
            Some(named) => {
                // As in Compose: in the root, else in the context where there is none.
                let places = [below(&root, named)?, below(&context, named)?];
                let there = places.iter().find(|place| input.project.has(place));
                there.unwrap_or(&places[0]).clone()
            }
            None if shares[&(root.clone(), context.clone())] > 1 => {
                join(&root, &format!("{name}.Dockerfile"))
            }
            None => {
                let places = [join(&context, "Dockerfile"), join(&root, "Dockerfile")];
                let there = places.iter().find(|place| input.project.has(place));
                there.unwrap_or(&places[0]).clone()
            }
        };
        if let Some(other) = taken.get(&dockerfile) {
            notes.push(Note {
                setting: format!("service.{name}.build"),
                said: format!(
                    "{dockerfile} is written for {other}: what this one executes is said where it is run"
                ),
            });
            continue;
        }
        taken.insert(dockerfile.clone(), name);
        let inside = match context.is_empty() {
            true => Some(root.as_str()),
            false if root == context => Some(""),
            false => root
                .strip_prefix(context.as_str())
                .and_then(|rest| rest.strip_prefix('/')),
        };
        subjects.push(Subject {
            name,
            service,
            app,
            build,
            folder: inside.unwrap_or_default().to_owned(),
            existing: Existing::read(
                &input.project.text(&dockerfile).unwrap_or_default(),
                build.stage.as_deref(),
            ),
            context,
            dockerfile,
            version: input.version,
            project: input.project,
        });
    }
    Ok(subjects)
}

impl Subject<'_> {
    /// What stands in its folder; none where it isn't known.
    pub fn kind(&self) -> Option<Kind> {
        let pages = self.service.static_files.is_some();
        let python = [
            "requirements.txt",
            "pyproject.toml",
            "uv.lock",
            "setup.py",
            "Pipfile",
        ];
        match () {
            () if pages && !self.has("package.json") && self.build.run.is_none() => {
                Some(Kind::Pages)
            }
            () if self.has("package.json") && (pages || !python.iter().any(|it| self.has(it))) => {
                Some(Kind::Node)
            }
            () if python.iter().any(|it| self.has(it)) => Some(Kind::Python),
            () if self.has("Cargo.toml") => Some(Kind::Rust),
            () if self.has("go.mod") => Some(Kind::Go),
            () if self.list("").iter().any(|name| name.ends_with(".py")) => Some(Kind::Python),
            () => None,
        }
    }

    /// The text of a file of its project.
    pub fn text(&self, path: &str) -> Option<String> {
        self.project.text(&self.in_app(path))
    }

    /// Whether its project has such a file.
    pub fn has(&self, path: &str) -> bool {
        self.project.has(&self.in_app(path))
    }

    /// Names in a folder of its project; folders end with `/`.
    pub fn list(&self, path: &str) -> Vec<String> {
        self.project.list(&self.in_app(path))
    }

    /// Whether its project has such a folder with something in it.
    pub fn has_folder(&self, path: &str) -> bool {
        !self.list(path).is_empty()
    }

    /// A path of its project, relative to the app file.
    pub fn in_app(&self, path: &str) -> String {
        join(&join(&self.context, &self.folder), path)
    }

    /// A path of its project as `COPY` names it: relative to the context.
    pub fn in_context(&self, path: &str) -> String {
        match join(&self.folder, path) {
            whole if whole.is_empty() => ".".to_owned(),
            whole => whole,
        }
    }

    /// Its folder, for people.
    pub fn shown_folder(&self) -> String {
        match self.in_app("") {
            folder if folder.is_empty() => "this folder".to_owned(),
            folder => folder,
        }
    }

    /// A file to stand beside the Dockerfile: its path relative to the app file, and to the context.
    /// `None` where the Dockerfile isn't in the context: then it stands in the project's folder.
    pub fn beside(&self, name: &str) -> (String, String) {
        let path = self.in_app(name);
        (path, self.in_context(name))
    }

    /// The user that it runs as.
    pub fn user(&self) -> u32 {
        self.service.user.unwrap_or(1000)
    }

    /// The port that it listens on, by the app file or else by the Dockerfile that is there.
    pub fn port(&self) -> Option<u16> {
        let pages = self.serves_pages().then_some(PAGES_PORT);
        self.service.port.or(self.existing.port).or(pages)
    }

    /// Whether it is files that are served, and nothing is executed for them.
    pub fn serves_pages(&self) -> bool {
        self.service.static_files.is_some() && self.service.processes.is_empty()
    }

    /// The setting of it, as notes name it.
    pub fn setting(&self, key: &str) -> String {
        format!("service.{}.{key}", self.name)
    }
}

/// Two parts of a path as one.
pub fn join(folder: &str, path: &str) -> String {
    match (folder, path.trim_matches('/')) {
        ("", path) => path.to_owned(),
        (folder, "" | ".") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// A path said relative to a folder, as one relative to the app file; `..` goes upwards, not out.
fn below(folder: &str, path: &str) -> Result<String, Refusal> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        let outside = match part {
            "" | "." => false,
            ".." => parts.pop().is_none(),
            part => {
                parts.push(part);
                false
            }
        };
        if outside {
            return Err(Refusal {
                name: "outside-of-app",
                message: format!(
                    "`{path}` leads out of the folder of the app file, and nothing is written there"
                ),
                mend: None,
            });
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_folder_of_the_app_file() {
        assert_eq!(below("a/b", "../c").unwrap(), "a/c");
        assert_eq!(below("", "./").unwrap(), "");
        assert_eq!(below("a", "../../x").unwrap_err().name, "outside-of-app");
        assert_eq!(join("a", "."), "a");
        assert_eq!(join("", "x/"), "x");
    }
}
