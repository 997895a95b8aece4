//! `landfall events`: what happened, in order.

use jiff::tz::TimeZone;
use landfall_api::{path, wire::EventQuery};
use landfall_release::Event;

use crate::{app_file, arguments::Events, context::Context, host, report::Result, view::event};

/// So many without `-n`.
const LAST: usize = 50;

pub fn run(context: &Context, arguments: &Events) -> Result {
    let place = if arguments.all {
        None
    } else {
        Some(app_file::place(context)?)
    };
    let query = EventQuery {
        after: arguments.after,
        app: place.as_ref().map(|place| place.app.to_string()),
        environment: place.as_ref().map(|place| place.environment.to_string()),
        deployment: None,
        last: arguments.last.or((arguments.after == 0).then_some(LAST)),
        follow: arguments.follow,
    };
    let client = host::client(&context.environment);
    let zone = TimeZone::system();
    context.block_on(async {
        let mut events = client
            .lines::<Event>(&path::query("/v1/events", &query))
            .await?;
        while let Some(next) = events.next().await? {
            event::print(&context.output, &next, &zone);
            if context.output.closed() {
                break;
            }
        }
        Ok(())
    })
}
