//! What of a release restarts a backing service.

use std::{collections::BTreeMap, fmt::Display};

use super::Body;

/// What of a release restarts it, in a few words: all that its digest is made of. Of variables the names
/// alone, since a value may be secret.
pub fn difference(before: &Body, after: &Body) -> String {
    let mut said = Vec::new();
    let (old, new) = (&before.wanted, &after.wanted);
    said.extend(changed("memory", old.memory.as_ref(), new.memory.as_ref()));
    said.extend(changed("cpu", old.cpu.as_ref(), new.cpu.as_ref()));
    for (key, old, new) in differing(&old.settings, &new.settings) {
        said.extend(changed(key, old, new));
    }
    if old.save != new.save {
        let [old, new] = [&old.save, &new.save].map(|save| save.join(", "));
        said.push(format!("save [{old}] → [{new}]"));
    }
    let variables = differing(&old.env, &new.env);
    said.extend(variables.map(|(name, ..)| format!("variable {name}")));
    if old.command != new.command {
        said.push("another command".to_owned());
    }
    said.extend(changed("data", old.data.as_ref(), new.data.as_ref()));
    if old.health != new.health {
        said.push("another health check".to_owned());
    }
    if before.port != after.port {
        said.push(format!("port {} → {}", before.port, after.port));
    }
    let id = |body: &Body| body.image.as_ref().map(|image| image.id.clone());
    if id(before) != id(after) {
        said.push("another build of its image".to_owned());
    }
    said.join(", ")
}

fn changed<T: Display + PartialEq>(what: &str, old: Option<&T>, new: Option<&T>) -> Option<String> {
    let text = |value: Option<&T>| value.map_or_else(|| "none".to_owned(), T::to_string);
    (old != new).then(|| format!("{what} {} → {}", text(old), text(new)))
}

/// The entries that differ, by name.
fn differing<'a, T: PartialEq>(
    old: &'a BTreeMap<String, T>,
    new: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a String, Option<&'a T>, Option<&'a T>)> {
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .map(|name| (name, old.get(name), new.get(name)))
        .filter(|(_, old, new)| old != new)
}

#[cfg(test)]
mod tests {
    use landfall_app::model::Runtime;

    use super::*;
    use crate::testing::app;

    fn body(text: &str) -> Body {
        let app = app(&format!(
            "[service.web]\ncommand = \"bin/web\"\n[backing.search]\n\
             image = \"search:2\"\n{text}"
        ));
        let wanted = app.backing["search"].clone();
        serde_json::from_value(serde_json::json!({
            "wanted": wanted, "release": 1, "version": "2", "runtime": Runtime::Container,
            "address": "10.209.0.2", "port": wanted.port, "data": "/data", "user": "",
            "database": "", "initialized": true,
        }))
        .unwrap()
    }

    #[test]
    fn everything_that_restarts_one_is_named_and_no_value_of_a_variable() {
        let before =
            body("port = 9200\nmemory = \"1GiB\"\nenv = { A = \"1\", B = \"2\" }\ndata = \"/a\"");
        assert_eq!(difference(&before, &before), "");
        let after = body(
            "port = 9201\nmemory = \"2GiB\"\nenv = { A = \"1\", B = \"hidden\", C = \"3\" }\n\
             data = \"/b\"\ncommand = [\"--more\"]\nhealth = \"bin/healthy\"\n\
             settings = { threads = \"4\" }",
        );
        assert_eq!(
            difference(&before, &after),
            "memory 1GiB → 2GiB, threads none → 4, variable B, variable C, another command, \
             data /a → /b, another health check, port 9200 → 9201"
        );
    }
}
