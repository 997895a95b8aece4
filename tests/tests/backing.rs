//! PostgreSQL and Redis from this machine's packages, as an app's backing services.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use landfall_tests::{LIMIT, World, wait, world::kill};
use serde_json::Value;

const DATABASE: &str = "[backing.postgres]\nmemory = \"256MiB\"\n";
const CACHE: &str = "[backing.redis]\nmemory = \"64MiB\"\nsave = [\"900 1\"]\n";

/// A world with the fixture that uses what `backing` says; none where this machine lacks the packages.
fn world(uses: &str, backing: &str) -> Option<World> {
    let there = |path: &str| Path::new(path).exists();
    let postgres =
        fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut found| found.next().is_some());
    if !postgres || !there("/usr/bin/redis-server") {
        // Past the test harness, which keeps what passing tests say to itself.
        let _ = std::io::stderr()
            .write_all(b"skipped: PostgreSQL and Redis from this machine's packages are needed\n");
        return None;
    }
    let world = World::new();
    world.write("version", "one");
    write(&world, uses, backing);
    // As root the servers are users of their own, who must get through.
    fs::set_permissions(world.folder(), fs::Permissions::from_mode(0o711)).expect("it is ours");
    Some(world)
}

fn write(world: &World, uses: &str, backing: &str) {
    let text = landfall_tests::world::web_file(&format!("uses = {uses}\n{backing}"));
    world.write("landfall.toml", &text);
}

fn sql(world: &World, statement: &str) -> String {
    let ran = world.landfall(&["psql", "--", "-XAtqc", statement]).ok();
    ran.stdout.trim().to_owned()
}

fn redis(world: &World, words: &[&str]) -> String {
    let words = [&["redis-cli", "--"], words].concat();
    world.landfall(&words).ok().stdout.trim().to_owned()
}

/// A backing service in the status.
fn backing(world: &World, name: &str) -> Value {
    let status = world.status();
    let all = status["backing"].as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|backing| backing["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {status}"))
}

fn healthy(world: &World) {
    let begun = std::time::Instant::now();
    while world.status()["condition"] != "healthy" {
        let status = world.landfall(&["status"]);
        assert!(begun.elapsed() < LIMIT, "never healthy: {status}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The process that works in a folder of data and has no parent there.
fn server(world: &World, name: &str) -> u32 {
    let data = world
        .home()
        .join("backing/shop/local")
        .join(name)
        .join("data");
    let data = fs::canonicalize(data).expect("it was made");
    let works = |process: u32| {
        fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|folder| folder == data)
    };
    let parent = |process: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    wait("its server", || {
        let all = fs::read_dir("/proc").ok()?.flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .find(|process| works(*process) && parent(*process).is_some_and(|of| !works(of)))
    })
}

#[test]
fn an_app_finds_its_database_and_its_cache_and_they_outlive_everything() {
    let Some(world) = world("[\"postgres\", \"redis\"]", &format!("{DATABASE}{CACHE}")) else {
        return;
    };
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["postgres made", "redis made"]);
    let ask = "psql \"$DATABASE_URL\" -XAtqc 'select 40 + 2' && redis-cli -u \"$REDIS_URL\" ping \
        && PGPASSWORD=$DATABASE_PASSWORD psql -h $DATABASE_HOST -p $DATABASE_PORT -U $DATABASE_USER $DATABASE_NAME -XAtqc 'select 3'";
    world
        .landfall(&["run", "web", "--", "sh", "-c", ask])
        .ok()
        .says(&["42\nPONG\n3"]);
    sql(
        &world,
        "create table notes (text text); insert into notes values ('kept')",
    );
    redis(&world, &["set", "note", "kept"]);
    let kept = || {
        assert_eq!(sql(&world, "select text from notes"), "kept");
        assert_eq!(redis(&world, &["get", "note"]), "kept");
    };
    // Neither a deployment nor a rollback touches them.
    let before = (server(&world, "postgres"), server(&world, "redis"));
    world.write("version", "two");
    world.landfall(&["deploy"]).ok().says(&["postgres runs"]);
    world.landfall(&["rollback"]).ok();
    world.kill_host();
    world.landfall(&["host", "start"]).ok();
    healthy(&world);
    assert_eq!(
        (server(&world, "postgres"), server(&world, "redis")),
        before
    );
    kept();
    // A power cut does, and they are back before the app is asked for.
    redis(&world, &["save"]);
    world.cut_power();
    world.landfall(&["host", "start"]).ok();
    healthy(&world);
    kept();
    world.landfall(&["down"]).ok();
    world.landfall(&["deploy"]).ok().says(&["postgres started"]);
    kept();
    let data = world.home().join("backing");
    assert!(data.join("shop").exists());
    world.landfall(&["down", "--purge", "--yes"]).ok();
    assert!(!data.join("shop/local/postgres").exists());
    assert_eq!(world.fixtures(), 0);
}

#[test]
fn a_database_that_is_killed_is_back_by_itself_and_nothing_else_is_touched() {
    let Some(world) = world("[\"postgres\"]", DATABASE) else {
        return;
    };
    world.landfall(&["deploy"]).ok();
    sql(
        &world,
        "create table notes (text text); insert into notes values ('kept')",
    );
    let (web, database) = (world.processes(), server(&world, "postgres"));
    kill(database);
    wait("another server", || {
        (server(&world, "postgres") != database).then_some(())
    });
    healthy(&world);
    assert_eq!(sql(&world, "select text from notes"), "kept");
    assert_eq!(world.processes(), web);
    world
        .landfall(&["events"])
        .ok()
        .says(&["postgres: ended", "postgres: ready"]);
    // Its supervisor too: what it leaves is ended first, for there are never two on one folder.
    let state = world
        .home()
        .join("instances/shop.local.postgres.0.1.backing/state.json");
    let state: Value = serde_json::from_str(&fs::read_to_string(state).expect("it was written"))
        .expect("it is JSON");
    let before = server(&world, "postgres");
    kill(u32::try_from(state["supervisor"].as_u64().expect("a number")).expect("a process"));
    wait("another server", || {
        (server(&world, "postgres") != before).then_some(())
    });
    healthy(&world);
    assert!(!landfall_tests::world::alive(before));
    assert_eq!(sql(&world, "select text from notes"), "kept");
    assert_eq!(world.processes(), web);
}

#[test]
fn a_database_that_somebody_stops_from_outside_is_back() {
    let Some(world) = world("[\"postgres\"]", DATABASE) else {
        return;
    };
    world.landfall(&["deploy"]).ok();
    let state = world
        .home()
        .join("instances/shop.local.postgres.0.1.backing/state.json");
    let state: Value = serde_json::from_str(&fs::read_to_string(state).expect("it was written"))
        .expect("it is JSON");
    let before = server(&world, "postgres");
    let supervisor = i32::try_from(state["supervisor"].as_u64().expect("a number"))
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process");
    // Its supervisor ends well, as it does when it is asked to.
    rustix::process::kill_process(supervisor, rustix::process::Signal::TERM).expect("it is ours");
    wait("another server", || {
        (!landfall_tests::world::alive(before)).then_some(())
    });
    healthy(&world);
    assert_ne!(server(&world, "postgres"), before);
    // Who stops it by purpose is heard.
    world.landfall(&["stop"]).ok();
    assert_eq!(world.fixtures(), 0);
    assert_eq!(backing(&world, "postgres")["healthy"], false);
    assert_eq!(backing(&world, "postgres")["reason"], "stopped");
}

#[test]
fn settings_restart_it_and_bad_ones_are_taken_back() {
    let Some(world) = world("[\"postgres\"]", DATABASE) else {
        return;
    };
    world.landfall(&["deploy"]).ok();
    assert_eq!(sql(&world, "show shared_buffers"), "64MB");
    write(
        &world,
        "[\"postgres\"]",
        "[backing.postgres]\nmemory = \"128MiB\"\n",
    );
    world.landfall(&["plan"]).ok().says(&["started again"]);
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["postgres restarted: memory 256MiB → 128MiB"]);
    assert_eq!(sql(&world, "show shared_buffers"), "32MB");
    let bad = "[backing.postgres]\nmemory = \"128MiB\"\nsettings = { shared_bufers = \"1MB\" }\n";
    write(&world, "[\"postgres\"]", bad);
    world.landfall(&["deploy"]).exits(1).says(&[
        "backing-failed",
        "unrecognized configuration parameter \"shared_bufers\"",
        "postgres runs as before",
    ]);
    assert_eq!(sql(&world, "show shared_buffers"), "32MB");
    let own = "[backing.postgres]\nsettings = { port = \"5432\" }\n";
    write(&world, "[\"postgres\"]", own);
    world
        .landfall(&["deploy"])
        .exits(2)
        .says(&["conflicting-keys", "settings.port"]);
    let other = "[backing.postgres]\nversion = \"9\"\n";
    write(&world, "[\"postgres\"]", other);
    world.landfall(&["plan"]).ok();
    world
        .landfall(&["deploy"])
        .exits(6)
        .says(&["version-missing", "postgresql-9"]);
    assert_eq!(sql(&world, "show shared_buffers"), "32MB");
}

#[test]
fn bad_settings_are_taken_back_after_a_host_that_was_killed_while_it_tried_them() {
    let Some(world) = world("[\"postgres\"]", DATABASE) else {
        return;
    };
    world.landfall(&["deploy"]).ok();
    let before = server(&world, "postgres");
    let bad = "[backing.postgres]\nmemory = \"256MiB\"\nsettings = { shared_bufers = \"1MB\" }\n";
    write(&world, "[\"postgres\"]", bad);
    let deploying = world.spawn(&["deploy"], &[]);
    wait("the end of the old server", || {
        (!landfall_tests::world::alive(before)).then_some(())
    });
    world.kill_host();
    let _ = deploying.end();
    world.landfall(&["host", "start"]).ok();
    wait("the settings as they were", || {
        let asked = ["psql", "--", "-XAtqc", "show shared_buffers"];
        let answer = world.landfall(&asked);
        (answer.code == 0 && answer.stdout.trim() == "64MB").then_some(())
    });
    healthy(&world);
}

#[test]
fn what_the_file_names_no_more_is_stopped_and_kept() {
    let Some(world) = world("[\"redis\"]", CACHE) else {
        return;
    };
    world.landfall(&["deploy"]).ok();
    redis(&world, &["set", "note", "kept"]);
    write(&world, "[]", "");
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["redis stopped, its data is kept"]);
    assert_eq!(backing(&world, "redis")["wanted"], false);
    assert_eq!(world.status()["condition"], "healthy");
    world
        .landfall(&["redis-cli", "redis"])
        .exits(6)
        .says(&["not-running"]);
    world.landfall(&["rollback"]).ok().says(&["redis started"]);
    assert_eq!(redis(&world, &["get", "note"]), "kept");
}

#[test]
fn extensions_and_scripts_of_the_first_start() {
    let extra = "extensions = [\"nothing_such\"]\ninit = [\"db/one.sql\", \"db/two.sql\"]\n";
    let Some(world) = world("[\"postgres\"]", &format!("{DATABASE}{extra}")) else {
        return;
    };
    world.write(
        "db/one.sql",
        "create table one (id int); insert into one values (1);",
    );
    world.write(
        "db/two.sql",
        "create table two (id int); insert into three values (1);",
    );
    world.landfall(&["deploy"]).exits(1).says(&[
        "extension-missing",
        "nothing_such",
        "apt-get install postgresql-",
    ]);
    let fixed = extra.replace("nothing_such", "plpgsql");
    write(&world, "[\"postgres\"]", &format!("{DATABASE}{fixed}"));
    world.landfall(&["deploy"]).exits(1).says(&[
        "init-failed",
        "db/two.sql",
        "relation \"three\" does not exist",
    ]);
    // What was done isn't done again.
    world.write(
        "db/two.sql",
        "create table two (id int); insert into two values (2);",
    );
    world.landfall(&["deploy"]).ok();
    assert_eq!(sql(&world, "select id from two"), "2");
    assert_eq!(
        sql(
            &world,
            "select tableowner from pg_tables where tablename = 'two'"
        ),
        "shop"
    );
    world.landfall(&["deploy"]).ok();
    assert_eq!(sql(&world, "select count(*) from two"), "1");
}

#[test]
fn dumps_and_tunnels_need_nothing_of_the_user() {
    let Some(world) = world("[\"postgres\", \"redis\"]", &format!("{DATABASE}{CACHE}")) else {
        return;
    };
    world.landfall(&["deploy"]).ok();
    sql(
        &world,
        "create table notes (text text); insert into notes values ('kept')",
    );
    redis(&world, &["set", "note", "kept"]);
    world.landfall(&["psql", "--dump", "notes.sql"]).ok();
    assert!(world.read("notes.sql").contains("kept"));
    world.landfall(&["psql", "--dump", "notes.dump"]).ok();
    let dump = fs::read(world.app().join("notes.dump")).expect("it was written");
    assert!(dump.starts_with(b"PGDMP"));
    world.landfall(&["redis-cli", "--dump", "notes.rdb"]).ok();
    let dump = fs::read(world.app().join("notes.rdb")).expect("it was written");
    assert!(dump.starts_with(b"REDIS"));
    let mode = fs::metadata(world.app().join("notes.rdb"))
        .expect("it is there")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);

    let tunnel = world.spawn(&["tunnel", "redis", "--json"], &[]);
    let said = wait("the tunnel", || {
        let said = tunnel.said();
        serde_json::from_str::<Value>(said.lines().next()?).ok()
    });
    let port = said["data"]["port"].as_u64().expect("a port");
    let url = said["data"]["url"].as_str().expect("a URL");
    assert_eq!(url, format!("redis://default@127.0.0.1:{port}/0"));
    let mut stream =
        std::net::TcpStream::connect(("127.0.0.1", u16::try_from(port).expect("a port")))
            .expect("it listens");
    stream.write_all(b"PING\r\n").expect("it reads");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"-NOAUTH");
    tunnel.signal(rustix::process::Signal::INT);
    assert_eq!(tunnel.end().code, 0);
    world
        .landfall(&["tunnel", "mysql"])
        .exits(2)
        .says(&["unknown-backing", "postgres, redis"]);
}

#[test]
fn a_disk_and_a_memory_at_their_limits_are_said() {
    let text = "[backing.postgres]\ndisk = \"20MiB\"\n\
        [backing.redis]\nmemory = \"32MiB\"\n";
    let Some(world) = world("[\"postgres\", \"redis\"]", text) else {
        return;
    };
    world.landfall(&["deploy"]).ok();
    let status = world.status();
    assert_eq!(status["condition"], "degraded", "{status}");
    world.landfall(&["status"]).ok().says(&[
        "DEGRADED",
        "over 95 % of its disk",
        "of 20 MiB",
        "0/100",
    ]);
    world
        .landfall(&["events"])
        .ok()
        .says(&["of 20.0 MiB of disk, over 95 %"]);
    let fill = "for i in $(seq 1 800); do printf 'SET key:%s %s\\n' $i $(head -c 30000 /dev/zero | tr '\\0' x); done | redis-cli -u \"$REDIS_URL\"";
    world
        .landfall(&["run", "web", "--", "sh", "-c", fill])
        .ok()
        .says(&["OOM command not allowed"]);
    let data = backing(&world, "redis")["data-memory"].clone();
    assert_eq!(data["limit"], 16 << 20);
    world
        .landfall(&["status"])
        .ok()
        .says(&["redis is at its limit"]);
}

#[test]
fn somebody_elses_is_looked_at_before_a_deployment_and_its_password_is_never_shown() {
    let text = "[backing.postgres]\nurl = \"${secret.DATABASE}\"\n";
    let Some(world) = world("[\"postgres\"]", text) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let url = format!("postgres://ada:hidden-word@{address}/shop");
    world.write(".env", &format!("DATABASE={url}\n"));
    drop(listener);
    world
        .landfall(&["deploy"])
        .exits(6)
        .says(&["backing-unreachable", &address.to_string()])
        .hides("hidden-word");
    let listener = TcpListener::bind(address).expect("it was free");
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        stream.read_exact(&mut [0; 8]).expect("it asks");
        stream.write_all(b"N").expect("it reads");
    });
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["postgres answers at"])
        .hides("hidden-word");
    answering.join().expect("it was asked");
    let given = world.landfall(&[
        "run",
        "web",
        "--",
        "sh",
        "-c",
        "echo $DATABASE_URL $DATABASE_HOST",
    ]);
    given.ok().says(&[&format!("{url} 127.0.0.1")]);
    world
        .landfall(&["status"])
        .ok()
        .says(&["elsewhere"])
        .hides("hidden-word");
}
