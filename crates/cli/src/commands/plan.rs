//! `landfall plan`: what a deployment would change, and why.

use std::collections::BTreeMap;

use landfall_api::{
    Client, ClientError,
    wire::{Observed, SecretVersion},
};
use landfall_build::History;
use landfall_redact::Secret;
use landfall_release::{Artifact, Desired, Plan, PlanKind, PlanLine};

use crate::{
    app_file, arguments,
    context::{Context, Place},
    host,
    prepare::{self, Sources, images::ImageOptions},
    report::Result,
    view::{plain, table::Table},
};

pub fn run(context: &Context, arguments: &arguments::Plan) -> Result {
    let app_file = app_file::read(context)?;
    let environment = app_file.meant(context, arguments.place.as_deref())?;
    // A plan changes nothing, so that uncommitted changes are no reason to refuse it.
    let images = ImageOptions {
        given: arguments.given.clone(),
        ..ImageOptions::default()
    };
    let sources = prepare::sources(context, &app_file, &environment, true, images)?;
    let (plan, _) = context.block_on(async {
        // Without a host that ever ran nothing runs either; one that is gone must say what does.
        let (client, _) = host::again(context).await?;
        let running = host::running(&client).await?.is_some();
        make(running.then_some(&client), &sources, &BTreeMap::new()).await
    })?;
    if context.output.json() {
        context.output.data("plan", &plan);
        return Ok(());
    }
    context.output.print(&head(&plan, &sources));
    for line in lines(&plan).lines() {
        context.output.print(line);
    }
    if plan.is_empty() {
        context.output.say("Nothing to change.");
    } else {
        context
            .output
            .say(format!("Do it: landfall deploy {environment}"));
    }
    Ok(())
}

/// The plan from what runs to what the sources say.
pub async fn make(
    client: Option<&Client>,
    sources: &Sources,
    artifacts: &BTreeMap<landfall_app::Name, Artifact>,
) -> Result<(Plan, Option<Observed>)> {
    let (mut observed, mut versions) = (None, None);
    if let Some(client) = client {
        observed = self::observed(client, &sources.place).await?;
        versions = self::versions(client, &sources.place, &sources.secrets).await?;
    }
    let desired = Desired {
        source: sources.snapshot.version.clone(),
        app: sources.resolved.app.clone(),
        artifacts: artifacts
            .iter()
            .map(|(name, artifact)| (name.clone(), artifact.digest.clone()))
            .collect(),
        secrets: versions,
    };
    let scaled = observed
        .as_ref()
        .map(|observed| observed.scaled.clone())
        .unwrap_or_default();
    let live = observed
        .as_ref()
        .and_then(|observed| observed.live.as_ref());
    let mut plan = landfall_release::plan(&desired, live, &scaled);
    if let Some(live) = live
        && let (Some(from), Some(to)) = (&live.content.source.commit, &desired.source.commit)
        && let Some(history) = History::between(&sources.folder, from, to)
    {
        plan.describe_code(history.to_string());
    }
    for (service, reference) in &sources.images.given {
        plan.give_image(service, reference, live);
    }
    Ok((plan, observed))
}

/// What the host says is live; none where it has never heard of the app.
async fn observed(client: &Client, place: &Place) -> Result<Option<Observed>> {
    match client.get(&place.path("observed")).await {
        Ok(observed) => Ok(Some(observed)),
        Err(ClientError::Refused(failure)) if failure.name == "not-deployed" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn versions(
    client: &Client,
    place: &Place,
    secrets: &BTreeMap<String, Secret>,
) -> Result<Option<BTreeMap<String, u32>>> {
    if secrets.is_empty() {
        return Ok(Some(BTreeMap::new()));
    }
    // To the host's own socket, whose peer is this user.
    let values: BTreeMap<&str, &str> = secrets
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    match client
        .post::<BTreeMap<String, SecretVersion>>(&place.path("secrets/versions"), &values)
        .await
    {
        Ok(versions) => Ok(Some(
            versions
                .into_iter()
                .map(|(name, version)| (name, version.version))
                .collect(),
        )),
        Err(ClientError::Refused(failure)) if failure.name == "not-deployed" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `local: release 11 (9b1e07c) → 4f2c9ae, uncommitted changes`
pub fn head(plan: &Plan, sources: &Sources) -> String {
    let from = plan.from.map_or("first release".to_owned(), |from| {
        format!("release {from} →")
    });
    format!(
        "{}: {from} {}",
        plan.environment,
        plain::source(&sources.snapshot.version)
    )
}

/// The lines of a plan, aligned.
pub fn lines(plan: &Plan) -> String {
    table(plan.lines().iter())
}

/// Some lines of a plan, aligned.
pub fn table<'p>(lines: impl Iterator<Item = &'p PlanLine>) -> String {
    let mut table = Table::new(2);
    for line in lines {
        table.row([line.kind.word().to_owned(), change(line)]);
    }
    table.render()
}

fn change(line: &PlanLine) -> String {
    let values = match (&line.from, &line.to) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (None, Some(to)) => format!("+ {to}"),
        // What would be built is known once it is.
        (Some(_), None) if line.kind == PlanKind::Build => String::new(),
        (Some(from), None) => format!("- {from}"),
        (None, None) => String::new(),
    };
    let why = line.why.as_ref().map(|why| format!("({why})"));
    let parts = [line.subject.clone(), values, why.unwrap_or_default()];
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join("  ")
}
