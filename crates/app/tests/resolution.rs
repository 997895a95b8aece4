//! What holds for every file: the strength of values, idempotence, and that nothing panics.

#![expect(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::collections::BTreeMap;

use landfall_app::{
    App, File, Name, Origin, Resolved, Value,
    model::{Probe, ProcessKind, Replicas, Runtime, Source, Strategy, Target},
    read,
    units::Time,
};
use proptest::prelude::*;

fn file(text: &str) -> File {
    let (file, diagnostics) = read(text.as_bytes(), "landfall.toml");
    assert!(
        !diagnostics.has_errors(),
        "{text}\n{}",
        diagnostics.render(false)
    );
    file.unwrap()
}

fn resolved(text: &str, environment: &str) -> Resolved {
    let environment: Name = environment.parse().unwrap();
    file(text)
        .resolve(&environment)
        .unwrap_or_else(|errors| panic!("{text}\n{}", errors.render(false)))
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(template) => template.to_string(),
        Value::Generate(bytes) => format!("generate {bytes}"),
    }
}

/// The nine places of a variable, weakest first: at the top, in what is extended, in the environment.
const PLACES: [&str; 9] = [
    "[env]",
    "[service.web.env]",
    "[service.web.process.api.env]",
    "[environment.base.env]",
    "[environment.base.service.web.env]",
    "[environment.base.service.web.process.api.env]",
    "[environment.staging.env]",
    "[environment.staging.service.web.env]",
    "[environment.staging.service.web.process.api.env]",
];

fn with_variables(places: &[bool; 9]) -> String {
    let mut text = "app = \"shop\"\n[service.web.process.api]\ncommand = \"bin/api\"\n[service.web.process.agent]\ncommand = \"bin/agent\"\n[environment.base]\n[environment.staging]\nextends = \"base\"\n".to_owned();
    for (at, place) in PLACES.iter().enumerate().filter(|(at, _)| places[*at]) {
        text.push_str(&format!("{place}\nX = \"{at}\"\n"));
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The strongest place that sets a variable wins, for each process and for the service.
    #[test]
    fn the_strongest_place_wins(places in any::<[bool; 9]>()) {
        let resolved = resolved(&with_variables(&places), "staging");
        let service = &resolved.app.services["web"];
        let strongest = |of_process: bool| {
            let counts = |at: &usize| places[*at] && (of_process || at % 3 != 2);
            (0..9).rev().find(counts).map(|at| at.to_string())
        };
        let found = |env: &BTreeMap<String, Value>| env.get("X").map(text);
        prop_assert_eq!(found(&service.env), strongest(false));
        let process = |name: &str| service.processes.iter().find(|process| process.name.as_str() == name).unwrap();
        prop_assert_eq!(found(&process("api").env), strongest(true));
        prop_assert_eq!(found(&process("agent").env), strongest(false));
        // Where it comes from is the place that won.
        let origins = resolved.origins();
        if let Some(at) = strongest(true) {
            let expected = ["", "environment.base", "environment.staging"][at.parse::<usize>().unwrap() / 3];
            match &origins["service.web.process.api.env.X"] {
                Origin::File { table, .. } => prop_assert_eq!(table, expected),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    /// Without `extends` the other environment has no say.
    #[test]
    fn another_environment_has_no_say(places in any::<[bool; 9]>()) {
        let text = with_variables(&places).replace("extends = \"base\"\n", "");
        let service = &resolved(&text, "staging").app.services["web"];
        let strongest = [7, 6, 1, 0].into_iter().find(|at| places[*at]).map(|at: usize| at.to_string());
        prop_assert_eq!(service.env.get("X").map(self::text), strongest);
    }

    /// Any bytes are read without a panic, and so is what is said about them.
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (_, diagnostics) = read(&bytes, "landfall.toml");
        prop_assert!(diagnostics.is_empty() || !diagnostics.render(true).is_empty());
    }

    /// The same for texts made of the words of the file.
    #[test]
    fn any_words_are_read(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60)) {
        let text = words.concat();
        let (file, diagnostics) = read(text.as_bytes(), "landfall.toml");
        let _ = (diagnostics.render(false), diagnostics.reports());
        if let Some(file) = file {
            for environment in file.environments() {
                match file.resolve(&environment) {
                    Ok(resolved) => {
                        let _ = landfall_app::config_text(&resolved, "landfall.toml");
                    }
                    Err(errors) => prop_assert!(errors.has_errors()),
                }
            }
        }
    }

    /// A line left out or written twice never panics, whatever it was.
    #[test]
    fn any_line_may_be_missing_or_doubled(line in 0_usize..80, doubled in any::<bool>()) {
        for example in EXAMPLES {
            let mut lines: Vec<_> = example.lines().collect();
            if line < lines.len() {
                let removed = lines.remove(line);
                if doubled {
                    lines.insert(line, removed);
                    lines.insert(line, removed);
                }
            }
            let (file, diagnostics) = read(lines.join("\n").as_bytes(), "landfall.toml");
            let _ = diagnostics.render(false);
            for environment in file.as_ref().map(File::environments).unwrap_or_default() {
                let _ = file.as_ref().map(|file| file.resolve(&environment).map(|resolved| resolved.app));
            }
        }
    }

    /// Resolving twice is the same, and the model survives JSON.
    #[test]
    fn resolving_is_the_same_each_time(replicas in 1_u32..5, port in 1_u16.., retries in 1_u32..9, seconds in 31_u64..1000) {
        let text = format!(
            "app = \"shop\"\n[service.web]\ncommand = \"bin/web --port $PORT\"\nport = {port}\nreplicas = {replicas}\nhealth = {{ ready = \"/x\", retries = {retries}, start = \"{seconds}s\" }}\n"
        );
        let file = file(&text);
        let environment: Name = "local".parse().unwrap();
        let first = file.resolve(&environment).unwrap().app;
        prop_assert_eq!(&first, &file.resolve(&environment).unwrap().app);
        let json = serde_json::to_string(&first).unwrap();
        prop_assert_eq!(&serde_json::from_str::<App>(&json).unwrap(), &first);
        let service = &first.services["web"];
        prop_assert_eq!(service.port, Some(port));
        prop_assert_eq!(&service.replicas, &Replicas::Fixed(replicas));
        prop_assert_eq!(service.health.start, Time::from_secs(seconds));
        prop_assert_eq!(service.processes[0].health.retries, retries);
    }
}

const EXAMPLES: [&str; 6] = [
    include_str!("examples/two-processes.toml"),
    include_str!("examples/compose.toml"),
    include_str!("examples/static-and-api.toml"),
    include_str!("examples/server.toml"),
    include_str!("examples/kubernetes.toml"),
    include_str!("examples/further-words.toml"),
];

const WORDS: &[&str] = &[
    "app = \"shop\"\n",
    "\n",
    " = ",
    "[service.web]\n",
    "[[service.web.routes]]\n",
    "[service.web.process.a]\n",
    "[environment.local]\n",
    "[environment.x]\n",
    "[service]\n",
    "service = ",
    "command = \"a\"\n",
    "command = ",
    "port = 3000\n",
    "port",
    "health = \"/h\"\n",
    "health.ready = 1\n",
    "{ ",
    " }",
    "[",
    "]",
    "[[",
    "]]\n",
    "\"",
    "'",
    "\"\"\"",
    "\\",
    "env = { A = \"${secret.A}\" }\n",
    "env.A = \"b\"\n",
    "extends = \"x\"\n",
    "after = \"a\"\n",
    "replicas = { min = 1, max = 2 }\n",
    "build = { same-as = \"web\" }\n",
    "build = \"Dockerfile\"\n",
    "[backing.postgres]\n",
    "uses = [\"postgres\"]\n",
    "1979-05-27",
    "0x",
    "é",
    "\u{feff}",
    "\u{202e}",
    "\r\n",
    "\r",
    "\t",
    "#",
    ",",
    ".",
    "true",
];

const SHOP: &str = "app = \"shop\"\n";

#[test]
fn defaults_are_those_of_the_reference() {
    let app = resolved(
        &format!("{SHOP}[service.web]\ncommand = \"bin/web --port $PORT\"\nport = 3000\n"),
        "local",
    )
    .app;
    let service = &app.services["web"];
    assert_eq!(
        (service.runtime, &service.target, service.root.as_str()),
        (Runtime::Process, &Target::Local, ".")
    );
    assert_eq!(service.health.ready, Some(Probe::Tcp { port: None }));
    assert_eq!(
        (service.health.retries, service.health.interval),
        (3, Time::from_secs(1))
    );
    assert_eq!(
        (service.health.timeout, service.health.start),
        (Time::from_secs(5), Time::from_secs(30))
    );
    assert_eq!(
        (
            service.drain,
            service.stop.grace,
            service.stop.signal.as_str()
        ),
        (Time::from_secs(30), Time::from_secs(10), "SIGTERM")
    );
    assert_eq!(
        (
            service.restart.delay,
            service.restart.max_delay,
            service.restart.reset
        ),
        (
            Time::from_secs(1),
            Time::from_secs(60),
            Time::from_secs(600)
        )
    );
    assert_eq!(
        (service.http.timeout, &service.strategy),
        (Time::from_secs(60), &Strategy::BlueGreen)
    );
    assert_eq!(
        (app.logs.keep, app.logs.max.bytes(), app.timezone.as_str()),
        (Time::from_secs(604_800), 1 << 30, "UTC")
    );
    let process = &service.processes[0];
    assert_eq!(
        (process.name.as_str(), process.front, process.required),
        ("web", true, true)
    );
    assert_eq!(process.health, service.health);
    assert_eq!(service.front(), Some(process));
}

#[test]
fn the_process_that_names_the_port_is_in_front() {
    let text = |agent: &str, api: &str| {
        format!(
            "{SHOP}[service.web]\nport = 3000\nhealth = \"/health\"\n[service.web.process.agent]\n{agent}\n[service.web.process.api]\n{api}\n"
        )
    };
    let front = |text: &str| {
        resolved(text, "local").app.services["web"]
            .front()
            .map(|process| process.name.to_string())
    };
    let command = "command = \"bin/x\"";
    assert_eq!(
        front(&text(command, "command = \"bin/x --port $PORT\"")).as_deref(),
        Some("api")
    );
    assert_eq!(
        front(&text(
            command,
            "command = [\"sh\", \"-c\", \"bin/x --port ${PORT}\"]"
        ))
        .as_deref(),
        Some("api")
    );
    assert_eq!(
        front(&text(
            command,
            "command = \"bin/x $PORTAL\"\nenv = { PORTAL = \"x\" }"
        ))
        .as_deref(),
        Some("agent")
    );
    assert_eq!(
        front(&text(command, &format!("{command}\nhealth = \"/x\""))).as_deref(),
        Some("api")
    );
    assert_eq!(
        front(&text("run = \"bin/x $PORT\"", command)).as_deref(),
        Some("api")
    );
    assert_eq!(front(&text(command, command)).as_deref(), Some("agent"));
    let app = resolved(
        &text(
            command,
            "command = \"bin/x --port $PORT\"\nhealth = { retries = 7 }",
        ),
        "local",
    )
    .app;
    let processes = &app.services["web"].processes;
    assert_eq!(
        (processes[0].health.ready.clone(), processes[0].health.up),
        (None, Time::from_secs(1))
    );
    let probe = Probe::Http {
        path: "/health".to_owned(),
        status: None,
        body: None,
    };
    assert_eq!(
        (
            processes[1].health.ready.clone(),
            processes[1].health.retries
        ),
        (Some(probe), 7)
    );
}

#[test]
fn a_dockerfile_is_a_container_unless_run_as_processes() {
    let text = format!(
        "{SHOP}[service.web]\nbuild = \"docker/web.Dockerfile\"\ncommand = \"bin/web\"\n[environment.plain]\nruntime = \"process\"\n"
    );
    let container = resolved(&text, "local");
    let service = &container.app.services["web"];
    assert_eq!(service.runtime, Runtime::Container);
    assert!(
        matches!(&service.source, Source::Build(build) if build.dockerfile.as_deref() == Some("docker/web.Dockerfile"))
    );
    assert!(container.unsupported.is_empty());
    let plain = resolved(&text, "plain");
    let service = &plain.app.services["web"];
    assert_eq!(service.runtime, Runtime::Process);
    assert!(
        matches!(&service.source, Source::Build(build) if *build == landfall_app::model::Build::default())
    );
    assert!(plain.unsupported.is_empty());
}

#[test]
fn extends_takes_over_all_but_its_exceptions() {
    let text = format!(
        "{SHOP}[service.web]\ncommand = \"bin/web --port $PORT\"\nport = 3000\n[environment.production]\ntarget = \"ssh://a@b\"\nbranch = \"main\"\napprovals = 2\nenv = {{ A = \"1\" }}\n[environment.production.service.web]\ndomains = [\"shop.example.com\"]\npublish = 80\nreplicas = 3\nsecrets = [\"X\"]\n[environment.staging]\nextends = \"production\"\nservice.web.drain = \"1m\"\n"
    );
    let production = resolved(&text, "production").app;
    assert_eq!(
        (&production.target, production.branch.as_deref()),
        (&Target::Ssh("ssh://a@b".to_owned()), Some("main"))
    );
    let staging = resolved(&text, "staging").app;
    let service = &staging.services["web"];
    assert_eq!(
        (
            &staging.target,
            staging.branch.as_deref(),
            staging.approvals
        ),
        (&Target::Local, None, 2)
    );
    assert_eq!(
        (service.domains.len(), service.publish, &service.replicas),
        (0, None, &Replicas::Fixed(3))
    );
    assert_eq!(
        (service.secrets.len(), service.drain),
        (0, Time::from_secs(60))
    );
    assert_eq!(service.env.get("A").map(self::text).as_deref(), Some("1"));
}

#[test]
fn any_value_of_a_service_is_set_again() {
    let text = format!(
        "{SHOP}[service.web]\nimage = \"nginx\"\nport = 80\nreplicas = {{ min = 2, max = 3 }}\nhealth = {{ ready = \"/a\", retries = 5 }}\nstrategy = {{ canary = [\"10%\"] }}\n[environment.local.service.web]\nbuild = {{ run = \"make\" }}\ncommand = \"bin/web --port $PORT\"\nreplicas = 1\nhealth.interval = \"2s\"\nstrategy = \"recreate\"\n"
    );
    let local = resolved(&text, "local");
    let service = &local.app.services["web"];
    assert!(matches!(&service.source, Source::Build(build) if build.run.is_some()));
    assert_eq!(
        (&service.replicas, &service.strategy),
        (&Replicas::Fixed(1), &Strategy::Recreate)
    );
    assert_eq!(
        (service.health.retries, service.health.interval),
        (5, Time::from_secs(2))
    );
    assert!(local.unsupported.is_empty());
}

#[test]
fn plain_values_never_reach_an_image() {
    let text = format!(
        "{SHOP}[env]\nTZ = \"UTC\"\n[service.web]\nimage = \"nginx\"\nport = 80\nenv = {{ A = \"b\" }}\n"
    );
    let env = &resolved(&text, "local").app.services["web"].env;
    assert_eq!(env.keys().collect::<Vec<_>>(), ["A"]);
}

#[test]
fn secrets_stand_in_the_resolved_file_as_names() {
    let text = format!(
        "{SHOP}[service.web]\ncommand = \"bin/web\"\nsecrets = [\"KEY\"]\nenv = {{ URL = \"https://x:${{secret.KEY}}@y\" }}\n"
    );
    let config = landfall_app::config_text(&resolved(&text, "local"), "landfall.toml");
    assert!(
        config.contains("env.URL = \"https://x:${secret.KEY}@y\""),
        "{config}"
    );
    assert!(config.contains("drain = \"30s\""), "{config}");
    let line = config
        .lines()
        .find(|line| line.starts_with("secrets = "))
        .unwrap();
    assert!(line.ends_with("# landfall.toml:4"), "{line}");
}

#[test]
fn commands_and_their_words() {
    let text = format!(
        "{SHOP}[service.web.process.a]\ncommand = \"bin/a 'x y' $HOME\"\n[service.web.process.b]\ncommand = [\"bin/b\", \"$HOME\"]\n"
    );
    let app = resolved(&text, "local").app;
    let words = |at: usize| match &app.services["web"].processes[at].kind {
        ProcessKind::Stays(command) => command
            .expand(|name| (name == "HOME").then(|| "/home/x".to_owned()))
            .unwrap(),
        ProcessKind::Ends(run) => run.arguments(),
    };
    assert_eq!(words(0), ["bin/a", "x y", "/home/x"]);
    assert_eq!(words(1), ["bin/b", "$HOME"]);
}

#[test]
fn every_value_of_the_model_has_its_origin() {
    let text = format!(
        "{SHOP}[service.web]\nport = 3000\nhealth = {{ ready = \"/h\", retries = 5 }}\n[service.web.process.api]\ncommand = \"bin/api --port $PORT\"\nhealth.interval = \"2s\"\n[service.web.process.agent]\ncommand = \"bin/agent\"\n"
    );
    let resolved = resolved(&text, "local");
    let settings = resolved.settings();
    let line = |path: &str| {
        let setting = settings
            .iter()
            .find(|setting| setting.path == path)
            .unwrap_or_else(|| panic!("{path}"));
        let line = match &setting.origin {
            Origin::File { line, .. } => Some(*line),
            _ => None,
        };
        (setting.value.clone(), line)
    };
    assert_eq!(
        line("service.web.process.api.health.ready"),
        ("\"/h\"".to_owned(), Some(4))
    );
    assert_eq!(
        line("service.web.process.api.health.retries"),
        ("5".to_owned(), Some(4))
    );
    assert_eq!(
        line("service.web.process.api.health.interval"),
        ("\"2s\"".to_owned(), Some(7))
    );
    assert_eq!(
        line("service.web.process.api.health.timeout"),
        ("\"5s\"".to_owned(), None)
    );
    assert_eq!(
        line("service.web.process.agent.health.up"),
        ("\"1s\"".to_owned(), None)
    );
    assert_eq!(
        line("service.web.process.agent.health.retries"),
        ("3".to_owned(), None)
    );
    assert_eq!(
        resolved.origins().len(),
        settings.len(),
        "no value stands there twice"
    );
}
