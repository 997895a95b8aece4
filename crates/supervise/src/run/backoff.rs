//! How long to wait before a process is started again.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

use landfall_supervise::specification::Restart;

/// What follows from the end of a process that should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start it again after so long.
    After(Duration),
    /// It failed for good.
    GiveUp,
}

/// Decides from the failures in a row before this one and from how long it was up: the new number of
/// failures, and what next. `chance` lies between 0 and 1.
pub fn after_end(policy: &Restart, failures: u32, up: Duration, chance: f64) -> (u32, Next) {
    if up >= Duration::from_millis(policy.reset) {
        return (0, Next::After(Duration::ZERO));
    }
    let failures = failures.saturating_add(1);
    if policy.attempts > 0 && failures >= policy.attempts {
        return (failures, Next::GiveUp);
    }
    let delay = policy
        .delay
        .saturating_mul(1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX))
        .min(policy.max_delay);
    // Up to a tenth less, so that processes that failed together don't come back together.
    let delay = Duration::from_millis(delay).mul_f64(1.0 - 0.1 * chance.clamp(0.0, 1.0));
    (failures, Next::After(delay))
}

/// A number between 0 and 1, from the seed that std takes from the system for its hash maps.
pub fn chance() -> f64 {
    let number = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(number >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Restart {
        Restart {
            delay: 1000,
            max_delay: 10_000,
            reset: 60_000,
            attempts: 0,
            ..Restart::default()
        }
    }

    #[test]
    fn delays_double_to_the_cap() {
        let mut failures = 0;
        let mut delays = Vec::new();
        for _ in 0..80 {
            let (now, next) = after_end(&policy(), failures, Duration::from_millis(5), 0.0);
            failures = now;
            let Next::After(delay) = next else {
                panic!("gave up")
            };
            delays.push(delay.as_millis());
        }
        assert_eq!(delays[..6], [1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(delays[79], 10_000);
    }

    #[test]
    fn jitter_takes_a_tenth_at_most() {
        let (_, next) = after_end(&policy(), 1, Duration::ZERO, 1.0);
        assert_eq!(next, Next::After(Duration::from_millis(1800)));
        assert!((0..100).all(|_| (0.0..=1.0).contains(&chance())));
    }

    #[test]
    fn up_long_enough_is_a_new_beginning() {
        assert_eq!(
            after_end(&policy(), 7, Duration::from_secs(60), 0.5),
            (0, Next::After(Duration::ZERO))
        );
    }

    #[test]
    fn gives_up_after_its_attempts() {
        let policy = Restart {
            attempts: 3,
            ..policy()
        };
        assert!(matches!(
            after_end(&policy, 1, Duration::ZERO, 0.0),
            (2, Next::After(_))
        ));
        assert_eq!(
            after_end(&policy, 2, Duration::ZERO, 0.0),
            (3, Next::GiveUp)
        );
    }
}
