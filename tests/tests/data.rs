//! What is kept and shown: conditions, lines, events; and what must not be among it.

use std::{collections::BTreeMap, fs, net::TcpListener};

use landfall_tests::{World, wait};
use serde_json::Value;

/// The condition that `status` tells, and the one in the list of the host.
fn conditions(world: &World) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let host = world.landfall(&["host", "status", "--json"]).data();
    (
        text(&world.status()["condition"]),
        text(&host["environments"][0]["condition"]),
    )
}

#[test]
fn a_service_that_fails_later_is_not_healthy_anywhere() {
    let world = World::with_web("env = { FIXTURE_UNHEALTHY_AFTER = \"30\" }");
    world.landfall(&["deploy"]).ok();
    let well = ("healthy".to_owned(), "healthy".to_owned());
    wait("it is healthy", || {
        (conditions(&world) == well).then_some(())
    });
    let other = wait("it is not", || {
        let now = conditions(&world);
        (now.0 != "healthy" && now.1 == now.0).then_some(now.0)
    });
    assert!(["degraded", "down"].contains(&other.as_str()), "{other}");
}

#[test]
fn a_command_with_a_secret_is_refused_before_anything_is_built() {
    let world = World::new();
    world.write(
        "landfall.toml",
        "app = \"shop\"\n[service.web]\ncommand = \"bin/web --token $TOKEN\"\nsecrets = [\"TOKEN\"]\n",
    );
    for arguments in [&["check"][..], &["deploy"]] {
        let ran = world
            .landfall(arguments)
            .says(&["secret-in-command", "$TOKEN"]);
        assert_ne!(ran.code, 0, "{ran}");
    }
    world.landfall(&["explain", "secret-in-command"]).ok();
}

#[test]
fn a_migration_may_say_much_and_leave_something_behind() {
    let world = World::with_web(
        "migrate = \"\"\"\nenv -i sleep 600 &\nhead -c 300000 /dev/zero | tr '\\\\0' x\n\
         echo\necho migrated\n\"\"\"",
    );
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.version(), "one");
    let lines = world.landfall(&["logs", "--process", "migrate"]).ok();
    let count = lines.stdout.matches('x').count();
    assert!(count >= 300_000, "{count}");
    assert!(lines.stdout.contains("migrated"));
    let folders = fs::read_dir(world.home().join("instances")).unwrap();
    assert_eq!(folders.count(), 1, "only the instance has a folder");
}

#[test]
fn a_log_that_can_t_be_read_is_no_success() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.landfall(&["logs"]).ok();
    let logs = world.home().join("apps/shop/environments/local/logs");
    fs::write(logs.join("broken"), "").unwrap();
    let ran = world.landfall(&["logs"]);
    assert_ne!(ran.code, 0, "{ran}");
    ran.says(&["connection to the host broke"]);
}

#[test]
fn a_release_is_pruned_once() {
    let world = World::with_web("");
    for version in [
        "one", "two", "three", "four", "five", "six", "seven", "eight",
    ] {
        world.write("version", version);
        world.landfall(&["deploy"]).ok();
    }
    let events = world
        .landfall(&["events", "--all", "--json", "-n", "1000"])
        .ok();
    let mut pruned: BTreeMap<u64, usize> = BTreeMap::new();
    for line in events.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let event = event.get("data").unwrap_or(&event);
        if let Some(release) = event.pointer("/kind/release-pruned/release") {
            *pruned.entry(release.as_u64().unwrap()).or_default() += 1;
        }
    }
    assert_eq!(pruned.keys().next(), Some(&1), "{pruned:?}");
    assert!(pruned.values().all(|count| *count == 1), "{pruned:?}");
}

#[test]
fn a_stable_port_that_somebody_took_is_exchanged() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let before = world.url("web");
    let address = before.strip_prefix("http://").unwrap().to_owned();
    world.landfall(&["down"]).ok();
    let taken = wait("the port is free", || TcpListener::bind(&address).ok());
    world.landfall(&["deploy"]).ok();
    assert_ne!(world.url("web"), before);
    assert_eq!(world.version(), "one");
    drop(taken);
}
