//! Compose files: `compose.yaml`, and the older `docker-compose.yml` that people have.
//!
//! [`load`] makes one model of the files, as Compose does; [`context`] says what each of its services
//! becomes; the other modules bring over a service key by key. What has no equal is a remark in the
//! words of [`schema`].

mod backing;
mod context;
mod dotenv;
mod environment;
mod health;
mod images;
mod interpolate;
mod keys;
mod limits;
mod load;
mod merge;
mod mounts;
mod paths;
mod ports;
mod redis;
mod references;
mod schema;
mod secret;
mod service;
mod source;
mod tree;
mod units;
mod unknown;
mod variables;
mod volumes;

use crate::{
    Imported, Input, Refusal, RemarkKind,
    draft::{Draft, Names, settle},
};
use context::Context;
use load::Loader;
use schema::Fate;
use tree::{At, Item};

/// Reads compose files into an app file with the same meaning.
///
/// # Errors
/// Where a file isn't there, isn't YAML, or isn't a compose file.
pub fn import(input: &Input<'_>) -> Result<Imported, Refusal> {
    read(input).map_err(|refusal| *refusal)
}

fn read(input: &Input<'_>) -> load::Result<Imported> {
    let Some(first) = input.files.first().map(|file| paths::clean(file)) else {
        return Err(Box::new(Refusal {
            name: "no-such-file",
            file: String::new(),
            line: 0,
            message: "no file is named".to_owned(),
            mend: Some("name one: landfall import compose compose.yaml".to_owned()),
        }));
    };
    let start = At {
        file: first.as_str().into(),
        line: 0,
    };
    let folder = paths::folder(&first);
    let mut loader = Loader::new(input);
    let environment = loader.environment(&paths::join(&folder, ".env"), &start, input.variables)?;
    let files: Vec<String> = input.files.iter().map(|file| paths::clean(file)).collect();
    let model = loader.model(&files, &folder, &environment, &start)?;
    overrides(&mut loader, &files, &start)?;
    top(&mut loader, &model, &start)?;
    let asked = model
        .get("name")
        .and_then(Item::text)
        .or(environment.get("COMPOSE_PROJECT_NAME").map(String::as_str))
        .unwrap_or(input.name);
    let given = Names::new().give(asked, "app");
    if given.changed
        && let Some(at) = model.get("name").map(|item| item.at.clone())
    {
        let said = format!(
            "an app's name is a DNS label, so it is called `{}` here",
            given.name
        );
        loader.remark(RemarkKind::Changed, &at, "name", said);
    }
    let mut draft = Draft::new(&given.name);
    draft
        .comments
        .push(format!("Read from {}.", files.join(", ")));
    let mut context = Context::new(loader, model, environment)?;
    context.write(&mut draft)?;
    let Context {
        loader, secrets, ..
    } = context;
    let mut imported = settle(draft, loader.remarks, secrets.in_files(), &first)?;
    let order = |file: &str| {
        files
            .iter()
            .position(|known| known == file)
            .unwrap_or(files.len())
    };
    imported.remarks.sort_by(|one, other| {
        (order(&one.file), &one.file, one.line).cmp(&(order(&other.file), &other.file, other.line))
    });
    imported.remarks.dedup();
    Ok(imported)
}

/// A file that Compose would have read beside the one that was named.
fn overrides(loader: &mut Loader<'_>, files: &[String], start: &At) -> load::Result<()> {
    let [file] = files else { return Ok(()) };
    let Some((stem, end)) = file.rsplit_once('.') else {
        return Ok(());
    };
    let name = stem.rsplit('/').next().unwrap_or(stem);
    if !matches!(name, "compose" | "docker-compose") {
        return Ok(());
    }
    for end in [end, if end == "yml" { "yaml" } else { "yml" }] {
        let other = format!("{stem}.override.{end}");
        if loader.bytes(&other, start)?.is_some() {
            let said = format!(
                "{other} beside it would be merged over it where no file is named; name both to have it"
            );
            loader.remark(RemarkKind::Changed, start, "", said);
            break;
        }
    }
    Ok(())
}

/// The keys of the file itself.
fn top(loader: &mut Loader<'_>, model: &Item, start: &At) -> load::Result<()> {
    let Some(map) = model.map() else {
        return Ok(());
    };
    if map.get("services").is_none() {
        let old = map
            .iter()
            .find(|(_, _, item)| item.get("image").is_some() || item.get("build").is_some());
        if let Some((name, at, _)) = old {
            return Err(load::refusal(
                at,
                format!(
                    "`{name}` stands at the top, as in files of the first version, which Compose doesn't read any more"
                ),
                Some("put `services:` above, and all services below it, indented"),
            ));
        }
        return Err(load::refusal(
            start,
            "the file has no `services`",
            Some("expected `services:` and below it each service by its name"),
        ));
    }
    for (key, at, item) in map.iter() {
        match schema::fate(schema::TOP, key) {
            _ if key.starts_with("x-") => {}
            Some(Fate::Taken) => {}
            Some(Fate::Said(RemarkKind::Note, _)) if key == "version" => {}
            Some(Fate::Said(kind, said)) => loader.remark(kind, at, key, said),
            None => loader.remark(
                RemarkKind::Lost,
                at,
                key,
                unknown::unknown(schema::TOP, key),
            ),
        }
        let _ = item;
    }
    let services = map.get("services").expect("it was looked at above");
    if services.map().is_none_or(tree::Map::is_empty) {
        return Err(load::refusal(
            &services.at,
            format!(
                "`services` is {}",
                if services.map().is_some() {
                    "empty"
                } else {
                    services.kind()
                }
            ),
            Some("expected each service by its name"),
        ));
    }
    Ok(())
}
