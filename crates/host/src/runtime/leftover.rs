//! Containers of this host that nothing refers to: what a killed host was about to make or remove.

use std::{collections::BTreeSet, sync::Arc};

use landfall_app::Name;
use landfall_containers::{Container, Labels, label};
use landfall_release::{DeploymentNumber, Failure, ReleaseNumber, Rollout};

use crate::{
    host::{Host, ledger_failed},
    identifier::InstanceId,
    report::remark,
};

/// The last part of the id of a backing service's instance: those are no release's.
const BACKING: &str = "backing";

/// The first letters of the last part of the id of a command that somebody runs by hand.
pub const BY_HAND: &str = "hand";

/// Ends the migrations and hooks of deployments before this one: an Engine that was away when they
/// should have been ended left them running, and they must not meet their twins.
pub async fn end_commands_before(host: &Host, rollout: &Rollout) -> Result<(), Failure> {
    let (app, environment) = (&rollout.app, &rollout.environment);
    if super::gateway(host, app, environment)?.is_none() {
        return Ok(());
    }
    let engine = host.engine().await?;
    let labels = super::labels(host, app, environment);
    for container in engine.containers(&labels).await? {
        let id = container.labels.get(label::INSTANCE);
        if id.is_some_and(|id| is_command_before(id, rollout.deployment)) {
            engine.remove(&container.id, true).await?;
        }
    }
    Ok(())
}

/// Ends the jobs of an environment that no run under way stands for: an Engine that was away when a
/// host before this one, or this one, should have ended them left them running, and they must not
/// meet their twins.
pub async fn end_runs_left(host: &Host, app: &Name, environment: &Name) -> Result<(), Failure> {
    if super::gateway(host, app, environment)?.is_none() {
        return Ok(());
    }
    let engine = host.engine().await?;
    let labels = super::labels(host, app, environment);
    // Before the runs: what is made meanwhile isn't among them.
    let containers = engine.containers(&labels).await?;
    let under_way = host.ledger.unfinished_runs().map_err(ledger_failed)?;
    for container in containers {
        let id = container.labels.get(label::INSTANCE);
        let run = id.and_then(|id| run_of(id));
        if run.is_some_and(|run| under_way.iter().all(|row| row.number != run)) {
            engine.remove(&container.id, true).await?;
        }
    }
    Ok(())
}

/// The id's last part of a job's run.
pub fn run_incarnation(run: u64) -> String {
    format!("run-{run}")
}

/// The run that an id is of.
fn run_of(id: &str) -> Option<u64> {
    let id = InstanceId::parse(id).filter(|id| id.replica == 0)?;
    id.incarnation.strip_prefix("run-")?.parse().ok()
}

/// Whether an id is that of a command of an earlier deployment.
fn is_command_before(id: &str, deployment: DeploymentNumber) -> bool {
    InstanceId::parse(id).is_some_and(|id| {
        let own = id.incarnation.parse::<u64>();
        id.replica == 0 && own.is_ok_and(|own| own < deployment.0)
    })
}

/// Removes the containers of an environment that ended and that no row knows, but those of a release.
pub async fn tidy(
    host: &Host,
    app: &Name,
    environment: &Name,
    but: Option<ReleaseNumber>,
) -> Result<(), Failure> {
    if super::gateway(host, app, environment)?.is_none() {
        return Ok(());
    }
    let rows = host.ledger.instances_of(app, environment);
    let rows = rows.map_err(ledger_failed)?;
    let engine = host.engine().await?;
    let found = engine
        .containers(&super::labels(host, app, environment))
        .await?;
    let deployments = host.ledger.unfinished().map_err(ledger_failed)?;
    let runs = host.ledger.unfinished_runs().map_err(ledger_failed)?;
    for container in found {
        let label = |key: &str| container.labels.get(key).map(String::as_str);
        let Some(id) = label(label::INSTANCE).and_then(InstanceId::parse) else {
            continue;
        };
        // Of a command that has just ended somebody still asks how.
        let asked = deployments.iter().any(|rollout| {
            (&rollout.app, &rollout.environment) == (app, environment)
                && id.incarnation == rollout.deployment.to_string()
        });
        let asked = asked
            || runs
                .iter()
                .any(|row| id.incarnation == run_incarnation(row.number));
        if id.replica == 0 && asked {
            continue;
        }
        let known = rows
            .iter()
            .any(|row| label(label::INSTANCE) == Some(&row.id));
        let kept = but.is_some_and(|but| id.replica > 0 && id.release == but.0);
        // Of an instance that is only made nobody thinks any more; a command may be about to start.
        let over = container.status == "exited" || (id.replica > 0 && !container.running);
        if !known && !kept && over && id.incarnation != BACKING {
            engine.remove(&container.id, false).await?;
            if id.replica == 0 {
                // A host that died left it there.
                let folder = host.home.instance(&id.to_string());
                super::container::unmark(&folder);
                let _ = std::fs::remove_dir_all(&folder);
            }
        }
    }
    Ok(())
}

/// Removes them, while everything else goes on.
pub fn sweep_unknown_behind(host: &Arc<Host>) {
    let host = host.clone();
    tokio::spawn(async move {
        if let Err(failure) = sweep_unknown(&host).await {
            remark(&format!("containers left behind aren't removed: {failure}"));
        }
    });
}

async fn sweep_unknown(host: &Arc<Host>) -> Result<(), Failure> {
    let environments = host.ledger.environments().map_err(ledger_failed)?;
    let mut any = false;
    for row in &environments {
        any |= super::gateway(host, &row.app, &row.environment)?.is_some();
    }
    if !any {
        return Ok(());
    }
    let engine = host.engine().await?;
    let home = host.home.root().display().to_string();
    let labels = Labels::from([(label::HOME.to_owned(), home)]);
    let found = engine.containers(&labels).await?;
    let rows = host.ledger.instances().map_err(ledger_failed)?;
    let known: BTreeSet<_> = rows.into_iter().map(|row| row.id).collect();
    for container in found {
        let Some(id) = container.labels.get(label::INSTANCE) else {
            continue;
        };
        if known.contains(id) || !left_behind(id, &container, host.started_at) {
            continue;
        }
        engine.remove(&container.id, true).await?;
        let folder = host.home.instance(id);
        super::container::unmark(&folder);
        let _ = std::fs::remove_dir_all(&folder);
    }
    Ok(())
}

/// Whether a container that no row knows is left from a host before the one that started `since`.
fn left_behind(id: &str, container: &Container, since: u64) -> bool {
    let Some(id) = InstanceId::parse(id) else {
        return false;
    };
    if id.incarnation == BACKING {
        return false;
    }
    // What doesn't run goes with the next deployment.
    if id.incarnation.starts_with(BY_HAND) || !container.running {
        return false;
    }
    let started = container.started.as_deref();
    let started = started.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    started.is_some_and(|started| {
        u64::try_from(started.as_millisecond()).is_ok_and(|started| started < since)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        home::make_folder,
        testing::{Bed, FakeEngine, name},
    };

    #[tokio::test]
    async fn a_command_that_nobody_asks_about_any_more_goes_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let engine = FakeEngine::start(folder.path());
        let bed = Bed::with_engine(&engine);
        let (host, app, environment) = (&bed.host, name("shop"), name("local"));
        let release = bed.release("[service.web]\ncommand = \"bin/web\"", &[]);
        host.ledger
            .set_setting("gateway:shop.local", "10.209.0.1")
            .unwrap();
        bed.finish(&bed.begun(&release));
        assert_eq!(bed.begun(&release).deployment, DeploymentNumber(2));
        let labels = super::super::labels(host, &app, &environment);
        let [left, asked] = [1, 2].map(|deployment| format!("shop.local.web.1.0.{deployment}"));
        for id in [&left, &asked] {
            engine.container(id, &labels, false);
            make_folder(&host.home.instance(id)).unwrap();
        }
        tidy(host, &app, &environment, None).await.unwrap();
        assert_eq!(engine.removed(), std::slice::from_ref(&left));
        assert!(!host.home.instance(&left).exists());
        assert!(host.home.instance(&asked).exists());
    }

    #[test]
    fn commands_of_earlier_deployments_are_told_from_everything_else() {
        let before = |id: &str| is_command_before(id, DeploymentNumber(9));
        assert!(before("shop.local.web.3.0.8"));
        for other in [
            "shop.local.web.3.0.9",
            "shop.local.web.3.1.8",
            "shop.local.web.3.0.run-8",
            "shop.local.db.0.1.backing",
            "shop",
        ] {
            assert!(!before(other), "{other}");
        }
    }

    #[test]
    fn only_what_an_earlier_host_started_for_a_release_is_left_behind() {
        let container = |started: Option<&str>, running| Container {
            started: started.map(str::to_owned),
            running,
            ..Container::default()
        };
        let before = Some("2026-01-01T00:00:00.123456789Z");
        let since = 1_767_225_600_000 + 1000;
        let left = |id: &str, container: &Container| left_behind(id, container, since);
        assert!(left("shop.local.web.3.0.9", &container(before, true)));
        assert!(!left("shop.local.db.0.1.backing", &container(before, true)));
        assert!(!left("shop.local.web.3.0.hand7", &container(before, true)));
        assert!(!left("shop.local.web.2.1.8", &container(before, false)));
        assert!(!left("shop.local.web.3.0.9", &container(None, true)));
        let later = Some("2026-01-01T00:00:02Z");
        assert!(!left("shop.local.web.3.0.9", &container(later, true)));
        assert!(!left("something", &container(before, true)));
    }
}
