//! The builder of Python: a virtual environment, shared by all artifacts with the same requirements.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    build::{Made, Work},
    digest::Parts,
    error::BuildError,
    files::{inside, remove},
    progress::Progress,
    tool::{Tools, find},
};

/// Files that say that a folder is Python's.
pub const FILES: [&str; 5] = [
    "requirements.txt",
    "pyproject.toml",
    "uv.lock",
    "setup.py",
    "Pipfile",
];

const INSTALL: &str = "sudo apt install python3 python3-venv";
const INSTALL_VENV: &str = "sudo apt install python3-venv";

/// What is there to build with.
#[derive(Debug)]
pub struct Python {
    python: PathBuf,
    uv: Option<PathBuf>,
    version: String,
}

/// What says which packages are needed.
enum Needs {
    Requirements,
    /// The project is installed itself; with or without uv's lock.
    Project {
        locked: bool,
    },
    Nothing,
}

impl Python {
    /// Looks for Python and uv.
    pub fn find(tools: &Tools<'_>, has: &dyn Fn(&str) -> bool) -> Result<Self, BuildError> {
        let python = tools.need("python3", INSTALL)?;
        let version = tools
            .ask(&[python.as_os_str(), OsStr::new("--version")])
            .ok_or_else(|| BuildError::ToolMissing {
                service: tools.service.to_owned(),
                tool: "a python3 that runs".to_owned(),
                install: INSTALL,
            })?;
        let uv = find(&tools.environment, "uv").filter(|_| FILES.iter().any(|name| has(name)));
        Ok(Self {
            python,
            uv,
            version,
        })
    }

    /// What of it goes into digests.
    pub fn version(&self) -> String {
        let uv = if self.uv.is_some() { "uv" } else { "pip" };
        format!("{} {} {uv}", self.version, self.python.display())
    }

    /// Makes `.venv` in the artifact's folder.
    pub fn make(&self, work: &Work<'_>) -> Result<Made, BuildError> {
        let folder = work.folder;
        let venv = folder.join(".venv");
        remove(&venv)?;
        let has = |name: &str| folder.join(name).is_file();
        let needs = match () {
            () if has("uv.lock") && self.uv.is_some() => Needs::Project { locked: true },
            () if has("requirements.txt") => Needs::Requirements,
            () if has("setup.py")
                || (has("pyproject.toml")
                    && is_project(&read(&folder.join("pyproject.toml"))?)) =>
            {
                Needs::Project { locked: false }
            }
            () => Needs::Nothing,
        };
        if has("Pipfile") && matches!(needs, Needs::Nothing) {
            (work.tools.progress)(Progress::Warning(
                "Pipfile is not read: export requirements.txt (pipenv requirements), or set build = { run = \"…\" }.".to_owned(),
            ));
        }
        let mut made = Made::default();
        made.environment
            .insert("VIRTUAL_ENV".to_owned(), venv.display().to_string());
        // Lines reach the log when they are printed, not when a buffer is full.
        made.environment
            .insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
        let key = match needs {
            Needs::Requirements => requirements_key(work, Path::new("requirements.txt"))?,
            Needs::Nothing => Some(Parts::default()),
            Needs::Project { .. } => None,
        };
        let install = |venv: &Path| -> Result<String, BuildError> {
            match needs {
                Needs::Nothing => {
                    self.create(work, venv, false)?;
                    Ok(self.version.clone())
                }
                Needs::Requirements => {
                    self.create(work, venv, true)?;
                    self.install(work, venv, &["-r", "requirements.txt"])?;
                    Ok(format!("requirements.txt, {}", packages(venv)))
                }
                Needs::Project { locked: true } => {
                    self.sync(work, venv)?;
                    Ok(format!("uv.lock, {}", packages(venv)))
                }
                Needs::Project { locked: false } => {
                    self.create(work, venv, true)?;
                    self.install(work, venv, &["."])?;
                    Ok(format!("pyproject.toml, {}", packages(venv)))
                }
            }
        };
        match key {
            Some(key) => {
                let digest = key.with("python", self.version()).finish();
                let (layer, said) = work.layer(&digest, install)?;
                let target = Path::new("..").join(&layer);
                symlink(target, &venv).map_err(BuildError::file(&venv, "written"))?;
                made.layers.push(layer);
                made.said = said;
            }
            // The project itself, or something that is edited in place, is in it: it can't be shared.
            None => made.said = install(&venv)?,
        }
        Ok(made)
    }

    fn create(&self, work: &Work<'_>, venv: &Path, with_pip: bool) -> Result<(), BuildError> {
        let python = self.python.as_os_str();
        let mut words: Vec<&OsStr> =
            match &self.uv {
                Some(uv) => vec![
                    uv.as_os_str(),
                    OsStr::new("venv"),
                    OsStr::new("--quiet"),
                    OsStr::new("--python"),
                    python,
                ],
                None => ["-m", "venv"].into_iter().map(OsStr::new).fold(
                    vec![python],
                    |mut words, word| {
                        words.push(word);
                        words
                    },
                ),
            };
        if self.uv.is_none() && !with_pip {
            words.push(OsStr::new("--without-pip"));
        }
        words.push(venv.as_os_str());
        work.tools
            .run(work.folder, &words, &[])
            .map(drop)
            .map_err(|error| match error {
                BuildError::Failed { service, last, .. }
                    if last.iter().any(|line| {
                        line.contains("ensurepip is not") || line.contains("No module named venv")
                    }) =>
                {
                    BuildError::ToolMissing {
                        service,
                        tool: "the venv module of python3".to_owned(),
                        install: INSTALL_VENV,
                    }
                }
                error => error,
            })
    }

    fn install(&self, work: &Work<'_>, venv: &Path, what: &[&str]) -> Result<(), BuildError> {
        (work.tools.progress)(Progress::Said(format!(
            "installing {}",
            what.last().unwrap_or(&".")
        )));
        let python = venv.join("bin/python");
        let pip = [
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar=off",
        ];
        let mut words: Vec<&OsStr> = Vec::new();
        match &self.uv {
            Some(uv) => {
                words.push(uv.as_os_str());
                words.extend(["pip", "install", "--no-progress", "--python"].map(OsStr::new));
                words.push(python.as_os_str());
            }
            None => {
                words.push(python.as_os_str());
                words.extend(pip.map(OsStr::new));
            }
        }
        words.extend(what.iter().map(OsStr::new));
        self.with_cache(work, venv, &words)
    }

    fn sync(&self, work: &Work<'_>, venv: &Path) -> Result<(), BuildError> {
        (work.tools.progress)(Progress::Said("installing uv.lock".to_owned()));
        let uv = self.uv.as_deref().unwrap_or(Path::new("uv"));
        let arguments =
            ["sync", "--frozen", "--no-dev", "--no-progress", "--python"].map(OsStr::new);
        let words: Vec<_> = std::iter::once(uv.as_os_str())
            .chain(arguments)
            .chain([self.python.as_os_str()])
            .collect();
        self.with_cache(work, venv, &words)
    }

    fn with_cache(&self, work: &Work<'_>, venv: &Path, words: &[&OsStr]) -> Result<(), BuildError> {
        let cache = work.request.cache.join("pip");
        let more = [
            ("PIP_CACHE_DIR", cache.as_os_str()),
            ("UV_PROJECT_ENVIRONMENT", venv.as_os_str()),
        ];
        work.tools.run(work.folder, words, &more).map(drop)
    }
}

/// What decides which packages a requirements file brings: its text, that of files it includes, and
/// of paths it names. `None`: something is installed to be edited in place.
fn requirements_key(work: &Work<'_>, file: &Path) -> Result<Option<Parts>, BuildError> {
    let mut parts = Parts::default().with("kind", "requirements");
    let mut files = vec![file.to_owned()];
    let mut seen = BTreeMap::new();
    while let Some(file) = files.pop() {
        let Ok(text) = fs::read_to_string(work.folder.join(&file)) else {
            continue;
        };
        if seen.insert(file.clone(), ()).is_some() {
            continue;
        }
        parts = parts
            .with("file", file.as_os_str().as_encoded_bytes())
            .with("text", &text);
        let beside = file.parent().unwrap_or(Path::new(""));
        for line in text.lines() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            let (option, value) = option(line);
            match option {
                "-e" | "--editable" => return Ok(None),
                "-r" | "--requirement" | "-c" | "--constraint" => files.push(beside.join(value)),
                _ => {
                    // A path stands for what is there; what is no path here digests to nothing.
                    let path = if option.is_empty() {
                        value
                    } else {
                        value.trim_matches('"')
                    };
                    let path = path.split_once(" @ ").map_or(path, |(_, url)| url);
                    let path = path.strip_prefix("file:").unwrap_or(path);
                    let path = path.split([';', ' ', '[']).next().unwrap_or_default();
                    if let Ok(path) = inside(path)
                        && !path.as_os_str().is_empty()
                        && work.folder.join(&path).exists()
                    {
                        parts = parts.with("path", local(work, &path)?);
                    } else if path.starts_with('.') {
                        return Ok(None);
                    }
                }
            }
        }
    }
    Ok(Some(parts))
}

fn local(work: &Work<'_>, path: &Path) -> Result<String, BuildError> {
    let path = Path::new(work.root).join(path);
    Ok(work
        .request
        .snapshot
        .digest(&path.to_string_lossy())?
        .unwrap_or_default())
}

/// `-r x`, `-rx`, `--find-links=x`, `x`: the option, if any, and its value.
fn option(line: &str) -> (&str, &str) {
    if !line.starts_with('-') {
        return ("", line);
    }
    if line.starts_with("--") {
        let (option, value) = line.split_once(['=', ' ']).unwrap_or((line, ""));
        return (option, value.trim());
    }
    let at = line.char_indices().nth(2).map_or(line.len(), |(at, _)| at);
    (&line[..at], line[at..].trim().trim_start_matches('='))
}

fn is_project(text: &str) -> bool {
    let starts = |line: &str| {
        line.starts_with("[project]")
            || line.starts_with("[tool.poetry]")
            || line.starts_with("[build-system]")
    };
    text.lines().map(str::trim).any(starts)
}

fn read(path: &Path) -> Result<String, BuildError> {
    fs::read_to_string(path).map_err(BuildError::file(path, "read"))
}

/// How many packages are installed, beside the installers.
fn packages(venv: &Path) -> String {
    let folders = fs::read_dir(venv.join("lib"))
        .into_iter()
        .flatten()
        .flatten();
    let names = folders.flat_map(|folder| {
        fs::read_dir(folder.path().join("site-packages"))
            .into_iter()
            .flatten()
            .flatten()
    });
    let names: Vec<OsString> = names.map(|entry| entry.file_name()).collect();
    let installed = |name: &&OsString| {
        let name = name.to_string_lossy();
        name.ends_with(".dist-info")
            && !["pip-", "setuptools-", "wheel-"]
                .iter()
                .any(|own| name.starts_with(own))
    };
    match names.iter().filter(installed).count() {
        1 => "1 package".to_owned(),
        count => format!("{count} packages"),
    }
}
