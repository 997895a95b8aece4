//! Containers: made, started, stopped, removed, looked at.

use crate::{ContainerSpecification, Engine, EngineError, Labels, Object, label};
use bollard::{
    models::ContainerInspectResponse,
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
        WaitContainerOptionsBuilder,
    },
};
use futures_util::StreamExt as _;
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    time::Duration,
};
use tokio::io::AsyncWriteExt as _;

mod body;

/// How long writing to a container's input may take before it is looked whether it still runs.
const WRITE_TIME: Duration = Duration::from_millis(500);

/// A container as the Engine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// Its image's id.
    pub image: String,
    /// Its labels, the image's included.
    pub labels: Labels,
    /// In the Engine's words: `created`, `running`, `exited`, `dead`.
    pub status: String,
    /// Whether it runs.
    pub running: bool,
    /// Its first process, as this machine sees it, while it runs.
    pub pid: Option<u32>,
    /// How its first process ended, once it has.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed a process of it for want of memory since it was started. Older
    /// Engines say so only once it has ended, and miss it at times where it ended by it at once.
    pub oom_killed: bool,
    /// Why it couldn't be started, in the Engine's words.
    pub error: Option<String>,
    /// When it was started last, as RFC 3339 has it.
    pub started: Option<String>,
    /// When it ended last.
    pub finished: Option<String>,
    /// Its address on each of its networks, while it runs.
    pub addresses: BTreeMap<String, Ipv4Addr>,
    /// The parent of its cgroup, where one was asked for.
    pub cgroup_parent: Option<String>,
}

impl Container {
    /// Its address on `network`.
    pub fn address(&self, network: &str) -> Option<Ipv4Addr> {
        self.addresses.get(network).copied()
    }

    /// Whether it is of the host whose state is in `home`.
    pub fn is_of(&self, home: &str) -> bool {
        self.labels
            .get(label::HOME)
            .is_some_and(|found| found == home)
    }
}

impl Engine {
    /// Makes a container and gives its id. One of the same name: [`EngineError::Exists`] with the
    /// labels found, and nothing is touched.
    pub async fn create(
        &self,
        specification: &ContainerSpecification,
    ) -> Result<String, EngineError> {
        let known = self.known().await?;
        let body = body::of(specification, known.cpus, known.disk_limit);
        let options = CreateContainerOptionsBuilder::new()
            .name(&specification.name)
            .build();
        let doing = format!("making the container {}", specification.name);
        let about = Some((Object::Image, specification.image.as_str()));
        let made = self.docker().create_container(Some(options), body);
        match self.call(&doing, about, made).await {
            Ok(made) => Ok(made.id),
            Err(EngineError::Refused {
                code: 409, message, ..
            }) if message.contains("already in use") => {
                let found = self.container(&specification.name).await?;
                let found = found.unwrap_or_default();
                Err(EngineError::Exists {
                    object: Object::Container,
                    name: specification.name.clone(),
                    labels: found.labels,
                    running: found.running,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Starts a container. What is given as `stdin` has been written to its standard input, and
    /// that closed, when this returns; it must have been made with `input`.
    pub async fn start(&self, name: &str, stdin: Option<&[u8]>) -> Result<(), EngineError> {
        let doing = format!("starting the container {name}");
        let about = Some((Object::Container, name));
        let Some(bytes) = stdin else {
            let started = self.docker().start_container(name, None);
            return self.call(&doing, about, started).await;
        };
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .build();
        // Attached before it starts: what it reads first is what is written here.
        let attached = self.docker().attach_container(name, Some(options));
        let mut input = self.call(&doing, about, attached).await?.input;
        let started = self.docker().start_container(name, None);
        self.call(&doing, about, started).await?;
        let written = self.call(&doing, about, async {
            input.write_all(bytes).await?;
            input.shutdown().await?;
            Ok(())
        });
        // One that has ended reads nothing any more, and the Engine doesn't end the connection
        // then. That it ended is its watcher's to find.
        let ended = async {
            tokio::time::sleep(WRITE_TIME).await;
            self.wait(name).await
        };
        tokio::select! {
            done = written => done,
            done = ended => done.map(drop),
        }
    }

    /// Stops a container by its stop signal, and kills it after `grace`. One that doesn't run or
    /// isn't there is stopped.
    pub async fn stop(&self, name: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = grace.as_secs().min(i32::MAX as u64);
        let options = StopContainerOptionsBuilder::new().t(seconds as i32).build();
        let time = crate::engine::CALL_TIME + grace;
        let docker = self.docker().clone().with_timeout(time);
        let doing = format!("stopping the container {name}");
        let about = Some((Object::Container, name));
        let stopped = docker.stop_container(name, Some(options));
        unless_missing(self.call_within(time, &doing, about, stopped).await)
    }

    /// Kills a container. One that doesn't run or isn't there is killed.
    pub async fn kill(&self, name: &str) -> Result<(), EngineError> {
        self.signal(name, "SIGKILL").await
    }

    /// Sends a signal to a container's first process. To one that doesn't run or isn't there,
    /// nothing is sent.
    pub async fn signal(&self, name: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let doing = format!("sending {signal} to the container {name}");
        let about = Some((Object::Container, name));
        let killed = self.docker().kill_container(name, Some(options));
        match unless_missing(self.call(&doing, about, killed).await) {
            Err(EngineError::Refused { code: 409, .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes a container with its unnamed volumes; with `force` also one that runs. One that
    /// isn't there is removed.
    pub async fn remove(&self, name: &str, force: bool) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new()
            .force(force)
            .v(true)
            .build();
        let doing = format!("removing the container {name}");
        let about = Some((Object::Container, name));
        let removed = self.docker().remove_container(name, Some(options));
        match unless_missing(self.call(&doing, about, removed).await) {
            Err(EngineError::Refused {
                code: 409, message, ..
            }) if message.contains("already in progress") => {
                let gone = WaitContainerOptionsBuilder::new()
                    .condition("removed")
                    .build();
                let mut waited = std::pin::pin!(self.docker().wait_container(name, Some(gone)));
                self.call(&doing, None, async {
                    waited.next().await;
                    Ok(())
                })
                .await
            }
            other => other,
        }
    }

    /// Waits until a container isn't there any more. It has no end in time but that and the
    /// Engine's.
    pub async fn removed(&self, name: &str) -> Result<(), EngineError> {
        use bollard::errors::Error as Client;
        let options = WaitContainerOptionsBuilder::new()
            .condition("removed")
            .build();
        let mut waited = std::pin::pin!(self.docker().wait_container(name, Some(options)));
        match waited.next().await {
            None | Some(Ok(_) | Err(Client::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => {
                let doing = format!("waiting for the end of the container {name}");
                let about = Some((Object::Container, name));
                unless_missing(Err(self.failed(&doing, about, error)))
            }
        }
    }

    /// Waits until a container doesn't run, and looks at it then; none: it isn't there any more.
    /// It has no end in time but the container's and the Engine's.
    pub async fn wait(&self, name: &str) -> Result<Option<Container>, EngineError> {
        use bollard::errors::Error as Client;
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let mut waited = std::pin::pin!(self.docker().wait_container(name, Some(options)));
        let doing = format!("waiting for the container {name}");
        match waited.next().await {
            // An exit code that isn't 0 is an error to the client.
            None | Some(Ok(_) | Err(Client::DockerContainerWaitError { .. })) => {}
            Some(Err(error)) => {
                let about = Some((Object::Container, name));
                unless_missing(Err(self.failed(&doing, about, error)))?;
            }
        }
        let found = self.container(name).await?;
        match found {
            // The answer ended without one: the Engine went away.
            Some(found) if found.running => Err(EngineError::Lost {
                doing,
                reason: "its answer ended".to_owned(),
            }),
            found => Ok(found),
        }
    }

    /// Looks at a container.
    pub async fn container(&self, name: &str) -> Result<Option<Container>, EngineError> {
        let doing = format!("looking at the container {name}");
        let about = Some((Object::Container, name));
        let looked = self.docker().inspect_container(name, None);
        match self.call(&doing, about, looked).await {
            Ok(found) => Ok(Some(understood(found))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All containers with these labels, those that don't run included.
    pub async fn containers(&self, labels: &Labels) -> Result<Vec<Container>, EngineError> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&HashMap::from([("label", filters(labels))]))
            .build();
        let listed = self.docker().list_containers(Some(options));
        let listed = self.call("listing containers", None, listed).await?;
        let mut found = Vec::with_capacity(listed.len());
        for id in listed.into_iter().filter_map(|summary| summary.id) {
            // One that went away meanwhile isn't one any more.
            found.extend(self.container(&id).await?);
        }
        Ok(found)
    }

    /// The first process of a container as this machine sees it; none while it doesn't run.
    pub async fn host_pid(&self, name: &str) -> Result<Option<u32>, EngineError> {
        Ok(self.container(name).await?.and_then(|found| found.pid))
    }
}

/// A thing that isn't there needs nothing done to it.
pub(crate) fn unless_missing(done: Result<(), EngineError>) -> Result<(), EngineError> {
    match done {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}

/// Labels as the Engine's lists take them.
pub(crate) fn filters(labels: &Labels) -> Vec<String> {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

fn understood(found: ContainerInspectResponse) -> Container {
    let state = found.state.unwrap_or_default();
    let running = state.running.unwrap_or(false);
    let status = state
        .status
        .map(|status| status.to_string())
        .unwrap_or_default();
    // What never happened is a time in the year 1.
    let time = |text: Option<String>| text.filter(|text| !text.starts_with("0001-"));
    let started = time(state.started_at);
    let addresses = found
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(network, endpoint)| Some((network, endpoint.ip_address?.parse().ok()?)))
        .collect();
    Container {
        id: found.id.unwrap_or_default(),
        name: found
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        image: found.image.unwrap_or_default(),
        labels: found
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default()
            .into_iter()
            .collect(),
        pid: state
            .pid
            .and_then(|pid| pid.try_into().ok())
            .filter(|pid| *pid != 0),
        exit_code: state.exit_code.filter(|_| !running && started.is_some()),
        oom_killed: state.oom_killed.unwrap_or(false),
        error: state.error.filter(|text| !text.is_empty()),
        finished: time(state.finished_at),
        cgroup_parent: found
            .host_config
            .and_then(|host| host.cgroup_parent)
            .filter(|parent| !parent.is_empty()),
        started,
        status,
        running,
        addresses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ran_has_no_exit_code() {
        let state = |started: &str| bollard::models::ContainerState {
            running: Some(false),
            exit_code: Some(0),
            pid: Some(0),
            started_at: Some(started.to_owned()),
            ..bollard::models::ContainerState::default()
        };
        let found = |started| {
            understood(ContainerInspectResponse {
                state: Some(state(started)),
                ..ContainerInspectResponse::default()
            })
        };
        assert_eq!(found("0001-01-01T00:00:00Z").exit_code, None);
        assert_eq!(found("2026-01-01T00:00:00Z").exit_code, Some(0));
        assert_eq!(found("2026-01-01T00:00:00Z").pid, None);
    }
}
