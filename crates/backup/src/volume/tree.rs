//! A folder told in order, so that two of them can be compared without a list of all their files.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use crate::{channel::PIECE, manifest::VolumeContents, seal::hexadecimal};

/// What an entry is.
pub enum Kind<'a> {
    /// A file of so many bytes with this hash.
    File { bytes: u64, sha256: &'a [u8] },
    /// A folder.
    Folder,
    /// A symbolic link.
    Link { target: &'a Path },
}

/// The summary of a folder, made entry by entry.
#[derive(Default)]
pub struct Summary {
    contents: VolumeContents,
    tree: Sha256,
    owners: Sha256,
}

impl Summary {
    /// Adds an entry. The path is relative.
    pub fn add(&mut self, path: &Path, metadata: &fs::Metadata, kind: &Kind<'_>) {
        let mode = (metadata.mode() & 0o7777).to_be_bytes();
        let bytes: [&[u8]; 2] = [path.as_os_str().as_bytes(), &[0]];
        for hash in [&mut self.tree, &mut self.owners] {
            hash.update(bytes[0]);
            hash.update(bytes[1]);
        }
        self.owners.update(metadata.uid().to_be_bytes());
        self.owners.update(metadata.gid().to_be_bytes());
        match kind {
            Kind::File { bytes, sha256 } => {
                self.contents.files += 1;
                self.contents.bytes += bytes;
                self.tree.update(b"f");
                self.tree.update(mode);
                self.tree.update(bytes.to_be_bytes());
                self.tree.update(sha256);
            }
            Kind::Folder => {
                self.contents.folders += 1;
                self.tree.update(b"d");
                self.tree.update(mode);
            }
            Kind::Link { target } => {
                self.contents.links += 1;
                self.tree.update(b"l");
                self.tree.update(target.as_os_str().as_bytes());
                self.tree.update([0]);
            }
        }
    }

    /// Notes something that can't be kept.
    pub fn skip(&mut self) {
        self.contents.skipped += 1;
    }

    /// Notes a file that changed while it was read.
    pub fn changed(&mut self) {
        self.contents.changed += 1;
    }

    /// The end.
    pub fn finish(self) -> VolumeContents {
        VolumeContents {
            tree: hexadecimal(&self.tree.finalize()),
            owners: hexadecimal(&self.owners.finalize()),
            ..self.contents
        }
    }
}

/// The entries of a folder in the order in which they are told.
pub fn sorted(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Tells a folder on the disk.
pub fn survey(root: &Path) -> io::Result<VolumeContents> {
    let mut summary = Summary::default();
    summary.add(Path::new(""), &fs::symlink_metadata(root)?, &Kind::Folder);
    tell(root, root, &mut summary)?;
    Ok(summary.finish())
}

fn tell(root: &Path, folder: &Path, summary: &mut Summary) -> io::Result<()> {
    for entry in sorted(folder)? {
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let relative = path.strip_prefix(root).map_err(io::Error::other)?;
        if metadata.is_dir() {
            summary.add(relative, &metadata, &Kind::Folder);
            tell(root, &path, summary)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path)?;
            summary.add(relative, &metadata, &Kind::Link { target: &target });
        } else if metadata.is_file() {
            let (bytes, sha256) = hash(&path)?;
            let sha256 = &sha256;
            summary.add(relative, &metadata, &Kind::File { bytes, sha256 });
        } else {
            summary.skip();
        }
    }
    Ok(())
}

fn hash(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    let mut file = fs::File::open(path)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, hash.finalize().to_vec()));
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
}

/// Bytes of all files on the disk: holes take none.
pub fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // Gone meanwhile: somebody works there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        bytes += match metadata.is_dir() {
            true => size(&entry.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}
