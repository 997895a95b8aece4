//! Backups of what runs in containers: a database, a cache, and the volume of a service.
#![cfg(feature = "engine")]

use std::{fs, path::PathBuf};

use landfall_tests::{
    World,
    engine::{docker, unique},
    wait,
};

const BACKUP: &str = "backup = { schedule = \"0 3 * * *\", to = \"kept\" }";

const QUIESCED: &str = "backup = { schedule = \"0 3 * * *\", to = \"kept\", quiesce = \"touch /var/lib/notes/at-rest\" }";

fn sql(world: &World, statement: &str) -> String {
    let ran = world.landfall(&["psql", "--", "-XAtqc", statement]).ok();
    ran.stdout.trim().to_owned()
}

fn redis(world: &World, words: &[&str]) -> String {
    let words = [&["redis-cli", "--"], words].concat();
    world.landfall(&words).ok().stdout.trim().to_owned()
}

/// A world with a database, a cache and a volume that are backed up; and the volume's folder.
fn world() -> (World, PathBuf, String) {
    let world = World::new();
    let app = unique("backup");
    world.write(
        "landfall.toml",
        &format!(
            "app = \"{app}\"\n[service.web]\nimage = \"mendhak/http-https-echo:25\"\nport = 8080\n\
             env = {{ HTTP_PORT = \"8080\" }}\nuses = [\"postgres\", \"redis\"]\n\
             volumes = {{ data = {{ path = \"/var/lib/notes\", {QUIESCED} }} }}\n\
             [backing.postgres]\nversion = \"15\"\n{BACKUP}\n\
             [backing.redis]\nversion = \"7\"\nsettings = {{ appendonly = \"yes\" }}\n{BACKUP}\n"
        ),
    );
    world.landfall(&["deploy"]).ok();
    let volume = world
        .home()
        .join("apps")
        .join(&app)
        .join("volumes/local/web/data");
    (world, volume, app)
}

#[test]
fn a_database_a_cache_and_a_volume_in_containers_come_back() {
    let (world, volume, app) = world();
    fs::write(volume.join("note"), "kept").expect("it is ours");
    sql(
        &world,
        "create table notes (text text); insert into notes values ('kept')",
    );
    redis(&world, &["set", "note", "kept"]);
    world
        .landfall(&["backup", "now"])
        .ok()
        .says(&["1 table, 1 row", "1 key", "2 files"]);
    // Scratch instances are gone, and were on no network.
    let label = format!("label=landfall.app={app}");
    let names = docker(&["ps", "-a", "--filter", &label, "--format", "{{.Names}}"]);
    assert!(!names.contains("scratch"), "{names}");
    let volumes = docker(&["volume", "ls", "--filter", &label, "--format", "{{.Name}}"]);
    assert!(!volumes.contains("scratch"), "{volumes}");

    fs::write(volume.join("note"), "lost").expect("it is ours");
    fs::write(volume.join("more"), "lost").expect("it is ours");
    sql(&world, "update notes set text = 'lost'");
    redis(&world, &["set", "note", "lost"]);
    for subject in ["web.data", "postgres", "redis"] {
        world
            .landfall(&["backup", "restore", "latest", subject, "--yes"])
            .ok()
            .says(&["compared", "The app runs again"]);
    }
    assert_eq!(
        fs::read_to_string(volume.join("note")).ok().as_deref(),
        Some("kept")
    );
    assert!(!volume.join("more").exists() && volume.join("at-rest").exists());
    assert_eq!(sql(&world, "select text from notes"), "kept");
    assert_eq!(redis(&world, &["get", "note"]), "kept");
    // Its log of changes is on again, and is what it starts with.
    assert_eq!(
        redis(&world, &["config", "get", "appendonly"]),
        "appendonly\nyes"
    );
    world.landfall(&["backing", "restart", "redis"]).ok();
    wait("redis", || {
        (world.status()["condition"] == "healthy").then_some(())
    });
    assert_eq!(redis(&world, &["get", "note"]), "kept");
}

#[test]
fn what_ran_in_containers_comes_back_on_a_machine_where_nothing_was_deployed() {
    let (lost, volume, app) = world();
    fs::write(volume.join("note"), "kept").expect("it is ours");
    sql(
        &lost,
        "create table notes (text text); insert into notes values ('kept')",
    );
    redis(&lost, &["set", "note", "kept"]);
    lost.landfall(&["backup", "now"]).ok();
    // The key of the machine itself, which was kept elsewhere.
    let key = lost.folder().join("kept.key");
    fs::copy(lost.home().join("backup.key"), &key).expect("it is there");
    let file = lost.read("landfall.toml");
    lost.landfall(&["down", "--purge", "--yes"]).ok();
    let (store, key) = (
        lost.app().join("kept").display().to_string(),
        key.display().to_string(),
    );

    let world = World::new();
    world.write("landfall.toml", &file);
    world
        .landfall(&["backup", "list", "--from", &store])
        .ok()
        .says(&["1 table, 1 row", "1 key", "2 files"]);
    for subject in ["postgres", "redis", "web.data"] {
        let restore = ["backup", "restore", "latest", subject, "--from", &store];
        world
            .landfall(&[&restore[..], &["--key", &key, "--yes"]].concat())
            .ok()
            .says(&["compared", "landfall deploy"]);
    }
    // Nothing runs but what was restored.
    let home = format!("label=landfall.home={}", world.home().display());
    let names = docker(&["ps", "--filter", &home, "--format", "{{.Names}}"]);
    assert!(
        names.contains("postgres") && names.contains("redis") && !names.contains("web"),
        "{names}"
    );
    let kept = || {
        assert_eq!(sql(&world, "select text from notes"), "kept");
        assert_eq!(redis(&world, &["get", "note"]), "kept");
    };
    kept();
    world.landfall(&["deploy"]).ok();
    kept();
    let volume = world
        .home()
        .join("apps")
        .join(&app)
        .join("volumes/local/web/data");
    assert_eq!(
        fs::read_to_string(volume.join("note")).ok().as_deref(),
        Some("kept")
    );
}

#[test]
fn a_restoration_whose_host_dies_is_undone_and_the_app_starts_again() {
    let (world, volume, _) = world();
    let put = |text: &str| fs::write(volume.join("note"), text).expect("it is ours");
    let note = || fs::read_to_string(volume.join("note")).expect("it is there");
    put("kept");
    sql(
        &world,
        "create table notes (text text); insert into notes values ('kept')",
    );
    world.landfall(&["backup", "now"]).ok();
    put("since");
    sql(&world, "update notes set text = 'since'");
    for subject in ["web.data", "postgres"] {
        let restore = ["backup", "restore", "latest", subject, "--yes"];
        let running = world.spawn(&restore, &[]);
        wait("the app to be out of the way", || {
            (world.status()["condition"] == "stopped").then_some(())
        });
        world.kill_host();
        drop(running);
        world.landfall(&["host", "start"]).ok();
        wait("the app to run again", || {
            (world.status()["condition"] == "healthy").then_some(())
        });
        // Whole, whichever of the two it is.
        let text = sql(&world, "select text from notes");
        assert!(["kept", "since"].contains(&text.as_str()), "{text}");
        assert!(["kept", "since"].contains(&note().as_str()), "{}", note());
        world.landfall(&restore).ok();
    }
    assert_eq!(
        (note(), sql(&world, "select text from notes")),
        ("kept".to_owned(), "kept".to_owned())
    );
}
