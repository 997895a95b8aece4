//! The host's life: lock, open, recover, serve, sample, end.

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use landfall_deploy::Faults;
use landfall_release::Failure;
use rustix::fs::{FlockOperation, flock};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::{
    backing,
    home::{Home, make_folder},
    host::Host,
    jobs, recovery,
    report::remark,
    runtime::Processes,
    server,
    settings::Settings,
    watcher,
};

/// How often old log segments are looked for.
const TIDYING: Duration = Duration::from_secs(3600);

/// How long a host may take to be gone.
const DYING: Duration = Duration::from_secs(1);

/// Why a host can't run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Another one runs on the same state.
    #[error("a host already runs on {}", home.display())]
    AlreadyRuns {
        /// The state folder.
        home: PathBuf,
    },
    /// The state folder can't be used.
    #[error("{} can't be used", path.display())]
    Folder {
        /// What of it.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The faults to inject can't be read.
    #[error("{0}")]
    Faults(#[from] landfall_deploy::FaultsError),
    /// It can't go on.
    #[error("{0}")]
    Failed(Box<Failure>),
}

/// Runs a host until it is asked to end.
pub fn run(settings: Settings) -> Result<(), HostError> {
    let folder = |path: PathBuf| move |source| HostError::Folder { path, source };
    let home = Home::open(&settings.home).map_err(folder(settings.home.clone()))?;
    let lock = File::options()
        .create(true)
        .append(true)
        .open(home.lock())
        .map_err(folder(home.lock()))?;
    if !take(&lock) {
        return Err(HostError::AlreadyRuns {
            home: home.root().to_owned(),
        });
    }
    let faults = match &settings.faults {
        Some(text) => {
            let faults = home.root().join("faults");
            make_folder(&faults).map_err(folder(faults.clone()))?;
            Faults::from_text(text)?
                .in_folder(faults)
                .with_kill(kill_self)
        }
        None => Faults::none(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(folder(home.root().to_owned()))?;
    let result = runtime.block_on(live(settings, home, faults));
    drop(lock);
    result
}

/// Takes the lock, unless somebody keeps it. A command that looks whether a host lives holds it for an
/// instant, and a host that was killed until the last of its threads is gone.
fn take(lock: &File) -> bool {
    let deadline = std::time::Instant::now() + DYING;
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return true,
            Err(_) if std::time::Instant::now() > deadline => return false,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn kill_self() {
    // There is no cleaning up in what stands for a crash.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

async fn live(settings: Settings, home: Home, faults: Faults) -> Result<(), HostError> {
    let socket = Home::socket(home.root());
    let sampling = settings.sampling;
    let (host, notices) = Host::open(settings, home, faults)
        .map_err(|failure| HostError::Failed(Box::new(failure)))?;
    tokio::spawn(watcher::watch(host.clone(), notices));
    recovery::recover(&host)
        .await
        .map_err(|failure| HostError::Failed(Box::new(failure)))?;
    jobs::recover(&host)
        .await
        .map_err(|failure| HostError::Failed(Box::new(failure)))?;
    // Only now, so that nobody asks a host that doesn't know yet what runs.
    let listener = server::bind(&socket).map_err(|source| HostError::Folder {
        path: socket.clone(),
        source,
    })?;
    remark(&format!("serves on {}", socket.display()));
    let upkeep = tokio::spawn(upkeep(host.clone(), sampling));
    let schedules = tokio::spawn(jobs::keep(host.clone()));
    tokio::select! {
        () = server::serve(host.clone(), listener) => {}
        () = asked_to_end() => remark("asked to end by a signal; the apps run on"),
    }
    schedules.abort();
    upkeep.abort();
    // It may be a newer host's already, but then the lock would not have been ours.
    let _ = std::fs::remove_file(&socket);
    Ok(())
}

async fn asked_to_end() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Samples what runs and tidies logs: the only wake-ups of an idle host.
async fn upkeep(host: Arc<Host>, sampling: Duration) {
    let mut samples = interval_at(Instant::now() + sampling, sampling);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tidied: Option<Instant> = None;
    loop {
        samples.tick().await;
        let instances = host.adopted();
        host.samples.keep(
            &instances
                .iter()
                .map(|instance| instance.id().to_owned())
                .collect::<Vec<_>>(),
        );
        for instance in instances {
            if let Some(state) = instance.view().state() {
                let processes = Processes::of(instance.folder());
                for process in &state.processes {
                    if let Some(pid) = process.pid.and_then(|pid| processes.outside(pid)) {
                        host.samples.take(instance.id(), &process.name, pid);
                    }
                }
            }
        }
        // An edge that is being started again has nothing to count.
        for counters in host
            .edge
            .state()
            .await
            .map(|state| state.counters)
            .unwrap_or_default()
        {
            host.samples.requests(&counters);
        }
        if let Err(failure) = backing::look_at_disks(&host).await {
            remark(&format!(
                "the disk of backing services can't be looked at: {failure}"
            ));
        }
        if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDYING) {
            tidied = Some(Instant::now());
            if let Err(failure) = host.retain_logs().await {
                remark(&format!("logs can't be tidied: {failure}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_looks_at_the_lock_keeps_no_host_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.lock");
        let open = || {
            let options = File::options().create(true).append(true).open(&path);
            options.unwrap()
        };
        let look = open();
        flock(&look, FlockOperation::LockShared).unwrap();
        let host = open();
        let taken = std::thread::spawn(move || take(&host));
        assert!(!taken.is_finished());
        drop(look);
        assert!(taken.join().unwrap());
        // One that lives keeps it.
        let living = open();
        assert!(take(&living));
        assert!(!take(&open()));
    }
}
