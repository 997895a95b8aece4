//! Compose files, read as users have them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod files;
mod round_trip;
mod secrets;
mod services;
mod specification;
mod traps;
mod wrong;

use std::collections::BTreeMap;

use landfall_import::{Imported, Input, Refusal, RemarkKind, compose::import};

fn import_bytes(files: &[(&str, &[u8])]) -> Result<Imported, Refusal> {
    let source: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
        .collect();
    import(&Input {
        files: &[files[0].0.to_owned()],
        source: &source,
        variables: &BTreeMap::new(),
        profiles: &[],
        name: "shop",
    })
}

fn with(files: &[(&str, &str)]) -> Imported {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, text)| (*name, text.as_bytes()))
        .collect();
    import_bytes(&files).unwrap()
}

fn one(text: &str) -> Imported {
    with(&[("compose.yaml", text)])
}

/// A service `web` of an image, with these lines.
fn web(lines: &str) -> Imported {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    one(&format!(
        "services:\n  web:\n    image: x:1\n    user: '1000'\n{lines}"
    ))
}

fn refused(text: impl AsRef<[u8]>) -> Refusal {
    import_bytes(&[("compose.yaml", text.as_ref())]).unwrap_err()
}

fn value(imported: &Imported, path: &str) -> String {
    let table: toml::Table = imported.text.parse().unwrap();
    let mut value = toml::Value::Table(table);
    for key in path.split('/') {
        match value.get(key) {
            Some(inner) => value = inner.clone(),
            None => return "-".to_owned(),
        }
    }
    value.to_string()
}

fn said(imported: &Imported, kind: RemarkKind, key: &str) -> String {
    let found = imported
        .remarks
        .iter()
        .find(|remark| remark.kind == kind && remark.key == key);
    found
        .unwrap_or_else(|| panic!("no {kind:?} {key} in {:#?}", imported.remarks))
        .said
        .clone()
}
