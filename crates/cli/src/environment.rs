//! Every environment variable that the command reads, read here and nowhere else.

use std::{env, path::PathBuf};

use landfall_redact::Secret;

/// Ports given to apps unless `LANDFALL_PORTS` says otherwise: below the ephemeral ones.
const PORTS: (u16, u16) = (20_000, 29_999);

/// The variables, each with what it does: for the manual.
pub const VARIABLES: [(&str, &str); 10] = [
    (
        "LANDFALL_HOME",
        "the host's state folder; by default ~/.local/state/landfall, for root /var/lib/landfall",
    ),
    ("LANDFALL_KEY", "the key that decrypts secrets, for CI"),
    (
        "LANDFALL_KEY_FILE",
        "the file that holds it; by default ~/.config/landfall/key",
    ),
    ("LANDFALL_PORTS", "ports for apps, such as 20000-29999"),
    (
        "LANDFALL_HTTP_PORT",
        "the port that all apps share by host name; 8080 by default",
    ),
    (
        "LANDFALL_FAULTS",
        "faults injected into rollouts, for tests",
    ),
    (
        "LANDFALL_SUPERVISE_STATIC",
        "the static landfall-supervise that is put into containers, where it isn't beside landfall",
    ),
    (
        "DOCKER_HOST",
        "the Docker Engine, by a unix socket of this machine; the user's own or the system's by default",
    ),
    ("NO_COLOR", "no colours"),
    ("CI", "no spinner, even on a terminal"),
];

/// What they say.
#[derive(Debug, Clone)]
pub struct Environment {
    pub home: PathBuf,
    pub key: Option<Secret>,
    pub key_file: Option<PathBuf>,
    pub ports: (u16, u16),
    pub http_port: Option<u16>,
    pub faults: Option<String>,
    pub supervise_static: Option<PathBuf>,
    pub engine: Option<String>,
    pub runtime_folder: Option<String>,
    pub no_color: bool,
    pub ci: bool,
    pub user: String,
}

/// Why they can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error("{name} holds `{value}`, expected {expected}")]
    Unreadable {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("neither LANDFALL_HOME nor HOME is set, so there is no place for the host's state")]
    NoHome,
}

impl Environment {
    /// Reads them.
    pub fn read() -> Result<Self, EnvironmentError> {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let user_folder = path("HOME");
        let root = rustix::process::geteuid().is_root();
        let home = match path("LANDFALL_HOME") {
            // A relative one would be another folder for each folder it is read in.
            Some(home) => std::path::absolute(&home).unwrap_or(home),
            None if root => PathBuf::from("/var/lib/landfall"),
            None => user_folder
                .as_ref()
                .ok_or(EnvironmentError::NoHome)?
                .join(".local/state/landfall"),
        };
        let key_file = path("LANDFALL_KEY_FILE").or_else(|| {
            let configuration = path("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
            Some(
                configuration
                    .or_else(|| Some(user_folder?.join(".config")))?
                    .join("landfall/key"),
            )
        });
        let ports = text("LANDFALL_PORTS").map_or(Ok(PORTS), |value| ports(&value))?;
        let http_port = text("LANDFALL_HTTP_PORT")
            .map(|value| http_port(&value))
            .transpose()?;
        Ok(Self {
            home,
            key: text("LANDFALL_KEY").map(Secret::new),
            key_file,
            ports,
            http_port,
            faults: text("LANDFALL_FAULTS"),
            supervise_static: path("LANDFALL_SUPERVISE_STATIC"),
            engine: text("DOCKER_HOST"),
            runtime_folder: text("XDG_RUNTIME_DIR"),
            no_color: text("NO_COLOR").is_some(),
            ci: text("CI").is_some(),
            user: text("USER")
                .or_else(|| text("LOGNAME"))
                .unwrap_or_else(|| match root {
                    true => "root".to_owned(),
                    false => format!("uid{}", rustix::process::geteuid().as_raw()),
                }),
        })
    }

    /// Who asks, for the record: `user@machine`.
    pub fn by(&self) -> String {
        let machine = rustix::system::uname();
        format!("{}@{}", self.user, machine.nodename().to_string_lossy())
    }
}

fn ports(value: &str) -> Result<(u16, u16), EnvironmentError> {
    value
        .split_once('-')
        .and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)))
        .filter(|(from, to)| from > &0 && from <= to)
        .ok_or_else(|| EnvironmentError::Unreadable {
            name: "LANDFALL_PORTS",
            value: value.to_owned(),
            expected: "a range such as 20000-29999",
        })
}

fn http_port(value: &str) -> Result<u16, EnvironmentError> {
    value
        .trim()
        .parse()
        .map_err(|_| EnvironmentError::Unreadable {
            name: "LANDFALL_HTTP_PORT",
            value: value.to_owned(),
            expected: "a port, or 0 for any",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports() {
        assert_eq!(ports("20000-20010").unwrap(), (20_000, 20_010));
        for bad in ["", "20000", "5-4", "0-3", "a-b", "1-70000"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_shared_port() {
        assert_eq!(http_port("0").unwrap(), 0);
        assert!(http_port("70000").is_err());
    }
}
