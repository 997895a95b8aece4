//! Keys that Compose doesn't know, and the nearest that it does.

use super::schema::Fate;

/// Keys inside of items and tables that code of their own looks at: where, and which.
pub(super) const INSIDE: &[(&str, &[&str])] = &[
    (
        "volumes",
        &[
            "type",
            "source",
            "src",
            "target",
            "read_only",
            "consistency",
            "bind",
            "volume",
            "tmpfs",
            "image",
            "cluster",
        ],
    ),
    (
        "ports",
        &[
            "name",
            "mode",
            "host_ip",
            "target",
            "published",
            "protocol",
            "app_protocol",
        ],
    ),
    ("secrets", &["source", "target", "uid", "gid", "mode"]),
    ("configs", &["source", "target", "uid", "gid", "mode"]),
    ("env_file", &["path", "required", "format"]),
    ("depends_on", &["condition", "restart", "required"]),
    ("logging", &["driver", "options"]),
    ("deploy.resources", &["limits", "reservations"]),
    ("deploy.resources.limits", &["cpus", "memory", "pids"]),
    (
        "deploy.resources.reservations",
        &["cpus", "memory", "generic_resources", "devices"],
    ),
    (
        "deploy.restart_policy",
        &["condition", "delay", "max_attempts", "window"],
    ),
    (
        "deploy.update_config",
        &[
            "parallelism",
            "delay",
            "failure_action",
            "monitor",
            "max_failure_ratio",
            "order",
        ],
    ),
];

/// What is said of a key that Compose doesn't know.
pub(super) fn unknown(table: &[(&str, Fate)], key: &str) -> String {
    let known: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
    unknown_of(&known, key)
}

/// The same of a key deeper down.
pub(super) fn unknown_of(known: &[&str], key: &str) -> String {
    let word = key.to_lowercase().replace('-', "_");
    let near = known
        .iter()
        .filter(|_| key.len() <= 40)
        .map(|known| (strsim::osa_distance(&word, known), *known))
        .filter(|(distance, known)| *distance <= 1 + known.len().min(key.len()) / 4)
        .min();
    match near {
        Some((_, near)) => {
            format!("Compose doesn't know `{key}` and refuses it; did you mean `{near}`?")
        }
        None => format!(
            "Compose doesn't know `{key}` and refuses it; keys of one's own begin with `x-`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::schema::SERVICE, *};

    #[test]
    fn the_nearest_key_is_named() {
        assert!(unknown(SERVICE, "enviroment").contains("did you mean `environment`"));
        assert!(unknown(SERVICE, "depend_on").contains("did you mean `depends_on`"));
        assert!(unknown(SERVICE, "container-name").contains("did you mean `container_name`"));
        assert!(unknown(SERVICE, "frobnicate").contains("begin with `x-`"));
    }
}
