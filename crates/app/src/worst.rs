//! The worst ways to write each key of the grammar, each with what is said about it.

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use crate::{
    grammar::{APP, Naming, Shape, Table},
    read, suggest,
};

/// What no key is meant to be; what is right for one of them all the same is told as accepted.
const WORST: [&str; 11] = [
    "\"\"",
    "\"ünï cödé 💥\"",
    "\"a\\u0000b\"",
    "\"${secret.}\"",
    "-1",
    "99999999999999999999",
    "0.5",
    "true",
    "1979-05-27",
    "[[]]",
    "{ x = 1 }",
];

/// The heading under which a table's keys stand, for each table.
fn headings() -> BTreeMap<&'static str, String> {
    fn shape(
        path: &str,
        list: bool,
        shape_of: &'static Shape,
        all: &mut BTreeMap<&'static str, String>,
    ) {
        match shape_of {
            Shape::Scalar(_) => {}
            Shape::Table(inner) => table(path, list, inner, all),
            Shape::List(inner) => shape(path, true, inner, all),
            Shape::Map(naming, inner) => {
                let name = match naming {
                    Naming::Variable => "X",
                    Naming::Host => "\"ghcr.io\"",
                    Naming::Path => "\"/x\"",
                    Naming::Name(_) | Naming::Header | Naming::Free => "web",
                };
                shape(&format!("{path}.{name}"), list, inner, all);
            }
            Shape::Either(shapes) => shapes
                .iter()
                .for_each(|inner| shape(path, list, inner, all)),
        }
    }
    fn table(path: &str, list: bool, of: &'static Table, all: &mut BTreeMap<&'static str, String>) {
        if all.contains_key(of.name) {
            return;
        }
        let heading = if list {
            format!("[[{path}]]")
        } else {
            format!("[{path}]")
        };
        all.insert(of.name, heading);
        for key in of.keys {
            let below = if path.is_empty() {
                key.name.to_owned()
            } else {
                format!("{path}.{}", key.name)
            };
            shape(&below, false, &key.shape, all);
        }
    }
    let mut all = BTreeMap::new();
    table("", false, &APP, &mut all);
    all
}

/// What is said about a line under a heading.
fn said(heading: &str, line: &str) -> String {
    let top = if line.starts_with("app ") || heading != "[]" {
        ""
    } else {
        "app = \"shop\""
    };
    let heading = if heading == "[]" { top } else { heading };
    let text = format!("{heading}\n{line}\n");
    let (_, diagnostics) = read(text.as_bytes(), "landfall.toml");
    let on_line = |at: usize| diagnostics.source().line(at) == 2;
    let found: Vec<_> = diagnostics
        .list()
        .iter()
        .filter(|found| on_line(found.span.start))
        .collect();
    let mut said = String::new();
    for found in &found {
        let column = diagnostics.source().column(found.span.start);
        let _ = writeln!(
            said,
            "  {column}: {}: {}: {}",
            found.code, found.message, found.label
        );
        if let Some(help) = &found.help {
            let _ = writeln!(said, "      {help}");
        }
    }
    if found.is_empty() {
        "  accepted\n".to_owned()
    } else {
        said
    }
}

/// `LANDFALL_BLESS=1` writes the files anew.
#[test]
fn each_key_in_its_worst_forms() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/worst");
    let headings = headings();
    let mut wrong = Vec::new();
    for table in suggest::tables() {
        let heading = &headings[table.name];
        let mut page = format!("# {} {heading}\n", table.title);
        for key in table.keys {
            for value in WORST {
                let line = format!("{} = {value}", key.name);
                let _ = write!(
                    page,
                    "\n{}\n{}",
                    line.replace('\0', "\\0"),
                    said(heading, &line)
                );
            }
            // One letter too few, and another tool's way to join words.
            let short = &key.name[..key.name.len() - 1];
            let _ = write!(
                page,
                "\n{short} = 1\n{}",
                said(heading, &format!("{short} = 1"))
            );
            if key.name.contains('-') {
                let line = format!("{} = 1", key.name.replace('-', "_"));
                let _ = write!(page, "\n{line}\n{}", said(heading, &line));
            }
        }
        let path = folder.join(format!("{}.txt", table.name));
        if std::env::var_os("LANDFALL_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &page).unwrap();
        }
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&page) {
            wrong.push(table.name);
        }
    }
    assert!(
        wrong.is_empty(),
        "what is said has changed in {wrong:?}: look at it with LANDFALL_BLESS=1 and git diff"
    );
}
