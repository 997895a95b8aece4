//! Writing files whole or not at all.

use std::{
    fs::{File, OpenOptions, create_dir_all, hard_link, remove_file, rename},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::error::Error;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether a file may be there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It takes the other's place.
    Replace,
    /// It stays, and that is an error (`AlreadyExists`).
    Keep,
}

/// Writes a file beside its place, makes sure that it is on disk, and moves it there.
pub fn write(path: &Path, content: &[u8], mode: u32, existing: Existing) -> Result<(), Error> {
    try_write(path, content, mode, existing).map_err(|source| Error::File {
        path: path.to_owned(),
        action: "written",
        source,
    })
}

fn try_write(path: &Path, content: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    // A link stays a link: what it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    create_dir_all(&folder)?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let beside = folder.join(format!(
        ".{name}.{}.{}",
        process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    let _ = remove_file(&beside);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        match existing {
            Existing::Replace => rename(&beside, &path),
            Existing::Keep => hard_link(&beside, &path).and_then(|()| remove_file(&beside)),
        }
    })();
    if written.is_err() {
        let _ = remove_file(&beside);
        return written;
    }
    File::open(&folder)?.sync_all()
}
