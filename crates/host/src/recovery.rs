//! What a host does when it starts: everything that should run is adopted where it lives and started
//! where it doesn't; nothing is started twice, nothing is lost.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc, time::Duration};

use landfall_ledger::{EnvironmentRow, InstanceRow, InstanceState};
use landfall_release::{EventKind, Failure};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    backing, backups,
    host::{Host, ledger_failed},
    identifier::InstanceId,
    instance::{self, AdoptError},
    report::remark,
    rollouts,
    routes::Serving,
    runtime,
    steps::{instances, switch},
    watcher,
};

/// So long a host that starts waits for one of its instances to be started.
const PATIENCE: Duration = Duration::from_secs(30);

/// Brings everything back.
pub async fn recover(host: &Arc<Host>) -> Result<(), Failure> {
    let environments = host.ledger.environments().map_err(ledger_failed)?;
    let edge = host
        .edge
        .ensure(&host.home, &host.settings, &host.ledger, &host.notices)
        .await;
    match edge {
        Err(failure) if environments.is_empty() => return Err(failure),
        // The apps come first: they may need no edge, and it may come later.
        Err(failure) => {
            remark(&format!("no edge yet: {failure}"));
            watcher::start_edge_behind(host);
        }
        Ok(_) => {}
    }
    // What the apps use comes before them, and its data before that.
    backups::undo(host)?;
    backing::sweep_scratch(host).await?;
    let (mut adopted, mut started) = backing::recover(host).await?;
    let unfinished = host.ledger.unfinished().map_err(ledger_failed)?;
    for environment in environments {
        let busy = unfinished.iter().any(|rollout| {
            rollout.app == environment.app && rollout.environment == environment.environment
        });
        let restored = restore(host, &environment, busy).await;
        match restored {
            Ok((found, begun)) => {
                adopted += found;
                started += begun;
            }
            // One that can't be brought back must not keep the others from it.
            Err(failure) => remark(&format!("{}: {failure}", environment.app)),
        }
    }
    let kind = EventKind::HostStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        adopted,
        started,
    };
    host.ledger
        .append_event(None, None, None, kind)
        .map_err(ledger_failed)?;
    runtime::sweep_unknown_behind(host);
    rollouts::take_up_all(host)?;
    backups::start_behind(host)
}

/// What was found of an instance.
enum Found {
    Lives,
    /// It lives and says nothing; it is watched as soon as it does.
    Silent,
    Gone,
}

/// Adopts what lives side by side, so that one that doesn't answer keeps nobody waiting.
async fn adopt_all(
    host: &Arc<Host>,
    rows: Vec<InstanceRow>,
) -> Result<Vec<(InstanceRow, Found)>, Failure> {
    let mut all = JoinSet::new();
    for row in rows {
        let host = host.clone();
        all.spawn(async move {
            let found = match host.adopt(&row).await {
                Ok(_) => Found::Lives,
                Err(AdoptError::Silent { .. }) => Found::Silent,
                Err(_) => Found::Gone,
            };
            (row, found)
        });
    }
    let mut found = Vec::new();
    while let Some(result) = all.join_next().await {
        found.push(result.map_err(|error| Failure::new("host-failed", error.to_string()))?);
    }
    Ok(found)
}

/// Adopts what lives of an environment and starts what should; answers how many of each.
async fn restore(
    host: &Arc<Host>,
    environment: &EnvironmentRow,
    busy: bool,
) -> Result<(u32, u32), Failure> {
    let (app, name) = (&environment.app, &environment.environment);
    let state = &environment.state;
    let rows = host.ledger.instances_of(app, name).map_err(ledger_failed)?;
    let (mut adopted, mut started) = (0, 0);
    let (mut over, mut lost, mut kept) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut found = adopt_all(host, rows).await?;
    // What lives comes first, and of the same replica the newest.
    found.sort_by_key(|(row, found)| (matches!(found, Found::Gone), Reverse(row.created_at)));
    for (row, found) in found {
        let wanted = row.state == InstanceState::Live && state.live.is_some() && state.running;
        // What an unfinished rollout has in hand is its affair, dead or alive.
        let twin = !busy && wanted && !kept.insert((row.service.clone(), row.replica));
        match found {
            _ if !busy && (!wanted || twin) => over.push(row),
            Found::Lives => adopted += 1,
            Found::Silent => watcher::adopt_behind(host, row),
            Found::Gone if wanted => lost.push(row),
            Found::Gone => {}
        }
    }
    let live = host.ledger.live_release(app, name).map_err(ledger_failed)?;
    let removed = !over.is_empty();
    instances::stop(host, live.as_ref(), over).await?;
    let mut all = JoinSet::new();
    for row in lost {
        if watcher::is_final(instance::last_state(&row.folder).as_ref()) {
            continue;
        }
        started += 1;
        let host = host.clone();
        all.spawn(async move { again(&host, row).await });
    }
    while let Some(result) = all.join_next().await {
        match result {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => remark(&format!("{app}: {failure}")),
            Err(error) => remark(&format!("{app}: {error}")),
        }
    }
    // The edge kept its routes on disk; this puts what was replaced into them.
    if (started > 0 || removed)
        && !busy
        && state.running
        && let (Some(release), Some(generation)) = (live, state.generation)
    {
        switch::publish(host, &release, generation, Serving::Instances).await?;
    }
    Ok((adopted, started))
}

/// Starts an instance again under its own id: after a reboot, or when it died while no host ran.
async fn again(host: &Arc<Host>, row: InstanceRow) -> Result<(), Failure> {
    let started = timeout(PATIENCE, start(host, &row)).await;
    let failure = match started {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(failure)) if !runtime::is_away(&failure) => return Err(failure),
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new("engine-lost", "the Docker Engine takes its time"),
    };
    // The Engine may come later than this host; nobody else waits for it.
    remark(&format!("{} isn't started yet: {failure}", row.id));
    watcher::start_behind(host, row);
    Ok(())
}

async fn start(host: &Arc<Host>, row: &InstanceRow) -> Result<(), Failure> {
    let release = host.release(&row.app, &row.environment, row.release)?;
    let id = InstanceId::parse(&row.id)
        .ok_or_else(|| Failure::new("host-failed", format!("`{}` is no instance's id", row.id)))?;
    instances::prepare(host, &release, &id.service).await?;
    // The edge sends requests once it is ready; nobody else waits for that here.
    instances::start(host, &release, &id, InstanceState::Live)
        .await
        .map(drop)
}
