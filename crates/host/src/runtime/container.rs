//! Containers: an instance whose supervisor is process 1 of one.

use std::{
    fs, io,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use landfall_containers::{Container, ContainerSpecification, Engine, EngineError, Mount};
use landfall_release::Failure;
use landfall_supervise::{
    specification::{Logs, files},
    tree,
};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{INSTANCE, LOGS, Launch, SUPERVISOR, container_name, supervisor};
use crate::{
    home::make_folder,
    host::{Host, boot_id},
    instance::{connect, write_private},
    report::remark,
};

/// How long a started supervisor may take until its control socket is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is kept of an instance's container beside its folder, where the container can't write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Marker {
    /// Its name.
    pub name: String,
    /// The Engine's id of it; none until it was made.
    pub container: Option<String>,
    /// Its first process, as this machine sees it.
    pub process: Option<u32>,
    /// Which one that is among all that ever have that number: the boot, and when in it that was
    /// started. Hosts before this one wrote none.
    #[serde(default)]
    pub life: Option<(String, u64)>,
    /// Its address on its app's network.
    pub address: Option<Ipv4Addr>,
}

fn marker_path(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".container");
    folder.with_file_name(name)
}

/// What is kept of an instance's container; none where it runs as plain processes.
pub fn marker(folder: &Path) -> Option<Marker> {
    serde_json::from_slice(&fs::read(marker_path(folder)).ok()?).ok()
}

fn mark(folder: &Path, marker: &Marker) -> io::Result<()> {
    let text = serde_json::to_vec(marker).map_err(io::Error::other)?;
    write_private(&marker_path(folder), &text)
}

/// Notes that a command that runs once does so in a container.
pub fn mark_one_off(folder: &Path, name: &str) -> io::Result<()> {
    let marker = Marker {
        name: name.to_owned(),
        container: None,
        process: None,
        life: None,
        address: None,
    };
    mark(folder, &marker)
}

/// Forgets that an instance ran in a container.
pub fn unmark(folder: &Path) {
    // Where there is none, there is nothing to forget.
    let _ = fs::remove_file(marker_path(folder));
}

/// A folder that any user of a container may write to; the one above it is its guard.
pub fn open_folder(folder: &Path) -> io::Result<()> {
    make_folder(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode() & 0o7777;
    if mode == 0o777 {
        return Ok(());
    }
    fs::set_permissions(folder, PermissionsExt::from_mode(0o777))
}

/// An instance's folder as it is put into a container, made anew: whatever a container left in it
/// is not to be trusted.
pub fn fresh_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    open_folder(folder)
}

/// Takes away the folder of an instance that ran in a container, before it runs as plain processes:
/// they would write through the links that somebody in it may have laid there.
pub fn leave_container(folder: &Path) -> io::Result<()> {
    let open = match fs::symlink_metadata(folder) {
        Ok(found) => found.permissions().mode() & 0o022 != 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if open || marker(folder).is_some() {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => unmark(folder),
        }
    }
    Ok(())
}

/// The mounts and the name that every instance's container has.
pub fn complete(
    host: &Host,
    id: &str,
    folder: &Path,
    logs: Option<&Path>,
    container: &ContainerSpecification,
) -> Result<ContainerSpecification, Failure> {
    let mut container = container.clone();
    if container.name.is_empty() {
        container.name = container_name(id);
    }
    let bind = |source: &Path, target: &str, read_only| Mount::Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
    };
    let own = [
        Some(bind(folder, INSTANCE, false)),
        logs.map(|logs| bind(logs, LOGS, false)),
        Some(bind(&supervisor(host)?, SUPERVISOR, true)),
    ];
    container.mounts.splice(0..0, own.into_iter().flatten());
    Ok(container)
}

/// Starts an instance in a container; its address.
pub async fn start(
    host: &Host,
    launch: &Launch,
    container: &ContainerSpecification,
) -> Result<Option<Ipv4Addr>, Failure> {
    let Launch {
        id,
        folder,
        specification,
        sensitive,
        ..
    } = launch;
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(
            "supervisor-failed",
            format!("the supervisor of {id} {what}: {error}"),
        )
    };
    let engine = host.engine().await?;
    let mut specification = specification.clone();
    specification.shared = true;
    let mut logs = None;
    if let Logs::Segments { folder, .. } = &mut specification.logs {
        logs = Some(std::mem::replace(folder, LOGS.into()));
    }
    let mut container = complete(host, id, folder, logs.as_deref(), container)?;
    container.input = true;
    container.command = [SUPERVISOR, "run", INSTANCE, "--sensitive-stdin"]
        .map(str::to_owned)
        .to_vec();
    let mut marker = Marker {
        name: container.name.clone(),
        container: None,
        process: None,
        life: None,
        address: None,
    };
    let folders = || {
        fresh_folder(folder)?;
        logs.as_deref().map(open_folder).transpose()?;
        let text = serde_json::to_vec_pretty(&specification).map_err(io::Error::other)?;
        let path = folder.join(files::SPECIFICATION);
        write_private(&path, &text)?;
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644))?;
        mark(folder, &marker)
    };
    folders().map_err(|error| failed("can't have its folder", &error))?;
    let input = serde_json::to_vec(sensitive)
        .map_err(|error| failed("can't be given its secrets", &error))?;

    let made = create(host, &engine, &container).await?;
    engine.start(&made, Some(&input)).await?;
    if let Some(found) = engine.container(&made).await? {
        marker.container = Some(made.clone());
        marker.process = found.pid;
        marker.life = found.pid.and_then(life);
        marker.address = container
            .attachment
            .as_ref()
            .and_then(|attachment| found.address(&attachment.network));
        mark(folder, &marker).map_err(|error| failed("can't be noted", &error))?;
    }
    listens(&engine, &made, folder)
        .await
        .map_err(|said| failed("doesn't start", &said))?;
    Ok(marker.address)
}

/// Makes a container. One of ours of the same name goes: whoever calls this knows that it isn't
/// needed any more.
pub async fn create(
    host: &Host,
    engine: &Engine,
    container: &ContainerSpecification,
) -> Result<String, Failure> {
    match engine.create(container).await {
        Err(EngineError::Exists {
            object,
            name,
            labels,
            running,
        }) => {
            let found = Container {
                labels,
                ..Container::default()
            };
            if !found.is_of(&host.home.root().display().to_string()) {
                return Err(EngineError::Exists {
                    object,
                    name,
                    labels: found.labels,
                    running,
                }
                .into());
            }
            engine.remove(&container.name, true).await?;
            Ok(engine.create(container).await?)
        }
        made => Ok(made?),
    }
}

/// Waits until a supervisor listens at its control socket.
async fn listens(engine: &Engine, container: &str, folder: &Path) -> Result<(), String> {
    let listening = async {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(1);
        // It appears some milliseconds after the start; nothing announces that.
        while connect(folder).await.is_err() {
            if Instant::now() > deadline {
                return Err(format!("it did not answer within {} s", PATIENCE.as_secs()));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(())
    };
    tokio::select! {
        biased;
        listening = listening => listening,
        ended = engine.wait(container) => Err(match ended {
            Ok(Some(found)) => how_it_ended(&found),
            Ok(None) => "its container was removed".to_owned(),
            Err(error) => error.to_string(),
        }),
    }
}

/// How a container ended, in a few words.
pub fn how_it_ended(found: &Container) -> String {
    match (&found.error, found.oom_killed, found.exit_code) {
        (Some(error), ..) => error.clone(),
        (None, true, _) => "it ran out of memory".to_owned(),
        (None, false, Some(code)) => format!("its container exited with {code}"),
        (None, false, None) => "its container never started".to_owned(),
    }
}

/// Ends a container, killing it unless it has ended, and removes it.
pub async fn end(host: &Host, marker: &Marker, folder: &Path, ended: bool) {
    let removed = match host.engine().await {
        Ok(engine) => remove(host, &engine, &marker.name).await,
        Err(failure) => Err(failure),
    };
    match removed {
        Ok(()) => unmark(folder),
        Err(failure) => {
            if !ended && let Some(process) = first_process(marker) {
                // Without the Engine only root can end it. What is left of it goes when the host
                // next finds it.
                let _ = kill_process(process, Signal::KILL);
            }
            remark(&format!("{} isn't removed yet: {failure}", marker.name));
        }
    }
}

/// Removes a container of ours, dead or alive. Somebody else's of the same name stays.
pub async fn remove(host: &Host, engine: &Engine, name: &str) -> Result<(), Failure> {
    let Some(found) = engine.container(name).await? else {
        return Ok(());
    };
    if !found.is_of(&host.home.root().display().to_string()) {
        return Ok(());
    }
    Ok(engine.remove(name, true).await?)
}

/// Whether the container of an instance still runs.
pub fn runs_on(folder: &Path) -> bool {
    marker(folder).is_some_and(|marker| first_process(&marker).is_some())
}

/// The first process of a container, if it is still that: numbers are given again, after a reboot
/// soon and to a container like this one.
pub fn first_process(marker: &Marker) -> Option<Pid> {
    let process = marker.process?;
    let words = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let own = words.starts_with(SUPERVISOR.as_bytes())
        && marker
            .life
            .as_ref()
            .is_none_or(|noted| life(process).as_ref() == Some(noted));
    own.then(|| i32::try_from(process).ok().and_then(Pid::from_raw))
        .flatten()
}

/// Which process it is that has a number now.
fn life(process: u32) -> Option<(String, u64)> {
    let started = tree::status(process)?.started;
    Some((boot_id(), started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_processes_take_nothing_over_from_a_container() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("own");
        leave_container(&folder).unwrap();
        make_folder(&folder).unwrap();
        fs::write(folder.join("kept"), "").unwrap();
        leave_container(&folder).unwrap();
        assert!(folder.join("kept").exists());
        open_folder(&folder).unwrap();
        mark_one_off(&folder, "landfall.x").unwrap();
        leave_container(&folder).unwrap();
        assert!(!folder.exists());
        assert_eq!(marker(&folder), None);
    }

    #[test]
    fn a_number_that_is_another_processes_now_is_no_containers() {
        use std::os::unix::process::CommandExt as _;
        let mut child = std::process::Command::new("cat")
            .arg0(SUPERVISOR)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = child.id();
        // Until then it has this test's words.
        while !fs::read(format!("/proc/{process}/cmdline"))
            .unwrap()
            .starts_with(SUPERVISOR.as_bytes())
        {
            std::thread::yield_now();
        }
        let own = life(process).unwrap();
        let found = |life: Option<(String, u64)>| {
            let marker = Marker {
                name: "landfall.x".to_owned(),
                container: None,
                process: Some(process),
                life,
                address: None,
            };
            first_process(&marker).is_some()
        };
        let judged = [
            found(Some(own.clone())),
            found(Some((own.0.clone(), own.1 - 1))),
            found(Some(("another boot".to_owned(), own.1))),
            // As a host before this one wrote it.
            found(None),
        ];
        // Ends it.
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(judged, [true, false, false, true]);
        assert!(!found(Some(own)));
    }
}
