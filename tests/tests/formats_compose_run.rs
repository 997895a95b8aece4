//! Rendered compose files, judged by Docker Compose itself: run by it.

#![cfg(feature = "formats")]

use std::{collections::BTreeMap, process::Command};

use landfall_tests::{composed::Composed, engine::docker, get, tools::run, wait};
use serde_json::{Value, json};

fn spec_editor(environment: &str) -> Composed {
    Composed::example("spec-editor", environment)
}

fn marketplace(environment: &str) -> Composed {
    Composed::example("marketplace", environment)
}

const BOT: &str = "BOT_TOKEN=4242:nobody-may-see\nPOSTGRES_PASSWORD=f00d\nREDIS_PASSWORD=cafe\n";

#[test]
fn with_compose_and_engine_the_spec_editor_runs_in_production() {
    let composed = spec_editor("production");
    composed
        .compose(&["up", "-d", "--wait"])
        .exits(1)
        .says(&["GH_TOKEN", "set it in .env"]);

    let (first, second) = (composed.world.ports().1, composed.world.ports().1 - 1);
    composed.variables(&format!(
        "GH_TOKEN=good-token-that-nobody-may-see\nSPEC_EDITOR_PORT={first}\nDEMO_APP_PORT={second}\nGH_REPO=acme/other\nSPEC_EDITOR_TAG=test\n"
    ));
    // Its image is nowhere to be pulled, so it is built.
    composed
        .compose(&["up", "-d", "--wait"])
        .ok()
        .hides("good-token");
    let answer = wait("the editor answers", || {
        get(&format!("http://127.0.0.1:{first}/health")).ok()
    });
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("acme/other"), "{}", answer.body);
    let answer = wait("the echo answers", || {
        get(&format!("http://127.0.0.1:{second}/")).ok()
    });
    assert_eq!(answer.status, 200);

    let facts = composed.inspected("spec-editor");
    assert_eq!(facts["Config"]["Image"], "ghcr.io/trakrf/spec-editor:test");
    assert_eq!(facts["State"]["Health"]["Status"], "healthy");
    assert_eq!(facts["HostConfig"]["Memory"], 256 << 20);
    assert_eq!(facts["HostConfig"]["MemorySwap"], 256 << 20);
    assert_eq!(facts["HostConfig"]["CapDrop"], json!(["ALL"]));
    assert_eq!(
        facts["HostConfig"]["SecurityOpt"],
        json!(["no-new-privileges:true"])
    );
    assert_eq!(facts["HostConfig"]["LogConfig"]["Type"], "local");
    let environment = facts["Config"]["Env"].as_array().unwrap();
    for variable in ["GH_REPO=acme/other", "SPECS_PATH=demo/infra", "PORT=5000"] {
        assert!(
            environment.iter().any(|own| own == variable),
            "{variable} in {environment:?}"
        );
    }

    // Killed from outside, it is started again.
    let process = facts["State"]["Pid"].as_u64().unwrap().to_string();
    run(Command::new("kill").args(["-9", &process])).ok();
    wait("it is healthy again", || {
        let facts = composed.inspected("spec-editor");
        (facts["RestartCount"] == 1 && facts["State"]["Health"]["Status"] == "healthy")
            .then_some(())
    });
    composed
        .compose(&["logs", "--no-color"])
        .ok()
        .hides("good-token");
    composed.compose(&["down", "-v"]).ok();
    let left = docker(&[
        "ps",
        "-aq",
        "--filter",
        &format!("label=com.docker.compose.project={}", composed.name),
    ]);
    assert_eq!(left, "");
    docker(&["rmi", "-f", "ghcr.io/trakrf/spec-editor:test"]);
}

#[test]
fn with_compose_and_engine_the_marketplace_starts_in_its_order_and_keeps_its_data() {
    let composed = marketplace("production");
    composed.variables(BOT);
    composed.compose(&["up", "-d", "--wait"]).ok();
    let ran = composed.compose(&["ps", "-q", "backend"]).ok();
    assert_eq!(ran.stdout.split_whitespace().count(), 2, "replicas");

    // The database is healthy, then the migration runs, then the service.
    let time = |value: &Value| value.as_str().unwrap().to_owned();
    let migrate = composed.inspected("backend-migrate");
    assert_eq!(migrate["State"]["ExitCode"], 0);
    let first = ran.stdout.split_whitespace().next().unwrap();
    let backend: Value = serde_json::from_str(&docker(&["inspect", first])).unwrap();
    assert!(time(&migrate["State"]["FinishedAt"]) <= time(&backend[0]["State"]["StartedAt"]));
    assert!(
        time(&composed.inspected("postgres")["State"]["StartedAt"])
            < time(&migrate["State"]["StartedAt"])
    );

    let asked = "import urllib.request as r; print(r.urlopen('http://backend:8000/health').read().decode())";
    composed
        .compose(&["exec", "-T", "backend", "python", "-c", asked])
        .ok()
        .says(&["\"status\":\"ok\""]);
    // Passwords stand in no command that others on the machine can see.
    docker(&["top", &composed.container("redis")]);
    assert!(!docker(&["top", &composed.container("redis")]).contains("cafe"));
    composed
        .compose(&[
            "exec",
            "-T",
            "redis",
            "redis-cli",
            "CONFIG",
            "GET",
            "maxmemory",
        ])
        .ok()
        .says(&["100663296"]);
    let query = [
        "exec",
        "-T",
        "postgres",
        "psql",
        "-U",
        &composed.name,
        "-Atc",
        "SHOW shared_buffers",
    ];
    composed.compose(&query).ok().says(&["256MB"]);

    // Data outlives its container.
    let sql = |text: &str| {
        let command = [
            "exec",
            "-T",
            "postgres",
            "psql",
            "-U",
            &composed.name,
            "-Atc",
            text,
        ];
        composed.compose(&command).ok().stdout
    };
    sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)");
    composed.compose(&["down"]).ok();
    composed.compose(&["up", "-d", "--wait"]).ok();
    assert_eq!(sql("SELECT n FROM kept").trim(), "42");
    composed.compose(&["down", "-v"]).ok();
}

#[test]
fn with_compose_and_engine_what_is_edited_is_seen_in_development() {
    let composed = marketplace("local");
    let (first, second) = (composed.world.ports().1, composed.world.ports().1 - 1);
    composed.variables(&format!(
        "{BOT}BACKEND_PORT={first}\nTELEGRAM_PORT={second}\n"
    ));
    composed.compose(&["up", "-d", "--wait"]).ok();
    for port in [first, second] {
        wait("it answers", || {
            get(&format!("http://127.0.0.1:{port}/")).ok()
        });
        let bound = docker(&[
            "ps",
            "--filter",
            &format!("publish={port}"),
            "--format",
            "{{.Ports}}",
        ]);
        assert!(
            bound.contains("127.0.0.1") && !bound.contains("0.0.0.0:"),
            "{bound}"
        );
    }
    // The hook that tells Telegram where to deliver, as its note says.
    composed
        .compose(&["run", "--rm", "hook-switched"])
        .ok()
        .says(&["Telegram delivers to"]);
    composed.world.write("app/static/style.css", "/* edited */");
    let answer = get(&format!("http://127.0.0.1:{first}/static/style.css")).unwrap();
    assert_eq!(answer.body, "/* edited */");
}

/// What a command sees of its environment, by name; what either runtime alone sets is left out.
fn seen(text: &str) -> BTreeMap<String, String> {
    let own = ["HOME", "HOSTNAME", "LANG", "PATH", "PWD", "SHLVL", "TERM"];
    text.lines()
        .filter_map(|line| line.trim_end().split_once('='))
        .filter(|(name, _)| !own.contains(name) && !name.starts_with("LANDFALL_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn with_compose_and_engine_a_command_sees_the_same_environment_in_both_runtimes() {
    let composed = Composed::app(
        "[env]\nTOP = \"top\"\n[service.web]\nimage = \"busybox:test\"\ncommand = [\"sh\", \"-c\", \"exec sleep 1000\"]\nhealth = { run = \"true\" }\nsecrets = [\"TOKEN\", { name = \"MAYBE\", optional = true }, { name = \"SET\", optional = true }]\n\
         [service.web.env]\nEMPTY = \"\"\nDOLLAR = \"$HOME $$ a}b $\"\nSPACES = \" a  b # c: d \"\nQUOTES = \"'\\\"\\\\\"\n\
         NUMBER = \"017\"\nYES = \"yes\"\nTOKENS = \"<${secret.TOKEN}>\"\nPATHS = \"/a:/b\"\n",
        "local",
    );
    // Single quotes: both readers take what is in them as it stands.
    composed.variables("TOKEN='to$ken'\nSET=set\n");
    composed.compose(&["up", "-d", "--wait"]).ok();
    let theirs = seen(&composed.compose(&["exec", "-T", "web", "env"]).ok().stdout);
    composed.compose(&["down"]).ok();
    composed.world.landfall(&["deploy", "-e", "local"]).ok();
    let ours = seen(
        &composed
            .world
            .landfall(&["run", "-e", "local", "web", "--", "env"])
            .ok()
            .stdout,
    );
    assert_eq!(theirs, ours);
    assert_eq!(ours["TOKENS"], "<to$ken>");
}
