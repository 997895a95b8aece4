//! A folder becomes a tar archive: with owners, modes, times, links of both kinds and holes.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::tree::{Kind, Summary, sorted};
use crate::{channel::PIECE, manifest::VolumeContents};

/// Writes the archive of a folder; `told` hears how many bytes of files were read so far.
pub fn archive(root: &Path, to: impl Write, told: impl Fn(u64)) -> io::Result<VolumeContents> {
    let mut archive = Archive {
        root,
        builder: Builder::new(to),
        summary: Summary::default(),
        linked: HashMap::new(),
        done: 0,
        told,
    };
    let metadata = fs::symlink_metadata(root)?;
    archive.folder(Path::new("."), &metadata)?;
    archive.summary.add(Path::new(""), &metadata, &Kind::Folder);
    archive.walk(root)?;
    archive.builder.into_inner()?.flush()?;
    Ok(archive.summary.finish())
}

struct Archive<'a, W: Write, T> {
    root: &'a Path,
    builder: Builder<W>,
    summary: Summary,
    /// Files with several names, by device and number: the first name, the hash.
    linked: HashMap<(u64, u64), (PathBuf, u64, Vec<u8>)>,
    done: u64,
    told: T,
}

impl<W: Write, T: Fn(u64)> Archive<'_, W, T> {
    fn walk(&mut self, folder: &Path) -> io::Result<()> {
        for entry in sorted(folder)? {
            let path = entry.path();
            let metadata = match fs::symlink_metadata(&path) {
                // Gone meanwhile: somebody works there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.summary.changed();
                    continue;
                }
                other => other?,
            };
            let relative = path
                .strip_prefix(self.root)
                .map_err(io::Error::other)?
                .to_owned();
            if metadata.is_dir() {
                self.folder(&relative, &metadata)?;
                self.summary.add(&relative, &metadata, &Kind::Folder);
                self.walk(&path)?;
            } else if metadata.is_symlink() {
                self.link(&path, &relative, &metadata)?;
            } else if metadata.is_file() {
                self.file(&path, &relative, &metadata)?;
            } else {
                self.summary.skip();
            }
        }
        Ok(())
    }

    fn folder(&mut self, relative: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        let mut header = header(metadata, EntryType::Directory, 0);
        self.builder.append_data(&mut header, relative, io::empty())
    }

    fn link(&mut self, path: &Path, relative: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        let target = fs::read_link(path)?;
        let mut header = header(metadata, EntryType::Symlink, 0);
        self.builder.append_link(&mut header, relative, &target)?;
        let kind = Kind::Link { target: &target };
        self.summary.add(relative, metadata, &kind);
        Ok(())
    }

    fn file(&mut self, path: &Path, relative: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        let inode = (metadata.dev(), metadata.ino());
        if let Some((first, bytes, sha256)) = self.linked.get(&inode) {
            let mut header = header(metadata, EntryType::Link, 0);
            self.builder.append_link(&mut header, relative, first)?;
            let kind = Kind::File {
                bytes: *bytes,
                sha256,
            };
            self.summary.add(relative, metadata, &kind);
            return Ok(());
        }
        let mut file = match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.summary.changed();
                return Ok(());
            }
            other => other?,
        };
        let before = file.metadata()?;
        let bytes = before.len();
        let (sha256, short) = self.content(&mut file, relative, &before)?;
        let after = file.metadata()?;
        if short || after.len() != bytes || after.mtime_nsec() != before.mtime_nsec() {
            self.summary.changed();
        }
        let kind = Kind::File {
            bytes,
            sha256: &sha256,
        };
        self.summary.add(relative, metadata, &kind);
        if metadata.nlink() > 1 {
            let known = (relative.to_owned(), bytes, sha256);
            self.linked.insert(inode, known);
        }
        Ok(())
    }

    /// Writes a file's content as long as it was when it was opened: what is missing meanwhile is
    /// zeros, what is new is left out.
    fn content(
        &mut self,
        file: &mut fs::File,
        relative: &Path,
        metadata: &fs::Metadata,
    ) -> io::Result<(Vec<u8>, bool)> {
        let bytes = metadata.len();
        let holes = metadata.blocks() * 512 < bytes;
        let mut reader = Content {
            file,
            left: bytes,
            hash: Sha256::new(),
            short: false,
        };
        let data = match holes {
            true => regions(reader.file, bytes)?,
            false => Vec::new(),
        };
        if !holes {
            let mut header = header(metadata, EntryType::Regular, bytes);
            self.builder
                .append_data(&mut header, relative, &mut reader)?;
        } else {
            self.sparse(&mut reader, relative, metadata, &data)?;
        }
        self.done += bytes;
        (self.told)(self.done);
        Ok((reader.hash.finalize().to_vec(), reader.short))
    }

    /// A file with holes, in the format that GNU tar always had: where its data belongs stands in the
    /// header and in blocks behind it.
    fn sparse(
        &mut self,
        content: &mut Content<'_>,
        relative: &Path,
        metadata: &fs::Metadata,
        data: &[(u64, u64)],
    ) -> io::Result<()> {
        let bytes = metadata.len();
        let stored = data.iter().map(|(_, length)| length).sum();
        let mut header = header(metadata, EntryType::GNUSparse, stored);
        // The last entry says where the file ends, also if it ends in a hole.
        let map: Vec<_> = data.iter().copied().chain([(bytes, 0)]).collect();
        let mut more = Vec::new();
        if let Some(gnu) = header.as_gnu_mut() {
            gnu.set_real_size(bytes);
            let first = gnu.sparse.len();
            gnu.set_is_extended(map.len() > first);
            fill(&mut gnu.sparse, &map);
            let mut rest = map.get(first..).unwrap_or_default();
            while !rest.is_empty() {
                let mut block = GnuExtSparseHeader::new();
                let here = rest.len().min(block.sparse.len());
                fill(&mut block.sparse, &rest[..here]);
                rest = &rest[here..];
                block.set_is_extended(!rest.is_empty());
                more.extend_from_slice(block.as_bytes());
            }
        }
        let pieces = Pieces {
            content,
            data,
            at: 0,
            bytes,
        };
        let all = more.as_slice().chain(pieces);
        self.builder.append_data(&mut header, relative, all)
    }
}

fn fill(entries: &mut [GnuSparseHeader], map: &[(u64, u64)]) {
    for (entry, (offset, length)) in std::iter::zip(entries, map) {
        entry.set_offset(*offset);
        entry.set_length(*length);
    }
}

fn header(metadata: &fs::Metadata, kind: EntryType, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header.set_entry_type(kind);
    header.set_size(bytes);
    header
}

/// Where a file has data: offsets and lengths.
fn regions(file: &fs::File, bytes: u64) -> io::Result<Vec<(u64, u64)>> {
    use rustix::fs::{SeekFrom as At, seek};
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes {
        let start = match seek(file, At::Data(at)) {
            Err(rustix::io::Errno::NXIO) => break,
            other => other?,
        };
        let end = seek(file, At::Hole(start))?.min(bytes);
        if end <= start {
            break;
        }
        all.push((start, end - start));
        at = end;
    }
    seek(file, At::Start(0))?;
    Ok(all)
}

/// A file's content, hashed as it passes.
struct Content<'a> {
    file: &'a mut fs::File,
    left: u64,
    hash: Sha256,
    short: bool,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let buffer = &mut buffer[..most];
        let mut count = match self.short {
            true => 0,
            false => self.file.read(buffer)?,
        };
        if count == 0 {
            self.short = true;
            buffer.fill(0);
            count = most;
        }
        self.hash.update(&buffer[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

/// The data of a file with holes; the holes are hashed as the zeros that they are.
struct Pieces<'a, 'b> {
    content: &'a mut Content<'b>,
    data: &'a [(u64, u64)],
    /// How much of the file was hashed.
    at: u64,
    bytes: u64,
}

impl Pieces<'_, '_> {
    fn hole(&mut self, until: u64) {
        let zeros = [0; 4096];
        while self.at < until {
            let count = (until - self.at).min(zeros.len() as u64);
            // At most 4096.
            self.content.hash.update(&zeros[..count as usize]);
            self.at += count;
        }
    }
}

impl Read for Pieces<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((offset, length)) = self.data.first().copied() else {
            self.hole(self.bytes);
            return Ok(0);
        };
        if self.at < offset {
            self.hole(offset);
        }
        if self.at == offset {
            self.content.file.seek(SeekFrom::Start(offset))?;
        }
        let left = offset + length - self.at;
        self.content.left = left;
        let most = buffer.len().min(PIECE);
        let count = self.content.read(&mut buffer[..most])?;
        self.at += count as u64;
        if self.at >= offset + length {
            self.data = &self.data[1..];
        }
        Ok(count)
    }
}
