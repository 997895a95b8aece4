//! A client of the host over any stream.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::{Body, Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use landfall_release::Failure;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, sync::mpsc};

/// Why the host can't be asked, or what it answered instead.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No host listens there.
    #[error("no host answers at {path}")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to the host broke")]
    Broken(#[from] hyper::Error),
    /// The host said no.
    #[error("{0}")]
    Refused(Box<Failure>),
    /// The host and this command don't understand each other.
    #[error("the host's answer can't be read: {0}")]
    Unreadable(String),
}

/// A client of one host. Each request has a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the host at this socket. Nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// One request; the answer as it comes, whatever its status.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        self.deliver(method, path, Full::new(Bytes::from(body)))
            .await
    }

    async fn deliver<B>(
        &self,
        method: Method,
        path: &str,
        body: B,
    ) -> Result<hyper::Response<Incoming>, ClientError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let stream = connect(&self.socket)
            .await
            .map_err(|source| ClientError::Unreachable {
                path: self.socket.clone(),
                source,
            })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the response's body: the connection is dropped with its sender.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "host")
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| ClientError::Unreadable(error.to_string()))?;
        Ok(sender.send_request(request).await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        let response = self.request(method, path, body).await?;
        Self::accepted(response).await
    }

    async fn accepted(
        response: hyper::Response<Incoming>,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Err(match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => ClientError::Refused(Box::new(failure)),
            Err(_) => ClientError::Unreadable(format!("status {status}")),
        })
    }

    async fn read<T: DeserializeOwned>(
        response: hyper::Response<Incoming>,
    ) -> Result<T, ClientError> {
        let empty = response.status() == StatusCode::NO_CONTENT;
        let body = response.into_body().collect().await?.to_bytes();
        let text: &[u8] = if empty { b"null" } else { &body };
        serde_json::from_slice(text).map_err(|error| ClientError::Unreadable(error.to_string()))
    }

    /// `GET` of something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        Self::read(self.send(Method::GET, path, Vec::new()).await?).await
    }

    /// `POST` of something, for an answer.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body =
            serde_json::to_vec(body).map_err(|error| ClientError::Unreadable(error.to_string()))?;
        Self::read(self.send(Method::POST, path, body).await?).await
    }

    /// `GET` of bytes, given to `take` piece by piece.
    pub async fn download(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), DownloadError> {
        let mut body = self.send(Method::GET, path, Vec::new()).await?.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(ClientError::from)?.into_data() {
                take(&piece).map_err(DownloadError::Taken)?;
            }
        }
        Ok(())
    }

    /// `POST` of bytes, as they come through a channel; an error in it breaks the request off.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        pieces: mpsc::Receiver<std::io::Result<Vec<u8>>>,
    ) -> Result<T, ClientError> {
        let response = self.deliver(Method::POST, path, Pieces(pieces)).await?;
        Self::read(Self::accepted(response).await?).await
    }

    /// `DELETE` of something.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        Self::read(self.send(Method::DELETE, path, Vec::new()).await?).await
    }

    /// `GET` of a stream of JSON lines.
    pub async fn lines<T: DeserializeOwned>(&self, path: &str) -> Result<Lines<T>, ClientError> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        Ok(Lines {
            body: response.into_body(),
            buffer: Vec::new(),
            start: 0,
            item: std::marker::PhantomData,
        })
    }
}

/// Why bytes didn't come.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The host.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// They can't be put where they shall go.
    #[error("{0}")]
    Taken(std::io::Error),
}

/// A body that comes through a channel.
struct Pieces(mpsc::Receiver<std::io::Result<Vec<u8>>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| piece.map(|piece| Frame::data(piece.into()))))
    }
}

/// Connects to a Unix socket, also where its path is longer than an address allows.
pub async fn connect(path: &Path) -> std::io::Result<UnixStream> {
    // An address holds 107 bytes; a longer path goes by way of an open folder.
    if path.as_os_str().len() <= 107 {
        return UnixStream::connect(path).await;
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let folder = std::fs::File::open(folder)?;
    let short = Path::new("/proc/self/fd")
        .join(std::os::fd::AsRawFd::as_raw_fd(&folder).to_string())
        .join(name);
    UnixStream::connect(short).await
}

/// A stream of JSON lines.
#[derive(Debug)]
pub struct Lines<T> {
    body: Incoming,
    buffer: Vec<u8>,
    start: usize,
    item: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.buffer[self.start..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let line = &self.buffer[self.start..self.start + end];
                let item = serde_json::from_slice(line)
                    .map_err(|error| ClientError::Unreadable(error.to_string()));
                self.start += end + 1;
                return item.map(Some);
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
