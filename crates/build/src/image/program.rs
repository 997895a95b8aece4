//! Which `docker` is run: the first on `PATH` for most, for builds one that can BuildKit.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use crate::{error::BuildError, tool::Tools};

/// How it is had where it isn't.
const INSTALL: &str = "install Docker's command line (sudo apt install docker-cli, or \
                       https://docs.docker.com/engine/install), or set runtime = \"process\"";

/// From this version on BuildKit is a plugin of its own; before it is built in.
const PLUGIN_SINCE: u32 = 23;

/// A program to build with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// Where it is.
    pub program: PathBuf,
    /// Whether it can BuildKit; else it has only the builder from before.
    pub buildkit: bool,
}

/// The program for everything but builds.
pub fn client(tools: &Tools<'_>) -> Result<PathBuf, BuildError> {
    tools.need("docker", INSTALL)
}

/// The program for builds: the first that can BuildKit, else the first.
pub fn builder(tools: &Tools<'_>) -> Result<Builder, BuildError> {
    let first = client(tools)?;
    let found = all(&tools.environment);
    let able = found.into_iter().find(|program| {
        let version = tools.ask(&[program.as_os_str(), OsStr::new("--version")]);
        match version.as_deref().and_then(major) {
            Some(major) if major < PLUGIN_SINCE => true,
            Some(_) => tools
                .ask(&[
                    program.as_os_str(),
                    OsStr::new("buildx"),
                    OsStr::new("version"),
                ])
                .is_some(),
            None => false,
        }
    });
    Ok(match able {
        Some(program) => Builder {
            program,
            buildkit: true,
        },
        None => Builder {
            program: first,
            buildkit: false,
        },
    })
}

/// Every `docker` on `PATH`, each program once.
fn all(environment: &BTreeMap<OsString, OsString>) -> Vec<PathBuf> {
    let mut programs: Vec<PathBuf> = Vec::new();
    let path = environment.get(OsStr::new("PATH"));
    for folder in path.into_iter().flat_map(std::env::split_paths) {
        let program = folder.join("docker");
        let real = program.canonicalize().unwrap_or_else(|_| program.clone());
        if is_program(&program)
            && !programs
                .iter()
                .any(|known| known.canonicalize().is_ok_and(|known| known == real))
        {
            programs.push(program);
        }
    }
    programs
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The major version in `Docker version 20.10.24+dfsg1, build 297e128`; none where it isn't Docker's.
fn major(said: &str) -> Option<u32> {
    let version = said.strip_prefix("Docker version ")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(
            major("Docker version 20.10.24+dfsg1, build 297e128"),
            Some(20)
        );
        assert_eq!(major("Docker version 28.2.2, build e6534b4"), Some(28));
        assert_eq!(major("podman version 4.3.1"), None);
    }

    #[test]
    fn each_program_counts_once() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b", "c"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        for name in ["a/docker", "c/docker"] {
            std::fs::write(at(name), "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink(at("a/docker"), at("b/docker")).unwrap();
        let path = std::env::join_paths(["a", "b", "c"].map(at)).unwrap();
        let found = all(&BTreeMap::from([("PATH".into(), path)]));
        assert_eq!(found, [at("a/docker"), at("c/docker")]);
    }
}
