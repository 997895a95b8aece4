//! Backups of a database and a cache from this machine's packages: made, verified, restored.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use landfall_tests::{LIMIT, World, wait};
use serde_json::Value;

const BACKUP: &str = "backup = { schedule = \"0 3 * * *\", keep = \"7d\", to = \"kept\" }";

/// A world with the fixture, its database and its cache; none where this machine lacks the packages.
fn world() -> Option<World> {
    let postgres =
        fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut found| found.next().is_some());
    if !postgres || !Path::new("/usr/bin/redis-server").exists() {
        // Past the test harness, which keeps what passing tests say to itself.
        let _ = std::io::stderr()
            .write_all(b"skipped: PostgreSQL and Redis from this machine's packages are needed\n");
        return None;
    }
    let world = World::new();
    world.write("version", "one");
    let text = format!(
        "uses = [\"postgres\", \"redis\"]\n\
         [backing.postgres]\n{BACKUP}\n[backing.redis]\n{BACKUP}\n"
    );
    world.write("landfall.toml", &landfall_tests::world::web_file(&text));
    // As root the servers are users of their own, who must get through.
    fs::set_permissions(world.folder(), fs::Permissions::from_mode(0o711)).expect("it is ours");
    Some(world)
}

fn sql(world: &World, statement: &str) -> String {
    let ran = world.landfall(&["psql", "--", "-XAtqc", statement]).ok();
    ran.stdout.trim().to_owned()
}

fn redis(world: &World, words: &[&str]) -> String {
    let words = [&["redis-cli", "--"], words].concat();
    world.landfall(&words).ok().stdout.trim().to_owned()
}

fn fill(world: &World) {
    sql(
        world,
        "create table notes (number int, text text); \
         insert into notes select n, 'note ' || n from generate_series(1, 1000) n",
    );
    redis(world, &["set", "note", "kept"]);
}

fn kept(world: &World) {
    let count = "select count(*), max(text) from notes";
    assert_eq!(sql(world, count), "1000|note 999");
    assert_eq!(redis(world, &["get", "note"]), "kept");
}

fn backups(world: &World) -> Vec<Value> {
    let ran = world.landfall(&["backup", "list", "--json"]).ok();
    let all: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    all["data"]["backups"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// The files below a folder of the store.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn what_was_backed_up_comes_back() {
    let Some(world) = world() else { return };
    // Whoever can read the secrets can read the backups.
    recipient(&world);
    world.landfall(&["deploy"]).ok();
    world
        .landfall(&["status"])
        .ok()
        .says(&["Backup of postgres: NOT VERIFIED"]);
    fill(&world);
    world
        .landfall(&["backup", "now"])
        .ok()
        .says(&["1 table, 1000 rows", "1 key"]);
    world
        .landfall(&["status"])
        .ok()
        .says(&["Backup of postgres: verified", "Backup of redis: verified"]);
    for backup in backups(&world) {
        assert!(backup["verified-at"].is_number(), "{backup}");
    }
    let store = world.app().join("kept");
    let all = files(&store);
    assert_eq!(all.len(), 5, "{all:?}");
    for file in all.iter().filter(|file| file.ends_with("dump.age")) {
        let content = fs::read(file).expect("it is there");
        assert!(content.starts_with(b"age-encryption.org/v1"), "{file:?}");
    }
    // Nothing of the scratch instances is left.
    let instances = fs::read_dir(world.home().join("instances")).expect("it is there");
    let scratch = |entry: fs::DirEntry| entry.file_name().to_string_lossy().contains("scratch");
    assert!(!instances.flatten().any(scratch));

    sql(&world, "drop table notes");
    redis(&world, &["del", "note"]);
    world
        .landfall(&["backup", "restore", "postgres"])
        .exits(6)
        .says(&["not-confirmed"]);
    for subject in ["postgres", "redis"] {
        world
            .landfall(&["backup", "restore", "latest", subject, "--yes"])
            .ok()
            .says(&["compared", "What was there before is", "The app runs again"]);
    }
    kept(&world);
    assert_eq!(world.version(), "one");
    // What was there is kept, and its dump too.
    let before = "select count(*) from pg_database where datname like 'shop_before_%'";
    assert_eq!(sql(&world, before), "1");
    let reasons: Vec<_> = backups(&world)
        .iter()
        .map(|backup| backup["reason"].as_str().unwrap_or_default().to_owned())
        .collect();
    let safety = reasons.iter().filter(|reason| *reason == "before-restore");
    assert_eq!(safety.count(), 2, "{reasons:?}");
}

/// Where backups go.
const FOLDER: &str = "to = \"kept\"";

/// What an app's migration does: it says in the database what it found there.
const MIGRATION: &str = "create table if not exists notes (number int, text text); \
    create table if not exists migrated (found bigint); \
    insert into migrated select count(*) from notes";

/// The fixture with a migration, its database and its cache backed up to a store.
fn migrating(store: &str, more: &str) -> Option<World> {
    let world = world()?;
    let file = world.read("landfall.toml").replace("to = \"kept\"", store);
    let migrate = format!(
        "migrate = '''/usr/bin/psql -X \"$DATABASE_URL\" -v ON_ERROR_STOP=1 -qc \"{MIGRATION}\"'''\n{more}"
    );
    let file = file.replace("uses =", &format!("{migrate}uses ="));
    world.write("landfall.toml", &file);
    Some(world)
}

/// A key of its user, who is let in to the secrets, and so to the backups.
fn recipient(world: &World) -> PathBuf {
    world.landfall(&["secrets", "keygen"]).ok();
    let key = world.user().join(".config/landfall/key");
    let text = fs::read_to_string(&key).expect("it was made");
    let public = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .expect("it says so");
    world
        .landfall(&["secrets", "recipients", "add", "me", public])
        .ok();
    key
}

/// A store with a backup of a database and of a cache, whose machine is lost; and the key to it.
fn lost() -> Option<(World, String, String)> {
    let world = migrating(FOLDER, "")?;
    let key = recipient(&world).display().to_string();
    world.landfall(&["deploy"]).ok();
    sql(
        &world,
        "insert into notes select n, 'note ' || n from generate_series(1, 1000) n",
    );
    redis(&world, &["set", "note", "kept"]);
    world.landfall(&["backup", "now"]).ok();
    world.landfall(&["down", "--purge", "--yes"]).ok();
    let store = world.app().join("kept").display().to_string();
    Some((world, store, key))
}

const MIGRATED: &str = "select string_agg(found::text, ',' order by found) from migrated";

#[test]
fn an_empty_machine_gets_its_data_before_anything_is_deployed() {
    let Some((_lost, store, key)) = lost() else {
        return;
    };
    let Some(world) = migrating(FOLDER, "secrets = [\"TOKEN\"]\n") else {
        return;
    };
    // Nothing is made for a backup that isn't there.
    let nowhere = world.folder().join("nowhere").display().to_string();
    world
        .landfall(&["backup", "restore", "postgres", "--from", &nowhere, "--yes"])
        .exits(2)
        .says(&["unknown-backup", "landfall backup list --from"]);
    assert!(!world.home().join("backing/shop").exists());
    // The store can be looked at before anything else.
    world
        .landfall(&["backup", "list", "--from", &store])
        .ok()
        .says(&["2 tables, 1001 rows", "1 key"]);
    world
        .landfall(&[
            "backup", "restore", "latest", "postgres", "--from", &store, "--key", &key,
        ])
        .exits(6)
        .says(&["not-confirmed", "isn't deployed"]);
    let refused = ["backup", "restore", "latest", "postgres", "--from", &store];
    world
        .landfall(&[&refused[..], &["--yes"]].concat())
        .exits(6)
        .says(&["not-a-recipient"]);
    for subject in ["postgres", "redis"] {
        let restore = ["backup", "restore", "latest", subject, "--from", &store];
        world
            .landfall(&[&restore[..], &["--key", &key, "--yes"]].concat())
            .ok()
            .says(&["compared", "landfall deploy", "migrations"]);
    }
    // Nothing of the app ran.
    assert_eq!(world.status()["condition"], "empty");
    world
        .landfall(&["backup", "list"])
        .ok()
        .says(&["2 tables, 1001 rows"]);
    assert_eq!(world.fixtures(), 0);
    kept(&world);
    assert_eq!(sql(&world, MIGRATED), "0");
    // The secret of a service isn't needed for its data, and is for itself.
    let ran = world
        .landfall(&["deploy"])
        .says(&["missing-secret", "TOKEN"]);
    assert_ne!(ran.code, 0, "{ran}");
    world
        .landfall_with(&["secrets", "set", "TOKEN"], &[], "a-token-of-it\n")
        .ok();
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.version(), "one");
    kept(&world);
    assert_eq!(sql(&world, MIGRATED), "0,1000");
    // What was made for the restoration was never built.
    let ran = world.landfall(&["rollback", "1"]);
    assert_ne!(ran.code, 0, "{ran}");
    ran.says(&["release-pruned"]);
    world
        .landfall(&[
            "backup", "restore", "redis", "--from", &store, "--key", &key, "--yes",
        ])
        .ok()
        .says(&["The app runs again"]);
    kept(&world);
}

/// A real S3 server with an empty bucket `backups`, which ends with it; none where it isn't there.
struct S3 {
    address: SocketAddr,
    server: Child,
    _folder: tempfile::TempDir,
}

const BUCKET_KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "test-access"),
    ("AWS_SECRET_ACCESS_KEY", "test-secret-of-the-bucket"),
];

impl S3 {
    fn start() -> Option<Self> {
        // The tests of backups themselves make it.
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/versitygw");
        if !program.is_file() {
            let _ = std::io::stderr().write_all(b"skipped: versitygw isn't in target/tools\n");
            return None;
        }
        let folder = tempfile::tempdir().expect("there is room");
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("backups")).expect("there is room");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = port.local_addr().expect("it listens");
        drop(port);
        let [(_, access), (_, secret)] = BUCKET_KEYS;
        let server = Command::new(program)
            .args(["--port", &address.to_string(), "posix"])
            .arg(&data)
            .env("ROOT_ACCESS_KEY", access)
            .env("ROOT_SECRET_KEY", secret)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        let started = Self {
            address,
            server,
            _folder: folder,
        };
        wait("the S3 server", || TcpStream::connect(address).ok());
        Some(started)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn an_empty_machine_gets_its_data_from_a_bucket_and_a_key_alone() {
    let Some(server) = S3::start() else { return };
    let endpoint = format!("http://{}", server.address);
    let store = format!("to = \"s3://backups/shop\", endpoint = \"{endpoint}\"");
    let Some(lost) = migrating(&store, "") else {
        return;
    };
    let key = recipient(&lost);
    for (name, value) in BUCKET_KEYS {
        let set = ["secrets", "set", name];
        lost.landfall_with(&set, &[], &format!("{value}\n")).ok();
    }
    lost.landfall(&["deploy"]).ok();
    let rows = "insert into notes select n, 'note ' || n from generate_series(1, 1000) n";
    sql(&lost, rows);
    redis(&lost, &["set", "note", "kept"]);
    lost.landfall(&["backup", "now"]).ok();
    let secrets = lost.read("landfall.secrets.toml");
    let key = fs::read_to_string(key).expect("it was made");
    drop(lost);

    let Some(world) = migrating(&store, "") else {
        return;
    };
    world.write("landfall.secrets.toml", &secrets);
    let file = world.user().join(".config/landfall/key");
    fs::create_dir_all(file.parent().expect("it has one")).expect("it is ours");
    fs::write(&file, key).expect("it is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let file = file.display().to_string();
    // As any tool of S3 is told; and as the app file and its secrets say.
    let from = ["--from", "s3://backups/shop", "--endpoint", &endpoint];
    let listed = [&["backup", "list"][..], &from].concat();
    world
        .landfall_with(&listed, &BUCKET_KEYS, "")
        .ok()
        .says(&["2 tables, 1001 rows", "1 key"]);
    let restore = [
        "backup", "restore", "latest", "postgres", "--key", &file, "--yes",
    ];
    world
        .landfall_with(&[&restore[..], &from].concat(), &BUCKET_KEYS, "")
        .ok();
    world
        .landfall(&["backup", "restore", "redis", "--key", &file, "--yes"])
        .ok()
        .says(&["compared", "landfall deploy"]);
    kept(&world);
    assert_eq!(sql(&world, MIGRATED), "0");
    world.landfall(&["deploy"]).ok();
    kept(&world);
    assert_eq!(sql(&world, MIGRATED), "0,1000");
}

#[test]
fn a_host_that_dies_while_it_provisions_for_a_restoration_goes_on() {
    let Some((_lost, store, key)) = lost() else {
        return;
    };
    for (step, point) in [
        ("preflight", "after"),
        ("lock", "after"),
        ("provision", "before"),
        ("provision", "after"),
        ("unlock", "before"),
        ("unlock", "after"),
    ] {
        let Some(world) = migrating(FOLDER, "") else {
            return;
        };
        let fault = format!("{step}@1:kill-{point}");
        let restore = [
            "backup", "restore", "latest", "postgres", "--from", &store, "--key", &key, "--yes",
        ];
        // A host that is started later has no fault.
        let faults = [("LANDFALL_FAULTS", fault.as_str())];
        world.landfall_with(&["host", "start"], &faults, "").ok();
        // Whether it follows to the end or gives up: the host is killed under it.
        world.landfall(&restore);
        let outcome = wait("its end", || {
            world.landfall(&["host", "start"]);
            let ran = world.landfall(&["deployments", "1", "--json"]);
            let ended = (ran.code == 0).then(|| ran.data()["summary"]["outcome"].clone())?;
            ended.as_str().map(str::to_owned)
        });
        // Where nothing was changed yet it ends, and else it goes on.
        let expected = match step {
            "preflight" | "lock" => "refused",
            _ => "done",
        };
        assert_eq!(outcome, expected, "{fault}");
        wait("a restoration that goes through", || {
            (world.landfall(&restore).code == 0).then_some(())
        });
        assert_eq!(world.status()["lock"], Value::Null, "{fault}");
        assert_eq!(world.fixtures(), 0, "{fault}");
        assert_eq!(sql(&world, MIGRATED), "0", "{fault}");
        world.landfall(&["deploy"]).ok();
        assert_eq!(sql(&world, MIGRATED), "0,1000", "{fault}");
    }
}

#[test]
fn a_restoration_before_the_first_deployment_that_is_cut_off_can_be_done_again() {
    let Some((_lost, store, key)) = lost() else {
        return;
    };
    let Some(world) = migrating(FOLDER, "") else {
        return;
    };
    let restore = [
        "backup", "restore", "latest", "postgres", "--from", &store, "--key", &key, "--yes",
    ];
    let running = world.spawn(&restore, &[]);
    wait("the restoration itself", || {
        let reason = world.status()["lock"]["reason"].clone();
        let begun = reason == "restoring a backup" || running.said().contains("compared");
        begun.then_some(())
    });
    world.kill_host();
    drop(running);
    world.landfall(&["host", "start"]).ok();
    // The lock of the host that died frees itself after half a minute.
    let begun = Instant::now();
    while begun.elapsed() < 2 * LIMIT {
        let ran = world.landfall(&restore);
        if ran.code == 0 {
            break;
        }
        ran.says(&["locked", "restoring a backup"]);
        std::thread::sleep(Duration::from_millis(100));
    }
    world.landfall(&["deploy"]).ok();
    let count = "select count(*), max(text) from notes";
    assert_eq!(sql(&world, count), "1000|note 999");
    assert_eq!(sql(&world, MIGRATED), "0,1000");
}

#[test]
fn a_truncated_backup_is_found_before_anything_changes() {
    let Some(world) = world() else { return };
    world.landfall(&["deploy"]).ok();
    fill(&world);
    world.landfall(&["backup", "now", "postgres"]).ok();
    let all = files(&world.app().join("kept"));
    let dump = all.iter().find(|file| file.ends_with("dump.age"));
    let dump = dump.expect("it was made");
    let whole = fs::read(dump).expect("it is there");
    fs::write(dump, &whole[..whole.len() - 100]).expect("it is ours");
    let before = world.processes();
    for command in [
        &["backup", "verify"][..],
        &["backup", "restore", "postgres", "--yes"],
    ] {
        let ran = world.landfall(command);
        ran.exits(1).says(&["backup-damaged", "dump.age"]);
    }
    assert_eq!(world.processes(), before);
    kept(&world);
    world
        .landfall(&["status"])
        .ok()
        .says(&["Backup of postgres: NOT VERIFIED"]);
    world.landfall(&["backup", "list"]).ok().says(&["DAMAGED"]);
    fs::write(dump, &whole).expect("it is ours");
    world.landfall(&["backup", "verify"]);
    world
        .landfall(&["status"])
        .ok()
        .says(&["Backup of postgres: verified"]);
}

#[test]
fn a_host_that_dies_in_the_middle_leaves_no_backup_and_no_scratch_instance() {
    let Some(world) = world() else { return };
    world.landfall(&["deploy"]).ok();
    fill(&world);
    let scratch = world.home().join("backing/shop/local/postgres/scratch");
    let running = world.spawn(&["backup", "now", "postgres"], &[]);
    wait("a scratch instance", || {
        scratch.join("postmaster.pid").exists().then_some(())
    });
    world.kill_host();
    drop(running);
    world.landfall(&["host", "start"]).ok();
    wait("its end", || (!scratch.exists()).then_some(()));
    assert!(backups(&world).is_empty());
    let manifests = files(&world.app().join("kept"));
    assert!(!manifests.iter().any(|file| file.ends_with("manifest.json")));
    world.landfall(&["backup", "now", "postgres"]).ok();
    assert_eq!(backups(&world).len(), 1);
    kept(&world);
}
