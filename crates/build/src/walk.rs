//! Sources without git: a walk that hashes what it finds.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{OpenOptionsExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{error::BuildError, snapshot::never};

/// What is made from sources, or belongs to a tool, wherever it lies.
const IGNORED: [&str; 16] = [
    ".git",
    ".hg",
    ".svn",
    ".jj",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    "target",
    ".landfall",
    ".DS_Store",
    ".next",
];

/// What stands in a folder.
#[derive(Debug)]
pub struct Listing {
    folder: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug)]
enum Entry {
    File { hash: [u8; 32], executable: bool },
    Link { target: PathBuf },
}

/// Whether a name is one of those.
pub fn is_ignored(name: &OsStr) -> bool {
    IGNORED.iter().any(|ignored| name == *ignored) || name.as_bytes().ends_with(b".pyc")
}

/// Whether a folder or one above it holds a repository of git.
pub fn in_repository(folder: &Path) -> bool {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder
        .ancestors()
        .any(|folder| folder.join(".git").exists())
}

impl Listing {
    pub fn read(
        folder: &Path,
        exclude: &[PathBuf],
        warnings: &mut Vec<String>,
    ) -> Result<Self, BuildError> {
        let folder = folder
            .canonicalize()
            .map_err(BuildError::file(folder, "read"))?;
        let exclude: Vec<_> = exclude
            .iter()
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        let mut listing = Self {
            folder,
            entries: BTreeMap::new(),
        };
        listing.walk(Path::new(""), &exclude, warnings)?;
        Ok(listing)
    }

    fn walk(
        &mut self,
        below: &Path,
        exclude: &[PathBuf],
        warnings: &mut Vec<String>,
    ) -> Result<(), BuildError> {
        let here = self.folder.join(below);
        for entry in fs::read_dir(&here).map_err(BuildError::file(&here, "read"))? {
            let entry = entry.map_err(BuildError::file(&here, "read"))?;
            let name = entry.file_name();
            let (path, relative) = (entry.path(), below.join(&name));
            if is_ignored(&name) || never(name.as_bytes()) || exclude.contains(&path) {
                continue;
            }
            let kind = entry.file_type().map_err(BuildError::file(&path, "read"))?;
            if kind.is_dir() {
                self.walk(&relative, exclude, warnings)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(BuildError::file(&path, "read"))?;
                self.entries.insert(relative, Entry::Link { target });
            } else if kind.is_file() {
                let file = File::open(&path).map_err(BuildError::file(&path, "read"))?;
                let mode = file
                    .metadata()
                    .map_err(BuildError::file(&path, "read"))?
                    .permissions()
                    .mode();
                let hash = pass(file, io::sink()).map_err(BuildError::file(&path, "read"))?;
                self.entries.insert(
                    relative,
                    Entry::File {
                        hash,
                        executable: mode & 0o100 != 0,
                    },
                );
            } else {
                warnings.push(format!(
                    "{} is neither file, folder nor link: left out.",
                    relative.display()
                ));
            }
        }
        Ok(())
    }

    pub fn files(&self, path: &Path) -> Vec<PathBuf> {
        self.below(path).map(|(name, _)| name.to_owned()).collect()
    }

    pub fn contains(&self, path: &Path) -> bool {
        self.below(path).next().is_some()
    }

    /// Where a symbolic link leads to.
    pub fn link(&self, path: &Path) -> Option<PathBuf> {
        match self.entries.get(path)? {
            Entry::Link { target } => Some(target.clone()),
            Entry::File { .. } => None,
        }
    }

    /// The digest of all below a path, by names relative to it.
    pub fn digest(&self, path: &Path) -> String {
        let mut hasher = Sha256::new();
        for (name, entry) in self.below(path) {
            let name = name.as_os_str().as_bytes();
            hasher.update((name.len() as u64).to_be_bytes());
            hasher.update(name);
            match entry {
                Entry::File { hash, executable } => {
                    hasher.update([b'f', u8::from(*executable)]);
                    hasher.update(hash);
                }
                Entry::Link { target } => {
                    let target = target.as_os_str().as_bytes();
                    hasher.update(b"l");
                    hasher.update((target.len() as u64).to_be_bytes());
                    hasher.update(target);
                }
            }
        }
        crate::digest::hex(&hasher.finalize())
    }

    pub fn export(&self, path: &Path, to: &Path) -> Result<(), BuildError> {
        for (name, entry) in self.below(path) {
            // A file's own name below itself is none, and a joined nothing would make it a folder.
            let (from, to) = match name.as_os_str().is_empty() {
                true => (self.folder.join(path), to.to_owned()),
                false => (self.folder.join(path).join(name), to.join(name)),
            };
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(BuildError::file(parent, "made"))?;
            }
            match entry {
                Entry::Link { target } => {
                    symlink(target, &to).map_err(BuildError::file(&to, "written"))?
                }
                Entry::File { hash, executable } => {
                    let source = File::open(&from).map_err(BuildError::file(&from, "read"))?;
                    let mode = if *executable { 0o755 } else { 0o644 };
                    let target = File::options()
                        .write(true)
                        .create_new(true)
                        .mode(mode)
                        .open(&to);
                    let target = target.map_err(BuildError::file(&to, "written"))?;
                    let copied = pass(source, target).map_err(BuildError::file(&to, "written"))?;
                    if copied != *hash {
                        return Err(BuildError::Changing(from));
                    }
                }
            }
        }
        if fs::symlink_metadata(to).is_err() {
            fs::create_dir_all(to).map_err(BuildError::file(to, "made"))?;
        }
        Ok(())
    }

    fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Path, &'a Entry)> {
        self.entries
            .iter()
            .filter_map(move |(name, entry)| Some((name.strip_prefix(path).ok()?, entry)))
    }
}

/// Copies and hashes at once.
fn pass(mut from: impl Read, mut to: impl Write) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            count => {
                hasher.update(&buffer[..count]);
                to.write_all(&buffer[..count])?;
            }
        }
    }
}
