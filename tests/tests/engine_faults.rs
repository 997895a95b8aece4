//! The Engine dies in each step of a deployment, and its disk fills up: a release serves afterwards,
//! and the next deployment works.

#![cfg(feature = "engine")]

use std::fs;

use landfall_tests::{Daemon, World, engine::unique, wait};

/// An app of one replica that serves the file `page`.
fn file(app: &str) -> String {
    format!(
        "app = \"{app}\"\n\n[service.web]\nimage = \"busybox:test\"\nport = 8000\n\
         command = [\"/bin/sh\", \"-c\", \"mkdir -p /tmp/www; cp /page /tmp/www/index.html; exec httpd -f -p 8000 -h /tmp/www\"]\n\
         files = {{ \"/page\" = \"page\" }}\nsmoke = [\"/\"]\n\
         health = {{ ready = \"/\", start = \"10s\", interval = \"200ms\" }}\n\
         stop = {{ grace = \"2s\" }}\ndrain = \"1s\"\n"
    )
}

fn condition(daemon: &Daemon, world: &World) -> String {
    let status = daemon.landfall(world, &["status", "--json"]).data();
    status["condition"].as_str().unwrap_or_default().to_owned()
}

/// What the page says, by a client in the Engine's network.
fn page(daemon: &Daemon, world: &World) -> String {
    let status = daemon.landfall(world, &["status", "--json"]).data();
    let url = status["services"][0]["urls"][0].as_str().unwrap_or_default();
    daemon.fetch(url)
}

/// A deployment during which the Engine is killed once it stands before `step`; it comes back before the
/// deployment goes on, or only after that has ended.
fn killed(daemon: &mut Daemon, step: &str, back_at_once: bool) {
    let world = World::new();
    let app = unique("faults");
    world.write("landfall.toml", &file(&app));
    world.write("page", "one\n");
    let fault = format!("{step}@2:stop-before");
    fs::create_dir_all(world.home().join("faults")).expect("a fresh folder");
    let reached = world.home().join("faults").join(&fault);
    let world = world.with_variable("LANDFALL_FAULTS", &fault);
    daemon.landfall(&world, &["deploy"]).ok();
    world.write("page", "two\n");
    let deploying = daemon.landfall_beside(&world, &["deploy"]);
    wait(&format!("the deployment stands before {step}"), || {
        reached.exists().then_some(())
    });
    daemon.kill();
    if back_at_once {
        daemon.again();
    }
    fs::remove_file(&reached).expect("the fault was reached");
    let ran = deploying.join().expect("the command ends");
    assert!(
        [0, 1].contains(&ran.code),
        "{step}: neither done nor undone: {ran:?}"
    );
    if !back_at_once {
        daemon.again();
    }
    wait(&format!("{step}: the app is healthy again"), || {
        (condition(daemon, &world) == "healthy").then_some(())
    });
    let serves = if ran.code == 0 { "two" } else { "one" };
    assert_eq!(page(daemon, &world), serves, "{step}");
    world.write("page", "three\n");
    daemon.landfall(&world, &["deploy"]).ok();
    assert_eq!(page(daemon, &world), "three", "{step}");
    wait(&format!("{step}: only what is live runs"), || {
        let names = daemon.docker(&["ps", "--format", "{{.Names}}"]);
        let ours: Vec<&str> = names.lines().filter(|name| name.contains(&app)).collect();
        (ours.len() == 1).then_some(())
    });
    daemon.landfall(&world, &["down", "--purge", "--yes"]).ok();
    daemon.landfall(&world, &["host", "stop"]).ok();
}

#[test]
fn an_engine_killed_in_each_step_leaves_a_release_that_serves() {
    let Some(mut daemon) = Daemon::start("busybox:test", &[]) else {
        return;
    };
    for step in ["lock", "start", "verify", "switch", "smoke", "retire", "unlock"] {
        killed(&mut daemon, step, false);
    }
    for step in ["start", "verify", "switch"] {
        killed(&mut daemon, step, true);
    }
}
