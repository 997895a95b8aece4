//! The switch, under load.

use landfall_tests::{Load, World, wait, world::program};

#[test]
fn no_request_fails_while_releases_change() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let load = Load::start(&format!("{}/", world.url("web")), 8);
    for version in ["two", "three", "four"] {
        world.web(version, "");
        world.landfall(&["deploy"]).ok();
    }
    world.landfall(&["rollback"]).ok();
    world.landfall(&["restart"]).ok();
    let seen = load.end();
    assert_eq!(seen["failed"], 0, "{seen}");
    for version in ["one", "two", "three", "four"] {
        assert!(seen["versions"][version].as_u64() > Some(0), "{seen}");
    }
}

#[test]
fn a_slow_request_ends_well_across_the_switch() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let url = world.url("web");
    let slow = std::thread::spawn(move || landfall_tests::get(&format!("{url}/slow?ms=1500")));
    world.web("two", "");
    world.landfall(&["deploy"]).ok();
    let answer = slow.join().unwrap().unwrap();
    assert_eq!(
        (answer.status, answer.body.starts_with("slow ")),
        (200, true),
        "{answer:?}"
    );
}

#[test]
fn the_deployment_says_how_many_requests_came_meanwhile() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let load = Load::start(&format!("{}/", world.url("web")), 4);
    world.web("two", "env = { FIXTURE_LATE = \"500\" }");
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["0 of ", "requests failed"]);
    assert_eq!(load.end()["failed"], 0);
}

#[test]
fn recreate_stops_the_old_one_first() {
    let world = World::with_web("strategy = \"recreate\"");
    world.landfall(&["deploy"]).ok();
    let mut events = world.events();
    world.web("two", "strategy = \"recreate\"");
    world.landfall(&["deploy"]).ok();
    events.until_step("stop-old");
    events.until_step("start");
    assert_eq!(events.until_finished(), "done");
    assert_eq!((world.version().as_str(), world.fixtures()), ("two", 1));
    // A broken one is undone: the old one is started again.
    world.web(
        "three",
        "strategy = \"recreate\"\nenv = { FIXTURE_CRASH = \"broken\" }",
    );
    world.landfall(&["deploy"]).exits(1).says(&["crashed"]);
    wait("the old one serves again", || {
        (world.version() == "two").then_some(())
    });
}

#[test]
fn the_health_page_names_who_is_not_ready() {
    let world = World::new();
    world.write("version", "one");
    let fixture = program("fixture");
    let fixture = fixture.display();
    world.write(
        "landfall.toml",
        &format!(
            "app = \"pair\"\n[service.web]\nport = 3000\nhealth = \"/health\"\nrestart = {{ delay = \"2s\" }}\n\
             [service.web.process.api]\ncommand = [\"{fixture}\", \"serve\"]\n\
             [service.web.process.agent]\ncommand = [\"{fixture}\", \"worker\"]\nafter = \"api\"\n"
        ),
    );
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.get("/health").status, 200);
    let agent = world
        .processes()
        .into_iter()
        .find(|(name, _)| name == "agent")
        .expect("an agent")
        .1;
    landfall_tests::world::kill(agent);
    let answer = wait("health turns 503", || {
        Some(world.get("/health")).filter(|answer| answer.status == 503)
    });
    assert!(answer.body.contains("agent"), "{answer:?}");
    assert_eq!(world.get("/").status, 200, "the API itself goes on");
    wait("health comes back", || {
        (world.get("/health").status == 200).then_some(())
    });
}

#[test]
fn an_upgraded_connection_is_carried_both_ways() {
    use std::io::{Read as _, Write as _};
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let url = world.url("web");
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(landfall_tests::LIMIT))
        .unwrap();
    write!(
        stream,
        "GET /echo HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    for text in ["hello", "again"] {
        stream.write_all(text.as_bytes()).unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, text.as_bytes());
    }
}
