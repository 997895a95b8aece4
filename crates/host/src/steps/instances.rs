//! Starting and stopping the instances of releases. Every way of starting one ends in adopting it.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
};

use landfall_app::{
    Name,
    model::{Service, StartOrder, Strategy},
};
use landfall_ledger::{InstanceRow, InstanceState};
use landfall_release::{Failure, Release, ReleaseNumber, Rollout, Step};
use tokio::task::JoinSet;

use crate::{
    host::{Host, ledger_failed, not_adopted},
    identifier::InstanceId,
    instance::{Instance, View},
    report::remark,
    routes::Serving,
    runtime::{self, Ended, Launch},
    steps::{switch, verify},
};

/// Starts the new release's instances, beside whatever runs.
pub async fn start_new(host: &Arc<Host>, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let app = &release.content.app;
    let mut said = Vec::new();
    let mut all = JoinSet::new();
    for (name, service) in &app.services {
        if !runtime::runs(service) {
            continue;
        }
        let rows = new_rows(rollout, name, service);
        let (host, release, service) = (host.clone(), release.clone(), service.clone());
        all.spawn(async move { start_service(&host, &release, &service, rows).await });
        said.push(name.to_string());
    }
    while let Some(started) = all.join_next().await {
        started.map_err(|error| Failure::new("host-failed", error.to_string()))??;
    }
    Ok(match rollout.previous {
        Some(previous) if previous != rollout.release && rollout.was_running => {
            match rollout.steps.contains(&Step::StopOld) {
                true => format!("in the place of release {previous}"),
                false => format!("beside release {previous}"),
            }
        }
        _ => said.join(", "),
    })
}

/// The ids and replica numbers of a service's new instances.
fn new_rows(rollout: &Rollout, name: &Name, service: &Service) -> Vec<InstanceId> {
    let id = |replica| InstanceId {
        app: rollout.app.to_string(),
        environment: rollout.environment.to_string(),
        service: name.to_string(),
        release: rollout.release.0,
        replica,
        incarnation: rollout.deployment.to_string(),
    };
    (1..=service.replicas.initial()).map(id).collect()
}

async fn start_service(
    host: &Arc<Host>,
    release: &Release,
    service: &Service,
    ids: Vec<InstanceId>,
) -> Result<(), Failure> {
    if let Some(first) = ids.first() {
        prepare(host, release, &first.service).await?;
    }
    let mut ids = ids.into_iter();
    if service.start == StartOrder::OneFirst
        && let Some(first) = ids.next()
    {
        let instance = start(host, release, &first, InstanceState::Starting).await?;
        verify::ready(host, release, &instance).await?;
    }
    let mut all = JoinSet::new();
    for id in ids {
        let (host, release) = (host.clone(), release.clone());
        all.spawn(async move { start(&host, &release, &id, InstanceState::Starting).await });
    }
    while let Some(started) = all.join_next().await {
        started.map_err(|error| Failure::new("host-failed", error.to_string()))??;
    }
    Ok(())
}

/// Makes sure of what containers of a service are started on, and that the Engine is there at all.
pub async fn prepare(host: &Host, release: &Release, service: &str) -> Result<(), Failure> {
    let app = &release.content.app;
    let Some((name, service)) = app.services.get_key_value(service) else {
        return Ok(());
    };
    if !runtime::contained(service) {
        return Ok(());
    }
    let prepared = async {
        runtime::network(host, &app.app, &app.environment).await?;
        runtime::ensure_volumes(host, release, name).await
    };
    let prepared = prepared.await;
    host.engines.note(prepared.as_ref().err());
    prepared
}

/// Starts an instance, or adopts it where it runs already. What it is started on has been prepared.
/// Its row is written before this waits for anything.
pub async fn start(
    host: &Arc<Host>,
    release: &Release,
    id: &InstanceId,
    state: InstanceState,
) -> Result<Arc<Instance>, Failure> {
    let text = id.to_string();
    if let Some(instance) = host
        .instance(&text)
        .filter(|instance| matches!(instance.view(), View::Alive(_)))
    {
        return Ok(instance);
    }
    let app = &release.content.app;
    let name: Name = id
        .service
        .parse()
        .map_err(|error| Failure::new("host-failed", format!("{error}")))?;
    let service = app
        .services
        .get(&name)
        .ok_or_else(|| crate::host::unknown_service(&release.content, name.as_str()))?;
    let contained = runtime::contained(service);
    let folder = host.home.instance(&text);
    let mut avoid = Vec::new();
    loop {
        let port = lease(host, app, service, &text, &avoid)?;
        let marker = runtime::marker(&folder);
        let row = InstanceRow {
            id: text.clone(),
            app: app.app.clone(),
            environment: app.environment.clone(),
            release: release.number,
            service: name.clone(),
            replica: id.replica,
            port,
            address: marker.as_ref().and_then(|marker| marker.address),
            folder: folder.clone(),
            boot_id: host.boot.clone(),
            state,
            created_at: 0,
        };
        // Written before it starts, so that it is found whatever happens next.
        host.ledger.add_instance(&row).map_err(ledger_failed)?;
        if let Ok(instance) = host.adopt(&row).await {
            return Ok(instance);
        }
        // What a dead supervisor of this name left would hold the port, or the container's name.
        if !contained || marker.is_some() {
            runtime::sweep(host, &text, &row.folder).await;
        }
        if let Some(port) = port.filter(|_| !contained)
            && let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        {
            if service.strategy == Strategy::Recreate {
                let message =
                    format!("{name} insists on port {port}, and it can't be had: {error}");
                return Err(Failure::new("port-taken", message).with(
                    "mend",
                    "stop what listens there (ss -ltnp shows it), or let the app listen on $PORT",
                ));
            }
            avoid.push(port);
            continue;
        }
        let logs = host.log_folder(&app.app, &app.environment, &name)?;
        let container = contained
            .then(|| runtime::container(host, release, &name, &text, true))
            .transpose()?;
        let (specification, sensitive) =
            host.with_surroundings(release, &name, &text, id.replica, port, |surroundings| {
                surroundings.specify(logs)
            })?;
        let launch = Launch {
            id: text.clone(),
            folder: folder.clone(),
            specification,
            sensitive,
            container,
        };
        if let Some(address) = runtime::launch(host, &launch).await? {
            host.ledger
                .set_instance_address(&text, Some(address))
                .map_err(ledger_failed)?;
        }
        return host.adopt(&row).await.map_err(not_adopted);
    }
}

fn lease(
    host: &Host,
    app: &landfall_app::App,
    service: &Service,
    id: &str,
    avoid: &[u16],
) -> Result<Option<u16>, Failure> {
    let Some(own) = service.port else {
        return Ok(None);
    };
    // A container has all ports of its own address.
    if service.strategy == Strategy::Recreate || runtime::contained(service) {
        return Ok(Some(own));
    }
    let (first, last) = host.settings.port_range;
    let purpose = format!("instance:{id}");
    let port = host
        .ledger
        .lease_port(&app.app, &app.environment, &purpose, first..=last, avoid);
    port.map(Some).map_err(ledger_failed)
}

/// Stops instances side by side and forgets them, ports and folders included.
pub async fn stop(
    host: &Arc<Host>,
    release: Option<&Release>,
    rows: Vec<InstanceRow>,
) -> Result<(), Failure> {
    stop_and(host, release, rows, Ended::Removed).await
}

/// Stops instances as [`stop`] does; their containers may stay, stopped.
pub async fn stop_and(
    host: &Arc<Host>,
    release: Option<&Release>,
    rows: Vec<InstanceRow>,
    then: Ended,
) -> Result<(), Failure> {
    halt_and(host, release, &rows, then).await?;
    for row in rows {
        host.ledger
            .remove_instance(&row.id)
            .map_err(ledger_failed)?;
        let purpose = format!("instance:{}", row.id);
        host.ledger
            .release_port(&row.app, &row.environment, &purpose)
            .map_err(ledger_failed)?;
        // Its log is elsewhere; what is left are a socket and the last state.
        let _ = std::fs::remove_dir_all(&row.folder);
    }
    Ok(())
}

/// Stops instances side by side; their rows stay.
pub async fn halt(
    host: &Arc<Host>,
    release: Option<&Release>,
    rows: &[InstanceRow],
) -> Result<(), Failure> {
    halt_and(host, release, rows, Ended::Removed).await
}

async fn halt_and(
    host: &Arc<Host>,
    release: Option<&Release>,
    rows: &[InstanceRow],
    then: Ended,
) -> Result<(), Failure> {
    let mut all = JoinSet::new();
    for row in rows {
        // Before it stops, so that its end is taken for what it is.
        host.ledger
            .set_instance_state(&row.id, InstanceState::Stopped)
            .map_err(ledger_failed)?;
        let grace = release
            .and_then(|release| release.content.app.services.get(&row.service))
            .map_or(std::time::Duration::from_secs(10), |service| {
                service.stop.grace.duration()
            });
        let (host, row) = (host.clone(), row.clone());
        all.spawn(async move {
            runtime::end_and(&host, &row.id, &row.folder, grace, then).await;
        });
    }
    while let Some(stopped) = all.join_next().await {
        stopped.map_err(|error| Failure::new("host-failed", error.to_string()))?;
    }
    Ok(())
}

/// Takes away what the rollout started.
pub async fn stop_new(host: &Arc<Host>, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let (own, _) = host.rows(rollout)?;
    if own.is_empty() {
        return Ok(String::new());
    }
    stop(host, Some(&release), own).await?;
    Ok(match rollout.previous {
        Some(previous)
            if previous != rollout.release && !rollout.steps.contains(&Step::StopOld) =>
        {
            format!(
                "release {} stopped; {previous} was never touched",
                rollout.release
            )
        }
        _ => format!("release {} stopped", rollout.release),
    })
}

/// The old instances of services that can't run twice.
fn insisting(host: &Host, rollout: &Rollout, old: &Release) -> Result<Vec<InstanceRow>, Failure> {
    let new = host.new_release(rollout)?;
    let recreate = |release: &Release, name: &Name| {
        release
            .content
            .app
            .services
            .get(name)
            .is_some_and(|service| service.strategy == Strategy::Recreate)
    };
    let (_, mut others) = host.rows(rollout)?;
    others.retain(|row| recreate(&new, &row.service) || recreate(old, &row.service));
    Ok(others)
}

/// Stops the old release's instances of services that can't run twice; they can be started again.
pub async fn stop_old(host: &Arc<Host>, rollout: &Rollout) -> Result<String, Failure> {
    let Some(old) = host.old_release(rollout)? else {
        return Ok(String::new());
    };
    let rows = insisting(host, rollout, &old)?;
    if rows.is_empty() {
        return Ok(String::new());
    }
    let generation = host.live_generation(rollout)?;
    let stopping: BTreeSet<Name> = rows.iter().map(|row| row.service.clone()).collect();
    let serving = Serving::Except(&stopping, "this app is being replaced, one moment");
    switch::publish(host, &old, generation, serving).await?;
    for row in &rows {
        drained(host, rollout, &row.service, row.release).await;
    }
    halt(host, Some(&old), &rows).await?;
    Ok(format!("release {} stopped", old.number))
}

/// Waits until nothing is under way at what isn't served any more. An edge that died meanwhile has
/// nothing under way either.
pub async fn drained(host: &Host, rollout: &Rollout, service: &Name, release: ReleaseNumber) {
    let (app, environment) = (rollout.app.as_str(), rollout.environment.as_str());
    let drained = host
        .edge
        .drained(app, environment, service.as_str(), release.0);
    if let Err(failure) = drained.await {
        remark(&format!(
            "{app}: release {release} was not seen to drain: {failure}"
        ));
    }
}

/// Starts again what [`stop_old`] stopped, and lets the edge serve it: what can be had of it, also
/// where not all of it comes back.
pub async fn start_old(host: &Arc<Host>, rollout: &Rollout) -> Result<String, Failure> {
    let Some(old) = host.old_release(rollout)? else {
        return Ok(String::new());
    };
    if !rollout.was_running {
        return Ok("stopped, as before".to_owned());
    }
    let (_, others) = host.rows(rollout)?;
    let mut failed = None;
    for row in others {
        if row.state == InstanceState::Stopped
            && let Err(failure) = start_again(host, &old, &row).await
        {
            failed.get_or_insert(failure);
        }
    }
    let generation = host.next_generation()?;
    switch::publish(host, &old, generation, Serving::Instances).await?;
    host.ledger
        .set_live(
            &rollout.app,
            &rollout.environment,
            Some(old.number),
            generation,
        )
        .map_err(ledger_failed)?;
    match failed {
        Some(failure) => Err(failure),
        None => Ok(format!("release {} serves again", old.number)),
    }
}

async fn start_again(host: &Arc<Host>, old: &Release, row: &InstanceRow) -> Result<(), Failure> {
    let id = InstanceId::parse(&row.id)
        .ok_or_else(|| Failure::new("host-failed", format!("`{}` is no instance's id", row.id)))?;
    prepare(host, old, &id.service).await?;
    let instance = start(host, old, &id, InstanceState::Live).await?;
    verify::ready(host, old, &instance).await.map(drop)
}

impl Host {
    /// The generation that is live before a rollout's own: for routes that are no switch.
    fn live_generation(&self, rollout: &Rollout) -> Result<landfall_release::Generation, Failure> {
        let state = self
            .ledger
            .environment(&rollout.app, &rollout.environment)
            .map_err(ledger_failed)?;
        let live = state.and_then(|state| state.generation);
        live.ok_or_else(|| Failure::new("host-failed", "a release is live without a generation"))
    }
}
