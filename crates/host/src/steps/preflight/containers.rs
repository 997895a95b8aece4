//! Whether containers can be had: the Engine, its images, free names. Changes nothing.

use landfall_app::{Name, model::Service};
use landfall_containers::{Engine, EngineError, Network, Object};
use landfall_release::{Failure, Release, Rollout};

use crate::{host::Host, runtime};

/// Looks at everything that the containers of a release need; what can't be had of what they ask,
/// without being a reason not to go on.
pub async fn look(
    host: &Host,
    rollout: &Rollout,
    release: &Release,
) -> Result<Vec<String>, Failure> {
    let app = &release.content.app;
    let contained: Vec<_> = app
        .services
        .iter()
        .filter(|(_, service)| runtime::contained(service))
        .collect();
    if contained.is_empty() {
        return Ok(Vec::new());
    }
    let engine = host.engine().await?;
    runtime::supervisor(host)?;
    let home = host.home.root().display().to_string();
    let network = engine
        .network(&runtime::network_name(&app.app, &app.environment))
        .await?;
    if let Some(network) = network {
        ours(network, &home)?;
    }
    let mut said = Vec::new();
    for (name, service) in contained {
        image(&engine, release, name).await?;
        for replica in 1..=service.replicas.initial() {
            let id = crate::identifier::InstanceId {
                app: rollout.app.to_string(),
                environment: rollout.environment.to_string(),
                service: name.to_string(),
                release: rollout.release.0,
                replica,
                incarnation: rollout.deployment.to_string(),
            };
            let container = runtime::container_name(&id.to_string());
            if let Some(found) = engine.container(&container).await?
                && !found.is_of(&home)
            {
                return Err(EngineError::Exists {
                    object: Object::Container,
                    name: container,
                    running: found.running,
                    labels: found.labels,
                }
                .into());
            }
        }
        said.extend(limits(&engine, name, service).await?);
    }
    Ok(said)
}

fn ours(network: Network, home: &str) -> Result<(), Failure> {
    if network
        .labels
        .get(landfall_containers::label::HOME)
        .map(String::as_str)
        == Some(home)
    {
        return Ok(());
    }
    Err(EngineError::Exists {
        object: Object::Network,
        name: network.name,
        labels: network.labels,
        running: true,
    }
    .into())
}

async fn image(engine: &Engine, release: &Release, name: &Name) -> Result<(), Failure> {
    let artifact = release.content.artifacts.get(name);
    let image = artifact.and_then(|artifact| artifact.image.as_ref());
    let Some(image) = image else {
        let message = format!("release {} has no image of {name}", release.number);
        return Err(
            Failure::new("release-pruned", message).with("mend", "landfall deploy builds it anew")
        );
    };
    if engine.image(&image.id).await?.is_some() {
        return Ok(());
    }
    let message = format!(
        "the image of {name} in release {} ({}) isn't in the Docker Engine",
        release.number, image.reference
    );
    Err(Failure::new("image-missing", message)
        .with("mend", "landfall deploy builds or pulls it again"))
}

/// Limits that depend on the machine.
async fn limits(
    engine: &Engine,
    name: &Name,
    service: &Service,
) -> Result<Option<String>, Failure> {
    if service.disk.is_none() && service.gpu == 0 {
        return Ok(None);
    }
    let machine = engine.information().await?;
    if service.gpu > 0 && !machine.gpus {
        let message = format!(
            "{name} asks for {} GPU, and the Engine has none to give",
            service.gpu
        );
        return Err(Failure::new("no-gpu", message).with(
            "mend",
            "install the NVIDIA Container Toolkit, or take gpu out for this machine",
        ));
    }
    let limited = service.disk.is_none() || machine.disk_limit;
    Ok((!limited).then(|| {
        format!(
            "no disk limit for {name}: {} on {} has none",
            machine.storage_driver, machine.backing_filesystem
        )
    }))
}
