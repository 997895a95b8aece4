//! A backup of a database put in the place of what is there, which is kept.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use landfall_backup::{
    Contents, Error, Keys, Manifest, Server as _, Store, Watcher, postgres, program,
    redis::{self, RDB},
    room,
};
use landfall_ledger::BackingRow;
use landfall_release::Failure;

use crate::{
    backing::{self, Source},
    host::Host,
};

/// The longest name of a database.
const LONGEST: usize = 63;
/// How the name of one ends that is being restored.
const RESTORED: &str = "_restore";
/// How long Redis may take to write its log of changes anew.
const REWRITE: Duration = Duration::from_secs(30 * 60);

/// What was there before.
pub struct Kept {
    /// Where it is now.
    pub place: String,
    /// How it is removed.
    pub drop: String,
}

/// What a restoration is made of.
pub struct From<'a> {
    /// The backup.
    pub manifest: &'a Manifest,
    /// Where it is.
    pub store: &'a Store,
    /// What opens it.
    pub keys: &'a Keys,
    /// Who is told.
    pub watcher: &'a dyn Watcher,
}

/// A time as part of a name.
pub fn stamp() -> String {
    Timestamp::now().strftime("%Y%m%d_%H%M%S").to_string()
}

/// What lets the app into its database again where an exchange was cut off, and takes away what that
/// has left.
pub fn unblock(database: &str) -> String {
    format!(
        "DROP DATABASE IF EXISTS {};\nALTER DATABASE {} ALLOW_CONNECTIONS true;",
        postgres::identifier(&named(database, RESTORED)),
        postgres::identifier(database)
    )
}

/// The name of a database beside another.
fn named(database: &str, ending: &str) -> String {
    let most = LONGEST - ending.len();
    let mut end = database.len().min(most);
    while !database.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &database[..end])
}

/// Restores into a new database beside the old one, compares, and lets the two change names.
pub async fn restore_postgres(
    host: &Arc<Host>,
    row: &BackingRow,
    from: &From<'_>,
) -> Result<Kept, Failure> {
    let source = Source::new(host, row)?;
    let programs = source.programs();
    let database = row.body.database.as_str();
    let new = named(database, RESTORED);
    let old = named(database, &format!("_before_{}", stamp()));
    let quoted = postgres::identifier;
    let forget = format!("DROP DATABASE IF EXISTS {};", quoted(&new));
    // What a restoration left that was cut off.
    postgres::execute(programs, "postgres", &forget).await?;
    let needed = from.manifest.source_bytes;
    room(&row.body.data, needed + needed / 2)?;
    let restored = async {
        let &From {
            manifest,
            store,
            keys,
            watcher,
        } = from;
        postgres::restore(programs, manifest, &new, store, keys, watcher).await?;
        postgres::compare(programs, manifest, &new, watcher).await?;
        let exchange = format!(
            "ALTER DATABASE {database} ALLOW_CONNECTIONS false;\n\
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname IN ({name}, {new_name}) AND pid <> pg_backend_pid();\n\
             BEGIN;\n\
             ALTER DATABASE {database} RENAME TO {old};\n\
             ALTER DATABASE {new} RENAME TO {database};\n\
             COMMIT;\n\
             ALTER DATABASE {old} ALLOW_CONNECTIONS true;\n",
            database = quoted(database),
            name = postgres::literal(database),
            new_name = postgres::literal(&new),
            old = quoted(&old),
            new = quoted(&new),
        );
        postgres::execute(programs, "postgres", &exchange)
            .await
            .map(drop)
    };
    if let Err(error) = restored.await {
        // Where even this fails the next one does it first.
        let _ = postgres::execute(programs, "postgres", &unblock(database)).await;
        return Err(error.into());
    }
    Ok(Kept {
        place: format!("database {old}"),
        drop: format!(
            "landfall psql {} -- -c 'DROP DATABASE {}'",
            row.name,
            quoted(&old)
        ),
    })
}

/// Stops the server first, since a shutdown writes its snapshot anew, and lets it load the other one
/// with its log of changes off, since with it on the snapshot would be ignored.
pub async fn restore_redis(
    host: &Arc<Host>,
    row: &BackingRow,
    from: &From<'_>,
) -> Result<Kept, Failure> {
    let _changing = host
        .change_backing(&row.app, &row.environment, &row.name)
        .await;
    let data = &row.body.data;
    let needed: u64 = from
        .manifest
        .parts
        .iter()
        .map(|part| part.plain.bytes)
        .sum();
    room(data, needed)?;
    backing::hold(host, row).await?;
    let kept = data.join(format!("before-{}", stamp()));
    backing::note_set_aside(host, row, &kept)?;
    let moved = set_aside(data, &kept);
    let restored = async {
        moved?;
        let path = data.join(RDB);
        redis::place(from.manifest, &path, from.store, from.keys, from.watcher).await?;
        backing::own_files(row)?;
        backing::resume(host, row, &[("appendonly", "no")]).await?;
        let source = Source::new(host, row)?;
        if let Contents::Redis(wanted) = &from.manifest.contents {
            redis::compare(source.programs(), wanted).await?;
        }
        if appends(row) {
            write_log(&source).await?;
            backing::hold(host, row).await?;
            backing::resume(host, row, &[]).await?;
        } else {
            // The same settings, but as they are written down.
            backing::resume(host, row, &[]).await?;
        }
        Ok::<_, Failure>(())
    };
    if let Err(failure) = restored.await {
        let back = async {
            backing::hold(host, row).await?;
            put_back(data, &kept)?;
            backing::resume(host, row, &[]).await
        };
        return Err(match back.await {
            Ok(()) => failure,
            Err(worse) => failure.with("now", format!("{} doesn't run: {worse}", row.name)),
        });
    }
    Ok(Kept {
        drop: format!("rm -r {}", kept.display()),
        place: kept.display().to_string(),
    })
}

fn appends(row: &BackingRow) -> bool {
    let setting = row.body.wanted.settings.get("appendonly");
    setting.is_some_and(|value| value.trim() == "yes")
}

/// Lets the server write its log of changes from what it has in memory.
async fn write_log(source: &Source) -> Result<(), Error> {
    let ask =
        |commands: &'static str| program::answer(source.programs(), "redis-cli", &[], commands);
    ask("CONFIG SET appendonly yes\n").await?;
    let deadline = tokio::time::Instant::now() + REWRITE;
    loop {
        let information = ask("INFO persistence\n").await?;
        let has = |fact: &str| information.lines().any(|line| line.trim() == fact);
        let done = has("aof_enabled:1")
            && has("aof_rewrite_in_progress:0")
            && has("aof_rewrite_scheduled:0")
            && has("aof_last_bgrewrite_status:ok");
        if done {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Error::Bad(
                "redis doesn't write its log of changes".to_owned(),
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Moves all that is in a folder into one in it, which has another name until it holds everything.
pub fn set_aside(data: &std::path::Path, kept: &PathBuf) -> Result<(), Failure> {
    exchange(data, kept, true)
}

/// Moves it back, over what is there now. Whatever was cut off of either is gone on with.
pub fn put_back(data: &std::path::Path, kept: &PathBuf) -> Result<(), Failure> {
    exchange(data, kept, false)
}

fn exchange(data: &std::path::Path, kept: &PathBuf, aside: bool) -> Result<(), Failure> {
    let earlier = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("before-");
    let mut part = kept.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let moving = || -> std::io::Result<()> {
        if aside {
            crate::home::make_folder(&part)?;
        }
        // Where only a part is there, what is beside it is of the same data.
        let exchanged = kept.is_dir();
        for entry in std::fs::read_dir(data)? {
            let entry = entry?;
            if earlier(&entry.file_name()) {
                continue;
            }
            match aside {
                true => std::fs::rename(entry.path(), part.join(entry.file_name()))?,
                false if !exchanged => {}
                false if entry.file_type()?.is_dir() => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
        if aside {
            return std::fs::rename(&part, kept);
        }
        if exchanged {
            std::fs::rename(kept, &part)?;
        }
        if !part.is_dir() {
            return Ok(());
        }
        for entry in std::fs::read_dir(&part)? {
            let entry = entry?;
            std::fs::rename(entry.path(), data.join(entry.file_name()))?;
        }
        std::fs::remove_dir(&part)
    };
    moving().map_err(|error| {
        Failure::new(
            "backup-failed",
            format!("{} can't be exchanged: {error}", data.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_put_back_wherever_its_exchange_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let (data, kept) = (folder.path(), folder.path().join("before-1"));
        let write = |path: &str| std::fs::write(data.join(path), "own").unwrap();
        let names = || -> Vec<String> {
            let entries = std::fs::read_dir(data).unwrap().flatten();
            let mut names: Vec<_> = entries
                .map(|entry| entry.file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        write("one");
        write("two");
        set_aside(data, &kept).unwrap();
        assert_eq!(names(), ["before-1"]);
        write("other");
        put_back(data, &kept).unwrap();
        assert_eq!(names(), ["one", "two"]);
        // Cut off between the two, on the way there or back.
        std::fs::create_dir(data.join("before-1.part")).unwrap();
        std::fs::rename(data.join("two"), data.join("before-1.part/two")).unwrap();
        put_back(data, &kept).unwrap();
        assert_eq!(names(), ["one", "two"]);
        // Before anything was moved, or after all of it.
        put_back(data, &kept).unwrap();
        assert_eq!(names(), ["one", "two"]);
    }
}
