//! What is different where the supervisor is the first process of a container: standard streams that
//! nobody holds, limits that are the container's, control groups that can only be read, an image with
//! nothing in it. Where a container's parts can't be had these tests say that they are skipped.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use landfall_supervise::{
    groups, program,
    specification::Execution,
    state::{Cause, Ended},
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    fixture,
    support::{Bench, PROGRAM, as_first_process, kill, process, shell, with},
};

fn up() -> Value {
    json!({ "health": { "up": 10 } })
}

/// The supervisor by way of a shell, which closes its streams or puts it where it belongs.
fn by_shell(script: &str, bench: &Bench) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]).arg(bench.folder());
    command
}

#[test]
fn closed_standard_streams_end_nothing_and_are_said() {
    let mut bench = Bench::new(
        &[with(shell("web", "echo said; exec sleep 1000"), up())],
        json!({}),
    );
    // Lines to standard output.
    let text = fs::read_to_string(bench.path("specification.json")).unwrap();
    let mut specification: Value = serde_json::from_str(&text).unwrap();
    specification["logs"] = json!("output");
    bench.write("specification.json", &specification.to_string());
    let script = "exec \"$0\" run \"$1\" --sensitive-stdin <&- >&- 2>&-";
    bench.run_with(&mut by_shell(script, &bench));
    let state = bench.until_ready();
    let noted = |words: &str| state.notes.iter().any(|note| note.contains(words));
    assert!(noted("Standard output is closed"), "{:?}", state.notes);
    assert!(
        noted("Nothing was given on standard input"),
        "{:?}",
        state.notes
    );
    bench.signal(Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    assert_eq!(bench.last_state().ended, Some(Ended::Stopped));
}

#[test]
fn an_input_that_nobody_writes_to_does_not_keep_it_from_stopping() {
    let Some(mut command) = as_first_process() else {
        return;
    };
    let mut bench = Bench::new(&[shell("web", "exec sleep 1000")], json!({}));
    let child = command
        .args(["run".as_ref(), bench.folder().as_os_str()])
        .arg("--sensitive-stdin")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let namespace = child.id();
    bench.child = Some(child);
    let first = crate::support::eventually("it runs", || {
        landfall_supervise::tree::children(namespace)
            .into_iter()
            .find(|pid| {
                // Before it blocks the signal, the kernel drops it: it is process 1 there.
                fs::read_to_string(format!("/proc/{pid}/status"))
                    .is_ok_and(|status| status.contains("landfall-superv") && blocks_term(&status))
            })
    });
    let since = Instant::now();
    kill(first, Signal::TERM);
    let status = bench.child.as_mut().unwrap().wait().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(since.elapsed() < Duration::from_secs(10));
    let mut said = String::new();
    let stderr = bench.child.as_mut().unwrap().stderr.as_mut().unwrap();
    std::io::Read::read_to_string(stderr, &mut said).unwrap();
    assert!(said.contains("asked to stop by SIGTERM"), "{said}");
    assert!(!bench.path("control.sock").exists());
}

/// Whether a process of this `/proc/PID/status` blocks SIGTERM.
fn blocks_term(status: &str) -> bool {
    let blocked = status
        .lines()
        .find_map(|line| line.strip_prefix("SigBlk:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    blocked.is_some_and(|mask| mask >> (Signal::TERM.as_raw() - 1) & 1 == 1)
}

/// A memory group with a limit, as an Engine makes one for a container; none where that can't be.
struct Container(PathBuf);

impl Container {
    fn new(limit: u64) -> Option<Self> {
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap();
        let path = membership.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            (fields.next()? == "memory").then(|| fields.next())?
        });
        let group = PathBuf::from(format!(
            "/sys/fs/cgroup/memory{}/container-{}",
            path.unwrap_or_default().trim_end_matches('/'),
            std::process::id()
        ));
        if path.is_none() || fs::create_dir(&group).is_err() {
            eprintln!("skipped: no memory group of version 1 can be made here");
            return None;
        }
        let group = Self(group);
        fs::write(group.0.join("memory.limit_in_bytes"), limit.to_string()).unwrap();
        Some(group)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        groups::remove(&self.0, Duration::from_secs(5));
    }
}

#[test]
fn the_memory_limit_of_the_container_is_named_as_the_cause() {
    if as_first_process().is_none() {
        return;
    }
    let Some(container) = Container::new(60_000_000) else {
        return;
    };
    let mut bench = Bench::new(
        &[
            with(
                shell("small", "echo $$ > small; exec sleep 1000"),
                json!({ "health": { "up": 10 } }),
            ),
            with(
                fixture::process("large", "memory 90000000"),
                json!({ "after": ["small"] }),
            ),
        ],
        json!({ "restart": { "delay": 60_000, "max-delay": 60_000 } }),
    );
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec unshare --pid --fork --kill-child --mount-proc \"$0\" run \"$1\"",
        container.0.display()
    );
    bench.run_with(by_shell(&script, &bench).stdout(Stdio::null()));
    let state = bench.until("killed", |state| {
        process(state, "large").last_exit.is_some()
    });
    assert_eq!(state.supervisor, 1);
    let exit = process(&state, "large").last_exit.clone().unwrap();
    assert_eq!(
        (exit.cause, exit.signal.as_deref()),
        (Some(Cause::Memory), Some("SIGKILL"))
    );
    assert_eq!(process(&state, "small").last_exit, None);
    // That kill explains no other, though both are counted in one group.
    let namespace = bench.child.as_ref().unwrap().id();
    let small = landfall_supervise::tree::descendants(namespace)
        .into_iter()
        .find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
        })
        .unwrap();
    kill(small, Signal::KILL);
    let state = bench.until("the other too", |state| {
        process(state, "small").last_exit.is_some()
    });
    let exit = process(&state, "small").last_exit.clone().unwrap();
    assert_eq!(
        (exit.cause, exit.signal.as_deref()),
        (None, Some("SIGKILL"))
    );
    bench.signal(Signal::KILL);
    bench.wait();
}

#[test]
fn a_memory_limit_of_a_process_is_watched_where_groups_can_only_be_read_or_are_not_there() {
    if !rustix::process::geteuid().is_root() || as_first_process().is_none() {
        eprintln!("skipped: mounts can't be changed here");
        return;
    }
    for change in [
        "for at in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,bind,ro $at 2>/dev/null; done",
        "umount -l -R /sys/fs/cgroup",
        "mount -t tmpfs none /sys/fs/cgroup",
    ] {
        let mut bench = Bench::new(
            &[with(
                fixture::process("web", "memory 80000000"),
                json!({ "memory": 40_000_000, "cpu": 1000 }),
            )],
            json!({ "restart": { "delay": 60_000, "max-delay": 60_000 } }),
        );
        let script = format!(
            "exec unshare --pid --mount --fork --kill-child --mount-proc sh -c '{change}; exec \"$0\" run \"$1\"' \"$0\" \"$1\""
        );
        bench.run_with(by_shell(&script, &bench).stdout(Stdio::null()));
        let state = bench.until("killed", |state| process(state, "web").last_exit.is_some());
        let exit = process(&state, "web").last_exit.clone().unwrap();
        assert_eq!(exit.cause, Some(Cause::Memory), "{change}");
        for words in ["Memory limits are watched", "Processor limits have no"] {
            let noted = state.notes.iter().any(|note| note.starts_with(words));
            assert!(noted, "{change}: {:?}", state.notes);
        }
        bench.signal(Signal::KILL);
        bench.wait();
    }
}

/// The static program that `scripts/build-supervise --beside` puts beside the others.
fn static_program() -> Option<PathBuf> {
    let beside = Path::new(PROGRAM).with_file_name("landfall-supervise-static");
    let found = program::is_static(&beside).is_ok_and(|is| is);
    if !found || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: no static program beside, or not root");
    }
    (found && rustix::process::geteuid().is_root()).then_some(beside)
}

#[test]
fn the_static_program_needs_nothing_of_an_image() {
    let Some(program) = static_program() else {
        return;
    };
    let image = tempfile::tempdir().unwrap();
    let inside = |name: &str| image.path().join(name);
    fs::copy(program, inside("supervise")).unwrap();
    for folder in ["instance", "logs"] {
        fs::create_dir(inside(folder)).unwrap();
        fs::set_permissions(inside(folder), PermissionsExt::from_mode(0o777)).unwrap();
    }
    let once = json!({ "name": "once", "command": ["/supervise", "--version"], "ends": true });
    let specification = json!({
        "version": 1, "instance": "image", "directory": "/", "shared": true, "processes": [once],
        "logs": { "segments": { "folder": "/logs", "segment": 100_000, "keep": 100_000 } },
    });
    fs::write(
        inside("instance/specification.json"),
        specification.to_string(),
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        Command::new("chroot")
            .args(["--userspec=65533:65533".as_ref(), image.path().as_os_str()])
            .arg("/supervise")
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let output = run(&["run", "/instance", "--sensitive-stdin"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let segment = fs::read_dir(inside("logs")).unwrap().next().unwrap();
    let lines = fs::read_to_string(segment.unwrap().path()).unwrap();
    assert!(lines.contains("once out F landfall-supervise "), "{lines}");

    let told = Execution {
        environment: [("PATH".to_owned(), "/".to_owned())].into(),
        ..Execution::default()
    };
    told.write(&inside("instance/exec-1.json"), true).unwrap();
    let output = run(&["exec", "/instance/exec-1.json", "--", "supervise", "-V"]);
    assert!(output.stdout.starts_with(b"landfall-supervise "));
    assert!(!inside("instance/exec-1.json").exists());
}
