//! What is printed says what the draft says.

use proptest::prelude::*;

use super::*;

/// A draft as the tree that a reader of TOML makes of it.
fn tree(draft: &Draft) -> toml::Value {
    let mut root = toml::Table::new();
    root.insert("app".to_owned(), draft.app.clone().into());
    section(&draft.top, &mut root);
    let mut environments = toml::Table::new();
    for (name, environment) in draft.environments() {
        let mut inner = toml::Table::new();
        section(environment, &mut inner);
        environments.insert(name.to_owned(), inner.into());
    }
    if !environments.is_empty() {
        root.insert("environment".to_owned(), environments.into());
    }
    root.into()
}

fn section(section: &Section, into: &mut toml::Table) {
    for (key, entry) in section.own.entries() {
        into.insert(key.to_owned(), value(&entry.value));
    }
    let kinds = [
        ("service", section.services()),
        ("backing", section.all_backing()),
        ("job", section.jobs()),
    ];
    for (kind, tables) in kinds {
        let tables: toml::Table = tables
            .into_iter()
            .map(|(name, table)| (name.to_owned(), value(&Value::Table(table.clone()))))
            .collect();
        if !tables.is_empty() {
            into.insert(kind.to_owned(), tables.into());
        }
    }
    if !section.hooks.is_empty() {
        into.insert(
            "hook".to_owned(),
            value(&Value::Table(section.hooks.clone())),
        );
    }
}

fn value(of: &Value) -> toml::Value {
    match of {
        Value::Text(text) => text.clone().into(),
        Value::Whole(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(items) => items.iter().map(value).collect::<Vec<_>>().into(),
        Value::Table(table) => {
            let pairs = table.entries().into_iter();
            toml::Value::Table(
                pairs
                    .map(|(key, entry)| (key.to_owned(), value(&entry.value)))
                    .collect(),
            )
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<String>().prop_map(Value::Text),
        "[a-z \"'\\\\\n\t#=\\[\\]{}.é]{0,40}".prop_map(Value::Text),
        any::<i64>().prop_map(Value::Whole),
        any::<bool>().prop_map(Value::Flag),
        (-1e9..1e9f64).prop_map(Value::Real),
    ];
    scalar.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            any_table(inner).prop_map(Value::Table),
        ]
    })
}

fn any_table(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Table> {
    let comment = proptest::option::of(any::<String>());
    let key = prop_oneof![
        "[a-z]{1,6}",
        any::<String>(),
        Just("env".to_owned()),
        Just("port".to_owned())
    ];
    let entries = proptest::collection::vec((key, inner, comment.clone()), 0..6);
    (entries, proptest::collection::vec(any::<String>(), 0..2)).prop_map(|(entries, comments)| {
        let mut table = Table::new();
        for (key, value, comment) in entries {
            // The key of the processes is tables, always.
            if key != "process" {
                table.set(&key, value).comment = comment;
            }
        }
        table.comments = comments;
        table
    })
}

fn any_draft() -> impl Strategy<Value = Draft> {
    let named = || proptest::collection::vec(("[a-z]{1,4}", any_table(any_value())), 0..3);
    let processes = proptest::collection::vec(("[a-z]{1,4}", any_table(any_value())), 0..3);
    let top = any_table(any_value());
    (
        named(),
        named(),
        named(),
        processes,
        top,
        any_table(any_value()),
    )
        .prop_map(|(services, backing, environments, processes, top, hooks)| {
            let mut draft = Draft::new("shop");
            draft.comments.push("a file".to_owned());
            for (name, table) in services {
                *draft.service(&name) = table;
            }
            for (name, table) in processes {
                draft.service("several").table("process").set(&name, table);
            }
            for (name, table) in backing {
                *draft.backing(&name) = table.clone();
                *draft.job(&name) = table;
            }
            for (name, table) in environments {
                *draft.environment(&name).service("web") = table.clone();
                draft.environment(&name).own.set("target", "local");
            }
            draft.top.hooks = hooks;
            for (key, entry) in top.entries() {
                if !["app", "service", "backing", "job", "hook", "environment"].contains(&key) {
                    draft.top.own.set(key, entry.value.clone()).comment = entry.comment.clone();
                }
            }
            draft
        })
}

/// A text that can stand in `env`.
fn plain() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~\n\t]{0,60}"].prop_filter("no reference", |text| {
        !text.contains("${") && !text.contains('\0')
    })
}

proptest! {
    #[test]
    fn any_draft_is_read_back_as_the_same_tree(draft in any_draft()) {
        let text = print(&draft);
        let read: toml::Value = toml::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(read, tree(&draft), "{}", text);
    }

    #[test]
    fn a_right_draft_is_an_app_file_with_the_same_values(
        env in proptest::collection::btree_map("[A-Z][A-Z0-9_]{0,12}x", plain(), 0..12),
        words in proptest::collection::vec(plain(), 1..6),
        comment in any::<String>(),
        port in 1..=u16::MAX,
    ) {
        let mut words = words;
        words.insert(0, "program".to_owned());
        let mut draft = Draft::new("shop");
        let web = draft.service("web");
        web.comment(comment.clone());
        web.set("port", port).comment(comment);
        web.set("command", words.clone());
        for (name, value) in &env {
            web.table("env").set(name, value.as_str());
        }
        let text = print(&draft);
        let (file, diagnostics) = landfall_app::read(text.as_bytes(), "landfall.toml");
        prop_assert!(!diagnostics.has_errors(), "{}\n{}", diagnostics, text);
        let resolved = file.expect("it has no errors").resolve(&"local".parse().expect("a name")).expect("local is always there");
        let service = &resolved.app.services["web"];
        prop_assert_eq!(service.port, Some(port));
        let command = match &service.processes[0].kind {
            landfall_app::model::ProcessKind::Stays(command) => command.words().to_vec(),
            kind => return Err(TestCaseError::fail(format!("{kind:?}"))),
        };
        prop_assert_eq!(command, words);
        for (name, value) in &env {
            let expected = landfall_app::Value::Text(value.parse().expect("no reference"));
            prop_assert_eq!(&service.env[name], &expected);
        }
    }
}

#[test]
fn it_looks_as_our_own_files_do() {
    let mut draft = Draft::new("shop");
    draft.comments.push("From a Procfile.".to_owned());
    draft
        .top
        .own
        .set("timezone", "Europe/Berlin")
        .comment("of jobs");
    let web = draft.service("web");
    web.set("port", 8000);
    web.set("build", "Dockerfile");
    web.todo("say what starts it");
    for number in 0..9 {
        web.table("env")
            .set(&format!("VARIABLE_{number}"), "a long value");
    }
    let api = web.table("process").table("api");
    api.set("command", vec!["sh", "-c", "a && \"b\""]);
    draft.backing("postgres").set("version", "15");
    draft.job("nightly").set("run", "bin/report");
    draft.top.hooks.set("switched", "bin/tell");
    draft.top.own.table("logs").set("keep", "7d");
    draft.environment("local").own.set("runtime", "process");
    draft
        .environment("local")
        .service("web")
        .set("publish", 8000);
    insta::assert_snapshot!(print(&draft), @r#"
    # From a Procfile.
    app      = "shop"
    timezone = "Europe/Berlin"  # of jobs

    [service.web]
    # TODO: say what starts it
    build = "Dockerfile"
    port  = 8000

    [service.web.env]
    VARIABLE_0 = "a long value"
    VARIABLE_1 = "a long value"
    VARIABLE_2 = "a long value"
    VARIABLE_3 = "a long value"
    VARIABLE_4 = "a long value"
    VARIABLE_5 = "a long value"
    VARIABLE_6 = "a long value"
    VARIABLE_7 = "a long value"
    VARIABLE_8 = "a long value"

    [service.web.process.api]
    command = ["sh", "-c", 'a && "b"']

    [backing.postgres]
    version = "15"

    [job.nightly]
    run = "bin/report"

    [hook]
    switched = "bin/tell"

    [logs]
    keep = "7d"

    [environment.local]
    runtime = "process"

    [environment.local.service.web]
    publish = 8000
    "#);
}

#[test]
fn what_an_app_file_does_not_allow_goes_with_a_remark() {
    let mut draft = Draft::new("shop");
    let web = draft.service("web");
    web.set("command", "bin/web");
    web.set("memory", "lots").from("fly.toml", 7);
    web.table("env").set("PORT", "80").from("fly.toml", 9);
    web.table("env").set("A", "${B}").from("fly.toml", 10);
    web.table("env").set("C", "d");
    let imported = settle(draft, Vec::new(), Vec::new(), "fly.toml").unwrap();
    assert!(
        imported.text.contains("env     = { C = \"d\" }"),
        "{}",
        imported.text
    );
    let lost: Vec<_> = imported
        .remarks
        .iter()
        .map(|remark| (remark.line, remark.key.as_str()))
        .collect();
    assert_eq!(
        lost,
        [
            (7, "service.web.memory"),
            (9, "service.web.env.PORT"),
            (10, "service.web.env.A")
        ]
    );
}

#[test]
fn a_file_without_anything_wrong_loses_nothing() {
    let mut draft = Draft::new("shop");
    draft.service("web").set("command", "bin/web");
    let imported = settle(draft.clone(), Vec::new(), vec!["A".to_owned()], "Procfile").unwrap();
    assert_eq!(
        (imported.text.as_str(), imported.remarks.len()),
        (print(&draft).as_str(), 0)
    );
    assert_eq!(imported.secrets, ["A"]);
}

#[test]
fn a_file_without_a_service_is_refused() {
    let mut draft = Draft::new("shop");
    draft.backing("postgres").set("version", "15");
    let refusal = settle(draft, Vec::new(), Vec::new(), "compose.yaml").unwrap_err();
    assert_eq!(refusal.name, "bad-import");
    assert!(
        refusal.message.contains("nothing in it becomes a service"),
        "{refusal}"
    );
}
