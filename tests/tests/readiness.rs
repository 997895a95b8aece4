//! What counts as ready where the app file says nothing about health, and what is said to serve.

use landfall_tests::World;

/// A server whose parent listens before the app is loaded, as those with workers do.
const SERVER: &str = r#"
import http.server, os, socket, sys, time

listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(0.3)
if not os.path.exists("good"):
    sys.exit("the app can't be loaded")
listener.close()
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ["PORT"]), bind="127.0.0.1")
"#;

fn world() -> World {
    let world = World::new();
    world.write("server.py", SERVER);
    world.write("good", "");
    world.write("version", "one");
    world.write(
        "landfall.toml",
        "app = \"shop\"\n[service.web]\nport = 8000\ncommand = \"python3 server.py\"\n",
    );
    world
}

#[test]
fn an_open_port_before_the_app_is_loaded_is_not_ready() {
    let world = world();
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.get("/version").body, "one");
    std::fs::remove_file(world.app().join("good")).expect("it was written");
    world.write("version", "two");
    world.landfall(&["deploy"]).exits(1).says(&[
        "crashed",
        "the app can't be loaded",
        "Release 1 serves",
    ]);
    assert_eq!(world.get("/version").body, "one");
}

#[test]
fn what_was_stopped_is_not_said_to_serve_after_a_failed_deployment() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.landfall(&["stop"]).ok();
    world.web("two", "smoke = [\"/nothing-here-404\"]");
    world
        .landfall(&["deploy"])
        .exits(1)
        .says(&["smoke-failed", "Nothing serves"]);
    assert_eq!(world.status()["condition"], "stopped");
    assert_eq!(world.fixtures(), 0);
    world.landfall(&["start"]).ok();
    assert_eq!(world.version(), "one");
}

#[test]
fn an_app_that_insists_on_its_port_is_not_asked_to_run_twice() {
    let world = World::new();
    let port = world.ports().1;
    world.write("version", "one");
    let fixture = landfall_tests::world::program("fixture");
    world.write(
        "landfall.toml",
        &format!(
            "app = \"shop\"\n[service.web]\nport = {port}\nstrategy = \"recreate\"\nhealth = \"/health\"\n\
             command = [\"{}\", \"serve\"]\n",
            fixture.display()
        ),
    );
    world.landfall(&["deploy"]).ok();
    let scaled = world.landfall(&["scale", "web=2"]);
    assert_ne!(scaled.code, 0);
    scaled.says(&["bad-scale", "can't run twice"]);
    assert_eq!(world.version(), "one");
    assert_eq!(world.fixtures(), 1);
}
