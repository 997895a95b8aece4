//! The network of an app's environment: a bridge of its own, on which its containers find each
//! other, and this machine has an address.

use std::net::Ipv4Addr;

use landfall_app::Name;
use landfall_containers::{Network, Removal};
use landfall_release::Failure;

use crate::{
    host::{Host, ledger_failed},
    runtime::labels,
};

/// Its name.
pub fn network_name(app: &Name, environment: &Name) -> String {
    format!("landfall.{app}.{environment}")
}

fn setting(app: &Name, environment: &Name) -> String {
    format!("gateway:{app}.{environment}")
}

/// Makes sure that the network of an app's environment is there.
pub async fn network(host: &Host, app: &Name, environment: &Name) -> Result<Network, Failure> {
    let engine = host.engine().await?;
    let name = network_name(app, environment);
    let network = engine
        .ensure_network(&name, &labels(host, app, environment))
        .await?;
    let key = setting(app, environment);
    let gateway = network.gateway.to_string();
    let known = host.ledger.setting(&key).map_err(ledger_failed)?;
    if known.as_deref() != Some(&gateway) {
        host.ledger
            .set_setting(&key, &gateway)
            .map_err(ledger_failed)?;
    }
    Ok(network)
}

/// This machine's own address on that network, where there is one: what its containers reach the
/// edge by. Known also while the Engine is away.
pub fn gateway(host: &Host, app: &Name, environment: &Name) -> Result<Option<Ipv4Addr>, Failure> {
    let kept = host
        .ledger
        .setting(&setting(app, environment))
        .map_err(ledger_failed)?;
    Ok(kept.and_then(|address| address.parse().ok()))
}

/// Removes what the Engine has of an environment whose instances and volumes were removed: its network,
/// and the names of volumes whose folders are gone.
pub async fn forget(host: &Host, app: &Name, environment: &Name) -> Result<(), Failure> {
    if gateway(host, app, environment)?.is_none() {
        return Ok(());
    }
    super::tidy(host, app, environment, None).await?;
    let engine = host.engine().await?;
    for volume in engine.volumes(&labels(host, app, environment)).await? {
        if volume.device.is_some_and(|device| !device.exists()) {
            engine.remove_volume(&volume.name).await?;
        }
    }
    let name = network_name(app, environment);
    if let Removal::InUse(said) = engine.remove_network(&name).await? {
        let message = format!("the network {name} can't be removed: {said}");
        let mend = format!(
            "end what is on it, docker network inspect {name} lists that; then the same again"
        );
        return Err(Failure::new("engine-refused", message).with("mend", mend));
    }
    host.ledger
        .remove_setting(&setting(app, environment))
        .map_err(ledger_failed)
}
