//! Something dies at each boundary of each step: the old or the new release serves, and the next
//! command says which and carries on.

use std::{fs, path::PathBuf};

use landfall_tests::{
    Running, World, get, wait,
    world::{alive, kill, program},
};
use rustix::process::Signal;

/// A world whose second deployment has a fault, with the first one made.
fn with_fault(step: &str, kind: &str) -> (World, String, PathBuf) {
    let world = World::with_web("smoke = [\"/\"]");
    let fault = format!("{step}@2:{kind}");
    let reached = world.home().join("faults").join(&fault);
    fs::create_dir_all(world.home().join("faults")).expect("a fresh folder");
    // The host that the first command starts keeps the fault; one started later has none.
    world
        .landfall_with(&["deploy"], &[("LANDFALL_FAULTS", &fault)], "")
        .ok();
    let url = world.url("web");
    world.web("two", "smoke = [\"/\"]");
    (world, url, reached)
}

/// The second deployment, standing still at a boundary until [`Stopped::go_on`].
struct Stopped {
    world: World,
    url: String,
    reached: PathBuf,
    command: Running,
}

impl Stopped {
    fn at(step: &str, when: &str) -> Self {
        let (world, url, reached) = with_fault(step, &format!("stop-{when}"));
        let command = world.spawn(&["deploy"], &[]);
        wait(
            &format!("the deployment stands at {step}: {}", command.said()),
            || reached.exists().then_some(()),
        );
        Self {
            world,
            url,
            reached,
            command,
        }
    }

    fn go_on(&self) {
        fs::remove_file(&self.reached).expect("the fault was reached");
    }
}

fn version(url: &str) -> String {
    let answer = get(&format!("{url}/")).unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["version"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn serves(url: &str) {
    wait("a release serves", || {
        get(&format!("{url}/"))
            .is_ok_and(|answer| answer.status == 200)
            .then_some(())
    });
}

/// One release serves, the status says which, nothing else is left, and the next deployment works.
fn whole_again(world: &World) {
    wait("no deployment is under way", || {
        let status = world.status();
        (status["lock"].is_null() && status["condition"] == "healthy").then_some(())
    });
    let live = world.live();
    assert_eq!(
        world.version(),
        if live == 1 { "one" } else { "two" },
        "release {live} is live"
    );
    world
        .landfall(&["status"])
        .ok()
        .says(&[&format!("release {live}")]);
    wait("one fixture is left", || {
        (world.fixtures() == 1).then_some(())
    });
    world.web("three", "smoke = [\"/\"]");
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.version(), "three");
    assert_eq!(world.fixtures(), 1);
}

fn host_killed(step: &str, when: &str) {
    let (world, url, reached) = with_fault(step, &format!("kill-{when}"));
    let host = world.host_process().expect("a host runs");
    let command = world.spawn(&["deploy"], &[]);
    wait("the host dies at the fault", || {
        reached.exists().then_some(())
    });
    // The command may start another one at once.
    wait("the host is gone", || (!alive(host)).then_some(()));
    let meanwhile = version(&url);
    assert!(["one", "two"].contains(&meanwhile.as_str()), "{meanwhile}");
    drop(command);
    world.landfall(&["host", "start"]).ok();
    whole_again(&world);
}

fn edge_killed(step: &str, when: &str) {
    let stopped = Stopped::at(step, when);
    kill(edge(&stopped.world));
    serves(&stopped.url);
    stopped.go_on();
    stopped.command.end().ok();
    assert_eq!(version(&stopped.url), "two");
    whole_again(&stopped.world);
}

fn command_killed(step: &str, when: &str) {
    let stopped = Stopped::at(step, when);
    let mut events = stopped.world.events();
    stopped.command.signal(Signal::KILL);
    wait("the command is gone", || {
        (!alive(stopped.command.process())).then_some(())
    });
    stopped.go_on();
    assert_eq!(
        events.until_finished_of(2),
        "done",
        "the host goes on without the command"
    );
    assert_eq!(version(&stopped.url), "two");
    whole_again(&stopped.world);
}

fn old_supervisor_killed(step: &str, when: &str) {
    let stopped = Stopped::at(step, when);
    let old = supervisors(&stopped.world, ".1.1.")
        .pop()
        .expect("release 1 runs");
    kill(old);
    stopped.go_on();
    stopped.command.end().ok();
    assert_eq!(version(&stopped.url), "two");
    whole_again(&stopped.world);
}

fn new_supervisor_killed(step: &str, when: &str) {
    let stopped = Stopped::at(step, when);
    let new = supervisors(&stopped.world, ".2.1.")
        .pop()
        .expect("release 2 runs");
    kill(new);
    stopped.go_on();
    let ran = stopped.command.end();
    // Replaced in time, or given up: what the command says is what serves.
    let expected = match ran.code {
        0 => "two",
        1 => "one",
        _ => panic!("{ran}"),
    };
    serves(&stopped.url);
    assert_eq!(version(&stopped.url), expected, "{ran}");
    whole_again(&stopped.world);
}

macro_rules! cases {
    ($($function:ident { $($name:ident: $step:literal $when:literal;)* })*) => {
        $(mod $function { $(#[test] fn $name() { super::$function($step, $when); })* })*
    };
}

cases! {
    host_killed {
        before_lock: "lock" "before";
        after_lock: "lock" "after";
        before_start: "start" "before";
        after_start: "start" "after";
        before_verify: "verify" "before";
        after_verify: "verify" "after";
        before_switch: "switch" "before";
        after_switch: "switch" "after";
        before_smoke: "smoke" "before";
        after_smoke: "smoke" "after";
        before_retire: "retire" "before";
        after_retire: "retire" "after";
        before_unlock: "unlock" "before";
    }
    edge_killed {
        before_start: "start" "before";
        after_start: "start" "after";
        before_verify: "verify" "before";
        after_verify: "verify" "after";
        before_switch: "switch" "before";
        after_switch: "switch" "after";
        before_smoke: "smoke" "before";
        after_smoke: "smoke" "after";
        before_retire: "retire" "before";
        after_retire: "retire" "after";
    }
    command_killed {
        before_lock: "lock" "before";
        after_lock: "lock" "after";
        before_start: "start" "before";
        after_start: "start" "after";
        before_verify: "verify" "before";
        after_verify: "verify" "after";
        before_switch: "switch" "before";
        after_switch: "switch" "after";
        after_smoke: "smoke" "after";
        after_retire: "retire" "after";
    }
    old_supervisor_killed {
        before_start: "start" "before";
        after_start: "start" "after";
        before_verify: "verify" "before";
        after_verify: "verify" "after";
        before_switch: "switch" "before";
        after_switch: "switch" "after";
        before_retire: "retire" "before";
    }
    new_supervisor_killed {
        after_start: "start" "after";
        before_verify: "verify" "before";
        after_verify: "verify" "after";
        before_switch: "switch" "before";
        after_switch: "switch" "after";
        before_smoke: "smoke" "before";
        after_smoke: "smoke" "after";
        before_retire: "retire" "before";
        after_retire: "retire" "after";
    }
}

mod fails {
    use super::with_fault;

    fn undone(step: &str) {
        let (world, _, _) = with_fault(step, "fail");
        world
            .landfall(&["deploy"])
            .exits(1)
            .says(&["fault-injected", step, "release 1"]);
        assert_eq!((world.version().as_str(), world.live()), ("one", 1));
        assert_eq!(world.fixtures(), 1);
    }

    #[test]
    fn start() {
        undone("start");
    }

    #[test]
    fn verify() {
        undone("verify");
    }

    #[test]
    fn switch() {
        undone("switch");
    }

    #[test]
    fn smoke() {
        undone("smoke");
    }
}

/// A failure whose undo fails too says so, by its own exit code.
#[test]
fn what_cannot_be_undone_is_said_plainly() {
    let world = World::with_web("smoke = [\"/\"]");
    fs::create_dir_all(world.home().join("faults")).expect("a fresh folder");
    let faults = [("LANDFALL_FAULTS", "smoke@2:fail,undo-start@2:fail")];
    world.landfall_with(&["deploy"], &faults, "").ok();
    world.web("two", "smoke = [\"/\"]");
    world
        .landfall(&["deploy"])
        .exits(7)
        .says(&["fault-injected"]);
    let version = world.version();
    assert!(["one", "two"].contains(&version.as_str()), "{version}");
}

/// The arguments of a process.
fn words(process: u32) -> Vec<String> {
    let arguments = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    arguments
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// The edge's own process.
fn edge(world: &World) -> u32 {
    let landfall = program("landfall");
    world
        .running()
        .into_iter()
        .find(|process| {
            let words = words(*process);
            words
                .first()
                .is_some_and(|own| landfall.as_os_str() == own.as_str())
                && words.get(1).is_some_and(|word| word == "edge")
        })
        .expect("an edge runs")
}

/// The supervisors of instances whose id has this part: `.2.1.` for release 2, replica 1.
fn supervisors(world: &World, part: &str) -> Vec<u32> {
    world
        .running()
        .into_iter()
        .filter(|process| {
            let text = words(*process).join(" ");
            text.contains("landfall-supervise")
                && text.contains("/instances/")
                && text.contains(part)
        })
        .collect()
}
