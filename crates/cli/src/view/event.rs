//! Events as a list.

use jiff::tz::TimeZone;
use landfall_release::Event;

use crate::{output::Output, view::plain};

/// Prints an event.
pub fn print(output: &Output, event: &Event, zone: &TimeZone) {
    if output.json() {
        return output.data("event", event);
    }
    output.print(&render(event, &plain::clock(event.at, zone)));
}

fn render(event: &Event, at: &str) -> String {
    let mut place = match (&event.app, &event.environment) {
        (Some(app), Some(environment)) => format!("{app}/{environment}"),
        (Some(app), None) => app.to_string(),
        (None, _) => "host".to_owned(),
    };
    if let Some(deployment) = event.deployment {
        place.push_str(&format!(" #{deployment}"));
    }
    format!(
        "{at} {:>5}  {place:<24}  {}",
        event.sequence,
        plain::event(&event.kind)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_release::{DeploymentNumber, EventKind, Purpose, ReleaseNumber};

    #[test]
    fn an_event_in_a_line() {
        let event = Event {
            sequence: 7,
            at: 0,
            app: Some("shop".parse().unwrap()),
            environment: Some("local".parse().unwrap()),
            deployment: Some(DeploymentNumber(2)),
            kind: EventKind::DeploymentStarted {
                purpose: Purpose::Deploy,
                release: ReleaseNumber(2),
                from: Some(ReleaseNumber(1)),
                by: "ann@desk".to_owned(),
            },
        };
        let text = render(&event, "12:00:00");
        assert_eq!(
            text,
            "12:00:00     7  shop/local #2             deploy begun by ann@desk: release 1 → release 2"
        );
    }
}
