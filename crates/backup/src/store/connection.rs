//! HTTP for the bucket: hyper, rustls with aws-lc, the system's own certificates. Every wait has an
//! end: for a connection, and for the next byte in either direction.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector as TcpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
        HttpResponse, HttpResponseBody, HttpService,
    },
};
use tokio::time::{Instant, Sleep, sleep};

use super::Limits;

/// Makes the client that `object_store` uses.
#[derive(Debug)]
pub struct Connector {
    pub limits: Limits,
}

#[derive(Debug)]
struct Service {
    client: Client<HttpsConnector<TcpConnector>, Watched>,
    stall: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |source: io::Error| object_store::Error::Generic {
            store: "S3",
            source: Box::new(source),
        };
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(self.limits.connect));
        tcp.set_nodelay(true);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(failed)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(https);
        Ok(HttpClient::new(Service {
            client,
            stall: self.limits.stall,
        }))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let taken = Arc::new(AtomicU64::new(0));
        let request = request.map(|body| Watched {
            body,
            taken: taken.clone(),
        });
        let mut answer = std::pin::pin!(self.client.request(request));
        let mut before = 0;
        let response = loop {
            tokio::select! {
                // On a busy machine both may be there: what was answered counts.
                biased;
                answer = &mut answer => break answer.map_err(refined)?,
                () = sleep(self.stall) => {
                    let now = taken.load(Ordering::Relaxed);
                    if now == before {
                        return Err(stalled(self.stall, "no answer"));
                    }
                    before = now;
                }
            }
        };
        let stall = self.stall;
        Ok(response.map(|body| {
            HttpResponseBody::new(Patient {
                body,
                waiting: Box::pin(sleep(stall)),
                stall,
            })
        }))
    }
}

fn stalled(after: Duration, what: &str) -> HttpError {
    let said = format!("{what} for {} s", after.as_secs_f32());
    HttpError::new(
        HttpErrorKind::Timeout,
        io::Error::new(io::ErrorKind::TimedOut, said),
    )
}

/// The kinds decide what is tried again.
fn refined(error: hyper_util::client::legacy::Error) -> HttpError {
    let kind = match error.is_connect() {
        true => HttpErrorKind::Connect,
        false => HttpErrorKind::Request,
    };
    HttpError::new(kind, Words(said(&error)))
}

/// All causes in one line: the outermost of hyper's says nothing.
fn said(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

/// A request's body that tells how much of it was taken.
#[derive(Debug)]
struct Watched {
    body: HttpRequestBody,
    taken: Arc<AtomicU64>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.taken.fetch_add(1, Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that doesn't wait for ever for its next piece.
#[derive(Debug)]
struct Patient {
    body: Incoming,
    waiting: Pin<Box<Sleep>>,
    stall: Duration,
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let stall = self.stall;
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting.as_mut().reset(Instant::now() + stall);
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|error| {
                    HttpError::new(HttpErrorKind::Interrupted, Words(said(&error)))
                })
            }));
        }
        match self.waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(stalled(stall, "no further byte")))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
