//! What the Engine is sent to make a container.

use crate::{Attachment, ContainerSpecification, Mount};
use bollard::models::{
    ContainerCreateBody, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, HostConfigLogConfig, Mount as EngineMount, MountType, NetworkingConfig,
    RestartPolicy, RestartPolicyNameEnum,
};
use std::collections::HashMap;

/// What the Engine is sent. `cpus`: the machine's, more can't be asked for; `disk_limit`: whether
/// the storage driver takes one.
pub(super) fn of(
    from: &ContainerSpecification,
    cpus: u32,
    disk_limit: bool,
) -> ContainerCreateBody {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let memory = from.memory.map(number);
    let most = i64::from(cpus).max(1) * 1_000_000_000;
    let disk = from.disk.filter(|_| disk_limit);
    let host = HostConfig {
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(from.capabilities.clone()),
        oom_score_adj: Some(0),
        memory,
        memory_swap: memory,
        nano_cpus: from.cpu.map(|cpu| (i64::from(cpu) * 1_000_000).min(most)),
        pids_limit: from.pids.map(i64::from),
        readonly_rootfs: Some(from.read_only),
        tmpfs: Some(from.tmpfs.clone().into_iter().collect()),
        shm_size: from.shared_memory.map(number),
        storage_opt: disk.map(|bytes| HashMap::from([("size".to_owned(), bytes.to_string())])),
        init: Some(false),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(
                [("max-size", "1m"), ("max-file", "1")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
        }),
        device_requests: (from.gpus > 0).then(|| {
            vec![DeviceRequest {
                count: Some(i64::from(from.gpus)),
                capabilities: Some(vec![vec!["gpu".to_owned()]]),
                ..DeviceRequest::default()
            }]
        }),
        mounts: Some(from.mounts.iter().map(mount).collect()),
        auto_remove: Some(from.remove_at_end),
        publish_all_ports: Some(false),
        port_bindings: None,
        network_mode: Some(match &from.attachment {
            Some(attachment) => attachment.network.clone(),
            None => "none".to_owned(),
        }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(from.image.clone()),
        // As the entry point, so that neither the image's nor its command are added.
        entrypoint: Some(from.command.clone()),
        cmd: Some(Vec::new()),
        working_dir: from.directory.clone(),
        env: Some(
            from.environment
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        ),
        user: from.user.clone(),
        labels: Some(from.labels.clone().into_iter().collect()),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        open_stdin: Some(from.input),
        stdin_once: Some(from.input),
        attach_stdin: Some(from.input),
        tty: Some(from.terminal),
        networking_config: from.attachment.as_ref().map(|attachment| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                attachment.network.clone(),
                endpoint(attachment),
            )])),
        }),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

fn endpoint(attachment: &Attachment) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(attachment.aliases.clone()),
        ipam_config: attachment.address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}

/// Typed mounts: a folder that is missing is an error, not a folder made by the Engine as root.
fn mount(mount: &Mount) -> EngineMount {
    match mount {
        Mount::Bind {
            source,
            target,
            read_only,
        } => EngineMount {
            typ: Some(MountType::BIND),
            source: Some(source.display().to_string()),
            target: Some(target.clone()),
            read_only: Some(*read_only),
            ..EngineMount::default()
        },
        Mount::Volume { name, target } => EngineMount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            ..EngineMount::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_has_what_all_of_ours_have() {
        let plain = of(&ContainerSpecification::default(), 2, false);
        let host = plain.host_config.unwrap();
        let restart = host.restart_policy.unwrap();
        assert_eq!(restart.name, Some(RestartPolicyNameEnum::NO));
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.cap_add.unwrap(), [""; 0]);
        assert_eq!(host.oom_score_adj, Some(0));
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert!(host.port_bindings.is_none());
        assert_eq!(host.log_config.unwrap().config.unwrap()["max-size"], "1m");
        assert_eq!(plain.healthcheck.unwrap().test.unwrap(), ["NONE"]);
        assert_eq!(plain.open_stdin, Some(false));
        assert!(plain.networking_config.is_none());
    }

    #[test]
    fn limits_are_what_was_asked_for_and_no_more_than_the_machine_has() {
        let asked = ContainerSpecification {
            memory: Some(64 << 20),
            cpu: Some(1500),
            disk: Some(1 << 30),
            ..ContainerSpecification::default()
        };
        let host = |cpus, disk_limit| of(&asked, cpus, disk_limit).host_config.unwrap();
        assert_eq!(host(2, false).memory, Some(64 << 20));
        assert_eq!(host(2, false).memory_swap, Some(64 << 20));
        assert_eq!(host(2, false).nano_cpus, Some(1_500_000_000));
        assert_eq!(host(1, false).nano_cpus, Some(1_000_000_000));
        assert_eq!(host(2, false).storage_opt, None);
        assert_eq!(host(2, true).storage_opt.unwrap()["size"], "1073741824");
    }
}
