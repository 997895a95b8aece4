//! Every name that users can meet has a page.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

/// Every string literal of kebab-case words in the first argument of these calls.
const MAKERS: [&str; 3] = ["Failure::new(", "Error::new(", "Diagnostic::error("];

fn sources(folder: &Path, visit: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            // What tests make up is met by nobody.
        } else if path.is_dir() {
            sources(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            visit(text.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
}

/// The names that the code of all crates gives to failures.
fn used() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for entry in fs::read_dir(crates).unwrap().map(Result::unwrap) {
        let folder = entry.path().join("src");
        if !folder.is_dir() {
            continue;
        }
        sources(&folder, &mut |text| {
            for maker in MAKERS {
                for rest in text.split(maker).skip(1) {
                    let Some(rest) = rest.trim_start().strip_prefix('"') else {
                        continue;
                    };
                    let name = rest.split('"').next().unwrap_or_default();
                    names.insert(name.to_owned());
                }
            }
        });
    }
    names
}

#[test]
fn every_name_has_a_page() {
    let used = used();
    assert!(used.len() > 40, "the search finds names: {used:?}");
    let missing: Vec<_> = used.iter().filter(|name| page(name).is_none()).collect();
    assert!(missing.is_empty(), "no page: {missing:?}");
}

#[test]
fn every_exit_code_by_name_has_a_page() {
    for (name, _) in crate::exit::BY_NAME {
        assert!(page(name).is_some(), "{name}");
    }
}

#[test]
fn pages_are_whole() {
    for page in all() {
        assert!(
            !page.title.is_empty() && !page.text.trim().is_empty(),
            "{}",
            page.name
        );
        assert!(
            !page
                .text
                .contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')),
            "{}: a terminal would obey it",
            page.name
        );
        assert!(
            page.title.chars().count() <= 80,
            "{}: {}",
            page.name,
            page.title
        );
        assert!(
            page.name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '-'),
            "{}",
            page.name
        );
    }
    let names: Vec<_> = PAGES.iter().map(|(name, _)| name).collect();
    assert!(names.is_sorted(), "sorted by name");
}

#[test]
fn names_written_otherwise_are_near() {
    assert_eq!(near("wrong_port"), ["wrong-port"]);
    assert_eq!(near("Wrong Port"), ["wrong-port"]);
    assert!(near("wrongest-port").contains(&"wrong-port"));
    assert!(near("zebra").is_empty());
}

#[test]
fn text_is_filled() {
    assert_eq!(
        filled("one two three\nfour\n\n**five** six\n", 9),
        "one two\nthree\nfour\n\nfive six\n"
    );
}

#[test]
fn examples_keep_their_lines() {
    let text = "A meaning.\n\nWrong:\n\na = 1\n\nb = 2\n\nRight:\n\na = 2\n";
    assert_eq!(
        filled(&fenced(text), 40),
        "A meaning.\n\nWrong:\n\n    a = 1\n\n    b = 2\n\nRight:\n\n    a = 2\n"
    );
}
