//! Asked to end: in time, whatever the processes do and whenever it comes.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use landfall_supervise::{control::Request, state::Ended, tree};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Bench, PROGRAM, as_first_process, eventually, kill, process, shell, with};

#[test]
fn case_11_who_ignores_the_signal_is_killed_in_time() {
    let mut bench = Bench::new(
        &[shell(
            "web",
            "trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo x > up; while :; do sleep 0.05; done",
        )],
        json!({ "stop": { "grace": 500 } }),
    );
    bench.run();
    bench.written("up");
    let since = Instant::now();
    bench.signal(Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    let took = since.elapsed();
    assert!((500..1000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(
        process(&bench.last_state(), "web")
            .last_exit
            .as_ref()
            .unwrap()
            .signal
            .as_deref(),
        Some("SIGKILL")
    );
    assert_eq!(bench.alive(), [0; 0]);
}

/// One run, asked to end after a while; how long that took.
fn ended_after(delay: Duration, mut command: Command) -> (Bench, Duration, Option<i32>) {
    let ready = json!({ "health": { "up": 300 } });
    let mut bench = Bench::new(
        &[
            with(shell("web", "exec sleep 1000"), ready.clone()),
            with(
                shell("agent", "sleep 1000 & wait"),
                with(ready, json!({ "after": ["web"] })),
            ),
        ],
        json!({ "stop": { "grace": 10_000 } }),
    );
    let first = command.get_program() == "unshare";
    let child = bench
        .run_with(command.arg("run").arg(bench.folder()).stdout(Stdio::null()))
        .id();
    thread::sleep(delay);
    let target = if first {
        eventually("the namespace's first process", || {
            let inside = tree::children(child).first().copied()?;
            // Before it is executed, a signal meets unshare's copy of itself.
            tree::status(inside)?;
            let name = std::fs::read_to_string(format!("/proc/{inside}/comm")).ok()?;
            name.starts_with("landfall").then_some(inside)
        })
    } else {
        child
    };
    if first || delay.is_zero() {
        // As process 1 a signal has no effect before the program's first step.
        eventually("it has begun", || {
            let status = std::fs::read_to_string(format!("/proc/{target}/status")).ok()?;
            let blocked = status
                .lines()
                .find_map(|line| line.strip_prefix("SigBlk:"))?;
            (u64::from_str_radix(blocked.trim(), 16).ok()? & (1 << 14) != 0).then_some(())
        });
    }
    let since = Instant::now();
    kill(target, Signal::TERM);
    let status = bench.wait();
    let took = since.elapsed();
    assert_eq!(bench.alive(), [0; 0], "left after {delay:?}");
    (bench, took, status.code())
}

#[test]
fn case_12_a_signal_at_any_moment_ends_it() {
    let delays = [
        0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 50, 150, 300, 310, 320, 350, 600, 620, 650, 1000,
        1500, 2000,
    ];
    let four: Vec<Vec<u64>> = (0..4)
        .map(|lane| delays.iter().copied().skip(lane).step_by(4).collect())
        .collect();
    let lanes: Vec<_> = four
        .into_iter()
        .map(|delays| {
            thread::spawn(move || {
                for delay in delays {
                    let (_, took, code) =
                        ended_after(Duration::from_millis(delay), Command::new(PROGRAM));
                    // Without a code: the signal came before the program's first step.
                    assert!(matches!(code, Some(0) | None), "{code:?} after {delay} ms");
                    assert!(took < Duration::from_secs(5), "{took:?} after {delay} ms");
                }
            })
        })
        .collect();
    lanes.into_iter().for_each(|lane| lane.join().unwrap());
}

#[test]
fn case_12_also_as_process_1() {
    for delay in [0, 2, 5, 10, 20, 50, 310] {
        let Some(command) = as_first_process() else {
            return;
        };
        let (bench, took, code) = ended_after(Duration::from_millis(delay), command);
        assert_eq!(code, Some(0), "after {delay} ms");
        assert!(took < Duration::from_secs(5), "{took:?} after {delay} ms");
        assert_eq!(bench.last_state().ended, Some(Ended::Stopped));
    }
}

#[test]
fn case_13_a_signal_between_fork_and_exec_ends_the_child() {
    for round in 0..30 {
        let mut bench = Bench::new(
            &[shell("web", "exec sleep 1000")],
            json!({ "stop": { "grace": 20_000 } }),
        );
        bench.run();
        let mut client = bench.connect();
        // Somewhere in the first milliseconds of the child's life.
        thread::sleep(Duration::from_micros(100 * (round % 15)));
        client.send(&Request::Stop).unwrap();
        let since = Instant::now();
        assert_eq!(bench.wait().code(), Some(0));
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{:?}",
            since.elapsed()
        );
        let state = bench.last_state();
        if let Some(exit) = &process(&state, "web").last_exit {
            assert_eq!(
                exit.signal.as_deref(),
                Some("SIGTERM"),
                "round {round}: {exit:?}"
            );
        }
        assert_eq!(bench.alive(), [0; 0]);
    }
}

#[test]
fn what_a_wrapper_started_has_the_grace_too() {
    // The shell dies at once, its child has something to finish.
    let script = "sh -c 'trap \"sleep 0.3; echo finished > result; exit 0\" TERM; echo x > up; while :; do sleep 0.02; done' & wait";
    let mut bench = Bench::new(&[shell("web", script)], json!({}));
    bench.run();
    bench.written("up");
    bench.signal(Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    assert_eq!(bench.written("result"), "finished");
}
