//! How backing services are: rows in the status and in `landfall backing`.

use landfall_api::wire::backing::{BackingStatus, UseOf};

use crate::{
    report,
    view::{plain, table::Table},
};

/// All of them, with what they use of their limits.
pub fn table(all: &[BackingStatus]) -> String {
    let mut table = Table::new(2);
    table.row([
        "BACKING",
        "STATE",
        "VERSION",
        "MEMORY",
        "DISK",
        "CONNECTIONS",
        "ADDRESS",
    ]);
    for backing in all {
        table.row([
            backing.name.to_string(),
            state(backing),
            version(backing),
            memory(backing),
            disk(backing),
            backing.connections.map(used).unwrap_or_default(),
            backing.address.clone(),
        ]);
    }
    table.render()
}

/// What else there is to say of them, a line each.
pub fn remarks(all: &[BackingStatus]) -> Vec<String> {
    let mut lines = Vec::new();
    for backing in all {
        if let Some(data) = backing.data_memory.filter(|data| data.limit > 0)
            && data.used * 100 >= data.limit * 95
        {
            lines.push(format!(
                "{} is at its limit: {} of {} for data",
                backing.name,
                plain::bytes(data.used),
                plain::bytes(data.limit)
            ));
        }
        if let Some(connections) = backing.connections
            && connections.limit > 0
            && connections.used * 100 >= connections.limit * 90
        {
            lines.push(format!(
                "{} has {} of {} connections",
                backing.name, connections.used, connections.limit
            ));
        }
        if !backing.named {
            lines.push(format!(
                "{} is no longer in the app file; its data is kept",
                backing.name
            ));
        }
        for kept in &backing.kept {
            lines.push(format!(
                "{} keeps its data of version {}: rm -r {}",
                backing.name,
                kept.version,
                kept.folder.display()
            ));
        }
        let words = backing.last_words.iter().rev();
        if let Some(words) = words.map(|line| line.trim()).find(|line| !line.is_empty()) {
            lines.push(format!(
                "{}'s last words: {}",
                backing.name,
                report::clean(words)
            ));
        }
    }
    lines
}

fn state(backing: &BackingStatus) -> String {
    let word = match (backing.healthy, backing.wanted) {
        _ if backing.runtime.is_none() => "elsewhere",
        (true, _) => "ready",
        (false, true) => "not ready",
        (false, false) => return "stopped".to_owned(),
    };
    match &backing.reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    }
}

fn version(backing: &BackingStatus) -> String {
    match &backing.version {
        Some(version) => format!("{} {version}", backing.kind),
        None => backing.kind.clone(),
    }
}

fn memory(backing: &BackingStatus) -> String {
    let used = match (backing.data_memory, backing.usage.memory) {
        (_, memory) if memory > 0 => memory,
        (Some(data), _) => data.used,
        _ => return String::new(),
    };
    match backing.memory_limit {
        Some(limit) => format!("{}/{} MiB", used >> 20, limit >> 20),
        None => plain::bytes(used),
    }
}

/// `18.1 of 20 GiB`.
pub fn disk(backing: &BackingStatus) -> String {
    let Some(used) = backing.disk else {
        return String::new();
    };
    let Some(limit) = backing.disk_limit else {
        return plain::bytes(used);
    };
    let (unit, size) = match limit >> 30 {
        0 => ("MiB", 1_u64 << 20),
        _ => ("GiB", 1 << 30),
    };
    let of = |bytes: u64| {
        let text = format!("{:.1}", bytes as f64 / size as f64);
        text.strip_suffix(".0").unwrap_or(&text).to_owned()
    };
    match used * 10 < size {
        true => format!("{} of {} {unit}", plain::bytes(used), of(limit)),
        false => format!("{} of {} {unit}", of(used), of(limit)),
    }
}

fn used(of: UseOf) -> String {
    match of.limit {
        0 => of.used.to_string(),
        limit => format!("{}/{limit}", of.used),
    }
}
