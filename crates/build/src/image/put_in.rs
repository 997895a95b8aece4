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
    // Whoever puts a link into a container puts in what it leads to on this machine.
    let followed = files
        .iter()
        .map(|(place, path)| Ok((place, snapshot.followed(path)?)));
    let followed = followed.collect::<Result<Vec<_>, BuildError>>()?;
    for (place, path) in &followed {
        let digest = snapshot.digest(path)?;
        let digest = digest.ok_or_else(|| BuildError::NoSuchFile(path.clone()))?;
        parts = parts.with("place", place.as_str()).with("file", digest);
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
    for (index, (_, path)) in followed.iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, process::Command};

    use super::*;
    use crate::snapshot::SnapshotRequest;

    /// Puts one path of a folder's sources in; what it is there.
    fn put(folder: &Path, path: &str) -> Result<(Artifact, String), BuildError> {
        let state = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::take(&SnapshotRequest {
            folder,
            scratch: state.path(),
            exclude: &[],
        })?;
        let artifact = Artifact {
            digest: "image".to_owned(),
            folder: Path::new("").to_owned(),
            path: Vec::new(),
            environment: BTreeMap::new(),
            builder: "dockerfile".to_owned(),
            said: String::new(),
            size: 0,
            image: None,
        };
        let files = BTreeMap::from([("/etc/put".to_owned(), path.to_owned())]);
        let artifacts = state.path().join("artifacts");
        let never = AtomicBool::new(false);
        let artifact = put_files(artifact, &files, &snapshot, &artifacts, &never)?;
        let file = artifact.folder.join("files/0");
        assert!(!file.is_symlink(), "it would be followed on this machine");
        let text = fs::read_to_string(file).unwrap_or_default();
        Ok((artifact, text))
    }

    #[test]
    fn a_link_is_what_it_leads_to_and_never_leads_out_of_the_sources() {
        for repository in [false, true] {
            let outer = tempfile::tempdir().unwrap();
            fs::write(outer.path().join("secret"), "of the machine").unwrap();
            let app = outer.path().join("app");
            fs::create_dir_all(app.join("conf")).unwrap();
            let link = |target: &str, name: &str| symlink(target, app.join(name)).unwrap();
            let write = |text: &str| fs::write(app.join("real"), text).unwrap();
            write("one");
            link("../real", "conf/inside");
            link("conf/inside", "twice");
            link("/etc/passwd", "absolute");
            link("../secret", "above");
            link("circle", "circle");
            if repository {
                let made = Command::new("git").args(["init", "-q"]).arg(&app).status();
                assert!(made.unwrap().success());
            }
            let (first, text) = put(&app, "twice").unwrap();
            assert_eq!(text, "one");
            write("two");
            let (second, text) = put(&app, "twice").unwrap();
            assert_eq!(text, "two");
            assert_ne!(first.digest, second.digest);
            for (path, name) in [
                ("absolute", "outside-of-app"),
                ("above", "outside-of-app"),
                ("circle", "no-such-file"),
            ] {
                assert_eq!(put(&app, path).unwrap_err().name(), name, "{path}");
            }
        }
    }
}
