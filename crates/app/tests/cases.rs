//! What is said about broken files, as people see it. `LANDFALL_BLESS=1` writes the pages anew.

use std::{collections::BTreeSet, path::PathBuf};

use landfall_app::{codes, read};

#[test]
fn broken_files_are_told_as_written_down() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let known: BTreeSet<_> = codes().iter().map(|(code, _)| *code).collect();
    let (mut wrong, mut cases) = (Vec::new(), 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        cases += 1;
        let (_, diagnostics) = read(&std::fs::read(&path).unwrap(), "landfall.toml");
        for diagnostic in diagnostics.list() {
            assert!(
                known.contains(diagnostic.code),
                "{} has no page",
                diagnostic.code
            );
        }
        let page = format!("{}{}\n", diagnostics.render(false), diagnostics.summary());
        let expected = path.with_extension("txt");
        if std::env::var_os("LANDFALL_BLESS").is_some() {
            std::fs::write(&expected, &page).unwrap();
        }
        if std::fs::read_to_string(&expected).ok() != Some(page) {
            wrong.push(path.file_name().unwrap().to_owned());
        }
    }
    assert!(cases >= 15, "{cases}");
    assert!(
        wrong.is_empty(),
        "what is said has changed in {wrong:?}: look at it with LANDFALL_BLESS=1 and git diff"
    );
}

#[test]
fn places_are_lines_and_columns_in_characters() {
    let (_, diagnostics) = read(
        "app = \"shop\"\n[service.\"ü\"]\nä = 1\n".as_bytes(),
        "landfall.toml",
    );
    let reports = diagnostics.reports();
    assert_eq!(
        (
            reports[0].code,
            reports[0].line,
            reports[0].column,
            reports[0].end_column
        ),
        ("bad-name", 2, 10, 13)
    );
    assert_eq!(
        (reports[1].code, reports[1].line, reports[1].column),
        ("syntax", 3, 1)
    );
    assert!(
        serde_json::to_string(&reports)
            .unwrap()
            .contains("\"end-column\":13")
    );
}

#[test]
fn no_more_is_printed_than_anyone_reads() {
    let keys: String = (0..500)
        .map(|number| format!("key{number} = 1\n"))
        .collect();
    let (_, diagnostics) = read(keys.as_bytes(), "landfall.toml");
    assert!(diagnostics.errors() >= 500);
    let text = diagnostics.render(false);
    assert_eq!(
        text.matches("error[unknown-key]").count(),
        landfall_app::PRINTED - 2,
        "two say that the app has no name and no services"
    );
    assert!(text.contains("… and "));
}

#[test]
fn colour_is_for_terminals_only() {
    let (_, diagnostics) = read(b"ap = 1", "landfall.toml");
    assert!(!diagnostics.render(false).contains('\u{1b}'));
    assert!(diagnostics.render(true).contains('\u{1b}'));
}
