//! The secrets that a release can't do without.

use std::collections::BTreeMap;

use landfall_app::App;
use landfall_release::Failure;

use crate::specification::missing_secret;

/// Whether any service is given this secret.
pub fn used(app: &App, name: &str) -> bool {
    needed(app).contains_key(name)
}

/// The secrets that services and backing services are given, and whether a deployment goes on without each.
fn needed(app: &App) -> BTreeMap<&str, bool> {
    let mut needed = BTreeMap::new();
    for service in app.services.values() {
        for (name, of) in &service.secrets {
            let optional = needed.entry(name.as_str()).or_insert(true);
            *optional &= of.optional;
        }
        let values = service.env.values().chain(
            service
                .processes
                .iter()
                .flat_map(|process| process.env.values()),
        );
        for value in values {
            let landfall_app::Value::Text(template) = value else {
                continue;
            };
            for reference in template.references() {
                if let landfall_app::Reference::Secret(name) = reference {
                    needed.insert(name, false);
                }
            }
        }
    }
    needed.extend(needed_by_data(app));
    needed
}

/// Those of its backing services and their backups alone.
pub fn needed_by_data(app: &App) -> BTreeMap<&str, bool> {
    let mut needed: BTreeMap<&str, bool> = BTreeMap::new();
    for backing in app.backing.values() {
        for value in backing.url.iter().chain(backing.env.values()) {
            if let landfall_app::Value::Text(template) = value {
                for reference in template.references() {
                    if let landfall_app::Reference::Secret(name) = reference {
                        needed.insert(name, false);
                    }
                }
            }
        }
    }
    for (_, backup) in app.backups() {
        for name in backup.secrets() {
            needed.insert(name, false);
        }
    }
    needed
}

/// Names all missing secrets together, before anything starts.
pub fn missing(app: &App, values: &BTreeMap<String, String>) -> Result<(), Failure> {
    none_missing(app, needed(app), values)
}

/// The same of those that are needed here.
pub fn none_missing(
    app: &App,
    needed: BTreeMap<&str, bool>,
    values: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let missing: Vec<_> = needed
        .into_iter()
        .filter(|(name, optional)| !optional && !values.contains_key(*name))
        .map(|(name, _)| name)
        .collect();
    match missing.as_slice() {
        [] => Ok(()),
        [name] => Err(missing_secret(name, app)),
        names => {
            let message = format!("{} have no value for {}", names.join(", "), app.environment);
            Err(Failure::new("missing-secret", message).with(
                "mend",
                format!("landfall secrets set NAME -e {}", app.environment),
            ))
        }
    }
}
