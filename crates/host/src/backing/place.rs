//! Where the data of plain processes is, whose it is, and that its owner gets there.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use landfall_app::{Name, model::BackingKind};
use landfall_release::Failure;

use crate::home::{Home, make_folder};

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
}

/// As whom a server runs where the host is root: a server of its kind refuses to be root, and should
/// not be able to be. None where the host is somebody else, for then it runs as the host does.
pub fn account(kind: &BackingKind) -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let own = match kind {
        BackingKind::Postgres => "postgres",
        BackingKind::Redis => "redis",
        BackingKind::Image(_) => return None,
    };
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    [own, "nobody"]
        .into_iter()
        .find_map(|name| named(&accounts, name))
}

fn named(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let name = name.to_owned();
        found.then_some(Account { name, user, group })
    })
}

/// The folder of a backing service's data and of what else belongs to it.
pub fn folder(home: &Home, app: &Name, environment: &Name, name: &Name) -> PathBuf {
    home.root()
        .join("backing")
        .join(app.as_str())
        .join(environment.as_str())
        .join(name.as_str())
}

/// Makes a folder that an account owns alone, and lets it through to it.
pub fn own_folder(home: &Home, path: &Path, account: Option<&Account>) -> Result<(), Failure> {
    let failed = |error: &io::Error| {
        Failure::new(
            "backing-failed",
            format!("{} can't be made: {error}", path.display()),
        )
    };
    make_folder(path).map_err(|error| failed(&error))?;
    let Some(account) = account else {
        return Ok(());
    };
    chown(path, Some(account.user), Some(account.group)).map_err(|error| failed(&error))?;
    let_through(home, path, account)
}

/// Makes a folder that whoever a container is may use: the one above it is its guard, and what an
/// image has at its place takes over owner and rights at the first use.
pub fn open_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_folder(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))
}

/// Lets an account through every folder above one. In our own we see to it; those above the state
/// folder are others'.
fn let_through(home: &Home, path: &Path, account: &Account) -> Result<(), Failure> {
    close_others(home.root(), path).map_err(|error| {
        let message = format!("{} can't be closed: {error}", home.root().display());
        Failure::new("backing-failed", message)
    })?;
    for folder in path.ancestors().skip(1) {
        let Ok(metadata) = fs::metadata(folder) else {
            continue;
        };
        let mode = metadata.mode();
        let passes = mode & 0o001 != 0 || (metadata.uid() == account.user && mode & 0o100 != 0);
        if passes {
            continue;
        }
        let ours = folder.starts_with(home.root());
        let opened = ours.then(|| open(folder, mode)).transpose();
        match opened {
            Ok(Some(())) => {}
            Ok(None) => {
                let message = format!(
                    "the user {} of this machine's packages can't get through {}",
                    account.name,
                    folder.display()
                );
                return Err(Failure::new("backing-failed", message).with(
                    "mend",
                    format!(
                        "chmod o+x {}, or set LANDFALL_HOME to a folder elsewhere",
                        folder.display()
                    ),
                ));
            }
            Err(error) => {
                let message = format!("{} can't be opened: {error}", folder.display());
                return Err(Failure::new("backing-failed", message));
            }
        }
    }
    Ok(())
}

/// Opens a folder for passing through.
fn open(folder: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o777 | 0o011))
}

/// Closes everything in the state folder that the way doesn't lead through: its names are known, and
/// the folder itself doesn't guard it any more.
fn close_others(root: &Path, way: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let plain = metadata.is_file() || metadata.is_dir();
        if plain && metadata.mode() & 0o077 != 0 && !way.starts_with(entry.path()) {
            let private = fs::Permissions::from_mode(metadata.mode() & 0o700);
            fs::set_permissions(entry.path(), private)?;
        }
    }
    Ok(())
}

/// Bytes below a folder, as they take room on the disk; nothing where it can't be read.
pub fn used(folder: &Path) -> Option<u64> {
    let mut sum = 0;
    let mut left = vec![folder.to_owned()];
    let mut readable = false;
    while let Some(folder) = left.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        readable = true;
        for entry in entries.flatten() {
            // A file may go between the look and the question.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            sum += metadata.blocks() * 512;
            if metadata.is_dir() {
                left.push(entry.path());
            }
        }
    }
    readable.then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_by_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        let postgres = named(accounts, "postgres").unwrap();
        assert_eq!((postgres.user, postgres.group), (101, 104));
        assert_eq!(named(accounts, "redis"), None);
    }

    #[test]
    fn a_folder_on_the_way_is_opened_and_the_files_in_it_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        let home = Home::open(&root).unwrap();
        fs::write(root.join("ledger.db"), "facts").unwrap();
        let data = root.join("backing").join("shop").join("data");
        make_folder(&data).unwrap();
        let account = Account {
            name: "somebody".to_owned(),
            user: 54_321,
            group: 54_321,
        };
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let failure = let_through(&home, &data, &account).unwrap_err();
        assert!(failure.message.contains("somebody"), "{failure}");
        assert_eq!(mode(&root), 0o711);
        assert_eq!(mode(&root.join("backing")), 0o711);
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&root.join("ledger.db")), 0o600);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let_through(&home, &data, &account).unwrap();
    }

    #[test]
    fn room_that_is_used() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("base")).unwrap();
        fs::write(folder.path().join("base/1"), vec![1; 100_000]).unwrap();
        let used = used(folder.path()).unwrap();
        assert!((100_000..300_000).contains(&used), "{used}");
        assert_eq!(super::used(&folder.path().join("nothing")), None);
    }
}
