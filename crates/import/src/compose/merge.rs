//! Several files as one: mappings key by key, lists appended, commands replaced, `!reset`, `!override`.

use super::{
    ports,
    tree::{At, Item, Map, Value},
    volumes,
};

/// Two values that can't be one.
#[derive(Debug)]
pub(super) struct Clash {
    pub at: At,
    pub key: String,
    pub message: String,
}

/// How the value under a path is merged.
enum Way {
    /// The later one stands.
    Replace,
    /// `KEY=value` and `KEY: value` are the same.
    Pairs,
    /// A list of names is a mapping of names.
    Names,
    /// A word or a list of words, each once.
    Words,
    /// Each target once.
    Volumes,
    /// Each port once.
    Ports,
    /// Each target once, or source.
    Files,
    /// A word is `context`.
    Build,
    /// Only where both have the same driver.
    Logging,
    /// As its kind says.
    Plain,
}

fn way(path: &[&str]) -> Way {
    let path = match path {
        ["services", _, rest @ ..] => rest,
        ["networks" | "volumes", _, "labels"] => return Way::Pairs,
        _ => return Way::Plain,
    };
    match path {
        ["command" | "entrypoint"] | ["healthcheck", "test"] | ["ulimits", _] => Way::Replace,
        ["environment" | "labels" | "annotations" | "sysctls"]
        | ["build", "args" | "labels" | "additional_contexts"]
        | ["deploy", "labels"] => Way::Pairs,
        ["depends_on" | "networks" | "models"] => Way::Names,
        [
            "env_file" | "label_file" | "dns" | "dns_opt" | "dns_search" | "tmpfs" | "cap_add"
            | "cap_drop" | "expose" | "profiles" | "links" | "extra_hosts" | "security_opt",
        ]
        | ["build", "tags" | "extra_hosts" | "platforms"] => Way::Words,
        ["volumes"] => Way::Volumes,
        ["ports"] => Way::Ports,
        ["secrets" | "configs"] => Way::Files,
        ["build"] => Way::Build,
        ["logging"] => Way::Logging,
        _ => Way::Plain,
    }
}

/// The later value over the earlier one; none where it resets it.
pub(super) fn merge(
    base: Item,
    over: Item,
    path: &mut Vec<String>,
) -> Result<Option<Item>, Box<Clash>> {
    match over.tag.as_deref() {
        Some("!reset") => return Ok(None),
        Some("!override") => return Ok(Some(untagged(over))),
        _ => {}
    }
    if over.is_null() {
        return Ok(Some(base));
    }
    if base.is_null() {
        return Ok(settled(over));
    }
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    let merged = match way(&steps) {
        Way::Replace => over,
        Way::Pairs => maps(pairs(base), pairs(over), path)?,
        Way::Names => maps(names(base), names(over), path)?,
        Way::Build => maps(build(base), build(over), path)?,
        Way::Words => lists(base, over, |item| item.text().map(str::to_owned)),
        Way::Volumes => lists(base, over, volumes::target),
        Way::Ports => lists(base, over, ports::identity),
        Way::Files => lists(base, over, |item| {
            item.get("target")
                .or_else(|| item.get("source"))
                .unwrap_or(item)
                .text()
                .map(str::to_owned)
        }),
        Way::Logging => {
            let driver = |item: &Item| item.get("driver").and_then(Item::text).map(str::to_owned);
            match (driver(&base), driver(&over)) {
                (Some(one), Some(other)) if one != other => over,
                _ => maps(base, over, path)?,
            }
        }
        Way::Plain => match (&base.value, &over.value) {
            (Value::Map(_), Value::Map(_)) => maps(base, over, path)?,
            (Value::List(_), Value::List(_)) => lists(base, over, |_| None),
            (Value::Scalar(_), Value::Scalar(_)) => over,
            _ => {
                let message = format!(
                    "{} here, and {} in line {} of {}, which it is merged over",
                    over.kind(),
                    base.kind(),
                    base.at.line,
                    base.at.file
                );
                return Err(Box::new(Clash {
                    at: over.at,
                    key: path.join("."),
                    message,
                }));
            }
        },
    };
    Ok(Some(merged))
}

/// A value that is merged over nothing: what it resets isn't there.
pub(super) fn settled(item: Item) -> Option<Item> {
    match item.tag.as_deref() {
        Some("!reset") => return None,
        Some("!override") => return Some(untagged(item)),
        _ => {}
    }
    let value = match item.value {
        Value::Map(map) => {
            let mut kept = Map::default();
            for (key, at, item) in map {
                if let Some(item) = settled(item) {
                    kept.set(&key, at, item);
                }
            }
            Value::Map(kept)
        }
        Value::List(items) => Value::List(items.into_iter().filter_map(settled).collect()),
        other => other,
    };
    Some(Item { value, ..item })
}

fn untagged(item: Item) -> Item {
    let item = Item { tag: None, ..item };
    match settled(item.clone()) {
        Some(item) => item,
        None => item,
    }
}

fn maps(base: Item, over: Item, path: &mut Vec<String>) -> Result<Item, Box<Clash>> {
    let at = base.at.clone();
    let (Value::Map(mut map), Value::Map(over)) = (base.value, over.value) else {
        return Err(Box::new(Clash {
            at: over.at,
            key: path.join("."),
            message: "expected a mapping here and in what it is merged over".to_owned(),
        }));
    };
    for (key, at, item) in over {
        let placed = match map.get_mut(&key) {
            None => settled(item),
            Some(known) => {
                let known = std::mem::replace(
                    known,
                    Item {
                        at: at.clone(),
                        tag: None,
                        value: Value::Null,
                    },
                );
                path.push(key.to_string());
                let merged = merge(known, item, path)?;
                path.pop();
                merged
            }
        };
        match placed {
            Some(item) => map.set(&key, at, item),
            None => {
                map.remove(&key);
            }
        }
    }
    Ok(Item {
        at,
        tag: None,
        value: Value::Map(map),
    })
}

/// One list behind the other; of items with the same identity the last stands, in the place of the first.
fn lists(base: Item, over: Item, identity: impl Fn(&Item) -> Option<String>) -> Item {
    let at = base.at.clone();
    let items = |item: Item| match item.value {
        Value::List(items) => items,
        Value::Null => Vec::new(),
        value => vec![Item { value, ..item }],
    };
    let mut known = std::collections::HashMap::new();
    let mut all: Vec<Item> = Vec::new();
    for item in items(base)
        .into_iter()
        .chain(items(over))
        .filter_map(settled)
    {
        match identity(&item).map(|identity| known.entry(identity)) {
            Some(std::collections::hash_map::Entry::Occupied(place)) => {
                let place: usize = *place.get();
                all[place] = item;
            }
            Some(std::collections::hash_map::Entry::Vacant(place)) => {
                place.insert(all.len());
                all.push(item);
            }
            None => all.push(item),
        }
    }
    Item {
        at,
        tag: None,
        value: Value::List(all),
    }
}

/// A list of `KEY=value` as a mapping; a bare `KEY` has nothing behind it.
pub(super) fn pairs(item: Item) -> Item {
    let Value::List(items) = item.value else {
        return item;
    };
    let mut map = Map::default();
    for item in items {
        let Some(scalar) = item.scalar() else {
            continue;
        };
        let (key, value) = scalar.split_pair();
        let value = Item {
            at: item.at.clone(),
            tag: item.tag,
            value: value.map_or(Value::Null, Value::Scalar),
        };
        map.set(&key, item.at, value);
    }
    Item {
        at: item.at,
        tag: item.tag,
        value: Value::Map(map),
    }
}

/// A list of names as a mapping with nothing behind each.
pub(super) fn names(item: Item) -> Item {
    let items = match item.value {
        Value::List(items) => items,
        Value::Scalar(_) => vec![item.clone()],
        _ => return item,
    };
    let mut map = Map::default();
    for name in items {
        let Some(text) = name.text().map(str::to_owned) else {
            continue;
        };
        let at = name.at.clone();
        map.set(
            &text,
            at.clone(),
            Item {
                at,
                tag: name.tag,
                value: Value::Null,
            },
        );
    }
    Item {
        at: item.at,
        tag: item.tag,
        value: Value::Map(map),
    }
}

fn build(item: Item) -> Item {
    match item.scalar() {
        Some(_) => {
            let mut around = Item::map_at(item.at.clone());
            if let Some(map) = around.map_mut() {
                map.set("context", item.at.clone(), item);
            }
            around
        }
        None => item,
    }
}
