//! Migrations and hooks: commands of the new release, run once.

use std::{collections::BTreeMap, time::Duration};

use landfall_app::{
    Name,
    model::{HookPoint, Run},
};
use landfall_release::{EventKind, Failure, Release, Rollout};

use crate::{
    home::make_folder,
    host::Host,
    identifier::InstanceId,
    once::{self, Ended, Once},
    report::remark,
    runtime,
    specification::words,
};

/// Runs the migration of each service that has one.
pub async fn migrate(host: &Host, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let mut said = Vec::new();
    let services = &release.content.app.services;
    if services.values().any(runtime::contained) {
        runtime::end_commands_before(host, rollout).await?;
    }
    for (name, service) in services {
        if let Some(command) = &service.migrate {
            // One that a killed host left running must not meet its twin.
            end_left(host, &token(rollout, name)).await?;
            run(host, rollout, name, "migrate", command, "migration-failed").await?;
            said.push(name.to_string());
        }
    }
    Ok(said.join(", "))
}

/// How long the hook after a failure may take.
const FAILED_HOOK: Duration = Duration::from_secs(60);

/// Runs the hook of a deployment that failed and was undone, if there is one: in the release that
/// failed, told why. Whatever it does, the deployment has failed already: that it failed too is only
/// said. A host that takes the deployment up again runs it again.
pub async fn after_failure(host: &Host, rollout: &Rollout, why: &Failure) {
    let started = host.ledger.now();
    let failure = match failed_hook(host, rollout, why).await {
        Ok(false) => return,
        Ok(true) => None,
        Err(failure) => Some(Box::new(failure)),
    };
    let kind = EventKind::HookEnded {
        point: HookPoint::Failed,
        took: host.ledger.now().saturating_sub(started),
        failure,
    };
    let (app, environment) = (Some(&rollout.app), Some(&rollout.environment));
    let said = host
        .ledger
        .append_event(app, environment, Some(rollout.deployment), kind);
    if let Err(error) = said {
        remark(&format!("{}: {error}", rollout.app));
    }
}

async fn failed_hook(host: &Host, rollout: &Rollout, why: &Failure) -> Result<bool, Failure> {
    let release = host.new_release(rollout)?;
    let Some(hook) = release.content.app.hooks.get(&HookPoint::Failed) else {
        return Ok(false);
    };
    let token = token(rollout, &hook.service);
    end_left(host, &token).await?;
    let variables = [
        ("LANDFALL_FAILURE", why.name.clone()),
        ("LANDFALL_DEPLOYMENT", rollout.deployment.to_string()),
    ];
    let (process, error) = ("hook-failed", "hook-failed");
    let one_off = OneOff {
        release: &release,
        service: &hook.service,
        process,
        command: &hook.run,
        token: &token,
        variables: &variables,
        limit: Some(FAILED_HOOK),
        error,
    };
    let ended = run_once(host, &one_off).await?;
    match ended.well {
        true => Ok(true),
        false => Err(ended_badly(&hook.service, process, &ended, error)),
    }
}

/// Runs the hook at a point, if there is one.
pub async fn hook(host: &Host, rollout: &Rollout, point: HookPoint) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let Some(hook) = release.content.app.hooks.get(&point) else {
        return Ok(String::new());
    };
    let process = match point {
        HookPoint::Before => "hook-before",
        HookPoint::Verified => "hook-verified",
        HookPoint::Switched => "hook-switched",
        HookPoint::After => "hook-after",
        HookPoint::Failed => "hook-failed",
    };
    run(
        host,
        rollout,
        &hook.service,
        process,
        &hook.run,
        "hook-failed",
    )
    .await?;
    Ok(process.trim_start_matches("hook-").to_owned())
}

/// Ends what migrations and hooks of a killed host left running, and takes away their places.
pub async fn sweep(host: &Host, rollout: &Rollout) -> Result<(), Failure> {
    let release = host.new_release(rollout)?;
    for name in release.content.app.services.keys() {
        end_left(host, &token(rollout, name)).await?;
    }
    Ok(())
}

/// The token of a service's commands: that of an instance with replica 0.
fn token(rollout: &Rollout, service: &Name) -> String {
    let id = InstanceId {
        app: rollout.app.to_string(),
        environment: rollout.environment.to_string(),
        service: service.to_string(),
        release: rollout.release.0,
        replica: 0,
        incarnation: rollout.deployment.to_string(),
    };
    id.to_string()
}

/// A command that runs once in a release: a migration, a hook, a job.
pub struct OneOff<'a> {
    /// In whose environment and files.
    pub release: &'a Release,
    /// In which service.
    pub service: &'a Name,
    /// What its lines are tagged with.
    pub process: &'a str,
    /// The command.
    pub command: &'a Run,
    /// By which it is found if this host dies meanwhile: the id of an instance with replica 0.
    pub token: &'a str,
    /// Further variables, none of them secret.
    pub variables: &'a [(&'a str, String)],
    /// How long it may take.
    pub limit: Option<Duration>,
    /// The failure's name where it can't be run.
    pub error: &'a str,
}

/// Runs a command once. What it leaves behind ends with it.
pub async fn run_once(host: &Host, one_off: &OneOff<'_>) -> Result<Ended, Failure> {
    let &OneOff {
        release,
        service,
        process,
        token,
        ..
    } = one_off;
    let app = &release.content.app;
    let (mut environment, mask): (_, BTreeMap<_, _>) =
        host.with_surroundings(release, service, token, 0, None, |surroundings| {
            Ok((surroundings.environment(None)?, surroundings.mask()))
        })?;
    for (variable, value) in one_off.variables {
        environment
            .plain
            .insert((*variable).to_owned(), value.clone());
    }
    let artifact = &release.content.artifacts[service];
    let logs = host.log_folder(&app.app, &app.environment, service)?;
    let folder = host.home.instance(token);
    let failed = |what: String| {
        Failure::new(
            one_off.error,
            format!("{process} of {service}: it can't be run: {what}"),
        )
    };
    let (words, directory) = (words(one_off.command), runtime::place(artifact));
    let once = Once {
        process,
        command: &words,
        directory: &directory,
        environment: &environment,
        mask: &mask,
        instance: token,
        folder: &folder,
        logs: &logs,
        limit: one_off.limit,
    };
    let contained = app.services.get(service).is_some_and(runtime::contained);
    let ended = match contained {
        true => in_container(host, release, service, &once).await,
        false => match make_folder(&folder) {
            Ok(()) => once::run(&once)
                .await
                .map_err(|error| failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        },
    };
    // Nothing is kept in it; it only gives the token its place.
    let _ = tokio::fs::remove_dir_all(&folder).await;
    ended
}

async fn in_container(
    host: &Host,
    release: &Release,
    service: &Name,
    once: &Once<'_>,
) -> Result<Ended, Failure> {
    let container =
        runtime::prepare_one_off(host, release, service, once.instance, once.folder).await?;
    let ended = once::run_in(&host.engine().await?, &container, once).await;
    runtime::sweep(host, once.instance, once.folder).await;
    ended
}

/// Ends what is left of a command, by its token; there is something only where it was dropped in
/// the middle or its host was killed.
pub async fn end_left(host: &Host, token: &str) -> Result<(), Failure> {
    let folder = host.home.instance(token);
    runtime::sweep(host, token, &folder).await;
    // There is none, unless a host was killed.
    let _ = tokio::fs::remove_dir_all(&folder).await;
    Ok(())
}

async fn run(
    host: &Host,
    rollout: &Rollout,
    service: &Name,
    process: &str,
    command: &Run,
    error: &str,
) -> Result<(), Failure> {
    let one_off = OneOff {
        release: &host.new_release(rollout)?,
        service,
        process,
        command,
        token: &token(rollout, service),
        variables: &[],
        limit: None,
        error,
    };
    let ended = run_once(host, &one_off).await?;
    if ended.well {
        return Ok(());
    }
    Err(ended_badly(service, process, &ended, error).with(
        "mend",
        format!("the release before serves on; try it by hand: landfall run {service} -- …, then deploy again"),
    ))
}

/// How a command failed, with its last words.
fn ended_badly(service: &Name, process: &str, ended: &Ended, error: &str) -> Failure {
    let words = match ended.last_words.as_slice() {
        [] => "none: it wrote nothing".to_owned(),
        words => words.join("\n"),
    };
    Failure::new(error, format!("{process} of {service}: {}", ended.said))
        .with("its last words", words)
}

#[cfg(test)]
mod tests {
    use landfall_supervise::specification::{CONTROL_VARIABLE, INSTANCE_VARIABLE, files};

    use super::*;
    use crate::testing::{Bed, name};

    #[tokio::test]
    async fn what_a_killed_host_left_of_a_migration_goes() {
        let bed = Bed::new();
        let rollout = bed.begun(&bed.release("[service.web]\ncommand = \"bin/web\"", &[]));
        let token = token(&rollout, &name("web"));
        let folder = bed.host.home.instance(&token);
        make_folder(&folder).unwrap();
        let mut left = std::process::Command::new("sleep")
            .arg("600")
            .env(INSTANCE_VARIABLE, &token)
            .env(CONTROL_VARIABLE, folder.join(files::CONTROL))
            .spawn()
            .unwrap();
        sweep(&bed.host, &rollout).await.unwrap();
        assert!(!folder.exists());
        assert!(!left.wait().unwrap().success());
    }
}
