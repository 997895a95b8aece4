//! A tar archive becomes a folder again. Nothing gets outside of it, whatever the archive says.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Component, Path},
};

use tar::{Archive, EntryType};

/// Unpacks into a folder that is there and empty.
pub fn unpack(from: impl Read, to: &Path) -> io::Result<()> {
    let root = rustix::process::geteuid().is_root();
    let mut archive = Archive::new(from);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_preserve_ownerships(root);
    let mut folders = Vec::new();
    let mut own = None;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            // Last, so that modes and times of folders don't stand in the way of what is in them.
            match plain(&entry.path()?) {
                true => folders.push(entry),
                false => {
                    let header = entry.header();
                    own = Some((header.mode()?, header.uid()?, header.gid()?));
                }
            }
        } else if !entry.unpack_in(to)? {
            let path = entry.path()?.display().to_string();
            return Err(io::Error::other(format!("{path} leads out of the volume")));
        }
    }
    folders.sort_by(|a, b| b.path_bytes().cmp(&a.path_bytes()));
    for mut folder in folders {
        folder.unpack_in(to)?;
    }
    if let Some((mode, user, group)) = own {
        if root {
            let number = |id: u64| u32::try_from(id).map_err(io::Error::other);
            chown(to, Some(number(user)?), Some(number(group)?))?;
        }
        fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    // What is behind the last entry is hashed too.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

/// Whether a path names something below the root.
fn plain(path: &Path) -> bool {
    path.components()
        .any(|part| matches!(part, Component::Normal(_)))
}
