//! Redis, a real one: dumped, verified, restored.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bed;

use bed::{Live, Product, keys, order};
use jiff::Timestamp;
use landfall_backup::{
    Contents, Error, Keyspace, Quiet, Store,
    make::{self, Means, Subject},
};

#[tokio::test]
async fn a_snapshot_is_made_verified_and_compared_again() {
    let Some(live) = Live::start(Product::Redis).await else {
        return;
    };
    live.execute(
        "",
        "SET a 1\nHSET h f v g w\nRPUSH l 1 2 3\nSELECT 3\nSET far away\n",
    )
    .await;
    let (keys, recipients) = keys();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path());
    let means = Means {
        store: &store,
        recipients: &recipients,
        keys: &keys,
        watcher: &Quiet,
    };
    let subject = Subject::Redis { server: &live };
    let made = make::make(&subject, order("cache"), &means, || {}, Timestamp::now).await;
    let manifest = made.unwrap();
    assert!(manifest.server.starts_with("Redis "), "{}", manifest.server);
    let Contents::Redis(contents) = &manifest.contents else {
        panic!("{manifest:?}")
    };
    let of = |keys, expires| Keyspace { keys, expires };
    assert_eq!(contents.databases[&0], of(3, 0));
    assert_eq!(contents.databases[&3], of(1, 0));
    assert_eq!(contents.digest.as_ref().map(String::len), Some(40));
    let verify = async |manifest: &landfall_backup::Manifest| {
        make::verify(&subject, manifest, &store, &keys, &Quiet).await
    };
    verify(&manifest).await.unwrap();
    // A manifest that says something else.
    let other = |change: &dyn Fn(&mut landfall_backup::RedisContents)| {
        let mut other = manifest.clone();
        if let Contents::Redis(contents) = &mut other.contents {
            change(contents);
        }
        other
    };
    let digest = other(&|contents| contents.digest = Some("0".repeat(40)));
    assert!(matches!(verify(&digest).await, Err(Error::Differs(_))));
    let count = other(&|contents| contents.databases.extend([(0, of(4, 0))]));
    assert!(matches!(verify(&count).await, Err(Error::Differs(_))));
    // With keys that expire there is no digest, and those gone meanwhile are no difference.
    live.execute("", "SET soon x PX 300\nSET late x EX 3600\n")
        .await;
    let made = make::make(&subject, order("cache"), &means, || {}, Timestamp::now).await;
    let manifest = made.unwrap();
    let Contents::Redis(contents) = &manifest.contents else {
        panic!("{manifest:?}")
    };
    assert_eq!(contents.digest, None);
    assert!(contents.databases[&0].expires >= 1);
    while live.execute("", "EXISTS soon\n").await.trim() != "0" {}
    verify(&manifest).await.unwrap();
    live.end().await;
}
