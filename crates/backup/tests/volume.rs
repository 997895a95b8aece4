//! Folders: archived, unpacked, compared.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bed;

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
};

use bed::{keys, order};
use jiff::Timestamp;
use landfall_backup::{
    Contents, Error, Quiet, Store,
    make::{self, Means, Subject},
    volume,
};

#[tokio::test]
async fn a_folder_comes_back_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    fs::create_dir_all(data.join("deep/er")).unwrap();
    fs::create_dir(data.join("empty")).unwrap();
    fs::write(data.join("a.txt"), "a").unwrap();
    let long = "n".repeat(200);
    fs::write(data.join("deep").join(&long), vec![7; 300_000]).unwrap();
    fs::hard_link(data.join("a.txt"), data.join("deep/again.txt")).unwrap();
    symlink("../a.txt", data.join("deep/link")).unwrap();
    symlink("/nowhere", data.join("dangling")).unwrap();
    fs::set_permissions(data.join("a.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(data.join("deep/er"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    let mut sparse = fs::File::create(data.join("sparse")).unwrap();
    for number in 0..40_u64 {
        sparse.seek(SeekFrom::Start(number * 100_000)).unwrap();
        sparse.write_all(&[1; 4096]).unwrap();
    }
    sparse.set_len(6_400_000).unwrap();
    let hole = fs::File::create(data.join("hole")).unwrap();
    hole.set_len(5_000_000).unwrap();
    let _socket = UnixListener::bind(data.join("socket")).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(data.join("empty"), Some(1234), Some(5678)).unwrap();
    }

    let (keys, recipients) = keys();
    let store = Store::folder(root.path().join("store"));
    let means = Means {
        store: &store,
        recipients: &recipients,
        keys: &keys,
        watcher: &Quiet,
    };
    let subject = Subject::Volume {
        folder: data.clone(),
        scratch: root.path().join("scratch"),
    };
    let made = make::make(&subject, order("web.data"), &means, || {}, Timestamp::now).await;
    let manifest = made.unwrap();
    assert!(!root.path().join("scratch").exists());
    let Contents::Volume(contents) = &manifest.contents else {
        panic!("{manifest:?}")
    };
    assert_eq!((contents.files, contents.links), (5, 2));
    assert_eq!((contents.skipped, contents.changed), (1, 0));
    // Holes take no room.
    assert!(manifest.bytes() < 1_000_000, "{}", manifest.bytes());

    let back = root.path().join("back");
    fs::create_dir(&back).unwrap();
    volume::restore(&manifest, &back, &store, &keys, &Quiet)
        .await
        .unwrap();
    volume::compare(&manifest, &back, &Quiet).await.unwrap();
    let of = |name: &str| fs::symlink_metadata(back.join(name)).unwrap();
    assert_eq!(of("a.txt").ino(), of("deep/again.txt").ino());
    assert_eq!(of("a.txt").mode() & 0o777, 0o640);
    assert_eq!(of("").mode() & 0o777, 0o750);
    assert_eq!(of("sparse").len(), 6_400_000);
    assert!(of("sparse").blocks() * 512 < 1_000_000);
    assert_eq!(
        fs::read(data.join("sparse")).unwrap(),
        fs::read(back.join("sparse")).unwrap()
    );
    assert_eq!(of("hole").len(), 5_000_000);
    if rustix::process::geteuid().is_root() {
        assert_eq!((of("empty").uid(), of("empty").gid()), (1234, 5678));
    }
    // Any change is found: content of the same length, a mode, a name.
    fs::write(back.join("a.txt"), "b").unwrap();
    let differs = volume::compare(&manifest, &back, &Quiet).await;
    assert!(matches!(differs, Err(Error::Differs(_))), "{differs:?}");
    fs::write(back.join("a.txt"), "a").unwrap();
    volume::compare(&manifest, &back, &Quiet).await.unwrap();
    fs::rename(back.join("hole"), back.join("holf")).unwrap();
    assert!(volume::compare(&manifest, &back, &Quiet).await.is_err());
}

#[tokio::test]
async fn a_full_disk_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let small = root.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&small)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return bed::skipped("no small disk can be mounted here");
    }
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("large"), vec![3; 4_000_000]).unwrap();
    let (keys, recipients) = keys();
    let store = Store::folder(small.join("store"));
    let means = Means {
        store: &store,
        recipients: &recipients,
        keys: &keys,
        watcher: &Quiet,
    };
    let subject = Subject::Volume {
        folder: data.clone(),
        scratch: root.path().join("scratch"),
    };
    let made = make::make(&subject, order("web.data"), &means, || {}, Timestamp::now).await;
    let left = store.list("shop").await.unwrap();
    // No room to unpack it.
    let subject = Subject::Volume {
        folder: data,
        scratch: small.join("scratch"),
    };
    let elsewhere = Store::folder(root.path().join("store"));
    let means = Means {
        store: &elsewhere,
        ..means
    };
    let scratch = make::make(&subject, order("web.data"), &means, || {}, Timestamp::now).await;
    let unmounted = std::process::Command::new("umount").arg(&small).status();
    assert!(unmounted.unwrap().success());
    assert_eq!(made.unwrap_err().name(), "disk-full");
    assert_eq!(left, []);
    assert_eq!(scratch.unwrap_err().name(), "disk-full");
    assert_eq!(elsewhere.list("shop").await.unwrap(), []);
}
