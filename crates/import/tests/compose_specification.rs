//! The Compose specification's chapters on interpolation, merging, extending, including and profiles,
//! each of their sentences as a case of ours. How many there are is printed.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use landfall_import::{Imported, Input, Refusal, compose::import};

type Files = BTreeMap<String, Vec<u8>>;

fn files(all: &[(&str, &str)]) -> Files {
    all.iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

fn imported(
    all: &[(&str, &str)],
    named: &[&str],
    variables: &[(&str, &str)],
    profiles: &[&str],
) -> Result<Imported, Refusal> {
    let source = files(all);
    let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let profiles: Vec<String> = profiles.iter().map(|name| (*name).to_owned()).collect();
    import(&Input {
        files: &named,
        source: &source,
        variables: &variables,
        profiles: &profiles,
        name: "shop",
    })
}

fn value(imported: &Imported, path: &str) -> Option<toml::Value> {
    let table: toml::Table = imported.text.parse().unwrap();
    let mut value = toml::Value::Table(table);
    for key in path.split('/') {
        value = value.get(key)?.clone();
    }
    Some(value)
}

/// A text as YAML in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What a text becomes, as the one word of a command.
fn interpolated(template: &str) -> Result<String, Refusal> {
    let text = format!(
        "services:\n  a:\n    image: x:1\n    command: [{}]\n",
        quoted(template)
    );
    let variables = [
        ("FOO", "first"),
        ("BAR", ""),
        ("foo", "small"),
        ("_x1", "under"),
    ];
    let imported = imported(
        &[("compose.yaml", &text)],
        &["compose.yaml"],
        &variables,
        &[],
    )?;
    Ok(match value(&imported, "service/a/command").unwrap() {
        toml::Value::String(word) => word,
        list => list[0].as_str().unwrap().to_owned(),
    })
}

#[test]
fn interpolation_is_the_specifications() {
    let right = [
        // Both syntaxes.
        ("$FOO", "first"),
        ("${FOO}", "first"),
        ("a$FOO/b", "afirst/b"),
        ("$FOO-bar", "first-bar"),
        ("${FOO}bar", "firstbar"),
        ("$FOO$FOO", "firstfirst"),
        ("${foo}", "small"),
        ("$_x1", "under"),
        // Unset and empty.
        ("[$NONE]", "[]"),
        ("[${NONE}]", "[]"),
        ("[${BAR}]", "[]"),
        // `:-` where it is unset or empty, `-` where it is unset.
        ("${NONE:-x}", "x"),
        ("${NONE-x}", "x"),
        ("${BAR:-x}", "x"),
        ("[${BAR-x}]", "[]"),
        ("${FOO:-x}", "first"),
        ("${FOO-x}", "first"),
        ("[${NONE:-}]", "[]"),
        ("${NONE:-a b}", "a b"),
        ("${NONE:-/a:-b}", "/a:-b"),
        ("${NONE--}", "-"),
        ("${NONE:-?}", "?"),
        ("${NONE:-a+b}", "a+b"),
        // `:+` where it is set and not empty, `+` where it is set.
        ("${FOO:+x}", "x"),
        ("${FOO+x}", "x"),
        ("[${BAR:+x}]", "[]"),
        ("${BAR+x}", "x"),
        ("[${NONE:+x}]", "[]"),
        ("[${NONE+x}]", "[]"),
        // `:?` and `?` where there is a value.
        ("${FOO:?no}", "first"),
        ("${FOO?no}", "first"),
        ("[${BAR?no}]", "[]"),
        // Nesting.
        ("${NONE:-${FOO}}", "first"),
        ("${NONE:-$FOO}", "first"),
        ("${NONE:-${NEITHER:-x}}", "x"),
        ("${NONE-${FOO} ${FOO}}", "first first"),
        ("${FOO:?$NONE}", "first"),
        ("${BAR+$FOO ${FOO:+x}}", "first x"),
        ("${NONE:-a${FOO}b}c", "afirstbc"),
        ("${NONE:-{\"a\":1}}", "{\"a\":1}"),
        // What isn't a variable stays.
        ("a $ b", "a $ b"),
        ("^x$", "^x$"),
        ("$}", "$}"),
        ("$1", "$1"),
        ("a$,", "a$,"),
        // Two dollars are one.
        ("$$FOO", "$FOO"),
        ("$$$FOO", "$first"),
        ("$${FOO}", "${FOO}"),
        ("$$$$", "$$"),
        ("${NONE:-$$}", "$"),
        // What a value holds isn't looked at again; text around changes nothing.
        ("-ok ${BAR:-x}", "-ok x"),
        (":?ok ${BAR-x}.", ":?ok ."),
        ("+ok ${NONE:-${BAR-x}}.", "+ok ."),
    ];
    for (template, expected) in right {
        assert_eq!(interpolated(template).unwrap(), expected, "{template}");
    }
    let wrong = [
        ("${", "is no variable"),
        ("${}", "is no variable"),
        ("${ }", "is no variable"),
        ("${ FOO}", "is no variable"),
        ("${FOO }", "is no variable"),
        ("${FOO!}", "is no variable"),
        ("${FOO/a/b}", "is no variable"),
        ("${1}", "is no variable"),
        ("${FOO:x}", "is no variable"),
        ("${FOO", "is no variable"),
        (
            "${NONE:?it is needed}",
            "the variable `NONE` has no value, and the file demands one: it is needed",
        ),
        ("${NONE?it is needed}", "the file demands one: it is needed"),
        ("${BAR:?it is needed}", "the variable `BAR` has no value"),
        ("${NONE:?}", "the file demands one"),
        ("${NONE?of ${FOO}}", "of first"),
    ];
    for (template, expected) in wrong {
        let refusal = interpolated(template).unwrap_err();
        assert!(refusal.message.contains(expected), "{template}: {refusal}");
        assert_eq!(
            (refusal.line, refusal.name),
            (4, "bad-import"),
            "{template}"
        );
    }
    println!(
        "interpolation: {} cases of the specification",
        right.len() + wrong.len()
    );
}

#[test]
fn keys_are_not_interpolated_and_lists_of_pairs_are() {
    let text = "services:\n  a:\n    image: x:1\n    environment:\n      A_$FOO: $FOO\n  b:\n    image: x:1\n    environment:\n      - B_${FOO}=${FOO}\n";
    let imported = imported(&[("c.yaml", text)], &["c.yaml"], &[("FOO", "x")], &[]).unwrap();
    assert_eq!(
        value(&imported, "service/b/env/B_x").unwrap().as_str(),
        Some("x")
    );
    // Such a key is no variable's name, and said so.
    assert!(
        imported
            .remarks
            .iter()
            .any(|remark| remark.key == "services.a.environment.A_$FOO")
    );
}

#[test]
fn a_variable_without_value_and_default_is_told_once_with_its_place() {
    let text =
        "services:\n  a:\n    image: x:1\n    environment: {V: \"$NONE\", W: \"${A:+${A},}B\"}\n";
    let imported = imported(&[("c.yaml", text)], &["c.yaml"], &[], &[]).unwrap();
    let told: Vec<_> = imported
        .remarks
        .iter()
        .filter(|remark| remark.said.contains("has no value"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].line, told[0].key.as_str()),
        (4, "services.a.environment.V")
    );
    assert_eq!(
        value(&imported, "service/a/env/V").unwrap().as_str(),
        Some("")
    );
}

/// What a merge of files gives at a path, as TOML; `-` where there is nothing.
type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn merging_is_the_specifications() {
    let head = "services:\n  foo:\n    image: x:1\n";
    let cases: &[Case<'_>] = &[
        (
            "mappings are merged key by key",
            &[
                "    environment: {K1: a, K2: b}\n",
                "    environment: {K2: c, K3: d}\n",
            ],
            &[
                ("service/foo/env/K1", "\"a\""),
                ("service/foo/env/K2", "\"c\""),
                ("service/foo/env/K3", "\"d\""),
            ],
        ),
        (
            "a list of pairs and a mapping are the same",
            &[
                "    environment: [K1=a, K2=b]\n",
                "    environment: {K2: c}\n",
            ],
            &[
                ("service/foo/env/K1", "\"a\""),
                ("service/foo/env/K2", "\"c\""),
            ],
        ),
        (
            "lists are appended",
            &["    tmpfs: [/a]\n", "    tmpfs: [/b]\n"],
            &[("service/foo/tmpfs", "[\"/a\", \"/b\"]")],
        ),
        (
            "what stands in both lists stands once",
            &["    tmpfs: [/a, /b]\n", "    tmpfs: [/b]\n"],
            &[("service/foo/tmpfs", "[\"/a\", \"/b\"]")],
        ),
        (
            "a word and a list are a list",
            &["    tmpfs: /a\n", "    tmpfs: [/b]\n"],
            &[("service/foo/tmpfs", "[\"/a\", \"/b\"]")],
        ),
        (
            "a command is replaced",
            &["    command: [echo, foo]\n", "    command: [echo, bar]\n"],
            &[("service/foo/command", "\"echo bar\"")],
        ),
        (
            "a command is replaced by one of the other form",
            &["    command: [echo, foo]\n", "    command: run it\n"],
            &[("service/foo/command", "\"run it\"")],
        ),
        (
            "the test of a health check is replaced, and its times stay",
            &[
                "    healthcheck: {test: [CMD, a], interval: 7s, timeout: 4s}\n",
                "    healthcheck: {test: [CMD, b], timeout: 6s}\n",
            ],
            &[
                ("service/foo/health/run", "[\"b\"]"),
                ("service/foo/health/interval", "\"7s\""),
                ("service/foo/health/timeout", "\"6s\""),
            ],
        ),
        (
            "volumes are one by their target",
            &[
                "    volumes: [foo:/work, keep:/keep]\n",
                "    volumes: [bar:/work]\n",
            ],
            &[
                ("service/foo/volumes/bar", "\"/work\""),
                ("service/foo/volumes/keep", "\"/keep\""),
                ("service/foo/volumes/foo", "-"),
            ],
        ),
        (
            "volumes of both forms are one by their target",
            &[
                "    volumes: [foo:/work]\n",
                "    volumes: [{type: volume, source: bar, target: /work}]\n",
            ],
            &[
                ("service/foo/volumes/bar", "\"/work\""),
                ("service/foo/volumes/foo", "-"),
            ],
        ),
        (
            "ports that are the same are one",
            &[
                "    ports: ['8080:80']\n",
                "    ports: [{target: 80, published: 8080}]\n",
            ],
            &[("service/foo/publish", "8080"), ("service/foo/port", "80")],
        ),
        (
            "a scalar is replaced",
            &["    stop_signal: SIGINT\n", "    stop_signal: SIGHUP\n"],
            &[("service/foo/stop/signal", "\"SIGHUP\"")],
        ),
        (
            "a null changes nothing",
            &[
                "    environment: {K: a}\n    command: run\n",
                "    environment:\n    command:\n",
            ],
            &[
                ("service/foo/env/K", "\"a\""),
                ("service/foo/command", "\"run\""),
            ],
        ),
        (
            "!reset takes a value out",
            &[
                "    ports: ['8080:80']\n    environment: {FOO: BAR, KEEP: x}\n",
                "    ports: !reset []\n    environment:\n      FOO: !reset null\n",
            ],
            &[
                ("service/foo/publish", "-"),
                ("service/foo/port", "-"),
                ("service/foo/env/FOO", "-"),
                ("service/foo/env/KEEP", "\"x\""),
            ],
        ),
        (
            "!reset takes out what has a value behind it",
            &["    command: run\n", "    command: !reset stop\n"],
            &[("service/foo/command", "-")],
        ),
        (
            "!override replaces what would be merged",
            &[
                "    ports: ['8080:80']\n",
                "    ports: !override ['8443:443']\n",
            ],
            &[("service/foo/publish", "8443"), ("service/foo/port", "443")],
        ),
        (
            "!override replaces a mapping",
            &[
                "    environment: {A: a, B: b}\n",
                "    environment: !override {B: c}\n",
            ],
            &[("service/foo/env/A", "-"), ("service/foo/env/B", "\"c\"")],
        ),
        (
            "a build's word is its context",
            &["    build: ./a\n", "    build: {target: prod}\n"],
            &[
                ("service/foo/root", "\"a\""),
                ("service/foo/build/stage", "\"prod\""),
            ],
        ),
        (
            "build arguments are pairs",
            &[
                "    build: {context: ., args: [A=1, B=2]}\n",
                "    build: {args: {B: 3}}\n",
            ],
            &[
                ("service/foo/build/args/A", "\"1\""),
                ("service/foo/build/args/B", "\"3\""),
            ],
        ),
        (
            "limits are merged deeply",
            &[
                "    deploy: {resources: {limits: {memory: 1g}}}\n",
                "    deploy: {resources: {limits: {cpus: '0.5'}}}\n",
            ],
            &[
                ("service/foo/memory", "\"1GiB\""),
                ("service/foo/cpu", "0.5"),
            ],
        ),
        (
            "three files are merged in their order",
            &[
                "    environment: {A: a}\n",
                "    environment: {A: b}\n",
                "    environment: {A: c}\n",
            ],
            &[("service/foo/env/A", "\"c\"")],
        ),
    ];
    for (name, parts, expected) in cases {
        let texts: Vec<String> = parts.iter().map(|part| format!("{head}{part}")).collect();
        let names: Vec<String> = (0..texts.len()).map(|at| format!("f{at}.yaml")).collect();
        let all: Vec<(&str, &str)> = names
            .iter()
            .map(String::as_str)
            .zip(texts.iter().map(String::as_str))
            .collect();
        let named: Vec<&str> = names.iter().map(String::as_str).collect();
        let imported = imported(&all, &named, &[], &[]).unwrap();
        for (path, expected) in *expected {
            let found =
                value(&imported, path).map_or_else(|| "-".to_owned(), |value| value.to_string());
            assert_eq!(&found, expected, "{name}: {path}\n{}", imported.text);
        }
        // Several documents of one file are merged as several files are.
        let together = texts.join("---\n");
        let one = self::imported(&[("f0.yaml", &together)], &["f0.yaml"], &[], &[]).unwrap();
        let body = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            body(&one.text),
            body(&imported.text),
            "{name}, as documents"
        );
    }
    println!(
        "merging: {} cases of the specification, each as files and as documents",
        cases.len()
    );
}

#[test]
fn what_can_not_be_merged_is_refused_with_both_places() {
    let one = "services:\n  a:\n    image: x:1\n    deploy: {resources: {limits: {memory: 1g}}}\n";
    let two = "services:\n  a:\n    deploy: [x]\n";
    let refusal = imported(
        &[("1.yaml", one), ("2.yaml", two)],
        &["1.yaml", "2.yaml"],
        &[],
        &[],
    )
    .unwrap_err();
    assert_eq!((refusal.file.as_str(), refusal.line), ("2.yaml", 3));
    assert!(
        refusal
            .message
            .contains("services.a.deploy: a list here, and a mapping in line 4 of 1.yaml"),
        "{refusal}"
    );
}

#[test]
fn interpolation_comes_before_merging_and_sees_each_file_alone() {
    let one = "services:\n  a:\n    image: x:1\n    environment: [\"A=${V}\", \"B=1\"]\n";
    let two = "services:\n  a:\n    environment: {A: \"${V:-z}2\"}\n";
    let imported = imported(
        &[("1.yaml", one), ("2.yaml", two)],
        &["1.yaml", "2.yaml"],
        &[("V", "v")],
        &[],
    )
    .unwrap();
    assert_eq!(
        value(&imported, "service/a/env/A").unwrap().as_str(),
        Some("v2")
    );
}

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
