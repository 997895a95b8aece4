//! The host comes and goes; the apps stay.

use landfall_tests::{
    World, get, wait,
    world::{alive, kill},
};

#[test]
fn a_killed_host_finds_everything_again() {
    let world = World::with_web("replicas = 2");
    world.landfall(&["deploy"]).ok();
    let (url, before) = (world.url("web"), world.processes());
    assert_eq!(before.len(), 2);
    world.kill_host();
    assert_eq!(
        get(&format!("{url}/")).unwrap().status,
        200,
        "it serves without its host"
    );
    world.landfall(&["host", "start"]).ok();
    let after = wait("both are adopted", || {
        let processes = world.processes();
        (processes.len() == 2).then_some(processes)
    });
    assert_eq!(before, after, "none was started again");
    assert_eq!(world.fixtures(), 2);
    world.web("two", "");
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.version(), "two");
}

#[test]
fn a_host_stopped_and_started_leaves_the_apps_alone() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let (url, before) = (world.url("web"), world.processes());
    world.landfall(&["host", "stop"]).ok();
    assert_eq!(get(&format!("{url}/")).unwrap().status, 200);
    // Any command that needs a host says so or starts one.
    world.landfall(&["host", "start"]).ok();
    assert_eq!(world.processes(), before);
    world.landfall(&["host", "stop", "--stop-apps"]).ok();
    assert_eq!(world.fixtures(), 0);
}

#[test]
fn after_a_power_cut_what_ran_comes_back_and_what_was_stopped_does_not() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let url = world.url("web");
    assert!(world.cut_power() > 2);
    assert!(get(&format!("{url}/")).is_err());
    world.landfall(&["host", "start"]).ok();
    wait("it serves at the same address", || {
        get(&format!("{url}/"))
            .is_ok_and(|answer| answer.status == 200)
            .then_some(())
    });
    assert_eq!(world.fixtures(), 1);
    world.landfall(&["stop"]).ok();
    world.cut_power();
    world.landfall(&["host", "start"]).ok();
    world.landfall(&["status"]).says(&["stopped"]);
    assert_eq!(world.fixtures(), 0);
}

#[test]
fn a_killed_supervisor_is_replaced_and_its_orphans_ended() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let mut events = world.events();
    let (supervisor, process) = (world.supervisors()[0], world.processes()[0].1);
    kill(supervisor);
    events.until("the instance is lost", |event| {
        event.pointer("/kind/instance-lost").is_some()
    });
    wait("another one serves", || {
        let processes = world.processes();
        (world.status()["condition"] == "healthy"
            && processes.len() == 1
            && processes[0].1 != process)
            .then_some(())
    });
    assert!(!alive(process), "the orphan was ended");
    assert_eq!(world.fixtures(), 1);
    assert_eq!(world.version(), "one");
}

#[test]
fn a_killed_process_is_started_again_by_its_supervisor() {
    let world = World::with_web("restart = { delay = \"100ms\" }");
    world.landfall(&["deploy"]).ok();
    let process = world.processes()[0].1;
    kill(process);
    wait("another one is ready", || {
        let processes = world.processes();
        (world.status()["condition"] == "healthy"
            && processes.first().is_some_and(|one| one.1 != process))
        .then_some(())
    });
    assert_eq!(world.version(), "one");
}

#[test]
fn two_hosts_of_one_home_are_one() {
    let world = World::with_web("");
    world.landfall(&["host", "start"]).ok();
    let process = world.host_process().expect("a host");
    world.landfall(&["host", "start"]).ok();
    assert_eq!(world.host_process(), Some(process));
    let second = world.landfall(&["host", "run"]);
    assert_ne!(second.code, 0, "{second}");
}

#[test]
fn several_commands_at_once_start_one_host() {
    let world = World::with_web("");
    let started: Vec<_> = (0..4)
        .map(|_| world.spawn(&["host", "start"], &[]))
        .collect();
    for running in started {
        running.end().ok();
    }
    assert!(world.host_process().is_some());
}
