//! A folder that several users share, as when it is put into a container: whoever reaches it may use
//! it, whatever user the supervisor is.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};

use landfall_supervise::{client, state::State};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Bench, PROGRAM, eventually, shell, with};

const STRANGER: u32 = 65533;

fn bench(shared: bool) -> Bench {
    let bench = Bench::new(
        &[with(
            shell("web", "echo said; umask > umask; exec sleep 1000"),
            json!({ "health": { "up": 10 } }),
        )],
        json!({ "shared": shared }),
    );
    for name in [".", "logs", "work"] {
        fs::set_permissions(bench.path(name), PermissionsExt::from_mode(0o777)).unwrap();
    }
    fs::copy(PROGRAM, bench.path("program")).unwrap();
    bench
}

/// The permissions of everything that the supervisor makes, the first segment included.
fn modes(bench: &Bench) -> Vec<u32> {
    let segment = eventually("a segment", || {
        fs::read_dir(bench.path("logs")).unwrap().next()
    });
    let mut paths = vec![segment.unwrap().path()];
    paths.extend(["state.json", "lock", "control.sock"].map(|name| bench.path(name)));
    paths
        .iter()
        .map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777)
        .collect()
}

fn state_as_stranger(bench: &Bench) -> Option<State> {
    let output = Command::new(bench.path("program"))
        .arg("state")
        .arg(bench.folder())
        .uid(STRANGER)
        .gid(STRANGER)
        .output()
        .unwrap();
    // Where nobody answers it would tell the state file's.
    let answered = output.status.success();
    answered.then(|| serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn everything_in_a_shared_folder_is_open_to_everyone() {
    let mut bench = bench(true);
    bench.run_without_groups();
    bench.until_ready();
    assert_eq!(modes(&bench), [0o666; 4]);
    assert_eq!(bench.written("umask"), "0022");
    if rustix::process::geteuid().is_root() {
        assert!(state_as_stranger(&bench).is_some_and(|state| state.healthy));
    } else {
        eprintln!("skipped: only root can be a stranger");
    }
    // What another user leaves when it is killed doesn't stop the next one.
    bench.signal(Signal::KILL);
    bench.wait();
    assert!(!client::lives(bench.folder()).unwrap());
    assert!(bench.path("control.sock").exists());
    bench.run();
    let state = bench.until_ready();
    assert_eq!(client::lives(bench.folder()).ok(), Some(true));
    bench.signal(Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    assert!(bench.last_state().ended.is_some() && bench.last_state().sequence > state.sequence);
}

#[test]
fn nothing_in_a_folder_of_ones_own_is_open_to_others() {
    let mut bench = bench(false);
    bench.run();
    bench.until_ready();
    assert_eq!(modes(&bench), [0o600; 4]);
    if rustix::process::geteuid().is_root() {
        assert_eq!(state_as_stranger(&bench), None);
    } else {
        eprintln!("skipped: only root can be a stranger");
    }
}
