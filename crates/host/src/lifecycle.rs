//! Stopping and removing apps by hand, and the end of the host itself.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use landfall_api::wire::Removed;
use landfall_app::Name;
use landfall_release::{EventKind, Failure};
use tokio::task::JoinSet;

use crate::{
    backing,
    host::{Host, ledger_failed},
    jobs,
    lease::{Held, refuse_busy},
    report::remark,
    rollouts, runtime,
    steps::instances,
    volumes,
};

/// Stops an environment by hand; a host that `up` started leaves with its last app.
pub async fn stop(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<(), Failure> {
    rollouts::stop(host, app, environment).await?;
    leave_with_last_app(host).await
}

/// Takes an environment off this machine; with `purge` its releases, logs and secrets too.
pub async fn remove(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    purge: bool,
) -> Result<Removed, Failure> {
    let state = host
        .ledger
        .environment(app, environment)
        .map_err(ledger_failed)?;
    if state.is_none() {
        let folder = host.home.app(app);
        // Builds of an app that never got as far as a deployment.
        if purge && folder.is_dir() && !is_known(host, app)? {
            let freed = remove_folder(folder).await?;
            return Ok(Removed {
                instances: 0,
                freed,
            });
        }
        return Err(rollouts::not_deployed(app, environment));
    }
    refuse_busy(host, app, environment)?;
    let lock = Held::take(host, app, environment, "this machine", "down", None)?;
    let rows = host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?;
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let generation = host.next_generation()?;
    host.edge
        .remove(app.as_str(), environment.as_str(), generation.0)
        .await?;
    let live = host
        .ledger
        .live_release(app, environment)
        .map_err(ledger_failed)?;
    host.ledger
        .set_running(app, environment, false)
        .map_err(ledger_failed)?;
    jobs::stop(host, app, environment).await;
    instances::stop(host, live.as_ref(), rows).await?;
    let count = count + backing::stop(host, app, environment).await?;
    host.ledger
        .append_event(Some(app), Some(environment), None, EventKind::Stopped)
        .map_err(ledger_failed)?;
    let freed = match purge {
        true => self::purge(host, app, environment).await?,
        false => 0,
    };
    drop(lock);
    leave_with_last_app(host).await?;
    Ok(Removed {
        instances: count,
        freed,
    })
}

/// Removes all that is kept of an environment that is stopped; how many bytes that were. What fails
/// can be tried again: its row goes once nothing else is left.
async fn purge(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<u64, Failure> {
    let images = host.images_of(app)?;
    let mut freed = backing::purge(host, app, environment).await?;
    freed += volumes::purge(host, app, environment).await?;
    runtime::forget(host, app, environment).await?;
    let folder = host.home.environment(app, environment);
    freed += remove_folder(folder).await?;
    host.ledger
        .remove_environment(app, environment)
        .map_err(ledger_failed)?;
    if !is_known(host, app)? {
        freed += remove_folder(host.home.app(app)).await?;
    }
    // What a container is made from can't be removed.
    host.prune_images(app, &images).await?;
    Ok(freed)
}

/// Whether any environment of an app is known.
fn is_known(host: &Host, app: &Name) -> Result<bool, Failure> {
    let environments = host.ledger.environments().map_err(ledger_failed)?;
    Ok(environments.iter().any(|row| row.app == *app))
}

/// Removes a folder with all that is in it; says how many bytes that were.
async fn remove_folder(folder: PathBuf) -> Result<u64, Failure> {
    let removing = tokio::task::spawn_blocking(move || {
        let freed = size(&folder);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::new(
                "host-failed",
                format!("{} can't be removed: {error}", folder.display()),
            )),
            _ => Ok(freed),
        }
    });
    removing
        .await
        .map_err(|error| Failure::new("host-failed", error.to_string()))?
}

/// Bytes below a folder; links are counted as links.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

async fn leave_with_last_app(host: &Arc<Host>) -> Result<(), Failure> {
    if !host.leaves() || any_running(host)? {
        return Ok(());
    }
    match end(host, true).await {
        // Whoever changes another app now leaves with that, if it is the last.
        Err(failure) if failure.name == "locked" => Ok(()),
        ended => ended,
    }
}

fn any_running(host: &Host) -> Result<bool, Failure> {
    let environments = host.ledger.environments().map_err(ledger_failed)?;
    Ok(environments
        .iter()
        .any(|row| row.state.live.is_some() && row.state.running))
}

/// Ends the host. The apps run on unless they shall stop with it; they run again when it starts.
/// Nothing stops while something changes them: what a deployment has started would be left behind,
/// and whoever follows it starts the host again.
pub async fn end(host: &Arc<Host>, stop_apps: bool) -> Result<(), Failure> {
    if stop_apps {
        for row in host.ledger.environments().map_err(ledger_failed)? {
            refuse_busy(host, &row.app, &row.environment)?;
        }
    }
    // Without an app there is nothing to serve either.
    let deserted = host.ledger.instances().map_err(ledger_failed)?.is_empty()
        && host.ledger.unfinished().map_err(ledger_failed)?.is_empty()
        && !any_running(host)?;
    if stop_apps || deserted {
        host.ending.store(true, Ordering::Relaxed);
        if let Err(failure) = stop_apps_with_host(host).await {
            host.ending.store(false, Ordering::Relaxed);
            return Err(failure);
        }
    }
    host.ledger
        .append_event(None, None, None, EventKind::HostStopped)
        .map_err(ledger_failed)?;
    remark("asked to end");
    // Answers what it was asked first: the request that asked for this is under way.
    let ending = host.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ending.shutdown.notify_waiters();
    });
    Ok(())
}

/// Stops all apps side by side, and the edge. Their rows stay as they are, so that `host start`
/// brings them back.
async fn stop_apps_with_host(host: &Arc<Host>) -> Result<(), Failure> {
    for row in host.ledger.environments().map_err(ledger_failed)? {
        jobs::stop(host, &row.app, &row.environment).await;
    }
    let mut all = JoinSet::new();
    for row in host.ledger.instances().map_err(ledger_failed)? {
        if host.instance(&row.id).is_none() {
            continue;
        }
        let release = host.release(&row.app, &row.environment, row.release)?;
        let service = release.content.app.services.get(&row.service);
        let grace = service.map_or(Duration::from_secs(10), |service| {
            service.stop.grace.duration()
        });
        let host = host.clone();
        all.spawn(async move { runtime::end(&host, &row.id, &row.folder, grace).await });
    }
    while let Some(stopped) = all.join_next().await {
        stopped.map_err(|error| Failure::new("host-failed", error.to_string()))?;
    }
    backing::stop_with_host(host).await?;
    host.edge.stop().await;
    Ok(())
}

/// Refuses what would begin while the host ends together with its apps.
pub fn refuse_ending(host: &Host) -> Result<(), Failure> {
    match host.ending.load(Ordering::Relaxed) {
        false => Ok(()),
        true => Err(Failure::new(
            "no-host",
            "the host is being stopped together with its apps",
        )
        .with("mend", "landfall host start, then again")),
    }
}

impl Host {
    /// Whether this host leaves with its last app.
    pub fn leaves(&self) -> bool {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use landfall_release::Generation;

    use super::*;
    use crate::testing::{Bed, FakeEngine, name};

    const APP: &str = "[service.web]\ncommand = \"bin/web\"\n\
        [job.tick]\nrun = \"echo $$ > pid; exec sleep 600\"\nschedule = \"0 0 1 1 *\"";

    #[tokio::test]
    async fn apps_dont_stop_with_the_host_while_a_deployment_goes_on() {
        let bed = Bed::new();
        let release = bed.release(APP, &[]);
        let (app, environment) = (name("shop"), name("local"));
        let live = Some(release.number);
        let set = bed
            .host
            .ledger
            .set_live(&app, &environment, live, Generation(1));
        set.unwrap();
        let rollout = bed.begun(&release);
        let failure = end(&bed.host, true).await.unwrap_err();
        assert_eq!(failure.name, "locked");
        let said = failure.to_string();
        assert!(
            said.contains("shop, local") && said.contains("deployment 1"),
            "{said}"
        );
        assert!(!bed.host.ending.load(Ordering::Relaxed));
        bed.finish(&rollout);
        end(&bed.host, true).await.unwrap();
        let asked = rollouts::start(&bed.host, &app, &environment, String::new());
        assert_eq!(asked.map(drop).unwrap_err().name, "no-host");
    }

    #[tokio::test]
    async fn a_host_doesnt_leave_with_its_last_app_while_another_is_changed() {
        let bed = Bed::new();
        bed.release(APP, &[]);
        *bed.host.leaving.lock().unwrap() = true;
        let (app, environment) = (name("shop"), name("local"));
        let held = Held::take(&bed.host, &app, &environment, "ada", "stop", None).unwrap();
        leave_with_last_app(&bed.host).await.unwrap();
        assert!(!bed.host.ending.load(Ordering::Relaxed));
        drop(held);
        leave_with_last_app(&bed.host).await.unwrap();
        assert!(bed.host.ending.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_job_under_way_ends_with_the_apps() {
        let bed = Bed::new();
        let release = bed.release(APP, &[]);
        let (app, environment) = (name("shop"), name("local"));
        let host = &bed.host;
        host.ledger
            .set_live(&app, &environment, Some(release.number), Generation(1))
            .unwrap();
        jobs::by_hand(host, &app, &environment, &name("tick"), String::new()).unwrap();
        let pid = bed.folder.path().join("pid");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        let process = loop {
            let text = fs::read_to_string(&pid).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                break number.to_owned();
            }
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        end(host, true).await.unwrap();
        let stat = fs::read_to_string(format!("/proc/{process}/stat"));
        assert!(!stat.is_ok_and(|stat| stat.contains(") S ")), "it runs on");
        assert!(host.ledger.unfinished_runs().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_the_engine_doesnt_remove_can_be_removed_by_a_second_try() {
        let folder = tempfile::tempdir().unwrap();
        let engine = FakeEngine::start(folder.path());
        let bed = Bed::with_engine(&engine);
        bed.release(APP, &[]);
        let (app, environment) = (name("shop"), name("local"));
        let host = &bed.host;
        host.ledger
            .set_setting("gateway:shop.local", "10.209.0.1")
            .unwrap();
        let network = runtime::network_name(&app, &environment);
        engine.has("networks", &network, serde_json::json!({}));
        engine.refuse(&["networks"]);
        let failure = purge(host, &app, &environment).await.unwrap_err();
        assert_eq!(failure.name, "engine-refused");
        assert!(is_known(host, &app).unwrap(), "nobody could try again");
        engine.refuse(&[]);
        purge(host, &app, &environment).await.unwrap();
        assert!(!is_known(host, &app).unwrap());
        assert_eq!(engine.removed(), [network]);
        assert_eq!(host.ledger.setting("gateway:shop.local").unwrap(), None);
    }
}
