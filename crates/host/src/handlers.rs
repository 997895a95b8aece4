//! What each path of the host's interface does. Names in paths are checked before anything else.

mod backing;
mod backups;
mod executions;
mod jobs;
mod volumes;

use std::{collections::BTreeMap, sync::Arc};

use hyper::{Method, Request, body::Incoming};
use landfall_api::wire::{
    Change, EventQuery, ExecutionEnvironment, HostStatus, LogQuery, Observed, Rollback,
    SecretVersion, Submission, VERSION,
};
use landfall_app::Name;
use landfall_ledger::EventFilter;
use landfall_redact::Secret;
use landfall_release::{DeploymentNumber, Event, EventKind, Failure, ReleaseNumber};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::{
    host::{Host, ledger_failed, unknown_service},
    lifecycle, logs, rollouts, runtime,
    server::{Answer, body, json, lines, nothing, query},
    status,
};

/// So many events are read from the ledger at a time.
const BATCH: usize = 500;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Asked {
    by: String,
    purge: bool,
    keep_apps: bool,
    service: Option<String>,
    process: Option<String>,
    one_off: bool,
}

/// Answers a request. What changes something goes on to its end also where the client goes away.
pub async fn handle(host: &Arc<Host>, request: Request<Incoming>) -> Answer {
    if request.method() == Method::GET {
        return answer(host, request).await;
    }
    let host = host.clone();
    let answering = tokio::spawn(async move { answer(&host, request).await });
    answering
        .await
        .map_err(|error| Failure::new("host-failed", error.to_string()))?
}

async fn answer(host: &Arc<Host>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let method = request.method().clone();
    match (method, parts.as_slice()) {
        (Method::GET, ["v1", "host"]) => json(&host_status(host)?),
        (Method::POST, ["v1", "host", "stop"]) => {
            let asked: Asked = body(request).await?;
            lifecycle::end(host, !asked.keep_apps).await?;
            nothing()
        }
        (Method::GET, ["v1", "environments"]) => json(&status::environments(host)?),
        (Method::GET, ["v1", "events"]) => events(host, query(&request)?),
        (_, ["v1", "apps", app, environment, rest @ ..]) => {
            let (app, environment) = (name(app)?, name(environment)?);
            let rest: Vec<String> = rest.iter().map(|part| (*part).to_owned()).collect();
            of_environment(host, &app, &environment, &rest, request).await
        }
        (method, _) => Err(Failure::new(
            "unknown-path",
            format!("this host knows no {method} {path}"),
        )
        .with(
            "mend",
            "the command and the host are of different versions: landfall host stop, then again",
        )),
    }
}

async fn of_environment(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    rest: &[String],
    request: Request<Incoming>,
) -> Answer {
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (request.method().clone(), parts.as_slice()) {
        (Method::DELETE, []) => {
            let asked: Asked = query(&request)?;
            json(&lifecycle::remove(host, app, environment, asked.purge).await?)
        }
        (Method::GET, ["status"]) => json(&status::status(host, app, environment).await?),
        (Method::GET, ["observed"]) => json(&observed(host, app, environment)?),
        (Method::POST, ["secrets", "versions"]) => {
            let values: BTreeMap<String, String> = body(request).await?;
            json(&versions(host, app, environment, values)?)
        }
        (Method::POST, ["deployments"]) => {
            let submission: Submission = body(request).await?;
            if submission.content.app.app != *app
                || submission.content.app.environment != *environment
            {
                return Err(Failure::new(
                    "bad-request",
                    "the release is for another app or environment",
                ));
            }
            json(&rollouts::submit(host, submission)?)
        }
        (Method::GET, ["deployments"]) => {
            let rows = host
                .ledger
                .deployments(app, environment)
                .map_err(ledger_failed)?;
            json(&rows.into_iter().map(status::summary).collect::<Vec<_>>())
        }
        (Method::GET, ["deployments", number]) => {
            let number = number
                .parse()
                .map_err(|_| Failure::new("bad-request", "a deployment has a number"))?;
            json(&status::detail(host, app, environment, number)?)
        }
        (Method::GET, ["releases"]) => {
            let rows = host
                .ledger
                .releases(app, environment)
                .map_err(ledger_failed)?;
            json(&rows.into_iter().map(status::release).collect::<Vec<_>>())
        }
        (Method::GET, ["releases", number]) => {
            let number = number
                .parse()
                .map_err(|_| Failure::new("bad-request", "a release has a number"))?;
            json(&host.release(app, environment, ReleaseNumber(number))?)
        }
        (Method::POST, ["rollback"]) => {
            let asked: Rollback = body(request).await?;
            json(&rollouts::rollback(host, app, environment, asked)?)
        }
        (Method::POST, ["change"]) => {
            let asked: Change = body(request).await?;
            json(&rollouts::change(host, app, environment, asked)?)
        }
        (Method::POST, ["stop"]) => {
            lifecycle::stop(host, app, environment).await?;
            nothing()
        }
        (Method::POST, ["start"]) => {
            let asked: Option<Asked> = body(request).await?;
            json(&rollouts::start(
                host,
                app,
                environment,
                asked.unwrap_or_default().by,
            )?)
        }
        (Method::GET, ["logs"]) => {
            let asked: LogQuery = query(&request)?;
            log_lines(host, app, environment, asked)
        }
        (Method::GET, ["environment"]) => {
            let asked: Asked = query(&request)?;
            json(&execution(host, app, environment, &asked)?)
        }
        (Method::POST, ["executions"]) => {
            let asked = body(request).await?;
            json(&executions::prepare(host, app, environment, asked).await?)
        }
        (_, ["backups", rest @ ..]) => backups::answer(host, app, environment, rest, request).await,
        (_, ["backing", rest @ ..]) => backing::answer(host, app, environment, rest, request).await,
        (_, ["volumes", rest @ ..]) => volumes::answer(host, app, environment, rest, request).await,
        (_, ["jobs", rest @ ..]) => jobs::answer(host, app, environment, rest, request).await,
        (method, _) => Err(unknown_path(&method, request.uri().path())),
    }
}

fn unknown_path(method: &Method, path: &str) -> Failure {
    Failure::new(
        "unknown-path",
        format!("this host knows no {method} {path}"),
    )
}

fn name(text: &str) -> Result<Name, Failure> {
    text.parse()
        .map_err(|error| Failure::new("bad-request", format!("`{text}`: {error}")))
}

fn host_status(host: &Host) -> Result<HostStatus, Failure> {
    Ok(HostStatus {
        version: VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        started_at: host.started_at,
        home: host.home.root().to_owned(),
        http: host.edge.http(),
        leaves_with_last_app: host.leaves(),
        environments: status::environments(host)?,
        memory: crate::sample::own_memory(),
    })
}

fn observed(host: &Host, app: &Name, environment: &Name) -> Result<Observed, Failure> {
    let state = host
        .ledger
        .environment(app, environment)
        .map_err(ledger_failed)?;
    Ok(Observed {
        live: host
            .ledger
            .live_release(app, environment)
            .map_err(ledger_failed)?,
        running: state.is_some_and(|state| state.running),
        scaled: host
            .ledger
            .scaled(app, environment)
            .map_err(ledger_failed)?,
    })
}

fn versions(
    host: &Host,
    app: &Name,
    environment: &Name,
    values: BTreeMap<String, String>,
) -> Result<BTreeMap<String, SecretVersion>, Failure> {
    let mut versions = BTreeMap::new();
    for (name, value) in values {
        let mac = host.identity.mac(&name, &Secret::new(value));
        let (version, known) = host
            .ledger
            .secret_version(app, environment, &name, &mac)
            .map_err(ledger_failed)?;
        versions.insert(name, SecretVersion { version, known });
    }
    Ok(versions)
}

fn execution(
    host: &Host,
    app: &Name,
    environment: &Name,
    asked: &Asked,
) -> Result<ExecutionEnvironment, Failure> {
    let release = rollouts::live(host, app, environment)?;
    let services = &release.content.app.services;
    let service = match &asked.service {
        Some(service) => services.get_key_value(service.as_str()),
        None => services.iter().find(|(_, service)| runtime::runs(service)),
    };
    let wanted = asked.service.as_deref().unwrap_or("…");
    let (service, facts) = service.ok_or_else(|| unknown_service(&release.content, wanted))?;
    let artifact = release.content.artifacts.get(service);
    let artifact = artifact.ok_or_else(|| rollouts::not_deployed(app, environment))?;
    let facts = &*runtime::effective(service, facts, artifact);
    let process = match &asked.process {
        Some(process) => {
            let found = facts
                .processes
                .iter()
                .find(|candidate| candidate.name.as_str() == process);
            Some(found.ok_or_else(|| {
                let known: Vec<_> = facts
                    .processes
                    .iter()
                    .map(|process| process.name.as_str())
                    .collect();
                Failure::new(
                    "unknown-process",
                    format!("{service} has no process `{process}`"),
                )
                .with("known", known.join(", "))
            })?)
        }
        None => facts.front().or_else(|| facts.processes.first()),
    };
    let rows = host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?;
    let port = rows
        .iter()
        .find(|row| row.service == *service && row.state == landfall_ledger::InstanceState::Live)
        .and_then(|row| row.port)
        .filter(|_| !asked.one_off);
    let directory = runtime::place(artifact);
    host.with_surroundings(&release, service, "by-hand", 0, port, |surroundings| {
        Ok(ExecutionEnvironment {
            directory,
            environment: surroundings.environment(process)?.whole(),
            mask: surroundings.mask(),
        })
    })
}

fn log_lines(host: &Arc<Host>, app: &Name, environment: &Name, asked: LogQuery) -> Answer {
    if host
        .ledger
        .environment(app, environment)
        .map_err(ledger_failed)?
        .is_none()
    {
        return Err(rollouts::not_deployed(app, environment));
    }
    if let Some(service) = &asked.service {
        // It also becomes a folder's name.
        let service = name(service)?;
        if let Some(release) = host
            .ledger
            .live_release(app, environment)
            .map_err(ledger_failed)?
            && !release.content.app.services.contains_key(&service)
            && !release.content.app.backing.contains_key(&service)
        {
            return Err(unknown_service(&release.content, service.as_str()));
        }
    }
    let folder = host.home.environment(app, environment).join("logs");
    let (sender, receiver) = mpsc::channel(256);
    lines(receiver, async move {
        let answered = logs::answer(folder, asked, sender).await;
        answered
            .map_err(|error| Failure::new("host-failed", format!("a log can't be read: {error}")))
    })
}

fn events(host: &Arc<Host>, asked: EventQuery) -> Answer {
    let filter = EventFilter {
        app: asked.app.as_deref().map(name).transpose()?,
        environment: asked.environment.as_deref().map(name).transpose()?,
        deployment: asked.deployment.map(DeploymentNumber),
    };
    // What isn't there would never have a last event.
    finished(host, &filter)?;
    let (sender, receiver) = mpsc::channel::<Event>(BATCH);
    let host = host.clone();
    lines(receiver, async move {
        send_events(&host, &asked, &filter, &sender).await
    })
}

/// Whether the deployment that is asked for has had its last event.
fn finished(host: &Host, filter: &EventFilter) -> Result<bool, Failure> {
    let Some(number) = filter.deployment else {
        return Ok(false);
    };
    let (Some(app), Some(environment)) = (&filter.app, &filter.environment) else {
        let message = "a deployment has its number in an environment of an app";
        return Err(Failure::new("bad-request", message).with("mend", "name both"));
    };
    let known = host.ledger.environment(app, environment);
    if known.map_err(ledger_failed)?.is_none() {
        return Err(rollouts::not_deployed(app, environment));
    }
    let row = host.ledger.deployment(app, environment, number);
    match row.map_err(ledger_failed)? {
        Some(row) => Ok(row.finish.is_some()),
        None => Err(status::unknown_deployment(host, app, environment, number)?),
    }
}

async fn send_events(
    host: &Host,
    asked: &EventQuery,
    filter: &EventFilter,
    sender: &mpsc::Sender<Event>,
) -> Result<(), Failure> {
    let mut newest = host.newest.clone();
    let mut after = asked.after;
    if let Some(last) = asked.last {
        let events = host
            .ledger
            .latest_events(filter, last)
            .map_err(ledger_failed)?;
        for event in events
            .into_iter()
            .filter(|event| event.sequence > asked.after)
        {
            after = event.sequence;
            if sender.send(event).await.is_err() {
                return Ok(());
            }
        }
        after = after.max(if asked.follow { 0 } else { u64::MAX >> 1 });
    }
    loop {
        newest.borrow_and_update();
        // Before its events are read, so that the last of them is among these.
        let over = !asked.follow || finished(host, filter)?;
        loop {
            let events = host
                .ledger
                .events(after, filter, BATCH)
                .map_err(ledger_failed)?;
            let Some(last) = events.last() else { break };
            after = last.sequence;
            for event in events {
                let last = asked.deployment.is_some()
                    && matches!(event.kind, EventKind::DeploymentFinished { .. });
                if sender.send(event).await.is_err() || last {
                    return Ok(());
                }
            }
        }
        if over {
            return Ok(());
        }
        tokio::select! {
            () = sender.closed() => return Ok(()),
            changed = newest.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

#[cfg(test)]
mod tests;
