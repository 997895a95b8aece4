//! Changes that need no build: `restart`, `stop`, `start`, `scale`.

use std::collections::BTreeMap;

use landfall_api::{
    Client, ClientError,
    wire::{Accepted, AppStatus, Change, Condition, Observed},
};
use landfall_app::Name;
use landfall_release::{Desired, PlanKind, Release};
use serde_json::{Value, json};

use crate::{
    app_file,
    arguments::Scale,
    commands::plan,
    context::{Context, Place},
    follow, host,
    report::{Error, Result},
    view::{
        plain,
        steps::{Finished, Steps},
    },
};

/// Follows what the host accepted, with a head line and what changes before it, and a last line.
pub async fn submitted(
    context: &Context,
    client: &Client,
    place: &Place,
    before: Option<&Release>,
    accepted: &Accepted,
    undo: &str,
) -> Result {
    let head = match accepted.from {
        Some(from) if from == accepted.release => format!("release {from}, new processes"),
        Some(from) => format!("release {from} → {}", accepted.release),
        None => format!("release {}", accepted.release),
    };
    context.output.say(format!("{}: {head}", place.environment));
    let path = place.path(&format!("releases/{}", accepted.release));
    let target: Option<Release> = client.get(&path).await.ok();
    let shown = target.is_some();
    say_difference(context, before, target.as_ref());
    let mut steps = Steps::new(&context.output);
    let finished = follow::accepted(context, client, place, accepted, &mut steps).await?;
    drop(steps);
    if !shown {
        // An older host tells a release's content only while it is live.
        let target = live(client, place).await?;
        say_difference(context, before, target.as_ref());
    }
    let failed = failed_requests(&finished);
    let took = plain::took(finished.took);
    context.output.say(format!(
        "Release {} serves after {took}{failed}.{undo}",
        accepted.release
    ));
    Ok(())
}

/// The live release, if there is one.
pub async fn live(client: &Client, place: &Place) -> Result<Option<Release>> {
    match client.get::<Observed>(&place.path("observed")).await {
        Ok(observed) => Ok(observed.live),
        Err(ClientError::Refused(failure)) if failure.name == "not-deployed" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is other in the release that comes: all but builds, of which there are none.
fn say_difference(context: &Context, before: Option<&Release>, after: Option<&Release>) {
    let (Some(before), Some(after)) = (before, after) else {
        return;
    };
    let desired = Desired::from(&after.content);
    let plan = landfall_release::plan(&desired, Some(before), &BTreeMap::new());
    let lines = plan::table(
        plan.lines()
            .iter()
            .filter(|line| line.kind != PlanKind::Build),
    );
    if !lines.is_empty() {
        context.output.say(lines);
    }
}

/// `, 0 of 96 requests failed`; nothing where nobody asked.
pub fn failed_requests(finished: &Finished) -> String {
    match finished.requests {
        0 => String::new(),
        requests => format!(
            ", {} of {requests} requests failed",
            finished.failed_requests
        ),
    }
}

/// `landfall restart`
pub fn restart(context: &Context) -> Result {
    change(
        context,
        Change::Restart {
            by: context.environment.by(),
        },
    )
}

/// `landfall scale`
pub fn scale(context: &Context, arguments: &Scale) -> Result {
    let mut replicas = BTreeMap::new();
    for (service, count) in &arguments.replicas {
        let name: Name = service.parse().map_err(|error| {
            Error::new(
                "unknown-service",
                format!("`{service}` is not a service's name: {error}"),
            )
        })?;
        replicas.insert(name, *count);
    }
    change(
        context,
        Change::Scale {
            replicas,
            by: context.environment.by(),
        },
    )
}

fn change(context: &Context, change: Change) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let (client, started) = host::again(context).await?;
        follow::carry_on(context, &client, &place, started).await?;
        let before = live(&client, &place).await?;
        match ask(context, &client, &place, &change).await? {
            Some(accepted) => {
                submitted(context, &client, &place, before.as_ref(), &accepted, "").await
            }
            None => Ok(()),
        }
    })
}

/// Asks the host for a change; none where it is so already.
pub async fn ask(
    context: &Context,
    client: &Client,
    place: &Place,
    change: &Change,
) -> Result<Option<Accepted>> {
    match client.post(&place.path("change"), change).await {
        Ok(accepted) => Ok(Some(accepted)),
        Err(ClientError::Refused(failure)) if failure.name == "nothing-to-change" => {
            context
                .output
                .say(format!("Nothing to change: {}.", failure.message));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// `landfall stop`
pub fn stop(context: &Context) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let (client, _) = host::again(context).await?;
        let status: AppStatus = client.get(&place.path("status")).await?;
        // It is asked for all the same: a stop that broke off may have left something.
        let said = match status.condition {
            Condition::Stopped => "Nothing to stop, it is stopped already:",
            _ => "Stopped",
        };
        let _: Value = client.post(&place.path("stop"), &()).await?;
        done(context, &place, "stopped");
        context.output.say(format!(
            "{said} {}, {}. It comes back by: landfall start{}",
            place.app,
            place.environment,
            place.flag()
        ));
        Ok(())
    })
}

/// `landfall start`
pub fn start(context: &Context) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let (client, _, _) = host::ensure(&context.environment, false).await?;
        let asked: std::result::Result<Accepted, ClientError> = client
            .post(
                &place.path("start"),
                &json!({ "by": context.environment.by() }),
            )
            .await;
        let accepted = match asked {
            Err(ClientError::Refused(failure)) if failure.name == "nothing-to-change" => {
                done(context, &place, "started");
                context
                    .output
                    .say(format!("Nothing to start: {}.", failure.message));
                return Ok(());
            }
            asked => asked?,
        };
        submitted(context, &client, &place, None, &accepted, "").await?;
        let addresses = follow::addresses(&client, &place).await?;
        context
            .output
            .say(format!("  {}", plain::addresses(&addresses)));
        Ok(())
    })
}

fn done(context: &Context, place: &Place, kind: &str) {
    if context.output.json() {
        context.output.data(
            kind,
            &json!({ "app": place.app, "environment": place.environment }),
        );
    }
}
