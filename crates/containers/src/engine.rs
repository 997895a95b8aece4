//! The connection to the Engine, and the way every call of it is made: with an end in time.

use crate::{EngineAddress, EngineError, Information, Object};
use bollard::{Docker, errors::Error as ClientError};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::UnixStream, sync::Mutex, sync::OnceCell, time::timeout};

/// How long a connection and the first answer may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long a call may take that doesn't wait by nature.
pub(crate) const CALL_TIME: Duration = Duration::from_secs(120);
/// The oldest API that has what is used here.
const OLDEST_API: (u32, u32) = (1, 41);

/// The Engine. Cheap to clone; a connection is made for each call, so one that was lost is no matter.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    docker: Docker,
    address: EngineAddress,
    version: String,
    /// What doesn't change while the Engine runs, for limits that depend on the machine.
    information: OnceCell<Information>,
    /// Engines before 25 make several networks of one name when asked at the same time.
    networks: Mutex<()>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("address", &self.inner.address.to_string())
            .field("version", &self.inner.version)
            .finish()
    }
}

impl Engine {
    /// Connects to the Engine at `address` and checks that it answers and is one that can be used.
    pub async fn connect(address: &EngineAddress) -> Result<Self, EngineError> {
        Self::connect_within(CONNECT_TIME, address).await
    }

    async fn connect_within(time: Duration, address: &EngineAddress) -> Result<Self, EngineError> {
        let socket = address.socket().to_owned();
        let tried = timeout(time, UnixStream::connect(&socket)).await;
        let silent = || EngineError::Silent {
            doing: "connecting".to_owned(),
            after: time,
        };
        match tried.map_err(|_| silent())? {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(EngineError::Denied { socket });
            }
            Err(error) => {
                return Err(EngineError::NotRunning {
                    socket,
                    reason: error.to_string(),
                });
            }
        }
        let path = socket.to_str().ok_or_else(|| EngineError::Elsewhere {
            address: address.to_string(),
            why: "its path isn't UTF-8".to_owned(),
        })?;
        let asking = |error| EngineError::of_call("asking for its version", None, error);
        let docker =
            Docker::connect_with_unix(path, CALL_TIME.as_secs(), bollard::API_DEFAULT_VERSION)
                .map_err(asking)?;
        let negotiated = timeout(time, async {
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            Ok((docker, version))
        });
        let (docker, version) = negotiated.await.map_err(|_| silent())?.map_err(asking)?;
        let platform = version.platform.map(|platform| platform.name);
        let number = version.version.unwrap_or_default();
        let api = version.api_version.unwrap_or_default();
        usable(address, platform.as_deref(), &number, &api)?;
        Ok(Self {
            inner: Arc::new(Inner {
                docker,
                address: address.clone(),
                version: number,
                information: OnceCell::new(),
                networks: Mutex::new(()),
            }),
        })
    }

    /// Its address.
    pub fn address(&self) -> &EngineAddress {
        &self.inner.address
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// What it said about itself when it was first asked.
    pub(crate) async fn known(&self) -> Result<&Information, EngineError> {
        let asked = self
            .inner
            .information
            .get_or_try_init(|| self.information());
        asked.await
    }

    pub(crate) fn docker(&self) -> &Docker {
        &self.inner.docker
    }

    /// Held while a network is looked for and made.
    pub(crate) fn networks_lock(&self) -> &Mutex<()> {
        &self.inner.networks
    }

    /// Makes a call that must end within the usual time.
    pub(crate) async fn call<T>(
        &self,
        doing: &str,
        about: Option<(Object, &str)>,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, EngineError> {
        self.call_within(CALL_TIME, doing, about, call).await
    }

    /// Makes a call that must end within `time`.
    pub(crate) async fn call_within<T>(
        &self,
        time: Duration,
        doing: &str,
        about: Option<(Object, &str)>,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, EngineError> {
        match timeout(time, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(doing, about, error)),
            Err(_) => Err(EngineError::Silent {
                doing: doing.to_owned(),
                after: time,
            }),
        }
    }

    /// What a failed call means.
    pub(crate) fn failed(
        &self,
        doing: &str,
        about: Option<(Object, &str)>,
        error: ClientError,
    ) -> EngineError {
        match &error {
            ClientError::HyperLegacyError { err } if err.is_connect() => EngineError::NotRunning {
                socket: self.inner.address.socket().to_owned(),
                reason: crate::error::causes(err),
            },
            _ => EngineError::of_call(doing, about, error),
        }
    }
}

/// Whether an Engine that says this about itself can be used.
fn usable(
    address: &EngineAddress,
    platform: Option<&str>,
    version: &str,
    api: &str,
) -> Result<(), EngineError> {
    if platform.is_some_and(|platform| platform.starts_with("Docker Desktop")) {
        return Err(EngineError::Elsewhere {
            address: address.to_string(),
            why: "Docker Desktop runs its containers in a virtual machine of its own, whose \
                  folders and addresses aren't this machine's"
                .to_owned(),
        });
    }
    let mut numbers = api.split('.').map(|number| number.parse::<u32>().ok());
    let found = (numbers.next().flatten(), numbers.next().flatten());
    match found {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST_API => Ok(()),
        _ => Err(EngineError::TooOld {
            version: version.to_owned(),
            api: api.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_engines_and_those_in_machines_of_their_own_are_refused() {
        let address = EngineAddress::at("/s");
        let judged = |platform: Option<&str>, api: &str| {
            usable(&address, platform, "1", api).map_err(|error| error.name())
        };
        assert_eq!(judged(None, "1.41"), Ok(()));
        assert_eq!(judged(Some("Docker Engine - Community"), "1.53"), Ok(()));
        assert_eq!(judged(None, "2.0"), Ok(()));
        assert_eq!(judged(None, "1.40"), Err("engine-too-old"));
        assert_eq!(judged(None, ""), Err("engine-too-old"));
        let desktop = judged(Some("Docker Desktop 4.30.0"), "1.45");
        assert_eq!(desktop, Err("engine-elsewhere"));
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_at_is_no_engine() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let address = EngineAddress::at(&socket);
        let absent = Engine::connect(&address).await.unwrap_err();
        assert_eq!(absent.name(), "no-engine");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let dead = Engine::connect(&address).await.unwrap_err();
        assert_eq!(dead.name(), "no-engine");
        assert!(dead.is_away());
    }

    #[tokio::test]
    async fn a_socket_that_is_closed_to_the_user_says_so() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
        let address = EngineAddress::at(&socket);
        let error = Engine::connect_within(Duration::from_millis(50), &address).await;
        // Nothing is closed to root, for whom this one only hangs.
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let expected = if root { "engine-lost" } else { "engine-denied" };
        assert_eq!(error.unwrap_err().name(), expected);
    }

    #[tokio::test]
    async fn an_engine_that_hangs_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let address = EngineAddress::at(&socket);
        let error = Engine::connect_within(Duration::from_millis(50), &address).await;
        assert_eq!(error.unwrap_err().name(), "engine-lost");
    }
}
