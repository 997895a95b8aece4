//! What is in a database: for each table the number of its rows and a sum over their hashes, and how
//! many there are of everything else.

use std::collections::BTreeMap;

use super::session::{Session, identifier, literal};
use crate::{
    error::Error,
    manifest::{PostgresContents, TableSum},
};

/// Objects of users: not the system's, and not those that an extension brings itself.
const USERS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

fn no_extension(class: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{class}'::regclass \
         AND d.objid = {oid} AND d.deptype = 'e')"
    )
}

/// Counts everything, as this transaction sees it.
pub async fn contents(session: &mut Session, database: &str) -> Result<PostgresContents, Error> {
    let facts = session
        .lines(&format!(
            "SELECT pg_catalog.pg_get_userbyid(datdba), pg_catalog.pg_encoding_to_char(encoding), \
             datcollate, datctype FROM pg_catalog.pg_database WHERE datname = {}",
            literal(database)
        ))
        .await?;
    let facts = facts.first().map(|line| fields(line)).unwrap_or_default();
    let [owner, encoding, collate, ctype] = facts.as_slice() else {
        return Err(Error::Bad(format!("there is no database {database}")));
    };
    Ok(PostgresContents {
        database: database.to_owned(),
        owner: owner.clone(),
        encoding: encoding.clone(),
        collate: collate.clone(),
        ctype: ctype.clone(),
        settings: settings(session).await?,
        tables: tables(session).await?,
        objects: objects(session).await?,
    })
}

fn fields(line: &str) -> Vec<String> {
    line.split('\t').map(str::to_owned).collect()
}

async fn settings(session: &mut Session) -> Result<Vec<(String, String, String)>, Error> {
    let lines = session
        .lines(
            "SELECT coalesce(r.rolname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1) \
             FROM pg_catalog.pg_db_role_setting s \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c \
             WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname = pg_catalog.current_database()) ORDER BY 1, 2",
        )
        .await?;
    Ok(lines
        .iter()
        .filter_map(|line| match fields(line).as_slice() {
            [role, name, value] => Some((role.clone(), name.clone(), value.clone())),
            _ => None,
        })
        .collect())
}

async fn tables(session: &mut Session) -> Result<BTreeMap<String, TableSum>, Error> {
    let names = session
        .lines(&format!(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.relispopulated \
             AND {USERS} AND {} ORDER BY 1, 2",
            no_extension("pg_class", "c.oid")
        ))
        .await?;
    let mut all = BTreeMap::new();
    for line in names {
        let [schema, table] = fields(&line)
            .try_into()
            .map_err(|_| Error::Bad(format!("a table's name has a tab in it: `{line}`")))?;
        let from = format!("{}.{}", identifier(&schema), identifier(&table));
        let sum = session
            .lines(&format!(
                "SELECT count(*), coalesce(sum(pg_catalog.hashtextextended(t::text COLLATE \"C\", 0)), 0) \
                 FROM ONLY {from} t"
            ))
            .await?;
        all.insert(format!("{schema}.{table}"), parsed(&sum)?);
    }
    // Large objects belong to no table.
    let sum = session
        .lines(
            "SELECT count(*), coalesce(sum(pg_catalog.hashtextextended(\
             l.loid::text || ':' || l.pageno || ':' || pg_catalog.encode(l.data, 'hex'), 0)), 0) \
             FROM pg_catalog.pg_largeobject l",
        )
        .await?;
    let sum = parsed(&sum)?;
    if sum.rows > 0 {
        all.insert("pg_largeobject".to_owned(), sum);
    }
    Ok(all)
}

fn parsed(lines: &[String]) -> Result<TableSum, Error> {
    let line = lines.first().map_or("", String::as_str);
    let bad = || Error::Bad(format!("`{line}` is no count of rows"));
    let (rows, checksum) = line.split_once('\t').ok_or_else(bad)?;
    Ok(TableSum {
        rows: rows.parse().map_err(|_| bad())?,
        checksum: checksum.to_owned(),
    })
}

async fn objects(session: &mut Session) -> Result<BTreeMap<String, u64>, Error> {
    let of = |kind: &str, from: &str, class: &str, also: &str| {
        format!(
            "SELECT '{kind}', count(*) FROM pg_catalog.{class} {from} WHERE {USERS} AND {} {also}",
            no_extension(class, "o.oid")
        )
    };
    let relation = |kind: &str, letters: &str| {
        of(
            kind,
            "o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace",
            "pg_class",
            &format!("AND o.relkind IN ({letters}) AND o.relpersistence <> 't'"),
        )
    };
    let queries = [
        relation("indexes", "'i', 'I'"),
        relation("sequences", "'S'"),
        relation("views", "'v', 'm'"),
        relation("partitioned tables", "'p'"),
        of(
            "constraints",
            "o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace",
            "pg_constraint",
            // PostgreSQL 18 counts NOT NULL here, and names them as it likes.
            "AND o.contype <> 'n'",
        ),
        of(
            "functions",
            "o JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace",
            "pg_proc",
            "",
        ),
        of(
            "triggers",
            "o JOIN pg_catalog.pg_class c ON c.oid = o.tgrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
            "pg_trigger",
            "AND NOT o.tgisinternal",
        ),
        "SELECT 'extensions', count(*) FROM pg_catalog.pg_extension".to_owned(),
    ];
    let lines = session.lines(&queries.join(" UNION ALL ")).await?;
    lines
        .iter()
        .map(|line| {
            let bad = || Error::Bad(format!("`{line}` is no count"));
            let (kind, count) = line.split_once('\t').ok_or_else(bad)?;
            Ok((kind.to_owned(), count.parse().map_err(|_| bad())?))
        })
        .collect()
}
