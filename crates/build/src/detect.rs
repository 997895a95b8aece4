//! What stands in a folder, for `init`: read, never executed, and no value of a secret kept.

mod code;
mod dockerfile;
mod draft;
mod folder;
mod process;

use std::{fmt, path::Path};

use landfall_secrets::{DotEnv, dotenv::looks_secret};

pub use dockerfile::{DockerCommand, Dockerfile};
pub use draft::{AppFileDraft, write_app_file};
pub use process::{DetectedCommand, DetectedProcess};

use folder::Folder;

/// What was found.
#[derive(Debug, Default)]
pub struct Detected {
    /// The services; none where nothing is known of what stands there.
    pub services: Vec<DetectedService>,
    /// Names of a `.env` file.
    pub dotenv: Option<DetectedDotEnv>,
    /// A Compose file, which is only noted.
    pub compose: Option<String>,
    /// Whether it is in a repository of git.
    pub git: bool,
    /// Whether git ignores `.env` as far as the folder's own `.gitignore` says.
    pub ignores_dotenv: bool,
}

/// A service.
#[derive(Debug, Default)]
pub struct DetectedService {
    /// Its folder: `.`, or the name of one below.
    pub root: String,
    /// What it is written in.
    pub language: Language,
    /// What it is made with.
    pub framework: Option<Framework>,
    /// Where its application is made.
    pub entry: Option<At>,
    /// The file that shows what it is written in, where nothing else says so.
    pub seen: Option<String>,
    /// Its Dockerfile.
    pub dockerfile: Option<Dockerfile>,
    /// The file that its processes were read from, and how many it has.
    pub processes_from: Option<String>,
    /// Its processes in their order.
    pub processes: Vec<DetectedProcess>,
    /// The folder of static files.
    pub static_files: Option<String>,
    /// Where it listens, and who says so.
    pub port: Option<(u16, String)>,
    /// Its health page.
    pub health: Option<At>,
    /// The command that migrates its database.
    pub migrate: Option<String>,
    /// What is left for the user to see to.
    pub todo: Vec<String>,
}

/// A place in a file, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The file, relative to the service's root.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub said: String,
}

/// Names in a `.env` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedDotEnv {
    /// `.env`, or an example of one.
    pub file: String,
    /// Names in the order of the file, and whether each looks secret.
    pub names: Vec<(String, bool)>,
    /// Why it can't be read.
    pub problem: Option<String>,
}

/// What a service is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// JavaScript or TypeScript, with a `package.json`.
    Node,
    /// Pages alone.
    Static,
    /// Something else, with a Dockerfile or a Procfile.
    #[default]
    Other,
}

/// What a service is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Framework {
    FastApi,
    Flask,
    Django,
    Express,
    Next,
    Vite,
    StaticSite,
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FastApi => "FastAPI",
            Self::Flask => "Flask",
            Self::Django => "Django",
            Self::Express => "Express",
            Self::Next => "Next.js",
            Self::Vite => "Vite",
            Self::StaticSite => "a static site",
        })
    }
}

/// Files that make a folder a project of its own.
const PROJECT: [&str; 4] = [
    "Dockerfile",
    "requirements.txt",
    "pyproject.toml",
    "package.json",
];

/// Looks into a folder.
pub fn detect(path: &Path) -> Detected {
    let folder = Folder::read(path);
    let mut services: Vec<_> = service(&folder, ".").into_iter().collect();
    if services.is_empty() {
        for name in folder.folders() {
            let below = folder.below(&name);
            if below.first(&PROJECT).is_some() {
                services.extend(service(&below, &name));
            }
        }
    }
    let ignored = ignores_dotenv(&folder);
    Detected {
        services,
        dotenv: dotenv(path, &folder),
        compose: folder
            .first(&[
                "compose.yaml",
                "compose.yml",
                "docker-compose.yml",
                "docker-compose.yaml",
            ])
            .map(str::to_owned),
        git: crate::walk::in_repository(path),
        ignores_dotenv: ignored,
    }
}

fn ignores_dotenv(folder: &Folder) -> bool {
    let ignore = folder.text(".gitignore").unwrap_or_default();
    ignore.lines().any(|line| {
        matches!(
            line.trim(),
            ".env" | "/.env" | "*.env" | ".env*" | ".env.*" | "**/.env"
        )
    })
}

/// Lines that `.gitignore` of a folder lacks, so that no secret gets into a repository by accident.
pub fn missing_ignores(path: &Path) -> Vec<String> {
    match crate::walk::in_repository(path) && !ignores_dotenv(&Folder::only(path)) {
        true => vec![".env".to_owned()],
        false => Vec::new(),
    }
}

fn dotenv(path: &Path, folder: &Folder) -> Option<DetectedDotEnv> {
    let example = folder.first(&[
        ".env.example",
        ".env.sample",
        ".env.template",
        "env.example",
    ]);
    // Not in the listing, since it never is a source.
    let file = if path.join(".env").is_file() {
        ".env"
    } else {
        example?
    };
    let empty = DetectedDotEnv {
        file: file.to_owned(),
        names: Vec::new(),
        problem: None,
    };
    Some(match DotEnv::load(&path.join(file)) {
        Ok(found) => {
            let found = found.unwrap_or_default();
            let names = found
                .order
                .iter()
                .map(|name| (name.clone(), looks_secret(name, &found.values[name])));
            DetectedDotEnv {
                names: names.collect(),
                ..empty
            }
        }
        Err(error) => DetectedDotEnv {
            problem: Some(error.to_string()),
            ..empty
        },
    })
}

/// Whether there is Python to execute without a file that lists packages: a script here, or a
/// package in a folder that isn't a project itself.
fn has_python(folder: &Folder) -> bool {
    let is_package = |name: &String| {
        let below = folder.below(name);
        below.first(&["__main__.py", "__init__.py"]).is_some() && below.first(&PROJECT).is_none()
    };
    folder.sources(&["py"]).any(|file| !file.contains('/'))
        || folder.folders().iter().any(is_package)
}

fn service(folder: &Folder, root: &str) -> Option<DetectedService> {
    let dockerfile = folder
        .first(&["Dockerfile", "dockerfile", "Containerfile"])
        .map(|name| Dockerfile::parse(name, &folder.text(name).unwrap_or_default()));
    let is_python = folder.first(&crate::python::FILES).is_some()
        || (!folder.has("package.json") && has_python(folder));
    let pages = [".", "public", "site", "www", "dist", "html", "static"]
        .into_iter()
        .find(|name| folder.has(format!("{name}/index.html").trim_start_matches("./")));
    let language = match () {
        () if is_python => Language::Python,
        () if folder.has("package.json") => Language::Node,
        () if dockerfile.is_some() || folder.has("Procfile") => Language::Other,
        () if pages.is_some() => Language::Static,
        () => return None,
    };
    let code = match language {
        Language::Python => code::python(folder),
        Language::Node => code::node(folder),
        Language::Static => code::Code {
            static_files: pages.map(str::to_owned),
            ..code::Code::default()
        },
        Language::Other => code::Code::default(),
    };
    let mut found = DetectedService {
        root: root.to_owned(),
        language,
        framework: code.framework,
        health: code::health(folder).or_else(|| code::first_page(folder, code.entry.as_ref()?)),
        entry: code.entry,
        seen: code.seen,
        static_files: code.static_files,
        migrate: code.migrate,
        todo: code.todo,
        ..DetectedService::default()
    };
    found.read_processes(folder, dockerfile.as_ref());
    if found.processes.is_empty() && found.static_files.is_none() {
        found
            .processes
            .extend(code.command.map(DetectedProcess::alone));
    }
    let expose = dockerfile
        .as_ref()
        .and_then(|file| Some((file.expose?, file.file.clone())));
    let mut said = None;
    for process in &mut found.processes {
        said = process.command.take_port().or(said);
    }
    // What listens by the variable, by the command or by what the code of its framework does.
    let by_command = found
        .processes
        .iter()
        .any(|process| process.command.names_port());
    found.port = expose
        .map(|((port, line), file)| (port, format!("{file}:{line}")))
        .or_else(|| Some((said?, "its command".to_owned())))
        .or_else(|| {
            Some((
                code.port.or(by_command.then_some(8000))?,
                found
                    .framework
                    .map_or("a guess".to_owned(), |it| format!("usual for {it}")),
            ))
        })
        .filter(|_| found.static_files.is_none());
    found.dockerfile = dockerfile;
    Some(found)
}

impl DetectedProcess {
    fn alone(command: DetectedCommand) -> Self {
        Self {
            name: "web".to_owned(),
            command,
            order: None,
            restarts: true,
        }
    }
}

impl DetectedService {
    /// Processes as another tool's file lists them, else the Dockerfile's command.
    fn read_processes(&mut self, folder: &Folder, dockerfile: Option<&Dockerfile>) {
        let files = [
            "supervisord.conf",
            "supervisor.conf",
            "deploy/supervisord.conf",
            "docker/supervisord.conf",
            "config/supervisord.conf",
        ];
        if let Some(file) = folder.first(&files) {
            self.processes = process::supervisord(&folder.text(file).unwrap_or_default());
            self.processes_from = Some(file.to_owned());
        } else if folder.has("Procfile") {
            let (processes, release) =
                process::procfile(&folder.text("Procfile").unwrap_or_default());
            self.processes = processes;
            self.migrate = release.or(self.migrate.take());
            self.processes_from = Some("Procfile".to_owned());
        } else if let Some((command, line)) = dockerfile.and_then(|file| file.command.as_ref())
            && self.static_files.is_none()
        {
            let command = match command {
                DockerCommand::Shell(line) => DetectedCommand::line(line),
                DockerCommand::Exact(words) => DetectedCommand::words(words),
            };
            let text = command.text();
            if text.contains("supervisord") {
                self.todo.push("the Dockerfile runs supervisord, whose file isn't here: name its programs as processes".to_owned());
            } else {
                if text.contains("/app/") || text.starts_with('/') {
                    self.todo.push(format!("the command of Dockerfile:{line} names paths of its image; make them relative"));
                }
                self.processes = vec![DetectedProcess::alone(command)];
            }
        }
    }
}
