//! Connections to instances: each worker has its own, kept for a moment for the next request.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Shorter than what apps allow (gunicorn: 2 s), so that an app rarely closes one as we use it.
const KEPT: Duration = Duration::from_millis(1500);
/// For requests that can't be repeated: an app that closes a connection so soon has ended.
const FRESH: Duration = Duration::from_millis(300);
/// Kept for one instance by one worker.
const KEPT_AT_MOST: usize = 256;
const CONNECT: Duration = Duration::from_secs(5);

/// A connection to an instance.
pub(crate) type Sender = SendRequest<Outgoing>;

/// Opens a connection.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<Sender> {
    let stream = timeout(CONNECT, TcpStream::connect(address))
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::Builder::new()
        .max_headers(256)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        // What goes wrong is told to the request that is under way.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Connections without a request, by instance.
#[derive(Debug, Default)]
pub(crate) struct Pool(HashMap<SocketAddr, Vec<(Sender, Instant)>>);

impl Pool {
    /// The one used last, where it is fresh enough; fresher for a request that can't be repeated.
    pub(crate) fn take(&mut self, address: SocketAddr, repeatable: bool) -> Option<Sender> {
        let most = if repeatable { KEPT } else { FRESH };
        let idle = self.0.get_mut(&address)?;
        while let Some((sender, since)) = idle.pop() {
            if since.elapsed() > most {
                idle.push((sender, since));
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection, where its instance is still routed.
    pub(crate) fn put(&mut self, address: SocketAddr, sender: Sender) {
        if let Some(idle) = self.0.get_mut(&address)
            && idle.len() < KEPT_AT_MOST
            && !sender.is_closed()
        {
            idle.push((sender, Instant::now()));
        }
    }

    /// Closes those of an instance: it has closed one of them itself.
    pub(crate) fn clear(&mut self, address: SocketAddr) {
        if let Some(idle) = self.0.get_mut(&address) {
            idle.clear();
        }
    }

    /// The instances that are routed from now on.
    pub(crate) fn route(&mut self, addresses: &HashSet<SocketAddr>) {
        self.0.retain(|address, _| addresses.contains(address));
        for address in addresses {
            self.0.entry(*address).or_default();
        }
    }

    /// Closes those that were kept too long; whether any are left.
    pub(crate) fn prune(&mut self) -> bool {
        for idle in self.0.values_mut() {
            let old = idle
                .iter()
                .take_while(|(_, since)| since.elapsed() > KEPT)
                .count();
            idle.drain(..old);
        }
        self.0.values().any(|idle| !idle.is_empty())
    }
}

/// How far a request's body is.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    sent: AtomicU64,
    done: AtomicBool,
    too_large: AtomicBool,
    broken: AtomicBool,
}

impl Upload {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Relaxed)
    }

    /// The client left, or what it sends can't be understood.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large.load(Relaxed)
    }
}

/// A request's body on its way to an instance.
#[derive(Debug)]
pub(crate) enum Outgoing {
    None,
    Stream {
        body: Incoming,
        most: u64,
        upload: Arc<Upload>,
    },
}

/// The request's body is larger than it may be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutgoingError {
    #[error("the request's body is too large")]
    TooLarge,
    #[error(transparent)]
    Client(#[from] hyper::Error),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = OutgoingError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutgoingError>>> {
        let Self::Stream { body, most, upload } = self.get_mut() else {
            return Poll::Ready(None);
        };
        let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(context)) else {
            upload.done.store(true, Relaxed);
            return Poll::Ready(None);
        };
        let frame = frame.inspect_err(|_| upload.broken.store(true, Relaxed))?;
        if let Some(data) = frame.data_ref() {
            let sent = upload.sent.load(Relaxed) + data.len() as u64;
            if sent > *most {
                upload.too_large.store(true, Relaxed);
                return Poll::Ready(Some(Err(OutgoingError::TooLarge)));
            }
            upload.sent.store(sent, Relaxed);
        }
        if body.is_end_stream() {
            upload.done.store(true, Relaxed);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Stream { body, .. } => body.size_hint(),
        }
    }
}
