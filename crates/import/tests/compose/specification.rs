//! The Compose specification's chapters on interpolation, merging, extending, including and profiles,
//! each of their sentences as a case of ours. How many there are is printed.

use std::collections::BTreeMap;

use landfall_import::{Imported, Input, Refusal, compose::import};

type Files = BTreeMap<String, Vec<u8>>;

fn files(all: &[(&str, &str)]) -> Files {
    all.iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

pub(super) fn imported(
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

pub(super) fn value(imported: &Imported, path: &str) -> Option<toml::Value> {
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
