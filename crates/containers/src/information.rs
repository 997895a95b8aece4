//! What the Engine is and can.

use crate::{Engine, EngineError};
use bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum};

/// What the Engine says about itself and its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Information {
    /// Its version.
    pub version: String,
    /// The version of the API that is spoken with it.
    pub api: String,
    /// How it keeps the layers of images: `overlay2`.
    pub storage_driver: String,
    /// The file system under that: `extfs`.
    pub backing_filesystem: String,
    /// Where it keeps everything.
    pub root_folder: String,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Whether it runs as a normal user.
    pub rootless: bool,
    /// Whether containers live on while it restarts.
    pub live_restore: bool,
    /// The operating system's name.
    pub operating_system: String,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Whether a container's own file system can be limited.
    pub disk_limit: bool,
    /// Whether containers can be given graphics processors.
    pub gpus: bool,
    /// Networks that it takes subnets from, and the prefix of each, where that was configured.
    pub address_pools: Vec<(String, u8)>,
}

impl Engine {
    /// What the Engine is and can, as of now.
    pub async fn information(&self) -> Result<Information, EngineError> {
        let info = self
            .call("asking what it is", None, self.docker().info())
            .await?;
        let mounts = tokio::fs::read_to_string("/proc/self/mounts")
            .await
            .unwrap_or_default();
        let mut found = understood(info, &mounts);
        found.api = self.docker().client_version().to_string();
        Ok(found)
    }
}

fn understood(info: SystemInfo, mounts: &str) -> Information {
    let storage_driver = info.driver.unwrap_or_default();
    let backing_filesystem = info
        .driver_status
        .unwrap_or_default()
        .into_iter()
        .find(|pair| pair.first().is_some_and(|key| key == "Backing Filesystem"))
        .and_then(|pair| pair.into_iter().nth(1))
        .unwrap_or_default();
    let root_folder = info.docker_root_dir.unwrap_or_default();
    let disk_limit = match storage_driver.as_str() {
        "btrfs" | "zfs" => true,
        "overlay2" => backing_filesystem == "xfs" && has_project_quota(mounts, &root_folder),
        _ => false,
    };
    let nvidia = |name: &str| name.contains("nvidia");
    let gpus = info
        .runtimes
        .unwrap_or_default()
        .keys()
        .any(|name| nvidia(name))
        || info
            .discovered_devices
            .unwrap_or_default()
            .iter()
            .any(|device| device.id.as_deref().is_some_and(nvidia));
    let security = info.security_options.unwrap_or_default();
    Information {
        version: info.server_version.unwrap_or_default(),
        api: String::new(),
        storage_driver,
        backing_filesystem,
        root_folder,
        cgroup_version: match info.cgroup_version {
            Some(SystemInfoCgroupVersionEnum::_2) => 2,
            _ => 1,
        },
        rootless: security.iter().any(|option| option == "name=rootless"),
        live_restore: info.live_restore_enabled.unwrap_or(false),
        operating_system: info.operating_system.unwrap_or_default(),
        cpus: info
            .ncpu
            .and_then(|count| count.try_into().ok())
            .unwrap_or(0),
        memory: info
            .mem_total
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or(0),
        disk_limit,
        gpus,
        address_pools: info
            .default_address_pools
            .unwrap_or_default()
            .into_iter()
            .filter_map(|pool| Some((pool.base?, pool.size?.try_into().ok()?)))
            .collect(),
    }
}

/// Whether the file system that holds `folder` is mounted with project quotas.
fn has_project_quota(mounts: &str, folder: &str) -> bool {
    let folder = std::path::Path::new(folder);
    let holding = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let point = fields.nth(1)?;
            Some((point, fields.nth(1)?))
        })
        .filter(|(point, _)| folder.starts_with(point))
        // Of two over each other the later is the one that is seen.
        .max_by_key(|(point, _)| point.len());
    holding.is_some_and(|(_, options)| {
        options
            .split(',')
            .any(|option| matches!(option, "prjquota" | "pquota"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xfs() -> SystemInfo {
        SystemInfo {
            driver: Some("overlay2".to_owned()),
            driver_status: Some(vec![vec![
                "Backing Filesystem".to_owned(),
                "xfs".to_owned(),
            ]]),
            docker_root_dir: Some("/var/lib/docker".to_owned()),
            security_options: Some(vec!["name=seccomp,profile=default".to_owned()]),
            ..SystemInfo::default()
        }
    }

    #[test]
    fn a_disk_limit_needs_a_driver_that_can() {
        let with = "/dev/a / ext4 rw 0 0\n/dev/b /var/lib xfs rw,prjquota 0 0\n";
        let without = "/dev/a / xfs rw,prjquota 0 0\n/dev/b /var/lib xfs rw,noquota 0 0\n";
        assert!(understood(xfs(), with).disk_limit);
        assert!(!understood(xfs(), without).disk_limit);
        let zfs = SystemInfo {
            driver: Some("zfs".to_owned()),
            ..SystemInfo::default()
        };
        assert!(understood(zfs, "").disk_limit);
        assert!(!understood(SystemInfo::default(), with).disk_limit);
    }

    #[test]
    fn what_runs_without_root_says_so() {
        assert!(!understood(xfs(), "").rootless);
        let mut info = xfs();
        info.security_options = Some(vec!["name=rootless".to_owned()]);
        assert!(understood(info, "").rootless);
    }
}
