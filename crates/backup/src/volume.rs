//! A folder: archived as tar, unpacked into a scratch folder, compared file by file.

mod tree;
mod unpack;
mod walk;

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    channel::{PieceReader, PieceWriter, pieces},
    error::Error,
    key::{Keys, Recipients},
    manifest::{Contents, Manifest, Part, VolumeContents},
    progress::{Progress, Stage, Watcher},
    seal::{open_part, part_of},
    store::Store,
};

pub use tree::{size as size_on_disk, survey};
pub use unpack::unpack;
pub use walk::archive;

/// The part with the archive.
pub const ARCHIVE: &str = "volume.age";

/// What was dumped.
pub struct Dumped {
    /// What is in it.
    pub contents: VolumeContents,
    /// The files written.
    pub parts: Vec<Part>,
}

/// Archives a folder into the store.
pub async fn dump(
    volume: &Path,
    store: &Store,
    folder: &str,
    recipients: &Recipients,
    watcher: &dyn Watcher,
) -> Result<Dumped, Error> {
    watcher.stage(Stage::Dumping);
    let expected = size(volume).await?;
    let (plain, plain_end) = pieces();
    let (told, mut telling) = tokio::sync::mpsc::unbounded_channel();
    let from = volume.to_owned();
    let archiving = tokio::task::spawn_blocking(move || {
        archive(&from, PieceWriter::new(plain), |bytes| {
            // Nobody listens any more where the store failed.
            let _ = told.send(bytes);
        })
    });
    let feeding = async {
        while let Some(bytes) = telling.recv().await {
            watcher.news(Progress {
                stage: Stage::Dumping,
                bytes,
                of: Some(expected),
            });
        }
        Ok(())
    };
    let part = part_of(
        store, folder, ARCHIVE, recipients, feeding, plain_end, expected,
    )
    .await;
    let archived = archiving
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(Error::io(volume.display().to_string()));
    match (part, archived) {
        (Ok(part), Ok(contents)) => Ok(Dumped {
            contents,
            parts: vec![part],
        }),
        // What was read broke off, so what was written is half of it.
        (Ok(_), Err(error)) => {
            store.remove(&format!("{folder}/{ARCHIVE}")).await?;
            Err(error)
        }
        (Err(error), _) => Err(error),
    }
}

/// Bytes of a folder's files.
pub async fn size(volume: &Path) -> Result<u64, Error> {
    let (from, said) = (volume.to_owned(), volume.display().to_string());
    tokio::task::spawn_blocking(move || tree::size(&from))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(Error::io(said))
}

/// Unpacks a backup into a folder that is there and empty.
pub async fn restore(
    manifest: &Manifest,
    to: &Path,
    store: &Store,
    keys: &Keys,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    watcher.stage(Stage::Restoring);
    let part = manifest.part(ARCHIVE)?;
    let (plain, plain_end) = pieces();
    let target: PathBuf = to.to_owned();
    let unpacking =
        tokio::task::spawn_blocking(move || unpack(PieceReader::new(plain_end), &target));
    let folder = manifest.identity.folder();
    let opened = open_part(store, &folder, part, keys, plain).await;
    let unpacked = unpacking
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    match (opened, unpacked) {
        (Err(Error::Io { .. }), Err(source)) | (Ok(()), Err(source)) => {
            Err(Error::io(to.display().to_string())(source))
        }
        (opened, _) => opened,
    }
}

/// Compares an unpacked folder with what was archived.
pub async fn compare(manifest: &Manifest, with: &Path, watcher: &dyn Watcher) -> Result<(), Error> {
    watcher.stage(Stage::Comparing);
    let Contents::Volume(wanted) = &manifest.contents else {
        return Err(Error::Bad(format!(
            "{} is no backup of a volume",
            manifest.identity.id
        )));
    };
    let (from, said) = (with.to_owned(), with.display().to_string());
    let found = tokio::task::spawn_blocking(move || survey(&from))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(Error::io(said))?;
    let mut all = Vec::new();
    for (what, found, wanted) in [
        ("files", found.files, wanted.files),
        ("folders", found.folders, wanted.folders),
        ("links", found.links, wanted.links),
        ("bytes", found.bytes, wanted.bytes),
    ] {
        if found != wanted {
            all.push(format!("{what}: {found}, archived were {wanted}"));
        }
    }
    if found.tree != wanted.tree {
        all.push("the list of files, sizes and contents is another one".to_owned());
    }
    // Only root can give files to others.
    if rustix::process::geteuid().is_root() && found.owners != wanted.owners {
        all.push("the owners of files are others".to_owned());
    }
    match all.is_empty() {
        true => Ok(()),
        false => Err(Error::Differs(all)),
    }
}
