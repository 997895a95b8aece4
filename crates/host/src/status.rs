//! How an environment is: views of the ledger, the supervisors and the edge.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use landfall_api::wire::{
    AppStatus, Condition, DeploymentDetail, DeploymentSummary, EnvironmentSummary, InstanceStatus,
    LockStatus, Prepared, ReleaseSummary, ServiceStatus, backing::BackingStatus,
};
use landfall_app::{Name, model::Service};
use landfall_edge::routes::{Counters, EdgeState};
use landfall_ledger::{DeploymentRow, InstanceRow, InstanceState, ReleaseRow};
use landfall_release::{DeploymentNumber, Failure, Journal as _, MadeBy, Release};
use landfall_supervise::state::ProcessPhase;

use crate::{
    backing, backups,
    condition::{condition, expected},
    host::{Host, ledger_failed},
    instance::View,
    jobs,
    rollouts::not_deployed,
    routes::{health_path, own_hosts},
    runtime::{Processes, contained},
    sample::Samples,
};

/// Upper bounds of the edge's histogram, in milliseconds.
const BOUNDS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// `GET …/status`
pub async fn status(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
) -> Result<AppStatus, Failure> {
    let Some(known) = host
        .ledger
        .environment(app, environment)
        .map_err(ledger_failed)?
    else {
        return Err(not_deployed(app, environment));
    };
    let lock = host
        .ledger
        .locked(app, environment)
        .map_err(ledger_failed)?
        .map(|held| LockStatus {
            holder: held.holder,
            reason: held.reason,
            since: held.since,
            deployment: held.deployment,
        });
    let last = host
        .ledger
        .deployments(app, environment)
        .map_err(ledger_failed)?
        .into_iter()
        .next()
        .map(summary);
    let mut status = AppStatus {
        app: app.clone(),
        environment: environment.clone(),
        condition: Condition::Empty,
        live: known.live,
        live_since: known.live_since,
        source: None,
        last,
        lock,
        services: Vec::new(),
        backing: Vec::new(),
        jobs: jobs::status(host, app, environment)?,
        backups: backups::status(host, app, environment)?,
        engine: None,
        next: Vec::new(),
    };
    let Some(number) = known.live else {
        return Ok(status);
    };
    let release = host.release(app, environment, number)?;
    status.source = Some(release.content.source.clone());
    // An edge that is just being started again has nothing to count.
    let edge = host.edge.state().await.ok();
    let rows = host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?;
    status.condition = match known.running {
        true => condition(&release, &rows, |id| {
            host.instance(id).map(|instance| instance.view())
        }),
        false => Condition::Stopped,
    };
    status.backing = backing::statuses(host, app, environment, Some(&release)).await?;
    let ill = |backing: &BackingStatus| backing.named && !backing.healthy;
    if status.condition == Condition::Healthy && status.backing.iter().any(ill) {
        status.condition = Condition::Degraded;
    }
    if release.content.app.services.values().any(contained) {
        status.engine = host.engines.away();
    }
    // The memory of big processes takes a while to add up.
    let host = host.clone();
    status.services =
        tokio::task::spawn_blocking(move || services(&host, &release, &rows, edge.as_ref()))
            .await
            .map_err(|error| Failure::new("host-failed", error.to_string()))??;
    status.next = next(&status);
    Ok(status)
}

fn services(
    host: &Host,
    release: &Release,
    rows: &[InstanceRow],
    edge: Option<&EdgeState>,
) -> Result<Vec<ServiceStatus>, Failure> {
    let ports = host.stable_ports(&release.content)?;
    let services = release.content.app.services.iter();
    let described = services.map(|(name, service)| {
        let own = rows
            .iter()
            .filter(|row| row.service == *name && row.state != InstanceState::Stopped);
        let instances = own.map(|row| instance(host, service, row)).collect();
        let port = ports.get(name).copied();
        described(release, name, service, port, instances, edge, &host.samples)
    });
    Ok(described.collect())
}

fn described(
    release: &Release,
    name: &Name,
    service: &Service,
    port: Option<u16>,
    instances: Vec<InstanceStatus>,
    edge: Option<&EdgeState>,
    samples: &Samples,
) -> ServiceStatus {
    let app = &release.content.app;
    let counters = edge.and_then(|edge| {
        edge.counters.iter().find(|counters| {
            counters.app == app.app.as_str()
                && counters.environment == app.environment.as_str()
                && counters.service == name.as_str()
                && counters.release == release.number.0
        })
    });
    let http = edge.and_then(|edge| edge.http).map(|http| http.port());
    let loopback = port.map(|port| format!("http://127.0.0.1:{port}"));
    let named = port.and(http).map(|http| {
        let suffix = if http == 80 {
            String::new()
        } else {
            format!(":{http}")
        };
        own_hosts(app, name)
            .into_iter()
            .take(1)
            .map(move |host| format!("http://{host}{suffix}"))
    });
    let domains = service
        .domains
        .iter()
        .map(|domain| format!("http://{}", domain.host));
    ServiceStatus {
        service: name.clone(),
        urls: loopback
            .into_iter()
            .chain(named.into_iter().flatten())
            .chain(domains)
            .collect(),
        replicas: expected(service),
        static_files: service.static_files.is_some(),
        instances,
        requests: counters.map_or(0, |counters| counters.requests),
        errors: counters.map_or(0, |counters| counters.errors + counters.failed),
        requests_per_second: counters.map_or(0.0, |counters| samples.requests(counters)),
        p95: counters.and_then(p95),
    }
}

/// The bound below which 95 of 100 answers began.
fn p95(counters: &Counters) -> Option<u64> {
    let all: u64 = counters.histogram.iter().sum();
    let wanted = all.checked_sub(all / 20).filter(|wanted| *wanted > 0)?;
    let mut below = 0;
    for (index, count) in counters.histogram.iter().enumerate() {
        below += count;
        if below >= wanted {
            return Some(
                BOUNDS
                    .get(index)
                    .copied()
                    .unwrap_or(BOUNDS[BOUNDS.len() - 1]),
            );
        }
    }
    None
}

fn instance(host: &Host, service: &Service, row: &InstanceRow) -> InstanceStatus {
    let address = row.address.unwrap_or(Ipv4Addr::LOCALHOST);
    let view = host.instance(&row.id).map(|instance| instance.view());
    let state = match view {
        Some(View::Alive(state)) => Some(*state),
        Some(View::Gone(state)) => state.map(|state| *state),
        None => crate::instance::last_state(&row.folder),
    };
    let running = state.iter().flat_map(|state| &state.processes);
    let processes = Processes::of(&row.folder);
    let usage: BTreeMap<_, _> = running
        .filter_map(|process| {
            Some((
                process.name.clone(),
                host.samples
                    .take(&row.id, &process.name, processes.outside(process.pid?)?),
            ))
        })
        .collect();
    InstanceStatus {
        id: row.id.clone(),
        replica: row.replica,
        release: row.release,
        port: row.port,
        health: row
            .port
            .and_then(|port| Some(format!("http://{address}:{port}{}", health_path(service)?))),
        state,
        usage,
        memory_limit: service
            .memory
            .and_then(|memory| memory.limit)
            .map(|limit| limit.bytes()),
        memory_limits: service
            .processes
            .iter()
            .filter_map(|process| Some((process.name.to_string(), process.memory?.bytes())))
            .collect(),
    }
}

/// Commands that help where something is wrong.
fn next(status: &AppStatus) -> Vec<String> {
    let mut next = Vec::new();
    let place = match status.environment.as_str() {
        "local" => String::new(),
        environment => format!(" -e {environment}"),
    };
    if status.condition == Condition::Stopped {
        next.push(format!("landfall start{place}"));
    }
    for service in &status.services {
        for process in service
            .instances
            .iter()
            .filter_map(|instance| instance.state.as_ref())
            .flat_map(|state| &state.processes)
        {
            let troubled = matches!(
                process.phase,
                ProcessPhase::CrashLoop
                    | ProcessPhase::NotReady
                    | ProcessPhase::Failed
                    | ProcessPhase::Restarting
            );
            let command = format!(
                "landfall logs {} --process {} --since 5m{place}",
                service.service, process.name
            );
            if troubled && !next.contains(&command) {
                next.push(command);
            }
        }
    }
    for backing in &status.backing {
        let command = format!("landfall logs {} --since 5m{place}", backing.name);
        let runs = status.condition != Condition::Stopped;
        if runs
            && backing.named
            && backing.wanted
            && backing.phase != Some(ProcessPhase::Ready)
            && !backing.healthy
        {
            next.push(command);
        }
    }
    next
}

/// One line for each environment.
pub fn environments(host: &Host) -> Result<Vec<EnvironmentSummary>, Failure> {
    let mut summaries = Vec::new();
    for row in host.ledger.environments().map_err(ledger_failed)? {
        let condition = match (row.state.live, row.state.running) {
            (None, _) => Condition::Empty,
            (Some(_), false) => Condition::Stopped,
            (Some(live), true) => {
                let release = host.release(&row.app, &row.environment, live)?;
                let rows = host
                    .ledger
                    .instances_of(&row.app, &row.environment)
                    .map_err(ledger_failed)?;
                let condition = condition(&release, &rows, |id| {
                    host.instance(id).map(|instance| instance.view())
                });
                match backing::healthy(host, &release)? {
                    false if condition == Condition::Healthy => Condition::Degraded,
                    _ => condition,
                }
            }
        };
        summaries.push(EnvironmentSummary {
            app: row.app,
            environment: row.environment,
            live: row.state.live,
            condition,
        });
    }
    Ok(summaries)
}

/// A deployment in a line.
pub fn summary(row: DeploymentRow) -> DeploymentSummary {
    let (outcome, failure) = match row.finish {
        Some(finish) => (Some(finish.outcome), finish.failure),
        None => (None, None),
    };
    DeploymentSummary {
        number: row.rollout.deployment,
        purpose: row.rollout.purpose,
        release: row.rollout.release,
        from: row.rollout.previous,
        by: row.rollout.by,
        started_at: row.started_at,
        ended_at: row.ended_at,
        outcome,
        failure,
    }
}

/// A deployment with its journal.
pub fn detail(
    host: &Host,
    app: &Name,
    environment: &Name,
    number: u64,
) -> Result<DeploymentDetail, Failure> {
    let found = host
        .ledger
        .deployment(app, environment, DeploymentNumber(number))
        .map_err(ledger_failed)?;
    let Some(row) = found else {
        let number = DeploymentNumber(number);
        return Err(unknown_deployment(host, app, environment, number)?);
    };
    let records = host.ledger.records(&row.rollout).map_err(ledger_failed)?;
    let prepared: Vec<Prepared> = row
        .prepared
        .clone()
        .and_then(|prepared| serde_json::from_value(prepared).ok())
        .unwrap_or_default();
    Ok(DeploymentDetail {
        summary: summary(row),
        prepared,
        records,
    })
}

/// A number that no deployment has, with those that are.
pub fn unknown_deployment(
    host: &Host,
    app: &Name,
    environment: &Name,
    number: DeploymentNumber,
) -> Result<Failure, Failure> {
    let last = host
        .ledger
        .deployments(app, environment)
        .map_err(ledger_failed)?
        .first()
        .map(|row| row.rollout.deployment);
    let failure = Failure::new(
        "unknown-deployment",
        format!("{app} has no deployment {number} in {environment}"),
    );
    Ok(match last {
        Some(last) => failure.with("known", format!("1 to {last}")),
        None => failure.with("known", "none yet"),
    })
}

/// A release in a line.
pub fn release(row: ReleaseRow) -> ReleaseSummary {
    let made_by = match row.made_by {
        MadeBy::Deploy => "deploy".to_owned(),
        MadeBy::Scale { base } => format!("scale of {base}"),
        MadeBy::Secrets { base } => format!("secrets on {base}"),
        MadeBy::Rollback { base } => format!("rollback to {base}"),
    };
    ReleaseSummary {
        number: row.number,
        digest: row.digest,
        created_at: row.created_at,
        source: row.source,
        made_by,
        live: row.live,
        served: row.served,
        pruned: row.pruned,
    }
}
