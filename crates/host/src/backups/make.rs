//! A backup, and a check of one: as runs of the scheduler's.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use landfall_api::wire::backup::{BackupNews, BackupSummary};
use landfall_backup::{
    Identity, Manifest, Reason, Store, catalogue,
    make::{self as backup, Order},
};
use landfall_ledger::BackupRow;
use landfall_release::Failure;

use super::{
    means::{self, Means, What},
    news::Telling,
    view,
};
use crate::{
    host::{Host, ledger_failed},
    jobs::Key,
    lease::{Held, refuse_busy},
    report::remark,
    rollouts,
    steps::commands::{self, OneOff},
};

/// How long is waited for a deployment to end: dumps and migrations never run at once.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
const AGAIN: Duration = Duration::from_millis(500);

/// Makes a backup of what a key names; says in a few words what was done.
pub async fn make(host: &Arc<Host>, key: &Key, by: Option<&str>) -> Result<String, Failure> {
    let subject = key.due.name();
    let telling = host.backups.begin(&key.app, &key.environment, subject);
    let made = async {
        let _alone = host
            .backups
            .alone(&key.app, &key.environment, subject)
            .await;
        let release = rollouts::live(host, &key.app, &key.environment)?;
        let means = Means::find(host, release, subject)?;
        let reason = match by {
            Some(_) => Reason::Asked,
            None => Reason::Scheduled,
        };
        one(host, &means, reason, by.unwrap_or("its schedule"), &telling).await
    };
    let made = made.await;
    end(telling, made)
}

/// Restores a backup into a scratch instance and compares, without making a new one.
pub async fn check(host: &Arc<Host>, key: &Key) -> Result<String, Failure> {
    let subject = key.due.name();
    let named = host.backups.named(&key.app, &key.environment, subject);
    let telling = host.backups.begin(&key.app, &key.environment, subject);
    let checked = async {
        let _alone = host
            .backups
            .alone(&key.app, &key.environment, subject)
            .await;
        let release = rollouts::live(host, &key.app, &key.environment)?;
        let means = Means::find(host, release, subject)?;
        again(host, &means, named, &telling).await
    };
    let checked = checked.await;
    end(telling, checked)
}

fn end(telling: Telling, made: Result<BackupSummary, Failure>) -> Result<String, Failure> {
    match made {
        Ok(summary) => {
            let said = format!("{} verified: {}", summary.id, summary.said);
            telling.end(BackupNews::Done(summary));
            Ok(said)
        }
        Err(failure) => {
            telling.end(BackupNews::Failed(failure.clone()));
            Err(failure)
        }
    }
}

/// Waits until nothing else changes the environment, and takes its lock.
async fn alone(host: &Host, means: &Means, by: &str, telling: &Telling) -> Result<Held, Failure> {
    let app = &means.release.content.app;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let free = refuse_busy(host, &app.app, &app.environment);
        let reason = format!("backup of {}", means.subject);
        let taken =
            free.and_then(|()| Held::take(host, &app.app, &app.environment, by, &reason, None));
        match taken {
            Err(failure) if failure.name == "locked" && tokio::time::Instant::now() < deadline => {
                telling.say("waiting");
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

/// Makes one and verifies it, then removes those that are old enough.
async fn one(
    host: &Arc<Host>,
    means: &Means,
    reason: Reason,
    by: &str,
    telling: &Telling,
) -> Result<BackupSummary, Failure> {
    let app = &means.release.content.app;
    let store = means.store(host)?;
    let keys = means::keys(host)?;
    let recipients = means::recipients(host, &app.app, &app.environment)?;
    let lock = alone(host, means, by, telling).await?;
    let order = order(means, reason)?;
    if let Some((service, run)) = means.quiesce() {
        telling.say("quiescing");
        let token = format!(
            "{}.{}.{service}.{}.0.quiesce",
            app.app, app.environment, means.release.number
        );
        let one_off = OneOff {
            release: &means.release,
            service,
            process: "quiesce",
            command: run,
            token: &token,
            variables: &[],
            limit: Some(Duration::from_secs(600)),
            error: "backup-failed",
        };
        let ended = commands::run_once(host, &one_off).await?;
        if !ended.well {
            let message = format!(
                "the quiesce command of {} ended with {}",
                means.subject, ended.said
            );
            return Err(Failure::new("backup-failed", message)
                .with("its last words", ended.last_words.join("\n")));
        }
    }
    let source = means.source(host)?;
    let subject = means.subject(host, source.as_ref())?;
    let with = backup::Means {
        store: &store,
        recipients: &recipients,
        keys: &keys,
        watcher: telling,
    };
    let made = backup::make(&subject, order, &with, || drop(lock), Timestamp::now).await;
    let manifest = made?;
    let row = keep(host, &manifest, &store)?;
    prune(host, means, &manifest, &store).await;
    Ok(view::summary(row))
}

/// What a backup is ordered with.
pub fn order(means: &Means, reason: Reason) -> Result<Order, Failure> {
    let app = &means.release.content.app;
    let now = Timestamp::now();
    Ok(Order {
        identity: Identity::new(
            app.app.as_str(),
            app.environment.as_str(),
            &means.subject,
            now,
        )?,
        reason,
        release: Some(means.release.number.0),
        program: format!("landfall {}", env!("CARGO_PKG_VERSION")),
        now,
    })
}

/// Writes a backup down.
pub fn keep(host: &Host, manifest: &Manifest, store: &Store) -> Result<BackupRow, Failure> {
    let row = view::row(manifest, store)?;
    host.ledger.put_backup(&row).map_err(ledger_failed)?;
    Ok(row)
}

/// Removes what is older than it is kept, and forgets what isn't in the store any more. That a store
/// doesn't let go of it is no reason to say that the new one failed.
async fn prune(host: &Host, means: &Means, manifest: &Manifest, store: &Store) {
    let keep_for = means.backup.keep.duration();
    let left = catalogue::prune(store, &manifest.identity, keep_for, Timestamp::now()).await;
    let told = match left {
        Ok(left) => remember(host, means, &left, store).map_err(|failure| failure.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(said) = told {
        remark(&format!("old backups of {}: {said}", means.subject));
    }
}

/// The ledger knows what the store has.
fn remember(host: &Host, means: &Means, left: &[Manifest], store: &Store) -> Result<(), Failure> {
    let app = &means.release.content.app;
    let known = host
        .ledger
        .backups(&app.app, &app.environment)
        .map_err(ledger_failed)?;
    let place = store.to_string();
    for row in &known {
        let of_it = row.subject == means.subject && row.body.store == place;
        if of_it && !left.iter().any(|one| one.identity.id == row.id) {
            host.ledger.remove_backup(&row.id).map_err(ledger_failed)?;
        }
    }
    for manifest in left {
        if !known.iter().any(|row| row.id == manifest.identity.id) {
            keep(host, manifest, store)?;
        }
    }
    Ok(())
}

/// Verifies the newest one again, or the one that was named.
async fn again(
    host: &Arc<Host>,
    means: &Means,
    named: Option<String>,
    telling: &Telling,
) -> Result<BackupSummary, Failure> {
    let app = &means.release.content.app;
    let store = means.store(host)?;
    let prefix = format!("{}/{}/{}", app.app, app.environment, means.subject);
    let mut manifest = match named {
        Some(id) => catalogue::manifest(&store, &format!("{prefix}/{id}")).await?,
        None => catalogue::list(&store, &prefix)
            .await?
            .0
            .pop()
            .ok_or_else(|| {
                Failure::new(
                    "unknown-backup",
                    format!("{store} has no backup of {}", means.subject),
                )
                .with("mend", "landfall backup now")
            })?,
    };
    if let What::Database(row) = &means.what {
        refuse_other(&manifest, row)?;
    }
    let source = means.source(host)?;
    let subject = means.subject(host, source.as_ref())?;
    let keys = means::keys(host)?;
    let verified = backup::verify(&subject, &manifest, &store, &keys, telling).await;
    if let Err(error) = verified {
        let mut row = view::row(&manifest, &store)?;
        row.body.problem = Some(error.to_string());
        host.ledger.put_backup(&row).map_err(ledger_failed)?;
        return Err(error.into());
    }
    manifest.verified_at = Some(Timestamp::now());
    catalogue::renew(&store, &manifest).await?;
    Ok(view::summary(keep(host, &manifest, &store)?))
}

/// A dump of a later version can't be restored by an earlier one.
pub fn refuse_other(manifest: &Manifest, row: &landfall_ledger::BackingRow) -> Result<(), Failure> {
    let number = |text: &str| {
        let digits: String = text
            .chars()
            .skip_while(|letter| !letter.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse::<u32>().ok()
    };
    let (Some(of), Some(here)) = (number(&manifest.server), number(&row.body.version)) else {
        return Ok(());
    };
    if of <= here {
        return Ok(());
    }
    Err(Failure::new(
        "major-version",
        format!(
            "{} is of {}, and {} is {}",
            manifest.identity.id, manifest.server, row.name, row.body.version
        ),
    )
    .with(
        "mend",
        format!("landfall backing upgrade {} --to {of}", row.name),
    ))
}
