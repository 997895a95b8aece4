//! Backups of what runs in containers: a database, a cache, and the volume of a service.
#![cfg(feature = "engine")]

use std::fs;

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

#[test]
fn a_database_a_cache_and_a_volume_in_containers_come_back() {
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
