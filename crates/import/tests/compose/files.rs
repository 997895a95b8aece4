//! Several files as one, and files of variables.

use super::specification::{imported, value};

#[test]
fn extends_takes_over_from_the_same_file_and_from_another_one() {
    let text = "services:\n  base:\n    image: x:1\n    command: base\n    environment: {A: a, B: b}\n    tmpfs: [/a]\n  web:\n    extends: base\n    environment: {B: c}\n    tmpfs: [/b]\n  far:\n    extends: {file: other/common.yaml, service: app}\n    environment: {C: d}\n";
    let other = "services:\n  root:\n    build: .\n    env_file: vars.env\n  app:\n    extends: {service: root}\n    command: run\n";
    let all = [
        ("c.yaml", text),
        ("other/common.yaml", other),
        ("other/vars.env", "V=1\n"),
    ];
    let imported = imported(&all, &["c.yaml"], &[], &[]).unwrap();
    let at = |path: &str| value(&imported, path).map(|value| value.to_string());
    assert_eq!(at("service/web/image").as_deref(), Some("\"x:1\""));
    assert_eq!(at("service/web/command").as_deref(), Some("\"base\""));
    assert_eq!(at("service/web/env/A").as_deref(), Some("\"a\""));
    assert_eq!(at("service/web/env/B").as_deref(), Some("\"c\""));
    assert_eq!(at("service/web/tmpfs").as_deref(), Some("[\"/a\", \"/b\"]"));
    // Its paths are those of its own file.
    assert_eq!(at("service/far/root").as_deref(), Some("\"other\""));
    assert_eq!(at("service/far/env/V").as_deref(), Some("\"1\""));
    assert_eq!(at("service/far/command").as_deref(), Some("\"run\""));
    assert_eq!(at("service/base/env/B").as_deref(), Some("\"b\""));
}

#[test]
fn extends_in_a_circle_or_of_nothing_is_refused() {
    for (text, expected) in [
        (
            "services:\n  a: {extends: b}\n  b: {extends: a}\n",
            "extend each other in a circle: a → b → a",
        ),
        ("services:\n  a: {extends: a}\n", "circle: a → a"),
        (
            "services:\n  a: {extends: none}\n",
            "there is no service `none`",
        ),
        (
            "services:\n  a: {extends: {file: none.yaml, service: x}}\n",
            "there is no file none.yaml",
        ),
        (
            "services:\n  a: {extends: {file: c.yaml, service: a}}\n",
            "circle",
        ),
        (
            "services:\n  a: {extends: {file: c.yaml}}\n",
            "expected `service`",
        ),
    ] {
        let refusal = imported(&[("c.yaml", text)], &["c.yaml"], &[], &[]).unwrap_err();
        assert!(refusal.message.contains(expected), "{refusal}");
    }
}

#[test]
fn include_brings_in_other_files_with_their_folders_and_variables() {
    let text = "include:\n  - sub/compose.yaml\n  - path: [two/a.yaml, two/b.yaml]\n    project_directory: three\n    env_file: my.env\nservices:\n  web: {image: \"x:1\", environment: {V: \"$V\"}}\n";
    let sub = "services:\n  inner:\n    build: ./app\n    env_file: ./e.env\n    environment: {V: \"$V\", W: \"$W\"}\n";
    let all = [
        ("compose.yaml", text),
        (".env", "V=mine\n"),
        ("sub/compose.yaml", sub),
        ("sub/.env", "V=theirs\nW=sub\n"),
        ("sub/e.env", "E=1\n"),
        (
            "two/a.yaml",
            "services:\n  third: {build: ., environment: {X: \"$X\"}}\n",
        ),
        ("two/b.yaml", "services:\n  third: {command: run}\n"),
        ("my.env", "X=ex\n"),
    ];
    let imported = imported(&all, &["compose.yaml"], &[], &[]).unwrap();
    let at = |path: &str| value(&imported, path).map(|value| value.to_string());
    assert_eq!(at("service/inner/root").as_deref(), Some("\"sub/app\""));
    // The project's own values are stronger than those of the included folder.
    assert_eq!(at("service/inner/env/V").as_deref(), Some("\"mine\""));
    assert_eq!(at("service/inner/env/W").as_deref(), Some("\"sub\""));
    assert_eq!(at("service/inner/env/E").as_deref(), Some("\"1\""));
    assert_eq!(at("service/third/root").as_deref(), Some("\"three\""));
    assert_eq!(at("service/third/command").as_deref(), Some("\"run\""));
    assert_eq!(at("service/third/env/X").as_deref(), Some("\"ex\""));
}

#[test]
fn includes_in_a_circle_are_refused() {
    let one = "include: [b.yaml]\nservices: {a: {image: \"x:1\"}}\n";
    let two = "include: [a.yaml]\nservices: {b: {image: \"x:1\"}}\n";
    let refusal = imported(&[("a.yaml", one), ("b.yaml", two)], &["a.yaml"], &[], &[]).unwrap_err();
    assert!(
        refusal.message.contains("include each other in a circle"),
        "{refusal}"
    );
}

#[test]
fn profiles_bring_services_in_that_are_left_out_otherwise() {
    let text = "services:\n  foo: {image: \"x:1\"}\n  bar: {image: \"x:1\", profiles: [test]}\n  baz: {image: \"x:1\", depends_on: [bar], profiles: [test]}\n  zot: {image: \"x:1\", depends_on: [bar], profiles: [debug]}\n";
    let services = |profiles: &[&str], variables: &[(&str, &str)]| {
        let imported = imported(&[("c.yaml", text)], &["c.yaml"], variables, profiles).unwrap();
        let names: Vec<String> = value(&imported, "service")
            .unwrap()
            .as_table()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        (names.join(" "), imported)
    };
    let (none, imported) = services(&[], &[]);
    assert_eq!(none, "foo");
    assert!(
        imported.clean()
            && imported
                .remarks
                .iter()
                .filter(|remark| remark.said.contains("the profile"))
                .count()
                == 3
    );
    assert_eq!(services(&["test"], &[]).0, "foo bar baz");
    assert_eq!(services(&["debug", "test"], &[]).0, "foo bar baz zot");
    assert_eq!(services(&["*"], &[]).0, "foo bar baz zot");
    assert_eq!(
        services(&[], &[("COMPOSE_PROFILES", "test,debug")]).0,
        "foo bar baz zot"
    );
    // What it waits for isn't there.
    let (debug, imported) = services(&["debug"], &[]);
    assert_eq!(debug, "foo zot");
    assert!(
        imported
            .remarks
            .iter()
            .any(|remark| remark.key == "services.zot.depends_on.bar")
    );
}

#[test]
fn anchors_merge_keys_and_fields_of_ones_own_are_read() {
    let text = "x-common: &common\n  image: x:1\n  environment: &env\n    A: a\n    B: b\nservices:\n  one:\n    <<: *common\n    environment:\n      <<: *env\n      B: c\n    x-note: mine\n  two:\n    <<: *common\n    command: run\n  x-three: ignored\n";
    let imported = imported(&[("c.yaml", text)], &["c.yaml"], &[], &[]).unwrap();
    let at = |path: &str| value(&imported, path).map(|value| value.to_string());
    assert_eq!(at("service/one/env/A").as_deref(), Some("\"a\""));
    assert_eq!(at("service/one/env/B").as_deref(), Some("\"c\""));
    assert_eq!(at("service/two/command").as_deref(), Some("\"run\""));
    assert!(imported.remarks.is_empty(), "{:?}", imported.remarks);
}

#[test]
fn files_of_variables_are_read_as_compose_reads_them() {
    let right = [
        ("FOO=bar", "FOO", "bar"),
        ("FOO = bar", "FOO", "bar"),
        ("FOO=", "FOO", ""),
        ("FOO=\"bar\"", "FOO", "bar"),
        ("FOO='bar'", "FOO", "bar"),
        ("FOO=\"a\\\"b\"", "FOO", "a\"b"),
        ("FOO=\"'d'\"", "FOO", "'d'"),
        ("FOO: bar", "FOO", "bar"),
        ("FOO=1:B", "FOO", "1:B"),
        ("FOO=a=b=", "FOO", "a=b="),
        ("export FOO=2", "FOO", "2"),
        ("\texport\tFOO=2", "FOO", "2"),
        ("exportFOO=2", "exportFOO", "2"),
        ("FOO=\"a\\nb\\tc\"", "FOO", "a\nb\tc"),
        ("FOO='a\\nb'", "FOO", "a\\nb"),
        ("FOO=a\\tb", "FOO", "a\\tb"),
        ("FOO=\"a\nb\"", "FOO", "a\nb"),
        ("FOO=bar   ", "FOO", "bar"),
        ("FOO=bar # said", "FOO", "bar"),
        ("FOO=bar#no comment", "FOO", "bar#no comment"),
        ("FOO=\"bar # in it\" # said", "FOO", "bar # in it"),
        ("# said\n\nFOO=bar", "FOO", "bar"),
        ("FOO=bar\r\nBAR=baz\r\n", "BAR", "baz"),
        ("\u{feff}FOO=bar", "FOO", "bar"),
        ("A=1\nFOO=$A-${A}", "FOO", "1-1"),
        ("FOO='$A'", "FOO", "$A"),
        ("FOO=\"\\$A\"", "FOO", "$A"),
        ("FOO=$$A", "FOO", "$A"),
        ("FOO=${NONE:-x}", "FOO", "x"),
        ("FOO=${OUTSIDE}", "FOO", "o"),
        ("FOO=1\nFOO=2", "FOO", "2"),
        ("FOO=\"\\x07\"", "FOO", "\\x07"),
    ];
    let compose = "services:\n  a:\n    image: x:1\n    env_file: e.env\n";
    for (text, name, expected) in right {
        let imported = imported(
            &[("c.yaml", compose), ("e.env", text)],
            &["c.yaml"],
            &[("OUTSIDE", "o")],
            &[],
        )
        .unwrap();
        let found = value(&imported, &format!("service/a/env/{name}"));
        assert_eq!(
            found.as_ref().and_then(toml::Value::as_str),
            Some(expected),
            "{text:?}\n{}",
            imported.text
        );
    }
    let wrong = [
        ("FOO='x", 1),
        ("\nA B=1", 2),
        ("=x", 1),
        ("FOO=\"a\" b", 1),
        ("FOO=${", 1),
        ("FOO=${X?no}", 1),
    ];
    for (text, line) in wrong {
        let refusal = imported(
            &[("c.yaml", compose), ("e.env", text)],
            &["c.yaml"],
            &[],
            &[],
        )
        .unwrap_err();
        assert_eq!(
            (refusal.file.as_str(), refusal.line),
            ("e.env", line),
            "{text:?}: {refusal}"
        );
    }
    println!("files of variables: {} cases", right.len() + wrong.len());
}
