//! What of priorities and limits this machine allows, and what is done instead.

use std::time::{Duration, Instant};

use landfall_supervise::specification::Specification;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::cgroup::{Controller, Groups};

/// Between two looks at the memory.
const EACH: Duration = Duration::from_secs(1);

/// What was found out.
pub struct Limits {
    /// How many descriptors a child may hold: soft and hard.
    pub descriptors: (Option<u64>, Option<u64>),
    nice: Vec<i32>,
    next: Option<Instant>,
}

impl Limits {
    /// Finds out what is permitted; the notes say what isn't.
    pub fn find(specification: &Specification, groups: &Groups) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let descriptors = raise_descriptors();
        let wanted: Vec<i32> = specification
            .processes
            .iter()
            .map(|process| process.nice.into())
            .collect();
        let lowest = wanted.iter().copied().min().unwrap_or(0);
        let permitted = lowest >= 0 || may_be(lowest);
        let nice = if permitted {
            wanted
        } else {
            relative(&wanted, lowest)
        };
        if !permitted {
            notes.push(format!(
                "A nice value of {lowest} is not permitted to this user: the other processes get nicer by {} instead.",
                -lowest
            ));
        }
        let watched = groups.refused(Controller::Memory);
        if let Some(why) = watched {
            notes.push(format!(
                "Memory limits are watched once a second, not enforced by the system: {why}."
            ));
        }
        if let Some(why) = groups.refused(Controller::Cpu) {
            notes.push(format!("Processor limits have no effect: {why}."));
        }
        (
            Self {
                descriptors,
                nice,
                next: watched.map(|_| Instant::now()),
            },
            notes,
        )
    }

    /// The nice value of a process.
    pub fn nice(&self, index: usize) -> i32 {
        self.nice.get(index).copied().unwrap_or(0)
    }

    /// When memory is to be looked at, if at all.
    pub const fn next_look(&self) -> Option<Instant> {
        self.next
    }

    /// It was looked at; the next time.
    pub fn looked(&mut self, now: Instant) -> Instant {
        *self.next.insert(now + EACH)
    }
}

/// What counts is who comes before whom: all are moved up, so that the first is at 0.
fn relative(wanted: &[i32], lowest: i32) -> Vec<i32> {
    wanted
        .iter()
        .map(|value| (value - lowest).min(19))
        .collect()
}

/// Lets this process hold as many descriptors as it may; the limits as they were, for the children.
fn raise_descriptors() -> (Option<u64>, Option<u64>) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
    (before.current, before.maximum)
}

/// Whether a nice value is permitted: tried on ourselves, since going back up always is.
fn may_be(value: i32) -> bool {
    let Ok(own) = rustix::process::getpriority_process(None) else {
        return false;
    };
    if value >= own {
        return true;
    }
    let permitted = rustix::process::setpriority_process(None, value).is_ok();
    if permitted {
        let _ = rustix::process::setpriority_process(None, own);
    }
    permitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_where_less_than_0_is_not_permitted() {
        assert_eq!(relative(&[-5, 0, 3], -5), [0, 5, 8]);
        assert_eq!(relative(&[-20, 10], -20), [0, 19]);
    }
}
