//! Priorities and limits, where they are permitted and where not.

use std::fs;

use landfall_supervise::state::Cause;
use serde_json::json;

use crate::support::{Bench, process, shell, with};

/// Holds 50 MB.
const LARGE: &str = r#"x=$(head -c 50000000 /dev/zero | tr "\0" x); sleep 1000; echo "$x""#;

fn nice(pid: u32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text[text.rfind(')').unwrap() + 2..].split(' ').collect();
    fields[16].parse().unwrap()
}

#[test]
fn who_comes_first_comes_first_also_where_nice_below_0_is_not_permitted() {
    let ready = json!({ "health": { "up": 50 } });
    let mut bench = Bench::new(
        &[
            with(
                shell("web", "exec sleep 1000"),
                with(ready.clone(), json!({ "nice": -5 })),
            ),
            with(
                shell("agent", "exec sleep 1000"),
                with(ready, json!({ "nice": 3 })),
            ),
        ],
        json!({}),
    );
    bench.run();
    let state = bench.until_ready();
    let (web, agent) = (
        nice(process(&state, "web").pid.unwrap()),
        nice(process(&state, "agent").pid.unwrap()),
    );
    let noted = state
        .notes
        .iter()
        .any(|note| note.contains("nice value of -5"));
    assert_eq!((web, agent), if noted { (0, 8) } else { (-5, 3) });
}

#[test]
fn a_watched_memory_limit_kills_and_says_so() {
    let mut bench = Bench::new(
        &[with(
            shell("web", LARGE),
            json!({ "memory": 20_000_000, "cpu": 1000 }),
        )],
        json!({}),
    );
    bench.run_without_groups();
    let state = bench.until("killed", |state| process(state, "web").last_exit.is_some());
    let exit = process(&state, "web").last_exit.clone().unwrap();
    assert_eq!(
        (exit.cause, exit.signal.as_deref()),
        (Some(Cause::Memory), Some("SIGKILL"))
    );
    assert!(
        state
            .notes
            .iter()
            .any(|note| note.starts_with("Memory limits are watched"))
    );
    assert!(
        state
            .notes
            .iter()
            .any(|note| note.starts_with("Processor limits have no effect"))
    );
}

#[test]
fn the_memory_of_all_together_is_watched_too() {
    let mut bench = Bench::new(
        &[
            with(
                shell("small", "exec sleep 1000"),
                json!({ "health": { "up": 10 } }),
            ),
            shell("large", LARGE),
        ],
        json!({ "memory": 30_000_000 }),
    );
    bench.run_without_groups();
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
fn children_get_the_limits_and_descriptors_of_our_caller_and_nothing_else() {
    let script = "ulimit -n > limit; ls /proc/self/fd | wc -l > descriptors; umask > umask; env | cut -d= -f1 | sort | tr '\\n' ' ' > names; echo >> names; exec sleep 1000";
    let mut bench = Bench::new(&[shell("web", script)], json!({}));
    bench.run();
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap();
    assert_eq!(bench.written("limit"), own.to_string());
    // The standard three, and the one by which `ls` reads.
    assert_eq!(bench.written("descriptors"), "4");
    assert_eq!(bench.written("umask"), "0022");
    assert_eq!(
        bench.written("names"),
        "LANDFALL_CONTROL LANDFALL_INSTANCE LANDFALL_PROCESS PATH PWD"
    );
}
