//! When something is due: a cron line in a time zone, pure.
//!
//! A line that names its hours is due once for each time that it names, whatever the clocks do: a
//! time that doesn't exist on the day when they go forward is due right after the gap, and one that
//! comes twice when they go back is due the first time. A line with a `*` in its hours goes by what
//! really passes: each hour, also those that come twice.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Why a schedule can't be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// No cron line of five fields.
    #[error("`{line}` is no cron line of five fields: {why}")]
    Line {
        /// The line.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// No time zone that this machine knows.
    #[error("this machine knows no time zone `{zone}`")]
    Zone {
        /// Its name.
        zone: String,
    },
    /// It never comes.
    #[error("`{line}` never comes: no day fits it")]
    Never {
        /// The line.
        line: String,
    },
}

/// A line that names more times of day than this goes by what really passes, as with a `*`.
const MOST_TIMES: usize = 96;

/// A cron line in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    whole: Cron,
    /// One for each time of day that the line names, since only a single time is kept through a
    /// change of the clocks; the whole where it names none.
    parts: Vec<Cron>,
    zone: TimeZone,
}

impl Schedule {
    /// Reads a cron line of five fields and the name of a time zone.
    pub fn parse(line: &str, zone: &str) -> Result<Self, ScheduleError> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let bad = |why: String| ScheduleError::Line {
            line: line.to_owned(),
            why,
        };
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minutes, hours, days @ ..] = fields.as_slice() else {
            return Err(bad("there are fewer fields".to_owned()));
        };
        let parse = |line: &str| parser.parse(line).map_err(|error| bad(error.to_string()));
        let whole = parse(line)?;
        let parts: Vec<Cron> = times(hours, minutes)
            .into_iter()
            .map(|(hour, minute)| parse(&format!("{minute} {hour} {}", days.join(" "))))
            .collect::<Result<_, _>>()?;
        let parts = match parts.as_slice() {
            [] => vec![whole.clone()],
            _ => parts,
        };
        let found = match zone {
            "UTC" => TimeZone::UTC,
            zone => TimeZone::get(zone).map_err(|_| ScheduleError::Zone {
                zone: zone.to_owned(),
            })?,
        };
        let schedule = Self {
            whole,
            parts,
            zone: found,
        };
        // The calendar repeats itself after 28 years at most, so any moment shows it.
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never {
                line: line.to_owned(),
            }),
        }
    }

    /// The first time that it is due after a moment, in milliseconds since the Unix epoch.
    pub fn next_after(&self, at: u64) -> Option<u64> {
        let from = self.local(at)?;
        let next = |cron: &Cron| cron.find_next_occurrence(&from, false).ok();
        let times = self.parts.iter().filter_map(next);
        times.filter_map(|time| milliseconds(&time)).min()
    }

    /// The last time that it was due up to a moment.
    pub fn last_until(&self, at: u64) -> Option<u64> {
        let from = self.local(at)?;
        let last = |cron: &Cron| cron.find_previous_occurrence(&from, true).ok();
        let times = self.parts.iter().filter_map(last);
        times.filter_map(|time| milliseconds(&time)).max()
    }

    /// The line in words: `At 02:30.`
    pub fn words(&self) -> String {
        self.whole.describe()
    }

    /// A moment on the zone's clocks, to the second.
    pub fn local(&self, at: u64) -> Option<Zoned> {
        let at = Timestamp::from_second(i64::try_from(at / 1000).ok()?).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }
}

/// The times of day that a line names, as hour and minute; none where it goes by what passes.
fn times(hours: &str, minutes: &str) -> Vec<(u32, u32)> {
    if hours.contains('*') {
        return Vec::new();
    }
    let (Some(hours), Some(minutes)) = (values(hours, 23), values(minutes, 59)) else {
        return Vec::new();
    };
    if hours.len() * minutes.len() > MOST_TIMES {
        return Vec::new();
    }
    let pairs = hours
        .iter()
        .flat_map(|hour| minutes.iter().map(move |minute| (*hour, *minute)));
    pairs.collect()
}

/// The numbers of a field: lists of `5`, `1-5`, `*`, each with a step or without. None where it is
/// written in another way.
fn values(field: &str, most: u32) -> Option<Vec<u32>> {
    let mut values = Vec::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (0, most),
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => (range.parse().ok()?, range.parse().ok()?),
        };
        let step: usize = step.parse().ok().filter(|step| *step > 0)?;
        values.extend((first..=last).step_by(step));
    }
    values.sort_unstable();
    values.dedup();
    Some(values)
}

fn milliseconds(at: &Zoned) -> Option<u64> {
    u64::try_from(at.timestamp().as_second())
        .ok()
        .map(|seconds| seconds * 1000)
}

/// When a line is due next after a time; none where it can't be kept.
pub fn next(line: &str, zone: &str, after: u64) -> Option<u64> {
    Schedule::parse(line, zone).ok()?.next_after(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        let at: Timestamp = text.parse().unwrap();
        u64::try_from(at.as_millisecond()).unwrap()
    }

    fn berlin(line: &str) -> Schedule {
        Schedule::parse(line, "Europe/Berlin").unwrap()
    }

    /// The next times, on the zone's clocks.
    fn next(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut moment = at(from);
        let times = std::iter::from_fn(|| {
            moment = schedule.next_after(moment)?;
            let local = schedule.local(moment)?;
            Some(local.strftime("%m-%d %H:%M%z").to_string())
        });
        times.take(count).collect()
    }

    #[test]
    fn the_change_to_summer_time_takes_no_run_away() {
        // On 2026-03-29 the clocks go from 02:00 to 03:00.
        assert_eq!(
            next(&berlin("30 2 * * *"), "2026-03-28T00:00:00Z", 3),
            ["03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200"]
        );
        assert_eq!(
            next(&berlin("0 * * * *"), "2026-03-28T23:30:00Z", 3),
            ["03-29 01:00+0100", "03-29 03:00+0200", "03-29 04:00+0200"]
        );
        assert_eq!(
            next(&berlin("30 2,3 * * *"), "2026-03-28T23:30:00Z", 2),
            ["03-29 03:00+0200", "03-29 03:30+0200"]
        );
        // Those of the gap come together, and not beside one that is due then anyway.
        assert_eq!(
            next(&berlin("*/20 2-3 * * *"), "2026-03-28T23:30:00Z", 4),
            [
                "03-29 03:00+0200",
                "03-29 03:20+0200",
                "03-29 03:40+0200",
                "03-30 02:00+0200"
            ]
        );
    }

    #[test]
    fn the_change_to_winter_time_gives_no_run_twice() {
        // On 2026-10-25 the clocks go from 03:00 back to 02:00.
        assert_eq!(
            next(&berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 2),
            ["10-25 02:30+0200", "10-26 02:30+0100"]
        );
        assert_eq!(
            next(&berlin("*/30 1,2 * * *"), "2026-10-24T22:30:00Z", 5),
            [
                "10-25 01:00+0200",
                "10-25 01:30+0200",
                "10-25 02:00+0200",
                "10-25 02:30+0200",
                "10-26 01:00+0100"
            ]
        );
        // What runs each hour goes by what passes.
        assert_eq!(
            next(&berlin("0 * * * *"), "2026-10-24T23:30:00Z", 4),
            [
                "10-25 02:00+0200",
                "10-25 02:00+0100",
                "10-25 03:00+0100",
                "10-25 04:00+0100"
            ]
        );
    }

    #[test]
    fn each_day_has_its_run_in_every_month_of_the_year() {
        for line in [
            "0 0 * * *",
            "0 2 * * *",
            "30 2 * * *",
            "59 2 * * *",
            "0 3 * * *",
        ] {
            let schedule = berlin(line);
            let times = next(&schedule, "2025-12-31T23:30:00Z", 364);
            let days: std::collections::BTreeSet<_> =
                times.iter().map(|time| time[..5].to_owned()).collect();
            assert_eq!(days.len(), 364, "{line}");
        }
    }

    #[test]
    fn ends_of_months_and_leap_years() {
        let utc = |line: &str| Schedule::parse(line, "UTC").unwrap();
        assert_eq!(
            next(&utc("0 0 31 * *"), "2026-01-31T00:00:00Z", 3),
            ["03-31 00:00+0000", "05-31 00:00+0000", "07-31 00:00+0000"]
        );
        let leap = utc("0 0 29 2 *").next_after(at("2026-01-01T00:00:00Z"));
        assert_eq!(leap, Some(at("2028-02-29T00:00:00Z")));
        assert_eq!(
            next(&utc("0 12 * * mon-fri"), "2026-10-30T13:00:00Z", 2),
            ["11-02 12:00+0000", "11-03 12:00+0000"]
        );
        // A day of the month and one of the week: either.
        assert_eq!(
            next(&utc("0 0 1 * 1"), "2026-10-27T00:00:00Z", 3),
            ["11-01 00:00+0000", "11-02 00:00+0000", "11-09 00:00+0000"]
        );
    }

    #[test]
    fn the_last_time_is_found_too() {
        let schedule = berlin("30 2 * * *");
        let last = |text| schedule.last_until(at(text));
        assert_eq!(
            last("2026-07-01T00:30:00Z"),
            Some(at("2026-07-01T00:30:00Z"))
        );
        assert_eq!(
            last("2026-07-01T00:29:59Z"),
            Some(at("2026-06-30T00:30:00Z"))
        );
    }

    #[test]
    fn a_moment_within_a_second_gives_the_same_minute_once() {
        let schedule = Schedule::parse("* * * * *", "UTC").unwrap();
        let minute = at("2026-01-01T00:01:00Z");
        assert_eq!(schedule.next_after(minute - 1), Some(minute));
        assert_eq!(schedule.next_after(minute), Some(minute + 60_000));
        assert_eq!(schedule.next_after(minute + 1), Some(minute + 60_000));
    }

    #[test]
    fn what_cannot_be_kept_says_why() {
        let why = |line, zone| Schedule::parse(line, zone).unwrap_err().to_string();
        assert!(why("30 2 * *", "UTC").contains("no cron line"));
        assert!(why("0 0 30 2 *", "UTC").contains("never comes"));
        assert!(why("0 0 * * *", "Mars/Olympus").contains("knows no time zone"));
        for line in ["@daily", "0 0 * * * *", "0 0 0 * * *", "61 * * * *", ""] {
            assert!(Schedule::parse(line, "UTC").is_err(), "{line}");
        }
    }
}
