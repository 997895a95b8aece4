//! What is in a volume: copied, compared, exchanged. All of it blocks.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use landfall_backup::{
    VolumeContents,
    volume::{archive, survey, unpack},
};
use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};

/// Where a volume that was moved has its data, below a folder that only the host's user may enter:
/// the modes of the data are the app's affair.
pub const DATA: &str = "data";

/// The folder that a volume's path leads to.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Copies a folder into one that isn't there yet, and compares both.
pub fn copy(from: &Path, to: &Path) -> io::Result<VolumeContents> {
    let (reader, writer) = io::pipe()?;
    let told = std::thread::scope(|scope| {
        let archiving = scope.spawn(move || archive(from, writer, |_| {}));
        let unpacked = new_folder(to).and_then(|()| unpack(reader, to));
        let told = archiving
            .join()
            .map_err(|_| io::Error::other("reading it broke off"))?;
        // Where unpacking failed the archive had nobody to write to.
        unpacked?;
        told
    })?;
    whole(&told, &survey(to)?)?;
    written(to)?;
    Ok(told)
}

/// Fills a folder that isn't there yet from an archive.
pub fn fill(to: &Path, from: impl io::Read) -> io::Result<VolumeContents> {
    new_folder(to)?;
    let mut from = Ending { from, zeros: 0 };
    unpack(&mut from, to)?;
    // An archive that was cut between two of its files would else pass as a whole one.
    if from.zeros < BLOCK {
        return Err(io::Error::other("the archive has no end: it was cut off"));
    }
    let contents = survey(to)?;
    match contents.files + contents.folders + contents.links {
        // The folder itself is told too.
        0 | 1 => Err(io::Error::other("the archive holds nothing")),
        _ => written(to).map(|()| contents),
    }
}

/// A tar archive ends with at least one block of zeros.
const BLOCK: usize = 512;

/// An archive while it is read: how many zeros it ends with.
struct Ending<R> {
    from: R,
    zeros: usize,
}

impl<R: io::Read> io::Read for Ending<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(to)?;
        let last = to[..count].iter().rev();
        let zeros = last.take_while(|byte| **byte == 0).count();
        self.zeros = match zeros == count {
            true => self.zeros.saturating_add(zeros),
            false => zeros,
        };
        Ok(count)
    }
}

/// Waits until all of a folder is on its disk: what it is a copy of may be removed next.
fn written(folder: &Path) -> io::Result<()> {
    Ok(syncfs(fs::File::open(folder)?)?)
}

/// Whether all of it was copied.
fn whole(from: &VolumeContents, to: &VolumeContents) -> io::Result<()> {
    let why = if from.changed > 0 {
        "files changed while they were copied"
    } else if from.tree != to.tree {
        "the copy isn't the same"
    } else if from.owners != to.owners {
        "its files belong to several users, and only root can give them theirs"
    } else {
        return Ok(());
    };
    Err(io::Error::other(why))
}

fn new_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Puts one in the place of the other, at once: there is no moment without either.
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
    // It has happened: a folder that can't be synced is no reason to undo anything.
    for path in [one, other] {
        if let Some(folder) = path.parent().and_then(|parent| fs::File::open(parent).ok()) {
            let _ = folder.sync_all();
        }
    }
    Ok(())
}

/// Removes what a path names, a link alone where it is one. Nothing there is well too.
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(folder: &Path) -> PathBuf {
        let volume = folder.join("volume");
        fs::create_dir_all(volume.join("deep/er")).unwrap();
        fs::write(volume.join("deep/er/file"), "content").unwrap();
        std::os::unix::fs::symlink("deep/er/file", volume.join("link")).unwrap();
        volume
    }

    #[test]
    fn a_copy_is_the_same_and_is_never_put_over_something() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (filled(folder.path()), folder.path().join("copy"));
        let told = copy(&from, &to).unwrap();
        assert_eq!((told.files, told.bytes), (1, 7));
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "content");
        assert!(copy(&from, &to).is_err(), "it is there already");
        assert!(copy(&folder.path().join("none"), &folder.path().join("x")).is_err());
    }

    #[test]
    fn an_archive_of_nothing_empties_no_volume() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to");
        assert!(fill(&to, io::empty()).is_err());
        let to = folder.path().join("to-2");
        assert!(fill(&to, &b"no archive at all, however long it is"[..]).is_err());
        let mut written = Vec::new();
        archive(&filled(folder.path()), &mut written, |_| {}).unwrap();
        let to = folder.path().join("to-3");
        assert_eq!(fill(&to, written.as_slice()).unwrap().files, 1);
        let to = folder.path().join("to-4");
        let cut = written.len() - 1024;
        assert!(fill(&to, &written[..cut]).is_err(), "it has no end");
    }

    #[test]
    fn two_places_are_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let (volume, link) = (filled(folder.path()), folder.path().join("link"));
        std::os::unix::fs::symlink("/", &link).unwrap();
        exchange(&volume, &link).unwrap();
        assert!(volume.is_symlink());
        assert!(link.join("deep").is_dir());
        remove(&volume).unwrap();
        remove(&link).unwrap();
        remove(&link).unwrap();
        assert!(!volume.exists() && !link.exists());
    }
}
