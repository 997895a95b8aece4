//! The JSON Schema of the app file, for editors.

use serde_json::{Map, Value, json};

use crate::{
    grammar::{APP, Kind, NAME_PATTERN, Naming, SIGNALS, Scalar, Shape, Table, VARIABLE_PATTERN},
    suggest::tables,
};

/// The JSON Schema (draft 2020-12) of `landfall.toml`.
pub fn schema() -> Value {
    let definitions: Map<_, _> = tables()
        .into_iter()
        .skip(1)
        .map(|table| (table.name.to_owned(), table_schema(table)))
        .collect();
    let mut schema = table_schema(&APP);
    if let Some(fields) = schema.as_object_mut() {
        fields.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        fields.insert("title".to_owned(), json!("landfall.toml"));
        fields.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

fn table_schema(table: &Table) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in table.keys {
        let mut schema = shape_schema(&key.shape);
        if let Some(fields) = schema.as_object_mut() {
            let mut doc = key.doc.to_owned();
            if key.later.is_some() {
                doc.push_str(" Not built yet.");
            }
            fields.insert("description".to_owned(), json!(doc));
            if let Some(value) = as_json(key.default) {
                fields.insert("default".to_owned(), value);
            }
            if let Some(value) = as_json(key.example) {
                fields.insert("examples".to_owned(), json!([value]));
            }
        }
        properties.insert(key.name.to_owned(), schema);
        // An environment sets single keys again, so that there only the app's name is always needed.
        if key.required && needed_everywhere(table) {
            required.push(key.name);
        }
    }
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if let Some(fields) = schema.as_object_mut().filter(|_| !required.is_empty()) {
        fields.insert("required".to_owned(), json!(required));
    }
    schema
}

/// Tables that an environment can set key by key have their required keys checked once merged.
fn needed_everywhere(table: &Table) -> bool {
    !matches!(
        table.name,
        "job"
            | "hook"
            | "alert"
            | "backup"
            | "volume"
            | "replicas"
            | "observe"
            | "cors"
            | "secrets-command"
    )
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Scalar(scalar) => scalar_schema(scalar),
        Shape::List(inner) => json!({ "type": "array", "items": shape_schema(inner) }),
        Shape::Table(table) => json!({ "$ref": format!("#/$defs/{}", table.name) }),
        Shape::Map(naming, inner) => {
            let mut schema =
                json!({ "type": "object", "additionalProperties": shape_schema(inner) });
            if let (Some(pattern), Some(fields)) = (naming_pattern(*naming), schema.as_object_mut())
            {
                fields.insert("propertyNames".to_owned(), json!({ "pattern": pattern }));
            }
            schema
        }
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(shape_schema).collect::<Vec<_>>() })
        }
    }
}

fn naming_pattern(naming: Naming) -> Option<&'static str> {
    match naming {
        Naming::Name(_) => Some(NAME_PATTERN),
        Naming::Variable => Some(VARIABLE_PATTERN),
        Naming::Path => Some("^/"),
        Naming::Host | Naming::Header | Naming::Free => None,
    }
}

fn scalar_schema(scalar: &Scalar) -> Value {
    match scalar.kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::True => json!({ "const": true }),
        Kind::Count { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Port => json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
        Kind::Status => json!({ "type": "integer", "minimum": 100, "maximum": 599 }),
        Kind::RedirectStatus => json!({ "enum": [301, 302, 307, 308] }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Signal => json!({ "enum": SIGNALS }),
        Kind::Cpu => json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": scalar.pattern() },
        ] }),
        _ => match scalar.pattern() {
            Some(pattern) => json!({ "type": "string", "pattern": pattern }),
            None => json!({ "type": "string" }),
        },
    }
}

/// A value of the grammar, written as TOML, as JSON.
fn as_json(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_has_its_definition() {
        let schema = schema();
        let text = schema.to_string();
        for part in text.split("\"#/$defs/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schema["$defs"].get(name).is_some(), "{name}");
        }
        assert!(text.len() > 10_000);
    }

    #[test]
    fn every_default_and_example_is_toml() {
        for table in tables() {
            for key in table.keys {
                assert!(
                    key.default.is_empty() || as_json(key.default).is_some(),
                    "{}.{}",
                    table.name,
                    key.name
                );
                assert!(
                    as_json(key.example).is_some(),
                    "{}.{} has no example",
                    table.name,
                    key.name
                );
                assert!(key.doc.ends_with('.'), "{}.{}", table.name, key.name);
            }
        }
    }
}
