//! Python: packages in a virtual environment of their own, then the project, then its files.

use super::{
    Made,
    command::Default,
    health::Asks,
    stage::{self, Last},
    subject::Subject,
    text,
};

/// The version where nothing says one.
const VERSION: &str = "3.13";
/// Versions that a range may mean, the best first.
const KNOWN: [(u32, u32); 6] = [(3, 13), (3, 14), (3, 12), (3, 11), (3, 10), (3, 9)];
/// What locks are read with; as new as was tried.
const UV: &str = "0.9.11";
const POETRY: &str = "2.2.1";
/// The virtual environment.
const PACKAGES: &str = "/opt/venv";
/// The project itself, installed without what it needs.
const PROJECT: &str = "/opt/project";
const PIP: &str = "--mount=type=cache,target=/root/.cache/pip";

/// What says which packages are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Uv,
    Poetry,
    Requirements,
    /// pyproject.toml without a lock.
    Project,
    /// setup.py alone.
    Setup,
    Nothing,
}

struct Python {
    needs: Needs,
    /// Whether the project itself can be installed, not only what it needs.
    package: bool,
    version: String,
}

/// Writes the Dockerfile.
pub fn write(subject: &Subject<'_>, made: &mut Made) {
    let python = look(subject);
    stage::base(
        made,
        "PYTHON",
        &format!("python:{}-slim", python.version),
        "The base image, by the version that the project says",
    );
    super::several::argument(subject, made);
    if python.needs != Needs::Nothing {
        packages(subject, made, &python);
    }
    let builds = subject.build.run.is_some();
    if python.package || builds {
        made.text.gap();
        let from = match python.needs {
            Needs::Nothing => "${PYTHON}",
            _ => "packages",
        };
        made.text.line(format!("FROM {from} AS build"));
        made.text.line(format!("WORKDIR {}", stage::APP));
        stage::arguments(subject, made);
        made.text.copy(&[], &[subject.in_context("")], "./");
        if builds {
            stage::builds(subject, made, &[]);
        }
        if python.package {
            install_project(made, &python);
        }
    }
    let mut environment = vec![("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1")];
    if python.needs != Needs::Nothing {
        environment.push(("VIRTUAL_ENV", PACKAGES));
        environment.push(match python.package {
            true => ("PATH", "/opt/project/bin:/opt/venv/bin:$PATH"),
            false => ("PATH", "/opt/venv/bin:$PATH"),
        });
    }
    if python.package {
        environment.push(("PYTHONPATH", PROJECT));
    }
    let last = Last {
        from: "${PYTHON}",
        user: Some("useradd --uid {uid} --user-group --create-home --shell /usr/sbin/nologin app"),
        environment: &environment,
        asks: Asks::Python,
        command: Default::None,
    };
    let (needs, package) = (python.needs, python.package);
    stage::last(subject, made, last, |subject, made| {
        if needs != Needs::Nothing {
            made.text
                .line(format!("COPY --from=packages {PACKAGES} {PACKAGES}"));
        }
        if package {
            made.text
                .line(format!("COPY --from=build {PROJECT} {PROJECT}"));
        }
        match (builds, &subject.build.output) {
            (true, Some(output)) => made.text.copy(
                &["--from=build"],
                &[format!("{}/{}", stage::APP, output.trim_matches('/'))],
                "./",
            ),
            (true, None) => made
                .text
                .line(format!("COPY --from=build {0} {0}", stage::APP)),
            (false, _) => made.text.copy(&[], &[subject.in_context("")], "./"),
        }
    });
}

fn packages(subject: &Subject<'_>, made: &mut Made, python: &Python) {
    made.text.gap();
    made.text.line("FROM ${PYTHON} AS packages");
    made.text
        .says("Packages of the system that building Python's needs, such as a compiler:");
    made.text.keep("packages");
    let (secrets, values) = stage::secrets(subject);
    let mounts = |cache: &str| -> Vec<String> {
        std::iter::once(cache.to_owned())
            .chain(secrets.clone())
            .collect()
    };
    let copy = |made: &mut Made, names: &[&str]| {
        let paths: Vec<String> = names.iter().map(|name| subject.in_context(name)).collect();
        made.text.copy(&[], &paths, "./");
    };
    let uv = |made: &mut Made| {
        made.text
            .run(&[PIP.to_owned()], &format!("pip install uv=={UV}"));
        made.text.line("ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON=python3 UV_PYTHON_DOWNLOADS=never \\");
        made.text
            .line(format!("    UV_PROJECT_ENVIRONMENT={PACKAGES}"));
        made.text.line(format!("WORKDIR {}", stage::APP));
    };
    let cache = "--mount=type=cache,target=/root/.cache/uv";
    match python.needs {
        Needs::Uv => {
            uv(made);
            copy(made, &["pyproject.toml", "uv.lock"]);
            made.text.run(
                &mounts(cache),
                &format!("{values}uv sync --frozen --no-dev --no-install-project"),
            );
        }
        Needs::Project => {
            made.note(
                subject.setting("build"),
                "pyproject.toml has no lock beside it: the next build may get other versions; uv lock writes one",
            );
            uv(made);
            copy(made, &["pyproject.toml"]);
            made.text.run(
                &mounts(cache),
                &format!("uv venv {PACKAGES} && {values}uv pip install --python {PACKAGES}/bin/python --requirement pyproject.toml"),
            );
        }
        Needs::Poetry => {
            made.text.run(
                &[PIP.to_owned()],
                &format!(
                    "python -m venv /opt/poetry && /opt/poetry/bin/pip install poetry=={POETRY}"
                ),
            );
            made.text
                .line(format!("RUN python -m venv --without-pip {PACKAGES}"));
            made.text.line(format!(
                "ENV VIRTUAL_ENV={PACKAGES} PATH={PACKAGES}/bin:$PATH POETRY_NO_INTERACTION=1"
            ));
            made.text.line(format!("WORKDIR {}", stage::APP));
            copy(made, &["pyproject.toml", "poetry.lock"]);
            made.text.run(
                &mounts("--mount=type=cache,target=/root/.cache/pypoetry"),
                &format!("{values}/opt/poetry/bin/poetry install --only main --no-root"),
            );
        }
        Needs::Requirements | Needs::Setup | Needs::Nothing => {
            made.text
                .line(format!("RUN python -m venv --without-pip {PACKAGES}"));
            made.text.line(format!("WORKDIR {}", stage::APP));
            let install = format!("{values}pip --python {PACKAGES}/bin/python install");
            match requirement_files(subject) {
                Some(files) if python.needs == Needs::Requirements => {
                    for (folder, files) in files {
                        let paths: Vec<String> =
                            files.iter().map(|file| subject.in_context(file)).collect();
                        made.text.copy(&[], &paths, &format!("./{folder}"));
                    }
                    made.text.run(
                        &mounts(PIP),
                        &format!("{install} --requirement requirements.txt"),
                    );
                }
                other => {
                    made.note(
                        subject.setting("build"),
                        match other {
                            None => "requirements.txt names folders of the project: each change of a file installs all packages again",
                            Some(_) => "setup.py is what says the packages: each change of a file installs all of them again",
                        },
                    );
                    made.text.copy(&[], &[subject.in_context("")], "./");
                    let what = match python.needs {
                        Needs::Requirements => "--requirement requirements.txt",
                        _ => ".",
                    };
                    made.text.run(&mounts(PIP), &format!("{install} {what}"));
                }
            }
        }
    }
}

/// Writes the step that installs the project beside its packages: these stay as they are when it changes.
fn install_project(made: &mut Made, python: &Python) {
    match python.needs {
        Needs::Uv | Needs::Project => made.text.run(
            &["--mount=type=cache,target=/root/.cache/uv".to_owned()],
            &format!(
                "uv pip install --python {PACKAGES}/bin/python --no-deps --target {PROJECT} ."
            ),
        ),
        _ => made.text.run(
            &[PIP.to_owned()],
            &format!("pip --python {PACKAGES}/bin/python install --no-deps --target {PROJECT} ."),
        ),
    }
}

fn look(subject: &Subject<'_>) -> Python {
    let project: Option<toml::Table> = subject
        .text("pyproject.toml")
        .and_then(|text| text.parse().ok());
    let table = |path: &[&str]| -> Option<&toml::Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(project.as_ref()?.get(*first)?, |value, key| value.get(key))
    };
    let is_project = ["project", "build-system"]
        .iter()
        .any(|key| table(&[key]).is_some())
        || table(&["tool", "poetry"]).is_some();
    let needs = match () {
        () if subject.has("uv.lock") && is_project => Needs::Uv,
        () if subject.has("poetry.lock") && is_project => Needs::Poetry,
        () if subject.has("requirements.txt") => Needs::Requirements,
        () if is_project && table(&["project"]).is_some() => Needs::Project,
        () if subject.has("setup.py") || is_project => Needs::Setup,
        () => Needs::Nothing,
    };
    let package = match needs {
        Needs::Uv | Needs::Project => table(&["tool", "uv", "package"])
            .and_then(toml::Value::as_bool)
            .unwrap_or(table(&["build-system"]).is_some()),
        Needs::Poetry => {
            table(&["build-system"]).is_some()
                && table(&["tool", "poetry", "package-mode"]).and_then(toml::Value::as_bool)
                    != Some(false)
        }
        _ => false,
    };
    let range = table(&["project", "requires-python"])
        .or_else(|| table(&["tool", "poetry", "dependencies", "python"]))
        .and_then(toml::Value::as_str);
    let said = subject
        .text(".python-version")
        .and_then(|text| exact(text.lines().find(|line| !line.starts_with('#'))?))
        .or_else(|| {
            exact(
                subject
                    .text("runtime.txt")?
                    .trim()
                    .strip_prefix("python-")?,
            )
        });
    let by_image = subject.existing.version("python");
    let version = said
        .or_else(|| by_image.filter(|version| range.is_none_or(|range| allows(range, version))))
        .or_else(|| range.and_then(best))
        .unwrap_or_else(|| VERSION.to_owned());
    Python {
        needs,
        package,
        version,
    }
}

/// `3.12` or `3.12.4`; not `pypy3.10`, not `3`.
fn exact(text: &str) -> Option<String> {
    let text = text::tame(text)?;
    numbers(&text).map(|_| text)
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.trim().parse::<u32>().ok());
    let numbers = (parts.next()??, parts.next()??);
    parts.all(|part| part.is_some()).then_some(numbers)
}

/// The version that a range means: the best known in it.
fn best(range: &str) -> Option<String> {
    KNOWN
        .iter()
        .map(|(major, minor)| format!("{major}.{minor}"))
        .find(|version| allows(range, version))
}

/// Whether a version, by its first two numbers, is in a range of PEP 440 or of Poetry.
fn allows(range: &str, version: &str) -> bool {
    let Some(version) = numbers(version) else {
        return false;
    };
    range.split(',').all(|part| {
        let part = part.trim();
        let at = part
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(part.len());
        let (operator, rest) = part.split_at(at);
        let rest = rest.trim_end_matches(".*");
        let Some(bound) = numbers(rest).or_else(|| Some((rest.parse().ok()?, 0))) else {
            return true;
        };
        match operator.trim() {
            // Of `<3.13.2` or `!=3.12.1` the other patches are still in.
            "<" if rest.matches('.').count() > 1 => version <= bound,
            "<" => version < bound,
            "<=" => version <= bound,
            ">" | ">=" => version >= bound,
            "^" => version >= bound && version.0 == bound.0,
            "!=" => rest.matches('.').count() != 1 || version != bound,
            "==" | "~" | "===" | "=" | "" => version == bound,
            "~=" if rest.matches('.').count() > 1 => version == bound,
            "~=" => version >= bound && version.0 == bound.0,
            _ => true,
        }
    })
}

/// requirements.txt and the files that it includes, by folder. `None`: it names folders of the project.
fn requirement_files(subject: &Subject<'_>) -> Option<Vec<(String, Vec<String>)>> {
    let mut files = vec!["requirements.txt".to_owned()];
    let mut at = 0;
    while at < files.len() && files.len() < 100 {
        let file = files[at].clone();
        at += 1;
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in subject.text(&file).unwrap_or_default().lines() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            let option = ["-r", "--requirement", "-c", "--constraint"]
                .iter()
                .filter_map(|option| line.strip_prefix(option))
                .map(|rest| rest.trim_start_matches('=').trim())
                .next_back();
            if let Some(path) = option {
                let path = super::subject::join(folder, path.trim_start_matches("./"));
                if path.contains("..") {
                    return None;
                }
                if !path.contains("://") && !files.contains(&path) {
                    files.push(path);
                }
                continue;
            }
            let path = line.split_once(" @ ").map_or(line, |(_, path)| path);
            let path = path
                .trim_start_matches("-e")
                .trim_start_matches("--editable")
                .trim_start_matches("file:")
                .trim();
            if line.starts_with("-e")
                || line.starts_with("--editable")
                || path.starts_with('.')
                || path.ends_with(".whl") && !path.contains("://")
            {
                return None;
            }
        }
    }
    let mut folders: Vec<(String, Vec<String>)> = Vec::new();
    for file in files {
        let folder = match file.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => String::new(),
        };
        match folders.iter_mut().find(|(known, _)| *known == folder) {
            Some((_, files)) => files.push(file),
            None => folders.push((folder, vec![file])),
        }
    }
    Some(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_means_the_best_known_version_in_it() {
        assert_eq!(best(">=3.11").as_deref(), Some("3.13"));
        assert_eq!(best(">=3.11,<3.13").as_deref(), Some("3.12"));
        assert_eq!(best("==3.11.*").as_deref(), Some("3.11"));
        assert_eq!(best("^3.10").as_deref(), Some("3.13"));
        assert_eq!(best("~3.10").as_deref(), Some("3.10"));
        assert_eq!(best(">=3.14").as_deref(), Some("3.14"));
        assert_eq!(best("!=3.13.*,>=3.12,<3.14").as_deref(), Some("3.12"));
        assert_eq!(best(">=4"), None);
    }

    #[test]
    fn only_versions_are_versions() {
        assert_eq!(exact(" 3.12.4\n").as_deref(), Some("3.12.4"));
        for text in ["3", "pypy3.10", "3.12 && x", "", "system"] {
            assert_eq!(exact(text), None, "{text}");
        }
    }
}
