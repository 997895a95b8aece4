//! What changed between two releases, a line each: what a reader of a failure asks first.

use std::collections::BTreeMap;

use landfall_release::{Desired, Release, plan};

/// At most so many lines.
const MOST: usize = 12;

/// The changes from one release to another, aligned.
pub fn between(old: &Release, new: &Release) -> Vec<String> {
    let plan = plan(&Desired::from(&new.content), Some(old), &BTreeMap::new());
    let mut lines: Vec<String> = plan
        .lines()
        .iter()
        .map(|line| {
            let change = match (&line.from, &line.to) {
                (Some(from), Some(to)) => format!("{from} → {to}"),
                (None, Some(to)) => format!("+ {to}"),
                (Some(from), None) => format!("- {from}"),
                (None, None) => line.why.clone().unwrap_or_default(),
            };
            let subject = if line.subject.is_empty() {
                String::new()
            } else {
                format!("{} ", line.subject)
            };
            let why = line
                .why
                .as_ref()
                .filter(|_| line.to.is_some())
                .map(|why| format!(" ({why})"));
            let kind = line.kind.word();
            format!("{kind:<7}  {subject}{change}{}", why.unwrap_or_default())
        })
        .collect();
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("and {more} more"));
    }
    lines
}
