//! Limits that the system keeps, where control groups are writable; elsewhere these tests say that
//! they are skipped.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use landfall_supervise::state::{Cause, State};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    fixture,
    support::{Bench, eventually, kill, lives, process, shell, until_it_rests, with},
};

/// The groups that can be seen here, by the mounts of the usual places.
fn all(below: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
            if depth > 0 {
                all(&entry.path(), depth - 1, found);
            }
        }
    }
}

/// An instance's outermost groups.
fn groups(bench: &Bench) -> Vec<PathBuf> {
    let mut found = Vec::new();
    all(Path::new("/sys/fs/cgroup"), 8, &mut found);
    let start = format!("landfall-{}-", bench.instance);
    found.retain(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&start))
    });
    found
}

const fn no_groups() -> Vec<PathBuf> {
    Vec::new()
}

/// Whether version 1 groups of both controllers can be made below our own, found out by making some.
fn writable() -> bool {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap();
    ["memory", "cpu"].into_iter().all(|controller| {
        membership.lines().any(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next().unwrap(), fields.next().unwrap());
            let probe = PathBuf::from(format!(
                "/sys/fs/cgroup/{controllers}{path}/landfall-test-{}-{:?}",
                std::process::id(),
                std::thread::current().id()
            ));
            controllers.split(',').any(|one| one == controller)
                && fs::create_dir(&probe).is_ok()
                && fs::remove_dir(&probe).is_ok()
        })
    })
}

/// Whether the limits are kept by the system. Where groups are known to be writable they must be.
fn kept(state: &State) -> bool {
    let kept = state.notes.is_empty();
    assert!(kept || !writable(), "{:?}", state.notes);
    if !kept {
        eprintln!("skipped: {:?}", state.notes);
    }
    kept
}

fn up() -> serde_json::Value {
    json!({ "health": { "up": 10 } })
}

#[test]
fn the_system_kills_what_goes_beyond_its_memory() {
    let mut bench = Bench::new(
        &[
            with(
                fixture::process("large", "memory 80000000"),
                json!({ "memory": 40_000_000 }),
            ),
            with(shell("small", "exec sleep 1000"), up()),
        ],
        json!({ "restart": { "delay": 1000, "max-delay": 1000 } }),
    );
    bench.run();
    if !kept(&bench.state()) {
        return;
    }
    let state = bench.until("killed", |state| {
        process(state, "large").last_exit.is_some() && process(state, "small").pid.is_some()
    });
    let exit = process(&state, "large").last_exit.clone().unwrap();
    assert_eq!(
        (exit.cause, exit.signal.as_deref()),
        (Some(Cause::Memory), Some("SIGKILL"))
    );
    assert!(lives(process(&state, "small").pid.unwrap()));
    assert_eq!(process(&state, "small").last_exit, None);
    // One that somebody else kills is not said to have used too much.
    kill(process(&state, "small").pid.unwrap(), Signal::KILL);
    let state = bench.until("the other too", |state| {
        process(state, "small").last_exit.is_some()
    });
    let exit = process(&state, "small").last_exit.clone().unwrap();
    assert_eq!(
        (exit.cause, exit.signal.as_deref()),
        (None, Some("SIGKILL"))
    );
    assert_eq!(groups(&bench).len(), 1);
    bench.signal(Signal::TERM);
    bench.wait();
    assert_eq!(groups(&bench), no_groups());
    assert!(!bench.path("groups").exists());
}

#[test]
fn the_memory_of_all_together_is_limited_by_the_system() {
    let mut bench = Bench::new(
        &[
            with(shell("small", "exec sleep 1000"), up()),
            with(
                fixture::process("large", "memory 80000000"),
                json!({ "after": ["small"] }),
            ),
        ],
        json!({ "memory": 40_000_000 }),
    );
    bench.run();
    if !kept(&bench.state()) {
        return;
    }
    let state = bench.until("killed", |state| {
        process(state, "large").last_exit.is_some()
    });
    assert_eq!(
        process(&state, "large").last_exit.as_ref().unwrap().cause,
        Some(Cause::Memory)
    );
    assert_eq!(process(&state, "small").last_exit, None);
}

#[test]
fn a_busy_loop_gets_the_processor_time_of_its_limit() {
    let mut bench = Bench::new(
        &[with(
            shell("busy", "echo $$ > pid; while :; do :; done"),
            json!({ "cpu": 100 }),
        )],
        json!({ "cpu": 500 }),
    );
    bench.run();
    if !kept(&bench.state()) {
        return;
    }
    let pid = bench.written_pid("pid");
    let ticks = || landfall_supervise::tree::status(pid).unwrap().ticks;
    let (since, before) = (Instant::now(), ticks());
    // The time itself is what is measured here.
    std::thread::sleep(Duration::from_secs(2));
    let elapsed = since.elapsed().as_secs_f64();
    let per_second = rustix::param::clock_ticks_per_second();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let used = (ticks() - before) as f64 / per_second as f64;
    assert!(used < 0.3 * elapsed, "{used} s of {elapsed} s");
    assert!(used > 0.0);
}

#[test]
fn limits_that_the_system_keeps_wake_nobody() {
    let limits = json!({ "memory": 100_000_000, "cpu": 1000 });
    let mut bench = Bench::new(
        &[with(shell("web", "exec sleep 1000"), with(up(), limits))],
        json!({}),
    );
    let pid = bench.run().id();
    if kept(&bench.until_ready()) {
        until_it_rests(pid);
    }
}

#[test]
fn who_left_everything_but_the_group_is_killed_with_it() {
    let script =
        "env -i setsid /bin/sh -c 'echo $$ > hidden; exec sleep 1000' & echo up; exec sleep 1000";
    let mut bench = Bench::new(
        &[
            with(
                shell("web", script),
                with(up(), json!({ "memory": 100_000_000 })),
            ),
            with(shell("other", "exec sleep 1000"), up()),
        ],
        json!({ "restart": { "reset": 0 } }),
    );
    bench.run();
    let state = bench.until_ready();
    if !kept(&state) {
        return;
    }
    let hidden = bench.written_pid("hidden");
    fs::remove_file(bench.path("work/hidden")).unwrap();
    kill(process(&state, "web").pid.unwrap(), Signal::KILL);
    bench.until("started again", |state| {
        process(state, "web").restarts == 1 && process(state, "web").pid.is_some()
    });
    assert!(!lives(hidden));
    // The next supervisor finds what a killed one left, also where it carries no token.
    let hidden = bench.written_pid("hidden");
    bench.signal(Signal::KILL);
    bench.wait();
    assert!(lives(hidden));
    let left = groups(&bench);
    assert_eq!(left.len(), 1);
    bench.run();
    let state = bench.until_ready();
    eventually("the old one is gone", || (!lives(hidden)).then_some(()));
    assert!(kept(&state));
    assert_eq!(groups(&bench), left);
    bench.signal(Signal::TERM);
    bench.wait();
    assert_eq!(groups(&bench), no_groups());
}

#[test]
fn no_group_is_made_where_no_limit_is_asked() {
    let mut bench = Bench::new(&[with(shell("web", "exec sleep 1000"), up())], json!({}));
    bench.run();
    bench.until_ready();
    assert_eq!(groups(&bench), no_groups());
}
