//! Lines found again.

use landfall_tests::{World, wait};

fn found(world: &World, arguments: &[&str]) -> String {
    let mut all = vec!["logs"];
    all.extend(arguments);
    world.landfall(&all).ok().stdout
}

#[test]
fn lines_are_found_by_text_process_and_number() {
    let world = World::with_web("env = { FIXTURE_SAY = \"good morning\" }");
    world.landfall(&["deploy"]).ok();
    world.get("/log?text=apple&count=5");
    world.get("/log?text=pear&count=5");
    wait("the lines are there", || {
        found(&world, &["--grep", "pear 5"])
            .contains("pear 5")
            .then_some(())
    });
    let apples = found(&world, &["--grep", "apple"]);
    assert_eq!(apples.lines().count(), 5, "{apples}");
    assert_eq!(found(&world, &["-n", "2"]).lines().count(), 2);
    assert!(found(&world, &["--since", "1h", "--grep", "good morning"]).contains("good morning"));
    assert_eq!(
        found(&world, &["--until", "1h", "--grep", "good morning"]),
        ""
    );
    let ran = world.landfall(&["logs", "nobody"]);
    assert_ne!(ran.code, 0, "{ran}");
    ran.says(&["nobody", "web"]);
}

#[test]
fn a_line_from_before_a_rotation_is_found() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.get("/log?text=needle&count=1");
    // More than a segment's size of other lines after it.
    for _ in 0..10 {
        world.get("/log?text=hay&count=2000&pad=1000");
    }
    wait("the last line is there", || {
        found(&world, &["-n", "1", "--grep", "hay 2000"])
            .contains("hay")
            .then_some(())
    });
    assert!(found(&world, &["--grep", "needle"]).contains("needle 1"));
}

#[test]
fn following_goes_on_with_what_comes_across_a_deployment() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let following = world.spawn(&["logs", "--follow"], &[]);
    following.until_it_says("version one listens");
    world.get("/log?text=later&count=1");
    following.until_it_says("later 1");
    world.web("two", "");
    world.landfall(&["deploy"]).ok();
    following.until_it_says("version two listens");
}

#[test]
fn nothing_is_lost_while_the_host_is_down() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let url = world.url("web");
    world.kill_host();
    landfall_tests::get(&format!("{url}/log?text=meanwhile&count=3")).unwrap();
    world.landfall(&["host", "start"]).ok();
    wait("the lines are there", || {
        (found(&world, &["--grep", "meanwhile"]).lines().count() == 3).then_some(())
    });
}

#[test]
fn a_flood_does_not_stop_the_service() {
    let world = World::with_web("env = { FIXTURE_FLOOD = \"200000\" }");
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.version(), "one");
    wait("the last line is there", || {
        found(&world, &["--grep", "flood 00200000"])
            .contains("00200000")
            .then_some(())
    });
}

#[test]
fn json_lines_say_when_and_who() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let ran = wait("a line", || {
        let ran = world.landfall(&["logs", "--json", "-n", "1"]).ok();
        (!ran.stdout.is_empty()).then_some(ran)
    });
    let line = ran.data();
    assert_eq!(
        (line["service"].as_str(), line["release"].as_u64()),
        (Some("web"), Some(1)),
        "{line}"
    );
    assert!(line["at"].as_u64().is_some());
}
