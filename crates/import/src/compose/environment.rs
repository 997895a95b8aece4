//! The environment of a service: its files of variables, and over them what stands in it.

use std::collections::BTreeMap;

use super::{
    load::{Environment, Loader, Result},
    merge::pairs,
    paths,
    tree::{At, Item, Map, Scalar, Value},
};
use crate::RemarkKind;

/// The environment of a service: its files, and over them what stands in it. A bare name takes the
/// project's value, or vanishes.
pub(super) fn of_service(
    loader: &mut Loader<'_>,
    service: &Item,
    known: &Environment,
    key: &str,
) -> Result<BTreeMap<String, (At, Option<Scalar>)>> {
    let mut all = BTreeMap::new();
    let named = service.get("env_file").map(Item::texts).unwrap_or_default();
    let named = match service.get("env_file").and_then(Item::map) {
        Some(_) => service.get("env_file").into_iter().collect(),
        None => named,
    };
    for entry in named {
        let (path, required, raw) = match entry.map() {
            Some(map) => (
                map.get("path").and_then(Item::text),
                map.get("required").and_then(Item::flag).unwrap_or(true),
                map.get("format").and_then(Item::text) == Some("raw"),
            ),
            None => (entry.text(), true, false),
        };
        let Some(path) = path else { continue };
        let path = paths::clean(path);
        match loader.variables(&path, &entry.at, known, raw)? {
            Some(variables) => {
                for variable in variables {
                    let at = At {
                        file: path.as_str().into(),
                        line: variable.line,
                    };
                    match variable
                        .value
                        .or_else(|| known.get(&variable.name).cloned())
                    {
                        Some(value) => {
                            let scalar = Item::text_at(at.clone(), value);
                            all.insert(variable.name, (at, scalar.scalar().cloned()));
                        }
                        None => {
                            all.remove(&variable.name);
                        }
                    }
                }
            }
            None => {
                let kind = if required {
                    RemarkKind::Changed
                } else {
                    RemarkKind::Note
                };
                loader.remark(
                    kind,
                    &entry.at,
                    &format!("services.{key}.env_file"),
                    format!("{path} isn't here, so its variables are missing: plain ones go into `env`, secret ones come by `landfall secrets import {path}`"),
                );
            }
        }
    }
    if let Some(environment) = service.get("environment") {
        let environment = pairs(environment.clone());
        for (name, at, item) in environment.map().into_iter().flat_map(Map::iter) {
            let value = match &item.value {
                Value::Scalar(scalar) => Some(scalar.clone()),
                // A bare name takes the project's value.
                Value::Null => match known.get(name) {
                    Some(value) => Item::text_at(at.clone(), value.as_str()).scalar().cloned(),
                    None if super::secret::is_secret_name(name) => None,
                    None => {
                        all.remove(name);
                        loader.remark(
                            RemarkKind::Note,
                            at,
                            &format!("services.{key}.environment.{name}"),
                            format!("`{name}` takes its value from outside, where it has none now, so it isn't set, as Compose has it; set it in `env` or as a secret"),
                        );
                        continue;
                    }
                },
                _ => continue,
            };
            all.insert(name.to_owned(), (at.clone(), value));
        }
    }
    Ok(all)
}
