//! `[[vm]]`: what a machine has is what a service may use.

use super::{Fly, given, tables};
use crate::tree::size;

impl Fly<'_> {
    pub(super) fn machines(&mut self) {
        for node in tables(self.map, "vm") {
            let Some(map) = node.map() else { continue };
            let names = self.of(map);
            let preset = given(map, "size")
                .and_then(|entry| Some((entry.value.as_text()?, entry.span.line)));
            let preset = preset.and_then(|(text, line)| Some((of_preset(&text)?, line)));
            let own = ["memory", "memory_mb"].into_iter().find_map(|key| {
                let entry = given(map, key)?;
                Some((size(&entry.value, "MiB")?, entry.span.line))
            });
            let memory =
                own.or_else(|| preset.map(|((_, memory), line)| (format!("{memory}MiB"), line)));
            if let Some((memory, line)) = memory {
                let memory = memory
                    .parse::<landfall_app::units::Size>()
                    .map_or(memory.clone(), |size| size.to_string());
                self.set(&names, "memory", memory, line);
            }
            let own = given(map, "cpus")
                .and_then(|entry| Some((entry.value.as_integer()?, entry.span.line)));
            if let Some((cpus, line)) = own.or_else(|| preset.map(|((cpus, _), line)| (cpus, line)))
            {
                self.set(&names, "cpu", cpus, line);
            }
            if let Some(entry) = given(map, "gpus") {
                self.set(
                    &names,
                    "gpu",
                    entry.value.as_integer().unwrap_or(1),
                    entry.span.line,
                );
            } else if let Some(entry) = given(map, "gpu_kind") {
                self.set(&names, "gpu", 1, entry.span.line);
            }
            self.found.rest(
                "vm",
                map,
                &["size", "memory", "memory_mb", "cpus", "gpus", "gpu_kind", "processes"],
                &[
                    ("kernel_args", "is for the kernel of a machine at fly.io"),
                    ("host_dedication_id", "would choose a machine at fly.io"),
                    ("persist_rootfs", "would keep what the app writes outside of volumes; name the folder in volumes"),
                ],
                &[("cpu_kind", "chooses between shared and own processors of fly.io; here cpu is a limit of the machine's")],
            );
        }
    }
}

/// Processors and memory in MiB of fly.io's sizes.
fn of_preset(name: &str) -> Option<(i64, i64)> {
    let (kind, count) = name.rsplit_once('-')?;
    let count: i64 = count
        .trim_end_matches('x')
        .parse()
        .ok()
        .filter(|count| (1..=64).contains(count))?;
    match kind {
        "shared-cpu" => Some((count, count * 256)),
        "performance" | "performance-cpu" | "dedicated-cpu" => Some((count, count * 2048)),
        _ => None,
    }
}
