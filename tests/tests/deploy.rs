//! The whole way of a deployment, and what it leaves.

use landfall_tests::{World, request, world::web_file};
use serde_json::Value;

#[test]
fn a_first_deployment_serves_and_says_where() {
    let world = World::with_web("smoke = [\"/\"]");
    let ran = world.landfall(&["deploy"]).ok().says(&[
        "start",
        "verify",
        "switch",
        "smoke",
        "http://127.0.0.1:",
    ]);
    let url = world.url("web");
    assert!(ran.all().contains(&url), "{url} is missing in:\n{ran}");
    assert_eq!(world.version(), "one");
    let status = world
        .landfall(&["status"])
        .ok()
        .says(&["shop", "web", "ready"]);
    assert!(!status.all().contains("DEGRADED"), "{status}");
}

#[test]
fn the_next_one_takes_its_place_at_the_same_address() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let url = world.url("web");
    world.web("two", "");
    world.landfall(&["plan"]).ok().says(&["1", "2"]);
    assert_eq!(world.version(), "one", "plan changes nothing");
    world.landfall(&["deploy"]).ok();
    assert_eq!((world.version().as_str(), world.url("web")), ("two", url));
    let releases = world.landfall(&["releases", "--json"]).ok().data();
    assert_eq!(releases.as_array().map(Vec::len), Some(2), "{releases}");
    let deployments = world.landfall(&["deployments", "--json"]).ok().data();
    assert_eq!(
        deployments.as_array().map(Vec::len),
        Some(2),
        "{deployments}"
    );
    world
        .landfall(&["deployments", "2"])
        .ok()
        .says(&["verify", "switch", "retire"]);
}

#[test]
fn it_works_from_a_repository_and_says_which_commit() {
    let world = World::with_web("");
    world.git(&["init", "-q"]);
    world.git(&["add", "."]);
    world.git(&["commit", "-q", "-m", "the first line"]);
    let commit = world.git(&["rev-parse", "--short=7", "HEAD"]);
    world.landfall(&["deploy"]).ok().says(&[&commit]);
    world.write("version", "changed");
    world.landfall(&["deploy"]).ok().says(&["uncommitted"]);
    assert_eq!(world.version(), "changed");
    assert_eq!(
        world.git(&["status", "--porcelain"]),
        "M version",
        "the user's index stays as it was"
    );
}

#[test]
fn the_environment_of_a_process_is_clean_and_its_own() {
    let world =
        World::with_web("env = { COLOUR = \"green\" }\n[env]\nTZ = \"UTC\"\nCOLOUR = \"red\"");
    world
        .landfall_with(&["deploy"], &[("STRAY", "from the terminal")], "")
        .ok();
    let variables = world.get("/env").json();
    assert_eq!(variables["COLOUR"], "green");
    assert_eq!(variables["TZ"], "UTC");
    assert_eq!(variables["STRAY"], Value::Null);
    assert_ne!(variables["PORT"], Value::Null);
    assert!(
        variables["LANDFALL_HOME"].is_null(),
        "the host's own variables stay with it"
    );
}

#[test]
fn several_processes_start_in_order_and_find_one_another() {
    let world = World::new();
    world.write("version", "one");
    let fixture = landfall_tests::world::program("fixture");
    let fixture = fixture.display();
    world.write(
        "landfall.toml",
        &format!(
            "app = \"pair\"\n[service.web]\nport = 3000\nhealth = \"/health\"\n\
             [service.web.process.api]\ncommand = [\"{fixture}\", \"serve\"]\nenv = {{ FIXTURE_LATE = \"300\" }}\n\
             [service.web.process.agent]\ncommand = [\"{fixture}\", \"worker\"]\nafter = \"api\"\n\
             env = {{ FIXTURE_SAY = \"api is at ${{process.api.url}}\" }}\n"
        ),
    );
    world.landfall(&["deploy"]).ok();
    let status = world.status();
    let instance = &status["services"][0]["instances"][0];
    let processes = instance["state"]["processes"]
        .as_array()
        .expect("processes")
        .clone();
    let time = |name: &str, of: &str| {
        processes
            .iter()
            .find(|one| one["name"] == name)
            .and_then(|one| one[of].as_u64())
            .expect("a time")
    };
    assert!(
        time("agent", "started-at") >= time("api", "ready-at"),
        "{instance}"
    );
    let port = instance["port"].as_u64().expect("a port");
    world
        .landfall(&["logs", "--process", "agent"])
        .ok()
        .says(&[&format!("api is at http://127.0.0.1:{port}")]);
}

#[test]
fn replicas_scale_up_and_down() {
    let world = World::with_web("replicas = 2");
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.fixtures(), 2);
    world.landfall(&["scale", "web=3"]).ok();
    assert_eq!(world.fixtures(), 3);
    world.landfall(&["plan"]).ok().says(&["replicas", "3", "2"]);
    world.landfall(&["scale", "web=1"]).ok();
    assert_eq!(world.fixtures(), 1);
    world
        .landfall(&["scale", "nobody=1"])
        .exits(2)
        .says(&["nobody", "web"]);
}

#[test]
fn restart_stop_and_start() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let before = world.processes();
    world.landfall(&["restart"]).ok();
    let after = world.processes();
    assert_ne!(before, after);
    world.landfall(&["stop"]).ok();
    assert_eq!(world.fixtures(), 0);
    assert_eq!(world.get("/").status, 503);
    world.landfall(&["status"]).says(&["stopped"]);
    world.landfall(&["start"]).ok();
    assert_eq!(world.version(), "one");
}

#[test]
fn run_and_exec_pass_the_commands_own_exit_code_on() {
    let world = World::with_web("env = { COLOUR = \"green\" }");
    world.landfall(&["deploy"]).ok();
    world
        .landfall(&["run", "web", "--", "sh", "-c", "echo $COLOUR; exit 7"])
        .exits(7)
        .says(&["green"]);
    world
        .landfall(&["exec", "web", "--", "sh", "-c", "echo $PORT; exit 9"])
        .exits(9);
    world
        .landfall(&["run", "web", "--", "no-such-program"])
        .exits(125)
        .says(&["no-such-program"]);
    assert_eq!(
        world
            .landfall_with(&["run", "web", "--", "cat"], &[], "through")
            .ok()
            .stdout,
        "through"
    );
}

#[test]
fn migrations_run_once_with_the_new_release_before_it_serves() {
    let world = World::with_web("migrate = \"echo migrated $(cat version) >> $HOME/migrations\"");
    world.landfall(&["deploy"]).ok().says(&["migrate"]);
    world.web(
        "two",
        "migrate = \"echo migrated $(cat version) >> $HOME/migrations\"",
    );
    world.landfall(&["deploy"]).ok();
    let lines = world
        .landfall(&["run", "web", "--", "sh", "-c", "cat $HOME/migrations"])
        .ok();
    assert_eq!(lines.stdout, "migrated one\nmigrated two\n");
}

#[test]
fn static_files_are_served_by_the_edge_alone() {
    let world = World::new();
    world.write(
        "landfall.toml",
        "app = \"pages\"\n[service.web]\nstatic = \"public\"\nsmoke = [\"/\"]\n",
    );
    world.write("public/index.html", "<h1>one</h1>");
    world.landfall(&["deploy"]).ok();
    assert!(world.get("/").body.contains("one"));
    assert_eq!(world.get("/../landfall.toml").status / 100, 4);
    world.write("public/index.html", "<h1>two</h1>");
    world.landfall(&["deploy"]).ok();
    assert!(world.get("/").body.contains("two"));
    world.landfall(&["rollback"]).ok();
    assert!(world.get("/").body.contains("one"));
}

#[test]
fn two_services_find_each_other_by_their_stable_addresses() {
    let world = World::new();
    world.write("version", "one");
    let fixture = landfall_tests::world::program("fixture");
    let fixture = fixture.display();
    world.write(
        "landfall.toml",
        &format!(
            "app = \"two\"\n[service.web]\ncommand = [\"{fixture}\", \"serve\"]\nport = 3000\nhealth = \"/health\"\n\
             env = {{ BACKEND = \"${{service.backend.url}}\" }}\n\
             [service.backend]\ncommand = [\"{fixture}\", \"serve\"]\nport = 4000\nhealth = \"/health\"\n\
             env = {{ FIXTURE_VERSION = \"backend\" }}\n"
        ),
    );
    world.landfall(&["deploy"]).ok();
    let backend = world.get("/env").json()["BACKEND"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert_eq!(backend.trim_end_matches('/'), world.url("backend"));
    let answer = landfall_tests::get(&format!("{}/", backend.trim_end_matches('/'))).unwrap();
    assert_eq!(answer.json()["version"], "backend");
}

#[test]
fn the_apps_own_host_name_leads_to_it_and_others_nowhere() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let host = world.landfall(&["host", "status", "--json"]).ok().data();
    let http = host["http"].as_str().expect("the shared address");
    let ask =
        |name: &str| request("GET", &format!("http://{http}/"), &[("host", name)], "").unwrap();
    assert_eq!(ask("shop.localhost").json()["version"], "one");
    assert_eq!(ask("other.localhost").status, 404);
}

#[test]
fn up_follows_the_logs_and_ctrl_c_stops_this_app() {
    let world = World::with_web("env = { FIXTURE_SAY = \"good morning\" }");
    let running = world.spawn(&["up"], &[]);
    running.until_it_says("good morning");
    assert_eq!(world.version(), "one");
    running.signal(rustix::process::Signal::INT);
    running.end().ok();
    assert_eq!(world.fixtures(), 0);
    // The host that `up` started leaves with its last app.
    landfall_tests::wait("nothing of this world runs", || {
        world.running().is_empty().then_some(())
    });
}

#[test]
fn up_detached_leaves_it_running() {
    let world = World::with_web("");
    world
        .landfall(&["up", "--detach"])
        .ok()
        .says(&["http://127.0.0.1:"]);
    assert_eq!(world.version(), "one");
    // What runs is what the file says: it goes on as it is.
    let before = world.processes();
    world
        .landfall(&["up", "--detach"])
        .ok()
        .says(&["nothing to change", "landfall restart"]);
    assert_eq!(world.processes(), before);
}

#[test]
fn down_stops_everything_and_purge_leaves_nothing() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world.write(".env", "TOKEN=a-secret-of-some-length\n");
    world.landfall(&["deploy"]).ok();
    world.landfall(&["down"]).ok();
    assert_eq!(world.fixtures(), 0);
    world.write("version", "two");
    world.landfall(&["deploy"]).ok();
    assert_eq!(
        world
            .landfall(&["releases", "--json"])
            .data()
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    world.landfall(&["down", "--purge", "--yes"]).ok();
    assert_eq!(world.fixtures(), 0);
    assert!(
        !world.home().join("apps/shop").exists(),
        "its folder is gone"
    );
    assert!(
        world.app().join("landfall.toml").exists(),
        "the user's own files stay"
    );
    let releases = world.landfall(&["releases", "--json"]);
    assert!(
        releases.code != 0 || releases.data().as_array().is_some_and(Vec::is_empty),
        "{releases}"
    );
}

#[test]
fn what_is_as_the_file_says_is_left_alone() {
    let world = World::with_web("");
    let instance = || {
        let status = world.landfall(&["status", "--json"]).ok().data();
        status["services"][0]["instances"][0]["id"].clone()
    };
    world.landfall(&["deploy"]).ok();
    let before = instance();
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["nothing to change", "landfall restart"]);
    assert_eq!(instance(), before);
    world.landfall(&["restart"]).ok();
    assert_ne!(instance(), before);
}

#[test]
fn what_this_binary_cannot_do_yet_is_refused_not_ignored() {
    let world = World::new();
    world.write(
        "landfall.toml",
        &web_file("observe = { for = \"2m\", errors = \"5%\" }"),
    );
    world.landfall(&["check"]).says(&["observe"]);
    world.landfall(&["deploy"]).exits(6).says(&["observe"]);
    assert_eq!(world.fixtures(), 0);
}

#[test]
fn an_old_release_is_pruned_but_never_the_live_one() {
    let world = World::with_web("");
    for number in 1..=7 {
        world.write("version", &format!("v{number}"));
        world.landfall(&["deploy"]).ok();
    }
    world.landfall(&["rollback", "3"]).ok();
    assert_eq!(world.version(), "v3");
    let ran = world.landfall(&["rollback", "1"]);
    assert_ne!(ran.code, 0, "{ran}");
    assert_eq!(world.version(), "v3");
}
