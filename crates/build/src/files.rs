//! Folders: scratch ones, copies, sizes.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Component, Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use crate::error::BuildError;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A folder that goes when its owner does.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one below `parent`; those of processes that were killed go.
    pub fn new(parent: &Path) -> Result<Self, BuildError> {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if owner(&entry.file_name())
                .is_some_and(|owner| test_kill_process(owner) == Err(Errno::SRCH))
            {
                remove(&entry.path())?;
            }
        }
        let folder = parent.join(format!(
            ".scratch-{}-{}",
            process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(BuildError::file(&folder, "made"))?;
        // git wants absolute paths: it runs elsewhere.
        folder
            .canonicalize()
            .map(Self)
            .map_err(BuildError::file(&folder, "found"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove(&self.0);
    }
}

/// The process that a scratch folder belongs to.
fn owner(name: &OsStr) -> Option<Pid> {
    let (process, _) = name.to_str()?.strip_prefix(".scratch-")?.split_once('-')?;
    Pid::from_raw(process.parse().ok().filter(|process| *process > 0)?)
}

/// Removes a file, a link or a folder with all that is in it; nothing there is fine.
pub fn remove(path: &Path) -> Result<(), BuildError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).or_else(|_| {
            // Some tools leave folders that can't be written to (Go's module cache does).
            make_writable(path);
            fs::remove_dir_all(path)
        }),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BuildError::file(path, "removed")(error))
        }
        _ => Ok(()),
    }
}

fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Copies a folder with modes and links; other kinds of files are left out.
pub fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    let kind = fs::symlink_metadata(from)
        .map_err(BuildError::file(from, "read"))?
        .file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).map_err(BuildError::file(from, "read"))?;
        symlink(target, to).map_err(BuildError::file(to, "written"))?;
    } else if kind.is_dir() {
        fs::create_dir_all(to).map_err(BuildError::file(to, "made"))?;
        for entry in fs::read_dir(from).map_err(BuildError::file(from, "read"))? {
            let entry = entry.map_err(BuildError::file(from, "read"))?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if kind.is_file() {
        fs::copy(from, to).map_err(BuildError::file(to, "written"))?;
    }
    Ok(())
}

/// Moves a folder; to another filesystem by a copy.
pub fn move_to(from: &Path, to: &Path) -> Result<(), BuildError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(BuildError::file(parent, "made"))?;
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy(from, to)?;
            remove(from)
        }
        other => other.map_err(BuildError::file(to, "moved")),
    }
}

/// Bytes on disk.
pub fn size(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = found.blocks() * 512;
    match found.is_dir() {
        true => {
            own + fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| size(&entry.path()))
                .sum::<u64>()
        }
        false => own,
    }
}

/// A relative path of the app file without `.`; one that leads upwards or is absolute is an error.
pub fn inside(text: &str) -> Result<PathBuf, BuildError> {
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => path.push(part),
            _ => return Err(BuildError::Outside(text.to_owned())),
        }
    }
    Ok(path)
}

/// Takes a lock that lasts as long as the returned file, waiting for whoever has it.
pub fn lock(path: &Path, cancelled: &AtomicBool, waits: impl FnOnce()) -> Result<File, BuildError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(BuildError::file(parent, "made"))?;
    }
    let failed = || BuildError::file(path, "locked");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(failed())?;
    let mut waits = Some(waits);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(failed()(error)),
            Err(fs::TryLockError::WouldBlock) => {
                if let Some(waits) = waits.take() {
                    waits();
                }
                if cancelled.load(Ordering::Relaxed) {
                    return Err(BuildError::Cancelled);
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// Writes a file whole or not at all.
pub fn write(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    use io::Write as _;
    let beside = path.with_extension(format!("{}.tmp", process::id()));
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(BuildError::file(path, "written"))
}
