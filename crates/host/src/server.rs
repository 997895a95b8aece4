//! The host's Unix socket: HTTP/1.1, a connection each, for the user that owns the socket alone.

use std::{convert::Infallible, io, path::Path, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use landfall_api::path::decode;
use landfall_release::Failure;
use landfall_supervise::unix;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::mpsc,
};

use crate::{handlers, host::Host, report::remark};

/// A release with thousands of services still fits.
const LARGEST_REQUEST: usize = 64 << 20;

/// The body of an answer.
pub type Body = BoxBody<Bytes, Broken>;

/// Breaks off an answer, so that its reader doesn't take it for whole.
#[derive(Debug, thiserror::Error)]
#[error("the source of the answer failed")]
pub struct Broken;

/// An answer, or the failure that becomes one.
pub type Answer = Result<Response<Body>, Failure>;

/// Binds the socket. Whoever holds the home folder's lock may replace what a dead host left.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = unix::bind(path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Serves until the host is told to end.
pub async fn serve(host: Arc<Host>, listener: UnixListener) {
    loop {
        let accepted = tokio::select! {
            () = host.shutdown.notified() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if is_owner(&stream) {
                    tokio::spawn(connection(host.clone(), stream));
                }
            }
            Err(error) => {
                remark(&format!("can't accept a connection: {error}"));
                // Out of descriptors, most likely: accepting again at once would only spin.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// The same user, or root.
fn is_owner(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn connection(host: Arc<Host>, stream: UnixStream) {
    let service = service_fn(move |request| {
        let host = host.clone();
        async move {
            let answer = handlers::handle(&host, request).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|failure| refusal(&failure)))
        }
    });
    // A client that goes away in the middle is no news.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The failure as an answer. Its name says what it is; the status only whose fault it is.
fn refusal(failure: &Failure) -> Response<Body> {
    let status = match failure.name.as_str() {
        "locked" => StatusCode::LOCKED,
        name if name.starts_with("unknown-") || name == "not-deployed" => StatusCode::NOT_FOUND,
        "bad-request" => StatusCode::BAD_REQUEST,
        name if name.starts_with("ledger-") || name.ends_with("-failed") => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::CONFLICT,
    };
    let body = serde_json::to_vec(failure).unwrap_or_default();
    respond(status, body.into())
}

fn respond(status: StatusCode, body: Bytes) -> Response<Body> {
    let body = Full::new(body).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}

/// An answer as JSON.
pub fn json(value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value)
        .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    Ok(respond(StatusCode::OK, body.into()))
}

/// An answer without content.
pub fn nothing() -> Answer {
    Ok(respond(StatusCode::OK, Bytes::from_static(b"null")))
}

/// A request's body.
pub async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Failure> {
    let bad =
        |error: String| Failure::new("bad-request", format!("the request can't be read: {error}"));
    let body = Limited::new(request.into_body(), LARGEST_REQUEST)
        .collect()
        .await;
    let body = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))
}

/// The query of a request: one JSON parameter `q`.
pub fn query<T: DeserializeOwned + Default>(request: &Request<Incoming>) -> Result<T, Failure> {
    let Some(text) = request
        .uri()
        .query()
        .and_then(|query| query.strip_prefix("q="))
    else {
        return Ok(T::default());
    };
    let bad = || Failure::new("bad-request", "the query can't be read");
    let text = decode(text).ok_or_else(bad)?;
    serde_json::from_str(&text).map_err(|_| bad())
}

/// An answer of JSON lines, for as long as their source sends them. Where that fails the answer
/// breaks off.
pub fn lines<T: Serialize + Send + 'static>(
    mut items: mpsc::Receiver<T>,
    source: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Answer {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Broken>>(16);
    let source = tokio::spawn(source);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        loop {
            let count = tokio::select! {
                // The reader is gone: dropping the items' receiver tells their source.
                () = sender.closed() => return,
                count = items.recv_many(&mut batch, 256) => count,
            };
            if count == 0 {
                let failed = match source.await {
                    Ok(Ok(())) => return,
                    Ok(Err(failure)) => failure.to_string(),
                    Err(error) => error.to_string(),
                };
                remark(&format!("an answer breaks off: {failed}"));
                // A reader that is gone misses nothing.
                let _ = sender.send(Err(Broken)).await;
                return;
            }
            let mut text = Vec::new();
            for item in batch.drain(..) {
                if serde_json::to_writer(&mut text, &item).is_ok() {
                    text.push(b'\n');
                }
            }
            if sender.send(Ok(text.into())).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Receiving(receiver).boxed());
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/x-ndjson"),
    );
    Ok(response)
}

/// An answer of bytes that something writes while they are sent. Where it fails the answer breaks off.
pub fn written(
    write: impl FnOnce(&mut dyn io::Write) -> Result<(), Failure> + Send + 'static,
) -> Answer {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Broken>>(16);
    tokio::task::spawn_blocking(move || {
        let mut to = io::BufWriter::with_capacity(64 << 10, Sending(sender.clone()));
        let done = write(&mut to)
            .map_err(|failure| failure.to_string())
            .and_then(|()| io::Write::flush(&mut to).map_err(|error| error.to_string()));
        if let Err(failed) = done {
            remark(&format!("an answer breaks off: {failed}"));
            // What is buffered goes nowhere any more; a reader that is gone misses nothing.
            let _ = to.into_parts();
            let _ = sender.blocking_send(Err(Broken));
        }
    });
    let mut response = Response::new(Receiving(receiver).boxed());
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

/// Bytes on their way to the reader of an answer.
struct Sending(mpsc::Sender<Result<Bytes, Broken>>);

impl io::Write for Sending {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request's body, however long, for somebody who reads it and may block.
pub fn reader(request: Request<Incoming>) -> impl io::Read + Send + 'static {
    let (sender, pieces) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => frame.into_data().map_err(|_| None),
                Err(error) => Err(Some(io::Error::other(error))),
            };
            let piece = match piece {
                Ok(piece) => Ok(piece),
                Err(Some(error)) => Err(error),
                // Trailers.
                Err(None) => continue,
            };
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    Reading {
        pieces,
        piece: Bytes::new(),
    }
}

/// The pieces of a request's body.
struct Reading {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl io::Read for Reading {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let count = to.len().min(self.piece.len());
        to[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// A body that comes through a channel.
struct Receiving(mpsc::Receiver<Result<Bytes, Broken>>);

impl hyper::body::Body for Receiving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
    }
}
