//! Where backups are kept: a folder, or S3. Paths are relative and written with `/`.

mod connection;
mod folder;
mod s3;

use std::{fmt, path::PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::error::Error;

pub use s3::{Credentials, Limits, S3Settings};

/// The address of a store, as users write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// `s3://bucket/prefix`.
    S3 {
        /// The bucket.
        bucket: String,
        /// Before every path; may be empty.
        prefix: String,
    },
}

impl Location {
    /// Reads one. A relative folder is refused: whose would it be?
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let fine = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
            if bucket.is_empty() || !bucket.chars().all(fine) {
                return Err(Error::Bad(format!("`{text}` names no bucket")));
            }
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            });
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if path.contains("://") {
            return Err(Error::Bad(format!(
                "`{text}`: backups go to s3://bucket/prefix or to a folder"
            )));
        }
        if !path.starts_with('/') {
            return Err(Error::Bad(format!("`{text}` is no absolute path")));
        }
        Ok(Self::Folder(PathBuf::from(path)))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// Something in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub changed_at: Timestamp,
}

/// A store.
#[derive(Debug)]
pub enum Store {
    /// A folder of this machine.
    Folder(folder::Folder),
    /// A bucket.
    S3(Box<s3::S3>),
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{folder}"),
            Self::S3(s3) => write!(f, "{s3}"),
        }
    }
}

impl Store {
    /// A folder; made where it isn't there.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self::Folder(folder::Folder::new(path.into()))
    }

    /// A bucket.
    pub fn s3(settings: S3Settings) -> Result<Self, Error> {
        s3::S3::new(settings).map(|s3| Self::S3(Box::new(s3)))
    }

    /// Begins to write a file of about this size, which is there only once it is finished.
    pub async fn writer(&self, path: &str, expected: u64) -> Result<Writer, Error> {
        Ok(match self {
            Self::Folder(folder) => Writer::Folder(folder.writer(path).await?),
            Self::S3(s3) => Writer::S3(Box::new(s3.writer(path, expected))),
        })
    }

    /// Writes a small file. Refused where it is there already.
    pub async fn put_new(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.put(path, bytes, true).await,
            Self::S3(s3) => s3.put(path, bytes, true).await,
        }
    }

    /// Writes a small file, in the place of what was there.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.put(path, bytes, false).await,
            Self::S3(s3) => s3.put(path, bytes, false).await,
        }
    }

    /// Reads a small file whole; none: it isn't there.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Folder(folder) => folder.get(path).await,
            Self::S3(s3) => s3.get(path).await,
        }
    }

    /// Sends a file piece by piece. It ends early, and well, where nobody takes them any more.
    pub async fn read(&self, path: &str, to: mpsc::Sender<Bytes>) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.read(path, to).await,
            Self::S3(s3) => s3.read(path, to).await,
        }
    }

    /// All files below a folder.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        match self {
            Self::Folder(folder) => folder.list(prefix).await,
            Self::S3(s3) => s3.list(prefix).await,
        }
    }

    /// Removes a file; that it isn't there is fine.
    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.remove(path).await,
            Self::S3(s3) => s3.remove(path).await,
        }
    }

    /// Removes an empty folder, where there are such things.
    pub async fn remove_folder(&self, path: &str) {
        if let Self::Folder(folder) = self {
            folder.remove_folder(path).await;
        }
    }
}

/// A file being written.
pub enum Writer {
    /// Into a folder.
    Folder(folder::FileWriter),
    /// Into a bucket.
    S3(Box<s3::Upload>),
}

impl Writer {
    /// Appends.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Error> {
        match self {
            Self::Folder(file) => file.write(&piece).await,
            Self::S3(upload) => upload.write(piece).await,
        }
    }

    /// Now it is there.
    pub async fn finish(self) -> Result<(), Error> {
        match self {
            Self::Folder(file) => file.finish().await,
            Self::S3(upload) => upload.finish().await,
        }
    }

    /// Takes away what was written.
    pub async fn abort(self) {
        match self {
            Self::Folder(file) => file.abort().await,
            Self::S3(upload) => upload.abort().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let s3 = |bucket: &str, prefix: &str| Location::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        let read = |text: &str| Location::parse(text).unwrap();
        assert_eq!(read("s3://backups/shop/"), s3("backups", "shop"));
        assert_eq!(read("s3://backups"), s3("backups", ""));
        assert_eq!(
            read("/var/backups"),
            Location::Folder("/var/backups".into())
        );
        assert_eq!(read("s3://backups/a/b").to_string(), "s3://backups/a/b");
        for bad in ["s3://", "s3:///x", "backups", "ftp://host/x", "s3://a b/c"] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }
}
