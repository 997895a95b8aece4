//! A cron line as calendar events of systemd. Each field becomes a list of numbers, so that nothing depends on
//! how either reads steps.

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// The events of a cron line in a time zone. Two where the line names days of the month and of the week: cron
/// then means either, and an event of systemd means both.
pub(super) fn events(schedule: &str, zone: &str) -> Option<Vec<String>> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return None;
    };
    let number = |text: &str| text.parse::<u32>().ok();
    let named = |names: &'static [&str], first: u32| {
        move |text: &str| {
            let at = names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(text));
            at.and_then(|at| Some(u32::try_from(at).ok()? + first))
                .or_else(|| number(text))
        }
    };
    let time = format!(
        "{}:{}:00",
        list(hour, 0, 23, number)?,
        list(minute, 0, 59, number)?
    );
    let month = list(month, 1, 12, named(&MONTHS, 1))?;
    let days = list(day, 1, 31, number)?;
    let of_week = values(weekday, 0, 7, named(&WEEKDAYS, 0))?.map(|numbers| {
        let mut numbers: Vec<usize> = numbers.into_iter().map(|it| it as usize % 7).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let names: Vec<&str> = numbers.into_iter().map(|it| WEEKDAYS[it]).collect();
        names.join(",")
    });
    let event = |weekdays: Option<&str>, days: &str| {
        let weekdays = weekdays.map(|it| format!("{it} ")).unwrap_or_default();
        format!("{weekdays}*-{month}-{days} {time} {zone}")
    };
    Some(match (&of_week, days.as_str()) {
        (None, days) => vec![event(None, days)],
        (Some(of_week), "*") => vec![event(Some(of_week), "*")],
        (Some(of_week), days) => vec![event(None, days), event(Some(of_week), "*")],
    })
}

/// A field as `*` or a list of numbers.
fn list(
    field: &str,
    least: u32,
    most: u32,
    number: impl Fn(&str) -> Option<u32>,
) -> Option<String> {
    Some(match values(field, least, most, number)? {
        None => "*".to_owned(),
        Some(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(|it| format!("{it:02}")).collect();
            numbers.join(",")
        }
    })
}

/// The numbers of a field, in order; the inner none for all of them.
#[expect(
    clippy::option_option,
    reason = "a field that can't be read isn't one that names everything"
)]
fn values(
    field: &str,
    least: u32,
    most: u32,
    number: impl Fn(&str) -> Option<u32>,
) -> Option<Option<Vec<u32>>> {
    if field == "*" {
        return Some(None);
    }
    let mut found = Vec::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let step: u32 = step.parse().ok().filter(|step| *step > 0)?;
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, if most == 7 { 6 } else { most }),
            Some((first, last)) => (number(first)?, number(last)?),
            // `5/10` goes on to the end, a lone `5` doesn't.
            None if item.contains('/') => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if first < least || last > most || first > last {
            return None;
        }
        found.extend((first..=last).step_by(step as usize));
    }
    found.sort_unstable();
    found.dedup();
    Some(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(schedule: &str) -> String {
        let events = events(schedule, "UTC").unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].clone()
    }

    #[test]
    fn fields_become_lists() {
        assert_eq!(one("30 2 * * *"), "*-*-* 02:30:00 UTC");
        assert_eq!(one("*/15 * * * *"), "*-*-* *:00,15,30,45:00 UTC");
        assert_eq!(
            one("0 9-17/4 * * mon-fri"),
            "Mon,Tue,Wed,Thu,Fri *-*-* 09,13,17:00:00 UTC"
        );
        assert_eq!(one("0 0 * * 7"), "Sun *-*-* 00:00:00 UTC");
        assert_eq!(one("0 0 * * 5-7"), "Sun,Fri,Sat *-*-* 00:00:00 UTC");
        assert_eq!(one("0 0 1 jan,JUL *"), "*-01,07-01 00:00:00 UTC");
        assert_eq!(one("0 0 */10 * *"), "*-*-01,11,21,31 00:00:00 UTC");
    }

    #[test]
    fn days_of_month_and_week_together_mean_either() {
        assert_eq!(
            events("0 4 13 * fri", "Europe/Berlin").unwrap(),
            [
                "*-*-13 04:00:00 Europe/Berlin",
                "Fri *-*-* 04:00:00 Europe/Berlin"
            ]
        );
    }

    #[test]
    fn what_is_no_line_is_none() {
        for line in ["", "* * * *", "60 * * * *", "5-1 * * * *", "@daily"] {
            assert_eq!(events(line, "UTC"), None, "{line}");
        }
    }
}
