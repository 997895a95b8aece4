//! `landfall up`: the app on this machine, its logs on this terminal.

use std::time::Instant;

use landfall_api::{
    Client,
    wire::{AppStatus, LogQuery},
};
use serde_json::Value;
use tokio::signal::unix::Signal;

use crate::{
    app_file,
    arguments::Up,
    commands::{
        deploy::{Deployed, deploy},
        logs,
    },
    context::{Context, Place},
    exit::Exit,
    host, prepare,
    report::{Error, Result},
    view::plain,
};

pub fn run(context: &Context, arguments: &Up) -> Result {
    let began = Instant::now();
    let app_file = app_file::read(context)?;
    let local = app_file::local();
    if context
        .global
        .environment
        .as_deref()
        .is_some_and(|named| named != local.as_str())
    {
        return Err(Error {
            exit: Exit::Usage,
            ..Error::new("unknown-environment", "up always means local")
        }
        .mend("landfall deploy, with the environment's name"));
    }
    let images = (&arguments.images).into();
    let sources = prepare::sources(context, &app_file, &local, true, images)?;
    let started_at = plain::now();
    let Some(deployed) = deploy(context, sources, !arguments.detach, began)? else {
        return Ok(());
    };
    context.output.say(summary(&deployed, arguments.detach));
    if arguments.detach {
        return Ok(());
    }
    let place = deployed.place.clone();
    context.block_on(async {
        let interrupt = context.interrupt()?;
        follow_logs(context, &deployed.client, &place, started_at, interrupt).await
    })
}

/// `Up in 15.7s: build 14.2, your app 1.3, Landfall 0.2`, and where it answers.
fn summary(deployed: &Deployed, detached: bool) -> String {
    let seconds = |milliseconds: u64| format!("{:.1}", milliseconds as f64 / 1000.0);
    let rest = deployed
        .took
        .saturating_sub(deployed.times.build + deployed.times.app);
    let mut text = format!(
        "Up in {}: build {}, your app {}, Landfall {}",
        plain::took(deployed.took),
        seconds(deployed.times.build),
        seconds(deployed.times.app),
        seconds(rest)
    );
    let hint = if detached {
        "landfall logs -f follows it, landfall down ends it"
    } else {
        "Ctrl-C stops it"
    };
    text.push_str(&format!(
        "\n  {}     {hint}",
        plain::addresses(&deployed.addresses)
    ));
    text
}

/// The logs until Ctrl-C, which stops the app; the second one leaves at once.
async fn follow_logs(
    context: &Context,
    client: &Client,
    place: &Place,
    since: u64,
    mut interrupt: Signal,
) -> Result {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| {
        Error::new("host-failed", format!("can't wait for signals: {error}"))
    })?;
    let status: AppStatus = client.get(&place.path("status")).await?;
    let query = LogQuery {
        since: Some(since * 1000),
        follow: true,
        ..LogQuery::default()
    };
    tokio::select! {
        followed = logs::follow(context, client, place, &query, &status) => {
            return ended(context, client, place, followed.map(|_| ())).await;
        }
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    context.output.say(format!(
        "\nStopping {} (Ctrl-C again leaves it to itself)",
        place.app
    ));
    let path = place.path("stop");
    tokio::select! {
        stopped = client.post::<Value>(&path, &()) => { stopped?; }
        _ = interrupt.recv() => {
            context.output.say(format!("Left. How it is: landfall status{}", place.flag()));
            return Ok(());
        }
    }
    context
        .output
        .say("Stopped. Its releases and logs stay; landfall up brings it back.");
    Ok(())
}

/// The logs came to an end, although nobody here asked for it.
async fn ended(context: &Context, client: &Client, place: &Place, followed: Result) -> Result {
    if context.output.closed() {
        return Ok(());
    }
    if host::running(client).await?.is_none() {
        let app = &place.app;
        return Err(Error::new(
            "no-host",
            format!("the host ended while {app} was followed"),
        )
        .mend("landfall host start finds what still runs, landfall up follows it again"));
    }
    context.output.say(format!("{} was taken down.", place.app));
    followed
}
