//! The routes on disk: replaced whole, never in place; the ones before stay beside them.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::routes::AppRoutes;

const VERSION: u32 = 1;
const FILE: &str = "routes.json";
const PREVIOUS: &str = "routes.json.previous";
const NEW: &str = "routes.json.new";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Stored {
    version: u32,
    apps: Vec<AppRoutes>,
}

/// Why the routes can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be read.
    #[error("can't read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// It isn't what was written there.
    #[error(
        "{} is damaged ({reason}): nothing is served until it is mended; \
         the routes before the last change stand in {}",
        path.display(), previous.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The last one but one.
        previous: PathBuf,
    },
}

/// What is stored in `folder`; nothing where nothing ever was.
pub(crate) fn read(folder: &Path) -> Result<Vec<AppRoutes>, StoreError> {
    let path = folder.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        // The last step of a write is the rename, so a missing file beside a previous one was taken away.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && !folder.join(PREVIOUS).exists() =>
        {
            return Ok(Vec::new());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(folder, "it is missing".to_owned()));
        }
        Err(source) => return Err(StoreError::Unreadable { path, source }),
    };
    let stored: Stored =
        serde_json::from_slice(&text).map_err(|error| damaged(folder, error.to_string()))?;
    if stored.version != VERSION {
        return Err(damaged(
            folder,
            format!("version {}, known is {VERSION}", stored.version),
        ));
    }
    Ok(stored.apps)
}

fn damaged(folder: &Path, reason: String) -> StoreError {
    StoreError::Damaged {
        path: folder.join(FILE),
        reason,
        previous: folder.join(PREVIOUS),
    }
}

/// Writes `apps` so that a crash leaves either these or the ones before.
pub(crate) fn write(folder: &Path, apps: Vec<AppRoutes>) -> io::Result<()> {
    let (path, new, previous) = (folder.join(FILE), folder.join(NEW), folder.join(PREVIOUS));
    let mut text = serde_json::to_vec_pretty(&Stored {
        version: VERSION,
        apps,
    })
    .map_err(io::Error::other)?;
    text.push(b'\n');
    let mut file = File::create(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    match fs::remove_file(&previous) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A second name instead of a rename, so that there is a `routes.json` at every moment.
    match fs::hard_link(&path, &previous) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            fs::copy(&path, &previous)?;
        }
        _ => {}
    }
    fs::rename(&new, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(generation: u64) -> AppRoutes {
        AppRoutes {
            app: "shop".into(),
            environment: "local".into(),
            generation,
            services: vec![],
        }
    }

    #[test]
    fn what_was_written_is_read_and_the_one_before_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), vec![]);
        write(folder.path(), vec![app(1)]).unwrap();
        write(folder.path(), vec![app(2)]).unwrap();
        assert_eq!(read(folder.path()).unwrap(), vec![app(2)]);
        let previous = fs::read_to_string(folder.path().join(PREVIOUS)).unwrap();
        assert!(previous.contains("\"generation\": 1"), "{previous}");
    }

    #[test]
    fn a_damaged_or_vanished_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), vec![app(1)]).unwrap();
        write(folder.path(), vec![app(2)]).unwrap();
        let path = folder.path().join(FILE);
        let text = fs::read(&path).unwrap();
        for broken in [
            &b""[..],
            &text[..text.len() / 2],
            b"{}",
            br#"{"version":9,"apps":[]}"#,
        ] {
            fs::write(&path, broken).unwrap();
            let message = read(folder.path()).unwrap_err().to_string();
            assert!(
                message.contains("routes.json is damaged")
                    && message.contains("routes.json.previous"),
                "{message}"
            );
        }
        fs::remove_file(&path).unwrap();
        assert!(
            read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("missing")
        );
    }
}
