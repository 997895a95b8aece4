//! A process's cgroup, of version 1 or 2, and what stands in it.

use super::Usage;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const ROOT: &str = "/sys/fs/cgroup";

/// The folders of a process's cgroup.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    /// Version 2: all of them are the same folder.
    unified: bool,
    cpu: PathBuf,
    pub(super) memory: PathBuf,
    pids: PathBuf,
}

impl Cgroup {
    /// That of a process.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Self::read(&text, Path::new(ROOT))
    }

    fn read(text: &str, root: &Path) -> Option<Self> {
        let of = |controller: &str| {
            let mut lines = text.lines().filter_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                Some((fields.next()?, fields.next()?))
            });
            let (names, path) =
                lines.find(|(names, _)| names.split(',').any(|name| name == controller))?;
            // The root's own cgroup is everybody's, and one outside of what is seen from here has
            // a path that goes up.
            if path == "/" || path.contains("/..") {
                return None;
            }
            let folder = root.join(names).join(path.trim_start_matches('/'));
            folder.is_dir().then_some(folder)
        };
        if let (Some(cpu), Some(memory), Some(pids)) = (of("cpuacct"), of("memory"), of("pids")) {
            return Some(Self {
                unified: false,
                cpu,
                memory,
                pids,
            });
        }
        let all = of("")?;
        all.join("memory.current").exists().then(|| Self {
            unified: true,
            cpu: all.clone(),
            memory: all.clone(),
            pids: all,
        })
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let (cpu, current, idle, limit) = if self.unified {
            let micros = value(&self.cpu.join("cpu.stat"), "usage_usec")?;
            let cpu = Duration::from_micros(micros);
            (cpu, "memory.current", "inactive_file", "memory.max")
        } else {
            let cpu = Duration::from_nanos(number(&self.cpu.join("cpuacct.usage"))?);
            (
                cpu,
                "memory.usage_in_bytes",
                "total_inactive_file",
                "memory.limit_in_bytes",
            )
        };
        let current = number(&self.memory.join(current))?;
        let idle = value(&self.memory.join("memory.stat"), idle).unwrap_or(0);
        let kills = match self.unified {
            true => "memory.events",
            false => "memory.oom_control",
        };
        // No limit is `max`, or a number larger than any machine.
        let limit = number(&self.memory.join(limit)).filter(|limit| *limit < 1 << 60);
        Some(Usage {
            cpu,
            memory: current.saturating_sub(idle),
            memory_limit: limit,
            processes: number(&self.pids.join("pids.current")).unwrap_or(0),
            oom_kills: value(&self.memory.join(kills), "oom_kill"),
            taken: Instant::now(),
        })
    }

    /// Its processes, by their ids in their own namespace.
    pub(super) fn processes(&self) -> BTreeMap<u32, u32> {
        let text = fs::read_to_string(self.pids.join("cgroup.procs")).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let outside = line.parse().ok()?;
                let status = fs::read_to_string(format!("/proc/{outside}/status")).ok()?;
                Some((inner_pid(&status)?, outside))
            })
            .collect()
    }
}

/// A process's id in the innermost namespace that it is in.
fn inner_pid(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The value of a key in a file of `key value` lines.
fn value(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = pairs.find(|(found, _)| *found == key)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    #[test]
    fn version_1_is_read() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("cpu,cpuacct/docker/a/cpuacct.usage", "1500000000\n"),
            ("memory/docker/a/memory.usage_in_bytes", "5000\n"),
            (
                "memory/docker/a/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            (
                "memory/docker/a/memory.stat",
                "cache 9\ntotal_inactive_file 1000\n",
            ),
            ("pids/docker/a/pids.current", "3\n"),
            (
                "memory/docker/a/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            ),
        ];
        write(root.path(), &files);
        let text = "4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n2:pids:/docker/a\n0::/\n";
        let usage = Cgroup::read(text, root.path()).unwrap().usage().unwrap();
        assert_eq!(usage.cpu, Duration::from_millis(1500));
        assert_eq!((usage.memory, usage.memory_limit), (4000, None));
        assert_eq!((usage.processes, usage.oom_kills), (3, Some(2)));
    }

    #[test]
    fn version_2_is_read() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("system.slice/a/cpu.stat", "usage_usec 2500\nuser_usec 1\n"),
            ("system.slice/a/memory.current", "5000\n"),
            ("system.slice/a/memory.max", "8000\n"),
            ("system.slice/a/memory.stat", "anon 1\ninactive_file 500\n"),
            ("system.slice/a/pids.current", "2\n"),
            ("system.slice/a/memory.events", "oom 4\noom_kill 3\n"),
        ];
        write(root.path(), &files);
        let group = Cgroup::read("0::/system.slice/a\n", root.path()).unwrap();
        let usage = group.usage().unwrap();
        assert_eq!(usage.cpu, Duration::from_micros(2500));
        assert_eq!((usage.memory, usage.memory_limit), (4500, Some(8000)));
        assert_eq!((usage.processes, usage.oom_kills), (2, Some(3)));
    }

    #[test]
    fn what_is_outside_or_everybodys_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("memory.current", "1")]);
        for text in ["0::/\n", "0::/../../a\n", "0::/not/there\n", ""] {
            assert_eq!(Cgroup::read(text, root.path()), None, "{text}");
        }
    }

    #[test]
    fn the_innermost_id_is_the_containers() {
        let status = "Name:\ta\nNSpid:\t4711\t12\t1\n";
        assert_eq!(inner_pid(status), Some(1));
        assert_eq!(inner_pid("Name:\ta\n"), None);
    }

    #[test]
    fn processor_use_is_by_core() {
        let taken = Instant::now();
        let usage = |cpu, after| Usage {
            cpu: Duration::from_millis(cpu),
            memory: 0,
            memory_limit: None,
            processes: 0,
            oom_kills: None,
            taken: taken + Duration::from_secs(after),
        };
        assert_eq!(usage(2500, 1).cpu_percent_since(&usage(500, 0)), 200.0);
        assert_eq!(usage(2500, 0).cpu_percent_since(&usage(500, 0)), 0.0);
    }
}
