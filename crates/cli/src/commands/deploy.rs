//! `landfall deploy`: make a release and make it live.

use std::{collections::BTreeMap, time::Instant};

use landfall_api::{
    Client, ClientError,
    wire::{Accepted, AppStatus, Condition},
};
use landfall_app::Name;
use landfall_release::{Release, ReleaseNumber};

use crate::{
    app_file,
    arguments::Deploy,
    commands::{change::failed_requests, plan},
    context::{Context, Place},
    follow, host,
    prepare::{self, Sources},
    report::Result,
    view::{
        plain,
        steps::{Finished, Steps, Times},
    },
};

/// What came of a deployment that went well.
pub struct Deployed {
    pub client: Client,
    pub place: Place,
    pub accepted: Accepted,
    pub finished: Finished,
    pub times: Times,
    pub addresses: Vec<String>,
    /// The whole, in milliseconds.
    pub took: u64,
}

pub fn run(context: &Context, arguments: &Deploy) -> Result {
    let began = Instant::now();
    let app_file = app_file::read(context)?;
    let environment = app_file.meant(context, arguments.place.as_deref())?;
    let sources = prepare::sources(
        context,
        &app_file,
        &environment,
        arguments.allow_dirty,
        (&arguments.images).into(),
    )?;
    let planned = planned(context, &sources, false)?;
    if planned.stays(context, &sources.place) {
        return Ok(());
    }
    let deployed = carry_out(context, sources, planned, false, began)?;
    let serves = match deployed.addresses.first() {
        Some(address) => format!(" serves {address}"),
        None => " runs (no address, since no service has a `port`)".to_owned(),
    };
    let undo = match deployed.accepted.from {
        Some(from) if from != deployed.accepted.release => {
            format!(" Undo: landfall rollback{}", deployed.place.flag())
        }
        _ => String::new(),
    };
    let (number, took) = (deployed.accepted.release, plain::took(deployed.took));
    context.output.say(format!(
        "Release {number}{serves}, {took} after the command{}.{undo}",
        failed_requests(&deployed.finished)
    ));
    Ok(())
}

/// What a deployment starts from.
struct Planned {
    client: Client,
    /// The first address of each service, as far as the host knows it.
    by_service: BTreeMap<Name, String>,
    /// All addresses where it serves.
    addresses: Vec<String>,
    live: Option<Release>,
    /// The release that is live, healthy, and all that the file asks for.
    unchanged: Option<ReleaseNumber>,
}

impl Planned {
    /// Whether what runs is what the file asks for; then says so, and there is nothing more to do.
    fn stays(&self, context: &Context, place: &Place) -> bool {
        let Some(number) = self.unchanged else {
            return false;
        };
        if context.output.json() {
            let unchanged = serde_json::json!({ "release": number });
            context.output.data("unchanged", &unchanged);
        }
        let serves = match self.addresses.first() {
            Some(address) => format!("serves {address}"),
            None => "runs".to_owned(),
        };
        context.output.say(format!(
            "Release {number} {serves} already. landfall restart{} gives it new processes.",
            place.flag()
        ));
        true
    }
}

/// Plans, builds, submits, follows. None where everything is as the file says already, which was said.
pub fn deploy(
    context: &Context,
    sources: Sources,
    attached: bool,
    began: Instant,
) -> Result<Option<Deployed>> {
    let planned = planned(context, &sources, attached)?;
    if planned.stays(context, &sources.place) {
        return Ok(None);
    }
    carry_out(context, sources, planned, attached, began).map(Some)
}

/// Says what would change. `attached` wants new processes also where nothing does.
fn planned(context: &Context, sources: &Sources, attached: bool) -> Result<Planned> {
    let place = &sources.place;
    context.block_on(async {
        let (client, _, started) = host::ensure(&context.environment, attached).await?;
        if started {
            context
                .output
                .say(format!("Started a host for {}.", context.environment.user));
        }
        follow::carry_on(context, &client, place, started).await?;
        let (plan, observed) = plan::make(Some(&client), sources, &BTreeMap::new()).await?;
        if context.output.json() {
            context.output.data("plan", &plan);
        }
        context.output.say(plan::head(&plan, sources));
        let status = status(&client, place).await?;
        let lines = plan::lines(&plan);
        let as_it_is = plan.from.filter(|_| lines.is_empty());
        let well = status
            .as_ref()
            .is_some_and(|status| status.condition == Condition::Healthy);
        let unchanged = as_it_is.filter(|_| well && !attached && !sources.images.ask());
        match (as_it_is, unchanged) {
            (_, Some(_)) => context.output.say("  nothing to change"),
            (Some(_), None) => context
                .output
                .say("  nothing to change; new processes of the same release"),
            (None, None) if plan.from.is_some() => context.output.say(lines),
            (None, None) => {}
        }
        let services = || status.iter().flat_map(|status| &status.services);
        Ok(Planned {
            client,
            by_service: services()
                .filter_map(|service| {
                    Some((service.service.clone(), service.urls.first()?.clone()))
                })
                .collect(),
            addresses: services()
                .filter_map(|service| service.urls.first().cloned())
                .collect(),
            live: observed.and_then(|observed| observed.live),
            unchanged,
        })
    })
}

/// Builds, submits, follows.
fn carry_out(
    context: &Context,
    mut sources: Sources,
    planned: Planned,
    attached: bool,
    began: Instant,
) -> Result<Deployed> {
    let place = sources.place.clone();
    let Planned {
        client,
        by_service: addresses,
        live,
        ..
    } = planned;
    sources.live = live.map_or_else(BTreeMap::new, |live| live.content.artifacts);
    let mut steps = Steps::new(&context.output);
    let built = prepare::build(context, &sources, &addresses, &mut steps)?;
    let submission = sources.submission(built, context.environment.by(), attached);
    context.block_on(async {
        let accepted: Accepted = client.post(&place.path("deployments"), &submission).await?;
        drop(submission);
        let finished = match attached {
            true => follow::attached(context, &client, &place, &accepted, &mut steps).await?,
            false => follow::accepted(context, &client, &place, &accepted, &mut steps).await?,
        };
        let addresses = follow::addresses(&client, &place).await?;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Deployed {
            client: client.clone(),
            place: place.clone(),
            accepted,
            finished,
            times: steps.times,
            addresses,
            took,
        })
    })
}

/// How the environment is, where anything was deployed.
pub async fn status(client: &Client, place: &Place) -> Result<Option<AppStatus>> {
    match client.get::<AppStatus>(&place.path("status")).await {
        Ok(status) => Ok(Some(status)),
        Err(ClientError::Refused(failure)) if failure.name == "not-deployed" => Ok(None),
        Err(error) => Err(error.into()),
    }
}
