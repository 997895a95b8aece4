//! One thread that serves: its own runtime, listeners, connections to instances and view of the
//! routes. Workers share nothing that changes while a request is served.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    thread,
    time::Duration,
};

use hyper::{header::HeaderValue, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    conn::{Conn, Connections, Fate, Patience},
    forward::{self, RequestIds},
    guard::Guard,
    log::{self, Gathered, Line},
    proxy,
    report::remark,
    settings::Timeouts,
    table::{Entrance, Table},
    upstream::Pool,
};

/// Idle connections are kept for so long when the edge ends: a request that is on its way to one
/// gets its answer.
const LAST_REQUESTS: Duration = Duration::from_millis(500);
/// How long accepting pauses when there are no descriptors left.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);
/// hyper's own limit refuses longer heads with 431.
const HEAD_SIZE: usize = 64 * 1024;
const HEAD_LINES: usize = 200;

/// What a worker is told. Each is acknowledged once it holds for every request from then on.
pub(crate) enum Command {
    /// Other routes, sockets that are new with them, entrances that are closed.
    Route {
        table: Arc<Table>,
        opened: Vec<(Entrance, StdListener)>,
        closed: Vec<Entrance>,
        done: oneshot::Sender<()>,
    },
    /// End what is under way for a traffic.
    Cut {
        traffic: u64,
        done: oneshot::Sender<u64>,
    },
    /// End: accept nothing more, answer what is under way for at most so long.
    Stop { drain: Duration },
}

/// A worker's own view of the routes.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub table: Arc<Table>,
    /// Whose turn it is, for each service.
    turns: Vec<AtomicUsize>,
}

impl Local {
    fn new(table: Arc<Table>, worker: usize) -> Self {
        let turns = table
            .services
            .iter()
            .map(|_| AtomicUsize::new(worker))
            .collect();
        Self { table, turns }
    }

    pub(crate) fn turn(&self, service: usize) -> usize {
        self.turns[service].fetch_add(1, Relaxed)
    }
}

/// What the tasks of one worker share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub index: usize,
    pub pool: Mutex<Pool>,
    pub log: Gathered,
    pub ids: RequestIds,
    local: Mutex<Arc<Local>>,
    connections: Mutex<Connections>,
    /// Something is there again to be swept.
    busy: Notify,
    /// A connection is gone.
    left: Notify,
    timeouts: Timeouts,
    this: std::sync::Weak<Self>,
}

/// A client's connection to a worker.
#[derive(Debug)]
pub(crate) struct Visit {
    pub worker: Arc<Worker>,
    pub conn: Arc<Conn>,
    pub entrance: Entrance,
    /// The client's address, for the app.
    pub client: HeaderValue,
    id: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Visit {
    fn drop(&mut self) {
        locked(&self.worker.connections).remove(self.id);
        self.worker.left.notify_waiters();
    }
}

/// Starts a worker's thread.
pub(crate) fn start(
    index: usize,
    timeouts: Timeouts,
    log: log::Writer,
    commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .build()?;
    thread::Builder::new()
        .name(format!("edge-{index}"))
        .spawn(move || {
            let worker = Arc::new_cyclic(|this| Worker {
                index,
                pool: Mutex::default(),
                log: Gathered::new(log),
                ids: RequestIds::default(),
                local: Mutex::default(),
                connections: Mutex::default(),
                busy: Notify::new(),
                left: Notify::new(),
                timeouts,
                this: this.clone(),
            });
            runtime.block_on(worker.work(commands));
            worker.log.flush();
            runtime.shutdown_timeout(Duration::from_millis(100));
        })
}

impl Worker {
    /// The routes as they are now.
    pub(crate) fn local(&self) -> Arc<Local> {
        Arc::clone(&locked(&self.local))
    }

    /// Writes to the access log, soon.
    pub(crate) fn log_line(&self, line: &Line<'_>) {
        if self.log.add(line)
            && let Some(this) = self.this.upgrade()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tokio::spawn(async move {
                sleep(log::DELAY).await;
                this.log.flush();
            });
        }
    }

    async fn work(self: &Arc<Self>, mut commands: mpsc::UnboundedReceiver<Command>) {
        tokio::spawn(Arc::clone(self).sweep());
        let mut doors: HashMap<Entrance, Vec<JoinHandle<()>>> = HashMap::new();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Route {
                    table,
                    opened,
                    closed,
                    done,
                } => {
                    locked(&self.pool).route(&table.addresses());
                    *locked(&self.local) = Arc::new(Local::new(table, self.index));
                    for entrance in closed {
                        doors
                            .remove(&entrance)
                            .into_iter()
                            .flatten()
                            .for_each(|door| door.abort());
                    }
                    for (entrance, listener) in opened {
                        match TcpListener::from_std(listener) {
                            Ok(listener) => {
                                let door =
                                    tokio::spawn(Arc::clone(self).accept(listener, entrance));
                                doors.entry(entrance).or_default().push(door);
                            }
                            Err(error) => remark(&format!("can't listen at {entrance:?}: {error}")),
                        }
                    }
                    // Whoever asked may be gone.
                    let _ = done.send(());
                }
                Command::Cut { traffic, done } => {
                    let connections = locked(&self.connections);
                    let cut = connections.iter().filter(|conn| conn.is_serving(traffic));
                    let _ = done.send(cut.inspect(|conn| conn.doom(Fate::Cut)).count() as u64);
                }
                Command::Stop { drain } => {
                    doors
                        .drain()
                        .flat_map(|(_, doors)| doors)
                        .for_each(|door| door.abort());
                    self.drain(drain).await;
                    return;
                }
            }
        }
    }

    /// Connections get one more answer each, idle ones a moment, upgraded ones end with the last
    /// request that isn't: they hold back the edge's successor, and are lost in any case.
    async fn drain(&self, most: Duration) {
        let end = Instant::now() + most;
        let doom = |fate| {
            locked(&self.connections)
                .iter()
                .for_each(|conn| conn.doom(fate))
        };
        doom(Fate::LastAnswer);
        let idle_end = end.min(Instant::now() + LAST_REQUESTS);
        self.gone(idle_end, |connections| {
            connections.iter().all(|conn| conn.is_tunnel())
        })
        .await;
        doom(Fate::Ends);
        self.gone(end, |connections| {
            connections.iter().all(|conn| conn.is_tunnel())
        })
        .await;
        doom(Fate::Cut);
        self.gone(
            Instant::now() + Duration::from_secs(1),
            Connections::is_empty,
        )
        .await;
    }

    async fn gone(&self, until: Instant, enough: impl Fn(&Connections) -> bool) {
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            if enough(&locked(&self.connections)) || timeout_at(until, left).await.is_err() {
                return;
            }
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, entrance: Entrance) {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    let conn = Arc::new(Conn::new(client));
                    let id = {
                        let mut connections = locked(&self.connections);
                        if connections.is_empty() {
                            self.busy.notify_one();
                        }
                        connections.add(Arc::clone(&conn))
                    };
                    let visit = Arc::new(Visit {
                        worker: Arc::clone(&self),
                        conn,
                        entrance,
                        client: forward::address(client.ip()),
                        id,
                    });
                    tokio::spawn(serve(stream, visit));
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    remark(&format!("can't accept connections: {error}"));
                    sleep(OUT_OF_DESCRIPTORS).await;
                }
            }
        }
    }

    /// Ends what takes too long, while there is anything.
    async fn sweep(self: Arc<Self>) {
        let (step, patience) = self.timeouts.steps();
        loop {
            self.busy.notified().await;
            loop {
                sleep(step).await;
                let idle = locked(&self.pool).prune();
                let mut connections = locked(&self.connections);
                connections.sweep(patience);
                if connections.is_empty() && !idle {
                    break;
                }
            }
        }
    }
}

impl Timeouts {
    /// The time of one sweep, and how many each state may last.
    fn steps(&self) -> (Duration, Patience) {
        let shortest = self.head.min(self.idle).min(self.write);
        let step = (shortest / 10).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let steps = |time: Duration| {
            u32::try_from(time.as_millis() / step.as_millis())
                .unwrap_or(u32::MAX)
                .max(1)
        };
        (
            step,
            Patience {
                head: steps(self.head),
                idle: steps(self.idle),
                write: steps(self.write),
            },
        )
    }
}

/// Errors of `accept` that are the new connection's, not the listener's.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

async fn serve(stream: TcpStream, visit: Arc<Visit>) {
    // A connection that is gone by now shows when it is read.
    let _ = stream.set_nodelay(true);
    let guard = Guard::new(stream, Arc::clone(&visit.conn));
    let service = {
        let visit = Arc::clone(&visit);
        service_fn(move |request| proxy::answer(Arc::clone(&visit), request))
    };
    let connection = http1::Builder::new()
        .max_header_size(HEAD_SIZE)
        .max_buf_size(HEAD_SIZE)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(guard), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut told = false;
    std::future::poll_fn(|context| {
        visit.conn.driven_by(context.waker());
        match visit.conn.fate() {
            Fate::Cut => return Poll::Ready(()),
            Fate::Ends if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            _ => {}
        }
        // What went wrong with a client's connection concerns that client alone.
        connection.as_mut().poll(context).map(drop)
    })
    .await;
}

/// Waits until an upgraded connection must end.
pub(crate) async fn cut(conn: &Conn) {
    std::future::poll_fn(|context| {
        conn.driven_by(context.waker());
        if conn.fate() == Fate::Cut {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// The address that a listener is bound to.
pub(crate) fn address(listeners: &[StdListener]) -> io::Result<SocketAddr> {
    listeners
        .first()
        .ok_or(io::ErrorKind::NotFound)?
        .local_addr()
}
