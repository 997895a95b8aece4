//! The Engine dies in each step of a deployment, and its disk fills up: a release serves afterwards,
//! and the next deployment works.

#![cfg(feature = "engine")]

use std::fs;

use landfall_tests::{
    Daemon, World,
    engine::unique,
    registry::{PASSWORD, Registry, USER},
    wait,
};

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
    let url = status["services"][0]["urls"][0]
        .as_str()
        .unwrap_or_default();
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
    for step in [
        "lock", "start", "verify", "switch", "smoke", "retire", "unlock",
    ] {
        killed(&mut daemon, step, false);
    }
    for step in ["start", "verify", "switch"] {
        killed(&mut daemon, step, true);
    }
}

/// Leaves an Engine's disk so many megabytes.
fn fill(daemon: &Daemon, left: u64) {
    let full = daemon.data().join("full");
    let _ = fs::remove_file(&full);
    let facts = rustix::fs::statvfs(daemon.data()).expect("the disk is mounted");
    let free = facts.f_bavail * facts.f_frsize;
    let take = free.saturating_sub(left << 20);
    fs::write(
        &full,
        vec![1; usize::try_from(take).expect("some megabytes")],
    )
    .expect("what is free can be taken");
}

#[test]
fn a_full_disk_in_a_build_and_in_a_pull_is_said_and_changes_nothing() {
    let Some(daemon) = Daemon::start_on(Some(160), "busybox:test", &[]) else {
        return;
    };
    let world = World::new();
    let app = unique("full");
    world.write("landfall.toml", &file(&app));
    world.write("page", "one\n");
    daemon.landfall(&world, &["deploy"]).ok();

    // Somebody's image of 24 MB in a registry.
    let registry = Registry::start_by(daemon.within("docker-registry"), &world);
    wait("the registry answers", || {
        let status = ["-s", "-o", "/dev/null", "-w", "%{http_code}"];
        let url = format!("http://{}/v2/", registry.host);
        let asked = daemon.within("curl").args(status).arg(url).output().ok()?;
        (asked.stdout == b"401").then_some(())
    });
    let noise: Vec<u8> = (0..24u64 << 20)
        .scan(88_172_645_463_325_252_u64, |state, _| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            Some(state.to_le_bytes()[3])
        })
        .collect();
    let folder = world.app().join("large");
    fs::create_dir(&folder).expect("the folder is fresh");
    fs::write(folder.join("noise"), &noise).expect("a file can be written");
    fs::write(
        folder.join("Dockerfile"),
        "FROM busybox:test\nCOPY noise /noise\n",
    )
    .expect("a file can be written");
    let reference = format!("{}/large:1", registry.host);
    let large = folder.to_str().expect("a plain path");
    daemon.docker(&["build", "-q", "-t", &reference, large]);
    let user = world.user().join("docker");
    let config = user.to_str().expect("a plain path");
    daemon.docker(&[
        "--config",
        config,
        "login",
        "-u",
        USER,
        "-p",
        PASSWORD,
        &registry.host,
    ]);
    daemon.docker(&["--config", config, "push", "-q", &reference]);
    daemon.docker(&["rmi", &reference]);
    daemon.docker(&["builder", "prune", "-af"]);

    let text = world.read("landfall.toml");
    fill(&daemon, 8);
    let pulled = text.replace("busybox:test", &reference);
    world.write("landfall.toml", &(pulled + &registry.login(PASSWORD)));
    let ran = daemon.landfall(&world, &["deploy"]).exits(6);
    ran.says(&["disk-full"]);
    let built = "root = \"large\"\nbuild = \"Dockerfile\"";
    world.write("page", "two\n");
    world.write(
        "landfall.toml",
        &text.replace("image = \"busybox:test\"", built),
    );
    let ran = daemon.landfall(&world, &["deploy"]).exits(6);
    ran.says(&["disk-full"]);
    assert_eq!(condition(&daemon, &world), "healthy");
    assert_eq!(page(&daemon, &world), "one");

    // With room again the same works.
    fs::remove_file(daemon.data().join("full")).expect("it was there");
    daemon.landfall(&world, &["deploy"]).ok();
    assert_eq!(page(&daemon, &world), "two");
    daemon.landfall(&world, &["down", "--purge", "--yes"]).ok();
}
