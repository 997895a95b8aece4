//! What the tests speak to the edge with: small apps and clients on plain sockets, so that nothing
//! in between puts right what the edge gets wrong.

#![expect(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "tests end where something goes wrong")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use landfall_edge::{
    AccessLog, Edge, Settings,
    client::{Client, ClientError},
    routes::{AppRoutes, EdgeState, HostRoute, Instance, Limits, ServiceRoutes, Upstream},
};
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// An edge of its own for one test.
pub struct Stage {
    pub folder: TempDir,
    pub edge: Edge,
    pub client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder);
        change(&mut settings);
        let edge = landfall_edge::start(settings).unwrap();
        let client = Client::new(edge.control());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            folder,
            edge,
            client,
            runtime,
        }
    }

    pub fn http(&self) -> SocketAddr {
        self.edge.http()
    }

    pub fn put(&self, routes: &AppRoutes) -> Result<(), ClientError> {
        self.runtime.block_on(self.client.put(routes))
    }

    /// Serves one service on any host, as the next generation of the app `shop`.
    pub fn serve(&self, generation: u64, service: ServiceRoutes) {
        self.put(&app(generation, vec![service])).unwrap();
    }

    pub fn delete(&self, generation: u64) -> Result<(), ClientError> {
        self.runtime
            .block_on(self.client.delete("shop", "local", generation))
    }

    pub fn state(&self) -> EdgeState {
        self.runtime.block_on(self.client.state()).unwrap()
    }

    pub fn drained(&self, release: u64) -> u64 {
        self.runtime
            .block_on(self.client.drained("shop", "local", "web", release))
            .unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        get(self.http(), path)
    }

    /// The lines of the access log, once there are that many.
    pub fn log(&self, lines: usize) -> Vec<serde_json::Value> {
        let path = self.folder.path().join("access.log");
        eventually("the log has its lines", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let all: Vec<_> = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            (all.len() >= lines).then_some(all)
        })
    }
}

pub fn settings(folder: &TempDir) -> Settings {
    let mut settings = Settings::new(folder.path(), ([127, 0, 0, 1], 0).into());
    settings.threads = 2;
    settings.access_log = AccessLog::File(folder.path().join("access.log"));
    settings
}

pub fn app(generation: u64, services: Vec<ServiceRoutes>) -> AppRoutes {
    AppRoutes {
        app: "shop".into(),
        environment: "local".into(),
        generation,
        services,
    }
}

/// The service `web`, on any host.
pub fn web(release: u64, upstream: Upstream) -> ServiceRoutes {
    ServiceRoutes {
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
        upstream,
        health_path: None,
        limits: Limits::default(),
        headers: BTreeMap::new(),
        drain: 30_000,
    }
}

pub fn instances(addresses: &[SocketAddr]) -> Upstream {
    let instance = |address: &SocketAddr| Instance {
        id: address.to_string(),
        address: *address,
        control: None,
    };
    Upstream::Instances(addresses.iter().map(instance).collect())
}

/// Waits for a condition.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A head, of a request or an answer.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub first: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Reads one; none at the end of the stream.
    pub fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut head = Self::default();
        let mut line = String::new();
        loop {
            line.clear();
            if from.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let text = line.trim_end();
            if text.is_empty() {
                return Some(head);
            }
            match text.split_once(':') {
                Some((name, value)) if !head.first.is_empty() => {
                    head.headers
                        .push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                _ => head.first = text.to_owned(),
            }
        }
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn path(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// The body that follows, whole.
    pub fn body(&self, from: &mut impl BufRead, to_the_end: bool) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.get("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                from.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
                let mut chunk = vec![0; size + 2];
                from.read_exact(&mut chunk)?;
                if size == 0 {
                    return Ok(body);
                }
                body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = self.get("content-length") {
            body.resize(length.parse().map_err(std::io::Error::other)?, 0);
            from.read_exact(&mut body)?;
        } else if to_the_end {
            from.read_to_end(&mut body)?;
        }
        Ok(body)
    }
}

/// A small app: a thread for each connection, on which `serve` answers request after request.
pub struct App {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
}

impl App {
    /// `serve` says whether the connection goes on.
    pub fn start(
        serve: impl Fn(&Head, &mut BufReader<TcpStream>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), serve) = (stream, Arc::clone(&serve)) else {
                    continue;
                };
                count.fetch_add(1, SeqCst);
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(head) = Head::read(&mut reader) {
                        if !serve(&head, &mut reader) {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Answers everything with `text`.
    pub fn saying(text: &'static str) -> Self {
        Self::start(move |head, stream| {
            let Ok(_) = head.body(stream, false) else {
                return false;
            };
            reply(stream, text)
        })
    }

    /// Answers with the head and body that it got, as text.
    pub fn echo() -> Self {
        Self::start(|head, stream| {
            let Ok(body) = head.body(stream, false) else {
                return false;
            };
            let mut text = format!("{}\n", head.first);
            for (name, value) in &head.headers {
                text.push_str(&format!("{name}: {value}\n"));
            }
            text.push_str(&format!("\n{}", String::from_utf8_lossy(&body)));
            reply(stream, &text)
        })
    }

    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

pub fn reply(stream: &mut BufReader<TcpStream>, text: &str) -> bool {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.get_mut().write_all(answer.as_bytes()).is_ok()
}

/// An answer as the client gets it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }
}

/// A client's connection.
pub struct Connection(pub BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub fn head(&mut self) -> Option<Head> {
        Head::read(&mut self.0)
    }

    /// The next answer; none where the connection ends before it.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answer_to(false)
    }

    fn answer_to(&mut self, asked_for_head_only: bool) -> Option<Answer> {
        let head = self.head()?;
        let status: u16 = head.first.split(' ').nth(1)?.parse().ok()?;
        let empty = asked_for_head_only || status < 200 || status == 204 || status == 304;
        let body = if empty {
            Vec::new()
        } else {
            head.body(&mut self.0, true).ok()?
        };
        Some(Answer { status, head, body })
    }

    /// Whether the other side has ended the connection, waited for.
    pub fn is_ended(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// An address that nobody listens at: below the ports that the system gives out by itself, and
/// never the same twice in this process.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let process = std::process::id() as usize;
    loop {
        let step = process * 61 + NEXT.fetch_add(1, SeqCst);
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + (step % 20_000) as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    send(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"),
    )
}

pub fn send(address: SocketAddr, request: &str) -> Answer {
    let mut connection = Connection::open(address);
    connection.send(request);
    connection
        .answer_to(request.starts_with("HEAD "))
        .expect("an answer")
}
