//! PostgreSQL and Redis as containers, as an app's backing services.
#![cfg(feature = "engine")]

use std::fs;

use landfall_tests::{
    World,
    engine::{docker, unique},
    wait,
};
use serde_json::Value;

/// An app of one container that stays, with backing services.
fn world(backing: &str) -> (World, String) {
    let world = World::new();
    let app = unique("backing");
    write(&world, &app, backing);
    (world, app)
}

fn write(world: &World, app: &str, backing: &str) {
    world.write(
        "landfall.toml",
        &format!(
            "app = \"{app}\"\n[service.web]\nimage = \"mendhak/http-https-echo:25\"\nport = 8080\n\
             env = {{ HTTP_PORT = \"8080\" }}\nuses = [\"postgres\"]\n{backing}"
        ),
    );
}

fn sql(world: &World, statement: &str) -> String {
    let ran = world.landfall(&["psql", "--", "-XAtqc", statement]).ok();
    ran.stdout.trim().to_owned()
}

fn healthy(world: &World) {
    wait("everything is healthy", || {
        (world.status()["condition"] == "healthy").then_some(())
    });
}

fn container(app: &str, name: &str) -> String {
    format!("landfall.{app}.local.{name}.0.1.backing")
}

#[test]
fn a_database_in_its_container_outlives_deployments_and_its_own_death() {
    let backing = "[backing.postgres]\nversion = \"15\"\nmemory = \"256MiB\"\ndisk = \"1GiB\"\n\
        [backing.redis]\nversion = \"7\"\nmemory = \"64MiB\"\n";
    let (world, app) = world(backing);
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["postgres made", "redis made"]);
    sql(
        &world,
        "create table notes (text text); insert into notes values ('kept')",
    );
    world
        .landfall(&["redis-cli", "--", "set", "note", "kept"])
        .ok();
    let name = container(&app, "postgres");
    let id = docker(&["inspect", "-f", "{{.Id}}", &name]);
    assert_eq!(
        docker(&["inspect", "-f", "{{.HostConfig.Memory}}", &name]),
        (256 << 20).to_string()
    );
    assert_eq!(
        docker(&["inspect", "-f", "{{.HostConfig.PortBindings}}", &name]),
        "map[]"
    );
    // Nothing secret stands in the Engine's configuration.
    let tunnel = world.spawn(&["tunnel", "postgres", "--show-password", "--json"], &[]);
    let said = wait("the tunnel", || {
        serde_json::from_str::<Value>(tunnel.said().lines().next()?).ok()
    });
    let url = said["data"]["url"].as_str().expect("a URL").to_owned();
    let (_, rest) = url.split_once("://").expect("a scheme");
    let (login, _) = rest.split_once('@').expect("a login");
    let (_, password) = login.split_once(':').expect("a password");
    assert!(password.len() >= 32);
    for container in [&name, &container(&app, "redis")] {
        assert!(!docker(&["inspect", container]).contains(password));
    }
    tunnel.signal(rustix::process::Signal::INT);
    assert_eq!(tunnel.end().code, 0);

    world
        .landfall(&["restart"])
        .ok()
        .says(&["postgres runs", "redis runs"]);
    world.kill_host();
    world.landfall(&["host", "start"]).ok();
    healthy(&world);
    assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &name]), id);
    assert_eq!(sql(&world, "select text from notes"), "kept");
    docker(&["kill", &name]);
    wait("another container", || {
        let found = std::process::Command::new("docker")
            .args(["inspect", "-f", "{{.Id}} {{.State.Running}}", &name])
            .output()
            .ok()?;
        let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        (found.ends_with("true") && !found.starts_with(&id)).then_some(())
    });
    healthy(&world);
    assert_eq!(sql(&world, "select text from notes"), "kept");
    world.landfall(&["psql", "--dump", "notes.sql"]).ok();
    assert!(world.read("notes.sql").contains("kept"));
    world.landfall(&["redis-cli", "--dump", "notes.rdb"]).ok();
    let dump = fs::read(world.app().join("notes.rdb")).expect("it was written");
    assert!(dump.starts_with(b"REDIS"));

    world.landfall(&["down"]).ok();
    world.landfall(&["deploy"]).ok().says(&["postgres started"]);
    assert_eq!(sql(&world, "select text from notes"), "kept");
    world.landfall(&["down", "--purge", "--yes"]).ok();
    let of = format!("label=landfall.app={app}");
    assert_eq!(docker(&["volume", "ls", "-q", "--filter", &of]), "");
    assert_eq!(docker(&["ps", "-aq", "--filter", &of]), "");
}

#[test]
fn a_major_version_is_refused_until_its_data_is_moved() {
    let (world, app) = world("[backing.postgres]\nversion = \"15\"\n");
    world.landfall(&["deploy"]).ok();
    sql(
        &world,
        "create table notes (id serial, text text); insert into notes (text) select 'n' from generate_series(1, 1000)",
    );
    write(&world, &app, "[backing.postgres]\nversion = \"17\"\n");
    world
        .landfall(&["plan"])
        .ok()
        .says(&["landfall backing upgrade postgres must move its data first"]);
    world
        .landfall(&["deploy"])
        .exits(6)
        .says(&["major-version", "landfall backing upgrade postgres"]);
    world
        .landfall(&["backing", "upgrade", "postgres"])
        .ok()
        .says(&["from 15 to 17", "1 table compared, 1000 rows", "is kept in"]);
    assert_eq!(sql(&world, "select count(*) from notes"), "1000");
    assert!(sql(&world, "select version()").starts_with("PostgreSQL 17"));
    // The release that is live says 15 still: to start it again needs no old server.
    world.landfall(&["restart"]).ok().says(&["postgres runs"]);
    world.landfall(&["deploy"]).ok().says(&["postgres runs"]);
    world
        .landfall(&["backing", "upgrade", "postgres"])
        .says(&["nothing-to-change"]);
    world
        .landfall(&["backing"])
        .ok()
        .says(&["keeps its data of version 15"]);
}

#[test]
fn an_image_that_the_engine_does_not_have_is_said_before_anything_starts() {
    let (world, app) = world("[backing.postgres]\nversion = \"15-nothing-such\"\n");
    let ran = world.landfall(&["deploy"]);
    assert_ne!(ran.code, 0);
    ran.says(&["pull", "postgres"]);
    assert_eq!(
        docker(&[
            "ps",
            "-aq",
            "--filter",
            &format!("label=landfall.app={app}")
        ]),
        ""
    );
}

#[test]
fn an_upgrade_that_is_cut_off_leaves_what_was_there() {
    let (world, app) = world("[backing.postgres]\nversion = \"15\"\n");
    world.landfall(&["deploy"]).ok();
    sql(
        &world,
        "create table notes (id serial, text text); insert into notes (text) select 'n' from generate_series(1, 1000)",
    );
    let upgrade = world.spawn(&["backing", "upgrade", "postgres", "--to", "17"], &[]);
    let beside = container(&app, "postgres-upgrade");
    wait("the new one beside the old one", || {
        let names = docker(&["ps", "--format", "{{.Names}}"]);
        names.lines().any(|name| name == beside).then_some(())
    });
    world.kill_host();
    assert_ne!(upgrade.end().code, 0);
    world.landfall(&["host", "start"]).ok();
    healthy(&world);
    assert_eq!(sql(&world, "select count(*) from notes"), "1000");
    assert!(sql(&world, "select version()").starts_with("PostgreSQL 15"));
    let of = format!("label=landfall.app={app}");
    let left = docker(&["ps", "-a", "--filter", &of, "--format", "{{.Names}}"]);
    assert!(!left.contains("upgrade"), "{left}");
}
