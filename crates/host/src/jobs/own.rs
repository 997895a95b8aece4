//! What the host does on schedule by itself: backups and their checks.

use std::sync::Arc;

use landfall_app::{App, Name};
use landfall_ledger::RunRow;
use landfall_release::Failure;

use super::{Due, Key, run};
use crate::{backups, host::Host};

/// The newest backup of each subject is restored and compared again once a week: what was written
/// well can be damaged later.
const CHECKS: &str = "40 4 * * 0";

/// The schedules of an app's backups and of their checks: each with its cron line.
pub fn schedules(app: &App) -> Vec<(Due, String)> {
    let both = app.backups().flat_map(|(subject, backup)| {
        [
            (Due::Backup(subject.clone()), backup.schedule.clone()),
            (Due::Check(subject), CHECKS.to_owned()),
        ]
    });
    both.collect()
}

/// Begins one because somebody asks for it.
pub fn begin(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    due: Due,
    by: &str,
) -> Result<RunRow, Failure> {
    let key = Key {
        app: app.clone(),
        environment: environment.clone(),
        due,
    };
    run::begin(host, &key, None, Some(by.to_owned()))
}

/// Does what is due; says in a few words what was done. It is dropped where its app is stopped.
pub async fn perform(host: &Arc<Host>, key: &Key, by: Option<&str>) -> Result<String, Failure> {
    match &key.due {
        Due::Backup(_) => backups::make(host, key, by).await,
        Due::Check(_) => backups::check(host, key).await,
        Due::Job(name) => Err(Failure::new(
            "unknown-job",
            format!("{name} is a job of a service"),
        )),
    }
}
