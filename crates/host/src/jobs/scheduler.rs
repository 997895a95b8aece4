//! The task that keeps the agenda.

use std::{sync::Arc, time::Duration};

use landfall_app::App;
use landfall_ledger::{BeginRun, EnvironmentRow, RunBody};
use landfall_release::{Failure, RunOutcome};

use super::{
    Due, Key, Schedule,
    agenda::{Agenda, Found},
    alarm::Alarm,
    own, run,
};
use crate::{
    host::{Host, ledger_failed},
    report::remark,
};

/// How long is waited where the ledger or the alarm can't be used.
const AGAIN: Duration = Duration::from_secs(30);

/// Begins what is due, for ever.
pub async fn keep(host: Arc<Host>) {
    let mut agenda = Agenda::default();
    let alarm = loop {
        match Alarm::new() {
            Ok(alarm) => break alarm,
            Err(error) => remark(&format!("schedules wait, there is no timer: {error}")),
        }
        tokio::time::sleep(AGAIN).await;
    };
    // What was due before this host came counts, if nobody has accounted for it.
    let mut first = true;
    let mut changed = true;
    loop {
        if changed {
            match refresh(&host, &mut agenda, first) {
                Ok(()) => (first, changed) = (false, false),
                Err(failure) => remark(&format!("schedules can't be read: {failure}")),
            }
        }
        let now = host.ledger.now();
        for found in agenda.look(now, |key| host.jobs.is_running(key)) {
            if let Err(failure) = act(&host, found) {
                remark(&format!("what is due can't be done: {failure}"));
            }
        }
        let again = async {
            match changed {
                true => tokio::time::sleep(AGAIN).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            rung = alarm.at(agenda.next()) => if let Err(error) = rung {
                remark(&format!("the timer of schedules fails: {error}"));
                tokio::time::sleep(AGAIN).await;
            } else {
                // It may ring at once, again and again, where the clocks differ.
                tokio::task::yield_now().await;
            },
            () = host.jobs.changed.notified() => changed = true,
            () = again => {}
        }
    }
}

/// Everything on a schedule in an app: what, and the cron line.
pub fn schedules(app: &App) -> Vec<(Due, String)> {
    let jobs = app
        .jobs
        .iter()
        .map(|(name, job)| (Due::Job(name.clone()), job.schedule.clone()));
    jobs.chain(own::schedules(app)).collect()
}

fn refresh(host: &Host, agenda: &mut Agenda, first: bool) -> Result<(), Failure> {
    let (now, mut wanted) = (host.ledger.now(), Vec::new());
    let mut since = std::collections::BTreeMap::new();
    for row in host.ledger.environments().map_err(ledger_failed)? {
        let live = host.ledger.live_release(&row.app, &row.environment);
        let Some(release) = live.map_err(ledger_failed)?.filter(|_| row.state.running) else {
            continue;
        };
        let app = &release.content.app;
        for (due, line) in schedules(app) {
            // One that can't be kept is refused when it is deployed, and shown by `jobs`.
            let Ok(schedule) = Schedule::parse(&line, &app.timezone) else {
                continue;
            };
            let key = Key {
                app: row.app.clone(),
                environment: row.environment.clone(),
                due,
            };
            since.insert(key.clone(), accounted(host, &row, &key, now, first)?);
            wanted.push((key, schedule, (line, app.timezone.clone())));
        }
    }
    agenda.replace(wanted, |key| since.get(key).copied().unwrap_or(now));
    Ok(())
}

/// From when on something new on the agenda counts. For a host that has just come that is the last
/// moment of which a host has accounted for it: its last run, or the last deployment, with which its
/// schedule may have come or which started the app again.
fn accounted(
    host: &Host,
    row: &EnvironmentRow,
    key: &Key,
    now: u64,
    first: bool,
) -> Result<u64, Failure> {
    let last = host
        .ledger
        .accounted(&key.app, &key.environment, key.due.kind(), key.due.name())
        .map_err(ledger_failed)?;
    if !first {
        return Ok(last.unwrap_or(0).max(now));
    }
    let deployed = host
        .ledger
        .deployments(&key.app, &key.environment)
        .map_err(ledger_failed)?
        .into_iter()
        .map(|deployment| deployment.started_at)
        .max();
    let known = [last, row.state.live_since, deployed];
    Ok(known.into_iter().flatten().max().unwrap_or(now))
}

fn act(host: &Arc<Host>, found: Found) -> Result<(), Failure> {
    let (key, due_at, outcome, said) = match found {
        Found::Due { key, at } => {
            return match run::begin(host, &key, Some(at), None) {
                // Asked for by hand in this very moment.
                Err(failure) if failure.name == "job-running" => skip(host, key, at),
                // What is live has changed in this very moment.
                Err(failure) if ["unknown-job", "not-running"].contains(&&*failure.name) => Ok(()),
                begun => begun.map(drop),
            };
        }
        Found::Skipped { key, at } => return skip(host, key, at),
        Found::Missed {
            key,
            first,
            last,
            count,
        } => {
            let said = match count {
                1 => "nobody was there when it was due".to_owned(),
                count => {
                    let minutes = (last - first) / 60_000;
                    let lasting = match minutes {
                        0..180 => format!("{minutes} min"),
                        180..2880 => format!("{} h", minutes / 60),
                        minutes => format!("{} days", minutes / 1440),
                    };
                    format!("{count} times within {lasting} nobody was there when it was due")
                }
            };
            (key, last, RunOutcome::Missed, said)
        }
    };
    leave_out(host, key, due_at, outcome, said)
}

fn skip(host: &Host, key: Key, at: u64) -> Result<(), Failure> {
    let said = "the run before still goes on".to_owned();
    leave_out(host, key, at, RunOutcome::Skipped, said)
}

fn leave_out(
    host: &Host,
    key: Key,
    due_at: u64,
    outcome: RunOutcome,
    said: String,
) -> Result<(), Failure> {
    let begin = BeginRun {
        kind: key.due.kind(),
        name: key.due.name().to_owned(),
        app: key.app,
        environment: key.environment,
        due_at: Some(due_at),
        body: RunBody {
            said,
            ..RunBody::default()
        },
    };
    let left = host.ledger.leave_out_run(begin, outcome);
    left.map(drop).map_err(ledger_failed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use landfall_ledger::{Clock, RunRow};
    use landfall_release::{Generation, RunKind};

    use super::*;
    use crate::testing::{Bed, name};

    const MINUTE: u64 = 60_000;

    /// A host whose clock is given.
    struct Timed {
        bed: Bed,
        now: Arc<AtomicU64>,
    }

    impl Timed {
        /// With a job that runs each minute, live since a whole minute.
        fn new(run: &str) -> Self {
            // The alarm goes by the kernel's clock, and rings at what is over by that.
            let kernel = Clock::system().now();
            let now = Arc::new(AtomicU64::new(kernel / MINUTE * MINUTE));
            let clock = now.clone();
            let bed = Bed::at(Clock::new(move || clock.load(Ordering::Relaxed)));
            let text = format!(
                "[service.web]\ncommand = \"bin/web\"\n\
                 [job.tick]\nrun = \"{run}\"\nschedule = \"* * * * *\""
            );
            let release = bed.release(&text, &[]);
            let (app, environment) = (name("shop"), name("local"));
            let ledger = &bed.host.ledger;
            ledger
                .set_live(&app, &environment, Some(release.number), Generation(1))
                .unwrap();
            Self { bed, now }
        }

        fn pass(&self, time: u64) {
            self.now.fetch_add(time, Ordering::Relaxed);
        }

        /// What a host that comes now makes of it, once so many runs have ended; the oldest first.
        async fn runs(&self, count: usize) -> Vec<(RunOutcome, Option<u64>, String)> {
            let keeping = tokio::spawn(keep(self.bed.host.clone()));
            let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
            let rows = loop {
                let rows = self.rows();
                let ended = rows.iter().filter(|row| row.ended_at.is_some()).count();
                if ended >= count {
                    break rows;
                }
                assert!(tokio::time::Instant::now() < deadline, "{rows:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            keeping.abort();
            let tell = |row: RunRow| Some((row.outcome?, row.due_at, row.body.said));
            rows.into_iter().rev().filter_map(tell).collect()
        }

        fn rows(&self) -> Vec<RunRow> {
            let (app, environment) = (name("shop"), name("local"));
            let ledger = &self.bed.host.ledger;
            ledger
                .runs(&app, &environment, RunKind::Job, "tick", 50)
                .unwrap()
        }
    }

    #[tokio::test]
    async fn what_is_due_when_a_host_comes_runs_and_what_was_long_before_was_missed() {
        let timed = Timed::new("echo tick; exit 7");
        let since = timed.now.load(Ordering::Relaxed);
        timed.pass(3 * MINUTE + 20_000);
        let runs = timed.runs(2).await;
        let due = |minutes: u64| Some(since + minutes * MINUTE);
        assert_eq!(
            runs,
            [
                (
                    RunOutcome::Missed,
                    due(2),
                    "2 times within 1 min nobody was there when it was due".to_owned()
                ),
                (RunOutcome::Failed, due(3), "exit 7".to_owned())
            ]
        );
        assert_eq!(timed.rows()[0].body.last_words, ["tick"]);
        // The next host finds all of it accounted for, and what came since.
        timed.pass(60 * MINUTE - 20_000);
        let runs = timed.runs(4).await;
        assert_eq!(runs.len(), 4, "{runs:?}");
        assert_eq!((runs[2].0, runs[2].1), (RunOutcome::Missed, due(62)));
        assert!(runs[2].2.starts_with("59 times"), "{runs:?}");
        assert_eq!((runs[3].0, runs[3].1), (RunOutcome::Failed, due(63)));
    }

    #[tokio::test]
    async fn a_stopped_app_has_nothing_on_the_agenda() {
        let timed = Timed::new("true");
        let (app, environment) = (name("shop"), name("local"));
        let ledger = &timed.bed.host.ledger;
        ledger.set_running(&app, &environment, false).unwrap();
        timed.pass(10 * MINUTE);
        let mut agenda = Agenda::default();
        refresh(&timed.bed.host, &mut agenda, true).unwrap();
        assert_eq!(agenda.next(), None);
        ledger.set_running(&app, &environment, true).unwrap();
        refresh(&timed.bed.host, &mut agenda, false).unwrap();
        let now = timed.now.load(Ordering::Relaxed);
        assert_eq!(agenda.next(), Some(now + MINUTE), "it begins anew");
    }
}
