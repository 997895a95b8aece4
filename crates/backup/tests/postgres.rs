//! PostgreSQL, a real one: dumped, verified, restored.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bed;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use bed::{Live, Product, keys, order};
use jiff::Timestamp;
use landfall_backup::{
    Contents, Error, Manifest, Progress, Quiet, Stage, Store, catalogue,
    make::{self, Means, Subject},
    postgres,
};

const SAMPLE: &str = r#"
CREATE ROLE shop LOGIN PASSWORD 'hunter2';
CREATE DATABASE shop OWNER shop;
ALTER DATABASE shop SET search_path TO shop, "public";
ALTER ROLE shop IN DATABASE shop SET work_mem TO '8MB';
\c shop
SET ROLE shop;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), total numeric,
    share double precision, note text, raw bytea, tags text[], more jsonb);
INSERT INTO shop.orders (total, share, note, raw, tags, more)
    SELECT n * 1.01, random(), repeat('x', n % 50) || E'\t"' || n, decode(md5(n::text), 'hex'),
    ARRAY[n::text, NULL], jsonb_build_object('n', n) FROM generate_series(1, 5000) n;
CREATE TABLE shop."Odd ""Name" (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE shop.odd_1 PARTITION OF shop."Odd ""Name" FOR VALUES FROM (0) TO (10);
INSERT INTO shop."Odd ""Name" VALUES (1, 2), (1, 2), (3, NULL);
CREATE INDEX ON shop.orders (note);
CREATE VIEW shop.large AS SELECT * FROM shop.orders WHERE total > 100;
CREATE MATERIALIZED VIEW shop.sums AS SELECT sum(total) FROM shop.orders;
CREATE FUNCTION shop.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE shop.empty ();
SELECT lo_from_bytea(0, 'large');
"#;

struct Bed {
    live: Live,
    folder: tempfile::TempDir,
    store: Store,
}

impl Bed {
    async fn new() -> Option<Self> {
        let live = Live::start(Product::Postgres).await?;
        live.execute("postgres", SAMPLE).await;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::folder(folder.path());
        Some(Self {
            live,
            folder,
            store,
        })
    }

    async fn make(&self, watcher: &dyn landfall_backup::Watcher) -> Result<Manifest, Error> {
        let (keys, recipients) = keys();
        let means = Means {
            store: &self.store,
            recipients: &recipients,
            keys: &keys,
            watcher,
        };
        make::make(&self.subject(), order("db"), &means, || {}, Timestamp::now).await
    }

    fn subject(&self) -> Subject<'_> {
        Subject::Postgres {
            server: &self.live,
            database: "shop".to_owned(),
        }
    }

    async fn verify(&self, manifest: &Manifest) -> Result<(), Error> {
        let (keys, _) = keys();
        let verified = make::verify(&self.subject(), manifest, &self.store, &keys, &Quiet).await;
        verified.map(drop)
    }

    fn file(&self, manifest: &Manifest, name: &str) -> PathBuf {
        self.folder.path().join(manifest.identity.path(name))
    }

    fn files(&self) -> usize {
        fn count(folder: &Path) -> usize {
            let entries = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            entries
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(self.folder.path())
    }
}

#[tokio::test]
async fn a_database_is_dumped_verified_and_restored() {
    let Some(bed) = Bed::new().await else { return };
    let stages = Mutex::new(Vec::new());
    let watcher = |progress: Progress| {
        let mut stages = stages.lock().unwrap();
        if stages.last() != Some(&progress.stage) {
            stages.push(progress.stage);
        }
    };
    let manifest = bed.make(&watcher).await.unwrap();
    assert_eq!(
        *stages.lock().unwrap(),
        [
            Stage::Checking,
            Stage::Dumping,
            Stage::Counting,
            Stage::Starting,
            Stage::Restoring,
            Stage::Comparing,
            Stage::Keeping
        ]
    );
    assert!(manifest.verified_at.is_some() && manifest.server.starts_with("PostgreSQL 1"));
    let Contents::Postgres(contents) = &manifest.contents else {
        panic!("{manifest:?}")
    };
    let rows = |table: &str| contents.tables[table].rows;
    assert_eq!(rows("shop.orders"), 5000);
    assert_eq!(rows("shop.odd_1"), 3);
    assert_eq!(rows("shop.empty"), 0);
    assert_eq!(rows("shop.sums"), 1);
    assert_eq!(rows("pg_largeobject"), 1);
    assert_eq!(contents.objects["partitioned tables"], 1);
    assert_eq!(contents.owner, "shop");
    // Nothing of it stands in the store in plain, the passwords of roles nowhere.
    let dump = fs::read(bed.file(&manifest, "dump.age")).unwrap();
    assert!(dump.starts_with(b"age-encryption.org/v1"));
    let (found, broken) = catalogue::list(&bed.store, "shop/local").await.unwrap();
    assert_eq!(
        (found.as_slice(), broken.len()),
        (&[manifest.clone()][..], 0)
    );

    // Into a new database beside the old one.
    let (keys, _) = keys();
    let programs = landfall_backup::Server::programs(&bed.live);
    postgres::restore(programs, &manifest, "again", &bed.store, &keys, &Quiet)
        .await
        .unwrap();
    postgres::compare(programs, &manifest, "again", &Quiet)
        .await
        .unwrap();
    let path = bed.live.execute("again", "SHOW search_path").await;
    assert_eq!(path.trim(), "shop, public");
    // One row more, or another one, is found.
    bed.live
        .execute("again", "INSERT INTO shop.odd_1 VALUES (5, 5)")
        .await;
    bed.live
        .execute("again", "UPDATE shop.orders SET share = 2 WHERE id = 17")
        .await;
    let differs = postgres::compare(programs, &manifest, "again", &Quiet).await;
    let Err(Error::Differs(all)) = differs else {
        panic!("{differs:?}")
    };
    // The summary of the rows isn't refreshed by itself.
    assert_eq!(
        all,
        [
            "table shop.odd_1 has 4 rows, dumped were 3",
            "the rows of table shop.orders have another checksum"
        ]
    );
    bed.live.end().await;
}

#[tokio::test]
async fn what_is_written_meanwhile_is_no_difference() {
    let Some(bed) = Bed::new().await else { return };
    let writing = async {
        loop {
            bed.live
                .execute(
                    "shop",
                    "INSERT INTO shop.orders (note) VALUES ('meanwhile')",
                )
                .await;
        }
    };
    let manifest = tokio::select! {
        made = bed.make(&Quiet) => made.unwrap(),
        () = writing => unreachable!("it never ends"),
    };
    let Contents::Postgres(contents) = &manifest.contents else {
        panic!("{manifest:?}")
    };
    let now: u64 = bed
        .live
        .execute("shop", "SELECT count(*) FROM shop.orders")
        .await
        .trim()
        .parse()
        .unwrap();
    assert!((5000..now).contains(&contents.tables["shop.orders"].rows));
    bed.live.end().await;
}

#[tokio::test]
async fn what_was_tampered_with_is_found() {
    let Some(bed) = Bed::new().await else { return };
    let manifest = bed.make(&Quiet).await.unwrap();
    let path = bed.file(&manifest, "dump.age");
    let whole = fs::read(&path).unwrap();
    let (keys, _) = keys();
    let check = async || make::check(&manifest, &bed.store, &keys, &Quiet).await;
    check().await.unwrap();
    // Cut off: in the middle, at the end of a piece, by one byte.
    for length in [whole.len() / 2, 300, whole.len() - 1, 0] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(check().await, Err(Error::Damaged { .. })),
            "{length}"
        );
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&path, &flipped).unwrap();
    assert!(matches!(check().await, Err(Error::Damaged { .. })));
    let verified = bed.verify(&manifest).await;
    assert!(
        matches!(verified, Err(Error::Damaged { .. })),
        "{verified:?}"
    );
    fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
    assert!(matches!(check().await, Err(Error::Damaged { .. })));
    // A whole file of ours in the place of another one: encrypted by whoever knows the recipients.
    fs::copy(bed.file(&manifest, "globals.age"), &path).unwrap();
    assert!(matches!(check().await, Err(Error::Damaged { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(check().await, Err(Error::Damaged { .. })));
    fs::write(&path, &whole).unwrap();
    check().await.unwrap();
    let other = landfall_backup::Keys::parse(
        "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQS8U5HQF",
    );
    if let Ok(other) = other {
        let refused = make::check(&manifest, &bed.store, &other, &Quiet).await;
        assert!(
            matches!(refused, Err(Error::NotForKey { .. })),
            "{refused:?}"
        );
    }
    bed.live.end().await;
}

#[tokio::test]
async fn one_that_fails_leaves_nothing_and_keeps_the_others() {
    let Some(bed) = Bed::new().await else { return };
    let first = bed.make(&Quiet).await.unwrap();
    let files = bed.files();
    // No room for the scratch instance.
    *bed.live.needed.lock().unwrap() = Some((bed.folder.path().to_owned(), u64::MAX / 4));
    let full = bed.make(&Quiet).await.unwrap_err();
    assert_eq!(full.name(), "disk-full", "{full}");
    assert_eq!(bed.files(), files);
    *bed.live.needed.lock().unwrap() = None;
    // A database that can't be dumped.
    bed.live
        .execute("shop", "CREATE VIEW shop.broken AS SELECT 1/0 AS n; CREATE MATERIALIZED VIEW shop.late AS SELECT * FROM shop.orders WITH NO DATA")
        .await;
    bed.make(&Quiet).await.unwrap();
    bed.live
        .execute("postgres", "ALTER DATABASE shop RENAME TO gone")
        .await;
    let failed = bed.make(&Quiet).await.unwrap_err();
    assert_eq!(failed.name(), "backup-failed", "{failed}");
    let (found, _) = catalogue::list(&bed.store, "shop/local/db").await.unwrap();
    assert_eq!((found.len(), &found[0]), (2, &first));
    bed.live.end().await;
}
