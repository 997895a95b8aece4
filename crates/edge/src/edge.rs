//! The edge as a whole: started, run until it is told to end, ended.

use std::{
    fs::{File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, mpsc as std_mpsc},
    thread::JoinHandle,
};

use landfall_supervise::unix;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

use crate::{
    control::{Control, NotChanged},
    log::Writer,
    report::remark,
    server,
    settings::Settings,
    sockets::Source,
    store::{self, StoreError},
    worker,
};

/// The control socket's name in the edge's folder.
pub const CONTROL: &str = "edge.sock";
const LOCK: &str = "edge.lock";
/// The name of the shared listener's sockets at the supervisor.
const HTTP: &str = "http";

/// Why an edge doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Another one uses the folder.
    #[error("another edge runs in {}", .0.display())]
    Running(PathBuf),
    /// The stored routes can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored routes don't fit together.
    #[error("the stored routes can't be served: {0}")]
    Routes(String),
    /// The shared listener can't be had.
    #[error("can't listen at {address}: {source}")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// The system's or the supervisor's words.
        source: io::Error,
    },
    /// Something else of the system.
    #[error("can't {what}: {source}")]
    System {
        /// What it was for.
        what: String,
        /// The system's words.
        source: io::Error,
    },
}

fn cannot(what: impl Into<String>) -> impl FnOnce(io::Error) -> EdgeError {
    |source| EdgeError::System {
        what: what.into(),
        source,
    }
}

/// A running edge. Ends when it is dropped, gracefully by [`stop`](Self::stop).
#[derive(Debug)]
pub struct Edge {
    http: SocketAddr,
    control: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Edge {
    /// The shared HTTP listener's address, read back.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Its control socket.
    pub fn control(&self) -> &Path {
        &self.control
    }

    /// Ends it: accepts nothing more, answers what is under way for at most
    /// [`Settings::drain`], and returns when all of it is gone.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts an edge in this process.
pub fn start(settings: Settings) -> Result<Edge, EdgeError> {
    launch(settings, false)
}

/// Runs an edge until SIGTERM or SIGINT, then ends it gracefully.
pub fn run(settings: Settings) -> Result<(), EdgeError> {
    raise_descriptor_limit();
    let mut edge = launch(settings, true)?;
    if let Some(thread) = edge.thread.take() {
        // A panic in there has been printed already.
        let _ = thread.join();
    }
    Ok(())
}

/// Each client takes two descriptors, and the usual limit of 1024 is soon reached.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it can't be raised the edge works within it.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

fn launch(settings: Settings, signals: bool) -> Result<Edge, EdgeError> {
    std::fs::create_dir_all(&settings.folder)
        .map_err(cannot(format!("create {}", settings.folder.display())))?;
    let lock = lock(&settings.folder)?;
    let apps = store::read(&settings.folder)?;
    let source = settings
        .supervisor
        .clone()
        .map_or(Source::Own, Source::Supervisor);
    let threads = settings.threads.max(1);
    let listeners = source
        .listen(HTTP, settings.http, threads)
        .map_err(|source| EdgeError::Listen {
            address: settings.http,
            source,
        })?;
    let http = worker::address(&listeners).map_err(cannot("read the listener's address back"))?;
    let (writer, log) =
        Writer::start(&settings.access_log).map_err(cannot("open the access log"))?;
    let mut workers = Vec::new();
    let mut threads_started = Vec::new();
    for index in 0..threads {
        let (commands, receiver) = mpsc::unbounded_channel();
        let thread = worker::start(index, settings.timeouts, writer.clone(), receiver)
            .map_err(cannot("start a thread"))?;
        workers.push(commands);
        threads_started.push(thread);
    }
    drop(writer);
    threads_started.extend(log);
    let path = settings.folder.join(CONTROL);
    let socket = unix::bind(&path).map_err(cannot(format!("bind {}", path.display())))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(cannot("start a runtime"))?;
    let (stop, stopped) = oneshot::channel();
    let (begun, beginning) = std_mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("edge-control".into())
        .spawn(move || {
            let control = Control::new(settings.folder.clone(), source, workers, http);
            runtime.block_on(async {
                if let Err(error) = control.begin(apps, listeners).await {
                    let words = match error {
                        NotChanged::Refused(refused) => refused.message,
                        NotChanged::Failed(error) => error.to_string(),
                    };
                    let _ = begun.send(Err(EdgeError::Routes(words)));
                    return;
                }
                let serving = tokio::spawn(server::serve(socket, Arc::clone(&control)));
                let _ = begun.send(Ok(()));
                until(stopped, signals).await;
                // Nothing changes any more; who asks now asks the next one.
                serving.abort();
            });
            control.stop(settings.drain);
            drop((control, runtime));
            for thread in threads_started {
                let _ = thread.join();
            }
            // The folder is free only now.
            drop(lock);
        });
    let thread = thread.map_err(cannot("start a thread"))?;
    match beginning.recv() {
        Ok(Ok(())) => Ok(Edge {
            http,
            control: path,
            stop: Some(stop),
            thread: Some(thread),
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(EdgeError::Routes("the edge ended as it began".to_owned())),
    }
}

fn lock(folder: &Path) -> Result<File, EdgeError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(cannot(format!("open {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EdgeError::Running(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(cannot(format!("lock {}", path.display()))(source)),
    }
}

/// Waits until the edge must end.
async fn until(stopped: oneshot::Receiver<()>, signals: bool) {
    if !signals {
        // Either way whoever holds the other end wants it to end.
        let _ = stopped.await;
        return;
    }
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        remark("can't wait for signals");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
