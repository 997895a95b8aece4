//! How each instance is, as its supervisor says.
//!
//! One task for each instance watches; the workers only read. Where a watch ends the instance is
//! taken as ready: the supervisor may be gone while what it started still answers. Not so one with
//! an address of its own: its supervisor is process 1 of a container, which ends with it.

use std::{
    collections::HashMap,
    io::ErrorKind,
    os::unix::net::UnixStream as StdStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use landfall_supervise::{
    control::{Answer, Hello, Request},
    state::State,
    unix,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    task::JoinHandle,
    time::sleep,
};

use crate::routes::Instance;

/// Between two attempts to watch; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How one instance is.
#[derive(Debug)]
pub(crate) struct Health {
    ready: AtomicBool,
    healthy: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            ready: AtomicBool::new(true),
            healthy: AtomicBool::new(true),
            reason: Mutex::new(None),
        }
    }
}

impl Health {
    /// Whether its front process takes requests.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    /// Whether all its required processes are ready.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// Why not.
    pub(crate) fn reason(&self) -> String {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone().unwrap_or_else(|| "not ready".to_owned())
    }

    fn set(&self, ready: bool, healthy: bool, reason: Option<String>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        self.ready.store(ready, Relaxed);
        self.healthy.store(healthy, Relaxed);
    }
}

/// The instances that are watched, by control socket.
#[derive(Debug, Default)]
pub(crate) struct Watches(HashMap<PathBuf, (Arc<Health>, JoinHandle<()>)>);

impl Watches {
    /// The health of an instance, watched from now on where it can be.
    pub(crate) fn health(&mut self, instance: &Instance) -> Arc<Health> {
        let Some(control) = &instance.control else {
            return Arc::default();
        };
        let (health, _) = self.0.entry(control.clone()).or_insert_with(|| {
            let health = Arc::<Health>::default();
            (
                Arc::clone(&health),
                tokio::spawn(watch(
                    control.clone(),
                    Arc::clone(&health),
                    !instance.address.ip().is_loopback(),
                )),
            )
        });
        Arc::clone(health)
    }

    /// Ends the watches of instances that aren't routed any more.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&Path) -> bool) {
        for (_, (_, task)) in self.0.extract_if(|control, _| !wanted(control)) {
            task.abort();
        }
    }
}

/// `ends_with_it`: whether the instance ends with its supervisor.
async fn watch(control: PathBuf, health: Arc<Health>, ends_with_it: bool) {
    let mut pause = FIRST_PAUSE;
    loop {
        let heard = follow(&control, &health).await;
        if *heard.as_ref().unwrap_or(&false) {
            pause = FIRST_PAUSE;
        }
        let over = match &heard {
            Ok(heard) => *heard,
            Err(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::NotFound
            ),
        };
        match ends_with_it && over {
            true => health.set(false, false, Some("its container has ended".to_owned())),
            false => health.set(true, true, None),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Watches until the end; whether anything was heard.
async fn follow(control: &Path, health: &Health) -> std::io::Result<bool> {
    let stream: StdStream = unix::connect(control)?;
    stream.set_nonblocking(true)?;
    let (reader, mut writer) = UnixStream::from_std(stream)?.into_split();
    let mut lines = BufReader::new(reader).lines();
    let Some(hello) = lines.next_line().await? else {
        return Ok(false);
    };
    let _: Hello = serde_json::from_str(&hello)?;
    let mut request = serde_json::to_vec(&Request::Watch)?;
    request.push(b'\n');
    writer.write_all(&request).await?;
    let mut heard = false;
    while let Some(line) = lines.next_line().await? {
        if let Answer::State(state) = serde_json::from_str(&line)? {
            let State {
                ready,
                healthy,
                reason,
                ..
            } = *state;
            health.set(ready, healthy, reason);
            heard = true;
        }
    }
    Ok(heard)
}
