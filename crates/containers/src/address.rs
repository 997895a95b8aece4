//! Which Engine is meant: a unix socket of this machine, or a reason why not.

use crate::EngineError;
use std::path::{Path, PathBuf};

/// Where the Engine of the system listens.
const SYSTEM_SOCKET: &str = "/var/run/docker.sock";

/// The Engine of this machine, by its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineAddress {
    socket: PathBuf,
}

impl EngineAddress {
    /// The Engine that listens at `socket`.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The Engine that the user's docker program would use: `DOCKER_HOST`, else the user's own
    /// (rootless) one where its socket is there, else the system's.
    ///
    /// Nothing is read but whether that one socket exists; the values come as arguments.
    pub fn from_environment(
        docker_host: Option<&str>,
        runtime_dir: Option<&str>,
        root: bool,
    ) -> Result<Self, EngineError> {
        choose(docker_host, runtime_dir, root, &|path| path.exists())
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl std::fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unix://{}", self.socket.display())
    }
}

fn choose(
    docker_host: Option<&str>,
    runtime_dir: Option<&str>,
    root: bool,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<EngineAddress, EngineError> {
    if let Some(given) = docker_host.map(str::trim).filter(|given| !given.is_empty()) {
        let path = given.strip_prefix("unix://").unwrap_or(given);
        if !path.starts_with('/') {
            return Err(EngineError::Elsewhere {
                address: without_password(given),
                why: "DOCKER_HOST names an Engine that isn't reached by a unix socket of this \
                      machine"
                    .to_owned(),
            });
        }
        return Ok(EngineAddress::at(path));
    }
    if let Some(folder) = runtime_dir.filter(|folder| !root && folder.starts_with('/')) {
        let own = Path::new(folder).join("docker.sock");
        if exists(&own) {
            return Ok(EngineAddress::at(own));
        }
    }
    Ok(EngineAddress::at(SYSTEM_SOCKET))
}

/// An address may hold a name and a password before its host; neither is shown.
fn without_password(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() {
        host.to_owned()
    } else {
        format!("{scheme}://{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(
        docker_host: Option<&str>,
        runtime_dir: Option<&str>,
        root: bool,
        there: &str,
    ) -> Result<String, EngineError> {
        let found = choose(docker_host, runtime_dir, root, &|path| {
            path == Path::new(there)
        })?;
        Ok(found.socket().display().to_string())
    }

    #[test]
    fn what_the_environment_names_is_taken() {
        let own = Some("/run/user/7");
        let there = "/run/user/7/docker.sock";
        for (given, socket) in [
            (Some("unix:///tmp/d.sock"), "/tmp/d.sock"),
            (Some("/tmp/d.sock"), "/tmp/d.sock"),
            (Some(" "), there),
            (None, there),
        ] {
            assert_eq!(chosen(given, own, false, there).unwrap(), socket);
        }
    }

    #[test]
    fn root_and_those_without_an_engine_of_their_own_use_the_systems() {
        let own = Some("/run/user/0");
        let there = "/run/user/0/docker.sock";
        assert_eq!(chosen(None, own, true, there).unwrap(), SYSTEM_SOCKET);
        assert_eq!(chosen(None, own, false, "").unwrap(), SYSTEM_SOCKET);
        assert_eq!(chosen(None, None, false, "").unwrap(), SYSTEM_SOCKET);
    }

    #[test]
    fn other_machines_are_refused_and_their_passwords_not_shown() {
        for given in [
            "tcp://somebody:hunter2@10.0.0.1:2375",
            "ssh://somebody:hunter2@server",
            "somebody:hunter2@server",
            "npipe:////./pipe/docker_engine",
        ] {
            let error = chosen(Some(given), None, true, "").unwrap_err();
            assert_eq!(error.name(), "engine-elsewhere", "{given}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
