//! A whole backup: dumped, sealed, stored, restored into a scratch instance, compared, kept. One that
//! fails leaves nothing behind, and nothing of it counts.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::{
    catalogue,
    error::Error,
    key::{Keys, Recipients},
    manifest::{Contents, FORMAT, Identity, Kind, Manifest, Reason},
    postgres,
    progress::{Stage, Watcher},
    redis,
    scratch::ScratchFolder,
    seal::read_part,
    source::{Scratch, Server},
    store::Store,
    volume,
};

/// What a scratch instance needs beside the data itself: a cluster's own files, its log of changes.
const BESIDE: u64 = 512 * 1024 * 1024;

/// What is backed up.
pub enum Subject<'a> {
    /// A database of PostgreSQL.
    Postgres {
        /// Where it is.
        server: &'a dyn Server,
        /// Its name.
        database: String,
    },
    /// A Redis server.
    Redis {
        /// Where it is.
        server: &'a dyn Server,
    },
    /// A folder.
    Volume {
        /// Where it is.
        folder: PathBuf,
        /// Where it may be unpacked to be compared; made, and removed.
        scratch: PathBuf,
    },
}

impl Subject<'_> {
    fn server_name(&self, version: &str) -> String {
        match self {
            Self::Postgres { .. } => format!("PostgreSQL {version}"),
            Self::Redis { .. } => format!("Redis {version}"),
            Self::Volume { .. } => "volume".to_owned(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Postgres { .. } => Kind::Postgres,
            Self::Redis { .. } => Kind::Redis,
            Self::Volume { .. } => Kind::Volume,
        }
    }

    /// About how many bytes it has.
    pub async fn size(&self) -> Result<u64, Error> {
        match self {
            Self::Postgres { server, database } => {
                postgres::size(server.programs(), database).await
            }
            Self::Redis { server } => redis::size(server.programs()).await,
            Self::Volume { folder, .. } => volume::size(folder).await,
        }
    }
}

/// What is known of a backup beforehand.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which.
    pub identity: Identity,
    /// Why.
    pub reason: Reason,
    /// The release that is live.
    pub release: Option<u64>,
    /// The program that makes it: `landfall 0.1.0`.
    pub program: String,
    /// When it begins.
    pub now: Timestamp,
}

/// What a backup is made with.
pub struct Means<'a> {
    /// Where to.
    pub store: &'a Store,
    /// For whom.
    pub recipients: &'a Recipients,
    /// What opens it again, to verify it.
    pub keys: &'a Keys,
    /// Who is told.
    pub watcher: &'a dyn Watcher,
}

/// Makes a backup and verifies it. `dumped` is called between the two, when what is backed up isn't
/// read any more; `clock` says when it was verified.
pub async fn make(
    subject: &Subject<'_>,
    order: Order,
    means: &Means<'_>,
    dumped: impl FnOnce(),
    clock: impl Fn() -> Timestamp,
) -> Result<Manifest, Error> {
    let folder = order.identity.folder();
    let made = async {
        let mut manifest = dump(subject, order, means).await?;
        dumped();
        let digest = verify(subject, &manifest, means.store, means.keys, means.watcher).await?;
        if let Contents::Redis(contents) = &mut manifest.contents {
            contents.digest = digest;
        }
        manifest.verified_at = Some(clock());
        means.watcher.stage(Stage::Keeping);
        catalogue::keep(means.store, &manifest).await?;
        Ok(manifest)
    };
    let made = made.await;
    if made.is_err() {
        clean(means.store, &folder).await;
    }
    made
}

/// Makes a backup that is not verified: before something is restored over what is there.
pub async fn make_unverified(
    subject: &Subject<'_>,
    order: Order,
    means: &Means<'_>,
) -> Result<Manifest, Error> {
    let folder = order.identity.folder();
    let made = async {
        let manifest = dump(subject, order, means).await?;
        catalogue::keep(means.store, &manifest).await?;
        Ok(manifest)
    };
    let made = made.await;
    if made.is_err() {
        clean(means.store, &folder).await;
    }
    made
}

/// Reads all parts of a backup to their ends, and so proves them whole and of this key.
pub async fn check(
    manifest: &Manifest,
    store: &Store,
    keys: &Keys,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    let folder = manifest.identity.folder();
    for part in &manifest.parts {
        let nowhere = tokio::io::sink();
        read_part(
            store,
            &folder,
            part,
            keys,
            nowhere,
            Stage::Checking,
            watcher,
        )
        .await?;
    }
    Ok(())
}

/// Removes what a failed one wrote. A store that fails can't be cleaned either: without a manifest it
/// never counts, and a later one sweeps it.
async fn clean(store: &Store, folder: &str) {
    for object in store.list(folder).await.unwrap_or_default() {
        let _ = store.remove(&object.path).await;
    }
    store.remove_folder(folder).await;
}

async fn dump(subject: &Subject<'_>, order: Order, means: &Means<'_>) -> Result<Manifest, Error> {
    let Means {
        store,
        recipients,
        watcher,
        ..
    } = *means;
    watcher.stage(Stage::Checking);
    let folder = order.identity.folder();
    // A store that can't be had is found before a database is dumped for an hour.
    store.list(&folder).await?;
    let source_bytes = subject.size().await?;
    let (version, contents, parts) = match subject {
        Subject::Postgres { server, database } => {
            let programs = server.programs();
            let dumped =
                postgres::dump(programs, database, store, &folder, recipients, watcher).await?;
            let contents = Contents::Postgres(dumped.contents);
            (dumped.version, contents, dumped.parts)
        }
        Subject::Redis { server } => {
            let programs = server.programs();
            let dumped = redis::dump(programs, store, &folder, recipients, watcher).await?;
            (
                dumped.version,
                Contents::Redis(dumped.contents),
                dumped.parts,
            )
        }
        Subject::Volume { folder: from, .. } => {
            let dumped = volume::dump(from, store, &folder, recipients, watcher).await?;
            (
                String::new(),
                Contents::Volume(dumped.contents),
                dumped.parts,
            )
        }
    };
    Ok(Manifest {
        format: FORMAT,
        identity: order.identity,
        reason: order.reason,
        release: order.release,
        server: subject.server_name(&version),
        program: order.program,
        created_at: order.now,
        verified_at: None,
        source_bytes,
        recipients: recipients.public().to_vec(),
        parts,
        contents,
    })
}

/// Restores a backup into a scratch instance and compares. Answers a Redis server's digest.
pub async fn verify(
    subject: &Subject<'_>,
    manifest: &Manifest,
    store: &Store,
    keys: &Keys,
    watcher: &dyn Watcher,
) -> Result<Option<String>, Error> {
    if manifest.contents.kind() != subject.kind() {
        return Err(Error::Bad(format!(
            "{} is a backup of something else",
            manifest.identity.id
        )));
    }
    // As large as what is there now, or as what is in the backup.
    let live = subject.size().await?;
    let plain: u64 = manifest.parts.iter().map(|part| part.plain.bytes).sum();
    let needed = live.max(plain).max(manifest.source_bytes);
    watcher.stage(Stage::Starting);
    match subject {
        Subject::Postgres { server, .. } => {
            // Tables and the log of their changes.
            let mut scratch = server.scratch(needed + needed / 2 + BESIDE).await?;
            let verified = postgres(&mut *scratch, manifest, store, keys, watcher).await;
            scratch.end().await;
            verified.map(|()| None)
        }
        Subject::Redis { server } => {
            let mut scratch = server.scratch(needed + BESIDE / 8).await?;
            let verified = redis::verify(&mut *scratch, manifest, store, keys, watcher).await;
            scratch.end().await;
            verified
        }
        Subject::Volume { scratch, .. } => {
            let scratch = ScratchFolder::make(scratch.clone(), needed + BESIDE / 32)?;
            volume::restore(manifest, scratch.path(), store, keys, watcher).await?;
            volume::compare(manifest, scratch.path(), watcher).await?;
            Ok(None)
        }
    }
}

async fn postgres(
    scratch: &mut dyn Scratch,
    manifest: &Manifest,
    store: &Store,
    keys: &Keys,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    watcher.stage(Stage::Starting);
    scratch.start().await?;
    let Contents::Postgres(contents) = &manifest.contents else {
        return Ok(());
    };
    // Its own name but for that of the cluster's first one, which is there.
    let name = match contents.database.as_str() {
        "postgres" => "landfall_scratch",
        name => name,
    };
    let programs = scratch.programs();
    postgres::restore(programs, manifest, name, store, keys, watcher).await?;
    postgres::compare(programs, manifest, name, watcher).await
}
