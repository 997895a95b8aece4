//! What goes wrong with the Engine, each with its name and its mend.

use crate::Labels;
use landfall_release::Failure;
use std::{path::PathBuf, time::Duration};

/// What kind of thing of the Engine is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        })
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers at the socket.
    #[error("no Docker Engine answers at {}: {reason}", socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The socket is there, and this user may not use it.
    #[error("the Docker Engine's socket {} is closed to this user", socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
    },
    /// The Engine isn't this machine's.
    #[error("the Docker Engine at {address} can't be used: {why}")]
    Elsewhere {
        /// Its address, without a password.
        address: String,
        /// Why it can't.
        why: String,
    },
    /// The Engine is older than is supported.
    #[error(
        "the Docker Engine is too old: version {version} with API {api}, needed are 20.10 with API 1.41"
    )]
    TooOld {
        /// Its version.
        version: String,
        /// The newest version of its API.
        api: String,
    },
    /// It took the call and didn't answer in time.
    #[error("the Docker Engine didn't answer within {} s: {doing}", after.as_secs())]
    Silent {
        /// What was asked of it.
        doing: String,
        /// How long was waited.
        after: Duration,
    },
    /// It went away during a call.
    #[error("the Docker Engine went away: {doing}: {reason}")]
    Lost {
        /// What was asked of it.
        doing: String,
        /// What the connection said.
        reason: String,
    },
    /// It said no; in its own words.
    #[error("the Docker Engine refused: {doing}: {message}")]
    Refused {
        /// What was asked of it.
        doing: String,
        /// Its status code.
        code: u16,
        /// Its words.
        message: String,
    },
    /// A thing of that name is there already.
    #[error("there is a {object} named {name} already{}", whose(labels))]
    Exists {
        /// What it is.
        object: Object,
        /// Its name.
        name: String,
        /// The labels found on it, all of them.
        labels: Labels,
        /// Whether it runs (containers) or is used.
        running: bool,
    },
    /// There is no thing of that name.
    #[error("the Docker Engine has no {object} {name}")]
    Missing {
        /// What it is.
        object: Object,
        /// Its name.
        name: String,
    },
    /// It answered with something that can't be understood, or the request couldn't be made.
    #[error("the Docker Engine's answer can't be used: {doing}: {reason}")]
    Odd {
        /// What was asked of it.
        doing: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What the caller gave to read from or to write to failed.
    #[error("{doing}: {source}")]
    Stream {
        /// What was done.
        doing: String,
        /// The caller's stream's own error.
        source: std::io::Error,
    },
}

/// Whose thing it is, as far as its labels say.
fn whose(labels: &Labels) -> String {
    match labels.get(crate::label::HOME) {
        Some(home) => format!(", of the host whose state is in {home}"),
        None => ", and it isn't Landfall's".to_owned(),
    }
}

impl EngineError {
    /// Its stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => "no-engine",
            Self::Denied { .. } => "engine-denied",
            Self::Elsewhere { .. } => "engine-elsewhere",
            Self::TooOld { .. } => "engine-too-old",
            Self::Silent { .. } | Self::Lost { .. } => "engine-lost",
            Self::Refused { .. } | Self::Odd { .. } => "engine-refused",
            Self::Exists { object, .. } => match object {
                Object::Container | Object::Image => "container-exists",
                Object::Network => "network-exists",
                Object::Volume => "volume-exists",
            },
            Self::Missing { object, .. } => match object {
                Object::Image => "image-missing",
                Object::Container | Object::Network | Object::Volume => "container-missing",
            },
            Self::Stream { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull => "disk-full",
                _ => "stream-failed",
            },
        }
    }

    /// Whether the Engine itself is away, so that the same call may well succeed later.
    pub fn is_away(&self) -> bool {
        matches!(
            self,
            Self::NotRunning { .. } | Self::Silent { .. } | Self::Lost { .. }
        )
    }

    /// Whether what was asked for isn't there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// What a call's failure is. `object` and `name`: what a "not found" is about.
    pub(crate) fn of_call(
        doing: &str,
        about: Option<(Object, &str)>,
        error: bollard::errors::Error,
    ) -> Self {
        use bollard::errors::Error as Client;
        let doing = doing.to_owned();
        match error {
            Client::DockerResponseServerError {
                status_code: 404, ..
            } if about.is_some() => {
                let (object, name) = about.expect("looked at in the guard");
                Self::Missing {
                    object,
                    name: name.to_owned(),
                }
            }
            Client::DockerResponseServerError {
                status_code,
                message,
            } => Self::Refused {
                doing,
                code: status_code,
                message: message.trim().to_owned(),
            },
            Client::DockerStreamError { error } => Self::Refused {
                doing,
                code: 0,
                message: error,
            },
            Client::RequestTimeoutError => Self::Silent {
                doing,
                after: crate::engine::CALL_TIME,
            },
            Client::HyperLegacyError { .. }
            | Client::HyperResponseError { .. }
            | Client::IOError { .. }
            | Client::SocketNotFoundError(_) => Self::Lost {
                doing,
                reason: causes(&error),
            },
            other => Self::Odd {
                doing,
                reason: causes(&other),
            },
        }
    }

    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::NotRunning { .. } => "install the Docker Engine and start it (`sudo systemctl \
                enable --now docker`), or run the service without containers: `runtime = \
                \"process\"` in the app file"
                .to_owned(),
            Self::Denied { .. } => "let this user use it: `sudo usermod -aG docker $USER` and log \
                in again (that is as much as being root), or install rootless Docker, or set \
                `runtime = \"process\"` in the app file"
                .to_owned(),
            Self::Elsewhere { .. } => "unset DOCKER_HOST, or name the socket of an Engine of this \
                machine: `DOCKER_HOST=unix:///var/run/docker.sock`; without one: `runtime = \
                \"process\"` in the app file"
                .to_owned(),
            Self::TooOld { .. } => {
                "upgrade the Docker Engine to 20.10 or newer, or set `runtime = \
                \"process\"` in the app file"
                    .to_owned()
            }
            Self::Silent { .. } | Self::Lost { .. } => "look at the Engine's own log (`journalctl \
                -u docker`), then try again"
                .to_owned(),
            Self::Exists { object, name, .. } => match object {
                Object::Container | Object::Image => format!(
                    "look at it with `docker inspect {name}`; if nobody needs it, `docker rm {name}`"
                ),
                Object::Network => format!(
                    "look at it with `docker network inspect {name}`; if nobody needs it, `docker \
                     network rm {name}`"
                ),
                Object::Volume => format!(
                    "look at it with `docker volume inspect {name}`; it may hold data, so nothing \
                     is taken away"
                ),
            },
            Self::Missing {
                object: Object::Image,
                name,
            } => format!("build it again with `landfall deploy`, or `docker pull {name}`"),
            Self::Missing { .. }
            | Self::Refused { .. }
            | Self::Odd { .. }
            | Self::Stream { .. } => return None,
        })
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let failure = Self::new(error.name(), error.to_string());
        match error.mend() {
            Some(mend) => failure.with("mend", mend),
            None => failure,
        }
    }
}

/// An error and what lies under it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        below = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::errors::Error as Client;

    fn answer(code: u16) -> Client {
        Client::DockerResponseServerError {
            status_code: code,
            message: "its words\n".to_owned(),
        }
    }

    #[test]
    fn not_found_is_about_what_was_asked_for() {
        let about = Some((Object::Image, "shop:1"));
        let missing = EngineError::of_call("making a container", about, answer(404));
        assert_eq!(missing.name(), "image-missing");
        assert!(missing.to_string().contains("shop:1"));
        let refused = EngineError::of_call("making a container", None, answer(404));
        assert_eq!(refused.name(), "engine-refused");
        assert!(refused.to_string().ends_with("its words"), "{refused}");
    }

    #[test]
    fn a_thing_of_the_same_name_says_whose_it_is() {
        let found = |labels: Labels| EngineError::Exists {
            object: Object::Container,
            name: "landfall.shop".to_owned(),
            labels,
            running: false,
        };
        assert!(
            found(Labels::new())
                .to_string()
                .contains("isn't Landfall's")
        );
        let ours = [(crate::label::HOME.to_owned(), "/home/a".to_owned())];
        let said = found(ours.into()).to_string();
        assert!(said.contains("/home/a"), "{said}");
        let failure = Failure::from(found(Labels::new()));
        assert_eq!(failure.name, "container-exists");
        assert_eq!(failure.details[0].label, "mend");
    }

    #[test]
    fn without_an_engine_the_other_runtime_is_named() {
        let errors = [
            EngineError::NotRunning {
                socket: "/s".into(),
                reason: "no such file".to_owned(),
            },
            EngineError::Denied {
                socket: "/s".into(),
            },
        ];
        for error in errors {
            let failure = Failure::from(error);
            assert!(failure.details[0].text.contains("runtime = \"process\""));
        }
    }
}
