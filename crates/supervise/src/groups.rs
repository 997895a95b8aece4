//! What a supervisor that was killed left of its control groups: the groups that it made for limits
//! are listed in its folder, and whoever was in them can be found there, wherever it went since.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{specification::files, tree};

/// The file of a group that lists its processes by number; who is written there joins it.
pub const PROCESSES: &str = "cgroup.procs";

/// What the name of each outermost group begins with.
pub const PREFIX: &str = "landfall-";

/// Ends whoever is left in the groups that the supervisor of a folder made, and removes them. Not
/// while it lives.
pub fn end_left(folder: &Path, patience: Duration) {
    let record = folder.join(files::GROUPS);
    let Ok(text) = fs::read_to_string(&record) else {
        return;
    };
    for old in text.lines().map(Path::new) {
        let named = old
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if named && old.join(PROCESSES).exists() {
            remove(old, patience);
        }
    }
    let _ = fs::remove_file(record);
}

/// Writes one of a group's files, which the system has made.
///
/// # Errors
///
/// Where there is no such file, it isn't ours to write, or the system refuses the value.
pub fn write(file: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.write_all(value.as_bytes())
}

/// The processes of a group and those below it that have not ended.
#[must_use]
pub fn within(group: &Path) -> Vec<u32> {
    inner_first(group)
        .iter()
        .filter_map(|group| fs::read_to_string(group.join(PROCESSES)).ok())
        .flat_map(|text| {
            text.lines()
                // 0: one outside of our process namespace.
                .filter_map(|line| line.parse().ok().filter(|pid| *pid != 0))
                .collect::<Vec<u32>>()
        })
        .filter(|pid| tree::status(*pid).is_some_and(|status| !status.ended))
        .collect()
}

/// Kills all that is in a group and those below it: at once where the system can, else one by one.
pub fn kill(group: &Path) {
    if write(&group.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for pid in within(group)
        .into_iter()
        .filter_map(|pid| Pid::from_raw(pid.cast_signed()))
    {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills all that is in a group, and removes it with those below it; whether it is gone.
#[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
pub fn remove(group: &Path, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let left = within(group);
        if left.contains(&std::process::id()) {
            return false;
        }
        if !left.is_empty() {
            kill(group);
        }
        for inner in inner_first(group) {
            let _ = fs::remove_dir(inner);
        }
        if !group.exists() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn inner_first(group: &Path) -> Vec<PathBuf> {
    let mut found = vec![group.to_owned()];
    let mut next = 0;
    while let Some(entries) = found.get(next).map(fs::read_dir) {
        next += 1;
        let entries = entries.into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        found.extend(below.map(|entry| entry.path()));
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_below_come_before_those_above() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/file"), "").unwrap();
        let found = inner_first(folder.path());
        assert_eq!(
            found,
            [
                folder.path().join("a/b"),
                folder.path().join("a"),
                folder.path().to_owned()
            ]
        );
        assert!(remove(&folder.path().join("a/b"), Duration::ZERO));
    }

    #[test]
    fn a_record_that_names_no_group_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("landfall-other");
        fs::create_dir(&other).unwrap();
        let record = folder.path().join(files::GROUPS);
        fs::write(&record, format!("{}\n/\n\n", other.display())).unwrap();
        end_left(folder.path(), Duration::ZERO);
        assert!(other.exists() && !record.exists());
    }
}
