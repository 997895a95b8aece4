//! Rollouts: begun on request, driven to their end in the background, taken up where a host that
//! died left them.

mod needed;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use landfall_api::wire::{Accepted, Change, Rollback, Submission};
use landfall_app::{
    Name,
    model::{Replicas, Strategy},
};
use landfall_deploy::{DriveError, drive};
use landfall_ledger::{Begin, Finish, InstanceState, LedgerError};
use landfall_redact::Secret;
use landfall_release::{
    EventKind, Failure, Journal as _, MadeBy, Outcome, Purpose, Release, Rollout, Step, cause,
    steps_for, steps_to_provision,
};

use self::needed::{missing, needed_by_data, none_missing, used};
use crate::{
    backing, backups,
    host::{Host, ledger_failed, unknown_service},
    jobs,
    lease::{Held, refuse_busy},
    lifecycle::refuse_ending,
    report::remark,
    routes::Serving,
    steps::{commands, instances, switch},
    target::ProcessTarget,
    watcher,
};

/// `POST …/deployments`
pub fn submit(host: &Arc<Host>, submission: Submission) -> Result<Accepted, Failure> {
    let Submission {
        mut content,
        secrets,
        by,
        folder,
        prepared,
        attached,
        recipients,
        provision_only,
    } = submission;
    let (app, environment) = (content.app.app.clone(), content.app.environment.clone());
    refuse_busy(host, &app, &environment)?;
    if provision_only {
        refuse_deployed(host, &app, &environment)?;
        none_missing(&content.app, needed_by_data(&content.app), &secrets)?;
    } else {
        missing(&content.app, &secrets)?;
    }
    jobs::refuse_bad(&content.app)?;
    host.ledger
        .ensure_environment(&app, &environment, &folder)
        .map_err(ledger_failed)?;
    backups::keep_recipients(host, &app, &environment, &recipients)?;
    content.secrets = keep_secrets(host, &app, &environment, secrets)?;
    let release = host.ledger.add_release(content).map_err(ledger_failed)?;
    if !attached {
        // A host with an app that nobody is attached to stays.
        *host
            .leaving
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = false;
    }
    let live = host
        .ledger
        .live_release(&app, &environment)
        .map_err(ledger_failed)?;
    let again = live
        .as_ref()
        .is_some_and(|live| live.number == release.number);
    let purpose = match (provision_only, again) {
        (true, _) => Purpose::Provision,
        (false, true) => Purpose::Restart,
        (false, false) => Purpose::Deploy,
    };
    if provision_only {
        // It was never built: nobody can go back to it.
        let pruned = host.ledger.mark_pruned(&app, &environment, release.number);
        pruned.map_err(ledger_failed)?;
    }
    let prepared = serde_json::to_value(prepared).ok();
    begin(host, &release, purpose, by, prepared)
}

/// `POST …/rollback`
pub fn rollback(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    asked: Rollback,
) -> Result<Accepted, Failure> {
    refuse_busy(host, app, environment)?;
    let live = live(host, app, environment)?;
    let releases = host
        .ledger
        .releases(app, environment)
        .map_err(ledger_failed)?;
    let known = || {
        let numbers: Vec<_> = releases
            .iter()
            .filter(|row| !row.pruned)
            .map(|row| row.number.to_string())
            .collect();
        numbers.join(", ")
    };
    let number = match asked.release {
        Some(number) => number,
        None => host
            .ledger
            .release_before(app, environment)
            .map_err(ledger_failed)?
            .ok_or_else(|| {
                Failure::new(
                    "no-release-before",
                    format!(
                        "no release was live before {} in {environment}",
                        live.number
                    ),
                )
                .with("known", known())
                .with(
                    "mend",
                    "there is something to go back to once a second release was deployed",
                )
            })?,
    };
    let Some(row) = releases.iter().find(|row| row.number == number) else {
        return Err(Failure::new(
            "unknown-release",
            format!("{app} has no release {number} in {environment}"),
        )
        .with("known", known()));
    };
    if row.pruned {
        return Err(Failure::new(
            "release-pruned",
            format!("the build of release {number} was removed"),
        )
        .with("known", known())
        .with("mend", "deploy its commit again"));
    }
    if number == live.number && !asked.keep_secrets {
        let state = host
            .ledger
            .environment(app, environment)
            .map_err(ledger_failed)?;
        let failure = Failure::new("already-live", format!("release {number} is live already"));
        return Err(match state.is_some_and(|state| state.running) {
            true => failure.with("known", known()),
            false => failure.with("mend", "it is stopped: landfall start"),
        });
    }
    let release = host.release(app, environment, number)?;
    if !asked.keep_secrets {
        return begin(host, &release, Purpose::Rollback, asked.by, None);
    }
    let mut content = release.content;
    for (name, version) in &live.content.secrets {
        if let Some(kept) = content.secrets.get_mut(name) {
            *kept = *version;
        }
    }
    content.made_by = MadeBy::Rollback { base: number };
    let release = host.ledger.add_release(content).map_err(ledger_failed)?;
    begin(host, &release, Purpose::Rollback, asked.by, None)
}

/// `POST …/change`
pub fn change(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    asked: Change,
) -> Result<Accepted, Failure> {
    refuse_busy(host, app, environment)?;
    let live = live(host, app, environment)?;
    match asked {
        Change::Restart { by } => begin(host, &live, Purpose::Restart, by, None),
        Change::Scale { replicas, by } => {
            let mut content = live.content.clone();
            for (name, count) in &replicas {
                let Some(service) = content.app.services.get_mut(name) else {
                    return Err(unknown_service(&content, name.as_str()));
                };
                if !crate::runtime::runs(service) {
                    return Err(Failure::new(
                        "nothing-to-scale",
                        format!("{name} has no processes to run more of"),
                    ));
                }
                room_for(host, name, *count)?;
                if let (Strategy::Recreate, Some(port), 2..) =
                    (&service.strategy, service.port, count)
                {
                    let message = format!("{name} insists on port {port}, so it can't run twice");
                    return Err(Failure::new("bad-scale", message).with(
                        "mend",
                        "let it listen on $PORT, and take strategy = \"recreate\" away",
                    ));
                }
                service.replicas = Replicas::Fixed(*count);
            }
            if content == live.content {
                return Err(Failure::new("nothing-to-change", "it runs so many already"));
            }
            content.made_by = MadeBy::Scale { base: live.number };
            let release = host.ledger.add_release(content).map_err(ledger_failed)?;
            begin(host, &release, Purpose::Scale, by, None)
        }
        Change::Secrets {
            values,
            removed,
            by,
        } => {
            let mut content = live.content.clone();
            let values: BTreeMap<_, _> = values
                .into_iter()
                .filter(|(name, _)| used(&content.app, name))
                .collect();
            content
                .secrets
                .extend(keep_secrets(host, app, environment, values)?);
            content.secrets.retain(|name, _| !removed.contains(name));
            let none = content
                .secrets
                .keys()
                .map(|name| (name.clone(), String::new()))
                .collect();
            missing(&content.app, &none)?;
            if content.secrets == live.content.secrets {
                return Err(Failure::new(
                    "nothing-to-change",
                    "the release that is live has these values already",
                ));
            }
            content.made_by = MadeBy::Secrets { base: live.number };
            let release = host.ledger.add_release(content).map_err(ledger_failed)?;
            begin(host, &release, Purpose::Secrets, by, None)
        }
    }
}

/// A number of replicas that can't be had is refused before anything is made of it.
fn room_for(host: &Host, service: &Name, count: u32) -> Result<(), Failure> {
    if count == 0 {
        return Err(
            Failure::new("bad-scale", format!("{service} can't run 0 times")).with(
                "mend",
                "landfall stop stops the app; a service goes by leaving it out of the app file",
            ),
        );
    }
    let (first, last) = host.settings.port_range;
    let taken = host.ledger.ports().map_err(ledger_failed)?.len();
    let free = usize::from(last - first).saturating_sub(taken);
    if count as usize > free {
        return Err(Failure::new(
            "bad-scale",
            format!("{service} can't run {count} times: {free} ports are free"),
        )
        .with(
            "mend",
            "LANDFALL_PORTS=FIRST-LAST gives the host more, when it starts",
        ));
    }
    Ok(())
}

/// The live release, or the failure that there is none.
pub fn live(host: &Host, app: &Name, environment: &Name) -> Result<Release, Failure> {
    let live = host
        .ledger
        .live_release(app, environment)
        .map_err(ledger_failed)?;
    live.ok_or_else(|| not_deployed(app, environment))
}

/// The release that says what an environment's data is: the live one, or where nothing was ever
/// deployed the newest, whose backing services are there.
pub fn of_data(host: &Host, app: &Name, environment: &Name) -> Result<Release, Failure> {
    let live = host
        .ledger
        .live_release(app, environment)
        .map_err(ledger_failed)?;
    if let Some(live) = live {
        return Ok(live);
    }
    let releases = host
        .ledger
        .releases(app, environment)
        .map_err(ledger_failed)?;
    match releases.first() {
        Some(newest) => host.release(app, environment, newest.number),
        None => Err(not_deployed(app, environment)),
    }
}

/// Refuses to provision for itself what a release does that is live.
fn refuse_deployed(host: &Host, app: &Name, environment: &Name) -> Result<(), Failure> {
    let live = host
        .ledger
        .live_release(app, environment)
        .map_err(ledger_failed)?;
    match live {
        None => Ok(()),
        Some(live) => Err(Failure::new(
            "already-live",
            format!(
                "release {} of {app} is live in {environment}: its backing services are there",
                live.number
            ),
        )),
    }
}

/// Nothing is deployed there.
pub fn not_deployed(app: &Name, environment: &Name) -> Failure {
    let command = match environment.as_str() {
        "local" => "landfall up".to_owned(),
        environment => format!("landfall deploy {environment}"),
    };
    Failure::new(
        "not-deployed",
        format!("{app} isn't deployed in {environment}"),
    )
    .with("mend", command)
}

/// Keeps values at rest; answers their versions.
fn keep_secrets(
    host: &Host,
    app: &Name,
    environment: &Name,
    values: BTreeMap<String, String>,
) -> Result<BTreeMap<String, u32>, Failure> {
    let mut versions = BTreeMap::new();
    for (name, value) in values {
        let value = Secret::new(value);
        let (mac, sealed) = (host.identity.mac(&name, &value), host.identity.seal(&value));
        let version = host
            .ledger
            .put_secret(app, environment, &name, &mac, &sealed)
            .map_err(ledger_failed)?;
        versions.insert(name, version);
    }
    Ok(versions)
}

fn begin(
    host: &Arc<Host>,
    release: &Release,
    purpose: Purpose,
    by: String,
    prepared: Option<serde_json::Value>,
) -> Result<Accepted, Failure> {
    refuse_ending(host)?;
    let app = &release.content.app;
    let before = host
        .ledger
        .live_release(&app.app, &app.environment)
        .map_err(ledger_failed)?;
    let mut steps = steps_for(app, before.is_some());
    if purpose == Purpose::Provision {
        steps = steps_to_provision(app);
    } else if purpose != Purpose::Deploy {
        // The database has seen this release's migrations, or a later one's.
        steps.retain(|step| *step != Step::Migrate);
    }
    let cursor = host.ledger.last_sequence().map_err(ledger_failed)?;
    let begin = Begin {
        app: app.app.clone(),
        environment: app.environment.clone(),
        purpose,
        release: release.number,
        by,
        steps,
        prepared,
    };
    let rollout = host.ledger.begin_deployment(begin).map_err(ledger_failed)?;
    let accepted = Accepted {
        deployment: rollout.deployment,
        release: rollout.release,
        from: rollout.previous,
        cursor,
    };
    spawn(host, rollout, false);
    Ok(accepted)
}

/// Drives a rollout to its end and writes down how it ended.
pub async fn run(host: Arc<Host>, rollout: Rollout, found_unfinished: bool) {
    let started = host.ledger.now();
    let (app, environment) = (&rollout.app, &rollout.environment);
    let restored = backups::waits_for_start(&host, app, environment);
    let before = traffic(&host, &rollout).await;
    let target = ProcessTarget::new(host.clone());
    let driven = match found_unfinished {
        false => drive(&rollout, &target, &host.ledger, &host.faults).await,
        true => take_up(&host, &rollout, &target).await,
    };
    let (outcome, failure) = match driven {
        Ok(outcome) => {
            let records = host.ledger.records(&rollout).unwrap_or_default();
            let failure = match outcome {
                Outcome::Done => None,
                _ => cause(&rollout, &records)
                    .cloned()
                    .or_else(|| found_unfinished.then(|| cut_off(&rollout))),
            };
            (outcome, failure)
        }
        // Without a journal nothing may be done; the next host takes it up.
        Err(error) => {
            remark(&format!(
                "deployment {} of {} is left unfinished: {error}",
                rollout.deployment, rollout.app
            ));
            host.shutdown.notify_waiters();
            return;
        }
    };
    // Where no release was to go live, nothing was built that a hook could run in.
    if rollout.goes_live()
        && let (Outcome::Undone, Some(why)) = (outcome, &failure)
    {
        commands::after_failure(&host, &rollout, why).await;
    }
    // One that was only taken up may have ended before it started anything.
    if restored
        && (outcome == Outcome::Done || !found_unfinished)
        && let Err(failure) = backups::ended(&host, app, environment)
    {
        remark(&format!("{app}: {failure}"));
    }
    // What is live may be another release, or run again.
    host.jobs.changed();
    let after = traffic(&host, &rollout).await;
    let state = host
        .ledger
        .environment(&rollout.app, &rollout.environment)
        .ok()
        .flatten();
    let begun = host
        .ledger
        .deployment(&rollout.app, &rollout.environment, rollout.deployment)
        .ok()
        .flatten();
    let finish = Finish {
        outcome,
        live: state
            .filter(|state| state.running)
            .and_then(|state| state.live),
        took: host
            .ledger
            .now()
            .saturating_sub(begun.map_or(started, |row| row.started_at)),
        requests: after.0.saturating_sub(before.0),
        failed_requests: after.1.saturating_sub(before.1),
        failure,
    };
    if let Err(error) = host.ledger.finish_deployment(&rollout, finish) {
        remark(&format!(
            "deployment {} of {} can't be ended: {error}",
            rollout.deployment, rollout.app
        ));
    }
    if let Err(failure) = watcher::reconcile(&host, &rollout.app, &rollout.environment) {
        remark(&format!("{}: {failure}", rollout.app));
    }
}

/// Takes a rollout up; an edge that is just being started again is waited for.
async fn take_up(
    host: &Arc<Host>,
    rollout: &Rollout,
    target: &ProcessTarget,
) -> Result<Outcome, DriveError<LedgerError>> {
    let mut pause = Duration::from_millis(20);
    loop {
        match landfall_deploy::take_up(rollout, target, &host.ledger, &host.faults).await {
            Err(DriveError::Live(_)) if pause < Duration::from_secs(10) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return other,
        }
    }
}

fn cut_off(rollout: &Rollout) -> Failure {
    let (when, mend) = match rollout.goes_live() {
        true => (", before the switch", "deploy again"),
        false => ("", "landfall backup restore again"),
    };
    let message = format!("the host ended while this deployment was under way{when}");
    Failure::new("host-died", message).with("mend", mend)
}

/// Requests and failed ones of an environment so far.
async fn traffic(host: &Host, rollout: &Rollout) -> (u64, u64) {
    let counters = host
        .edge
        .counters(rollout.app.as_str(), rollout.environment.as_str())
        .await
        .unwrap_or_default();
    counters
        .iter()
        .fold((0, 0), |(requests, failed), counters| {
            (requests + counters.requests, failed + counters.failed)
        })
}

/// Takes up everything that a host before this one left unfinished.
pub fn take_up_all(host: &Arc<Host>) -> Result<(), Failure> {
    for rollout in host.ledger.unfinished().map_err(ledger_failed)? {
        let host = host.clone();
        tokio::spawn(async move {
            // A migration or hook that was under way goes on without anybody who reads what it says.
            if let Err(failure) = commands::sweep(&host, &rollout).await {
                remark(&format!("{}: {failure}", rollout.app));
            }
            spawn(&host, rollout, true);
        });
    }
    Ok(())
}

/// Runs a rollout in the background.
fn spawn(host: &Arc<Host>, rollout: Rollout, found_unfinished: bool) {
    let running = tokio::spawn(run(host.clone(), rollout, found_unfinished));
    let host = host.clone();
    tokio::spawn(async move {
        // One that panicked stands unfinished in its journal. Ending is the safe way on: the apps run,
        // and the next host takes it up.
        if running.await.is_err() {
            remark("a deployment broke off by a defect of this program; the next host takes it up");
            host.shutdown.notify_waiters();
        }
    });
}

/// Stops an environment by hand.
pub async fn stop(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<(), Failure> {
    refuse_busy(host, app, environment)?;
    let release = live(host, app, environment)?;
    let _lock = Held::take(host, app, environment, "this machine", "stop", None)?;
    host.ledger
        .set_running(app, environment, false)
        .map_err(ledger_failed)?;
    let generation = host.next_generation()?;
    let stopped = Serving::Nothing(switch::STOPPED);
    switch::publish(host, &release, generation, stopped).await?;
    host.ledger
        .set_live(app, environment, Some(release.number), generation)
        .map_err(ledger_failed)?;
    let rows = host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?;
    jobs::stop(host, app, environment).await;
    instances::stop(host, Some(&release), rows).await?;
    backing::stop(host, app, environment).await?;
    host.ledger
        .append_event(Some(app), Some(environment), None, EventKind::Stopped)
        .map_err(ledger_failed)?;
    Ok(())
}

/// Starts an environment that was stopped by hand: a rollout of the same release.
pub fn start(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    by: String,
) -> Result<Accepted, Failure> {
    refuse_busy(host, app, environment)?;
    let release = live(host, app, environment)?;
    let running = host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?;
    if running
        .iter()
        .any(|row| row.state == InstanceState::Live && host.instance(&row.id).is_some())
    {
        return Err(Failure::new(
            "nothing-to-change",
            format!("{app} runs in {environment} already"),
        ));
    }
    begin(host, &release, Purpose::Restart, by, None)
}
