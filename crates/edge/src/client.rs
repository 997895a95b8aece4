//! Speaking to an edge by its control socket.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use landfall_supervise::unix;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::routes::{AppRoutes, Drained, EdgeState, Refused};

/// The longest wait for an edge to take a connection: one that is stuck takes none.
const CONNECT: Duration = Duration::from_secs(5);

/// Speaks to an edge. Each call opens a connection of its own; needs a tokio runtime.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why an edge couldn't be asked, or didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error("can't reach the edge at {}: {source}", socket.display())]
    Unreachable {
        /// Its control socket.
        socket: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The connection broke, or what it said can't be understood.
    #[error("the edge's answer can't be understood: {0}")]
    Broken(String),
    /// It refuses, and nothing has changed.
    #[error("{}", .0.message)]
    Refused(Refused),
}

impl Client {
    /// For the edge with that control socket (`edge.sock` in its folder).
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it serves and how it goes.
    pub async fn state(&self) -> Result<EdgeState, ClientError> {
        self.ask(Method::GET, "/v1/state".to_owned(), None).await
    }

    /// Replaces an app's routes. Once this is over they are on disk and hold for every new request.
    pub async fn put(&self, routes: &AppRoutes) -> Result<(), ClientError> {
        let path = format!("/v1/apps/{}/{}", routes.app, routes.environment);
        let body =
            serde_json::to_vec(routes).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.ask(Method::PUT, path, Some(body))
            .await
            .map(|_: serde_json::Value| ())
    }

    /// Serves an app no longer.
    pub async fn delete(
        &self,
        app: &str,
        environment: &str,
        generation: u64,
    ) -> Result<(), ClientError> {
        let path = format!("/v1/apps/{app}/{environment}?generation={generation}");
        self.ask(Method::DELETE, path, None)
            .await
            .map(|_: serde_json::Value| ())
    }

    /// Waits until nothing of a release that isn't served any more is under way, or its drain is
    /// over; how many connections had to be closed.
    pub async fn drained(
        &self,
        app: &str,
        environment: &str,
        service: &str,
        release: u64,
    ) -> Result<u64, ClientError> {
        let path = format!("/v1/drained/{app}/{environment}/{service}/{release}");
        self.ask(Method::GET, path, None)
            .await
            .map(|drained: Drained| drained.closed)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Option<Vec<u8>>,
    ) -> Result<T, ClientError> {
        let unreachable = |source| ClientError::Unreachable {
            socket: self.socket.clone(),
            source,
        };
        let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
        let socket = self.socket.clone();
        // Beside the runtime's threads, since the wait blocks.
        let stream = tokio::task::spawn_blocking(move || unix::connect_within(&socket, CONNECT))
            .await
            .map_err(|error| broken(&error))?
            .map_err(unreachable)?;
        stream.set_nonblocking(true).map_err(unreachable)?;
        let stream = UnixStream::from_std(stream).map_err(unreachable)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "edge")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| broken(&error))?;
        let asking = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        let (status, body) = tokio::select! {
            asked = asking => asked.map_err(|error: hyper::Error| broken(&error))?,
            Err(error) = connection => return Err(broken(&error)),
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| broken(&error));
        }
        Err(serde_json::from_slice(&body).map_or_else(|error| broken(&error), ClientError::Refused))
    }
}
