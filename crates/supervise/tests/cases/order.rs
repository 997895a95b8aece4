//! Who starts when, and what an end means for the others.

use std::sync::atomic::Ordering;

use landfall_supervise::state::{Ended, ProcessPhase};
use serde_json::json;

use crate::support::{Bench, Server, process, shell, with};

#[test]
fn case_01_a_dependent_waits_for_readiness() {
    let server = Server::start(503);
    let mut bench = Bench::new(
        &[
            with(
                shell("agent", "exec sleep 1000"),
                json!({ "after": ["api"], "health": { "up": 10 } }),
            ),
            with(
                shell("api", "exec sleep 1000"),
                json!({ "health": { "ready": server.probe() } }),
            ),
        ],
        json!({}),
    );
    bench.run();
    bench.connect();
    server.until_asked(10);
    let state = bench.state();
    assert_eq!(process(&state, "agent").phase, ProcessPhase::Waiting);
    assert_eq!(process(&state, "agent").started_at, None);
    assert_eq!(
        process(&state, "api").last_probe.as_ref().unwrap().said,
        "503"
    );
    assert_eq!(state.reason.as_deref(), Some("agent waits for api"));
    server.set(200);
    let state = bench.until_ready();
    assert!(process(&state, "agent").started_at >= process(&state, "api").ready_at);
    assert!(server.asked.load(Ordering::Relaxed) >= 11);
}

#[test]
fn case_02_a_dependency_that_exits_before_it_is_ready_is_started_again_at_once() {
    let server = Server::start(503);
    let mut bench = Bench::new(
        &[
            with(
                shell("api", "exit 3"),
                json!({ "health": { "ready": server.probe(), "start": 600_000 } }),
            ),
            with(
                shell("agent", "exec sleep 1000"),
                json!({ "after": ["api"] }),
            ),
        ],
        json!({}),
    );
    bench.run();
    let state = bench.until("started again twice", |state| {
        process(state, "api").restarts >= 2
    });
    assert_eq!(
        process(&state, "api").last_exit.as_ref().unwrap().code,
        Some(3)
    );
    assert_eq!(process(&state, "agent").started_at, None);
}

#[test]
fn case_05_given_up_the_siblings_stop_and_the_exit_code_says_so() {
    let mut bench = Bench::new(
        &[
            shell("web", "exec sleep 1000"),
            shell("worker", "echo last words; exit 7"),
        ],
        json!({ "restart": { "attempts": 3, "give-up": "exit" } }),
    );
    bench.run();
    assert_eq!(bench.wait().code(), Some(1));
    let state = bench.last_state();
    assert_eq!(
        state.ended,
        Some(Ended::GaveUp {
            process: "worker".to_owned()
        })
    );
    let worker = process(&state, "worker");
    assert_eq!(
        (worker.phase, worker.failures, worker.restarts),
        (ProcessPhase::Failed, 3, 2)
    );
    assert_eq!(worker.last_exit.as_ref().unwrap().code, Some(7));
    assert_eq!(worker.last_words, ["last words"]);
    assert_eq!(process(&state, "web").phase, ProcessPhase::Done);
    assert_eq!(bench.alive(), [0; 0]);
}

#[test]
fn given_up_and_policy_stay_leaves_the_siblings() {
    let mut bench = Bench::new(
        &[
            with(
                shell("web", "exec sleep 1000"),
                json!({ "health": { "up": 10 } }),
            ),
            shell("worker", "exit 7"),
        ],
        json!({ "restart": { "attempts": 2, "give-up": "stay" } }),
    );
    bench.run();
    let state = bench.until("given up", |state| {
        process(state, "worker").phase == ProcessPhase::Failed
            && process(state, "web").phase == ProcessPhase::Ready
    });
    assert!(!state.healthy);
    assert_eq!(state.reason.as_deref(), Some("worker failed"));
}

#[test]
fn a_process_that_ends_must_end_well_first() {
    let mut bench = Bench::new(
        &[
            with(
                shell("migrate", "echo x >> tries; [ $(wc -l < tries) -ge 3 ]"),
                json!({ "ends": true }),
            ),
            with(
                shell("web", "wc -l < tries > seen; exec sleep 1000"),
                json!({ "after": ["migrate"], "health": { "up": 10 } }),
            ),
        ],
        json!({}),
    );
    bench.run();
    let state = bench.until_ready();
    assert_eq!(process(&state, "migrate").phase, ProcessPhase::Done);
    assert_eq!(process(&state, "migrate").restarts, 2);
    assert_eq!(bench.written("seen"), "3");
}

#[test]
fn all_ended_well_is_an_end_too() {
    let mut bench = Bench::new(
        &[with(shell("once", "exit 0"), json!({ "ends": true }))],
        json!({}),
    );
    bench.run();
    assert_eq!(bench.wait().code(), Some(0));
    assert_eq!(bench.last_state().ended, Some(Ended::Finished));
}

#[test]
fn stopping_goes_the_other_way_round() {
    let trap = |name: &str| {
        let script = format!(
            "trap 'echo {name} >> order; exit 0' TERM; echo up; while :; do sleep 0.02; done"
        );
        with(shell(name, &script), json!({ "health": { "up": 100 } }))
    };
    let mut bench = Bench::new(
        &[
            trap("database"),
            with(trap("api"), json!({ "after": ["database"] })),
            with(trap("agent"), json!({ "after": ["api"] })),
        ],
        json!({}),
    );
    bench.run();
    bench.until_ready();
    bench.signal(rustix::process::Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    assert_eq!(bench.written("order"), "agent\napi\ndatabase");
}
