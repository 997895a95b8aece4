//! Folders for copies that are only compared, and whether the disk has room for them.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// A folder of a scratch instance: made for its user alone, gone with all that is in it when dropped.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
}

impl ScratchFolder {
    /// Makes it, where the disk has room for so many bytes and some more.
    pub fn make(path: PathBuf, needed: u64) -> Result<Self, Error> {
        let said = path.display().to_string();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(Error::io(&said))?;
        let folder = Self { path };
        room(&folder.path, needed)?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What is left is swept when the next one is made there.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Whether there is room for so many bytes.
pub fn room(folder: &Path, needed: u64) -> Result<(), Error> {
    let there = rustix::fs::statvfs(folder)
        .map_err(|error| Error::io(folder.display().to_string())(error.into()))?;
    let free = there.f_bavail.saturating_mul(there.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let mebibytes = |bytes: u64| bytes.div_ceil(1024 * 1024);
    Err(Error::DiskFull {
        place: folder.to_owned(),
        said: format!(
            "{} MiB are needed, {} MiB are free",
            mebibytes(needed),
            mebibytes(free)
        ),
    })
}
