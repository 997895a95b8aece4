//! Logins of image registries: `[registry."host"]` of the app file, with the values of their secrets.

use std::collections::{BTreeMap, BTreeSet};

use landfall_app::{App, Reference, Value, model::RegistryLogin};
use landfall_build::Login;
use landfall_redact::Secret;

use crate::prepare::secrets;

/// The logins that can be made, and what those lack that can't.
#[derive(Default)]
pub struct Logins {
    pub known: Vec<Login>,
    /// By the registry's host: names of secrets without a value.
    pub lacking: BTreeMap<String, Vec<String>>,
}

/// Names of the secrets that a login is made of.
pub fn secrets_of(login: &RegistryLogin) -> impl Iterator<Item = &str> {
    let values = [&login.username, &login.password];
    let templates = values.into_iter().filter_map(|value| match value {
        Value::Text(template) => Some(template),
        Value::Generate(_) => None,
    });
    templates
        .flat_map(|template| template.references())
        .filter_map(|reference| match reference {
            Reference::Secret(name) => Some(name.as_str()),
            _ => None,
        })
}

/// Makes the logins, and takes the values that nothing else needs out of the secrets: no release and
/// no host has any use for them.
pub fn take(app: &App, values: &mut BTreeMap<String, Secret>) -> Logins {
    let mut logins = Logins::default();
    for (registry, login) in &app.registries {
        let lacking: BTreeSet<_> = secrets_of(login)
            .filter(|name| !values.contains_key(*name))
            .map(str::to_owned)
            .collect();
        if !lacking.is_empty() {
            let lacking = lacking.into_iter().collect();
            logins.lacking.insert(registry.clone(), lacking);
            continue;
        }
        let text = |value: &Value| match value {
            Value::Text(template) => template.render(|reference| match reference {
                Reference::Secret(name) => values
                    .get(name)
                    .map(|value| value.expose().to_owned())
                    .ok_or(()),
                _ => Err(()),
            }),
            Value::Generate(_) => Err(()),
        };
        // Anything but text and secrets is refused where the file is read.
        if let (Ok(username), Ok(password)) = (text(&login.username), text(&login.password)) {
            logins.known.push(Login {
                registry: registry.clone(),
                username,
                password: Secret::new(password),
            });
        }
    }
    let elsewhere = secrets::of_services(app);
    for login in app.registries.values() {
        for name in secrets_of(login).filter(|name| !elsewhere.contains_key(name)) {
            values.remove(name);
        }
    }
    logins
}
