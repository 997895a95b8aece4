//! A real S3 server, and one that fails.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bed;

use std::{fs, path::Path, time::Duration};

use bed::{
    keys, order,
    proxy::{Fault, Proxy},
    s3::{S3, store},
};
use jiff::Timestamp;
use landfall_backup::{
    Error, Identity, Manifest, Quiet, Store, catalogue,
    make::{self, Means, Subject},
    volume,
};

/// A folder of so many bytes.
fn sample(bytes: usize) -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    let mut number: u64 = 1;
    while text.len() < bytes {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.extend_from_slice(&number.to_le_bytes());
    }
    fs::write(data.path().join("large"), text).unwrap();
    data
}

/// More than two parts of an upload.
const LARGE: usize = 11_000_000;

async fn back_up(store: &Store, data: &Path) -> Result<Manifest, Error> {
    let (keys, recipients) = keys();
    let means = Means {
        store,
        recipients: &recipients,
        keys: &keys,
        watcher: &Quiet,
    };
    let scratch = tempfile::tempdir().unwrap();
    let subject = Subject::Volume {
        folder: data.to_owned(),
        scratch: scratch.path().join("scratch"),
    };
    make::make(&subject, order("web.data"), &means, || {}, Timestamp::now).await
}

#[tokio::test]
async fn a_bucket_keeps_backups() {
    let Some(server) = S3::start().await else {
        return;
    };
    let data = sample(LARGE);
    let store = store(server.address, "backups", None);
    let first = back_up(&store, data.path()).await.unwrap();
    let second = back_up(&store, data.path()).await.unwrap();
    assert!(
        server
            .folder
            .join("backups/some/where/shop/local/web.data")
            .is_dir()
    );
    // Read by another client, which knows nothing but the bucket.
    let (found, broken) = catalogue::list(&store, "shop/local").await.unwrap();
    assert_eq!(
        (found, broken.len()),
        (vec![first.clone(), second.clone()], 0)
    );
    let (keys, _) = keys();
    let back = tempfile::tempdir().unwrap();
    volume::restore(&first, back.path(), &store, &keys, &Quiet)
        .await
        .unwrap();
    volume::compare(&first, back.path(), &Quiet).await.unwrap();
    // A manifest is never written over.
    assert!(catalogue::keep(&store, &first).await.is_err());
    // The older one goes after a week, the last verified one never.
    let later = Timestamp::now() + Duration::from_secs(30 * 86_400);
    let week = Duration::from_secs(7 * 86_400);
    let left = catalogue::prune(&store, &first.identity, week, later)
        .await
        .unwrap();
    assert_eq!(left, std::slice::from_ref(&second));
    let left = store.list("shop").await.unwrap();
    assert!(
        left.iter()
            .all(|object| object.path.starts_with(&second.identity.folder()))
    );
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn what_was_given_up_is_swept() {
    let Some(server) = S3::start().await else {
        return;
    };
    let store = store(server.address, "backups", None);
    let identity = Identity::new("shop", "local", "db", Timestamp::now()).unwrap();
    store
        .put(&identity.path("dump.age"), "half".into())
        .await
        .unwrap();
    let (week, now) = (Duration::from_secs(7 * 86_400), Timestamp::now());
    catalogue::prune(&store, &identity, week, now)
        .await
        .unwrap();
    assert_eq!(store.list("shop").await.unwrap().len(), 1);
    let later = now + Duration::from_secs(2 * 86_400);
    catalogue::prune(&store, &identity, week, later)
        .await
        .unwrap();
    assert_eq!(store.list("shop").await.unwrap(), []);
}

#[tokio::test]
async fn every_way_of_failing_has_its_name() {
    let Some(server) = S3::start().await else {
        return;
    };
    let (data, large) = (sample(100_000), sample(LARGE));
    let good = store(server.address, "backups", None);
    let kept = back_up(&good, data.path()).await.unwrap();
    let left = || async { good.list("shop").await.unwrap().len() };
    let before = left().await;

    let wrong = store(server.address, "backups", Some("wrong"));
    let error = back_up(&wrong, data.path()).await.unwrap_err();
    assert_eq!(error.name(), "backup-denied", "{error}");
    let none = store(server.address, "nothing", None);
    let error = back_up(&none, data.path()).await.unwrap_err();
    assert_eq!(error.name(), "no-bucket", "{error}");

    let proxy = Proxy::start(server.address).await;
    let through = store(proxy.address, "backups", None);
    for (fault, only, name) in [
        (Fault::Status(403), None, "backup-denied"),
        (Fault::Status(403), Some("uploadId"), "backup-denied"),
        (
            Fault::Status(500),
            Some("partNumber=2"),
            "backup-store-failed",
        ),
        (Fault::Status(503), Some("PUT"), "backup-store-failed"),
        (Fault::Silent, Some("partNumber=1"), "backup-unreachable"),
        (
            Fault::Stalls,
            Some("GET /backups/some"),
            "backup-unreachable",
        ),
        (Fault::Closes, Some("partNumber=1"), "backup-store-failed"),
    ] {
        proxy.set(fault, only);
        let parts = only.is_some_and(|only| only.contains("part") || only.contains("upload"));
        let data = if parts { &large } else { &data };
        let error = back_up(&through, data.path()).await.unwrap_err();
        assert_eq!(error.name(), name, "{fault:?}: {error}");
    }
    // A server that comes round is waited for.
    proxy.set(Fault::StatusFor(503, 1), Some("partNumber=1"));
    let made = back_up(&through, large.path()).await.unwrap();
    catalogue::remove(&good, &made.identity).await.unwrap();
    let gone = proxy.address;
    drop(proxy);
    let error = back_up(&store(gone, "backups", None), data.path())
        .await
        .unwrap_err();
    assert_eq!(error.name(), "backup-unreachable", "{error}");

    // Whatever failed, nothing of it counts, and the earlier one is as it was.
    let (found, _) = catalogue::list(&good, "shop/local").await.unwrap();
    assert_eq!(found, [kept]);
    let objects = good.list("shop").await.unwrap();
    assert!(left().await >= before, "{objects:?}");
}
