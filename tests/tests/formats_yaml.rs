//! What is written as YAML, read by parsers of others: PyYAML, which reads YAML 1.1, and Go's, by which
//! Docker Compose and Kubernetes read.

#![cfg(feature = "formats")]

use landfall_tests::{World, tools::run_tool, tricky};
use landfall_yaml::{Map, Node, write};
use serde_json::{Value, json};

/// Each text as a key and as a value, in all the ways in which a value is written; and what that means.
fn document() -> (Map, Value) {
    let (mut map, mut meant) = (Map::new(), serde_json::Map::new());
    for text in tricky::texts() {
        if meant.contains_key(&text) {
            continue;
        }
        let mut inner = Map::new();
        inner.comment(text.as_str()).set_noted(
            text.as_str(),
            Node::Block(text.clone()),
            text.as_str(),
        );
        let node = Node::List(vec![
            text.as_str().into(),
            Node::Block(text.clone()),
            Node::Flow(vec![text.as_str().into(), inner.clone().into()]),
            inner.clone().into(),
            Node::List(vec![
                Node::Map(inner),
                Node::Bool(true),
                Node::Integer(12),
                Node::Null,
            ]),
        ]);
        map.set(text.as_str(), node);
        let inner = json!({ text.as_str(): text });
        let value = json!([text, text, [text, inner], inner, [inner, true, 12, null]]);
        meant.insert(text, value);
    }
    (map, meant.into())
}

#[track_caller]
fn same(read: &Value, meant: &Value) {
    let (read, meant) = (
        read.as_object().expect("a map"),
        meant.as_object().expect("a map"),
    );
    for (key, value) in meant {
        assert_eq!(read.get(key), Some(value), "{key:?}");
    }
    assert_eq!(read.len(), meant.len());
}

#[test]
fn with_pyyaml_every_document_is_read_as_it_was_meant() {
    let world = World::new();
    let (map, meant) = document();
    world.write("document.yaml", &write(&map));
    let program = "import json, yaml; print(json.dumps(yaml.safe_load(open('document.yaml', encoding='utf-8', newline=''))))";
    let ran = run_tool("python", &world.app(), &["-c", program]).ok();
    same(&serde_json::from_str(&ran.stdout).unwrap(), &meant);
}

#[test]
fn with_compose_every_document_is_read_as_it_was_meant() {
    let world = World::new();
    let (map, meant) = document();
    let mut web = Map::new();
    web.set("image", "a");
    let mut services = Map::new();
    services.set("web", web);
    let mut file = Map::new();
    file.set("name", "x")
        .set("services", services)
        .set("x-texts", map);
    world.write("compose.yaml", &write(&file));
    let arguments = ["config", "--no-interpolate", "--format", "json"];
    let ran = run_tool("docker-compose", &world.app(), &arguments).ok();
    let read: Value = serde_json::from_str(&ran.stdout).unwrap();
    same(&read["x-texts"], &meant);
}
