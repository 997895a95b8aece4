//! What is due, and what was missed: pure, given the time.

use std::{collections::BTreeMap, time::Duration};

use super::{Key, schedule::Schedule};

/// What is due is still begun so long after its time: a busy machine or a host that is being
/// replaced loses no run. Later it was missed, and isn't made up for: a nightly job in the middle of
/// the day may do harm.
const LATE: Duration = Duration::from_secs(300);

/// A clock that was set back by more than this was wrong before. What was accounted for under it
/// would else keep everything from being due until that time comes again.
const WRONG: Duration = Duration::from_secs(3600);

/// More missed runs than this aren't counted.
const MOST: u64 = 1000;

/// Something on a schedule.
#[derive(Debug)]
struct Item {
    schedule: Schedule,
    /// Line and zone, by which a changed schedule is told from the same one.
    text: (String, String),
    /// Up to here everything is accounted for.
    since: u64,
    /// When it is due next.
    next: Option<u64>,
}

/// What a look at the agenda finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is due now.
    Due {
        /// What.
        key: Key,
        /// Since when.
        at: u64,
    },
    /// It is due, and the run before is still under way.
    Skipped {
        /// What.
        key: Key,
        /// Since when.
        at: u64,
    },
    /// It was due when nobody was there.
    Missed {
        /// What.
        key: Key,
        /// The first time.
        first: u64,
        /// The last time.
        last: u64,
        /// How many times; at most [`MOST`] are counted.
        count: u64,
    },
}

/// Everything on a schedule.
#[derive(Debug, Default)]
pub struct Agenda {
    items: BTreeMap<Key, Item>,
}

impl Agenda {
    /// Takes up what shall be done from now on, and lets go of the rest. What is on it already with
    /// the same schedule stays as it is; `since` says from when on something new counts.
    pub fn replace(
        &mut self,
        wanted: Vec<(Key, Schedule, (String, String))>,
        since: impl Fn(&Key) -> u64,
    ) {
        let mut before = std::mem::take(&mut self.items);
        for (key, schedule, text) in wanted {
            let kept = before.remove(&key).filter(|item| item.text == text);
            let item = kept.unwrap_or_else(|| {
                let since = since(&key);
                let next = schedule.next_after(since);
                Item {
                    schedule,
                    text,
                    since,
                    next,
                }
            });
            self.items.insert(key, item);
        }
    }

    /// When something is due next.
    pub fn next(&self) -> Option<u64> {
        self.items.values().filter_map(|item| item.next).min()
    }

    /// What is due now, what is left out, and what was missed since the last look.
    pub fn look(&mut self, now: u64, running: impl Fn(&Key) -> bool) -> Vec<Found> {
        let mut found = Vec::new();
        for (key, item) in &mut self.items {
            if item.since.saturating_sub(now) > millis(WRONG) {
                item.set(now);
            }
            let Some(passed) = item.passed(now) else {
                continue;
            };
            item.set(passed.last);
            let (key, in_time) = (key.clone(), now - passed.last <= millis(LATE));
            let (last, count) = match in_time {
                true => (passed.before_last, passed.count - 1),
                false => (passed.last, passed.count),
            };
            if count > 0 {
                found.push(Found::Missed {
                    key: key.clone(),
                    first: passed.first,
                    last,
                    count,
                });
            }
            if in_time {
                let at = passed.last;
                found.push(match running(&key) {
                    false => Found::Due { key, at },
                    true => Found::Skipped { key, at },
                });
            }
        }
        found
    }
}

impl Item {
    fn set(&mut self, since: u64) {
        self.since = since;
        self.next = self.schedule.next_after(since);
    }

    /// The times that it was due up to now, if there were any.
    fn passed(&self, now: u64) -> Option<Passed> {
        let first = self.next.filter(|next| *next <= now)?;
        let mut passed = Passed {
            first,
            before_last: first,
            last: first,
            count: 1,
        };
        let next = |after| self.schedule.next_after(after).filter(|next| *next <= now);
        while let Some(mut at) = next(passed.last) {
            if passed.count > MOST {
                at = self.schedule.last_until(now).unwrap_or(at).max(at);
            }
            passed.before_last = passed.last;
            passed.last = at;
            if passed.count > MOST {
                break;
            }
            passed.count += 1;
        }
        Some(passed)
    }
}

/// Times that are over.
struct Passed {
    first: u64,
    before_last: u64,
    last: u64,
    count: u64,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jobs::Due, testing::name};

    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    fn key() -> Key {
        Key {
            app: name("shop"),
            environment: name("local"),
            due: Due::Job(name("nightly")),
        }
    }

    fn agenda(line: &str, since: u64) -> Agenda {
        let mut agenda = Agenda::default();
        put(&mut agenda, line, since);
        agenda
    }

    fn put(agenda: &mut Agenda, line: &str, since: u64) {
        let schedule = Schedule::parse(line, "UTC").unwrap();
        let text = (line.to_owned(), "UTC".to_owned());
        agenda.replace(vec![(key(), schedule, text)], |_| since);
    }

    fn due(at: u64) -> Found {
        Found::Due { key: key(), at }
    }

    fn missed(first: u64, last: u64, count: u64) -> Found {
        Found::Missed {
            key: key(),
            first,
            last,
            count,
        }
    }

    #[test]
    fn each_time_once() {
        let mut agenda = agenda("0 3 * * *", 0);
        assert_eq!(agenda.next(), Some(3 * HOUR));
        assert!(agenda.look(3 * HOUR - 1, |_| false).is_empty());
        assert_eq!(agenda.look(3 * HOUR, |_| false), [due(3 * HOUR)]);
        assert!(agenda.look(3 * HOUR, |_| false).is_empty());
        assert!(agenda.look(4 * HOUR, |_| false).is_empty());
        assert_eq!(agenda.next(), Some(DAY + 3 * HOUR));
    }

    #[test]
    fn a_run_that_goes_on_keeps_the_next_one_out() {
        let mut agenda = agenda("* * * * *", 0);
        assert_eq!(agenda.look(MINUTE, |_| false), [due(MINUTE)]);
        let at = 2 * MINUTE;
        let skipped = Found::Skipped { key: key(), at };
        assert_eq!(agenda.look(at, |_| true), [skipped]);
        assert_eq!(agenda.look(3 * MINUTE, |_| false), [due(3 * MINUTE)]);
    }

    #[test]
    fn a_little_late_is_in_time_and_later_is_missed() {
        let mut late = agenda("0 3 * * *", 0);
        let now = 3 * HOUR + 5 * MINUTE;
        assert_eq!(late.look(now, |_| false), [due(3 * HOUR)]);
        let mut later = agenda("0 3 * * *", 0);
        assert_eq!(
            later.look(now + 1, |_| false),
            [missed(3 * HOUR, 3 * HOUR, 1)]
        );
        assert!(later.look(now + 1, |_| false).is_empty());
    }

    #[test]
    fn what_was_missed_in_a_long_time_is_counted() {
        let mut agenda = agenda("0 * * * *", 30 * MINUTE);
        let now = 10 * HOUR + 10 * MINUTE;
        assert_eq!(agenda.look(now, |_| false), [missed(HOUR, 10 * HOUR, 10)]);
        // The last one is still in time: it runs, and those before it were missed.
        let now = 20 * HOUR + MINUTE;
        assert_eq!(
            agenda.look(now, |_| false),
            [missed(11 * HOUR, 19 * HOUR, 9), due(20 * HOUR)]
        );
    }

    #[test]
    fn years_of_missed_minutes_take_no_time() {
        let mut agenda = agenda("* * * * *", 0);
        let now = 30 * 365 * DAY + 10 * MINUTE;
        let found = agenda.look(now, |_| false);
        assert!(
            matches!(found.as_slice(), [Found::Missed { count: MOST, .. }, Found::Due { at, .. }] if *at == now),
            "{found:?}"
        );
        assert_eq!(agenda.next(), Some(now + MINUTE));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_twice() {
        let mut agenda = agenda("0 3 * * *", DAY);
        let at = DAY + 3 * HOUR;
        assert_eq!(agenda.look(at, |_| false), [due(at)]);
        assert!(agenda.look(at - 30 * MINUTE, |_| false).is_empty());
        assert!(agenda.look(at, |_| false).is_empty());
        assert_eq!(agenda.next(), Some(at + DAY));
    }

    #[test]
    fn a_clock_that_was_years_ahead_keeps_nothing_from_being_due() {
        let mut agenda = agenda("0 3 * * *", 1000 * DAY);
        assert!(agenda.look(DAY, |_| false).is_empty());
        assert_eq!(agenda.next(), Some(DAY + 3 * HOUR));
    }

    #[test]
    fn the_same_schedule_goes_on_and_another_begins_anew() {
        let mut agenda = agenda("0 3 * * *", 0);
        put(&mut agenda, "0 3 * * *", 2 * DAY);
        assert_eq!(agenda.next(), Some(3 * HOUR));
        put(&mut agenda, "0 4 * * *", 2 * DAY);
        assert_eq!(agenda.next(), Some(2 * DAY + 4 * HOUR));
        agenda.replace(Vec::new(), |_| 0);
        assert_eq!(agenda.next(), None);
    }
}
