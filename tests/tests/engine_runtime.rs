//! Services in containers: started, verified, replaced, found again; and what is said where they
//! can't be.

#![cfg(feature = "engine")]

use landfall_tests::{
    Daemon, World,
    engine::{containers, docker, unique},
    get, wait,
};
use serde_json::Value;

const SERVE: &str = "mkdir -p /tmp/www; cp /page /tmp/www/index.html; exec httpd -f -p";

/// An app file with a service `web` that executes a script in a container.
fn file(app: &str, script: &str, extra: &str) -> String {
    let script = script.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "app = \"{app}\"\n\n[service.web]\nimage = \"busybox:test\"\nport = 8000\n\
         command = [\"/bin/sh\", \"-c\", \"{script}\"]\nfiles = {{ \"/page\" = \"page\" }}\n\
         health = {{ ready = \"/\", start = \"6s\", interval = \"200ms\" }}\n\
         stop = {{ grace = \"2s\" }}\ndrain = \"1s\"\n{extra}\n"
    )
}

/// A world with such a service, which serves the file `page`.
fn serving(extra: &str) -> (World, String) {
    let world = World::new();
    let app = unique("runtime");
    world.write("landfall.toml", &file(&app, &serve("8000"), extra));
    world.write("page", "one\n");
    (world, app)
}

fn serve(port: &str) -> String {
    format!("{SERVE} {port} -h /tmp/www")
}

#[track_caller]
fn page(world: &World) -> String {
    let url = world.url("web");
    let answer = get(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.trim().to_owned()
}

/// Waits until the app is as it should be, and nothing of it is being replaced.
fn healthy(world: &World, replicas: usize) {
    wait("the app is healthy", || {
        let status = world.status();
        let instances = status["services"][0]["instances"].as_array()?.len();
        (status["condition"] == "healthy" && instances == replicas).then_some(())
    });
}

#[track_caller]
fn inspected(container: &str) -> Value {
    let text = docker(&["inspect", container]);
    let all: Value = serde_json::from_str(&text).expect("the command prints JSON");
    all[0].clone()
}

#[test]
fn a_release_runs_in_containers_and_the_next_one_takes_its_place() {
    let (world, app) = serving(
        "memory = \"64MiB\"\npids = 50\nread-only = true\nuser = 1000\nsecrets = [\"TOKEN\"]\n\
         migrate = \"echo migrated as $(id -u) with $TOKEN\"",
    );
    world.write(".env", "TOKEN=secret-value-of-this\n");
    world.landfall(&["deploy"]).ok().says(&["web 200"]);
    assert_eq!(page(&world), "one");
    let first = containers(&world.home());
    assert_eq!(first, [format!("landfall.{app}.local.web.1.1.1")]);
    let found = inspected(&first[0]);
    let host = &found["HostConfig"];
    assert_eq!(host["CapDrop"][0], "ALL");
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    assert_eq!(
        host["PortBindings"]
            .as_object()
            .map_or(0, |ports| ports.len()),
        0
    );
    assert_eq!(
        (&host["ReadonlyRootfs"], &host["Memory"]),
        (&true.into(), &(64 << 20).into())
    );
    assert!(!found.to_string().contains("secret-value"), "{found}");

    let logs = world.landfall(&["logs"]).ok();
    logs.says(&["migrated as 1000 with ***"])
        .hides("secret-value");
    let script = "echo $TOKEN on $PORT; exit 7";
    let inside = world.landfall(&["exec", "--", "/bin/sh", "-c", script]);
    inside.exits(7).says(&["secret-value-of-this on 8000"]);
    let beside = world.landfall(&["run", "--", "/bin/sh", "-c", "cat /page; exit 3"]);
    beside.exits(3).says(&["one"]);

    world.write("page", "two\n");
    world.landfall(&["deploy"]).ok();
    assert_eq!(page(&world), "two");
    world.landfall(&["rollback"]).ok();
    assert_eq!(page(&world), "one");
    let running = docker(&[
        "ps",
        "--format",
        "{{.Names}}",
        "--filter",
        &format!("name={app}"),
    ]);
    assert_eq!(running, format!("landfall.{app}.local.web.1.1.3"));
    world.landfall(&["down", "--purge", "--yes"]).ok();
    assert_eq!(containers(&world.home()), [""; 0]);
    let networks = docker(&["network", "ls", "--filter", &format!("name={app}"), "-q"]);
    assert_eq!(networks, "");
}

#[test]
fn a_container_reaches_the_services_of_its_app() {
    let (world, _) = serving("");
    let text = world.read("landfall.toml");
    let other = "[service.other]\nimage = \"busybox:test\"\ncommand = \"sleep 600\"\n\
        env = { WEB = \"${service.web.url}\" }\nstop = { grace = \"1s\" }\n";
    world.write("landfall.toml", &format!("{text}\n{other}"));
    world.landfall(&["deploy"]).ok();
    let script = "wget -q -O - $WEB";
    let got = world.landfall(&["exec", "other", "--", "/bin/sh", "-c", script]);
    got.ok().says(&["one"]);
    let got = world.landfall(&["run", "other", "--", "/bin/sh", "-c", script]);
    got.ok().says(&["one"]);
}

#[test]
fn what_a_container_does_wrong_is_said() {
    let (world, app) = serving("memory = \"32MiB\"");
    world.landfall(&["deploy"]).ok();
    let eat = "echo eating; x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done";
    for (script, error, says) in [
        (
            "echo no database; exit 3",
            "crashed",
            &["exited with 3", "no database"][..],
        ),
        (eat, "crashed", &["exceeded its memory limit", "32MiB"]),
        ("sleep 600", "never-ready", &["no port"]),
        (
            &serve("3000"),
            "wrong-port",
            &["listens on 3000, expected 8000"],
        ),
        (&serve("127.0.0.1:8000"), "wrong-address", &["0.0.0.0"]),
        ("exec /bin/nothing", "crashed", &["not found"]),
    ] {
        let text = file(&app, script, "memory = \"32MiB\"");
        world.write("landfall.toml", &text);
        let ran = world.landfall(&["deploy"]).exits(1).says(&[error]);
        ran.says(says);
        assert_eq!(page(&world), "one", "the release before serves on");
    }
    assert_eq!(
        containers(&world.home()).len(),
        1,
        "nothing is left of the others"
    );
}

#[test]
fn a_container_that_somebody_removes_is_replaced_and_the_reason_said() {
    let (world, _) = serving("replicas = 2");
    world.landfall(&["deploy"]).ok();
    let mut events = world.events();
    for (command, reason) in [(&["rm", "-f"][..], "removed"), (&["kill"], "killed")] {
        let before = containers(&world.home());
        docker(&[command, &[&before[0]]].concat());
        let event = events.until("an instance is lost", |event| {
            event.pointer("/kind/instance-lost").is_some()
        });
        assert!(event.to_string().contains(reason), "{event}");
        assert_eq!(page(&world), "one", "the other one serves");
        healthy(&world, 2);
        assert!(!containers(&world.home()).contains(&before[0]));
    }
}

#[test]
fn a_foreign_container_of_our_name_stays_as_it_is() {
    let (world, app) = serving("");
    let name = format!("landfall.{app}.local.web.1.1.1");
    docker(&["create", "--name", &name, "busybox:test", "/bin/true"]);
    let before = inspected(&name)["Id"].clone();
    let refused = world.landfall(&["deploy"]).exits(6);
    refused.says(&["container-exists", &name]);
    assert_eq!(inspected(&name)["Id"], before);
    docker(&["rm", &name]);
    world.landfall(&["deploy"]).ok();
    assert_eq!(page(&world), "one");
}

#[test]
fn a_host_that_was_killed_finds_its_containers_again() {
    let (world, _) = serving("replicas = 2");
    world.landfall(&["deploy"]).ok();
    let before = containers(&world.home());
    world.kill_host();
    assert_eq!(containers(&world.home()), before);
    docker(&["rm", "-f", &before[0]]);
    world.landfall(&["host", "start"]).ok();
    healthy(&world, 2);
    let id = |container: &str| inspected(container)["Id"].clone();
    assert_eq!(containers(&world.home()).len(), 2);
    assert_ne!(id(&before[0]), Value::Null, "started again under its name");
    assert_eq!(page(&world), "one");
}

#[test]
fn what_a_killed_host_left_of_a_migration_goes() {
    let (world, _) = serving("migrate = \"sleep 600\"");
    let mut deploying = world.spawn(&["deploy"], &[]);
    deploying.close_input();
    let running = wait("the migration runs", || {
        world.host_process()?;
        containers(&world.home()).into_iter().next()
    });
    world.kill_host();
    assert_eq!(containers(&world.home()), [running.as_str()]);
    let text = world.read("landfall.toml").replace("sleep 600", "true");
    world.write("landfall.toml", &text);
    world.landfall(&["host", "start"]).ok();
    wait("nothing is left of it", || {
        (!containers(&world.home()).contains(&running)).then_some(())
    });
}

#[test]
fn without_an_engine_that_is_said_and_nothing_else_done() {
    let (world, _) = serving("");
    let nowhere = format!("unix://{}", world.folder().join("no.sock").display());
    let world = world.with_variable("DOCKER_HOST", &nowhere);
    let refused = world.landfall(&["deploy"]).exits(6);
    refused.says(&["no-engine", "runtime = \"process\""]);
}

/// A world whose app runs in an Engine of its own.
fn in_own_engine(options: &[&str]) -> Option<(Daemon, World)> {
    let daemon = Daemon::start("busybox:test", options)?;
    let (world, _) = serving("replicas = 2");
    daemon.landfall(&world, &["deploy"]).ok();
    Some((daemon, world))
}

fn condition(daemon: &Daemon, world: &World) -> String {
    let status = daemon.landfall(world, &["status", "--json"]).data();
    status["condition"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_engine_that_is_killed_takes_nothing_with_it_that_does_not_come_back() {
    let Some((mut daemon, world)) = in_own_engine(&[]) else {
        return;
    };
    let before = daemon.docker(&["ps", "-q"]);
    daemon.kill();
    assert_eq!(condition(&daemon, &world), "healthy", "containers live on");
    // It ends what ran under the one before it.
    daemon.again();
    wait("everything is back", || {
        let now = daemon.docker(&["ps", "-q"]);
        let all = now.lines().count() == 2 && now.lines().all(|id| !before.contains(id));
        (all && condition(&daemon, &world) == "healthy").then_some(())
    });
}

#[test]
fn an_engine_that_is_away_is_waited_for_and_its_absence_said() {
    let Some((mut daemon, world)) = in_own_engine(&[]) else {
        return;
    };
    daemon.stop();
    wait("the app is down, and why", || {
        let status = daemon.landfall(&world, &["status", "--json"]).data();
        (status["condition"] == "down" && status["engine"].is_string()).then_some(())
    });
    let refused = daemon.landfall(&world, &["deploy"]).exits(6);
    refused.says(&["no-engine"]);
    daemon.again();
    wait("everything is back", || {
        (condition(&daemon, &world) == "healthy").then_some(())
    });
    let status = daemon.landfall(&world, &["status", "--json"]).data();
    assert!(status["engine"].is_null(), "{status}");
}

#[test]
fn where_containers_live_on_without_the_engine_nothing_happens() {
    let Some((mut daemon, world)) = in_own_engine(&["--live-restore"]) else {
        return;
    };
    let before = daemon.docker(&["ps", "-q", "--no-trunc"]);
    daemon.kill();
    assert_eq!(condition(&daemon, &world), "healthy");
    daemon.again();
    assert_eq!(condition(&daemon, &world), "healthy");
    assert_eq!(daemon.docker(&["ps", "-q", "--no-trunc"]), before);
    world.write("page", "two\n");
    daemon.landfall(&world, &["deploy"]).ok();
}

#[test]
fn an_engine_that_is_killed_under_a_deployment_leaves_the_release_before() {
    let Some((mut daemon, world)) = in_own_engine(&["--live-restore"]) else {
        return;
    };
    let text = world.read("landfall.toml");
    // Long enough to be killed in the middle; it fails with the Engine, however long it takes.
    let slow = text.replace("drain =", "migrate = \"sleep 600\"\ndrain =");
    world.write("landfall.toml", &slow);
    let ran = std::thread::scope(|scope| {
        let deploying = scope.spawn(|| daemon.landfall(&world, &["deploy"]));
        wait("the migration runs", || {
            let running = daemon.docker(&["ps", "--format", "{{.Names}}"]);
            running.contains(".web.2.0.2").then_some(())
        });
        daemon.signal(rustix::process::Signal::KILL);
        deploying.join().expect("the command ends")
    });
    ran.exits(1);
    assert_eq!(condition(&daemon, &world), "healthy");
    daemon.again();
    world.write("landfall.toml", &text);
    world.write("page", "two\n");
    daemon.landfall(&world, &["deploy"]).ok();
    let left = daemon.docker(&["ps", "-a", "--format", "{{.Names}}"]);
    assert!(!left.contains(".web.2."), "{left}");
}

#[test]
fn apps_dont_stop_with_the_host_while_a_deployment_goes_on() {
    let (world, app) = serving("");
    world.landfall(&["deploy"]).ok();
    let slow =
        "volumes = { data = \"/data\" }\nmigrate = \"until [ -e /data/go ]; do sleep 0.1; done\"";
    world.write("landfall.toml", &file(&app, &serve("8000"), slow));
    let deploying = world.spawn(&["deploy"], &[]);
    wait("the migration runs", || {
        let all = containers(&world.home());
        all.iter()
            .any(|name| name.contains(".web.2.0."))
            .then_some(())
    });
    world
        .landfall(&["host", "stop", "--stop-apps"])
        .exits(3)
        .says(&["error[locked]", "deployment 2"]);
    let volumes = world.home().join("apps").join(&app).join("volumes");
    std::fs::write(volumes.join("local/web/data/go"), "").expect("it is ours");
    deploying.end().ok();
    assert_eq!(page(&world), "one");
    world.landfall(&["host", "stop", "--stop-apps"]).ok();
    let of = format!("label=landfall.home={}", world.home().display());
    assert_eq!(docker(&["ps", "-q", "--filter", &of]), "");
}

#[test]
fn a_job_that_outlived_its_host_without_an_engine_doesnt_meet_its_twin() {
    let Some((mut daemon, world)) = in_own_engine(&["--live-restore"]) else {
        return;
    };
    let text = world.read("landfall.toml");
    let job = "[job.long]\nrun = \"sleep 600\"\nschedule = \"0 0 1 1 *\"\n";
    world.write("landfall.toml", &format!("{text}\n{job}"));
    daemon.landfall(&world, &["deploy"]).ok();
    // Nobody waits for it.
    let begin = |daemon: &Daemon, run: &str| {
        let running = std::thread::scope(|scope| {
            let asking = scope.spawn(|| daemon.landfall(&world, &["jobs", "run", "long"]));
            wait("the job runs", || {
                let running = daemon.docker(&["ps", "--format", "{{.Names}}"]);
                running.contains(run).then_some(())
            });
            world.kill_host();
            let _ = asking.join();
            daemon.docker(&["ps", "--format", "{{.Names}}"])
        });
        running
            .lines()
            .filter(|name| name.contains(".run-"))
            .count()
    };
    assert_eq!(begin(&daemon, ".run-1"), 1);
    daemon.kill();
    daemon.landfall(&world, &["host", "start"]).ok();
    daemon.again();
    assert_eq!(begin(&daemon, ".run-2"), 1, "its twin runs on beside it");
}
