//! Each way to fail, provoked, and what the user reads then.

use std::net::TcpListener;

use landfall_tests::{World, world::web_file};

/// Deploys version one, then the broken file; the failure must be undone and release 1 serve.
fn broken(world: &World, extra: &str, says: &[&str]) {
    world.landfall(&["deploy"]).ok();
    world.web("two", extra);
    world
        .landfall(&["deploy"])
        .exits(1)
        .says(says)
        .says(&["release 1"]);
    assert_eq!(world.version(), "one");
    assert_eq!(world.live(), 1);
    assert_eq!(world.fixtures(), 1, "the failed release is stopped");
    let lock = world.status()["lock"].clone();
    assert!(lock.is_null(), "the lock is free: {lock}");
}

#[test]
fn wrong_port() {
    let world = World::with_web("");
    let wrong = world.ports().1.to_string();
    broken(
        &world,
        &format!("env = {{ FIXTURE_PORT = \"{wrong}\" }}"),
        &[
            "wrong-port",
            &format!("listens on {wrong}"),
            "expected",
            "version two listens",
            "$PORT",
        ],
    );
}

#[test]
fn crashed() {
    let world = World::with_web("");
    broken(
        &world,
        "env = { FIXTURE_CRASH = \"no module named shop\" }",
        &["crashed", "no module named shop", "exit"],
    );
}

#[test]
fn crashed_later() {
    let world = World::with_web("");
    broken(
        &world,
        "env = { FIXTURE_LATE = \"20000\", FIXTURE_CRASH_AFTER = \"300\" }",
        &["crashed", "as told"],
    );
}

#[test]
fn a_program_that_is_not_there() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.write("landfall.toml", "app = \"shop\"\n[service.web]\ncommand = \"no-such-program --port $PORT\"\nport = 3000\nhealth = { ready = \"/health\", start = \"5s\" }\n");
    world
        .landfall(&["deploy"])
        .exits(1)
        .says(&["no-such-program"]);
    assert_eq!(world.version(), "one");
}

#[test]
fn never_ready() {
    let world = World::new();
    let file = |start: &str| {
        web_file("env = { FIXTURE_NEVER_READY = \"1\" }").replace(
            "start = \"10s\"",
            &format!("start = \"{start}\", timeout = \"500ms\""),
        )
    };
    world.web("one", "");
    world.landfall(&["deploy"]).ok();
    world.write("landfall.toml", &file("1s"));
    world
        .landfall(&["deploy"])
        .exits(1)
        .says(&["never-ready", "503", "/health", "within", "1s"]);
    assert_eq!(world.version(), "one");
}

#[test]
fn build_failed() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.web(
        "two",
        "build = { run = \"echo compiling; echo missing semicolon >&2; exit 4\" }",
    );
    world
        .landfall(&["deploy"])
        .says(&["build-failed", "missing semicolon", "4"]);
    assert_eq!((world.version().as_str(), world.live()), ("one", 1));
}

#[test]
fn migration_failed() {
    let world = World::with_web("");
    broken(
        &world,
        "migrate = \"echo no such table >&2; exit 3\"",
        &["migrat", "no such table", "3"],
    );
}

#[test]
fn smoke_failed() {
    let world = World::with_web("");
    broken(
        &world,
        "smoke = [\"/status?code=500\"]",
        &["smoke", "/status?code=500", "500"],
    );
}

#[test]
fn a_redirect_is_not_healthy() {
    let world = World::with_web("");
    broken(&world, "smoke = [\"/status?code=302\"]", &["smoke", "302"]);
}

#[test]
fn port_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let world = World::with_web(&format!("publish = {port}"));
    let ran = world
        .landfall(&["deploy"])
        .says(&["port-taken", &port.to_string()]);
    assert!([1, 6].contains(&ran.code), "{ran}");
    assert_eq!(world.fixtures(), 0);
}

#[test]
fn locked() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.web("two", "env = { FIXTURE_LATE = \"3000\" }");
    let mut events = world.events();
    let first = world.spawn(&["deploy"], &[]);
    events.until_step("verify");
    world
        .landfall(&["deploy"])
        .exits(3)
        .says(&["locked", "tester@"]);
    world.landfall(&["status"]).says(&["tester@"]);
    world.landfall(&["rollback"]).exits(3).says(&["locked"]);
    first.end().ok();
    assert_eq!(world.version(), "two");
}

#[test]
fn every_error_has_a_page() {
    let world = World::new();
    for name in [
        "wrong-port",
        "crashed",
        "never-ready",
        "build-failed",
        "missing-secret",
        "port-taken",
        "locked",
        "unknown-release",
    ] {
        let ran = world.landfall(&["explain", name]).ok();
        assert!(ran.stdout.lines().count() > 3, "{ran}");
    }
    world
        .landfall(&["explain", "wrong-prot"])
        .exits(2)
        .says(&["wrong-port"]);
}

#[test]
fn json_output_of_a_failure_can_be_read_by_a_program() {
    let world = World::with_web("env = { FIXTURE_CRASH = \"no module named shop\" }");
    let ran = world.landfall(&["deploy", "--json"]).exits(1);
    let all = ran.all();
    assert!(
        all.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .any(|line| line.to_string().contains("\"crashed\"")),
        "{ran}"
    );
}
