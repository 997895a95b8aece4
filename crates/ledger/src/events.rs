//! Events: appended, never changed. Each carries the hash of all before it.

use landfall_app::Name;
use landfall_release::{DeploymentNumber, Event, EventKind};
use rusqlite::{Row, params, params_from_iter, types::Value};
use sha2::{Digest, Sha256};

use crate::{
    Ledger, LedgerError,
    store::{Write, from_json, signed, to_json, unsigned},
};

/// Which events are meant; all by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this app.
    pub app: Option<Name>,
    /// Only of this environment.
    pub environment: Option<Name>,
    /// Only of this deployment. With app and environment: of the one that has this number now, not
    /// of one from before the environment was purged.
    pub deployment: Option<DeploymentNumber>,
}

impl Ledger {
    /// Appends an event.
    pub fn append_event(
        &self,
        app: Option<&Name>,
        environment: Option<&Name>,
        deployment: Option<DeploymentNumber>,
        kind: EventKind,
    ) -> Result<Event, LedgerError> {
        self.write(|write| write.append_event(app, environment, deployment, kind))
    }

    /// Events after a sequence number, in order, at most so many.
    pub fn events(
        &self,
        after: u64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Vec<Event>, LedgerError> {
        self.select(filter, "sequence > ", signed(after), "ASC", limit)
    }

    /// The last events, in order, at most so many.
    pub fn latest_events(
        &self,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Vec<Event>, LedgerError> {
        let mut events = self.select(filter, "sequence > ", 0, "DESC", limit)?;
        events.reverse();
        Ok(events)
    }

    /// The sequence number of the last event; 0 before the first.
    pub fn last_sequence(&self) -> Result<u64, LedgerError> {
        self.read(|sql| {
            Ok(unsigned(sql.query_row(
                "SELECT sequence FROM head",
                [],
                |row| row.get(0),
            )?))
        })
    }

    /// Checks that no event was changed, added or taken away; how many there are.
    pub fn verify_chain(&self) -> Result<u64, LedgerError> {
        self.read(|sql| {
            let (last, head): (i64, Vec<u8>) =
                sql.query_row("SELECT sequence, hash FROM head", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut query =
                sql.prepare("SELECT sequence, app, environment, deployment, body, hash FROM events ORDER BY sequence")?;
            let mut rows = query.query([])?;
            let mut hash = vec![0; 32];
            let mut expected = 1;
            while let Some(row) = rows.next()? {
                let broken = |why| LedgerError::Chain { sequence: expected, why };
                if unsigned(row.get(0)?) != expected {
                    return Err(broken("an event is missing"));
                }
                let body: String = row.get(4)?;
                hash = link(&hash, &body);
                if row.get::<_, Vec<u8>>(5)? != hash {
                    return Err(broken("an event was changed"));
                }
                if !columns_fit(row, &from_json("an event", &body)?)? {
                    return Err(broken("an event's columns were changed"));
                }
                expected += 1;
            }
            if expected != unsigned(last) + 1 {
                return Err(LedgerError::Chain { sequence: expected, why: "events are missing at its end" });
            }
            if head != hash {
                return Err(LedgerError::Chain { sequence: unsigned(last), why: "its head was changed" });
            }
            Ok(unsigned(last))
        })
    }

    fn select(
        &self,
        filter: &EventFilter,
        bound: &str,
        value: i64,
        order: &str,
        limit: usize,
    ) -> Result<Vec<Event>, LedgerError> {
        let mut statement = format!("SELECT body FROM events WHERE {bound}?");
        let mut values = vec![Value::from(value)];
        let mut only = |column: &str, value: Option<Value>| {
            if let Some(value) = value {
                statement.push_str(&format!(" AND {column} ?"));
                values.push(value);
            }
        };
        only(
            "app =",
            filter.app.as_ref().map(|app| app.to_string().into()),
        );
        only(
            "environment =",
            filter
                .environment
                .as_ref()
                .map(|environment| environment.to_string().into()),
        );
        only(
            "deployment =",
            filter
                .deployment
                .map(|deployment| signed(deployment.0).into()),
        );
        self.read(|sql| {
            if let (Some(app), Some(environment), Some(_)) = (&filter.app, &filter.environment, filter.deployment) {
                let first = sql.query_row(
                    "SELECT coalesce(max(first_event), 0) FROM environments WHERE app = ?1 AND environment = ?2",
                    [app.as_str(), environment.as_str()],
                    |row| row.get::<_, i64>(0),
                )?;
                statement.push_str(" AND sequence > ?");
                values.push(first.into());
            }
            statement.push_str(&format!(" ORDER BY sequence {order} LIMIT ?"));
            values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
            let mut query = sql.prepare_cached(&statement)?;
            let mut rows = query.query(params_from_iter(values))?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(from_json("an event", &row.get::<_, String>(0)?)?);
            }
            Ok(events)
        })
    }
}

impl Write<'_> {
    /// Appends an event within a transaction.
    pub(crate) fn append_event(
        &self,
        app: Option<&Name>,
        environment: Option<&Name>,
        deployment: Option<DeploymentNumber>,
        kind: EventKind,
    ) -> Result<Event, LedgerError> {
        let (last, hash): (i64, Vec<u8>) =
            self.sql
                .query_row("SELECT sequence, hash FROM head", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
        let event = Event {
            sequence: unsigned(last) + 1,
            at: self.now,
            app: app.cloned(),
            environment: environment.cloned(),
            deployment,
            kind,
        };
        let body = to_json("an event", &event)?;
        let hash = link(&hash, &body);
        self.sql
            .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                last + 1,
                app.map(Name::as_str),
                environment.map(Name::as_str),
                deployment.map(|deployment| signed(deployment.0)),
                body,
                hash
            ])?;
        self.sql
            .prepare_cached("UPDATE head SET sequence = ?1, hash = ?2")?
            .execute(params![last + 1, hash])?;
        self.last_event.set(Some(event.sequence));
        Ok(event)
    }
}

/// The hash of an event: over the one before it, and the event exactly as it is stored.
fn link(before: &[u8], body: &str) -> Vec<u8> {
    Sha256::new()
        .chain_update(before)
        .chain_update(body)
        .finalize()
        .to_vec()
}

/// Whether the columns by which an event is found say the same as the event.
fn columns_fit(row: &Row<'_>, event: &Event) -> Result<bool, LedgerError> {
    let text = |name: &Option<Name>| name.as_ref().map(Name::to_string);
    Ok(row.get::<_, i64>(0)? == signed(event.sequence)
        && row.get::<_, Option<String>>(1)? == text(&event.app)
        && row.get::<_, Option<String>>(2)? == text(&event.environment)
        && row.get::<_, Option<i64>>(3)? == event.deployment.map(|deployment| signed(deployment.0)))
}
