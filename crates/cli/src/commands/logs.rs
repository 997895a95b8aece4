//! `landfall logs`: the app's log lines, found by time, process and text.

use jiff::{Timestamp, civil, tz::TimeZone};
use landfall_api::{
    Client, path,
    wire::{AppStatus, LogLine, LogQuery},
};
use landfall_app::units::Time;

use crate::{
    app_file,
    arguments::Logs,
    context::{Context, Place},
    host,
    report::{self, Error, Result},
    view::{log::LogView, plain},
};

/// So many without any limit.
const LAST: usize = 100;

pub fn run(context: &Context, arguments: &Logs) -> Result {
    let place = app_file::place(context)?;
    let zone = TimeZone::system();
    let now = Timestamp::now();
    let time = |text: &Option<String>| {
        text.as_deref()
            .map(|text| point(text, now, &zone))
            .transpose()
    };
    let (since, until) = (time(&arguments.since)?, time(&arguments.until)?);
    let limited = since.is_some() || until.is_some() || arguments.grep.is_some();
    let mut query = LogQuery {
        service: arguments.service.clone(),
        process: arguments.process.clone(),
        since,
        until,
        grep: arguments.grep.clone(),
        last: arguments.last.or((!limited).then_some(LAST)),
        follow: arguments.follow,
    };
    let client = host::client(&context.environment);
    context.block_on(async {
        let status: AppStatus = client.get(&place.path("status")).await?;
        name_process(&status, &mut query)?;
        let lines = follow(context, &client, &place, &query, &status).await?;
        if let (0, Some(text)) = (lines, &query.grep) {
            context.output.remark(&nothing_found(text, &query, &zone));
        }
        Ok(())
    })
}

/// `logs agent` means the process where no service is called so.
fn name_process(status: &AppStatus, query: &mut LogQuery) -> Result {
    let Some(name) = query.service.clone() else {
        return Ok(());
    };
    let services: Vec<&str> = status
        .services
        .iter()
        .map(|service| service.service.as_str())
        .chain(status.backing.iter().map(|backing| backing.name.as_str()))
        .collect();
    if services.contains(&name.as_str()) {
        return Ok(());
    }
    let processes = processes(status);
    if query.process.is_none() && processes.contains(&name.as_str()) {
        query.process = query.service.take();
        return Ok(());
    }
    Err(Error::new(
        "unknown-service",
        format!("no service or process is called {name}"),
    )
    .with("services", services.join(", "))
    .with("processes", processes.join(", ")))
}

fn processes(status: &AppStatus) -> Vec<&str> {
    let instances = status
        .services
        .iter()
        .flat_map(|service| &service.instances);
    let mut processes: Vec<&str> = instances
        .filter_map(|instance| instance.state.as_ref())
        .flat_map(|state| state.processes.iter().map(|process| process.name.as_str()))
        .collect();
    processes.sort_unstable();
    processes.dedup();
    processes
}

/// What is said where no line has the text: also how long ago was searched.
fn nothing_found(text: &str, query: &LogQuery, zone: &TimeZone) -> String {
    let clock = |at: u64| plain::clock(at / 1000, zone);
    let searched = match (query.since, query.until) {
        (None, None) => "all that is kept".to_owned(),
        (Some(since), None) => format!("from {} on", clock(since)),
        (None, Some(until)) => format!("up to {}", clock(until)),
        (Some(since), Some(until)) => format!("from {} to {}", clock(since), clock(until)),
    };
    let text = report::clean(text);
    format!("No lines match `{text}`. Searched: {searched}, with upper and lower case as given.")
}

/// Prints lines until there are no more; how many.
pub async fn follow(
    context: &Context,
    client: &Client,
    place: &Place,
    query: &LogQuery,
    status: &AppStatus,
) -> Result<usize> {
    let mut view = LogView::new(&context.output, processes(status));
    let mut lines = client
        .lines::<LogLine>(&path::query(&place.path("logs"), query))
        .await?;
    let mut count = 0;
    while let Some(line) = lines.next().await? {
        view.line(&line);
        count += 1;
        if context.output.closed() {
            break;
        }
    }
    Ok(count)
}

/// A time in microseconds since the Unix epoch: so long ago, a time of day, a date and time.
fn point(text: &str, now: Timestamp, zone: &TimeZone) -> Result<u64> {
    let bad = || {
        Error::new("bad-time", format!("`{text}` is not a time"))
            .mend("so long ago (2h, 30m), a time of today (12:04), or a date (2026-01-31T12:04:00)")
    };
    let at = if let Ok(ago) = text.parse::<Time>() {
        now.checked_sub(ago.duration()).map_err(|_| bad())?
    } else if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Ok(at) = text.parse::<civil::DateTime>() {
        at.to_zoned(zone.clone()).map_err(|_| bad())?.timestamp()
    } else {
        let time = text.parse::<civil::Time>().map_err(|_| bad())?;
        let today = now.to_zoned(zone.clone()).date();
        today
            .to_datetime(time)
            .to_zoned(zone.clone())
            .map_err(|_| bad())?
            .timestamp()
    };
    u64::try_from(at.as_microsecond()).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_found_says_where_it_was_searched() {
        let mut query = LogQuery::default();
        assert_eq!(
            nothing_found("X", &query, &TimeZone::UTC),
            "No lines match `X`. Searched: all that is kept, with upper and lower case as given."
        );
        query.since = Some(0);
        query.until = Some(60_000_000);
        let text = nothing_found("X", &query, &TimeZone::UTC);
        assert!(
            text.contains("from 1970-01-01 00:00:00 to 1970-01-01 00:01:00"),
            "{text}"
        );
    }

    #[test]
    fn points_in_time() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let read = |text: &str| {
            let at = point(text, now, &TimeZone::UTC).unwrap();
            Timestamp::from_microsecond(i64::try_from(at).unwrap())
                .unwrap()
                .to_string()
        };
        assert_eq!(read("2h"), "2026-01-31T10:00:00Z");
        assert_eq!(read("90s"), "2026-01-31T11:58:30Z");
        assert_eq!(read("11:04"), "2026-01-31T11:04:00Z");
        assert_eq!(read("2026-01-30"), "2026-01-30T00:00:00Z");
        assert_eq!(read("2026-01-30T08:00:00"), "2026-01-30T08:00:00Z");
        assert_eq!(read("2026-01-30T08:00:00+02:00"), "2026-01-30T06:00:00Z");
        for bad in ["", "yesterday", "2 hours", "25:00"] {
            assert!(point(bad, now, &TimeZone::UTC).is_err(), "{bad}");
        }
    }
}
