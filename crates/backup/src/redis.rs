//! Redis: a snapshot made by `BGSAVE`, copied, loaded by a scratch instance, compared.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tokio::io::AsyncWriteExt as _;

use crate::{
    error::Error,
    key::{Keys, Recipients},
    manifest::{Contents, Keyspace, Manifest, Part, RedisContents},
    postgres::pour,
    program::{Programs, answer},
    progress::{Stage, Watcher},
    seal::read_part,
    source::Scratch,
    store::Store,
};

/// The part with the snapshot.
pub const SNAPSHOT: &str = "dump.age";
/// What Redis calls its snapshot where it isn't told otherwise.
pub const RDB: &str = "dump.rdb";
/// How often is asked whether the snapshot is done.
const POLL: Duration = Duration::from_millis(100);
/// A snapshot that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What was dumped.
pub struct Dumped {
    /// The server's version: `7.0.15`.
    pub version: String,
    /// What is in it.
    pub contents: RedisContents,
    /// The files written.
    pub parts: Vec<Part>,
}

async fn ask(programs: &dyn Programs, commands: &str) -> Result<String, Error> {
    let text = answer(programs, "redis-cli", &[], commands).await?;
    match text.lines().find(|line| {
        line.starts_with("ERR ") || line.starts_with("NOAUTH") || line.starts_with("(error)")
    }) {
        None => Ok(text),
        Some(line) => Err(Error::Program {
            program: "redis-cli".to_owned(),
            said: line.to_owned(),
            last_words: Vec::new(),
        }),
    }
}

/// A field of `INFO`.
fn field<'a>(information: &'a str, name: &str) -> Option<&'a str> {
    information
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

fn number(information: &str, name: &str) -> Result<u64, Error> {
    field(information, name)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Bad(format!("redis doesn't say its {name}")))
}

/// The keys of each database, from `INFO keyspace`.
fn keyspaces(information: &str) -> BTreeMap<u32, Keyspace> {
    let of = |facts: &str, name: &str| {
        facts
            .split(',')
            .find_map(|fact| fact.trim().strip_prefix(name)?.parse().ok())
    };
    information
        .lines()
        .filter_map(|line| {
            let (database, facts) = line.trim().strip_prefix("db")?.split_once(':')?;
            let keyspace = Keyspace {
                keys: of(facts, "keys=")?,
                expires: of(facts, "expires=")?,
            };
            Some((database.parse().ok()?, keyspace))
        })
        .collect()
}

/// Bytes that the server uses.
pub async fn size(programs: &dyn Programs) -> Result<u64, Error> {
    number(&ask(programs, "INFO memory\n").await?, "used_memory")
}

async fn idle(programs: &dyn Programs) -> Result<String, Error> {
    let deadline = tokio::time::Instant::now() + LONGEST;
    loop {
        let information = ask(programs, "INFO persistence\n").await?;
        if number(&information, "rdb_bgsave_in_progress")? == 0 {
            return Ok(information);
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Error::Program {
                program: "BGSAVE".to_owned(),
                said: format!("not done after {} s", LONGEST.as_secs()),
                last_words: Vec::new(),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Makes a snapshot and copies it into a folder of the store.
pub async fn dump(
    programs: &dyn Programs,
    store: &Store,
    folder: &str,
    recipients: &Recipients,
    watcher: &dyn Watcher,
) -> Result<Dumped, Error> {
    let expected = size(programs).await?;
    watcher.stage(Stage::Dumping);
    idle(programs).await?;
    // Writers wait for the fork alone, some milliseconds, so that the keys counted are those in the
    // snapshot. If this conversation dies they go on by themselves.
    let started = ask(
        programs,
        "CLIENT PAUSE 5000 WRITE\nINFO server\nINFO keyspace\nBGSAVE\nCLIENT UNPAUSE\n",
    )
    .await?;
    if !started.contains("Background saving started") {
        return Err(Error::Program {
            program: "BGSAVE".to_owned(),
            said: "redis has not begun one".to_owned(),
            last_words: started.lines().rev().take(5).map(str::to_owned).collect(),
        });
    }
    let version = field(&started, "redis_version")
        .unwrap_or_default()
        .to_owned();
    let databases = keyspaces(&started);
    let ended = idle(programs).await?;
    match field(&ended, "rdb_last_bgsave_status") {
        Some("ok") => {}
        status => {
            return Err(Error::Program {
                program: "BGSAVE".to_owned(),
                said: format!("its status is {}", status.unwrap_or("unknown")),
                last_words: vec![
                    "the log of redis says why; often there is no room on the disk".to_owned(),
                ],
            });
        }
    }
    let path = configured(programs).await?;
    let part = pour(
        programs,
        "cat",
        &[&path],
        store,
        folder,
        SNAPSHOT,
        recipients,
        expected,
        watcher,
    )
    .await?;
    Ok(Dumped {
        version,
        contents: RedisContents {
            databases,
            digest: None,
        },
        parts: vec![part],
    })
}

/// Where the server writes its snapshot, as it sees it.
async fn configured(programs: &dyn Programs) -> Result<String, Error> {
    let text = ask(programs, "CONFIG GET dir\nCONFIG GET dbfilename\n").await?;
    let value = |name: &str| text.lines().skip_while(move |line| *line != name).nth(1);
    match (value("dir"), value("dbfilename")) {
        (Some(folder), Some(name)) => Ok(format!("{folder}/{name}")),
        _ => Err(Error::Bad(
            "redis doesn't say where its snapshot is".to_owned(),
        )),
    }
}

/// Puts the snapshot of a backup into a folder, under this name.
pub async fn place(
    manifest: &Manifest,
    path: &Path,
    store: &Store,
    keys: &Keys,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    watcher.stage(Stage::Restoring);
    let part = manifest.part(SNAPSHOT)?;
    let what = path.display().to_string();
    let file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
        .await
        .map_err(Error::io(&what))?;
    let mut file = tokio::io::BufWriter::new(file);
    let folder = manifest.identity.folder();
    let read = read_part(
        store,
        &folder,
        part,
        keys,
        &mut file,
        Stage::Restoring,
        watcher,
    )
    .await;
    let kept = async {
        read?;
        file.flush().await.map_err(Error::io(&what))?;
        file.get_ref().sync_all().await.map_err(Error::io(&what))
    };
    let kept = kept.await;
    if kept.is_err() {
        // Half a snapshot is none.
        let _ = tokio::fs::remove_file(path).await;
    }
    kept
}

/// Loads a backup into a scratch instance and compares. Answers the digest of all keys and values,
/// where none of them expires.
pub async fn verify(
    scratch: &mut dyn Scratch,
    manifest: &Manifest,
    store: &Store,
    keys: &Keys,
    watcher: &dyn Watcher,
) -> Result<Option<String>, Error> {
    let Contents::Redis(wanted) = &manifest.contents else {
        return Err(Error::Bad(format!(
            "{} is no backup of Redis",
            manifest.identity.id
        )));
    };
    place(manifest, &scratch.folder().join(RDB), store, keys, watcher).await?;
    watcher.stage(Stage::Starting);
    scratch.start().await?;
    watcher.stage(Stage::Comparing);
    let programs = scratch.programs();
    compare(programs, wanted).await?;
    if wanted.databases.values().any(|keys| keys.expires > 0) {
        return Ok(None);
    }
    // A server that keeps this command to itself has no digest.
    let Ok(digest) = ask(programs, "DEBUG DIGEST\n").await else {
        return Ok(None);
    };
    let digest = digest.trim().to_owned();
    match &wanted.digest {
        Some(before) if *before != digest => Err(Error::Differs(vec![format!(
            "the digest of all keys is {digest}, it was {before}"
        )])),
        _ => Ok(Some(digest)),
    }
}

/// Compares the keys of a server that has just loaded a snapshot. Those that expired meanwhile are
/// left out while it loads, and counted.
pub async fn compare(programs: &dyn Programs, wanted: &RedisContents) -> Result<(), Error> {
    let information = ask(programs, "INFO persistence\nINFO keyspace\n").await?;
    let expired = number(&information, "rdb_last_load_keys_expired").unwrap_or(0);
    let loaded = number(&information, "rdb_last_load_keys_loaded").unwrap_or(0);
    let total: u64 = wanted.databases.values().map(|keys| keys.keys).sum();
    let mut all = Vec::new();
    if loaded + expired != total {
        all.push(format!(
            "{loaded} keys were loaded and {expired} had expired, dumped were {total}"
        ));
    }
    let found = keyspaces(&information);
    for (database, keys) in &wanted.databases {
        let there = found.get(database).map_or(0, |keys| keys.keys);
        // Only keys that expire can be gone.
        if there > keys.keys || there < keys.keys.saturating_sub(keys.expires) {
            all.push(format!(
                "database {database} has {there} keys, dumped were {}",
                keys.keys
            ));
        }
    }
    for database in found.keys() {
        if !wanted.databases.contains_key(database) {
            all.push(format!("database {database} is too many"));
        }
    }
    match all.is_empty() {
        true => Ok(()),
        false => Err(Error::Differs(all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_says_of_itself_is_read() {
        let text = "# Persistence\r\nrdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\n\r\n\
            # Keyspace\r\ndb0:keys=12,expires=2,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0,subexpiry=0\r\n";
        assert_eq!(number(text, "rdb_bgsave_in_progress").unwrap(), 0);
        assert_eq!(field(text, "rdb_last_bgsave_status"), Some("ok"));
        assert!(number(text, "used_memory").is_err());
        let keys = |keys, expires| Keyspace { keys, expires };
        assert_eq!(
            keyspaces(text),
            BTreeMap::from([(0, keys(12, 2)), (3, keys(1, 0))])
        );
    }
}
