//! Backups as the status and the command show them.

use landfall_api::wire::backup::{BackupStatus, BackupSummary, Backups};
use landfall_app::Name;
use landfall_backup::{Contents, Manifest, Store};
use landfall_ledger::{BackupBody, BackupRow};
use landfall_release::{Failure, RunKind, RunOutcome};

use super::means;
use crate::{
    host::{Host, ledger_failed},
    jobs,
};

/// A row from a manifest.
pub fn row(manifest: &Manifest, store: &Store) -> Result<BackupRow, Failure> {
    let identity = &manifest.identity;
    let name = |text: &str| {
        text.parse::<Name>().map_err(|error| {
            Failure::new("backup-damaged", format!("{}: {error}", identity.folder()))
        })
    };
    let millis = |at: jiff::Timestamp| u64::try_from(at.as_millisecond()).unwrap_or(0);
    let reason = serde_json::to_value(manifest.reason).unwrap_or_default();
    Ok(BackupRow {
        id: identity.id.clone(),
        app: name(&identity.app)?,
        environment: name(&identity.environment)?,
        subject: identity.subject.clone(),
        created_at: millis(manifest.created_at),
        verified_at: manifest.verified_at.map(millis),
        body: BackupBody {
            store: store.to_string(),
            server: manifest.server.clone(),
            reason: reason.as_str().unwrap_or_default().to_owned(),
            bytes: manifest.bytes(),
            said: said(&manifest.contents),
            problem: None,
        },
    })
}

/// What is in one, in a few words.
fn said(contents: &Contents) -> String {
    let count = |count: u64, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    match contents {
        Contents::Postgres(contents) => {
            let rows = contents.tables.values().map(|table| table.rows).sum();
            let tables = contents.tables.len() as u64;
            format!("{}, {}", count(tables, "table"), count(rows, "row"))
        }
        Contents::Redis(contents) => {
            let keys = contents.databases.values().map(|keys| keys.keys).sum();
            count(keys, "key")
        }
        Contents::Volume(contents) => {
            let mut text = count(contents.files, "file");
            if contents.changed > 0 {
                text += &format!(", {} changed while read", contents.changed);
            }
            text
        }
    }
}

/// The same for those who ask.
pub fn summary(row: BackupRow) -> BackupSummary {
    BackupSummary {
        id: row.id,
        subject: row.subject,
        server: row.body.server,
        reason: row.body.reason,
        store: row.body.store,
        created_at: row.created_at,
        verified_at: row.verified_at,
        bytes: row.body.bytes,
        said: row.body.said,
        problem: row.body.problem,
    }
}

/// How the backups of an environment are; nothing where nothing is live.
pub fn status(host: &Host, app: &Name, environment: &Name) -> Result<Vec<BackupStatus>, Failure> {
    let live = host.ledger.live_release(app, environment);
    let Some(release) = live.map_err(ledger_failed)? else {
        return Ok(Vec::new());
    };
    let state = host.ledger.environment(app, environment);
    let running = state
        .map_err(ledger_failed)?
        .is_some_and(|state| state.running);
    let rows = host
        .ledger
        .backups(app, environment)
        .map_err(ledger_failed)?;
    let runs = host
        .ledger
        .last_runs(app, environment)
        .map_err(ledger_failed)?;
    let timezone = &release.content.app.timezone;
    let subjects = release.content.app.backups().map(|(subject, backup)| {
        let own = || rows.iter().filter(|row| row.subject == subject);
        // The newest first.
        let verified = own().find(|row| row.verified_at.is_some() && row.body.problem.is_none());
        let since = verified.map_or(0, |row| row.created_at);
        let failed = runs
            .iter()
            .filter(|run| run.name == subject && run.kind != RunKind::Job)
            .filter(|run| run.outcome.is_some_and(RunOutcome::is_trouble))
            .find(|run| run.started_at > since);
        BackupStatus {
            to: backup.to.clone(),
            schedule: backup.schedule.clone(),
            timezone: timezone.clone(),
            keep: backup.keep.as_millis(),
            next: running
                .then(|| jobs::next(&backup.schedule, timezone, host.ledger.now()))
                .flatten(),
            verified: verified.cloned().map(summary),
            count: u32::try_from(own().count()).unwrap_or(u32::MAX),
            problem: failed.map(|run| run.body.said.clone()),
            doing: host.backups.doing(app, environment, &subject),
            subject,
        }
    });
    Ok(subjects.collect())
}

/// Everything that this host knows of an environment's backups.
pub fn all(host: &Host, app: &Name, environment: &Name) -> Result<Backups, Failure> {
    let rows = host
        .ledger
        .backups(app, environment)
        .map_err(ledger_failed)?;
    Ok(Backups {
        subjects: status(host, app, environment)?,
        backups: rows.into_iter().map(summary).collect(),
        recipient: means::keys(host)?.public().join(" "),
        key_file: means::key_file(host).display().to_string(),
        people: super::people(host, app, environment)?,
    })
}
