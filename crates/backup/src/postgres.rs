//! PostgreSQL: dumped and counted in one snapshot, restored into a scratch instance, compared.

mod count;
mod session;

use tokio::io::AsyncWriteExt as _;

use crate::{
    error::Error,
    key::{Keys, Recipients},
    manifest::{Contents, Manifest, Part, PostgresContents, TableSum},
    program::{Programs, answer, start, well},
    progress::{Quiet, Stage, Watcher},
    seal::{read_part, write_part},
    store::Store,
};

pub use count::contents;
pub use session::{Session, identifier, literal};

/// The part with the database.
pub const DUMP: &str = "dump.age";
/// The part with what is outside of databases: roles, without their passwords.
pub const GLOBALS: &str = "globals.age";
/// Settings whose values are lists, and are written as they stand.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// What was dumped.
pub struct Dumped {
    /// The server's version: `15.20`.
    pub version: String,
    /// What is in it.
    pub contents: PostgresContents,
    /// The files written.
    pub parts: Vec<Part>,
}

/// Bytes of a database on the disk.
pub async fn size(programs: &dyn Programs, database: &str) -> Result<u64, Error> {
    let query = format!("SELECT pg_database_size({})", literal(database));
    let text = query_one(programs, "postgres", &query).await?;
    text.parse()
        .map_err(|_| Error::Bad(format!("`{text}` is no size of a database")))
}

/// The answer of one query, which has one value.
pub async fn query_one(
    programs: &dyn Programs,
    database: &str,
    query: &str,
) -> Result<String, Error> {
    let text = execute(programs, database, query).await?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// Executes statements, each by itself; the first that fails is the last.
pub async fn execute(
    programs: &dyn Programs,
    database: &str,
    statements: &str,
) -> Result<String, Error> {
    let arguments = [&session::OPTIONS[..], &["-d", database]].concat();
    answer(programs, "psql", &arguments, statements).await
}

/// Dumps a database and the roles into a folder of the store, and counts in the same snapshot.
pub async fn dump(
    programs: &dyn Programs,
    database: &str,
    store: &Store,
    folder: &str,
    recipients: &Recipients,
    watcher: &dyn Watcher,
) -> Result<Dumped, Error> {
    let expected = size(programs, database).await?;
    let mut session = Session::open(programs, database).await?;
    let snapshot = session.snapshot().await?;
    watcher.stage(Stage::Dumping);
    let arguments = [
        "--format=custom",
        "--no-password",
        "--compress=1",
        &format!("--snapshot={snapshot}"),
        "--dbname",
        database,
    ];
    let dump = pour(
        programs, "pg_dump", &arguments, store, folder, DUMP, recipients, expected, watcher,
    )
    .await?;
    let arguments = [
        "--globals-only",
        "--no-role-passwords",
        "--no-password",
        "--database=postgres",
    ];
    let globals = pour(
        programs,
        "pg_dumpall",
        &arguments,
        store,
        folder,
        GLOBALS,
        recipients,
        0,
        &Quiet,
    )
    .await?;
    watcher.stage(Stage::Counting);
    let version = session.value("SHOW server_version").await?;
    let contents = contents(&mut session, database).await?;
    session.end().await?;
    Ok(Dumped {
        version: version.split(' ').next().unwrap_or_default().to_owned(),
        contents,
        parts: vec![dump, globals],
    })
}

/// A program's output becomes a part.
#[expect(
    clippy::too_many_arguments,
    reason = "where from and where to, each of a few words"
)]
pub(crate) async fn pour(
    programs: &dyn Programs,
    program: &str,
    arguments: &[&str],
    store: &Store,
    folder: &str,
    name: &str,
    recipients: &Recipients,
    expected: u64,
    watcher: &dyn Watcher,
) -> Result<Part, Error> {
    let running = start(programs, program, arguments).await?;
    drop(running.input);
    let written = write_part(
        store,
        folder,
        name,
        recipients,
        running.output,
        expected,
        watcher,
    );
    let (part, ended) = tokio::join!(written, running.ended);
    // Where the store fails the program's pipe breaks: the store's error is the cause.
    let part = part?;
    match well(program, ended.map_err(Error::io(program))?) {
        Ok(()) => Ok(part),
        Err(error) => {
            store.remove(&format!("{folder}/{name}")).await?;
            Err(error)
        }
    }
}

/// Restores a backup into a new database of this name, with the roles it needs.
pub async fn restore(
    programs: &dyn Programs,
    manifest: &Manifest,
    database: &str,
    store: &Store,
    keys: &Keys,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    let wanted = of(manifest)?;
    let folder = manifest.identity.folder();
    watcher.stage(Stage::Restoring);
    // Roles that are there already are left as they are, so this goes on over errors.
    let globals = manifest.part(GLOBALS)?;
    let running = start(
        programs,
        "psql",
        &["-X", "-q", "-w", "-o", "/dev/null", "-d", "postgres"],
    )
    .await?;
    give(
        running, "psql", store, &folder, globals, keys, &Quiet, false,
    )
    .await?;
    execute(programs, "postgres", &create(wanted, database)).await?;
    let arguments = [
        "--exit-on-error",
        "--no-password",
        "--format=custom",
        "--dbname",
        database,
    ];
    let running = start(programs, "pg_restore", &arguments).await?;
    let dump = manifest.part(DUMP)?;
    give(
        running,
        "pg_restore",
        store,
        &folder,
        dump,
        keys,
        watcher,
        true,
    )
    .await?;
    // Plans without statistics are bad ones.
    execute(programs, database, "ANALYZE;").await?;
    Ok(())
}

/// A part becomes a program's input.
#[expect(
    clippy::too_many_arguments,
    reason = "where from and where to, each of a few words"
)]
async fn give(
    running: crate::program::Running,
    program: &str,
    store: &Store,
    folder: &str,
    part: &Part,
    keys: &Keys,
    watcher: &dyn Watcher,
    strict: bool,
) -> Result<(), Error> {
    let crate::program::Running {
        input,
        mut output,
        ended,
    } = running;
    let input = input.ok_or_else(|| Error::Bad(format!("{program} takes no input")))?;
    let giving = read_part(store, folder, part, keys, input, Stage::Restoring, watcher);
    let listening = async move {
        let mut nowhere = tokio::io::sink();
        let _ = tokio::io::copy(&mut output, &mut nowhere).await;
        let _ = nowhere.shutdown().await;
    };
    let (given, (), ended) = tokio::join!(giving, listening, ended);
    let ended = well(program, ended.map_err(Error::io(program))?);
    match (given, ended) {
        // A program that ends early breaks its pipe: why it ended is the cause. Where the backup
        // itself is bad the program only fails after it.
        (Err(Error::Io { .. }), Err(error)) => Err(error),
        (Err(error), _) => Err(error),
        (Ok(()), Err(error)) if strict => Err(error),
        (Ok(()), _) => Ok(()),
    }
}

/// The statements that make a database like the one that was dumped.
fn create(like: &PostgresContents, name: &str) -> String {
    let (name, owner) = (identifier(name), identifier(&like.owner));
    let mut text = format!(
        "CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {};\n",
        literal(&like.encoding),
        literal(&like.collate),
        literal(&like.ctype)
    );
    for (role, setting, value) in &like.settings {
        let value = match LISTS.contains(&setting.as_str()) {
            true => value.clone(),
            false => literal(value),
        };
        let whose = match role.is_empty() {
            true => format!("DATABASE {name}"),
            false => format!("ROLE {} IN DATABASE {name}", identifier(role)),
        };
        text += &format!("ALTER {whose} SET {} TO {value};\n", identifier(setting));
    }
    text
}

/// Counts in a restored database and compares.
pub async fn compare(
    programs: &dyn Programs,
    manifest: &Manifest,
    database: &str,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    watcher.stage(Stage::Comparing);
    let wanted = of(manifest)?;
    let mut session = Session::open(programs, database).await?;
    session.snapshot().await?;
    let found = contents(&mut session, database).await?;
    session.end().await?;
    match differences(wanted, &found) {
        all if all.is_empty() => Ok(()),
        all => Err(Error::Differs(all)),
    }
}

fn of(manifest: &Manifest) -> Result<&PostgresContents, Error> {
    match &manifest.contents {
        Contents::Postgres(contents) => Ok(contents),
        _ => Err(Error::Bad(format!(
            "{} is no backup of PostgreSQL",
            manifest.identity.id
        ))),
    }
}

/// What isn't the same, in words.
fn differences(wanted: &PostgresContents, found: &PostgresContents) -> Vec<String> {
    let mut all = Vec::new();
    for (table, sum) in &wanted.tables {
        match found.tables.get(table) {
            None => all.push(format!("table {table} is missing")),
            Some(other) if other.rows != sum.rows => {
                all.push(format!(
                    "table {table} has {} rows, dumped were {}",
                    other.rows, sum.rows
                ));
            }
            Some(other) if other.checksum != sum.checksum => {
                all.push(format!("the rows of table {table} have another checksum"));
            }
            Some(TableSum { .. }) => {}
        }
    }
    for table in found.tables.keys() {
        if !wanted.tables.contains_key(table) {
            all.push(format!("table {table} is too many"));
        }
    }
    for (kind, count) in &wanted.objects {
        let other = found.objects.get(kind).copied().unwrap_or_default();
        if other != *count {
            all.push(format!("{kind}: {other}, dumped were {count}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sample() -> PostgresContents {
        let sum = |rows, checksum: i64| TableSum {
            rows,
            checksum: checksum.to_string(),
        };
        PostgresContents {
            database: "shop".to_owned(),
            owner: "it's \"me\"".to_owned(),
            encoding: "UTF8".to_owned(),
            collate: "C.UTF-8".to_owned(),
            ctype: "C.UTF-8".to_owned(),
            settings: vec![
                (
                    String::new(),
                    "search_path".to_owned(),
                    "a, \"B\"".to_owned(),
                ),
                ("app".to_owned(), "work_mem".to_owned(), "8MB".to_owned()),
            ],
            tables: BTreeMap::from([
                ("public.orders".to_owned(), sum(2, 5)),
                ("public.users".to_owned(), sum(1, -7)),
            ]),
            objects: BTreeMap::from([("indexes".to_owned(), 3)]),
        }
    }

    #[test]
    fn every_difference_is_named() {
        let wanted = sample();
        assert_eq!(differences(&wanted, &wanted), [] as [&str; 0]);
        let mut found = sample();
        found.tables.remove("public.users");
        found.objects.insert("indexes".to_owned(), 2);
        found.tables.insert(
            "public.new".to_owned(),
            TableSum {
                rows: 0,
                checksum: "0".to_owned(),
            },
        );
        found.tables.get_mut("public.orders").unwrap().checksum = "6".to_owned();
        assert_eq!(
            differences(&wanted, &found),
            [
                "the rows of table public.orders have another checksum",
                "table public.users is missing",
                "table public.new is too many",
                "indexes: 2, dumped were 3"
            ]
        );
    }

    #[test]
    fn a_database_is_made_like_the_one_dumped() {
        assert_eq!(
            create(&sample(), "shop_new"),
            "CREATE DATABASE \"shop_new\" OWNER \"it's \"\"me\"\"\" TEMPLATE template0 \
             ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8';\n\
             ALTER DATABASE \"shop_new\" SET \"search_path\" TO a, \"B\";\n\
             ALTER ROLE \"app\" IN DATABASE \"shop_new\" SET \"work_mem\" TO '8MB';\n"
        );
    }
}
