//! A small HTTP proxy in front of an S3 server, which fails as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Passes it on.
    None,
    /// Answers with this status in the server's place.
    Status(u16),
    /// Answers so often with this status, and then passes on.
    StatusFor(u16, u32),
    /// Takes it and never answers.
    Silent,
    /// Passes on the head of the answer and the first bytes, and then no more.
    Stalls,
    /// Closes the connection.
    Closes,
}

/// A proxy.
pub struct Proxy {
    /// Where it is.
    pub address: SocketAddr,
    fault: Arc<Mutex<(Fault, Option<&'static str>)>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// One in front of this server.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = Arc::new(Mutex::new((Fault::None, None)));
        let shared = fault.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, to, shared.clone()));
            }
        });
        Self {
            address,
            fault,
            task,
        }
    }

    /// From now on, for requests whose first line has this in it.
    pub fn set(&self, fault: Fault, only: Option<&'static str>) {
        *self.fault.lock().unwrap() = (fault, only);
    }
}

fn decide(fault: &Mutex<(Fault, Option<&'static str>)>, line: &str) -> Fault {
    let mut held = fault.lock().unwrap();
    if held.1.is_some_and(|only| !line.contains(only)) {
        return Fault::None;
    }
    match &mut held.0 {
        Fault::StatusFor(_, 0) => Fault::None,
        Fault::StatusFor(status, times) => {
            *times -= 1;
            Fault::Status(*status)
        }
        other => *other,
    }
}

async fn serve(
    mut client: TcpStream,
    to: SocketAddr,
    fault: Arc<Mutex<(Fault, Option<&'static str>)>>,
) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.ok()?);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let line = text.lines().next()?.to_owned();
        let length = header(&text, "content-length").unwrap_or(0);
        match decide(&fault, &line) {
            Fault::Silent => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                return None;
            }
            Fault::Closes => return None,
            Fault::Status(status) => {
                let mut body = vec![0; usize::try_from(length).ok()?];
                client.read_exact(&mut body).await.ok()?;
                let xml =
                    "<Error><Code>Fault</Code><Message>as the test wants it</Message></Error>";
                let answer = format!(
                    "HTTP/1.1 {status} Fault\r\ncontent-length: {}\r\n\r\n{xml}",
                    xml.len()
                );
                client.write_all(answer.as_bytes()).await.ok()?;
            }
            fault => {
                // A connection each, so that the end of an answer is the end of its stream.
                let mut server = TcpStream::connect(to).await.ok()?;
                let head = text.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                server.write_all(head.as_bytes()).await.ok()?;
                let (mut from_client, mut to_client) = client.split();
                let mut body = (&mut from_client).take(length);
                let (mut from_server, mut to_server) = server.split();
                let up = tokio::io::copy(&mut body, &mut to_server);
                let down = async {
                    let mut sent = 0;
                    let mut piece = vec![0; 4096];
                    loop {
                        let count = from_server.read(&mut piece).await.ok()?;
                        if count == 0 {
                            return Some(());
                        }
                        to_client.write_all(&piece[..count]).await.ok()?;
                        sent += count;
                        if fault == Fault::Stalls && sent > 8192 {
                            tokio::time::sleep(Duration::from_secs(600)).await;
                        }
                    }
                };
                let (_, ()) = (up.await.ok()?, down.await?);
                return None;
            }
        }
    }
}

fn header(head: &str, name: &str) -> Option<u64> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().parse().ok())?
    })
}
