//! What the host itself asks of the databases that it keeps: how full they are, how many use them.

use std::time::Duration;

use landfall_app::model::BackingKind;
use landfall_ledger::BackingRow;
use landfall_release::Failure;

use super::{
    address::socket,
    recipe::SUPERUSER,
    resp::{Redis, field},
    server::Passwords,
    sql::{Access, Sql, SqlError},
};

/// Use of something that has a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// Used.
    pub used: u64,
    /// The limit; 0 where there is none.
    pub limit: u64,
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its whole version.
    pub version: Option<String>,
    /// Connections of clients.
    pub connections: Option<Use>,
    /// Memory for data, of a cache.
    pub data_memory: Option<Use>,
    /// What its databases take.
    pub size: Option<u64>,
}

/// As the superuser.
pub fn superuser(row: &BackingRow, passwords: &Passwords, database: &str) -> Access {
    Access {
        address: socket(row),
        user: SUPERUSER.to_owned(),
        password: passwords.superuser.clone(),
        database: database.to_owned(),
    }
}

/// As apps log in.
pub fn app(row: &BackingRow, passwords: &Passwords) -> Access {
    Access {
        address: socket(row),
        user: row.body.user.clone(),
        password: passwords.app.clone(),
        database: row.body.database.clone(),
    }
}

/// Asks a server how it is; nothing where it doesn't answer soon.
pub async fn ask(row: &BackingRow, passwords: &Passwords, patience: Duration) -> Said {
    let asked = match row.body.wanted.kind {
        BackingKind::Postgres => postgres(row, passwords, patience).await.ok(),
        BackingKind::Redis => redis(row, passwords, patience).await.ok(),
        BackingKind::Image(_) => None,
    };
    asked.unwrap_or_default()
}

async fn postgres(
    row: &BackingRow,
    passwords: &Passwords,
    patience: Duration,
) -> Result<Said, SqlError> {
    let mut sql = Sql::open(&superuser(row, passwords, "postgres"), patience).await?;
    let question = "SELECT current_setting('server_version'), current_setting('max_connections'), \
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
         AND pid <> pg_backend_pid()), \
        (SELECT sum(pg_database_size(oid))::bigint FROM pg_database)";
    let rows = sql.query(question).await?;
    let value = |index: usize| {
        let row = rows.first()?;
        row.get(index)?.clone()
    };
    let number = |index: usize| value(index).and_then(|text| text.parse().ok());
    let version = value(0).and_then(|text| Some(text.split_whitespace().next()?.to_owned()));
    Ok(Said {
        version,
        connections: number(1)
            .zip(number(2))
            .map(|(limit, used)| Use { used, limit }),
        data_memory: None,
        size: number(3),
    })
}

async fn redis(
    row: &BackingRow,
    passwords: &Passwords,
    patience: Duration,
) -> std::io::Result<Said> {
    let mut redis = Redis::open(socket(row), Some(&passwords.app), patience).await?;
    let info = redis.text(&["INFO"]).await?;
    let number = |name: &str| field(&info, name).and_then(|text| text.parse::<u64>().ok());
    let of = |used: &str, limit: &str| {
        Some(Use {
            used: number(used)?,
            limit: number(limit).unwrap_or(0),
        })
    };
    Ok(Said {
        version: field(&info, "redis_version").map(str::to_owned),
        // Ours is one of them.
        connections: of("connected_clients", "maxclients").map(|mut connections| {
            connections.used = connections.used.saturating_sub(1);
            connections
        }),
        data_memory: of("used_memory", "maxmemory"),
        size: None,
    })
}

/// Rows of every table of a PostgreSQL, or keys of every database of a Redis: what two servers with
/// the same data have in common.
pub async fn counts(
    row: &BackingRow,
    passwords: &Passwords,
) -> Result<Vec<(String, u64)>, Failure> {
    let name = row.name.as_str();
    match row.body.wanted.kind {
        BackingKind::Postgres => tables(row, passwords)
            .await
            .map_err(|error| super::sql::failed(name, "its rows can't be counted", &error)),
        BackingKind::Redis => keys(row, passwords).await.map_err(|error| {
            Failure::new(
                "backing-failed",
                format!("{name}: its keys can't be counted: {error}"),
            )
        }),
        BackingKind::Image(_) => Ok(Vec::new()),
    }
}

async fn tables(row: &BackingRow, passwords: &Passwords) -> Result<Vec<(String, u64)>, SqlError> {
    let patience = Duration::from_secs(10);
    let access = superuser(row, passwords, &row.body.database);
    let mut sql = Sql::open(&access, patience).await?;
    let question = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') \
        AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' \
        ORDER BY 1";
    let tables = sql.query(question).await?;
    let mut counts = Vec::new();
    for table in tables.into_iter().filter_map(|row| row.into_iter().next()?) {
        let rows = sql
            .execute(&format!("SELECT count(*) FROM {table}"))
            .await?;
        let count = rows
            .first()
            .and_then(|row| row.first()?.as_ref()?.parse().ok());
        counts.push((table, count.unwrap_or(0)));
    }
    Ok(counts)
}

async fn keys(row: &BackingRow, passwords: &Passwords) -> std::io::Result<Vec<(String, u64)>> {
    let patience = Duration::from_secs(10);
    let mut redis = Redis::open(socket(row), Some(&passwords.app), patience).await?;
    let info = redis.text(&["INFO", "keyspace"]).await?;
    let counts = info.lines().filter_map(|line| {
        let (database, facts) = line.split_once(":keys=")?;
        let count = facts.split(',').next()?.parse().ok()?;
        Some((database.to_owned(), count))
    });
    Ok(counts.collect())
}
