//! The body of an answer on its way to the client, and the answers the edge makes itself.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER},
};

use crate::{
    exchange::Exchange,
    files::FileBody,
    upstream::{Sender, Upload},
};

/// An answer's body. The exchange it belongs to is over when it is dropped.
pub(crate) struct Body {
    kind: Kind,
    ended: bool,
    back: Option<Back>,
    exchange: Option<Box<Exchange>>,
}

pub(crate) enum Kind {
    Whole(Option<Bytes>),
    App(Incoming),
    File(FileBody),
}

/// The connection that an answer comes from, for the next request once all of it is read.
pub(crate) struct Back {
    pub address: SocketAddr,
    pub sender: Sender,
    pub upload: Option<Arc<Upload>>,
}

impl Body {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            ended: false,
            back: None,
            exchange: None,
        }
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::new(Kind::Whole(Some(text.into())))
    }

    pub(crate) fn empty() -> Self {
        Self::new(Kind::Whole(None))
    }

    pub(crate) fn give_back(&mut self, back: Back) {
        self.back = Some(back);
    }

    pub(crate) fn belongs_to(&mut self, exchange: Box<Exchange>) {
        self.exchange = Some(exchange);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let polled = match &mut this.kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::App(body) => Pin::new(body).poll_frame(context).map_err(io::Error::other),
            Kind::File(body) => body
                .poll_chunk(context)
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        };
        match &polled {
            Poll::Ready(None) => this.ended = true,
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(exchange), Some(data)) = (&mut this.exchange, frame.data_ref()) {
                    exchange.bytes += data.len() as u64;
                }
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::App(body) => body.is_end_stream(),
            Kind::File(body) => body.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::App(body) => body.size_hint(),
            Kind::File(body) => SizeHint::with_exact(body.left()),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let read = self.ended || self.is_end_stream();
        if let (Some(back), Some(exchange)) = (self.back.take(), &self.exchange)
            && read
            && back.upload.as_ref().is_none_or(|upload| upload.is_done())
        {
            let mut pool = exchange
                .visit
                .worker
                .pool
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            pool.put(back.address, back.sender);
        }
    }
}

/// An answer in plain words.
pub(crate) fn plain(status: StatusCode, words: &str) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Body::text(format!(
        "{} {reason}: {words}\n",
        status.as_u16()
    )));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 503: later it may work.
pub(crate) fn unavailable(words: &str) -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, words);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

/// 503 on a health path.
pub(crate) fn unhealthy(reason: &str) -> Response<Body> {
    let text = serde_json::json!({ "status": "unhealthy", "reason": reason }).to_string();
    let mut response = Response::new(Body::text(text));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A redirect.
pub(crate) fn redirect(status: u16, to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::PERMANENT_REDIRECT);
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}
