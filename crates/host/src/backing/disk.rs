//! What backing services take of the disk: looked at from time to time, and said when it comes near
//! the limit of the file.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use landfall_ledger::BackingRow;
use landfall_release::{EventKind, Failure};

use super::{place, server};
use crate::host::{Host, ledger_failed};

/// Between two looks at one.
const PAUSE: Duration = Duration::from_secs(60);
/// Of a limit, in percent: from here on it is said, and from there on it is degraded.
const WARNING: u64 = 80;
/// As above.
pub const FULL: u64 = 95;

/// What was seen of each, by its id.
#[derive(Default)]
pub struct Disks(Mutex<BTreeMap<String, Seen>>);

#[derive(Clone, Copy)]
struct Seen {
    used: Option<u64>,
    at: Instant,
    /// What was said last: 0, 80 or 95.
    level: u64,
}

impl Disks {
    fn get(&self, id: &str) -> Option<Seen> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(id).copied()
    }

    fn put(&self, id: &str, new: Seen) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(id.to_owned(), new);
    }

    /// What one took when it was last looked at.
    pub fn used(&self, id: &str) -> Option<u64> {
        self.get(id)?.used
    }
}

/// How near the limit: 0, 80 or 95.
fn level(used: u64, limit: Option<u64>) -> u64 {
    let Some(limit) = limit.filter(|limit| *limit > 0) else {
        return 0;
    };
    match u128::from(used) * 100 / u128::from(limit) {
        share if share >= u128::from(FULL) => FULL,
        share if share >= u128::from(WARNING) => WARNING,
        _ => 0,
    }
}

/// Whether one has so little room left that it isn't well.
pub fn is_full(used: Option<u64>, limit: Option<u64>) -> bool {
    used.is_some_and(|used| level(used, limit) >= FULL)
}

/// Looks at one now; what it takes.
pub async fn measure(host: &Arc<Host>, row: &BackingRow) -> Option<u64> {
    let data = row.body.data.clone();
    let measured = tokio::task::spawn_blocking(move || place::used(&data)).await;
    let used = measured.ok().flatten();
    let id = server::id(&row.app, &row.environment, &row.name);
    let before = host.backing.disks.get(&id).map_or(0, |seen| seen.level);
    let limit = row.body.wanted.disk.map(|size| size.bytes());
    let now = used.map_or(before, |used| level(used, limit));
    let seen = Seen {
        used,
        at: Instant::now(),
        level: now,
    };
    host.backing.disks.put(&id, seen);
    if now != before
        && let Some(used) = used
        && let Err(failure) = tell(host, row, &id, used, now)
    {
        crate::report::remark(&format!("{id}: {failure}"));
    }
    used
}

fn tell(host: &Host, row: &BackingRow, id: &str, used: u64, level: u64) -> Result<(), Failure> {
    let limit = row.body.wanted.disk.map_or(0, |size| size.bytes());
    let room = format!("{} of {} of disk", gibibytes(used), gibibytes(limit));
    let kind = EventKind::Process {
        service: row.name.clone(),
        instance: id.to_owned(),
        process: row.name.to_string(),
        said: match level {
            0 => format!("uses {room} again"),
            level => format!("uses {room}, over {level} %"),
        },
        healthy: level < FULL,
    };
    host.ledger
        .append_event(Some(&row.app), Some(&row.environment), None, kind)
        .map(drop)
        .map_err(ledger_failed)
}

/// A size as people read disks: `18.1 GiB`, `340.0 MiB`.
fn gibibytes(bytes: u64) -> String {
    match bytes >> 30 {
        0 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

/// Looks at all that weren't looked at for a while: a part of the host's upkeep.
pub async fn look(host: &Arc<Host>) -> Result<(), Failure> {
    for row in host.ledger.backings().map_err(ledger_failed)? {
        let id = server::id(&row.app, &row.environment, &row.name);
        let seen = host.backing.disks.get(&id);
        if seen.is_none_or(|seen| seen.at.elapsed() >= PAUSE) {
            measure(host, &row).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_near_the_limit() {
        let limit = Some(20 << 30);
        assert_eq!(level(1 << 30, limit), 0);
        assert_eq!(level(16 << 30, limit), WARNING);
        assert_eq!(level(19 << 30, limit), FULL);
        assert_eq!(level(19 << 30, None), 0);
        assert!(is_full(Some(30 << 30), limit) && !is_full(None, limit));
        assert_eq!(gibibytes(19_434_615_603), "18.1 GiB");
    }
}
