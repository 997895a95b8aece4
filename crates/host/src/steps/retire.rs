//! Retire: the old release drains and stops, and what nobody can go back to is removed.

use std::{collections::BTreeSet, sync::Arc};

use landfall_release::{Failure, Rollout, Step};

use crate::{
    backing,
    host::{Host, ledger_failed},
    report::remark,
    runtime::{self, Ended},
    steps::instances,
};

/// So many releases can be gone back to.
const KEPT: usize = 5;

/// Drains and stops everything that isn't of this rollout, whatever release it is of: what runs is
/// then what the file says.
pub async fn old(host: &Arc<Host>, rollout: &Rollout) -> Result<String, Failure> {
    let old = host.old_release(rollout)?;
    let (_, others) = host.rows(rollout)?;
    let services: BTreeSet<_> = others
        .iter()
        .map(|row| (row.service.clone(), row.release))
        .collect();
    for (service, release) in services {
        instances::drained(host, rollout, &service, release).await;
    }
    let stopped = others.len();
    instances::stop_and(host, old.as_ref(), others, Ended::Kept).await?;
    // What was kept of releases before the last one goes now.
    let kept = rollout.previous.filter(|old| *old != rollout.release);
    let tidied = async {
        runtime::end_commands_before(host, rollout).await?;
        runtime::tidy(host, &rollout.app, &rollout.environment, kept).await
    };
    if let Err(failure) = tidied.await {
        remark(&format!("{}: {failure}", rollout.app));
    }
    let images = host.images_of(&rollout.app)?;
    let (pruning, of) = (host.clone(), rollout.clone());
    tokio::task::spawn_blocking(move || prune(&pruning, &of))
        .await
        .map_err(|error| Failure::new("host-failed", error.to_string()))??;
    host.prune_images(&rollout.app, &images).await?;
    let mut said = match (old, stopped) {
        (Some(old), 1..)
            if old.number != rollout.release && !rollout.steps.contains(&Step::StopOld) =>
        {
            vec![format!("release {} drained and stopped", old.number)]
        }
        _ => Vec::new(),
    };
    said.extend(backing::retire(host, &host.new_release(rollout)?).await?);
    Ok(said.join("; "))
}

/// Removes the builds of releases beyond the last five that served. What runs is never one of them.
pub fn prune(host: &Host, rollout: &Rollout) -> Result<(), Failure> {
    let (app, environment) = (&rollout.app, &rollout.environment);
    let releases = host
        .ledger
        .releases(app, environment)
        .map_err(ledger_failed)?;
    let running: BTreeSet<_> = host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?
        .into_iter()
        .map(|row| row.release)
        .collect();
    let mut kept = 0;
    for release in releases {
        if release.pruned {
            continue;
        }
        let needed =
            release.live || release.number == rollout.release || running.contains(&release.number);
        if needed || (release.served && kept < KEPT) {
            kept += 1;
            continue;
        }
        host.ledger
            .mark_pruned(app, environment, release.number)
            .map_err(ledger_failed)?;
    }
    remove_builds(host, rollout)
}

/// Removes builds that no release of any environment of this app refers to any more.
fn remove_builds(host: &Host, rollout: &Rollout) -> Result<(), Failure> {
    let mut kept = BTreeSet::new();
    for row in host.ledger.environments().map_err(ledger_failed)? {
        if row.app != rollout.app {
            continue;
        }
        for release in host
            .ledger
            .releases(&row.app, &row.environment)
            .map_err(ledger_failed)?
        {
            if !release.pruned {
                let release = host.release(&row.app, &row.environment, release.number)?;
                kept.extend(
                    release
                        .content
                        .artifacts
                        .into_values()
                        .map(|artifact| artifact.folder),
                );
            }
        }
    }
    host.remove_builds_but(&rollout.app, &kept)
}
