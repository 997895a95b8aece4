//! A folder as a store. A file gets its name when it is whole and on the disk.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tokio::{
    fs,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

use super::Object;
use crate::{channel::PIECE, error::Error};

/// What a file is called until it is whole.
const PARTIAL: &str = ".partial";
/// So much is read at once of what should be small.
const SMALL: u64 = 64 * 1024 * 1024;

/// A folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root.display())
    }
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// What goes wrong in the folder, as the same kinds that a bucket has.
    fn failed(&self, action: &str) -> impl FnOnce(io::Error) -> Error {
        let (store, what) = (self.to_string(), format!("{action} {self}"));
        let place = self.root.clone();
        move |error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::Denied {
                store,
                said: error.to_string(),
            },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull {
                place,
                said: error.to_string(),
            },
            _ => Error::io(what)(error),
        }
    }

    fn path(&self, path: &str) -> Result<PathBuf, Error> {
        // Paths come from manifests and lists too.
        let plain = path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        match plain {
            true => Ok(self.root.join(path)),
            false => Err(Error::Bad(format!("`{path}` is no path of a backup"))),
        }
    }

    pub(super) async fn writer(&self, path: &str) -> Result<FileWriter, Error> {
        let path = self.path(path)?;
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .await
            .map_err(self.failed("writing to"))?;
        let mut partial = path.clone().into_os_string();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .await
            .map_err(self.failed("writing to"))?;
        Ok(FileWriter {
            store: Self::new(self.root.clone()),
            file,
            partial,
            path,
        })
    }

    pub(super) async fn put(&self, path: &str, bytes: Bytes, new: bool) -> Result<(), Error> {
        if new && fs::try_exists(self.path(path)?).await.unwrap_or(false) {
            return Err(Error::Bad(format!("{self}/{path} is there already")));
        }
        let mut writer = self.writer(path).await?;
        match writer.write(&bytes).await {
            Ok(()) => writer.finish().await,
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let file = match fs::File::open(self.path(path)?).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(self.failed("reading from"))?,
        };
        let mut bytes = Vec::new();
        file.take(SMALL)
            .read_to_end(&mut bytes)
            .await
            .map_err(self.failed("reading from"))?;
        Ok(Some(bytes.into()))
    }

    pub(super) async fn read(&self, path: &str, to: mpsc::Sender<Bytes>) -> Result<(), Error> {
        let mut file =
            fs::File::open(self.path(path)?)
                .await
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => Error::Damaged {
                        what: path.to_owned(),
                        said: "it is gone".to_owned(),
                    },
                    _ => self.failed("reading from")(error),
                })?;
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            let count = file
                .read_buf(&mut piece)
                .await
                .map_err(self.failed("reading from"))?;
            if count == 0 || to.send(piece.freeze()).await.is_err() {
                return Ok(());
            }
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let (root, start) = (self.root.clone(), self.path(prefix)?);
        let listing = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            walk(&root, &start, &mut found)?;
            Ok(found)
        });
        listing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(self.failed("listing"))
    }

    pub(super) async fn remove(&self, path: &str) -> Result<(), Error> {
        match fs::remove_file(self.path(path)?).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("removing from")(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn remove_folder(&self, path: &str) {
        if let Ok(path) = self.path(path) {
            // One that isn't empty stays.
            let _ = fs::remove_dir(path).await;
        }
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Object>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        if metadata.is_dir() {
            walk(root, &path, found)?;
        } else if metadata.is_file()
            && let Some(relative) = path.strip_prefix(root).ok().and_then(Path::to_str)
        {
            found.push(Object {
                path: relative.to_owned(),
                bytes: metadata.len(),
                changed_at: Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?,
            });
        }
    }
    Ok(())
}

/// A file being written.
pub struct FileWriter {
    store: Folder,
    file: fs::File,
    partial: PathBuf,
    path: PathBuf,
}

impl FileWriter {
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(piece).await;
        written.map_err(self.store.failed("writing to"))
    }

    pub(super) async fn finish(mut self) -> Result<(), Error> {
        let done = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            fs::rename(&self.partial, &self.path).await?;
            let folder = self.path.parent().unwrap_or(Path::new("/"));
            fs::File::open(folder).await?.sync_all().await
        };
        match done.await {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = self.store.failed("writing to")(error);
                self.abort().await;
                Err(error)
            }
        }
    }

    pub(super) async fn abort(self) {
        drop(self.file);
        // What can't be removed is never counted anyway: it has no manifest.
        let _ = fs::remove_file(&self.partial).await;
        if let Some(folder) = self.path.parent() {
            let _ = fs::remove_dir(folder).await;
        }
    }
}
