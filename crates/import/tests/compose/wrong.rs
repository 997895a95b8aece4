//! Files that are wrong, and files that mean harm.

use std::time::Instant;

use landfall_import::Imported;
use proptest::prelude::*;

use super::{import_bytes, one, refused, value};

#[test]
fn what_is_no_compose_file_is_refused_with_its_line() {
    for (text, line, expected) in [
        (&b"web:\n  image: x\n"[..], 1, "first version"),
        (b"", 0, "no `services`"),
        (b"- a\n", 1, "this is a list"),
        (b"hello\n", 1, "this is a text"),
        (b"services:\n", 1, "`services` is nothing"),
        (b"services: []\n", 1, "`services` is a list"),
        (b"services: {}\n", 1, "`services` is empty"),
        (
            b"services:\n  a: x\n",
            2,
            "services.a: expected a mapping, and this is a text",
        ),
        (
            b"services:\n  a:\n    image: x\n    image: y\n",
            4,
            "`image` stands here a second time; it stands in line 3",
        ),
        (b"services:\n\ta: 1\n", 2, "a tab"),
        (b"services: &a {x: *a}\n", 1, "holds itself"),
        (b"services:\n  a: {image: \xff}\n", 2, "not UTF-8"),
        (b"services:\n  a: {image: \0}\n", 2, "NUL"),
        (
            b"services:\n  a: {image: x\n",
            2,
            "`{` is opened and not closed",
        ),
        (b"services:\n  a: {image: *none}\n", 2, "`*none`"),
        (
            b"services:\n  a: {image: x, volumes: ['a:b:c:d']}\n",
            2,
            "is no volume",
        ),
        (
            b"services:\n  a: {image: x, mem_limit: many}\n",
            2,
            "`many` is no size",
        ),
        (
            b"services:\n  a: {image: x, command: \"a 'b\"}\n",
            2,
            "a quote is opened",
        ),
    ] {
        let refusal = refused(text);
        assert!(refusal.message.contains(expected), "{refusal}");
        assert_eq!(
            (refusal.name, refusal.file.as_str(), refusal.line),
            ("bad-import", "compose.yaml", line),
            "{refusal}"
        );
    }
    // Windows' line ends and a byte order mark are nothing wrong.
    assert_eq!(
        value(
            &one("\u{feff}services:\r\n  a:\r\n    image: x:1\r\n"),
            "service/a/image"
        ),
        "\"x:1\""
    );
}

#[test]
fn bombs_and_large_files_are_refused_quickly() {
    let mut laughs =
        "services:\n  a: {image: x}\nx-0: &l0 [a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..10 {
        laughs.push_str(&format!(
            "x-{level}: &l{level} [{}]\n",
            vec![format!("*l{}", level - 1); 9].join(", ")
        ));
    }
    let begun = Instant::now();
    assert!(refused(laughs).message.contains("values"));
    let large = vec![b'#'; 17 << 20];
    assert!(refused(large).message.contains("at most"));
    let mut deep = "services:\n  a:\n    image: \"".to_owned();
    deep.push_str(&"${A:-".repeat(10_000));
    deep.push('"');
    assert!(!refused(deep).message.is_empty());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_profile_that_is_no_text_leaves_nothing_out() {
    let imported = one("services: {a: {image: \"x:1\", profiles: [~, {a: b}]}}\n");
    assert_eq!(value(&imported, "service/a/image"), "\"x:1\"");
}

const SAMPLE: &str = include_str!("sample.yaml");

fn readable(imported: &Imported) {
    let (_, diagnostics) = landfall_app::read(imported.text.as_bytes(), "landfall.toml");
    assert!(
        !diagnostics.has_errors(),
        "{diagnostics}\n{}",
        imported.text
    );
}

#[test]
fn the_sample_that_is_changed_is_read() {
    let imported = one(SAMPLE);
    readable(&imported);
    assert!(imported.text.contains("[service.web]") && imported.text.contains("[backing.db]"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_change_of_a_compose_file_makes_it_panic(
        edits in proptest::collection::vec((0..SAMPLE.len(), 0..14usize, "[-?:,\\[\\]{}#&*!|>'\"<~ \\n a0A_$/.]{0,5}"), 1..8),
    ) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for (at, length, text) in edits {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, text.bytes());
        }
        if let Ok(imported) = import_bytes(&[("compose.yaml", &bytes)]) {
            readable(&imported);
        }
    }

    #[test]
    fn no_value_of_a_key_makes_it_panic(
        key in proptest::sample::select(vec!["image", "build", "command", "entrypoint", "ports", "volumes", "environment", "env_file", "depends_on", "healthcheck", "deploy", "restart", "secrets", "configs", "networks", "labels", "user", "cap_add", "expose", "extends", "gpus", "links", "logging", "profiles", "tmpfs", "stop_signal", "mem_limit", "cpus", "scale", "develop", "network_mode", "security_opt"]),
        value in "(\\[|\\{|\"|')?[-a-zA-Z0-9:/.,_$ ]{0,20}(\\]|\\}|\"|')?",
    ) {
        let text = format!("services:\n  db: {{image: postgres}}\n  web:\n    build: .\n    {key}: {value}\n");
        if let Ok(imported) = import_bytes(&[("compose.yaml", text.as_bytes())]) {
            readable(&imported);
        }
    }
}
