//! Whether the system has killed something in a group for its memory.

use std::{fs, path::Path};

/// What the system has counted of a group's memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryKills {
    /// How often it has killed there for want of memory.
    kills: u64,
    /// How often the limits were hit that hold there.
    hits: u64,
    /// Whether one of them has ever been reached, where hits may not be counted.
    reached: bool,
}

impl MemoryKills {
    /// Reads the counts of a group, and those of the groups whose limits hold there. Kernels before
    /// 4.13 count no kills in version 1: how often the limit was hit stands in for it.
    pub fn read<'path>(group: &Path, limits: impl Iterator<Item = &'path Path>) -> Self {
        let (hits, reached) = limits.fold((0, false), |(all, any), group| {
            (all + hits(group), any || reached(group))
        });
        let kills = ["memory.events", "memory.oom_control"]
            .into_iter()
            .find_map(|file| counted(group, file, "oom_kill"));
        Self {
            kills: kills.unwrap_or(hits),
            hits,
            reached,
        }
    }

    /// One of the kills until now is accounted for, by the end of another process of the group.
    pub fn account_for_one(&mut self, now: &Self) {
        self.kills = now.kills.min(self.kills.saturating_add(1));
    }

    /// Whether something was killed since, and because of a limit.
    pub const fn grown_since(&self, before: &Self) -> bool {
        self.kills > before.kills && (self.reached || self.hits > before.hits)
    }
}

/// How often nothing more was to be had in a group.
fn hits(group: &Path) -> u64 {
    // Version 1 counts at whichever limit is hit first: of memory alone, or with what is swapped.
    counted(group, "memory.events", "oom").unwrap_or_else(|| {
        ["memory.failcnt", "memory.memsw.failcnt"]
            .into_iter()
            .filter_map(|file| number(group, file))
            .sum()
    })
}

/// Whether a version 1 group has used what it may: newer kernels count no hits there. The last
/// pages may have been asked for together.
fn reached(group: &Path) -> bool {
    const TOGETHER: u64 = 4 * 1024 * 1024;
    let most = number(group, "memory.max_usage_in_bytes");
    let limit = number(group, "memory.limit_in_bytes");
    most.zip(limit)
        .is_some_and(|(most, limit)| most.saturating_add(TOGETHER) >= limit)
}

fn number(group: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(group.join(file)).ok()?;
    text.trim().parse().ok()
}

fn counted(group: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(group.join(file)).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_counts_where_a_limit_was_hit_in_either_version() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        let read = || MemoryKills::read(folder.path(), [folder.path()].into_iter());
        let second = "low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 0\n";
        write("memory.events", second);
        let before = read();
        assert_eq!((before.kills, before.hits), (1, 2));
        // The machine ran out of memory, not the group.
        write("memory.events", &second.replace("oom_kill 1", "oom_kill 2"));
        assert!(!read().grown_since(&before));
        write("memory.events", "oom 3\noom_kill 2\n");
        assert!(read().grown_since(&before));
        let mut accounted = before;
        accounted.account_for_one(&read());
        assert!(!read().grown_since(&accounted));
        // There was only one.
        accounted.account_for_one(&read());
        assert_eq!(accounted.kills, 2);
        fs::remove_file(folder.path().join("memory.events")).unwrap();
        write("memory.failcnt", "4\n");
        write("memory.memsw.failcnt", "5\n");
        // An old kernel.
        assert_eq!((read().kills, read().hits), (9, 9));
        write(
            "memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
        );
        assert_eq!((read().kills, read().hits), (7, 9));
        let before = read();
        write("memory.oom_control", "oom_kill 8\n");
        write("memory.limit_in_bytes", "40000000\n");
        write("memory.max_usage_in_bytes", "20000000\n");
        assert!(!read().grown_since(&before));
        write("memory.max_usage_in_bytes", "39999488\n");
        assert!(read().grown_since(&before));
    }
}
