//! What is asked about backups.

use std::sync::Arc;

use hyper::{Method, Request, body::Incoming};
use landfall_api::wire::backup::{
    BackupNews, BackupsBegun, MakeBackup, RestoreBackup, VerifyBackup,
};
use landfall_app::Name;
use landfall_release::Failure;
use tokio::sync::mpsc;

use super::unknown_path;
use crate::{
    backups,
    host::{Host, ledger_failed, refuse_unknown},
    jobs, rollouts,
    server::{Answer, body, json, lines},
};

/// `…/backups/…`
pub async fn answer(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    rest: &[&str],
    request: Request<Incoming>,
) -> Answer {
    // A store can be looked at before anything is deployed from it.
    if !matches!(rest, ["look"]) {
        refuse_unknown(host, app, environment)?;
    }
    match (request.method().clone(), rest) {
        (Method::GET, []) => json(&backups::all(host, app, environment)?),
        (Method::POST, []) => {
            let asked: MakeBackup = body(request).await?;
            if let Some(recipients) = &asked.recipients {
                backups::keep_recipients(host, app, environment, recipients)?;
            }
            let subjects = subjects(host, app, environment, asked.subject)?;
            for subject in &subjects {
                let due = jobs::Due::Backup(subject.clone());
                begin(host, app, environment, due, &asked.by)?;
            }
            json(&BackupsBegun { subjects })
        }
        (Method::POST, ["verify"]) => {
            let asked: VerifyBackup = body(request).await?;
            let subjects = match &asked.id {
                None => subjects(host, app, environment, None)?,
                Some(id) => vec![subject_of(host, app, environment, id)?],
            };
            for subject in &subjects {
                if let Some(id) = &asked.id {
                    host.backups.name(app, environment, subject, id);
                }
                let due = jobs::Due::Check(subject.clone());
                begin(host, app, environment, due, &asked.by)?;
            }
            json(&BackupsBegun { subjects })
        }
        (Method::POST, ["restore"]) => {
            let asked: RestoreBackup = body(request).await?;
            json(&backups::restore(host, app, environment, asked)?)
        }
        (Method::POST, ["look"]) => {
            let asked: RestoreBackup = body(request).await?;
            json(&backups::look(host, app, environment, asked).await?)
        }
        (Method::GET, [subject, "news"]) => news(host, app, environment, subject),
        (method, _) => Err(unknown_path(&method, request.uri().path())),
    }
}

/// Begins a run of ours, so that whoever follows it finds its news.
fn begin(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    due: jobs::Due,
    by: &str,
) -> Result<(), Failure> {
    let announced = host.backups.announce(app, environment, due.name());
    match jobs::begin_own(host, app, environment, due, by) {
        Ok(_) => Ok(()),
        Err(failure) => {
            announced.withdraw();
            Err(failure)
        }
    }
}

/// What is backed up: the one that was asked for, or all.
fn subjects(
    host: &Host,
    app: &Name,
    environment: &Name,
    asked: Option<String>,
) -> Result<Vec<String>, Failure> {
    let release = rollouts::live(host, app, environment)?;
    let all: Vec<String> = release
        .content
        .app
        .backups()
        .map(|(name, _)| name)
        .collect();
    match asked {
        Some(subject) if all.contains(&subject) => Ok(vec![subject]),
        Some(subject) => Err(backups::unknown(&release.content, &subject)),
        None if all.is_empty() => Err(backups::unknown(&release.content, "")),
        None => Ok(all),
    }
}

fn subject_of(host: &Host, app: &Name, environment: &Name, id: &str) -> Result<String, Failure> {
    let row = host
        .ledger
        .backup(app, environment, id)
        .map_err(ledger_failed)?;
    row.map(|row| row.subject).ok_or_else(|| {
        Failure::new("unknown-backup", format!("this host knows no backup {id}"))
            .with("mend", "landfall backup list")
    })
}

/// Tells how something goes on until it has ended.
fn news(host: &Arc<Host>, app: &Name, environment: &Name, subject: &str) -> Answer {
    let mut following = host.backups.follow(app, environment, subject);
    let (sender, receiver) = mpsc::channel::<BackupNews>(8);
    lines(receiver, async move {
        loop {
            let now = following.borrow_and_update().clone();
            let end = now.as_ref().is_none_or(BackupNews::is_end);
            if let Some(now) = now
                && sender.send(now).await.is_err()
            {
                return Ok(());
            }
            // One that never was has no news.
            if end || following.changed().await.is_err() {
                return Ok(());
            }
        }
    })
}
