//! What `bench/edge/run` measures with: an app, an edge before it, and switches under load.
//!
//! - `bench app PORT`: answers 1 KiB
//! - `bench edge FOLDER PORT APP-PORT [LOG]`: an edge on PORT before the app; under a supervisor
//!   with its sockets
//! - `bench switches NUMBER CLIENTS`: prints how many requests there were, and how many failed

#![expect(clippy::unwrap_used, reason = "a program for measuring")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use landfall_edge::{
    AccessLog, Edge, Settings,
    client::Client,
    routes::{AppRoutes, HostRoute, Instance, Limits, ServiceRoutes, Upstream},
};
use tokio::{net::TcpStream, sync::watch, task::JoinSet};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments[index].parse::<u16>().unwrap();
    match arguments[0].as_str() {
        "app" => {
            let (_keep, over) = watch::channel(false);
            let listener = TcpListener::bind(local(number(1))).unwrap();
            app(&listener, 2, &over)
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        }
        "edge" => {
            let log = arguments
                .get(4)
                .map_or(AccessLog::Off, |path| AccessLog::File(path.into()));
            let _edge = edge(arguments[1].as_str(), number(2), number(3), log);
            std::thread::park();
        }
        "switches" => switches(u64::from(number(1)), usize::from(number(2))),
        other => panic!("{other}?"),
    }
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// An app that answers 1 KiB, and drops its connections when it is over.
fn app(
    listener: &TcpListener,
    threads: usize,
    over: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    listener.set_nonblocking(true).unwrap();
    let serve = |listener: TcpListener, mut over: watch::Receiver<bool>| async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                ended = over.wait_for(|over| *over) => match ended {
                    Ok(_) => return,
                    Err(_) => std::future::pending().await,
                },
            };
            stream.set_nodelay(true).unwrap();
            connections.spawn(async move {
                let service = service_fn(|_: Request<Incoming>| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(&[b'x'; 1024]))))
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    };
    let start = |_| {
        let (listener, over) = (listener.try_clone().unwrap(), over.clone());
        std::thread::spawn(move || runtime().block_on(serve(listener, over)))
    };
    (0..threads).map(start).collect()
}

fn routes(release: u64, app: SocketAddr) -> AppRoutes {
    let service = ServiceRoutes {
        service: "web".into(),
        release,
        listeners: vec![],
        hosts: vec![HostRoute {
            host: None,
            path: "/".into(),
            strip: false,
            redirect: None,
        }],
        redirects: vec![],
        upstream: Upstream::Instances(vec![Instance {
            id: release.to_string(),
            address: app,
            control: None,
        }]),
        health_path: None,
        limits: Limits::default(),
        headers: BTreeMap::new(),
        drain: 30_000,
    };
    AppRoutes {
        app: "bench".into(),
        environment: "local".into(),
        generation: release,
        services: vec![service],
    }
}

fn edge(folder: &str, port: u16, app: u16, log: AccessLog) -> Edge {
    let mut settings = Settings::new(folder, local(port));
    settings.access_log = log;
    settings.supervisor =
        std::env::var_os(landfall_supervise::specification::CONTROL_VARIABLE).map(Into::into);
    let edge = landfall_edge::start(settings).unwrap();
    runtime()
        .block_on(Client::new(edge.control()).put(&routes(1, local(app))))
        .unwrap();
    edge
}

/// Switches from app to app, each ended once it has drained.
fn switches(number: u64, clients: usize) {
    let folder = std::env::temp_dir().join(format!("edge-bench-{}", std::process::id()));
    let start = || {
        let listener = TcpListener::bind(local(0)).unwrap();
        let (over, ended) = watch::channel(false);
        app(&listener, 1, &ended);
        (listener.local_addr().unwrap(), over)
    };
    let mut now = start();
    let edge = edge(folder.to_str().unwrap(), 0, now.0.port(), AccessLog::Off);
    let (control, http) = (Client::new(edge.control()), edge.http());
    let (over, answered, failed) = (
        Arc::<AtomicBool>::default(),
        Arc::<AtomicU64>::default(),
        Arc::<AtomicU64>::default(),
    );
    let load = {
        let (over, answered, failed) = (
            Arc::clone(&over),
            Arc::clone(&answered),
            Arc::clone(&failed),
        );
        std::thread::spawn(move || {
            runtime().block_on(load(http, clients, &over, &answered, &failed))
        })
    };
    let began = std::time::Instant::now();
    let mut slowest = Duration::ZERO;
    runtime().block_on(async {
        for release in 2..=number + 1 {
            let next = start();
            let switch = std::time::Instant::now();
            control.put(&routes(release, next.0)).await.unwrap();
            slowest = slowest.max(switch.elapsed());
            assert_eq!(
                control
                    .drained("bench", "local", "web", release - 1)
                    .await
                    .unwrap(),
                0
            );
            now.1.send_replace(true);
            now = next;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let took = began.elapsed();
    over.store(true, Relaxed);
    load.join().unwrap();
    println!(
        "{number} switches in {took:.1?} (slowest {slowest:.1?}), {clients} clients: {} answered, {} failed",
        answered.load(Relaxed),
        failed.load(Relaxed)
    );
    edge.stop();
    std::fs::remove_dir_all(folder).unwrap();
    std::process::exit(i32::from(failed.load(Relaxed) > 0));
}

async fn load(
    http: SocketAddr,
    clients: usize,
    over: &Arc<AtomicBool>,
    answered: &Arc<AtomicU64>,
    failed: &Arc<AtomicU64>,
) {
    let mut all = JoinSet::new();
    for client in 0..clients {
        let (over, answered, failed) = (Arc::clone(over), Arc::clone(answered), Arc::clone(failed));
        all.spawn(async move {
            let mut kept = None;
            while !over.load(Relaxed) {
                // Every fourth opens a connection for each request.
                let mut sender = match kept.take() {
                    Some(sender) => sender,
                    None => match open(http).await {
                        Ok(sender) => sender,
                        Err(_) => {
                            failed.fetch_add(1, Relaxed);
                            continue;
                        }
                    },
                };
                match ask(&mut sender).await {
                    Ok(true) => _ = answered.fetch_add(1, Relaxed),
                    _ => {
                        failed.fetch_add(1, Relaxed);
                        continue;
                    }
                }
                kept = (client % 4 != 0).then_some(sender);
            }
        });
    }
    while all.join_next().await.is_some() {}
}

type Sender = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

async fn open(http: SocketAddr) -> std::io::Result<Sender> {
    let stream = TcpStream::connect(http).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(sender: &mut Sender) -> hyper::Result<bool> {
    sender.ready().await?;
    let request = Request::builder()
        .uri("/")
        .header("host", "bench")
        .body(Empty::new())
        .unwrap();
    let response = sender.send_request(request).await?;
    let good = response.status().is_success();
    Ok(good && response.into_body().collect().await?.to_bytes().len() == 1024)
}
