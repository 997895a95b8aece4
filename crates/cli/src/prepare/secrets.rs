//! The values of the secrets that an app needs.

use std::collections::BTreeMap;

use landfall_app::{
    App,
    model::{SecretsFrom, Source},
};
use landfall_redact::Secret;
use landfall_secrets::{DotEnv, FILE_NAME, KeySource, Needed, Resolved, SecretsFile, Sources};

use crate::{
    app_file::AppFile,
    context::Context,
    prepare::logins,
    report::{Error, Result},
};

/// Where this user's key is.
pub fn key_source(context: &Context) -> Result<KeySource> {
    let file = context.environment.key_file.clone();
    let file = file.or_else(|| context.environment.key.as_ref().map(|_| "key".into()));
    match file {
        Some(file) => Ok(KeySource {
            file,
            value: context.environment.key.clone(),
        }),
        None => Err(Error::new(
            "no-key",
            "there is no place for a key: neither HOME nor LANDFALL_KEY_FILE is set",
        )),
    }
}

/// The secrets that an app's services, their builds and its backing services need, each once; needed wins over optional.
pub fn needed(app: &App) -> Vec<Needed> {
    with_data(app, of_services(app))
}

/// Those that its backing services and their backups alone need.
pub fn needed_by_data(app: &App) -> Vec<Needed> {
    let mut names = BTreeMap::new();
    of_backing(app, &mut names);
    with_data(app, names)
}

fn with_data<'a>(app: &'a App, mut names: BTreeMap<&'a str, bool>) -> Vec<Needed> {
    // Without them nobody is logged in, which may well do.
    for login in app.registries.values() {
        for name in logins::secrets_of(login) {
            names.entry(name).or_insert(true);
        }
    }
    for (_, backup) in app.backups() {
        for name in backup.secrets() {
            names.insert(name, false);
        }
    }
    names
        .into_iter()
        .map(|(name, optional)| Needed {
            name: name.to_owned(),
            optional,
        })
        .collect()
}

/// The names of those that services, their builds and backing services need, and whether each is
/// optional.
pub fn of_services(app: &App) -> BTreeMap<&str, bool> {
    let mut names: BTreeMap<&str, bool> = BTreeMap::new();
    for service in app.services.values() {
        for (name, used) in &service.secrets {
            let optional = names.entry(name).or_insert(used.optional);
            *optional &= used.optional;
        }
        if let Source::Build(build) = &service.source {
            for name in &build.secrets {
                names.insert(name, false);
            }
        }
    }
    of_backing(app, &mut names);
    names
}

fn of_backing<'a>(app: &'a App, names: &mut BTreeMap<&'a str, bool>) {
    for backing in app.backing.values() {
        for value in backing.url.iter().chain(backing.env.values()) {
            if let landfall_app::Value::Text(template) = value {
                for reference in template.references() {
                    if let landfall_app::Reference::Secret(name) = reference {
                        names.insert(name, false);
                    }
                }
            }
        }
    }
}

/// The public keys of those who can read the secrets file: backups are encrypted to them too.
pub fn recipients(app_file: &AppFile) -> Result<Vec<String>> {
    let file = SecretsFile::load(&app_file.folder.join(FILE_NAME))?;
    Ok(file.recipients().values().cloned().collect())
}

/// Finds these values; all that are missing are named together.
pub fn resolve_named(
    context: &Context,
    app_file: &AppFile,
    app: &App,
    needed: &[Needed],
) -> Result<Resolved> {
    if needed.is_empty() {
        return Ok(Resolved::default());
    }
    let file = SecretsFile::load(&app_file.folder.join(FILE_NAME))?;
    let source = match &app.secrets_from {
        SecretsFrom::File => landfall_secrets::Source::File,
        SecretsFrom::Env => landfall_secrets::Source::Environment(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((
                        name.into_string().ok()?,
                        Secret::new(value.into_string().ok()?),
                    ))
                })
                .collect(),
        ),
        SecretsFrom::Command(words) => landfall_secrets::Source::Command {
            words: words.clone(),
            folder: app_file.folder.clone(),
        },
    };
    let environment = app.environment.as_str();
    let dotenv = match environment {
        "local" => DotEnv::load(&app_file.folder.join(".env"))?,
        _ => None,
    };
    let key = key_source(context)?;
    let sources = Sources {
        environment,
        source: &source,
        file: &file,
        key: &key,
        dotenv: dotenv.as_ref(),
    };
    Ok(landfall_secrets::resolve(needed, &sources)?)
}
