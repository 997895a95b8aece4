//! A restoration that a host didn't live to end: noted before the app is stopped for it, and undone by
//! the next host, which starts the app again with its data as it was.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use landfall_app::{Name, model::BackingKind};
use landfall_backup::{Server as _, postgres};
use landfall_ledger::BackingRow;
use landfall_release::Failure;
use serde::{Deserialize, Serialize};

use super::{
    database::{put_back, unblock},
    restore::beside,
};
use crate::{
    backing::Source,
    host::{Host, ledger_failed},
    report::remark,
    rollouts,
};

/// How long is waited until it is tried again: the lock of a host that died frees itself.
const AGAIN: Duration = Duration::from_secs(1);
/// So long a database may take until it can be asked.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is noted of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Note {
    /// What is restored.
    pub subject: String,
    /// The backing service whose data it is.
    pub backing: Option<Name>,
    /// The folder whose content is exchanged, and where that is put.
    #[serde(default)]
    pub exchanged: Option<(PathBuf, PathBuf)>,
    /// Its data is as it is to be; what is left is that the app is started.
    #[serde(default)]
    pub settled: bool,
}

fn key(app: &Name, environment: &Name) -> String {
    format!("restoring:{app}.{environment}")
}

/// Notes that one goes on.
pub fn note(host: &Host, app: &Name, environment: &Name, note: &Note) -> Result<(), Failure> {
    let text = serde_json::to_string(note)
        .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    host.ledger
        .set_setting(&key(app, environment), &text)
        .map_err(ledger_failed)
}

/// Notes where the content of a folder is put.
pub fn note_exchange(
    host: &Host,
    app: &Name,
    environment: &Name,
    folder: &Path,
    kept: &Path,
) -> Result<(), Failure> {
    let mut noted = noted(host, app, environment)?.unwrap_or_default();
    noted.exchanged = Some((folder.to_owned(), kept.to_owned()));
    note(host, app, environment, &noted)
}

/// Whether all that one is noted for is that the app be started.
pub fn waits_for_start(host: &Host, app: &Name, environment: &Name) -> bool {
    noted(host, app, environment)
        .ok()
        .flatten()
        .is_some_and(|note| note.exchanged.is_none())
}

/// Notes that it has ended, one way or the other.
pub fn ended(host: &Host, app: &Name, environment: &Name) -> Result<(), Failure> {
    host.ledger
        .remove_setting(&key(app, environment))
        .map_err(ledger_failed)
}

fn noted(host: &Host, app: &Name, environment: &Name) -> Result<Option<Note>, Failure> {
    let text = host.ledger.setting(&key(app, environment));
    let text = text.map_err(ledger_failed)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Puts the data of each back that was cut off. Before anything is started that uses it.
pub fn undo(host: &Host) -> Result<(), Failure> {
    for row in host.ledger.environments().map_err(ledger_failed)? {
        let Some(note) = noted(host, &row.app, &row.environment)? else {
            continue;
        };
        let said = match note.settled {
            true => "had ended; the app is started",
            false => "was cut off; its data is put back, and the app started if it ran",
        };
        let (app, environment, subject) = (&row.app, &row.environment, &note.subject);
        remark(&format!(
            "{app}, {environment}: the restoration of {subject} {said}"
        ));
        if let Some((folder, kept)) = &note.exchanged
            && let Err(failure) = put_back(folder, kept)
        {
            // It stays noted, and so does the app stopped: nobody may write into half of its data.
            remark(&failure.to_string());
            continue;
        }
        if let Some((folder, _)) = &note.exchanged {
            let _ = std::fs::remove_dir_all(beside(folder));
        }
        if let Some(backing) = backing(host, &row.app, &row.environment, &note)? {
            // It was held for the exchange alone.
            host.ledger
                .set_backing_running(&row.app, &row.environment, &backing.name, true)
                .map_err(ledger_failed)?;
        }
        let done = Note {
            exchanged: None,
            ..note
        };
        self::note(host, &row.app, &row.environment, &done)?;
    }
    Ok(())
}

fn backing(
    host: &Host,
    app: &Name,
    environment: &Name,
    note: &Note,
) -> Result<Option<BackingRow>, Failure> {
    let Some(name) = &note.backing else {
        return Ok(None);
    };
    let row = host.ledger.backing(app, environment, name);
    row.map_err(ledger_failed)
}

/// Starts the apps again that were stopped for one, while everything else goes on.
pub fn start_behind(host: &Arc<Host>) -> Result<(), Failure> {
    for row in host.ledger.environments().map_err(ledger_failed)? {
        let (app, environment) = (row.app, row.environment);
        let Some(note) = noted(host, &app, &environment)? else {
            continue;
        };
        if note.exchanged.is_some() {
            continue;
        }
        // Where nothing is deployed yet nothing was stopped.
        let stopped = row.state.live.is_some() && !row.state.running;
        let host = host.clone();
        tokio::spawn(async move {
            if let Err(failure) = start(&host, &app, &environment, &note, stopped).await {
                remark(&format!(
                    "{app}, {environment} isn't started after its restoration was cut off: {failure}"
                ));
            }
        });
    }
    Ok(())
}

async fn start(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    note: &Note,
    stopped: bool,
) -> Result<(), Failure> {
    if let Some(row) = backing(host, app, environment, note)?
        && row.body.wanted.kind == BackingKind::Postgres
    {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = admit(host, &row).await {
            if tokio::time::Instant::now() > deadline {
                remark(&format!("{} of {app}: {error}", row.name));
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
    // Whatever starts the app takes the note away once it has.
    match stopped && begun(host, app, environment).await? {
        true => Ok(()),
        false => ended(host, app, environment),
    }
}

/// Begins to start the app, unless it runs.
async fn begun(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<bool, Failure> {
    loop {
        match rollouts::start(host, app, environment, "this machine".to_owned()) {
            Ok(_) => return Ok(true),
            Err(failure) if failure.name == "locked" => tokio::time::sleep(AGAIN).await,
            Err(failure) if failure.name == "nothing-to-change" => return Ok(false),
            Err(failure) => return Err(failure),
        }
    }
}

/// Lets the app into its database again, which an exchange that was cut off may have closed.
async fn admit(host: &Arc<Host>, row: &BackingRow) -> Result<(), Failure> {
    let source = Source::new(host, row)?;
    let statements = unblock(&row.body.database);
    let done = postgres::execute(source.programs(), "postgres", &statements).await;
    done.map(drop).map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use landfall_release::{Generation, Purpose};

    use super::*;
    use crate::testing::{Bed, name};

    #[tokio::test]
    async fn what_a_restoration_left_that_was_cut_off_is_undone_and_the_app_started() {
        let bed = Bed::new();
        let (host, app, environment) = (&bed.host, name("shop"), name("local"));
        let release = bed.release("[service.web]\ncommand = \"bin/web\"", &[]);
        let live = Some(release.number);
        let ledger = &host.ledger;
        ledger
            .set_live(&app, &environment, live, Generation(1))
            .unwrap();
        let folder = bed.folder.path().join("data");
        let kept = bed.folder.path().join("data.before-1");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("own"), "as it was").unwrap();
        let noted = Note {
            subject: "web.data".to_owned(),
            ..Note::default()
        };
        note(host, &app, &environment, &noted).unwrap();
        ledger.set_running(&app, &environment, false).unwrap();
        note_exchange(host, &app, &environment, &folder, &kept).unwrap();
        // Killed here: its own is aside, a part of the other's in its place.
        super::super::database::set_aside(&folder, &kept).unwrap();
        fs::write(folder.join("other"), "of the backup").unwrap();
        fs::create_dir(beside(&folder)).unwrap();

        undo(host).unwrap();
        let text = fs::read_to_string(folder.join("own")).unwrap();
        assert_eq!(text, "as it was");
        assert!(!folder.join("other").exists() && !kept.exists() && !beside(&folder).exists());
        // Cut off once more, there is nothing to put back.
        undo(host).unwrap();
        assert!(folder.join("own").exists());

        start_behind(host).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while noted_is_there(host, &app, &environment) {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let deployments = ledger.deployments(&app, &environment).unwrap();
        let begun: Vec<_> = deployments
            .iter()
            .map(|row| (row.rollout.purpose, row.rollout.release))
            .collect();
        assert_eq!(begun, [(Purpose::Restart, release.number)]);
    }

    fn noted_is_there(host: &Host, app: &Name, environment: &Name) -> bool {
        noted(host, app, environment).unwrap().is_some()
    }
}
