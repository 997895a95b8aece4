//! Numbers, times and words as people read them.

use jiff::{Timestamp, tz::TimeZone};
use landfall_app::Name;
use landfall_release::{
    Direction, EventKind, Outcome, Purpose, ReleaseNumber, SourceVersion, Step,
};
use serde::Serialize;

/// `0.2s`, `14.2s`, `2m 5s`.
pub fn took(milliseconds: u64) -> String {
    // What would round up to 60.0s reads as a minute.
    match milliseconds {
        0..59_950 => format!("{:.1}s", milliseconds as f64 / 1000.0),
        _ => {
            let seconds = (milliseconds + 500) / 1000;
            match seconds {
                0..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
                _ => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
            }
        }
    }
}

/// `12s`, `3 min`, `2 h`, `5 days`.
pub fn lasting(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `12s ago`.
pub fn ago(at: u64, now: u64) -> String {
    format!("{} ago", lasting(now.saturating_sub(at)))
}

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// `121 MiB`, `1.8 GiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if bytes >= size {
            let value = bytes as f64 / size as f64;
            return match value < 10.0 && unit == "GiB" {
                true => format!("{value:.1} {unit}"),
                false => format!("{value:.0} {unit}"),
            };
        }
    }
    format!("{bytes} B")
}

/// `1 request`, `3 requests`.
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// The local time of day; with the date where it isn't today's.
pub fn clock(milliseconds: u64, zone: &TimeZone) -> String {
    let Some(at) = i64::try_from(milliseconds)
        .ok()
        .and_then(|at| Timestamp::from_millisecond(at).ok())
    else {
        return "?".to_owned();
    };
    let at = at.to_zoned(zone.clone());
    match at.date() == Timestamp::now().to_zoned(zone.clone()).date() {
        true => at.strftime("%H:%M:%S").to_string(),
        false => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    }
}

/// A word as the wire writes it: `stop-old`.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// `4f2c9ae, uncommitted changes`
pub fn source(source: &SourceVersion) -> String {
    match source.dirty {
        true => format!("{}, uncommitted changes", source.short()),
        false => source.short().to_owned(),
    }
}

/// A step as people call it.
pub fn step(step: Step) -> String {
    word(&step).replace('-', " ")
}

/// A list of names: `api, agent`.
pub fn names<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    names
        .into_iter()
        .map(Name::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where an app answers.
pub fn addresses(addresses: &[String]) -> String {
    match addresses {
        [] => "No address, since no service has a `port`.".to_owned(),
        addresses => addresses.join("   "),
    }
}

fn release(number: Option<ReleaseNumber>) -> String {
    number.map_or("nothing".to_owned(), |number| format!("release {number}"))
}

/// What a deployment is for, as a noun.
pub fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Deploy => "deploy",
        Purpose::Rollback => "rollback",
        Purpose::Restart => "restart",
        Purpose::Scale => "scale",
        Purpose::Secrets => "secrets",
        Purpose::Provision => "provision",
    }
}

/// How a deployment ended.
pub fn outcome(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "goes on",
        Some(Outcome::Done) => "done",
        Some(Outcome::Undone) => "failed, undone",
        Some(Outcome::NotUndone) => "failed, NOT undone",
        Some(Outcome::Refused) => "refused",
    }
}

/// An event in a line.
pub fn event(kind: &EventKind) -> String {
    let undo = |direction: &Direction| {
        if *direction == Direction::Undo {
            "undo "
        } else {
            ""
        }
    };
    match kind {
        EventKind::DeploymentStarted {
            purpose: what,
            release: to,
            from,
            by,
        } => {
            format!(
                "{} begun by {by}: {} → release {to}",
                purpose(*what),
                release(*from)
            )
        }
        EventKind::StepStarted {
            step: which,
            direction,
        } => format!("{}{} …", undo(direction), step(*which)),
        EventKind::StepProgress { step: which, said } => format!("{}: {said}", step(*which)),
        EventKind::StepFinished {
            step: which,
            direction,
            took: time,
            said,
        } => format!(
            "{}{} ✓ {} {said}",
            undo(direction),
            step(*which),
            took(*time)
        )
        .trim_end()
        .to_owned(),
        EventKind::StepFailed {
            step: which,
            direction,
            took: time,
            failure,
        } => {
            let (undo, which) = (undo(direction), step(*which));
            format!(
                "{undo}{which} ✗ {} {}: {}",
                took(*time),
                failure.name,
                failure.message
            )
        }
        EventKind::DeploymentTakenUp {
            direction: Direction::Forward,
        } => "found unfinished, goes on".to_owned(),
        EventKind::DeploymentTakenUp {
            direction: Direction::Undo,
        } => "found unfinished, is undone".to_owned(),
        EventKind::DeploymentFinished {
            outcome: how,
            live,
            took: time,
            requests,
            failed_requests,
            ..
        } => format!(
            "{} after {}; {} serves, {failed_requests} of {requests} requests failed",
            outcome(Some(*how)),
            took(*time),
            release(*live)
        ),
        EventKind::Process {
            service,
            process,
            said,
            healthy,
            ..
        } => {
            let health = if *healthy { "healthy" } else { "not healthy" };
            format!("{service} {process}: {said} ({health})")
        }
        EventKind::InstanceLost { service, said, .. } => {
            format!("{service}: its supervisor was lost: {said}")
        }
        EventKind::HookEnded {
            point,
            took: time,
            failure,
        } => {
            let hook = word(point);
            match failure {
                None => format!("hook `{hook}` ran in {}", took(*time)),
                Some(failure) => format!(
                    "hook `{hook}` ✗ {} {}: {}",
                    took(*time),
                    failure.name,
                    failure.message
                ),
            }
        }
        EventKind::RunStarted {
            kind,
            name,
            run,
            by,
        } => match by {
            None => format!("{kind} {name} begun on schedule (run {run})"),
            Some(by) => format!("{kind} {name} begun by {by} (run {run})"),
        },
        EventKind::RunEnded {
            kind,
            name,
            run,
            outcome,
            took: time,
            said,
        } => {
            let mark = if outcome.is_trouble() { "✗" } else { "✓" };
            let outcome = outcome.as_str().replace('-', " ");
            let text = format!("{kind} {name} {mark} {outcome} {} {said}", took(*time));
            format!("{} (run {run})", text.trim_end())
        }
        EventKind::Stopped => "stopped".to_owned(),
        EventKind::Started => "started".to_owned(),
        EventKind::ReleasePruned { release } => format!("release {release} pruned"),
        EventKind::HostStarted {
            version,
            adopted,
            started,
        } => {
            format!("host {version} started: {adopted} found running, {started} started")
        }
        EventKind::HostStopped => "host stopped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(took(0), "0.0s");
        assert_eq!(took(14_230), "14.2s");
        assert_eq!(took(59_990), "1m 0s");
        assert_eq!(took(125_000), "2m 5s");
        assert_eq!(took(3_660_000), "1h 1m");
        assert_eq!(ago(0, 180_000), "3 min ago");
        assert_eq!(lasting(90_000_000), "25 h");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(121 << 20), "121 MiB");
        assert_eq!(bytes((1 << 30) * 18 / 10), "1.8 GiB");
    }

    #[test]
    fn steps_are_words() {
        assert_eq!(step(Step::StopOld), "stop old");
        assert_eq!(counted(1, "warning"), "1 warning");
    }
}
