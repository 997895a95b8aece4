//! Data from one server into another: nobody writes meanwhile.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use landfall_app::model::{BackingKind, Runtime};
use landfall_ledger::BackingRow;
use landfall_release::Failure;
use tokio::{fs::File, io::AsyncRead};

use super::{
    address::socket,
    databases, packages, place,
    recipe::SUPERUSER,
    resp::Redis,
    server::{self, Passwords},
    sql::{Sql, failed, identifier, literal},
};
use crate::{host::Host, runtime};

const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps apps out: who is in is thrown out, who comes is refused.
pub async fn close(row: &BackingRow, passwords: &Passwords) -> Result<(), Failure> {
    let name = row.name.as_str();
    match row.body.wanted.kind {
        BackingKind::Postgres => {
            let user = &row.body.user;
            let statements = [
                format!("ALTER ROLE {} NOLOGIN", identifier(user)),
                format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}",
                    literal(user)
                ),
            ];
            statement(row, passwords, &statements).await
        }
        BackingKind::Redis => {
            let mut redis = redis(row, passwords).await?;
            let asked = async {
                if redis.ask(&["CONFIG", "GET", "appendonly"]).await? == appends() {
                    return Err(io::Error::other(
                        "it keeps its data in an append-only file, which isn't moved",
                    ));
                }
                redis.text(&["CLIENT", "PAUSE", "3600000", "WRITE"]).await
            };
            asked.await.map(drop).map_err(|error| {
                Failure::new("backing-failed", format!("{name} can't be closed: {error}"))
            })
        }
        BackingKind::Image(_) => Ok(()),
    }
}

fn appends() -> super::resp::Reply {
    use super::resp::Reply;
    let text = |text: &str| Reply::Text(Some(text.to_owned()));
    Reply::List(vec![text("appendonly"), text("yes")])
}

/// Lets apps in again.
pub async fn open(row: &BackingRow, passwords: &Passwords) -> Result<(), Failure> {
    match row.body.wanted.kind {
        BackingKind::Postgres => {
            let opened = format!("ALTER ROLE {} LOGIN", identifier(&row.body.user));
            statement(row, passwords, &[opened]).await
        }
        BackingKind::Redis => {
            let mut redis = redis(row, passwords).await?;
            let opened = redis.text(&["CLIENT", "UNPAUSE"]).await;
            opened.map(drop).map_err(|error| {
                Failure::new(
                    "backing-failed",
                    format!("{} can't be opened: {error}", row.name),
                )
            })
        }
        BackingKind::Image(_) => Ok(()),
    }
}

async fn statement(
    row: &BackingRow,
    passwords: &Passwords,
    statements: &[String],
) -> Result<(), Failure> {
    let name = row.name.as_str();
    let refused = |error| failed(name, "apps can't be kept out or let in", &error);
    let access = databases::superuser(row, passwords, "postgres");
    let mut sql = Sql::open(&access, PATIENCE).await.map_err(refused)?;
    for statement in statements {
        sql.query(statement).await.map_err(refused)?;
    }
    Ok(())
}

async fn redis(row: &BackingRow, passwords: &Passwords) -> Result<Redis, Failure> {
    Redis::open(socket(row), Some(&passwords.app), PATIENCE)
        .await
        .map_err(|error| Failure::new("backing-failed", format!("{}: {error}", row.name)))
}

/// Moves everything by way of a file of this host's own, which goes whatever becomes of it.
pub async fn move_data(
    host: &Arc<Host>,
    from: &BackingRow,
    to: &BackingRow,
    passwords: &Passwords,
) -> Result<(), Failure> {
    let file = dump(host, from);
    let moved = match from.body.wanted.kind {
        BackingKind::Postgres => postgres(host, from, to, passwords, &file).await,
        _ => snapshot(host, from, to, passwords, &file).await,
    };
    forget(host, from);
    moved
}

/// The file by way of which the data of one is moved.
fn dump(host: &Host, from: &BackingRow) -> PathBuf {
    let id = server::id(&from.app, &from.environment, &from.name);
    host.home
        .root()
        .join("instances")
        .join(format!("{id}.dump"))
}

/// Removes what a move leaves: it holds everything, and is of no use to anybody any more.
pub fn forget(host: &Host, from: &BackingRow) {
    // Where there is none, there is nothing to remove.
    let _ = std::fs::remove_file(dump(host, from));
}

async fn postgres(
    host: &Arc<Host>,
    from: &BackingRow,
    to: &BackingRow,
    passwords: &Passwords,
    file: &Path,
) -> Result<(), Failure> {
    let database = from.body.database.as_str();
    // Roles first, for tables have owners. Those that are there already are said to be, and stay.
    let mut output = private(from, file)?;
    let roles = ["--roles-only", "--no-password"];
    run(
        host,
        from,
        passwords,
        "pg_dumpall",
        &roles,
        None,
        &mut output,
    )
    .await?;
    let mut input = reopened(from, file).await?;
    let into = ["-Xq", "--no-password", "--dbname", "postgres"];
    let mut nothing = tokio::io::sink();
    run(
        host,
        to,
        passwords,
        "psql",
        &into,
        Some(&mut input),
        &mut nothing,
    )
    .await?;
    let mut output = private(from, file)?;
    run(
        host,
        from,
        passwords,
        "pg_dump",
        &["--format=custom", "--no-password", database],
        None,
        &mut output,
    )
    .await?;
    let mut input = reopened(from, file).await?;
    run(
        host,
        to,
        passwords,
        "pg_restore",
        &["--exit-on-error", "--no-password", "--dbname", database],
        Some(&mut input),
        &mut tokio::io::sink(),
    )
    .await
}

async fn snapshot(
    host: &Arc<Host>,
    from: &BackingRow,
    to: &BackingRow,
    passwords: &Passwords,
    file: &Path,
) -> Result<(), Failure> {
    let mut output = private(from, file)?;
    let port = from.body.port.to_string();
    let words = ["-h", "127.0.0.1", "-p", port.as_str(), "--rdb", "-"];
    run(
        host,
        from,
        passwords,
        "redis-cli",
        &words,
        None,
        &mut output,
    )
    .await?;
    let target = to.body.data.join("dump.rdb");
    let (file, plain) = (file.to_owned(), to.body.runtime == Runtime::Process);
    let account = place::account(&to.body.wanted.kind).filter(|_| plain);
    // It may be of any size.
    let placed = tokio::task::spawn_blocking(move || {
        std::fs::copy(file, &target)?;
        match account {
            Some(account) => {
                std::os::unix::fs::chown(&target, Some(account.user), Some(account.group))
            }
            None => Ok(()),
        }
    });
    placed
        .await
        .map_err(io::Error::other)
        .and_then(|placed| placed)
        .map_err(|error| unusable(to, &error))
}

async fn reopened(row: &BackingRow, file: &Path) -> Result<File, Failure> {
    let opened = File::open(file).await;
    opened.map_err(|error| unusable(row, &error))
}

fn private(row: &BackingRow, file: &Path) -> Result<File, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    file.map(File::from_std)
        .map_err(|error| unusable(row, &error))
}

fn unusable(row: &BackingRow, error: &io::Error) -> Failure {
    Failure::new(
        "backing-failed",
        format!("the data of {} can't be moved: {error}", row.name),
    )
}

/// Runs a program of a server beside it.
async fn run(
    host: &Arc<Host>,
    row: &BackingRow,
    passwords: &Passwords,
    program: &str,
    words: &[&str],
    stdin: Option<&mut (dyn AsyncRead + Send + Unpin)>,
    stdout: &mut (dyn tokio::io::AsyncWrite + Send + Unpin),
) -> Result<(), Failure> {
    let own = server::instance_row(host, row);
    let (program, mut environment) = match &row.body.image {
        Some(image) => (program.to_owned(), image.config.environment.clone()),
        None => {
            let version = Some(major(row));
            let found = packages::find(row.name.as_str(), &row.body.wanted.kind, version)?;
            let path = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
            (found.path(program), path)
        }
    };
    for (name, value) in [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &row.body.port.to_string()),
        ("PGUSER", SUPERUSER),
        ("PGPASSWORD", passwords.superuser.expose()),
        ("REDISCLI_AUTH", passwords.app.expose()),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    let words: Vec<String> = [program.as_str()]
        .iter()
        .chain(words)
        .map(|word| (*word).to_owned())
        .collect();
    let command = runtime::Command {
        id: &own.id,
        folder: &own.folder,
        words: &words,
        environment: &environment,
        directory: None,
        user: None,
    };
    let mut said = Vec::new();
    let code = runtime::command(host, &command, stdin, stdout, &mut said).await?;
    if code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let last: Vec<&str> = said.trim().lines().rev().take(5).collect();
    let words: Vec<&str> = last.into_iter().rev().collect();
    Err(Failure::new(
        "backing-failed",
        format!("{program} of {} ended with {code}", row.name),
    )
    .with("its last words", words.join("\n")))
}

fn major(row: &BackingRow) -> &str {
    packages::major(&row.body.version)
}
