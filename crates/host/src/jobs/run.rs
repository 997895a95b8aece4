//! One run: never two of the same at once, written down before it begins and after it ends.

use std::sync::Arc;

use landfall_app::{Name, model::Job};
use landfall_ledger::{BeginRun, RunBody, RunRow};
use landfall_release::{Failure, Release, RunKind, RunOutcome};

use super::{Due, Key, Running, own};
use crate::{
    host::{Host, ledger_failed},
    identifier::InstanceId,
    lifecycle::refuse_ending,
    report::remark,
    rollouts, runtime,
    steps::commands::{self, OneOff},
};

/// The place of a run among those that are under way, given back when it is dropped.
struct Reserved {
    host: Arc<Host>,
    key: Key,
    running: Arc<Running>,
}

impl Reserved {
    fn take(host: &Arc<Host>, key: &Key) -> Result<Self, Failure> {
        let mut held = host.jobs.held();
        if held.contains_key(key) {
            let message = format!(
                "a run of {} {} is under way already",
                key.due.kind(),
                key.due.name()
            );
            return Err(Failure::new("job-running", message)
                .with("mend", "wait until it has ended: landfall jobs shows it"));
        }
        let running = Arc::new(Running::default());
        held.insert(key.clone(), running.clone());
        Ok(Self {
            host: host.clone(),
            key: key.clone(),
            running,
        })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.host.jobs.held().remove(&self.key);
        self.running.ended.notify_waiters();
    }
}

/// Begins a run, on schedule or because somebody asks for it. It goes on by itself.
pub fn begin(
    host: &Arc<Host>,
    key: &Key,
    due_at: Option<u64>,
    by: Option<String>,
) -> Result<RunRow, Failure> {
    refuse_ending(host)?;
    let release = rollouts::live(host, &key.app, &key.environment)?;
    let state = host
        .ledger
        .environment(&key.app, &key.environment)
        .map_err(ledger_failed)?;
    if !state.is_some_and(|state| state.running) {
        let message = format!("{} is stopped in {}", key.app, key.environment);
        return Err(
            Failure::new("not-running", message).with("mend", "start it first: landfall start")
        );
    }
    let job = match &key.due {
        Due::Job(name) => Some(job(&release, name)?.clone()),
        Due::Backup(_) | Due::Check(_) => None,
    };
    let reserved = Reserved::take(host, key)?;
    let begin = BeginRun {
        app: key.app.clone(),
        environment: key.environment.clone(),
        kind: key.due.kind(),
        name: key.due.name().to_owned(),
        due_at,
        body: RunBody {
            by,
            release: Some(release.number),
            service: job.as_ref().map(|job| job.service.clone()),
            ..RunBody::default()
        },
    };
    let row = host.ledger.begin_run(begin).map_err(ledger_failed)?;
    let (host, begun) = (host.clone(), row.clone());
    tokio::spawn(async move {
        let (outcome, body) = perform(&host, &reserved, &release, job.as_ref(), &begun).await;
        if let Err(error) = host.ledger.end_run(begun.number, outcome, body) {
            remark(&format!(
                "the end of run {} isn't kept: {error}",
                begun.number
            ));
        }
        drop(reserved);
    });
    Ok(row)
}

/// A job of a release.
pub fn job<'a>(release: &'a Release, name: &Name) -> Result<&'a Job, Failure> {
    let app = &release.content.app;
    app.jobs.get(name).ok_or_else(|| {
        let known: Vec<_> = app.jobs.keys().map(Name::as_str).collect();
        let failure = Failure::new(
            "unknown-job",
            format!(
                "release {} of {} has no job `{name}`",
                release.number, app.app
            ),
        );
        match known.as_slice() {
            [] => failure.with("known", "none: the app file has no [job.NAME]"),
            known => failure.with("known", known.join(", ")),
        }
    })
}

async fn perform(
    host: &Arc<Host>,
    reserved: &Reserved,
    release: &Release,
    job: Option<&Job>,
    row: &RunRow,
) -> (RunOutcome, RunBody) {
    let mut body = row.body.clone();
    let doing = async {
        match (&reserved.key.due, job) {
            (Due::Job(name), Some(job)) => in_service(host, release, name, job, row).await,
            (_, _) => own::perform(host, &reserved.key, row.body.by.as_deref())
                .await
                .map(|said| {
                    let body = RunBody {
                        said,
                        ..body.clone()
                    };
                    (RunOutcome::Done, body)
                }),
        }
    };
    let ended = tokio::select! {
        ended = doing => Some(ended),
        () = reserved.running.stop.notified() => None,
    };
    match ended {
        Some(Ok(ended)) => ended,
        Some(Err(failure)) => {
            body.said = failure.to_string();
            (RunOutcome::Failed, body)
        }
        None => {
            end_left(host, row).await;
            body.said = "the app was stopped".to_owned();
            (RunOutcome::Stopped, body)
        }
    }
}

async fn in_service(
    host: &Host,
    release: &Release,
    name: &Name,
    job: &Job,
    row: &RunRow,
) -> Result<(RunOutcome, RunBody), Failure> {
    let app = &release.content.app;
    if app
        .services
        .get(&job.service)
        .is_some_and(runtime::contained)
    {
        runtime::end_runs_left(host, &app.app, &app.environment).await?;
    }
    let one_off = OneOff {
        release,
        service: &job.service,
        process: &tag(name),
        command: &job.run,
        token: &token(row, release.number.0, &job.service),
        variables: &[("LANDFALL_RUN", row.number.to_string())],
        limit: job.timeout.map(|timeout| timeout.duration()),
        error: "job-failed",
    };
    let ended = commands::run_once(host, &one_off).await?;
    let outcome = match (ended.well, ended.timed_out) {
        (true, _) => RunOutcome::Done,
        (false, true) => RunOutcome::TimedOut,
        (false, false) => RunOutcome::Failed,
    };
    let body = RunBody {
        said: ended.said,
        code: ended.code,
        last_words: ended.last_words,
        ..row.body.clone()
    };
    Ok((outcome, body))
}

/// What the lines of a job are tagged with.
pub fn tag(job: &Name) -> String {
    format!("job-{job}")
}

/// By which a run's processes, containers and lines are found.
pub fn token(row: &RunRow, release: u64, service: &Name) -> String {
    let id = InstanceId {
        app: row.app.to_string(),
        environment: row.environment.to_string(),
        service: service.to_string(),
        release,
        replica: 0,
        incarnation: runtime::run_incarnation(row.number),
    };
    id.to_string()
}

async fn end_left(host: &Host, row: &RunRow) {
    if let (RunKind::Job, Some(service), Some(release)) =
        (row.kind, &row.body.service, row.body.release)
    {
        let token = token(row, release.0, service);
        if let Err(failure) = commands::end_left(host, &token).await {
            remark(&format!("what is left of run {}: {failure}", row.number));
        }
    }
}

/// Ends what a host before this one left under way. Before anything new begins, so that nothing
/// meets its twin.
pub async fn recover(host: &Host) -> Result<(), Failure> {
    for row in host.ledger.unfinished_runs().map_err(ledger_failed)? {
        end_left(host, &row).await;
        let body = RunBody {
            said: "the host ended while it was under way".to_owned(),
            ..row.body.clone()
        };
        host.ledger
            .end_run(row.number, RunOutcome::CutOff, body)
            .map_err(ledger_failed)?;
    }
    Ok(())
}

/// Ends everything that is under way in an environment, and waits until it has ended.
pub async fn stop(host: &Host, app: &Name, environment: &Name) {
    let running: Vec<_> = host
        .jobs
        .held()
        .iter()
        .filter(|(key, _)| key.app == *app && key.environment == *environment)
        .map(|(key, running)| (key.clone(), running.clone()))
        .collect();
    for (key, running) in running {
        let ended = running.ended.notified();
        tokio::pin!(ended);
        // Listens before it looks, so that an end in between isn't missed.
        ended.as_mut().enable();
        running.stop.notify_one();
        if host
            .jobs
            .held()
            .get(&key)
            .is_some_and(|held| Arc::ptr_eq(held, &running))
        {
            ended.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use landfall_release::Generation;

    use super::*;
    use crate::testing::{Bed, FakeEngine, name};

    #[tokio::test]
    async fn a_run_doesnt_meet_what_an_earlier_one_left_in_a_container() {
        let folder = tempfile::tempdir().unwrap();
        let engine = FakeEngine::start(folder.path());
        let bed = Bed::with_engine(&engine);
        let text = "[service.web]\nimage = \"web:1\"\n\
                    [job.tick]\nrun = \"bin/tick\"\nschedule = \"0 0 1 1 *\"";
        let release = bed.release(text, &[]);
        let (host, app, environment) = (&bed.host, name("shop"), name("local"));
        let live = Some(release.number);
        let ledger = &host.ledger;
        ledger
            .set_live(&app, &environment, live, Generation(1))
            .unwrap();
        ledger
            .set_setting("gateway:shop.local", "10.209.0.1")
            .unwrap();
        let key = |job: &str| Key {
            app: app.clone(),
            environment: environment.clone(),
            due: Due::Job(name(job)),
        };
        // Two runs of a host before this one: of the first it couldn't end the container.
        let begun = |job: &str| {
            let begin = BeginRun {
                app: app.clone(),
                environment: environment.clone(),
                kind: RunKind::Job,
                name: job.to_owned(),
                due_at: None,
                body: RunBody::default(),
            };
            ledger.begin_run(begin).unwrap()
        };
        let (left, other) = (begun("tick"), begun("other"));
        ledger
            .end_run(left.number, RunOutcome::CutOff, RunBody::default())
            .unwrap();
        let labels = runtime::labels(host, &app, &environment);
        let web = name("web");
        let left = token(&left, 1, &web);
        for id in [&left, &token(&other, 1, &web), "shop.local.web.1.1.1"] {
            engine.container(id, &labels, true);
        }
        begin(host, &key("tick"), None, None).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while host.jobs.is_running(&key("tick")) {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let runs = ledger.runs(&app, &environment, RunKind::Job, "tick", 1);
        assert_eq!(engine.removed(), [left], "{:?}", runs.unwrap());
    }
}
