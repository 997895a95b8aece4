//! `landfall secrets`: values in, encrypted in a file that is safe to commit.

mod export;
mod keys;
mod value;

use std::{collections::BTreeMap, path::PathBuf};

use landfall_api::wire::{Change, Condition, Observed};
use landfall_app::Name;
use landfall_secrets::{DotEnv, FILE_NAME, Key, KeySource, Secret, SecretsFile};
use serde_json::json;

use crate::{
    app_file::{self, AppFile},
    arguments::{Secrets, SecretsImport, SecretsSet},
    commands::change::{ask, submitted},
    context::{Context, Place},
    follow, host,
    prepare::{self, secrets::key_source},
    report::{Error, Result},
    view::{plain, table::Table},
};

pub fn run(context: &Context, command: Secrets) -> Result {
    match command {
        Secrets::Set(arguments) => set(context, &arguments),
        Secrets::Import(arguments) => import(context, &arguments),
        Secrets::Export(arguments) => export::export(context, &arguments),
        Secrets::List => list(context),
        Secrets::Unset(arguments) => {
            let desk = Desk::open(context)?;
            SecretsFile::change(&desk.path, |file| {
                file.unset(desk.environment.as_str(), &arguments.name)
            })?;
            context.output.say(format!(
                "Removed {} of {} from {FILE_NAME}.",
                arguments.name, desk.environment
            ));
            desk.pass_on(
                context,
                BTreeMap::new(),
                vec![arguments.name],
                arguments.no_deploy,
            )
        }
        Secrets::Keygen(arguments) => keys::keygen(context, &arguments),
        Secrets::Recipients(command) => keys::recipients(context, &command),
    }
}

/// What the commands work on.
struct Desk {
    app_file: AppFile,
    environment: Name,
    /// The secrets file.
    path: PathBuf,
    key: KeySource,
}

impl Desk {
    fn open(context: &Context) -> Result<Self> {
        let app_file = app_file::read(context)?;
        let environment = app_file
            .named(context.global.environment.as_deref())?
            .unwrap_or_else(app_file::local);
        let path = app_file.folder.join(FILE_NAME);
        Ok(Self {
            app_file,
            environment,
            path,
            key: key_source(context)?,
        })
    }

    /// Changes the file. The first to put something in becomes its first recipient.
    fn change<T>(
        &self,
        context: &Context,
        change: impl FnOnce(
            &mut SecretsFile,
            Option<&Key>,
        ) -> std::result::Result<T, landfall_secrets::Error>,
    ) -> Result<T> {
        let mut new_key = false;
        let result = SecretsFile::change(&self.path, |file| {
            if !file.recipients().is_empty() {
                return change(file, self.key.load().ok().as_ref());
            }
            let (key, new) = self.key.load_or_generate()?;
            new_key = new;
            file.add_recipient(
                &keys::recipient_name(&context.environment.user),
                &key.public(),
                Some(&key),
            )?;
            change(file, Some(&key))
        })?;
        if new_key {
            context.output.say(format!(
                "Your key is {}. Keep a copy; a teammate joins by `landfall secrets recipients add`.",
                self.key.said()
            ));
        }
        Ok(result)
    }

    /// Makes a release of the new values where the app is deployed and uses them.
    fn pass_on(
        &self,
        context: &Context,
        values: BTreeMap<String, Secret>,
        mut removed: Vec<String>,
        no_deploy: bool,
    ) -> Result {
        if context.output.json() {
            let names: Vec<&String> = values.keys().collect();
            context.output.data(
                "secrets-changed",
                &json!({ "environment": self.environment, "set": names, "removed": removed }),
            );
        }
        if no_deploy {
            return Ok(());
        }
        let Some(app) = self
            .app_file
            .file
            .as_ref()
            .and_then(landfall_app::File::app)
        else {
            return Ok(());
        };
        let place = Place {
            app,
            environment: self.environment.clone(),
        };
        let client = host::client(&context.environment);
        context.block_on(async {
            let Some(status) = host::running(&client).await? else {
                return Ok(());
            };
            let here = |one: &&landfall_api::wire::EnvironmentSummary| {
                one.app == place.app && one.environment == place.environment
            };
            let deployed = status.environments.iter().find(here).is_some_and(|one| {
                one.live.is_some()
                    && !matches!(one.condition, Condition::Stopped | Condition::Empty)
            });
            if !deployed {
                return Ok(());
            }
            let observed: Observed = client.get(&place.path("observed")).await?;
            let Some(live) = observed.live else {
                return Ok(());
            };
            let used: Vec<String> = prepare::secrets::needed(&live.content.app)
                .into_iter()
                .map(|need| need.name)
                .collect();
            let values: BTreeMap<String, String> = values
                .into_iter()
                .filter(|(name, _)| used.contains(name))
                .map(|(name, value)| (name, value.expose().to_owned()))
                .collect();
            removed.retain(|name| used.contains(name));
            if values.is_empty() && removed.is_empty() {
                context.output.say(format!(
                    "Release {} doesn't use it; nothing to deploy.",
                    live.number
                ));
                return Ok(());
            }
            let names: Vec<&str> = values.keys().chain(&removed).map(String::as_str).collect();
            context.output.say(format!(
                "Release {} runs with {}: making a release of it.",
                live.number,
                names.join(", ")
            ));
            follow::carry_on(context, &client, &place, false).await?;
            let change = Change::Secrets {
                values,
                removed,
                by: context.environment.by(),
            };
            match ask(context, &client, &place, &change).await? {
                Some(accepted) => {
                    let undo = format!(" Undo: landfall rollback{}", place.flag());
                    submitted(context, &client, &place, Some(&live), &accepted, &undo).await
                }
                None => Ok(()),
            }
        })
    }
}

fn set(context: &Context, arguments: &SecretsSet) -> Result {
    let desk = Desk::open(context)?;
    let value = value::read(context, arguments)?;
    desk.change(context, |file, _| {
        file.set(desk.environment.as_str(), &arguments.name, &value)
    })?;
    context.output.say(format!(
        "Encrypted {} for {} in {FILE_NAME} (safe to commit).",
        arguments.name, desk.environment
    ));
    desk.pass_on(
        context,
        [(arguments.name.clone(), value)].into(),
        Vec::new(),
        arguments.no_deploy,
    )
}

fn import(context: &Context, arguments: &SecretsImport) -> Result {
    let desk = Desk::open(context)?;
    let missing = || {
        Error::file(
            &arguments.path,
            "can't read",
            &std::io::ErrorKind::NotFound.into(),
        )
    };
    let dotenv = DotEnv::load(&arguments.path)?.ok_or_else(missing)?;
    // Plain settings belong into the app file; what it calls a secret, or what looks like one, is one.
    let declared: Vec<String> = match desk.app_file.resolve(context, &desk.environment) {
        Ok(resolved) => prepare::secrets::needed(&resolved.app)
            .into_iter()
            .map(|need| need.name)
            .collect(),
        Err(error) => return Err(error),
    };
    let (secret, plain_values): (BTreeMap<_, _>, BTreeMap<_, _>) =
        dotenv.values.into_iter().partition(|(name, value)| {
            declared.contains(name) || landfall_secrets::dotenv::looks_secret(name, value)
        });
    let environment = desk.environment.as_str();
    let imported = desk.change(context, |file, key| file.import(environment, &secret, key))?;
    let names = imported.written.join(", ");
    let written = plain::counted(imported.written.len(), "value");
    match imported.written.is_empty() {
        true => context
            .output
            .say(format!("Nothing new for {environment} in {FILE_NAME}.")),
        false => context.output.say(format!(
            "Encrypted {written} for {environment} in {FILE_NAME} (safe to commit): {names}"
        )),
    }
    if !imported.unchanged.is_empty() {
        context
            .output
            .say(format!("Unchanged: {}", imported.unchanged.join(", ")));
    }
    if !imported.empty.is_empty() {
        context.output.say(format!(
            "Left out, since they are empty: {}",
            imported.empty.join(", ")
        ));
    }
    if !plain_values.is_empty() {
        let names: Vec<&str> = plain_values.keys().map(String::as_str).collect();
        context.output.say(format!(
            "Left out, since they don't look secret: {}; they go into [env] of the app file.",
            names.join(", ")
        ));
    }
    let undeclared: Vec<&str> = imported
        .written
        .iter()
        .filter(|name| !declared.contains(name))
        .map(String::as_str)
        .collect();
    if !undeclared.is_empty() {
        context.output.say(format!(
            "No service uses them yet: {}; name them in its `secrets = […]`.",
            undeclared.join(", ")
        ));
    }
    let values = secret
        .into_iter()
        .filter(|(name, _)| imported.written.contains(name))
        .collect();
    desk.pass_on(context, values, Vec::new(), arguments.no_deploy)
}

fn list(context: &Context) -> Result {
    let desk = Desk::open(context)?;
    let file = SecretsFile::load(&desk.path)?;
    let environment = desk.environment.as_str();
    let dotenv = match environment {
        "local" => DotEnv::load(&desk.app_file.folder.join(".env"))?,
        _ => None,
    };
    let needed = match desk.app_file.good(context) {
        Ok(good) => good
            .resolve(&desk.environment)
            .map(|resolved| prepare::secrets::needed(&resolved.app))
            .unwrap_or_default(),
        // Names can be listed although the file has mistakes.
        Err(_) => Vec::new(),
    };
    let mut names: Vec<String> = file
        .names(environment)
        .into_iter()
        .map(str::to_owned)
        .collect();
    names.extend(needed.iter().map(|need| need.name.clone()));
    names.sort();
    names.dedup();
    let rows: Vec<(String, &str, &str)> = names
        .into_iter()
        .map(|name| {
            let need = needed.iter().find(|need| need.name == name);
            let used = need.map_or("not used", |need| {
                if need.optional { "optional" } else { "needed" }
            });
            let value = match (file.contains(environment, &name), &dotenv) {
                (true, _) => FILE_NAME,
                (false, Some(dotenv)) if dotenv.values.contains_key(&name) => ".env",
                _ => "no value",
            };
            (name, used, value)
        })
        .collect();
    if context.output.json() {
        let list: Vec<_> = rows
            .iter()
            .map(|(name, used, value)| json!({ "name": name, "use": used, "value": value }))
            .collect();
        context.output.data(
            "secrets",
            &json!({ "environment": environment, "secrets": list }),
        );
        return Ok(());
    }
    if rows.is_empty() {
        context.output.say(format!("No secrets in {environment}."));
    }
    let mut table = Table::new(0);
    for (name, used, value) in rows {
        table.row([name.as_str(), used, value]);
    }
    context.output.print(&table.render());
    Ok(())
}
