//! Following a deployment by the cursor of its events, also across a host that went away and came
//! back; and what is said at its end.

use std::time::Duration;

use landfall_api::{
    Client, ClientError, path,
    wire::{Accepted, AppStatus, DeploymentDetail, DeploymentSummary, EventQuery},
};
use landfall_release::{DeploymentNumber, Event, Failure, Outcome, Record, ReleaseNumber};

use crate::{
    commands::change::failed_requests,
    context::{Context, Place},
    exit::Exit,
    host,
    report::{Error, Result},
    view::{
        plain,
        steps::{Finished, Steps},
    },
};

/// So often may following break off in a row without anything new.
const MOST_BREAKS: u32 = 5;

/// How much longer is waited each time.
const PAUSE: Duration = Duration::from_millis(100);

/// How following ended.
pub enum End {
    /// The deployment ended.
    Finished(Finished),
    /// The user left; it goes on.
    Detached,
}

/// Follows a deployment to its end, or until Ctrl-C.
pub async fn follow(
    context: &Context,
    client: &Client,
    place: &Place,
    deployment: DeploymentNumber,
    steps: &mut Steps<'_>,
) -> Result<End> {
    let mut interrupt = context.interrupt()?;
    let (mut cursor, mut breaks) = (steps.cursor, 0);
    loop {
        let interrupted = async {
            interrupt.recv().await;
        };
        let followed = tokio::select! {
            followed = events(client, place, deployment, steps) => followed,
            () = interrupted => return Ok(End::Detached),
        };
        match followed {
            Ok(()) if steps.finished.is_some() => {}
            Ok(()) | Err(ClientError::Broken(_) | ClientError::Unreachable { .. }) => {
                breaks = if steps.cursor == cursor {
                    breaks + 1
                } else {
                    1
                };
                cursor = steps.cursor;
                if breaks > MOST_BREAKS {
                    let what = "the host breaks off the deployment's events again and again";
                    return Err(Error::new("host-failed", what)
                        .mend("its log says why: host.log in its state folder"));
                }
                reattach(context, client, steps).await?;
                tokio::time::sleep(PAUSE * (breaks - 1)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(finished) = steps.finished.take() {
            return Ok(End::Finished(finished));
        }
    }
}

async fn events(
    client: &Client,
    place: &Place,
    deployment: DeploymentNumber,
    steps: &mut Steps<'_>,
) -> std::result::Result<(), ClientError> {
    let query = EventQuery {
        after: steps.cursor,
        app: Some(place.app.to_string()),
        environment: Some(place.environment.to_string()),
        deployment: Some(deployment.0),
        last: None,
        follow: true,
    };
    let mut lines = client
        .lines::<Event>(&path::query("/v1/events", &query))
        .await?;
    while steps.finished.is_none() {
        match lines.next().await? {
            Some(event) => steps.event(&event),
            None => break,
        }
    }
    Ok(())
}

/// The host went away in the middle: brings it back, where nobody else does, and goes on.
async fn reattach(context: &Context, client: &Client, steps: &Steps<'_>) -> Result {
    if host::running(client).await?.is_some() {
        return Ok(());
    }
    steps.remark("the host went away; starting it again, the deployment goes on from its journal");
    host::start(&context.environment, client, false).await?;
    Ok(())
}

/// Says what became of a deployment that an earlier command or host left unfinished, and follows
/// it to its end where it still goes on. Somebody else's that goes on is a reason to stop here.
pub async fn carry_on(
    context: &Context,
    client: &Client,
    place: &Place,
    host_started: bool,
) -> Result {
    let status: AppStatus = match client.get(&place.path("status")).await {
        Ok(status) => status,
        Err(ClientError::Refused(failure)) if failure.name == "not-deployed" => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let Some(last) = status.last else {
        return Ok(());
    };
    let said = described(&last);
    let unfinished = last.outcome.is_none();
    if !unfinished && !host_started {
        return Ok(());
    }
    let detail: DeploymentDetail = client
        .get(&place.path(&format!("deployments/{}", last.number)))
        .await?;
    let taken_up = detail
        .records
        .iter()
        .any(|record| matches!(record, Record::TakenUp { .. }));
    let live = |live: Option<ReleaseNumber>| {
        live.map_or("nothing".to_owned(), |live| format!("release {live}"))
    };
    match (unfinished, taken_up) {
        (true, true) => {
            context.output.say(format!(
                "{}: {said} was left unfinished; it is carried on first",
                place.environment
            ));
            let mut steps = Steps::new(&context.output);
            match follow(context, client, place, last.number, &mut steps).await? {
                End::Detached => Err(detached(context, place, last.number)),
                End::Finished(finished) => {
                    let (outcome, live) =
                        (plain::outcome(Some(finished.outcome)), live(finished.live));
                    context.output.say(format!(
                        "Deployment {}: {outcome}; {live} serves.",
                        last.number
                    ));
                    Ok(())
                }
            }
        }
        (true, false) => Err(Error::new("locked", format!("{said} goes on"))
            .mend(format!("wait for it: landfall events -f{}", place.flag()))),
        (false, true) => {
            let (outcome, live) = (plain::outcome(last.outcome), live(status.live));
            context.output.say(format!(
                "{}: {said} was left unfinished; the host carried it on: {outcome}, {live} serves",
                place.environment
            ));
            Ok(())
        }
        (false, false) => Ok(()),
    }
}

fn described(last: &DeploymentSummary) -> String {
    let (what, begun) = (
        plain::purpose(last.purpose),
        plain::ago(last.started_at, plain::now()),
    );
    format!(
        "deployment {} ({what} of release {} by {}, begun {begun})",
        last.number, last.release, last.by
    )
}

/// What is said to somebody who leaves.
fn detached(context: &Context, place: &Place, number: DeploymentNumber) -> Error {
    if context.output.json() {
        context
            .output
            .data("detached", &serde_json::json!({ "deployment": number }));
    }
    let after = format!(
        "\nDetached; deployment {number} goes on. Follow it: landfall events -f{flag}. Its end: landfall deployments {number}{flag}",
        flag = place.flag()
    );
    Error {
        after: Some(after),
        ..Error::said(Exit::Partial)
    }
}

/// Follows what the host accepted; `Ok` holds how it ended well.
pub async fn accepted(
    context: &Context,
    client: &Client,
    place: &Place,
    accepted: &Accepted,
    steps: &mut Steps<'_>,
) -> Result<Finished> {
    steps.cursor = accepted.cursor;
    let end = follow(context, client, place, accepted.deployment, steps).await?;
    ended(context, place, accepted, end)
}

/// The same for `up`, which doesn't leave its app behind: Ctrl-C stops the app once the deployment
/// ended, since until then nobody could say which release to stop. A second one leaves it.
pub async fn attached(
    context: &Context,
    client: &Client,
    place: &Place,
    accepted: &Accepted,
    steps: &mut Steps<'_>,
) -> Result<Finished> {
    steps.cursor = accepted.cursor;
    let end = follow(context, client, place, accepted.deployment, steps).await?;
    if matches!(end, End::Finished(_)) {
        return ended(context, place, accepted, end);
    }
    steps.remark("it stops once this deployment ended; Ctrl-C again leaves it to itself");
    match follow(context, client, place, accepted.deployment, steps).await? {
        End::Finished(finished) if finished.live.is_some() => {
            let _: serde_json::Value = client.post(&place.path("stop"), &()).await?;
            context.output.say(format!("Stopped {}.", place.app));
            Err(Error::said(Exit::Done))
        }
        end => ended(context, place, accepted, end).and(Err(Error::said(Exit::Done))),
    }
}

fn ended(context: &Context, place: &Place, accepted: &Accepted, end: End) -> Result<Finished> {
    match end {
        End::Detached => Err(detached(context, place, accepted.deployment)),
        End::Finished(finished) if finished.outcome == Outcome::Done => {
            if context.output.json() {
                context.output.data("deployment", &accepted);
            }
            Ok(finished)
        }
        End::Finished(finished) => Err(failure(place, accepted, finished)),
    }
}

/// The block that a failed deployment ends with.
fn failure(place: &Place, accepted: &Accepted, finished: Finished) -> Error {
    let failure = match finished.failure.clone() {
        Some(failure) => *failure,
        None => Failure::new(
            "not-undone",
            "the deployment failed, and its reason is not known",
        ),
    };
    let exit = Exit::of_outcome(finished.outcome, Some(&failure));
    let live = finished.live.map_or("Nothing serves".to_owned(), |live| {
        format!("Release {live} serves{}", failed_requests(&finished))
    });
    let undone = match finished.outcome {
        Outcome::NotUndone => " The undo failed too: look before anything else.",
        _ => "",
    };
    let number = accepted.deployment;
    let after = format!(
        "{live}.{undone} All of it: landfall deployments {number}{}",
        place.flag()
    );
    Error {
        failure: Some(Box::new(failure)),
        text: None,
        after: Some(after),
        exit,
    }
}

/// Where the live release answers, the best address first.
pub async fn addresses(client: &Client, place: &Place) -> Result<Vec<String>> {
    let status: AppStatus = client.get(&place.path("status")).await?;
    Ok(status
        .services
        .into_iter()
        .flat_map(|service| service.urls)
        .collect())
}
