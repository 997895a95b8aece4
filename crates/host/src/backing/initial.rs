//! What a database holds before the app comes: its role, its database, extensions, and at the first
//! start the scripts of the file. All but the scripts is looked at with each deployment.

use std::time::Duration;

use landfall_app::model::{BackingKind, Runtime};
use landfall_ledger::BackingRow;
use landfall_release::{Failure, Release};
use sha2::{Digest as _, Sha256};

use super::{
    databases,
    packages::major,
    recipe::hexadecimal,
    scram::verifier,
    server::Passwords,
    sql::{Sql, SqlError, failed, identifier, literal},
};
use crate::host::{Host, random_text};

const PATIENCE: Duration = Duration::from_secs(30);

/// Refused for a wrong password.
const WRONG_PASSWORD: &str = "28P01";

/// Sees to all of it, and notes that the first start went to its end.
pub async fn settle(host: &Host, release: &Release, row: &mut BackingRow) -> Result<(), Failure> {
    if row.body.wanted.kind == BackingKind::Postgres {
        let passwords = host.backing_passwords(&row.app, &row.environment, &row.name)?;
        roles(row, &passwords).await?;
        extensions(row, &passwords).await?;
        if !row.body.initialized {
            scripts(host, release, row, &passwords).await?;
        }
    }
    row.body.initialized = true;
    Ok(())
}

async fn open(row: &BackingRow, passwords: &Passwords, database: &str) -> Result<Sql, Failure> {
    let name = row.name.as_str();
    let access = databases::superuser(row, passwords, database);
    Sql::open(&access, PATIENCE).await.map_err(|error| {
        let failure = failed(name, "nobody can log in", &error);
        match error.code() {
            WRONG_PASSWORD => failure.with("why", "its data was made with another password"),
            _ => failure,
        }
    })
}

/// The role and the database of the app.
async fn roles(row: &BackingRow, passwords: &Passwords) -> Result<(), Failure> {
    if row.body.initialized {
        // Where an app can log in there is nothing to do.
        match Sql::open(&databases::app(row, passwords), PATIENCE).await {
            Ok(_) => return Ok(()),
            Err(SqlError::Refused { .. }) => {}
            Err(error) => return Err(failed(row.name.as_str(), "it doesn't answer", &error)),
        }
    }
    let mut sql = open(row, passwords, "postgres").await?;
    let (user, database) = (&row.body.user, &row.body.database);
    let salt = random_text(8)?;
    let verifier = verifier(&passwords.app, salt.expose().as_bytes());
    let exists = |error| failed(row.name.as_str(), "its roles can't be seen to", &error);
    let question = format!("SELECT 1 FROM pg_roles WHERE rolname = {}", literal(user));
    let verb = match sql.value(&question).await.map_err(exists)? {
        Some(_) => "ALTER",
        None => "CREATE",
    };
    let statement = format!(
        "{verb} ROLE {} LOGIN PASSWORD {}",
        identifier(user),
        literal(&verifier)
    );
    sql.query(&statement).await.map_err(exists)?;
    let question = format!(
        "SELECT 1 FROM pg_database WHERE datname = {}",
        literal(database)
    );
    if sql.value(&question).await.map_err(exists)?.is_none() {
        let statement = format!(
            "CREATE DATABASE {} OWNER {}",
            identifier(database),
            identifier(user)
        );
        sql.query(&statement).await.map_err(exists)?;
    }
    Ok(())
}

/// What an extension is called in SQL, where people call it otherwise.
fn extension(name: &str) -> &str {
    match name {
        "pgvector" => "vector",
        name => name,
    }
}

/// The package of Debian and Ubuntu that brings an extension.
fn package(name: &str, version: &str) -> String {
    let version = major(version);
    match name {
        "vector" => format!("postgresql-{version}-pgvector"),
        "postgis" => format!("postgresql-{version}-postgis-3"),
        "timescaledb" => format!("timescaledb-2-postgresql-{version}"),
        name => format!("postgresql-{version}-{}", name.replace('_', "-")),
    }
}

async fn extensions(row: &BackingRow, passwords: &Passwords) -> Result<(), Failure> {
    if row.body.wanted.extensions.is_empty() {
        return Ok(());
    }
    let mut sql = open(row, passwords, &row.body.database).await?;
    for name in &row.body.wanted.extensions {
        let extension = extension(name);
        let statement = format!("CREATE EXTENSION IF NOT EXISTS {}", identifier(extension));
        sql.query(&statement).await.map_err(|error| {
            let message = format!("{} has no extension {extension}: {error}", row.name);
            let mend = match row.body.runtime {
                Runtime::Process => {
                    format!("apt-get install {}", package(extension, &row.body.version))
                }
                Runtime::Container => {
                    "name an image that has it: kind = \"postgres\" takes a version only".to_owned()
                }
            };
            Failure::new("extension-missing", message).with("mend", mend)
        })?;
    }
    Ok(())
}

/// The scripts of the first start, each in one transaction, as the app's own role. Each is noted
/// when it is done: the next deployment goes on where this one failed.
async fn scripts(
    host: &Host,
    release: &Release,
    row: &mut BackingRow,
    passwords: &Passwords,
) -> Result<(), Failure> {
    if row.body.wanted.init.is_empty() {
        return Ok(());
    }
    let access = databases::app(row, passwords);
    for path in row.body.wanted.init.clone() {
        let text = release.content.files.get(&path).ok_or_else(|| {
            let message = format!("release {} doesn't hold {path}", release.number);
            Failure::new("backing-failed", message).with("mend", "landfall deploy")
        })?;
        let digest = hexadecimal(&Sha256::digest(text));
        if row.body.scripts.get(&path) == Some(&digest) {
            continue;
        }
        let mut sql = Sql::open(&access, PATIENCE)
            .await
            .map_err(|error| failed(row.name.as_str(), "nobody can log in", &error))?;
        sql.execute(text).await.map_err(|error| {
            Failure::new("init-failed", format!("{path} of {}: {error}", row.name)).with(
                "mend",
                format!("mend the script and deploy again: nothing of {path} was done"),
            )
        })?;
        row.body.scripts.insert(path, digest);
        host.put_backing(row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_extensions() {
        assert_eq!(
            package(extension("pgvector"), "15.4"),
            "postgresql-15-pgvector"
        );
        assert_eq!(package("postgis", "16"), "postgresql-16-postgis-3");
        assert_eq!(package("pg_cron", "15"), "postgresql-15-pg-cron");
    }
}
