//! A bucket as a store. What is large goes there in parts, two of them under way at a time.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _, future::BoxFuture};
use jiff::Timestamp;
use object_store::{
    BackoffConfig, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload,
    RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpError, HttpErrorKind},
    path::Path,
};
use tokio::sync::mpsc;

use super::{Object, connection::Connector};
use crate::error::Error;

/// S3 takes 10,000 parts; what is expected may be wrong by half.
const PARTS: u64 = 5000;
/// Parts under way at a time.
const AT_ONCE: usize = 2;

/// A key to a bucket.
#[derive(Clone)]
pub struct Credentials {
    /// Which key.
    pub access_key: String,
    /// Its secret half.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(…)")
    }
}

/// How long is waited, and how much is sent at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// Without a byte in either direction.
    pub stall: Duration,
    /// How often something is tried again.
    pub retries: usize,
    /// How long that may take in all.
    pub retrying: Duration,
    /// The least size of a part of what is large; S3 wants 5 MiB.
    pub part: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            retries: 4,
            retrying: Duration::from_secs(120),
            part: 8 * 1024 * 1024,
        }
    }
}

/// Where a bucket is.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Its name.
    pub bucket: String,
    /// Before every path; may be empty.
    pub prefix: String,
    /// The server; none: Amazon's.
    pub endpoint: Option<String>,
    /// The region; none: what most others than Amazon take.
    pub region: Option<String>,
    /// The key.
    pub credentials: Credentials,
    /// How long is waited.
    pub limits: Limits,
}

/// A bucket.
pub struct S3 {
    client: Arc<AmazonS3>,
    prefix: String,
    said: String,
    part: usize,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3({})", self.said)
    }
}

impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.said)
    }
}

impl S3 {
    pub(super) fn new(settings: S3Settings) -> Result<Self, Error> {
        let limits = settings.limits;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(settings.region.as_deref().unwrap_or("us-east-1"))
            .with_access_key_id(settings.credentials.access_key)
            .with_secret_access_key(settings.credentials.secret_key)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: Duration::from_millis(200),
                    max_backoff: Duration::from_secs(5),
                    base: 2.0,
                },
                max_retries: limits.retries,
                retry_timeout: limits.retrying,
            })
            .with_http_connector(Connector { limits });
        if let Some(endpoint) = &settings.endpoint {
            // Plain HTTP only where the address itself says so: content is encrypted anyway.
            builder = builder
                .with_endpoint(endpoint.trim_end_matches('/'))
                .with_allow_http(endpoint.starts_with("http://"));
        }
        let client = builder
            .build()
            .map_err(|error| Error::Bad(error.to_string()))?;
        let location = super::Location::S3 {
            bucket: settings.bucket,
            prefix: settings.prefix.clone(),
        };
        let said = match settings.endpoint {
            Some(endpoint) => format!("{location} at {endpoint}"),
            None => location.to_string(),
        };
        Ok(Self {
            client: Arc::new(client),
            prefix: settings.prefix,
            said,
            part: limits.part,
        })
    }

    fn path(&self, path: &str) -> Path {
        match self.prefix.is_empty() {
            true => Path::from(path),
            false => Path::from(format!("{}/{path}", self.prefix)),
        }
    }

    fn failed(&self, error: object_store::Error) -> Error {
        failed(&self.said, error)
    }

    pub(super) fn writer(&self, path: &str, expected: u64) -> Upload {
        let part = usize::try_from(expected / PARTS).unwrap_or(usize::MAX);
        Upload {
            client: self.client.clone(),
            said: self.said.clone(),
            path: self.path(path),
            size: part.max(self.part),
            pieces: Vec::new(),
            held: 0,
            upload: None,
            under_way: Vec::new(),
        }
    }

    pub(super) async fn put(&self, path: &str, bytes: Bytes, new: bool) -> Result<(), Error> {
        let path = self.path(path);
        let payload = PutPayload::from(bytes);
        if new {
            let created = self
                .client
                .put_opts(&path, payload.clone(), PutMode::Create.into())
                .await;
            match created {
                // Servers that know no conditional writing: names are random anyway.
                Err(error) if not_implemented(&error) => {}
                other => return other.map(drop).map_err(|error| self.failed(error)),
            }
        }
        let put = self.client.put(&path, payload).await;
        put.map(drop).map_err(|error| self.failed(error))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let got = match self.client.get(&self.path(path)).await {
            Err(error @ object_store::Error::NotFound { .. }) => match self.failed(error) {
                Error::Unknown(_) => return Ok(None),
                other => return Err(other),
            },
            other => other.map_err(|error| self.failed(error))?,
        };
        got.bytes()
            .await
            .map(Some)
            .map_err(|error| self.failed(error))
    }

    pub(super) async fn read(&self, path: &str, to: mpsc::Sender<Bytes>) -> Result<(), Error> {
        let got = self.client.get(&self.path(path)).await;
        let got = got.map_err(|error| match self.failed(error) {
            Error::Unknown(_) => Error::Damaged {
                what: path.to_owned(),
                said: "it is gone".to_owned(),
            },
            other => other,
        })?;
        let mut pieces = got.into_stream();
        while let Some(piece) = pieces
            .try_next()
            .await
            .map_err(|error| self.failed(error))?
        {
            if to.send(piece).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let before = match self.prefix.is_empty() {
            true => String::new(),
            false => format!("{}/", self.prefix),
        };
        let mut objects = self.client.list(Some(&self.path(prefix)));
        let mut found = Vec::new();
        while let Some(object) = objects
            .try_next()
            .await
            .map_err(|error| self.failed(error))?
        {
            let path = object.location.as_ref();
            found.push(Object {
                path: path.strip_prefix(&before).unwrap_or(path).to_owned(),
                bytes: object.size,
                changed_at: Timestamp::from_millisecond(object.last_modified.timestamp_millis())
                    .unwrap_or_default(),
            });
        }
        Ok(found)
    }

    pub(super) async fn remove(&self, path: &str) -> Result<(), Error> {
        match self.client.delete(&self.path(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }
}

/// A file on its way to a bucket.
pub struct Upload {
    client: Arc<AmazonS3>,
    said: String,
    path: Path,
    size: usize,
    pieces: Vec<Bytes>,
    held: usize,
    upload: Option<Box<dyn MultipartUpload>>,
    under_way: Vec<BoxFuture<'static, object_store::Result<()>>>,
}

impl Upload {
    pub(super) async fn write(&mut self, mut piece: Bytes) -> Result<(), Error> {
        while !piece.is_empty() {
            // All parts but the last have the same size: some servers insist on it.
            let taken = piece.split_to(piece.len().min(self.size - self.held));
            self.held += taken.len();
            self.pieces.push(taken);
            if self.held == self.size {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Error> {
        let failed = |error| failed(&self.said, error);
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let begun = self.client.put_multipart(&self.path).await;
                self.upload.insert(begun.map_err(failed)?)
            }
        };
        let payload: PutPayload = self.pieces.drain(..).collect();
        self.held = 0;
        self.under_way
            .push(tokio::spawn(upload.put_part(payload)).map(flat).boxed());
        if self.under_way.len() >= AT_ONCE {
            self.under_way.remove(0).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<(), Error> {
        let done = match self.upload.is_some() {
            true => self.finish_parts().await,
            false => {
                let payload: PutPayload = self.pieces.drain(..).collect();
                let put = self.client.put(&self.path, payload).await;
                put.map(drop).map_err(|error| failed(&self.said, error))
            }
        };
        if done.is_err() {
            self.abort().await;
        }
        done
    }

    async fn finish_parts(&mut self) -> Result<(), Error> {
        if self.held > 0 {
            self.send().await?;
        }
        for part in std::mem::take(&mut self.under_way) {
            part.await.map_err(|error| failed(&self.said, error))?;
        }
        match &mut self.upload {
            Some(upload) => {
                let complete = upload.complete().await;
                complete
                    .map(drop)
                    .map_err(|error| failed(&self.said, error))
            }
            None => Ok(()),
        }
    }

    /// A server that failed may fail here too: its own rules remove such parts some day.
    pub(super) async fn abort(mut self) {
        for part in std::mem::take(&mut self.under_way) {
            let _ = part.await;
        }
        match &mut self.upload {
            Some(upload) => drop(upload.abort().await),
            None => drop(self.client.delete(&self.path).await),
        }
    }
}

fn flat(
    joined: Result<object_store::Result<()>, tokio::task::JoinError>,
) -> object_store::Result<()> {
    joined.unwrap_or_else(|source| Err(object_store::Error::JoinError { source }))
}

fn not_implemented(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }
    ) || error.to_string().contains("501")
}

/// Tells apart what users can do something about.
fn failed(store: &str, error: object_store::Error) -> Error {
    use object_store::Error as Cause;
    let (store, text) = (store.to_owned(), error.to_string());
    let said = shown(&text);
    // Listing tells no kinds apart.
    let status = |code: &str| text.contains(&format!("status code: {code}"));
    match &error {
        _ if text.contains("NoSuchBucket") => Error::NoBucket { store, said },
        _ if status("403") || status("401") => Error::Denied { store, said },
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => {
            Error::Denied { store, said }
        }
        Cause::NotFound { path, .. } => Error::Unknown(format!("{store} has no {path}")),
        _ => match transport(&error) {
            Some(HttpErrorKind::Connect) => Error::Unreachable { store, said },
            Some(HttpErrorKind::Timeout) => Error::Stalled { store, said },
            _ => Error::StoreFailed { store, said },
        },
    }
}

/// What happened below HTTP, if that was it.
fn transport(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        cause = error.source();
    }
    None
}

/// The words of an S3 answer without its XML, else the error's own, in bounds.
fn shown(text: &str) -> String {
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>"))
            .map(|(inner, _)| inner)
    };
    match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => text.chars().take(400).collect(),
    }
}
