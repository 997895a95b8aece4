//! A backup is put back: checked before anything changes, with the app out of the way, after a dump
//! of what is there, beside the old data, which is kept.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use landfall_api::wire::backup::{
    BackupNews, BackupRestored, BackupSummary, BackupsBegun, RestoreBackup,
};
use landfall_app::{Name, model::BackingKind};
use landfall_backup::{
    Error, Keys, Manifest, Reason, Store, catalogue,
    make::{self as backup},
    volume,
};
use landfall_release::{Failure, Purpose};

use super::{
    database::{From, Kept, put_back, restore_postgres, restore_redis, set_aside, stamp},
    make::{keep, order, refuse_other},
    means::{self, Means, What, unknown},
    news::Telling,
    unfinished::{self, Note},
    view,
};
use crate::{
    backing,
    host::{Host, ledger_failed},
    jobs,
    lease::{Held, refuse_busy},
    rollouts,
    routes::Serving,
    steps::{instances, switch},
};

/// What clients read meanwhile.
const RESTORED: &str = "this app's data is being restored";

/// Begins to restore a backup; it goes on by itself.
pub fn begin(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    mut asked: RestoreBackup,
) -> Result<BackupsBegun, Failure> {
    refuse_busy(host, app, environment)?;
    let release = rollouts::of_data(host, app, environment)?;
    let subjects: Vec<_> = release
        .content
        .app
        .backups()
        .map(|(name, _)| name)
        .collect();
    let of_id = asked.id.as_ref().and_then(|id| {
        let row = host.ledger.backup(app, environment, id).ok()??;
        Some(row.subject)
    });
    let subject = match (asked.subject.clone().or(of_id), subjects.as_slice()) {
        (Some(subject), _) => subject,
        (None, [only]) => only.clone(),
        (None, []) => return Err(unknown(&release.content, "")),
        (None, all) => {
            return Err(
                Failure::new("unknown-subject", "several things are backed up")
                    .with("known", all.join(", ")),
            );
        }
    };
    let state = host.ledger.environment(app, environment);
    let state = state.map_err(ledger_failed)?;
    // Where nothing is deployed yet there is nothing to stop, and nothing to start afterwards.
    let deployed = state.as_ref().is_some_and(|state| state.live.is_some());
    if deployed && !state.is_some_and(|state| state.running) {
        let message = format!("{app} is stopped in {environment}");
        return Err(Failure::new("not-running", message).with("mend", "landfall start"));
    }
    // Where nothing but restorations ever was there is nothing to dump; it is kept beside all the same.
    let deployments = host.ledger.deployments(app, environment);
    asked.without_safety_dump |= deployments
        .map_err(ledger_failed)?
        .iter()
        .all(|row| row.rollout.purpose == Purpose::Provision);
    let means = Means::find(host, release, &subject)?;
    let lock = Held::take(
        host,
        app,
        environment,
        &asked.by,
        "restoring a backup",
        None,
    )?;
    let telling = host.backups.begin(app, environment, &subject);
    let host = host.clone();
    tokio::spawn(async move {
        let restored = whole(&host, &means, &asked, deployed, lock, &telling).await;
        telling.end(match restored {
            Ok(restored) => BackupNews::Restored(restored),
            Err(failure) => BackupNews::Failed(failure),
        });
    });
    Ok(BackupsBegun {
        subjects: vec![subject],
    })
}

/// The backups that a store has of an environment, the oldest first.
pub async fn look(
    host: &Host,
    app: &Name,
    environment: &Name,
    asked: RestoreBackup,
) -> Result<Vec<BackupSummary>, Failure> {
    let mut stores = Vec::new();
    match asked.from {
        Some(from) => stores.push((None, means::open(host, app, environment, from)?)),
        None => {
            let release = rollouts::of_data(host, app, environment)?;
            for (subject, _) in release.content.app.backups() {
                let means = Means::find(host, release.clone(), &subject)?;
                stores.push((Some(subject), means.store(host)?));
            }
        }
    }
    let mut all = Vec::new();
    for (subject, store) in stores {
        let prefix = match subject {
            Some(subject) => format!("{app}/{environment}/{subject}"),
            None => format!("{app}/{environment}"),
        };
        let (found, broken) = catalogue::list(&store, &prefix).await?;
        for manifest in found {
            all.push(view::summary(keep(host, &manifest, &store)?));
        }
        if let Some((folder, error)) = broken.into_iter().next() {
            crate::report::remark(&format!("{store}/{folder} can't be read: {error}"));
        }
    }
    Ok(all)
}

async fn whole(
    host: &Arc<Host>,
    means: &Means,
    asked: &RestoreBackup,
    deployed: bool,
    lock: Held,
    telling: &Telling,
) -> Result<BackupRestored, Failure> {
    let app = &means.release.content.app;
    let own = means.store(host)?;
    let other = match asked.from.clone() {
        Some(from) => Some(means.other_store(host, from)?),
        None => None,
    };
    let store = other.as_ref().unwrap_or(&own);
    let keys = match &asked.key {
        Some(key) => means::keys(host)?.and(Keys::parse(key)?),
        None => means::keys(host)?,
    };
    let manifest = find(means, asked, store).await?;
    if let What::Database(row) = &means.what {
        refuse_other(&manifest, row)?;
    }
    // Truncated, tampered with, of another key: before anything changes.
    backup::check(&manifest, store, &keys, telling).await?;
    let noted = Note {
        subject: means.subject.clone(),
        // None of a service's volume.
        backing: means.subject.parse().ok(),
        exchanged: None,
        settled: false,
    };
    unfinished::note(host, &app.app, &app.environment, &noted)?;
    let restored = async {
        if deployed {
            telling.say("stopping");
            stop(host, means).await?;
        }
        let safety = safety(host, means, asked, &own, telling).await?;
        let kept = exchange(
            host,
            means,
            &From {
                manifest: &manifest,
                store,
                keys: &keys,
                watcher: telling,
            },
        )
        .await?;
        Ok::<_, Failure>((safety, kept))
    };
    let restored = restored.await;
    // A host that dies from here on has nothing to put back, but still an app to start.
    let settled = Note {
        settled: true,
        ..noted
    };
    unfinished::note(host, &app.app, &app.environment, &settled)?;
    drop(lock);
    let started = match deployed {
        true => {
            telling.say("starting");
            rollouts::start(host, &app.app, &app.environment, asked.by.clone()).map(Some)
        }
        false => Ok(None),
    };
    if !matches!(started, Ok(Some(_))) {
        unfinished::ended(host, &app.app, &app.environment)?;
    }
    let (safety, kept) = restored.map_err(|failure| match &started {
        Ok(None) => failure.with("now", "the data is as it was"),
        Ok(Some(_)) => failure.with("now", "the app starts with its data as it was"),
        Err(worse) => failure.with("now", format!("the app doesn't start: {worse}")),
    })?;
    Ok(BackupRestored {
        backup: view::summary(view::row(&manifest, store)?),
        kept: kept.place,
        drop: kept.drop,
        safety,
        deployment: started?,
    })
}

async fn find(means: &Means, asked: &RestoreBackup, store: &Store) -> Result<Manifest, Failure> {
    let app = &means.release.content.app;
    let prefix = format!("{}/{}/{}", app.app, app.environment, means.subject);
    if let Some(id) = asked.id.as_deref().filter(|id| *id != "latest") {
        return Ok(catalogue::manifest(store, &format!("{prefix}/{id}")).await?);
    }
    let (all, _) = catalogue::list(store, &prefix).await?;
    let last = all.into_iter().rev().find(|one| one.verified_at.is_some());
    last.ok_or_else(|| {
        Failure::new(
            "unknown-backup",
            format!(
                "{store} has no verified backup of {} in {prefix}",
                means.subject
            ),
        )
        .with("mend", "landfall backup list --from … shows what is there")
    })
}

/// The app out of the way: a page in its place, nothing of it runs but its backing services.
async fn stop(host: &Arc<Host>, means: &Means) -> Result<(), Failure> {
    let release = &means.release;
    let (app, environment) = (&release.content.app.app, &release.content.app.environment);
    // Until it is started again: nobody brings instances back, no job begins.
    host.ledger
        .set_running(app, environment, false)
        .map_err(ledger_failed)?;
    let generation = host.next_generation()?;
    switch::publish(host, release, generation, Serving::Nothing(RESTORED)).await?;
    host.ledger
        .set_live(app, environment, Some(release.number), generation)
        .map_err(ledger_failed)?;
    jobs::stop(host, app, environment).await;
    let rows = host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?;
    instances::stop(host, Some(release), rows).await
}

/// A dump of what is there, so that a restoration can itself be undone.
async fn safety(
    host: &Arc<Host>,
    means: &Means,
    asked: &RestoreBackup,
    store: &Store,
    telling: &Telling,
) -> Result<Option<String>, Failure> {
    if asked.without_safety_dump {
        return Ok(None);
    }
    let app = &means.release.content.app;
    let source = means.source(host)?;
    let subject = means.subject(host, source.as_ref())?;
    let recipients = means::recipients(host, &app.app, &app.environment)?;
    let keys = means::keys(host)?;
    let with = backup::Means {
        store,
        recipients: &recipients,
        keys: &keys,
        watcher: telling,
    };
    let order = order(means, Reason::BeforeRestore)?;
    let made = backup::make_unverified(&subject, order, &with).await;
    let manifest = made.map_err(|error| {
        let message = format!("what is there now can't be dumped first: {error}");
        Failure::new(error.name(), message).with(
            "mend",
            "--without-safety-dump goes on without; the old data is kept beside the new all the same",
        )
    })?;
    Ok(Some(keep(host, &manifest, store)?.id))
}

async fn exchange(host: &Arc<Host>, means: &Means, from: &From<'_>) -> Result<Kept, Failure> {
    match &means.what {
        What::Database(row) => match row.body.wanted.kind {
            BackingKind::Postgres => restore_postgres(host, row, from).await,
            _ => restore_redis(host, row, from).await,
        },
        What::Folder { folder, service } => {
            let image = match service {
                Some(_) => None,
                None => {
                    let name: Name = means
                        .subject
                        .parse()
                        .map_err(|_| unknown(&means.release.content, &means.subject))?;
                    let app = &means.release.content.app;
                    Some(backing::known(host, &app.app, &app.environment, &name)?)
                }
            };
            if let Some(row) = &image {
                backing::hold(host, row).await?;
            }
            let kept = folder_of(host, means, folder, from).await;
            if let Some(row) = &image {
                backing::resume(host, row, &[]).await?;
            }
            kept
        }
    }
}

/// Where a backup of a folder is unpacked first.
pub fn beside(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!("{name}.restore"))
}

/// The folder itself stays, so that whoever has it mounted finds the new content.
async fn folder_of(
    host: &Host,
    means: &Means,
    folder: &Path,
    from: &From<'_>,
) -> Result<Kept, Failure> {
    // Of a service that never ran there is none yet.
    crate::home::make_folder(folder).map_err(Error::io("the volume"))?;
    landfall_backup::room(folder, from.manifest.source_bytes)?;
    let beside = beside(folder);
    let unpacked = async {
        match std::fs::remove_dir_all(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("the copy beside")(error));
            }
            _ => {}
        }
        crate::home::make_folder(&beside).map_err(Error::io("the copy beside"))?;
        volume::restore(from.manifest, &beside, from.store, from.keys, from.watcher).await?;
        volume::compare(from.manifest, &beside, from.watcher).await
    };
    if let Err(error) = unpacked.await.map_err(Failure::from) {
        let _ = std::fs::remove_dir_all(&beside);
        return Err(error);
    }
    let kept = folder.with_file_name(format!(
        "{}.before-{}",
        folder.file_name().unwrap_or_default().to_string_lossy(),
        stamp()
    ));
    let app = &means.release.content.app;
    unfinished::note_exchange(host, &app.app, &app.environment, folder, &kept)?;
    set_aside(folder, &kept)?;
    let moved = || {
        for entry in std::fs::read_dir(&beside)? {
            let entry = entry?;
            std::fs::rename(entry.path(), folder.join(entry.file_name()))?;
        }
        let metadata = std::fs::metadata(&beside)?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder, Some(metadata.uid()), Some(metadata.gid()))?;
        }
        std::fs::set_permissions(folder, metadata.permissions())?;
        std::fs::remove_dir(&beside)
    };
    if let Err(error) = moved() {
        let error = Failure::new("backup-failed", format!("{}: {error}", folder.display()));
        return Err(match put_back(folder, &kept) {
            Ok(()) => error,
            Err(worse) => error.with("now", worse.to_string()),
        });
    }
    Ok(Kept {
        drop: format!("rm -r {}", kept.display()),
        place: kept.display().to_string(),
    })
}
