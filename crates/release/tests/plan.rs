//! Plans, steps and seals, on an app with two processes.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;

use landfall_app::{
    App, Name, Value,
    model::{Hook, HookPoint, Probe, Replicas, Run, Service, Smoke, Strategy},
};
use landfall_release::{
    Artifact, Content, Desired, MadeBy, PlanKind, Release, ReleaseNumber, SourceVersion, Step,
    plan, steps_for,
};
use proptest::prelude::{
    ProptestConfig, Strategy as _, any, prop_assert, prop_assert_eq, proptest,
};

fn app() -> App {
    serde_json::from_str(include_str!("data/app.json")).unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn api(content: &mut Content) -> &mut Service {
    content.app.services.get_mut("api").unwrap()
}

fn content() -> Content {
    let artifact = Artifact {
        digest: "aaaaaaaaaa".to_owned(),
        folder: "/srv/artifacts/a".into(),
        path: vec![],
        environment: BTreeMap::new(),
        builder: "python".to_owned(),
        said: "requirements.txt, 3 packages".to_owned(),
        size: 5,
        image: None,
    };
    Content {
        source: SourceVersion {
            commit: Some("4f2c9ae1111".to_owned()),
            tree: "t1".to_owned(),
            ..SourceVersion::default()
        },
        app: app(),
        artifacts: BTreeMap::from([(name("api"), artifact)]),
        secrets: BTreeMap::from([("TOKEN".to_owned(), 3)]),
        files: BTreeMap::new(),
        made_by: MadeBy::Deploy,
    }
}

fn release(content: Content) -> Release {
    content.seal(ReleaseNumber(4), 1_000)
}

/// The plan from `content()` to what `change` makes of it, a line each.
fn changed(change: impl FnOnce(&mut Content)) -> Vec<String> {
    let mut desired = content();
    change(&mut desired);
    printed(
        &Desired::from(&desired),
        Some(&release(content())),
        &BTreeMap::new(),
    )
}

fn printed(desired: &Desired, live: Option<&Release>, scaled: &BTreeMap<Name, u32>) -> Vec<String> {
    let plan = plan(desired, live, scaled);
    assert_eq!(plan.is_empty(), plan.lines().is_empty());
    let text = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
    plan.lines()
        .iter()
        .map(|line| {
            let why = line
                .why
                .as_ref()
                .map(|why| format!(" ({why})"))
                .unwrap_or_default();
            format!(
                "{} {}: {} → {}{why}",
                line.kind.word(),
                line.subject,
                text(&line.from),
                text(&line.to)
            )
        })
        .collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.parse().unwrap())
}

/// A host that was upgraded meets releases that were sealed before the app file had more words.
#[test]
fn an_app_sealed_by_the_first_version_is_read() {
    let app: App = serde_json::from_str(include_str!("data/app-first.json")).unwrap();
    assert!(!app.services.is_empty());
}

#[test]
fn nothing_changes_where_all_is_the_same() {
    assert_eq!(changed(|_| {}), [""; 0]);
}

#[test]
fn the_first_plan_says_what_comes() {
    let lines = printed(&Desired::from(&content()), None, &BTreeMap::new());
    assert_eq!(
        lines,
        [
            "code : - → 4f2c9ae",
            "build api: - → aaaaaaa (it was never built here)",
            "service api: - → api, agent",
            "secrets TOKEN: - → version 3",
        ]
    );
}

#[test]
fn other_code_and_what_is_built_of_it() {
    let other = |content: &mut Content| {
        content.source.commit = Some("c81d0f22222".to_owned());
        content.source.tree = "t2".to_owned();
        content.artifacts.get_mut("api").unwrap().digest = "bbbbbbbbbb".to_owned();
    };
    assert_eq!(
        changed(other),
        [
            "code : 4f2c9ae → c81d0f2",
            "build api: aaaaaaa → bbbbbbb (what goes into it changed)"
        ]
    );
    // What will be built isn't known yet.
    let mut desired = Desired::from(&content());
    desired.source.tree = "t2".to_owned();
    desired.source.dirty = true;
    desired.artifacts.clear();
    assert_eq!(
        printed(&desired, Some(&release(content())), &BTreeMap::new()),
        [
            "code : 4f2c9ae → 4f2c9ae (uncommitted changes)",
            "build api: aaaaaaa → - (the source changed)"
        ]
    );
    desired.source = content().source;
    assert_eq!(
        printed(&desired, Some(&release(content())), &BTreeMap::new()),
        [""; 0]
    );
    assert_eq!(
        changed(|content| content.source.commit = Some("c81d0f22222".to_owned())),
        ["code : 4f2c9ae → c81d0f2 (the same files)"]
    );
}

#[test]
fn a_variable_is_one_line_however_many_processes_have_it() {
    let lines = changed(|content| {
        let service = api(content);
        service.env.insert("LOG_LEVEL".to_owned(), text("debug"));
        for process in &mut service.processes {
            process.env.insert("LOG_LEVEL".to_owned(), text("debug"));
        }
    });
    assert_eq!(lines, ["env LOG_LEVEL: info → debug"]);
    let lines = changed(|content| {
        let env = &mut api(content).processes[1].env;
        env.remove("POLL");
        env.insert("KEY".to_owned(), Value::Generate(32));
        env.insert("URL".to_owned(), text("https://${secret.TOKEN}@x"));
    });
    assert_eq!(
        lines,
        [
            "env KEY in api.agent: - → 32 generated bytes",
            "env POLL in api.agent: 5 → -",
            "env URL in api.agent: - → https://${secret.TOKEN}@x",
        ]
    );
}

#[test]
fn secrets_are_told_by_their_versions() {
    let lines = changed(|content| {
        content.secrets = BTreeMap::from([("TOKEN".to_owned(), 4), ("OTHER".to_owned(), 1)]);
    });
    assert_eq!(
        lines,
        [
            "secrets OTHER: - → version 1",
            "secrets TOKEN: version 3 → version 4"
        ]
    );
    assert_eq!(
        changed(|content| content.secrets.clear()),
        ["secrets TOKEN: version 3 → -"]
    );
    let unknown = Desired {
        secrets: None,
        ..Desired::from(&content())
    };
    assert_eq!(
        printed(&unknown, Some(&release(content())), &BTreeMap::new()),
        [""; 0]
    );
}

#[test]
fn a_number_set_by_hand_is_reset_and_the_plan_says_so() {
    let mut live = content();
    api(&mut live).replicas = Replicas::Fixed(3);
    let live = Content {
        made_by: MadeBy::Scale {
            base: ReleaseNumber(3),
        },
        ..live
    };
    let scaled = BTreeMap::from([(name("api"), 3)]);
    let lines = printed(&Desired::from(&content()), Some(&release(live)), &scaled);
    assert_eq!(
        lines,
        ["replicas api: 3 → 1 (scaled by hand to 3, the file says 1)"]
    );
    assert_eq!(
        changed(|content| api(content).replicas = Replicas::Fixed(2)),
        ["replicas api: 1 → 2"]
    );
}

#[test]
fn services_come_and_go() {
    let lines = changed(|content| {
        let service = content.app.services.remove("api").unwrap();
        content.app.services.insert(name("web"), service);
    });
    assert_eq!(
        lines,
        [
            "build web: - → - (it was never built here)",
            "service api: api, agent → - (the app file doesn't name it any more)",
            "service web: - → api, agent",
        ]
    );
}

#[test]
fn other_keys_are_told_one_by_one() {
    let lines = changed(|content| {
        content.app.timezone = "Europe/Berlin".to_owned();
        let service = api(content);
        service.drain = serde_json::from_str("\"20s\"").unwrap();
        service.processes[1].required = false;
        service.processes.remove(0);
        service.strategy = Strategy::Recreate;
    });
    assert_eq!(
        lines,
        [
            "setting api.drain: 10s → 20s",
            "setting api.process.agent.required: true → false",
            "setting api.process.api: python -m app → -",
            "setting api.strategy: blue-green → recreate",
            "setting timezone: UTC → Europe/Berlin",
        ]
    );
}

#[test]
fn values_that_may_be_secret_are_not_shown() {
    let lines = changed(|content| {
        content.app.basic_auth = Some(text("ada:hunter2"));
        let headers = BTreeMap::from([("Authorization".to_owned(), "Bearer hunter2".to_owned())]);
        api(content).http.headers = headers.clone();
        api(content).smoke = vec![Smoke {
            path: "/".to_owned(),
            status: None,
            contains: None,
            headers,
        }];
    });
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines.iter().all(|line| !line.contains("hunter2")),
        "{lines:?}"
    );
    assert_eq!(lines[1], "setting api.smoke: [] → [headers, path]");
    assert_eq!(
        lines[2],
        "setting basic-auth: - → - (its values aren't shown)"
    );
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    let mut desired = Desired::from(&content());
    desired.source.tree = "t2".to_owned();
    let plan = plan(&desired, Some(&release(content())), &BTreeMap::new());
    assert_eq!(plan.from, Some(ReleaseNumber(4)));
    assert_eq!(plan.lines()[0].kind, PlanKind::Code);
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(
        serde_json::from_str::<landfall_release::Plan>(&text).unwrap(),
        plan
    );
}

#[test]
fn the_steps_are_those_that_have_something_to_do() {
    let mut app = app();
    assert_eq!(
        steps_for(&app, false),
        [
            Step::Preflight,
            Step::Lock,
            Step::Start,
            Step::Verify,
            Step::Switch,
            Step::Unlock
        ]
    );
    let hook = Hook {
        run: Run::Shell("true".to_owned()),
        service: name("api"),
    };
    for point in [
        HookPoint::Before,
        HookPoint::Verified,
        HookPoint::Switched,
        HookPoint::After,
    ] {
        app.hooks.insert(point, hook.clone());
    }
    let service = app.services.get_mut("api").unwrap();
    service.migrate = Some(Run::Shell("true".to_owned()));
    service.strategy = Strategy::Recreate;
    service.smoke = vec![Smoke {
        path: "/".to_owned(),
        status: None,
        contains: None,
        headers: BTreeMap::new(),
    }];
    service.observe = serde_json::from_str(r#"{ "window": "1m" }"#).unwrap();
    app.backing.insert(name("postgres"), postgres());
    assert_eq!(steps_for(&app, true), Step::ALL);
    let first = steps_for(&app, false);
    assert!(!first.contains(&Step::StopOld) && !first.contains(&Step::Retire));
}

#[test]
fn a_seal_is_over_all_but_number_and_time() {
    let one = content().seal(ReleaseNumber(1), 1);
    let two = content().seal(ReleaseNumber(2), 2);
    assert_eq!(one.digest, two.digest);
    assert_eq!(one.digest.len(), 64);
    let mut other = content();
    other.secrets.insert("TOKEN".to_owned(), 4);
    assert_ne!(other.digest(), one.digest);
    let read: Release = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
    assert!(read.is_intact());
    let changed = Release {
        content: other,
        ..one
    };
    assert!(!changed.is_intact());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_made_from_a_content_needs_no_plan_to_become_it(
        source in ("[a-f]{0,9}", any::<bool>(), proptest::option::of("[a-f0-9é]{0,12}")),
        env in proptest::collection::btree_map("[A-Z]{1,3}", "[a-z$é]{0,4}".prop_filter("no reference", |text| !text.contains("${")), 0..4),
        secrets in proptest::collection::btree_map("[A-Z]{1,3}", 1u32..9, 0..4),
        replicas in 0u32..5,
        recreate in any::<bool>(),
        processes in 0usize..3,
        seen in any::<bool>(),
    ) {
        let mut content = content();
        content.source = SourceVersion { tree: source.0, dirty: source.1, commit: source.2, ..SourceVersion::default() };
        content.secrets = secrets;
        let service = api(&mut content);
        service.env = env.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        service.replicas = Replicas::Fixed(replicas);
        service.processes.truncate(processes);
        if recreate {
            service.strategy = Strategy::Recreate;
        }
        let mut desired = Desired::from(&content);
        if !seen {
            desired.artifacts.clear();
        }
        let scaled = BTreeMap::from([(name("api"), replicas)]);
        let plan = plan(&desired, Some(&release(content.clone())), &scaled);
        prop_assert!(plan.is_empty(), "{:?}", plan);
        // And from anything else there is one.
        let other = landfall_release::plan(&desired, Some(&release(self::content())), &scaled);
        prop_assert_eq!(other.is_empty(), content == self::content());
    }
}

#[test]
fn what_only_follows_from_the_port_has_no_line() {
    let connects = Some(Probe::Tcp { port: None });
    let without_port = |content: &mut Content| {
        let service = api(content);
        service.port = None;
        service.health.ready = None;
        service.processes[0].front = false;
        service.processes[0].health.ready = None;
        service.processes[1].health.up = "5s".parse().unwrap();
    };
    let mut live = content();
    api(&mut live).port = Some(8000);
    api(&mut live).health.ready = connects.clone();
    api(&mut live).processes[0].health.ready = connects;
    let mut desired = live.clone();
    without_port(&mut desired);
    assert_eq!(
        printed(
            &Desired::from(&desired),
            Some(&release(live)),
            &BTreeMap::new()
        ),
        ["setting api.port: 8000 → -"]
    );
    // A page that somebody wrote is told all the same.
    let lines = changed(without_port);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("setting api.health.ready")),
        "{lines:?}"
    );
    // Never is a change told as none at all.
    let other_order = |content: &mut Content| {
        api(content).processes.reverse();
        for process in &mut api(content).processes {
            process.front = !process.front;
        }
    };
    assert_eq!(
        changed(other_order),
        ["setting api.process: api → agent (another process listens on $PORT)"]
    );
}

fn postgres() -> landfall_app::model::Backing {
    let backing = serde_json::json!({
        "kind": "postgres", "version": "15", "url": null, "memory": "1GiB", "disk": null,
        "backup": null, "save": [], "settings": {}, "extensions": [], "init": [], "env": {},
        "port": null, "runtime": "process", "cpu": null, "command": null, "data": null,
        "health": null,
    });
    serde_json::from_value(backing).unwrap()
}

fn backing(content: &mut Content) -> &mut landfall_app::model::Backing {
    let all = &mut content.app.backing;
    all.entry(name("postgres")).or_insert_with(postgres)
}

#[test]
fn what_comes_of_a_backing_service_stands_with_its_changes() {
    let mut live = content();
    backing(&mut live);
    let changed = |change: &dyn Fn(&mut landfall_app::model::Backing)| {
        let mut desired = live.clone();
        change(backing(&mut desired));
        let live = release(live.clone());
        printed(&Desired::from(&desired), Some(&live), &BTreeMap::new())
    };
    let restarted = "it is started again: for a moment nobody can use it";
    assert_eq!(
        changed(&|backing| backing.memory = Some("512MiB".parse().unwrap())),
        [format!(
            "setting backing.postgres.memory: 1GiB → 512MiB ({restarted})"
        )]
    );
    assert_eq!(
        changed(&|backing| backing.version = Some("16".to_owned())),
        [
            "setting backing.postgres.version: 15 → 16 (landfall backing upgrade postgres must move its data first)"
        ]
    );
    assert_eq!(
        changed(&|backing| backing.version = Some("15.4".to_owned())),
        [format!(
            "setting backing.postgres.version: 15 → 15.4 ({restarted})"
        )]
    );
    let elsewhere = changed(&|backing| {
        backing.data = Some("/b".to_owned());
        backing.command = Some(landfall_app::model::Command::Exact(vec![
            "--more".to_owned(),
        ]));
        backing.port = Some(1);
    });
    let said: Vec<_> = elsewhere
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        said,
        [
            "setting backing.postgres.command",
            "setting backing.postgres.data",
            "setting backing.postgres.port"
        ]
    );
    assert!(
        elsewhere.iter().all(|line| line.contains(restarted)),
        "{elsewhere:#?}"
    );
    let gone = printed(
        &Desired::from(&content()),
        Some(&release(live.clone())),
        &BTreeMap::new(),
    );
    assert_eq!(
        gone,
        ["setting backing.postgres: postgres 15 → - (it is stopped, its data is kept)"]
    );
    let mut with = content();
    backing(&mut with);
    let comes = printed(
        &Desired::from(&with),
        Some(&release(content())),
        &BTreeMap::new(),
    );
    assert_eq!(comes, ["setting backing.postgres: - → postgres 15"]);
}
