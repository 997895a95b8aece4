//! Preflight: whether it can go well. Changes nothing.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use landfall_release::{Failure, Release, Rollout};

use crate::{backing, host::Host};

mod containers;

/// With less than this free, logs and ledger would soon stop everything.
const LEAST_FREE: u64 = 100 << 20;

/// Looks at everything that a rollout needs.
pub async fn look(host: &Host, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let mut said = Vec::new();
    // What isn't started needs no build, no ports and no names of containers.
    let goes_live = rollout.goes_live();
    for (name, artifact) in release.content.artifacts.iter().filter(|_| goes_live) {
        // An image's folder holds the files that are put into its containers, where there are any.
        let image = artifact.image.is_some() && artifact.folder.as_os_str().is_empty();
        if !image && !artifact.folder.is_dir() {
            let message = format!("the build of {name} in release {} is gone", release.number);
            return Err(Failure::new("release-pruned", message)
                .with("mend", "landfall deploy builds it anew"));
        }
    }
    if goes_live {
        said.extend(containers::look(host, rollout, &release).await?);
    }
    let secrets = host.secrets(&release.content)?.len();
    if secrets > 0 {
        said.push(format!(
            "{secrets} {}",
            if secrets == 1 { "secret" } else { "secrets" }
        ));
    }
    let free = free_bytes(host.home.root())
        .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    if free < LEAST_FREE {
        let message = format!("{} MiB free in {}", free >> 20, host.home.root().display());
        return Err(Failure::new("disk-full", message)
            .with("mend", "free at least 100 MiB, then deploy again"));
    }
    match free >> 30 {
        0 => said.push(format!("{} MiB free", free >> 20)),
        free => said.push(format!("{free} GiB free")),
    }
    said.extend(backing::look(host, rollout.purpose, &release).await?);
    if goes_live {
        published(host, &release).await?;
    }
    Ok(said.join(", "))
}

/// Ports that the edge will open must be free, or its own already.
async fn published(host: &Host, release: &Release) -> Result<(), Failure> {
    let open = opened(host).await?;
    for (name, service) in &release.content.app.services {
        let Some(port) = service.publish.filter(|port| !open.contains(port)) else {
            continue;
        };
        if let Err(error) = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))) {
            return Err(Failure::new(
                "port-taken",
                format!("port {port}, published by {name}, can't be opened: {error}"),
            )
            .with(
                "mend",
                "stop what listens there (ss -ltnp shows it), or publish another port",
            ));
        }
    }
    Ok(())
}

/// Replaces stable ports that somebody else has by others: the beginning of the start, under the lock.
pub async fn settle_ports(host: &Host, rollout: &Rollout) -> Result<(), Failure> {
    let release = host.new_release(rollout)?;
    // An edge that is just being started again still has its ports: none is taken from it.
    let Ok(open) = opened(host).await else {
        return Ok(());
    };
    host.move_stable_ports(&release.content, |port| {
        open.contains(&port) || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    })
}

/// The ports that the edge has open for services.
async fn opened(host: &Host) -> Result<BTreeSet<u16>, Failure> {
    let state = host.edge.state().await?;
    let services = state.apps.iter().flat_map(|app| &app.services);
    Ok(services
        .flat_map(|service| &service.listeners)
        .map(|address| address.port())
        .collect())
}

fn free_bytes(folder: &Path) -> Result<u64, rustix::io::Errno> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail * space.f_frsize)
}
