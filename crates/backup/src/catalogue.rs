//! The backups of a store, read from what stands there: no other memory is needed.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    error::Error,
    manifest::{Identity, Manifest},
    retention::{Kept, expired},
    store::{Object, Store},
};

/// The file that makes a folder a backup.
pub const MANIFEST: &str = "manifest.json";
/// What was left without a manifest for so long was given up.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes the manifest: from now on it is a backup.
pub async fn keep(store: &Store, manifest: &Manifest) -> Result<(), Error> {
    let path = manifest.identity.path(MANIFEST);
    store.put_new(&path, manifest.text().into()).await
}

/// Writes it again, verified once more.
pub async fn renew(store: &Store, manifest: &Manifest) -> Result<(), Error> {
    let path = manifest.identity.path(MANIFEST);
    store.put(&path, manifest.text().into()).await
}

/// The manifest of a backup.
pub async fn manifest(store: &Store, folder: &str) -> Result<Manifest, Error> {
    let path = format!("{folder}/{MANIFEST}");
    let bytes = store.get(&path).await?;
    let bytes = bytes.ok_or_else(|| Error::Unknown(format!("{store} has no {path}")))?;
    let manifest = Manifest::parse(&bytes, &path)?;
    if manifest.identity.folder() != folder {
        return Err(Error::Damaged {
            what: path,
            said: format!("it is the manifest of {}", manifest.identity.folder()),
        });
    }
    Ok(manifest)
}

/// All backups below a prefix (`APP/ENVIRONMENT` or `APP/ENVIRONMENT/SUBJECT`), the oldest first.
/// What can't be read is answered beside them.
pub async fn list(
    store: &Store,
    prefix: &str,
) -> Result<(Vec<Manifest>, Vec<(String, Error)>), Error> {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for folder in folders(&store.list(prefix).await?, true) {
        match manifest(store, &folder).await {
            Ok(manifest) => found.push(manifest),
            Err(error @ (Error::Damaged { .. } | Error::Bad(_))) => broken.push((folder, error)),
            // Removed meanwhile.
            Err(Error::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|a, b| (&a.created_at, &a.identity).cmp(&(&b.created_at, &b.identity)));
    Ok((found, broken))
}

/// Removes a backup: first what makes it one.
pub async fn remove(store: &Store, identity: &Identity) -> Result<(), Error> {
    store.remove(&identity.path(MANIFEST)).await?;
    for object in store.list(&identity.folder()).await? {
        store.remove(&object.path).await?;
    }
    store.remove_folder(&identity.folder()).await;
    Ok(())
}

/// Removes the backups of a subject that are older than they are kept, and what was left without a
/// manifest a day ago. Answers what is left.
pub async fn prune(
    store: &Store,
    subject: &Identity,
    keep: Duration,
    now: Timestamp,
) -> Result<Vec<Manifest>, Error> {
    let prefix = format!(
        "{}/{}/{}",
        subject.app, subject.environment, subject.subject
    );
    let (mut all, _) = list(store, &prefix).await?;
    let kept: Vec<Kept> = all
        .iter()
        .map(|manifest| Kept {
            id: manifest.identity.id.clone(),
            created_at: manifest.created_at,
            verified: manifest.verified_at.is_some(),
        })
        .collect();
    for id in expired(&kept, keep, now) {
        let identity = Identity {
            id,
            ..subject.clone()
        };
        remove(store, &identity).await?;
        all.retain(|manifest| manifest.identity.id != identity.id);
    }
    let objects = store.list(&prefix).await?;
    for folder in folders(&objects, false) {
        let prefix = format!("{folder}/");
        let of_it = || objects.iter().filter(|one| one.path.starts_with(&prefix));
        let old = of_it().all(|one| {
            let age = now.duration_since(one.changed_at);
            Duration::try_from(age).is_ok_and(|age| age > ABANDONED)
        });
        if old {
            for object in of_it() {
                store.remove(&object.path).await?;
            }
            store.remove_folder(&folder).await;
        }
    }
    Ok(all)
}

/// The folders that have a manifest, or that have none.
fn folders(objects: &[Object], with: bool) -> Vec<String> {
    let mut all: BTreeMap<&str, bool> = BTreeMap::new();
    for object in objects {
        if let Some((folder, name)) = object.path.rsplit_once('/') {
            *all.entry(folder).or_default() |= name == MANIFEST;
        }
    }
    all.into_iter()
        .filter(|(folder, has)| *has == with && folder.matches('/').count() == 3)
        .map(|(folder, _)| folder.to_owned())
        .collect()
}
