//! The switch: the edge has the new routes on its disk before anything else says so.

use std::net::Ipv4Addr;

use landfall_ledger::InstanceState;
use landfall_release::{Failure, Generation, Release, ReleaseNumber, Rollout};

use crate::{
    host::{Host, ledger_failed},
    routes::{Serving, routes},
    runtime,
};

/// What clients read of an app that was stopped by hand.
pub const STOPPED: &str = "this app is stopped";

/// Moves the traffic to the new release.
pub async fn forward(host: &Host, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let (own, others) = host.rows(rollout)?;
    let _publishing = host.publishing.lock().await;
    let ports = host.stable_ports(&release.content)?;
    let table = routes(
        &release,
        rollout.generation,
        &ports,
        host.gateway_of(&release)?,
        &own,
        Serving::Instances,
    );
    host.edge.publish(&table).await?;
    for row in &own {
        host.ledger
            .set_instance_state(&row.id, InstanceState::Live)
            .map_err(ledger_failed)?;
    }
    for row in &others {
        host.ledger
            .set_instance_state(&row.id, InstanceState::Draining)
            .map_err(ledger_failed)?;
    }
    live(host, rollout, Some(rollout.release), rollout.generation)?;
    host.ledger
        .set_running(&rollout.app, &rollout.environment, true)
        .map_err(ledger_failed)?;
    Ok(String::new())
}

/// Moves it back, also where it never left. The edge first: until it has the old routes, what the
/// ledger says of the instances stays true.
pub async fn back(host: &Host, rollout: &Rollout) -> Result<String, Failure> {
    let generation = host.next_generation()?;
    let (own, others) = host.rows(rollout)?;
    let Some(old) = host.old_release(rollout)? else {
        host.edge
            .remove(
                rollout.app.as_str(),
                rollout.environment.as_str(),
                generation.0,
            )
            .await?;
        live(host, rollout, None, generation)?;
        return Ok("nothing serves, as before".to_owned());
    };
    let publishing = host.publishing.lock().await;
    let serving = match rollout.was_running {
        true => Serving::Instances,
        false => Serving::Nothing(STOPPED),
    };
    let ports = host.stable_ports(&old.content)?;
    let table = routes(
        &old,
        generation,
        &ports,
        host.gateway_of(&old)?,
        &others,
        serving,
    );
    host.edge.publish(&table).await?;
    for row in &others {
        host.ledger
            .set_instance_state(&row.id, InstanceState::Live)
            .map_err(ledger_failed)?;
    }
    for row in &own {
        host.ledger
            .set_instance_state(&row.id, InstanceState::Draining)
            .map_err(ledger_failed)?;
    }
    live(host, rollout, Some(old.number), generation)?;
    host.ledger
        .set_running(&rollout.app, &rollout.environment, rollout.was_running)
        .map_err(ledger_failed)?;
    drop(publishing);
    Ok(match rollout.was_running {
        true => format!("release {} serves", old.number),
        false => "stopped, as before".to_owned(),
    })
}

/// Publishes the routes of a release with the instances that the ledger calls live.
pub async fn publish(
    host: &Host,
    release: &Release,
    generation: Generation,
    serving: Serving<'_>,
) -> Result<(), Failure> {
    let app = &release.content.app;
    let _publishing = host.publishing.lock().await;
    let mut rows = host
        .ledger
        .instances_of(&app.app, &app.environment)
        .map_err(ledger_failed)?;
    rows.retain(|row| row.state == InstanceState::Live && row.release == release.number);
    let ports = host.stable_ports(&release.content)?;
    let table = routes(
        release,
        generation,
        &ports,
        host.gateway_of(release)?,
        &rows,
        serving,
    );
    host.edge.publish(&table).await
}

impl Host {
    /// This machine's address on the network of a release's containers, where it has any.
    fn gateway_of(&self, release: &Release) -> Result<Option<Ipv4Addr>, Failure> {
        let app = &release.content.app;
        match app.services.values().any(runtime::contained) {
            true => runtime::gateway(self, &app.app, &app.environment),
            false => Ok(None),
        }
    }
}

fn live(
    host: &Host,
    rollout: &Rollout,
    release: Option<ReleaseNumber>,
    generation: Generation,
) -> Result<(), Failure> {
    host.ledger
        .set_live(&rollout.app, &rollout.environment, release, generation)
        .map_err(ledger_failed)
}
