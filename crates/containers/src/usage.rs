//! What a container uses: from its cgroup where that can be read, else from the Engine.

use crate::{Engine, EngineError, Object};
use bollard::{models::ContainerStatsResponse, query_parameters::StatsOptionsBuilder};
use futures_util::StreamExt as _;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

mod cgroup;

/// What a container uses at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since it was started.
    pub cpu: Duration,
    /// Memory in bytes, without what the kernel only keeps because nobody needs the room.
    pub memory: u64,
    /// Its memory limit.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub processes: u64,
    /// How many of its processes the kernel has killed for want of memory since it was started;
    /// none where only the Engine could be asked. The Engine itself at times misses one.
    pub oom_kills: Option<u64>,
    /// When this was.
    pub taken: Instant,
}

impl Usage {
    /// Processor use since an earlier look: 100 is one core.
    pub fn cpu_percent_since(&self, earlier: &Self) -> f64 {
        let passed = self.taken.saturating_duration_since(earlier.taken);
        let used = self.cpu.saturating_sub(earlier.cpu);
        if passed.is_zero() {
            return 0.0;
        }
        used.as_secs_f64() * 100.0 / passed.as_secs_f64()
    }

    /// What the container of a process uses, by the process's id on this machine; none where its
    /// cgroup can't be read. Quick: a few small files.
    pub fn of_pid(pid: u32) -> Option<Self> {
        cgroup::Cgroup::of(pid)?.usage()
    }
}

impl Engine {
    /// What a container uses; none while it doesn't run.
    pub async fn usage(&self, name: &str) -> Result<Option<Usage>, EngineError> {
        let Some(pid) = self.host_pid(name).await? else {
            return Ok(None);
        };
        if let Some(usage) = Usage::of_pid(pid) {
            return Ok(Some(usage));
        }
        let options = StatsOptionsBuilder::new()
            .stream(false)
            .one_shot(true)
            .build();
        let doing = format!("asking what the container {name} uses");
        let about = Some((Object::Container, name));
        let mut stats = std::pin::pin!(self.docker().stats(name, Some(options)));
        let answer = self
            .call(&doing, about, async { stats.next().await.transpose() })
            .await;
        match answer {
            Ok(stats) => Ok(stats.and_then(understood)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The processes of a container: by the id that each has in it, the one that it has on this
    /// machine. Empty where its cgroup can't be read.
    pub async fn processes(&self, name: &str) -> Result<BTreeMap<u32, u32>, EngineError> {
        let pid = self.host_pid(name).await?;
        let group = pid.and_then(cgroup::Cgroup::of);
        Ok(group.map(|group| group.processes()).unwrap_or_default())
    }

    /// The cgroup of a container, as a folder of this machine; none where it isn't seen from here.
    pub async fn cgroup_folder(&self, name: &str) -> Result<Option<PathBuf>, EngineError> {
        let pid = self.host_pid(name).await?;
        Ok(pid.and_then(cgroup::Cgroup::of).map(|group| group.memory))
    }
}

/// The processes of the container that a process of this machine is in: by the id that each has in
/// it, the one that it has on this machine. Empty where its cgroup can't be read. Quick: a few small
/// files.
pub fn processes_of(pid: u32) -> BTreeMap<u32, u32> {
    let group = cgroup::Cgroup::of(pid);
    group.map(|group| group.processes()).unwrap_or_default()
}

fn understood(stats: ContainerStatsResponse) -> Option<Usage> {
    let memory = stats.memory_stats?;
    let kept = memory.stats.unwrap_or_default();
    // By version 1 and version 2 of cgroups.
    let idle = kept
        .get("total_inactive_file")
        .or(kept.get("inactive_file"));
    let cpu = stats.cpu_stats?.cpu_usage?.total_usage?;
    Some(Usage {
        cpu: Duration::from_nanos(cpu),
        memory: memory.usage?.saturating_sub(*idle.unwrap_or(&0)),
        memory_limit: memory.limit.filter(|limit| *limit > 0),
        processes: stats.pids_stats.and_then(|pids| pids.current).unwrap_or(0),
        oom_kills: None,
        taken: Instant::now(),
    })
}
