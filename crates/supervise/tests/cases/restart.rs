//! Starting again: when, how soon, how often.

use std::time::Instant;

use landfall_supervise::{
    control::{Answer, Request},
    state::{Cause, ProcessPhase},
};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Bench, Server, kill, process, shell, with};

#[test]
fn case_03_up_long_enough_is_restarted_within_50_ms() {
    let mut bench = Bench::new(
        &[with(
            shell("web", "exec sleep 1000"),
            json!({ "health": { "up": 60 } }),
        )],
        json!({ "restart": { "delay": 60_000, "max-delay": 60_000, "reset": 50 } }),
    );
    bench.run();
    let mut took = Vec::new();
    for round in 0..5 {
        let state = bench.until_ready();
        let pid = process(&state, "web").pid.unwrap();
        let since = Instant::now();
        kill(pid, Signal::KILL);
        let state = bench.until("started again", |state| {
            process(state, "web").restarts == round + 1 && process(state, "web").pid.is_some()
        });
        took.push(since.elapsed());
        assert_eq!(process(&state, "web").failures, 0);
        assert_eq!(
            process(&state, "web")
                .last_exit
                .as_ref()
                .unwrap()
                .signal
                .as_deref(),
            Some("SIGKILL")
        );
    }
    took.sort();
    // The median, since other tests keep the machine busy.
    assert!(took[2].as_millis() <= 50, "{took:?}");
}

#[test]
fn case_04_instant_exits_are_started_again_ever_later() {
    let mut bench = Bench::new(
        &[shell("web", "exit 1")],
        json!({ "restart": { "delay": 50, "max-delay": 300, "reset": 60_000 } }),
    );
    bench.run();
    let mut delays = Vec::new();
    for failures in 1..=5 {
        let state = bench.until("it waits", |state| {
            let web = process(state, "web");
            web.failures >= failures && web.next_start_at.is_some()
        });
        let web = process(&state, "web");
        assert_eq!(web.phase, ProcessPhase::CrashLoop);
        assert_eq!(state.reason.as_deref(), Some("web crash-loop"));
        delays.push((
            web.failures,
            web.next_start_at.unwrap() - web.last_exit.as_ref().unwrap().at,
        ));
    }
    for (failures, delay) in delays {
        let wanted = (50_u64 << (failures - 1)).min(300);
        // The jitter takes up to a tenth; cleaning up before it counts adds some.
        assert!(
            (wanted * 9 / 10..wanted + 200).contains(&delay),
            "{failures} failures: {delay} ms"
        );
    }
}

#[test]
fn case_06_not_alive_is_killed_and_started_again() {
    let server = Server::start(200);
    let mut bench = Bench::new(
        &[with(
            shell("web", "trap '' TERM; while :; do sleep 0.05; done"),
            json!({ "health": { "up": 20, "live": server.probe(), "interval": 20, "retries": 3 } }),
        )],
        json!({ "stop": { "grace": 100 } }),
    );
    bench.run();
    let first = bench.until_ready();
    server.until_asked(3);
    server.set(500);
    let state = bench.until("it is killed", |state| {
        process(state, "web").last_exit.is_some()
    });
    let exit = process(&state, "web").last_exit.clone().unwrap();
    assert_eq!(
        (exit.cause, exit.signal.as_deref()),
        (Some(Cause::NotAlive), Some("SIGKILL"))
    );
    assert_eq!(process(&state, "web").failures, 1, "the policy counts it");
    server.set(200);
    let state = bench.until("it is back", |state| {
        state.healthy && process(state, "web").restarts > 0
    });
    assert_ne!(process(&state, "web").pid, process(&first, "web").pid);
}

#[test]
fn asked_to_restart_one_or_all() {
    let ready = json!({ "health": { "up": 10 } });
    let mut bench = Bench::new(
        &[
            with(shell("web", "exec sleep 1000"), ready.clone()),
            with(
                shell("agent", "exec sleep 1000"),
                with(ready, json!({ "after": ["web"] })),
            ),
        ],
        json!({}),
    );
    bench.run();
    bench.until_ready();
    let mut client = bench.connect();
    let mut ask = |process: Option<&str>| {
        client
            .send(&Request::Restart {
                process: process.map(str::to_owned),
            })
            .unwrap();
        client.receive().unwrap().unwrap()
    };
    assert_eq!(ask(Some("agent")), Answer::Accepted);
    let state = bench.until("agent is back", |state| {
        process(state, "agent").restarts == 1 && state.healthy
    });
    assert_eq!(process(&state, "web").restarts, 0);
    assert_eq!(process(&state, "agent").failures, 0);
    assert_eq!(ask(None), Answer::Accepted);
    let state = bench.until("all are back", |state| {
        process(state, "agent").restarts == 2 && state.healthy
    });
    assert_eq!(process(&state, "web").restarts, 1);
    assert!(process(&state, "agent").started_at >= process(&state, "web").ready_at);
    assert!(
        matches!(ask(Some("wbe")), Answer::Refused { reason } if reason.contains("web, agent"))
    );
}

#[test]
fn what_cant_be_executed_says_why() {
    let mut bench = Bench::new(
        &[
            json!({ "name": "web", "command": ["/nowhere/program"] }),
            json!({ "name": "lost", "command": ["/bin/true"], "directory": "/nowhere" }),
        ],
        json!({}),
    );
    bench.run();
    let state = bench.until("both failed", |state| {
        state
            .processes
            .iter()
            .all(|process| process.last_exit.is_some())
    });
    for (name, wanted) in [
        ("web", "/nowhere/program: No such file"),
        ("lost", "folder /nowhere: No such file"),
    ] {
        let exit = process(&state, name).last_exit.clone().unwrap();
        assert!(
            matches!(&exit.cause, Some(Cause::NotExecuted(why)) if why.starts_with(wanted)),
            "{exit:?}"
        );
        assert_eq!(exit.code, None);
    }
}

#[test]
fn case_19_where_no_process_can_be_made_it_waits_and_recovers() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: the limit does not hold for root");
        return;
    }
    let mut bench = Bench::new(
        &[with(
            shell("web", "exec sleep 1000"),
            json!({ "health": { "up": 10 } }),
        )],
        json!({ "restart": { "delay": 50, "max-delay": 300 } }),
    );
    let supervisor = bench.run().id();
    let pid = Pid::from_raw(supervisor.cast_signed());
    let web = process(&bench.until_ready(), "web").pid.unwrap();
    let before = getrlimit(Resource::Nproc);
    let none = Rlimit {
        current: Some(1),
        maximum: before.maximum,
    };
    prlimit(pid, Resource::Nproc, none).unwrap();
    let used = || landfall_supervise::tree::status(supervisor).unwrap().ticks;
    kill(web, Signal::KILL);
    let first = used();
    let state = bench.until("it can't start it", |state| {
        process(state, "web").failures >= 6
    });
    let exit = process(&state, "web").last_exit.clone().unwrap();
    assert!(
        matches!(exit.cause, Some(Cause::NotExecuted(_))),
        "{exit:?}"
    );
    // A tick is a hundredth of a second; spinning would take nearly all of them.
    assert!(used() - first < 20, "{} ticks", used() - first);
    prlimit(pid, Resource::Nproc, before).unwrap();
    let since = Instant::now();
    bench.until("it is back", |state| state.healthy);
    assert!(since.elapsed().as_secs() < 5);
}
