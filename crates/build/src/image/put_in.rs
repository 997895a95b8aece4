//! Files of the sources that are put into a service's containers: kept with its artifact.

use std::{collections::BTreeMap, fs, path::Path, sync::atomic::AtomicBool};

use landfall_release::Artifact;

use crate::{
    digest::Parts,
    error::BuildError,
    files::move_to,
    snapshot::Snapshot,
    store::{self, Marker, Store},
};

/// The artifact with these files (place in the container, path in the sources): the n-th in the order
/// of their places is `files/n` in its folder, and all are part of its digest. Without files it stays
/// as it is.
pub fn put_files(
    artifact: Artifact,
    files: &BTreeMap<String, String>,
    snapshot: &Snapshot,
    artifacts: &Path,
    cancelled: &AtomicBool,
) -> Result<Artifact, BuildError> {
    if files.is_empty() {
        return Ok(artifact);
    }
    let mut parts = Parts::default().with("artifact", &artifact.digest);
    for (place, path) in files {
        let digest = snapshot.digest(path)?;
        let digest = digest.ok_or_else(|| BuildError::NoSuchFile(path.clone()))?;
        parts = parts.with("place", place).with("file", digest);
    }
    let digest = parts.finish();
    let name = store::name(&digest);
    let store = Store::open(artifacts, cancelled)?;
    let made = |folder: &Path| Artifact {
        digest: digest.clone(),
        folder: folder.to_owned(),
        ..artifact.clone()
    };
    let place = match store.take(&name, &digest, || {})? {
        Ok(marker) => return Ok(made(&marker.folder)),
        Err(place) => place,
    };
    let folder = place.folder.join("files");
    fs::create_dir_all(&folder).map_err(BuildError::file(&folder, "made"))?;
    for (index, path) in files.values().enumerate() {
        let beside = place.folder.join("export");
        snapshot.export(path, &beside)?;
        move_to(&beside, &folder.join(index.to_string()))?;
    }
    let artifact = made(&place.folder);
    place.finish(&Marker {
        folder: artifact.folder.clone(),
        digest: digest.clone(),
        said: artifact.said.clone(),
        artifact: Some(artifact.clone()),
        layers: Vec::new(),
    })?;
    Ok(artifact)
}
