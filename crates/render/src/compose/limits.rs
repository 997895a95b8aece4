//! What a service may use, and how many of it run.

use landfall_app::units::{Cpu, Size};
use landfall_yaml::{Map, Node};

use super::{service::Facts, value::Writer};

/// Limits and numbers. `serving`: not of a command that runs once.
pub fn resources(writer: &mut Writer<'_>, facts: &Facts<'_>, serving: bool, map: &mut Map) {
    let (name, service) = (facts.name, facts.service);
    let memory = service.memory.and_then(|memory| memory.limit);
    // No swap beside it, as an instance of ours has none.
    map.set_some("memswap_limit", memory.map(|memory| size(memory.bytes())));
    let mut deploy = Map::new();
    let replicas = service.replicas.initial();
    if serving && replicas > 1 {
        match service.publish {
            None => {
                deploy.set("replicas", replicas);
            }
            Some(published) => writer.note(
                format!("service.{name}.replicas"),
                format!("one runs: only one container can have port {published} of the machine, and nothing here shares it out"),
            ),
        }
    }
    let mut resources = Map::new();
    let limits = limits(memory, service.cpu.and_then(|cpu| cpu.limit), service.pids);
    if !limits.is_empty() {
        resources.set("limits", limits);
    }
    let mut reserved = Map::new();
    reserved.set_some(
        "memory",
        service
            .memory
            .and_then(|memory| memory.request)
            .map(|memory| size(memory.bytes())),
    );
    reserved.set_some("cpus", service.cpu.and_then(|cpu| cpu.request).map(cores));
    if service.gpu > 0 {
        let mut device = Map::new();
        device.set("driver", "nvidia").set("count", service.gpu);
        device.set("capabilities", Node::Flow(vec!["gpu".into()]));
        reserved.set("devices", vec![device]);
    }
    if !reserved.is_empty() {
        resources.set("reservations", reserved);
    }
    if !resources.is_empty() {
        deploy.set("resources", resources);
    }
    if !deploy.is_empty() {
        map.set("deploy", deploy);
    }
}

/// Limits, where there are some.
pub fn limits(memory: Option<Size>, cpu: Option<Cpu>, pids: Option<u32>) -> Map {
    let mut limits = Map::new();
    limits.set_some("memory", memory.map(|memory| size(memory.bytes())));
    limits.set_some("cpus", cpu.map(cores));
    limits.set_some("pids", pids);
    limits
}

/// Bytes as Compose reads them: its `M` is 1024 times 1024.
pub fn size(bytes: u64) -> String {
    let units = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units
        .iter()
        .find(|(by, _)| bytes > 0 && bytes.is_multiple_of(*by))
    {
        Some((by, unit)) => format!("{}{unit}", bytes / by),
        None => format!("{bytes}B"),
    }
}

fn cores(cpu: Cpu) -> String {
    let (whole, rest) = (cpu.thousandths() / 1000, cpu.thousandths() % 1000);
    format!("{whole}.{rest:03}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}
