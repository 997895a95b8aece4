//! The folder of artifacts: each at its final path, complete or not there, shared layers beside.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime},
};

use landfall_release::Artifact;
use serde::{Deserialize, Serialize};

use crate::{
    error::BuildError,
    files::{self, remove},
};

/// Written beside a folder once it is complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Marker {
    /// Where it was made: virtual environments and scripts name their own path, and don't move.
    pub folder: PathBuf,
    /// Digest of everything that went in.
    pub digest: String,
    /// In a few words.
    pub said: String,
    /// The artifact; layers have none.
    pub artifact: Option<Artifact>,
    /// Folders of layers that the artifact refers to.
    pub layers: Vec<String>,
}

/// The folder of artifacts.
pub struct Store<'a> {
    pub folder: PathBuf,
    pub cancelled: &'a AtomicBool,
}

/// A place in the store that is this process's alone until it is dropped.
pub struct Place {
    pub folder: PathBuf,
    marker: PathBuf,
    _lock: File,
}

impl<'a> Store<'a> {
    /// The store at a folder, made where there is none.
    pub fn open(folder: &Path, cancelled: &'a AtomicBool) -> Result<Self, BuildError> {
        fs::create_dir_all(folder).map_err(BuildError::file(folder, "made"))?;
        let folder = folder
            .canonicalize()
            .map_err(BuildError::file(folder, "found"))?;
        Ok(Self { folder, cancelled })
    }

    /// What is complete under a name, with this digest. Marks it as used now.
    pub fn complete(&self, name: &str, digest: &str) -> Option<Marker> {
        let path = self.folder.join(format!("{name}.json"));
        let marker: Marker = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let folder = self.folder.join(name);
        let usable = marker.digest == digest && marker.folder == folder && folder.is_dir();
        let layers = marker
            .layers
            .iter()
            .all(|layer| self.folder.join(layer).is_dir());
        (usable && layers).then(|| {
            if let Ok(file) = File::options().write(true).open(&path) {
                let _ = file.set_modified(SystemTime::now());
            }
            marker
        })
    }

    /// Takes a name, waiting for whoever builds there. Nothing of an earlier, incomplete build is left.
    pub fn take(
        &self,
        name: &str,
        digest: &str,
        waits: impl FnOnce(),
    ) -> Result<Result<Marker, Place>, BuildError> {
        let lock = files::lock(&lock_path(&self.folder, name), self.cancelled, waits)?;
        if let Some(marker) = self.complete(name, digest) {
            return Ok(Ok(marker));
        }
        let place = Place {
            folder: self.folder.join(name),
            marker: self.folder.join(format!("{name}.json")),
            _lock: lock,
        };
        remove(&place.marker)?;
        remove(&place.folder)?;
        Ok(Err(place))
    }
}

impl Place {
    /// Says that what stands here is complete.
    pub fn finish(self, marker: &Marker) -> Result<(), BuildError> {
        let text = serde_json::to_vec_pretty(marker)
            .expect("a marker is texts and numbers under text keys");
        files::write(&self.marker, &text)
    }
}

/// The name of an artifact's folder.
pub fn name(digest: &str) -> String {
    digest.get(..16).unwrap_or(digest).to_owned()
}

fn lock_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(".locks").join(name)
}

/// Removes artifacts that nothing keeps, and layers that no artifact refers to any more. What was
/// made or used within `grace` stays: a release that refers to it may be about to be sealed; and so
/// does what is being built. Returns the folders removed.
pub fn prune(
    artifacts: &Path,
    keep: &BTreeSet<PathBuf>,
    grace: Duration,
) -> Result<Vec<PathBuf>, BuildError> {
    let entries = match fs::read_dir(artifacts) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(BuildError::file(artifacts, "read"))?,
    };
    let names: BTreeSet<OsString> = keep
        .iter()
        .filter_map(|path| path.file_name().map(ToOwned::to_owned))
        .collect();
    let (mut candidates, mut used) = (Vec::new(), BTreeSet::new());
    for entry in entries {
        let entry = entry.map_err(BuildError::file(artifacts, "read"))?;
        let name = entry.file_name();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir())
            || name.as_encoded_bytes().starts_with(b".locks")
        {
            continue;
        }
        let mut json = name.clone();
        json.push(".json");
        let marker_path = artifacts.join(json);
        let marker: Option<Marker> = fs::read(&marker_path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let touched = if marker.is_some() {
            marker_path.clone()
        } else {
            entry.path()
        };
        let age = fs::metadata(touched)
            .and_then(|found| found.modified())
            .ok()
            .and_then(|at| at.elapsed().ok());
        if names.contains(&name) || age.is_none_or(|age| age < grace) {
            used.extend(
                marker
                    .map(|marker| marker.layers)
                    .unwrap_or_default()
                    .into_iter()
                    .map(OsString::from),
            );
        } else {
            candidates.push((name, marker_path));
        }
    }
    let mut removed = Vec::new();
    for (name, marker) in candidates
        .into_iter()
        .filter(|(name, _)| !used.contains(name))
    {
        let path = lock_path(artifacts, &name.to_string_lossy());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(BuildError::file(parent, "made"))?;
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let lock = lock.map_err(BuildError::file(&path, "locked"))?;
        if lock.try_lock().is_err() {
            continue;
        }
        remove(&marker)?;
        remove(&artifacts.join(&name))?;
        removed.push(artifacts.join(&name));
    }
    removed.sort();
    Ok(removed)
}
