//! PostgreSQL and Redis as this machine's packages bring them: where their programs are, and of which
//! version.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use landfall_app::model::BackingKind;
use landfall_release::Failure;

/// Where Debian and Ubuntu keep PostgreSQL, a folder for each major version.
const POSTGRES: &str = "/usr/lib/postgresql";

/// A server that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// Its version as far as it is known: `15`, `7.0.15`.
    pub version: String,
    /// The folder of its programs.
    pub folder: PathBuf,
}

impl Programs {
    /// One of them.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// The first number of a version: what decides whether data can be read.
pub fn major(version: &str) -> &str {
    let end = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    &version[..end]
}

/// Whether a version is what was asked for: `7` is satisfied by `7.0.15`, `15.4` by `15`, whose
/// minor number isn't known before it runs.
pub fn satisfies(there: &str, wanted: &str) -> bool {
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let (there, wanted) = (number(there), number(wanted));
    there
        .split('.')
        .zip(wanted.split('.'))
        .all(|(there, wanted)| wanted.is_empty() || there == wanted)
}

/// What is installed of a kind, the newest first.
pub fn installed(kind: &BackingKind) -> Vec<Programs> {
    match kind {
        BackingKind::Postgres => postgres(Path::new(POSTGRES)),
        BackingKind::Redis => redis().into_iter().collect(),
        BackingKind::Image(_) => Vec::new(),
    }
}

fn postgres(root: &Path) -> Vec<Programs> {
    let mut found: Vec<(u32, Programs)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().into_string().ok()?;
            let folder = entry.path().join("bin");
            let number = version.parse().ok()?;
            let there = folder.join("postgres").is_file();
            there.then_some((number, Programs { version, folder }))
        })
        .collect();
    if found.is_empty()
        && let Some(program) = on_path("postgres")
        && let Some(version) = said(&program, "postgres (PostgreSQL) ")
        && let Some(folder) = program.parent()
    {
        let version = major(&version).to_owned();
        let number = version.parse().unwrap_or(0);
        let folder = folder.to_owned();
        found.push((number, Programs { version, folder }));
    }
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, programs)| programs).collect()
}

fn redis() -> Option<Programs> {
    let program = on_path("redis-server")?;
    let version = said(&program, "Redis server v=")?;
    Some(Programs {
        version,
        folder: program.parent()?.to_owned(),
    })
}

/// A program on the path, and where it usually is: the host's path may be the short one of a service
/// manager.
fn on_path(name: &str) -> Option<PathBuf> {
    let own = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let more = ["/usr/local/bin", "/usr/bin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&own)
        .chain(more)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The word behind a text in what a program says of its version. It is asked once for each program
/// that is there, for this is looked at often and by whom nothing may wait for.
fn said(program: &Path, before: &str) -> Option<String> {
    static ASKED: Mutex<BTreeMap<(PathBuf, SystemTime), String>> = Mutex::new(BTreeMap::new());
    let key = (
        program.to_owned(),
        fs::metadata(program).ok()?.modified().ok()?,
    );
    let asked = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(version) = asked().get(&key) {
        return Some(version.clone());
    }
    let version = ask(program, before)?;
    asked().insert(key, version.clone());
    Some(version)
}

fn ask(program: &Path, before: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_whitespace().next()?.to_owned())
}

/// The programs for a version, or the failure that names what there is and what brings more.
pub fn find(name: &str, kind: &BackingKind, wanted: Option<&str>) -> Result<Programs, Failure> {
    choose(name, kind, wanted, installed(kind))
}

fn choose(
    name: &str,
    kind: &BackingKind,
    wanted: Option<&str>,
    installed: Vec<Programs>,
) -> Result<Programs, Failure> {
    let there: Vec<String> = installed
        .iter()
        .map(|programs| programs.version.clone())
        .collect();
    let found = installed
        .into_iter()
        .find(|programs| wanted.is_none_or(|wanted| satisfies(&programs.version, wanted)));
    if let Some(found) = found {
        return Ok(found);
    }
    let (product, package) = match kind {
        BackingKind::Postgres => (
            "PostgreSQL",
            wanted.map_or("postgresql".to_owned(), |wanted| {
                format!("postgresql-{}", major(wanted))
            }),
        ),
        BackingKind::Redis => ("Redis", "redis-server".to_owned()),
        BackingKind::Image(image) => {
            let message = format!("{name} is the image {image}, which doesn't run as a process");
            return Err(Failure::new("version-missing", message)
                .with("mend", "take runtime = \"process\" away"));
        }
    };
    let asked = wanted.map_or(product.to_owned(), |wanted| format!("{product} {wanted}"));
    let message = match there.as_slice() {
        [] => format!("{name} is {asked}, and this machine has no {product}"),
        there => format!(
            "{name} is {asked}, and this machine has {product} {}",
            there.join(", ")
        ),
    };
    let mut ways = vec![format!("apt-get install {package}")];
    if let Some(version) = there.first() {
        ways.push(format!("version = \"{}\"", major(version)));
    }
    ways.push("runtime = \"container\"".to_owned());
    Err(Failure::new("version-missing", message).with("mend", ways.join(", or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(version: &str) -> Programs {
        Programs {
            version: version.to_owned(),
            folder: "/usr/bin".into(),
        }
    }

    #[test]
    fn versions_that_satisfy() {
        for (there, wanted) in [
            ("15", "15"),
            ("7.0.15", "7"),
            ("7.0.15", "7.0"),
            ("15", "15.4"),
            ("15", "15-alpine"),
        ] {
            assert!(satisfies(there, wanted), "{there} {wanted}");
        }
        for (there, wanted) in [("15", "16"), ("7.0.15", "7.2"), ("7.0.15", "6")] {
            assert!(!satisfies(there, wanted), "{there} {wanted}");
        }
        assert_eq!((major("15.4-alpine"), major("latest")), ("15", ""));
    }

    #[test]
    fn what_is_missing_is_named_with_what_brings_it() {
        let kind = BackingKind::Postgres;
        let failure = choose("postgres", &kind, Some("16"), vec![there("15")]).unwrap_err();
        assert_eq!(failure.name, "version-missing");
        assert_eq!(
            failure.message,
            "postgres is PostgreSQL 16, and this machine has PostgreSQL 15"
        );
        assert_eq!(
            failure.details[0].text,
            "apt-get install postgresql-16, or version = \"15\", or runtime = \"container\""
        );
        let failure = choose("cache", &BackingKind::Redis, None, vec![]).unwrap_err();
        assert_eq!(
            failure.message,
            "cache is Redis, and this machine has no Redis"
        );
        let chosen = choose("db", &kind, None, vec![there("15")]);
        assert_eq!(chosen.unwrap(), there("15"));
    }

    #[test]
    fn the_newest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9", "15", "16"] {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("postgres"), "").unwrap();
        }
        let found: Vec<_> = postgres(folder.path())
            .into_iter()
            .map(|programs| programs.version)
            .collect();
        assert_eq!(found, ["16", "15", "9"]);
    }
}
