//! Where an instance runs: as plain processes of this machine, or in a container.
//!
//! Both are the same to everyone else: a folder with a supervisor's specification, control socket
//! and state, and segments in a log folder. In a container the supervisor is process 1, its folder
//! and the log folder are put in from outside, and so its control socket is reached through the
//! file system as any other. What differs is in here: how one is started, ended and found, where it
//! listens, and which processes of this machine are its.

mod command;
mod container;
mod engine;
mod frame;
mod leftover;
mod lost;
mod network;
mod plain;
mod processes;
mod program;
mod service;

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use landfall_containers::ContainerSpecification;
use landfall_release::Failure;
use landfall_supervise::specification::{Sensitive, Specification};

use crate::{
    host::Host,
    instance::{Instance, View},
};

pub use command::{Command, UNUSED, command, execution_file};
pub use container::{complete, create, fresh_folder, mark_one_off, marker, runs_on};
pub use engine::{Engines, is_away};
pub use frame::{Frame, container_name, frame, labels};
pub use leftover::{
    BY_HAND, end_commands_before, end_runs_left, run_incarnation, sweep_unknown_behind, tidy,
};
pub use lost::how_it_was_lost;
pub use network::{forget, gateway, network, network_name};
pub use processes::Processes;
pub use program::supervisor;
pub use service::{
    contained, container, directory, effective, ensure_volumes, image_environment, place,
    prepare_one_off, runs, volume_name, with_entry_point,
};

/// Where a container finds its instance's folder.
pub const INSTANCE: &str = "/.landfall/instance";
/// Where it finds the folder of its log's segments.
pub const LOGS: &str = "/.landfall/logs";
/// Where it finds the supervisor's program.
pub const SUPERVISOR: &str = "/.landfall/supervise";

/// An instance to start.
pub struct Launch {
    /// Its id.
    pub id: String,
    /// Its folder; for a container one that nobody but this user can reach from above.
    pub folder: PathBuf,
    /// What its supervisor is told. For a container the log folder is still this machine's.
    pub specification: Specification,
    /// What of that is secret.
    pub sensitive: Sensitive,
    /// The container that it runs in; none: plain processes. Its name, command and the mounts that
    /// every instance has are filled in.
    pub container: Option<ContainerSpecification>,
}

/// Writes an instance's folder and starts its supervisor, which then has its control socket. The
/// address where it has one of its own: a container's on its app's network.
pub async fn launch(host: &Host, launch: &Launch) -> Result<Option<Ipv4Addr>, Failure> {
    match &launch.container {
        Some(container) => {
            let started = container::start(host, launch, container).await;
            host.engines.note(started.as_ref().err());
            started
        }
        None => {
            let program = &host.settings.supervise_program;
            let Launch {
                folder,
                specification,
                sensitive,
                ..
            } = launch;
            container::leave_container(folder).map_err(|error| {
                let message = format!("{} can't be made anew: {error}", folder.display());
                Failure::new("supervisor-failed", message)
            })?;
            crate::instance::start(program, folder, specification, sensitive).await?;
            Ok(None)
        }
    }
}

/// Ends an instance: asks it by its control socket, kills what doesn't end in time, and sweeps what
/// is left of it. Its folder stays.
pub async fn end(host: &Host, id: &str, folder: &Path, grace: Duration) {
    end_and(host, id, folder, grace, Ended::Removed).await;
}

/// What becomes of a container that has ended as it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is removed.
    Removed,
    /// It stays, stopped, for whoever wants to look at it; [`tidy`] removes it.
    Kept,
}

/// Ends an instance as [`end`] does.
pub async fn end_and(host: &Host, id: &str, folder: &Path, grace: Duration, then: Ended) {
    let instance = match host.instance(id) {
        Some(instance) => Some(instance),
        None => Instance::adopt(id, folder, host.notices.clone()).await.ok(),
    };
    let ended = match &instance {
        Some(instance) => instance.ask_to_stop(grace).await,
        None => false,
    };
    match marker(folder) {
        Some(_) if ended && then == Ended::Kept => container::unmark(folder),
        Some(marker) => container::end(host, &marker, folder, ended).await,
        None => {
            let supervisor =
                instance
                    .filter(|_| !ended)
                    .and_then(|instance| match instance.view() {
                        View::Alive(state) => Some(state.supervisor),
                        View::Gone(_) => None,
                    });
            plain::end(id, folder, supervisor).await;
        }
    }
    host.forget(id);
}

/// Ends whatever a dead supervisor left: where it was process 1 of a container, that container.
pub async fn sweep(host: &Host, id: &str, folder: &Path) {
    match marker(folder) {
        Some(marker) => container::end(host, &marker, folder, false).await,
        None => plain::end(id, folder, None).await,
    }
}
