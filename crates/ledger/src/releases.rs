//! Releases: sealed here, which gives them their number.

use landfall_app::Name;
use landfall_release::{Content, MadeBy, Outcome, Release, ReleaseNumber, SourceVersion};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Ledger, LedgerError,
    deployments::finish_of,
    store::{from_json, signed, to_json, unsigned},
};

/// A release in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRow {
    /// Its number.
    pub number: ReleaseNumber,
    /// Its digest.
    pub digest: String,
    /// When it was sealed, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Its code.
    pub source: SourceVersion,
    /// Why it was made.
    pub made_by: MadeBy,
    /// Whether it is live.
    pub live: bool,
    /// Whether its artifacts are gone.
    pub pruned: bool,
    /// How the last deployment of it ended.
    pub outcome: Option<Outcome>,
    /// Whether it ever became live.
    pub served: bool,
}

impl Ledger {
    /// Seals a release for the app and environment that its content names. What equals the live
    /// release is no new one: that is returned.
    pub fn add_release(&self, content: Content) -> Result<Release, LedgerError> {
        self.write(|write| {
            let (app, environment) = (content.app.app.clone(), content.app.environment.clone());
            write.ensure_environment(&app, &environment, None)?;
            let key = [app.as_str(), environment.as_str()];
            let (live, last): (Option<i64>, i64) = write.sql.query_row(
                "SELECT live_release, last_release FROM environments WHERE app = ?1 AND environment = ?2",
                key,
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let release = content.seal(ReleaseNumber(unsigned(last) + 1), write.now);
            if let Some(live) = live
                && let Some(live) = release_of(&write.sql, &app, &environment, ReleaseNumber(unsigned(live)))?
                && live.digest == release.digest
            {
                return Ok(live);
            }
            write.sql.execute(
                "UPDATE environments SET last_release = ?3 WHERE app = ?1 AND environment = ?2",
                params![app.as_str(), environment.as_str(), last + 1],
            )?;
            write.sql.execute(
                "INSERT INTO releases (app, environment, number, digest, body) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    app.as_str(),
                    environment.as_str(),
                    last + 1,
                    release.digest,
                    to_json("a release", &release)?
                ],
            )?;
            Ok(release)
        })
    }

    /// A release by number.
    pub fn release(
        &self,
        app: &Name,
        environment: &Name,
        number: ReleaseNumber,
    ) -> Result<Option<Release>, LedgerError> {
        self.read(|sql| release_of(sql, app, environment, number))
    }

    /// The live release.
    pub fn live_release(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<Option<Release>, LedgerError> {
        match self
            .environment(app, environment)?
            .and_then(|state| state.live)
        {
            Some(number) => self.release(app, environment, number),
            None => Ok(None),
        }
    }

    /// All releases of an environment, newest first.
    pub fn releases(&self, app: &Name, environment: &Name) -> Result<Vec<ReleaseRow>, LedgerError> {
        self.read(|sql| {
            let key = [app.as_str(), environment.as_str()];
            let live: Option<Option<i64>> = sql
                .query_row("SELECT live_release FROM environments WHERE app = ?1 AND environment = ?2", key, |row| {
                    row.get(0)
                })
                .optional()?;
            let live = live.flatten();
            let mut query = sql.prepare_cached(
                "SELECT number, pruned_at IS NOT NULL, body FROM releases
                 WHERE app = ?1 AND environment = ?2 ORDER BY number DESC",
            )?;
            let mut finishes = sql.prepare_cached(
                "SELECT finish FROM deployments
                 WHERE app = ?1 AND environment = ?2 AND release = ?3 AND finish IS NOT NULL ORDER BY number",
            )?;
            let mut rows = query.query(key)?;
            let mut releases = Vec::new();
            while let Some(row) = rows.next()? {
                let number: i64 = row.get(0)?;
                let release: Release = from_json("a release", &row.get::<_, String>(2)?)?;
                let mut outcomes = Vec::new();
                let mut deployments = finishes.query(params![app.as_str(), environment.as_str(), number])?;
                while let Some(deployment) = deployments.next()? {
                    outcomes.push(finish_of(&deployment.get::<_, String>(0)?)?.outcome);
                }
                releases.push(ReleaseRow {
                    number: release.number,
                    digest: release.digest,
                    created_at: release.created_at,
                    source: release.content.source,
                    made_by: release.content.made_by,
                    live: live == Some(number),
                    pruned: row.get(1)?,
                    outcome: outcomes.last().copied(),
                    served: outcomes.contains(&Outcome::Done),
                });
            }
            Ok(releases)
        })
    }

    /// The release that was live before the live one: where a bare `rollback` goes. One whose
    /// artifacts are gone doesn't count.
    pub fn release_before(
        &self,
        app: &Name,
        environment: &Name,
    ) -> Result<Option<ReleaseNumber>, LedgerError> {
        let Some(live) = self
            .environment(app, environment)?
            .and_then(|state| state.live)
        else {
            return Ok(None);
        };
        let pruned: Vec<_> = self
            .releases(app, environment)?
            .into_iter()
            .filter(|row| row.pruned)
            .collect();
        let done = self
            .deployments(app, environment)?
            .into_iter()
            .filter(|row| {
                row.finish
                    .as_ref()
                    .is_some_and(|finish| finish.outcome == Outcome::Done)
                    && row.rollout.release != live
            });
        let mut numbers = done.map(|row| row.rollout.release);
        Ok(numbers.find(|number| pruned.iter().all(|row| row.number != *number)))
    }

    /// Notes that a release's artifacts are gone.
    pub fn mark_pruned(
        &self,
        app: &Name,
        environment: &Name,
        number: ReleaseNumber,
    ) -> Result<(), LedgerError> {
        self.write(|write| {
            let rows = write.sql.execute(
                "UPDATE releases SET pruned_at = ?4
                 WHERE app = ?1 AND environment = ?2 AND number = ?3 AND pruned_at IS NULL",
                params![
                    app.as_str(),
                    environment.as_str(),
                    signed(number.0),
                    signed(write.now)
                ],
            )?;
            if rows == 1 {
                let kind = landfall_release::EventKind::ReleasePruned { release: number };
                write.append_event(Some(app), Some(environment), None, kind)?;
            }
            Ok(())
        })
    }
}

/// A release by number, within a transaction.
pub(crate) fn release_of(
    sql: &Connection,
    app: &Name,
    environment: &Name,
    number: ReleaseNumber,
) -> Result<Option<Release>, LedgerError> {
    let mut query = sql.prepare_cached(
        "SELECT body FROM releases WHERE app = ?1 AND environment = ?2 AND number = ?3",
    )?;
    let key = params![app.as_str(), environment.as_str(), signed(number.0)];
    let body: Option<String> = query.query_row(key, |row| row.get(0)).optional()?;
    body.map(|body| from_json("a release", &body)).transpose()
}
