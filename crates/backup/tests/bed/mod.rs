//! Real servers for tests, as plain processes. Where a program is missing the test says so and is
//! skipped: `make test` counts these lines.
#![expect(dead_code, reason = "each test file uses another part of it")]

pub mod local;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod s3;

use std::path::PathBuf;

use jiff::Timestamp;
use landfall_backup::{
    Error, Identity, Keys, Programs, Reason, Recipients, Scratch, Server, make::Order,
    program::Boxed, room,
};

use local::{Folder, LocalPrograms, account};
use postgres::ScratchPostgres;
use redis::ScratchRedis;

/// The key that tests encrypt to.
pub const KEY: &str = "AGE-SECRET-KEY-184JMZMVQH3E6U0PSL869004Y3U2NYV7R30EU99CSEDNPH02YUVFSZW44VU";

/// It, parsed, and its public half.
pub fn keys() -> (Keys, Recipients) {
    let keys = Keys::parse(KEY).unwrap();
    let recipients = Recipients::new(keys.public()).unwrap();
    (keys, recipients)
}

/// Says that a test can't be had here.
pub fn skipped(what: &str) {
    eprintln!("SKIPPED: {what}");
}

/// What a backup of a subject is ordered with.
pub fn order(subject: &str) -> Order {
    let now = Timestamp::now();
    Order {
        identity: Identity::new("shop", "local", subject, now).unwrap(),
        reason: Reason::Asked,
        release: Some(3),
        program: "landfall test".to_owned(),
        now,
    }
}

/// Which database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Product {
    Postgres,
    Redis,
}

/// A database of a test.
pub struct Live {
    product: Product,
    local: LocalPrograms,
    instance: Box<dyn Scratch>,
    /// What a scratch instance may take, for tests of full disks.
    pub needed: std::sync::Mutex<Option<(PathBuf, u64)>>,
}

impl Live {
    /// Starts one; none where its programs aren't there.
    pub async fn start(product: Product) -> Option<Self> {
        let (folder, name, program) = match product {
            Product::Postgres => {
                let all = std::fs::read_dir("/usr/lib/postgresql")
                    .into_iter()
                    .flatten();
                let newest = all.flatten().map(|entry| entry.path().join("bin")).max();
                (newest.unwrap_or_default(), "postgres", "initdb")
            }
            Product::Redis => (PathBuf::from("/usr/bin"), "redis", "redis-server"),
        };
        if !folder.join(program).is_file() {
            skipped(&format!("no {program} in {}", folder.display()));
            return None;
        }
        let local = LocalPrograms {
            folder: Some(folder),
            user: account(name),
            environment: Default::default(),
            directory: "/".into(),
        };
        let mut instance = instance(product, &local);
        instance.start().await.unwrap();
        Some(Self {
            product,
            local,
            instance,
            needed: std::sync::Mutex::default(),
        })
    }

    /// Executes statements in a database, or commands.
    pub async fn execute(&self, database: &str, text: &str) -> String {
        let programs = self.instance.programs();
        match self.product {
            Product::Postgres => landfall_backup::postgres::execute(programs, database, text)
                .await
                .unwrap(),
            Product::Redis => landfall_backup::program::answer(programs, "redis-cli", &[], text)
                .await
                .unwrap(),
        }
    }

    /// Its end.
    pub async fn end(self) {
        self.instance.end().await;
    }
}

fn instance(product: Product, local: &LocalPrograms) -> Box<dyn Scratch> {
    let folder = Folder::new(local.user);
    match product {
        Product::Postgres => Box::new(ScratchPostgres::new(local, folder).unwrap()),
        Product::Redis => Box::new(ScratchRedis::new(local, folder).unwrap()),
    }
}

impl Server for Live {
    fn programs(&self) -> &dyn Programs {
        self.instance.programs()
    }

    fn scratch(&self, needed: u64) -> Boxed<'_, Result<Box<dyn Scratch>, Error>> {
        Box::pin(async move {
            if let Some((folder, more)) = &*self.needed.lock().unwrap() {
                room(folder, needed + more)?;
            }
            Ok(instance(self.product, &self.local))
        })
    }
}
