//! Which backups may go. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// A backup, as far as this matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it was verified.
    pub verified: bool,
}

/// The backups of one subject that are older than they are kept. The last verified one stays, however
/// old it is.
pub fn expired(all: &[Kept], keep: Duration, now: Timestamp) -> Vec<String> {
    let last_verified = all
        .iter()
        .filter(|kept| kept.verified)
        .max_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    all.iter()
        .filter(|kept| {
            let age = now.duration_since(kept.created_at);
            Duration::try_from(age).is_ok_and(|age| age > keep)
        })
        .filter(|kept| last_verified.is_none_or(|last| last.id != kept.id))
        .map(|kept| kept.id.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn kept(day: i64, verified: bool) -> Kept {
        Kept {
            id: format!("day {day}"),
            created_at: Timestamp::from_second(day * 86_400).unwrap(),
            verified,
        }
    }

    fn gone(all: &[Kept], today: i64) -> Vec<String> {
        let now = Timestamp::from_second(today * 86_400 + 1).unwrap();
        expired(all, Duration::from_secs(7 * DAY), now)
    }

    #[test]
    fn what_is_older_than_it_is_kept_goes() {
        let all: Vec<_> = (1..=10).map(|day| kept(day, true)).collect();
        assert_eq!(gone(&all, 10), ["day 1", "day 2", "day 3"]);
    }

    #[test]
    fn the_last_verified_one_stays_however_old() {
        let all = [kept(1, true), kept(2, true), kept(3, false)];
        assert_eq!(gone(&all, 100), ["day 1", "day 3"]);
        assert_eq!(gone(&[kept(1, true)], 1000), [] as [&str; 0]);
    }

    #[test]
    fn what_was_never_verified_protects_nothing() {
        assert_eq!(
            gone(&[kept(1, false), kept(2, false)], 100),
            ["day 1", "day 2"]
        );
    }

    #[test]
    fn a_clock_that_was_set_back_removes_nothing() {
        assert_eq!(gone(&[kept(50, true), kept(51, true)], 10), [] as [&str; 0]);
    }
}
