//! Jobs as they are asked for: what is on schedule, what ran.

use std::sync::Arc;

use landfall_api::wire::job::{JobStatus, RunBegun, RunSummary};
use landfall_app::{App, Name};
use landfall_ledger::RunRow;
use landfall_release::{Failure, Release, RunKind};

use super::{Due, Key, Schedule, ScheduleError, run, scheduler};
use crate::host::{Host, ledger_failed};

/// So many runs are shown where nobody says how many.
const LAST: usize = 20;

/// The jobs of a release, each with its last run and when it is due next.
fn list(host: &Host, release: &Release, running: bool) -> Result<Vec<JobStatus>, Failure> {
    let app = &release.content.app;
    let now = host.ledger.now();
    let runs = host.ledger.last_runs(&app.app, &app.environment);
    let runs = runs.map_err(ledger_failed)?;
    let jobs = app.jobs.iter().map(|(name, job)| {
        let schedule = Schedule::parse(&job.schedule, &app.timezone);
        let last = runs
            .iter()
            .find(|run| run.kind == RunKind::Job && run.name == name.as_str());
        // What was accounted for isn't due again, also where a clock went back a little.
        let since = last.and_then(|run| run.due_at).unwrap_or(0);
        let from = if since.saturating_sub(now) > 3_600_000 {
            now
        } else {
            since.max(now)
        };
        JobStatus {
            name: name.clone(),
            service: job.service.clone(),
            schedule: job.schedule.clone(),
            words: schedule.as_ref().map(Schedule::words).unwrap_or_default(),
            timezone: app.timezone.clone(),
            timeout: job.timeout.map(|timeout| timeout.as_millis()),
            next: schedule
                .as_ref()
                .ok()
                .filter(|_| running)
                .and_then(|schedule| schedule.next_after(from)),
            problem: schedule.err().map(|error| error.to_string()),
            last: last.cloned().map(summary),
        }
    });
    Ok(jobs.collect())
}

/// The same for what is live in an environment; nothing where nothing is.
pub fn status(host: &Host, app: &Name, environment: &Name) -> Result<Vec<JobStatus>, Failure> {
    let live = host.ledger.live_release(app, environment);
    let Some(release) = live.map_err(ledger_failed)? else {
        return Ok(Vec::new());
    };
    let state = host.ledger.environment(app, environment);
    let running = state
        .map_err(ledger_failed)?
        .is_some_and(|state| state.running);
    list(host, &release, running)
}

/// The last runs of a job, newest first, also of one that the file no longer has.
pub fn history(
    host: &Host,
    app: &Name,
    environment: &Name,
    job: &Name,
    last: Option<usize>,
) -> Result<Vec<RunSummary>, Failure> {
    let runs = host
        .ledger
        .runs(
            app,
            environment,
            RunKind::Job,
            job.as_str(),
            last.unwrap_or(LAST),
        )
        .map_err(ledger_failed)?;
    if runs.is_empty() {
        let release = crate::rollouts::live(host, app, environment)?;
        run::job(&release, job)?;
    }
    Ok(runs.into_iter().map(summary).collect())
}

/// A run, at once or once it has ended.
pub async fn wait(
    host: &Host,
    app: &Name,
    environment: &Name,
    number: u64,
    until_ended: bool,
) -> Result<RunSummary, Failure> {
    let mut newest = host.newest.clone();
    loop {
        newest.borrow_and_update();
        let row = host.ledger.run(number).map_err(ledger_failed)?;
        let row = row.filter(|row| row.app == *app && row.environment == *environment);
        let Some(row) = row else {
            let message = format!("{app} has no run {number} in {environment}");
            return Err(Failure::new("unknown-run", message)
                .with("mend", "landfall jobs history NAME lists those of a job"));
        };
        // Its end is an event.
        if !until_ended || row.ended_at.is_some() || newest.changed().await.is_err() {
            return Ok(summary(row));
        }
    }
}

/// Begins a run of a job because somebody asks for it.
pub fn by_hand(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    job: &Name,
    by: String,
) -> Result<RunBegun, Failure> {
    let key = Key {
        app: app.clone(),
        environment: environment.clone(),
        due: Due::Job(job.clone()),
    };
    let row = run::begin(host, &key, None, Some(by))?;
    let instance = match (&row.body.service, row.body.release) {
        (Some(service), Some(release)) => run::token(&row, release.0, service),
        _ => String::new(),
    };
    Ok(RunBegun {
        run: summary(row),
        instance,
        process: run::tag(job),
    })
}

/// Refuses an app with a schedule that this machine can't keep, or a backup that can't be made, before
/// it is deployed.
pub fn refuse_bad(app: &App) -> Result<(), Failure> {
    for (name, backing) in &app.backing {
        if !backing.own() && backing.backup.is_some() {
            let what = format!(
                "{name} is somebody else's (`url`), and only what Landfall provisions is backed up"
            );
            let mend =
                format!("take `backup` out of [backing.{name}]: whoever provides it backs it up");
            return Err(Failure::new("bad-backup", what).with("mend", mend));
        }
    }
    for (due, line) in scheduler::schedules(app) {
        if let Err(error) = Schedule::parse(&line, &app.timezone) {
            let (name, mend) = match error {
                ScheduleError::Zone { .. } => (
                    "bad-time-zone",
                    "a name such as Europe/Berlin; the time zones come with the system's package tzdata",
                ),
                ScheduleError::Line { .. } | ScheduleError::Never { .. } => (
                    "bad-schedule",
                    "a cron line has minute, hour, day, month, weekday: 30 2 * * *",
                ),
            };
            let what = format!("{} {}: {error}", due.kind(), due.name());
            return Err(Failure::new(name, what).with("mend", mend));
        }
    }
    Ok(())
}

fn summary(row: RunRow) -> RunSummary {
    RunSummary {
        number: row.number,
        kind: row.kind,
        name: row.name,
        by: row.body.by,
        release: row.body.release,
        service: row.body.service,
        due_at: row.due_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
        outcome: row.outcome,
        code: row.body.code,
        said: row.body.said,
        last_words: row.body.last_words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_of_what_isnt_provisioned_here_is_refused() {
        let text = "[service.web]\ncommand = \"bin/web\"\n[backing.store]\nkind = \"postgres\"\n\
                    backup = { schedule = \"0 3 * * *\", to = \"backups\" }";
        let mut app = crate::testing::app(text);
        refuse_bad(&app).unwrap();
        // As a command of another version may send it; this one's reads no such file.
        let url = crate::testing::app(
            "[service.web]\ncommand = \"bin/web\"\n[backing.store]\nkind = \"postgres\"\n\
             url = \"${secret.NEON_URL}\"",
        );
        let url = url.backing[&crate::testing::name("store")].url.clone();
        for backing in app.backing.values_mut() {
            backing.url = url.clone();
        }
        let failure = refuse_bad(&app).unwrap_err();
        assert_eq!(failure.name, "bad-backup");
        assert!(failure.to_string().contains("store is somebody else's"));
    }
}
