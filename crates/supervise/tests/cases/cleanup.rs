//! What processes leave behind is ended and reaped.

use std::process::Stdio;

use landfall_supervise::tree;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Bench, as_first_process, eventually, kill, lives, process, shell, with};

fn zombies(parent: u32) -> Vec<u32> {
    tree::children(parent)
        .into_iter()
        .filter(|child| tree::status(*child).is_some_and(|status| status.ended))
        .collect()
}

#[test]
fn case_07_a_hanging_probe_command_is_killed_whole() {
    // The first one hangs, those after it pass.
    let probe = "mkdir once || exit 0; sleep 1000 & echo $! > one; setsid sh -c 'echo $$ > two; exec sleep 1000' & sleep 1000";
    let mut bench = Bench::new(
        &[with(
            shell("web", "exec sleep 1000"),
            json!({ "health": { "ready": { "run": { "command": ["sh", "-c", probe] } }, "timeout": 500 } }),
        )],
        json!({}),
    );
    let supervisor = bench.run().id();
    let state = bench.until("the probe times out", |state| {
        process(state, "web")
            .last_probe
            .as_ref()
            .is_some_and(|probe| probe.said == "timed out")
    });
    assert!(process(&state, "web").last_probe.as_ref().unwrap().took >= 500_000);
    let (one, two) = (bench.written_pid("one"), bench.written_pid("two"));
    bench.until_ready();
    eventually("both are gone", || {
        (!lives(one) && !lives(two)).then_some(())
    });
    eventually("no zombies", || {
        zombies(supervisor).is_empty().then_some(())
    });
    assert!(lives(process(&state, "web").pid.unwrap()));
}

#[test]
fn case_08_as_process_1_it_reaps_orphans() {
    let Some(mut command) = as_first_process() else {
        return;
    };
    let script = "for i in $(seq 50); do (sleep 0.1 & echo $i >> started); done; echo yes > done; exec sleep 1000";
    let mut bench = Bench::new(
        &[with(
            shell("web", script),
            json!({ "health": { "up": 10 } }),
        )],
        json!({}),
    );
    let namespace = bench
        .run_with(command.arg("run").arg(bench.folder()).stdout(Stdio::null()))
        .id();
    assert_eq!(bench.written("done"), "yes");
    let first = eventually("it runs", || tree::children(namespace).first().copied());
    eventually("only the process is left, and no zombie", || {
        (tree::children(first).len() == 1 && zombies(first).is_empty()).then_some(())
    });
    assert_eq!(bench.state().supervisor, 1);
    kill(first, Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
}

#[test]
fn case_09_a_grandchild_of_the_group_is_killed_before_the_restart() {
    let script = "[ -e grandchild ] && kill -0 $(cat grandchild) 2>/dev/null && echo yes >> overlap; \
        sleep 1000 & echo $! > grandchild; echo up; wait";
    let mut bench = Bench::new(
        &[with(
            shell("web", script),
            json!({ "health": { "up": 50 } }),
        )],
        json!({ "restart": { "reset": 0 } }),
    );
    bench.run();
    for round in 1..=3 {
        let state = bench.until_ready();
        let grandchild = bench.written_pid("grandchild");
        assert!(lives(grandchild));
        kill(process(&state, "web").pid.unwrap(), Signal::KILL);
        bench.until("started again", |state| {
            process(state, "web").restarts == round && state.healthy
        });
        assert!(!lives(grandchild));
    }
    assert!(!bench.path("work/overlap").exists());
}

#[test]
fn case_10_a_grandchild_in_a_session_of_its_own_is_killed_too() {
    let script = "setsid sh -c 'setsid sleep 1000 & echo $! > second; echo $$ > first; exec sleep 1000' & echo up; wait; exec sleep 1000";
    let mut bench = Bench::new(
        &[
            with(shell("web", script), json!({ "health": { "up": 50 } })),
            with(
                shell(
                    "other",
                    "setsid sh -c 'echo $$ > others; exec sleep 1000' & exec sleep 1000",
                ),
                json!({ "health": { "up": 50 } }),
            ),
        ],
        json!({ "restart": { "reset": 0 } }),
    );
    bench.run();
    let state = bench.until_ready();
    let (first, second, others) = (
        bench.written_pid("first"),
        bench.written_pid("second"),
        bench.written_pid("others"),
    );
    assert!(lives(first) && lives(second) && lives(others));
    kill(process(&state, "web").pid.unwrap(), Signal::KILL);
    bench.until("started again", |state| {
        process(state, "web").restarts == 1 && process(state, "web").pid.is_some()
    });
    assert!(!lives(first) && !lives(second));
    assert!(lives(others), "a sibling's stays");
    bench.signal(Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    assert_eq!(bench.alive(), [0; 0]);
}

#[test]
fn what_a_killed_supervisor_left_is_ended_by_the_next() {
    let mut bench = Bench::new(
        &[with(
            shell("web", "exec sleep 1000"),
            json!({ "health": { "up": 10 } }),
        )],
        json!({}),
    );
    bench.run();
    let old = process(&bench.until_ready(), "web").pid.unwrap();
    bench.signal(Signal::KILL);
    bench.wait();
    assert!(lives(old));
    bench.run();
    let new = process(&bench.until_ready(), "web").pid.unwrap();
    eventually("the old one is gone", || (!lives(old)).then_some(()));
    assert!(lives(new));
}
