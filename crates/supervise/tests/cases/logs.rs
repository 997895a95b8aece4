//! Lines: whole, tagged, masked, bounded, whatever the reader does.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use landfall_supervise::{
    segment::{self, Stream},
    state::State,
};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    fixture,
    support::{Bench, PROGRAM, eventually, kill, process, shell, with},
};

fn to_pipe(bench: &mut Bench) -> std::process::ChildStdout {
    let folder = bench.folder().to_owned();
    let mut command = Command::new(PROGRAM);
    bench
        .run_with(
            command
                .arg("run")
                .arg(folder)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
        .stdout
        .take()
        .unwrap()
}

#[test]
fn case_14_a_stalled_reader_stops_nothing() {
    let mut bench = Bench::new(
        &[
            shell(
                "loud",
                "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
            ),
            with(
                shell("web", "exec sleep 1000"),
                json!({ "health": { "up": 10 } }),
            ),
        ],
        json!({ "logs": "output", "restart": { "reset": 0 } }),
    );
    // Held, never read.
    let mut output = to_pipe(&mut bench);
    let mut client = bench.connect();
    let state = eventually("lines are dropped", || {
        client.state().ok().filter(|state| state.dropped > 100_000)
    });
    kill(process(&state, "web").pid.unwrap(), Signal::KILL);
    let state = bench.until("restarted", |state| {
        process(state, "web").restarts == 1 && process(state, "web").pid.is_some()
    });
    assert!(state.dropped > 0);
    // When the reader goes on, it is told.
    let mut reader = BufReader::new(&mut output);
    let mut line = String::new();
    while !line.contains("bytes of log lines dropped") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    assert!(line.starts_with("landfall | "), "{line}");
    bench.signal(Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    assert_eq!(bench.alive(), [0; 0]);
}

#[test]
fn case_15_a_closed_output_is_survived_and_said() {
    let mut bench = Bench::new(
        &[with(
            shell("web", "while :; do echo line; sleep 0.01; done"),
            json!({ "health": { "up": 10 } }),
        )],
        json!({ "logs": "output" }),
    );
    let output = to_pipe(&mut bench);
    let mut errors = bench.child.as_mut().unwrap().stderr.take().unwrap();
    bench.until_ready();
    drop(output);
    let mut client = bench.connect();
    let more = |state: State| (state.dropped > 50 && !state.notes.is_empty()).then_some(state);
    let state = eventually("lines are dropped", || more(client.state().unwrap()));
    assert!(state.healthy);
    assert!(state.notes[0].contains("closed"), "{:?}", state.notes);
    bench.signal(Signal::TERM);
    assert_eq!(bench.wait().code(), Some(0));
    let mut said = String::new();
    errors.read_to_string(&mut said).unwrap();
    assert!(said.contains("bytes of log lines dropped"), "{said}");
}

#[test]
fn case_16_a_million_lines_of_two_writers_and_none_is_broken() {
    const LINES: usize = 250_000;
    let once = json!({ "ends": true });
    let mut bench = Bench::new(
        &[
            with(
                fixture::process("one", &format!("flood {LINES}")),
                once.clone(),
            ),
            with(fixture::process("two", &format!("flood {LINES}")), once),
        ],
        json!({ "logs": { "segments": { "segment": 4_000_000 } } }),
    );
    bench.run();
    assert_eq!(bench.wait().code(), Some(0));
    let mut next: BTreeMap<(String, Stream), usize> = BTreeMap::new();
    let mut last = 0;
    let segments = segment::list(&bench.path("logs")).unwrap();
    assert!(segments.len() > 5);
    for segment in &segments {
        assert!(segment.size < 4_100_000);
        for line in BufReader::new(fs::File::open(&segment.path).unwrap()).split(b'\n') {
            let line = line.unwrap();
            let line = segment::parse(&line)
                .unwrap_or_else(|| panic!("no line: {:?}", String::from_utf8_lossy(&line)));
            assert!(line.at >= last, "time goes backwards");
            last = line.at;
            let text = std::str::from_utf8(line.text).unwrap();
            let name = line.stream.to_string();
            if line.process == segment::OWN || !text.starts_with(&format!("{name} ")) {
                continue;
            }
            let next = next
                .entry((line.process.to_owned(), line.stream))
                .or_default();
            assert_eq!(text, format!("{name} {next} {}", "x".repeat(*next % 60)));
            *next += 1;
        }
    }
    assert_eq!(next.len(), 4);
    assert!(next.values().all(|lines| *lines == LINES), "{next:?}");
}

#[test]
fn case_17_a_line_of_20_mb_is_split_in_bounded_memory() {
    let script = "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo after; exec sleep 1000";
    let mut bench = Bench::new(&[shell("web", script)], json!({}));
    let supervisor = bench.run().id();
    let entries = eventually("all is written", || {
        let entries = bench.entries();
        entries
            .iter()
            .any(|entry| entry.text == "after")
            .then_some(entries)
    });
    let parts: Vec<_> = entries
        .iter()
        .filter(|entry| entry.text.starts_with('x'))
        .collect();
    assert_eq!(
        parts.iter().map(|entry| entry.text.len()).sum::<usize>(),
        20_000_000
    );
    assert_eq!(parts.iter().filter(|entry| entry.whole).count(), 1);
    assert!(parts.last().unwrap().whole);
    let status = fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 12_000, "{peak} kB");
}

#[test]
fn case_18_a_last_line_without_a_newline_is_flushed() {
    let once = json!({ "ends": true });
    let mut bench = Bench::new(
        &[with(shell("web", "echo first; printf 'no newline'"), once)],
        json!({ "logs": "output" }),
    );
    let mut output = to_pipe(&mut bench);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(bench.wait().code(), Some(0));
    assert!(text.contains("web | first\nweb | no newline\n"), "{text}");
    assert_eq!(
        process(&bench.last_state(), "web").last_words,
        ["first", "no newline"]
    );
}

#[test]
fn secrets_are_masked_and_nowhere_else() {
    let secret = "correct+horse/battery";
    let script = "echo \"token is $TOKEN\"; printf %s \"$TOKEN\" | base64; echo \"$TOKEN\" >&2; tr '\\0' ' ' < /proc/$PPID/cmdline > arguments; echo >> arguments; exec sleep 1000";
    let mut bench = Bench::new(
        &[with(
            shell("web", script),
            json!({ "health": { "up": 10 } }),
        )],
        json!({}),
    );
    let sensitive = json!({ "environment": { "web": { "TOKEN": secret } }, "mask": { "TOKEN": secret, "LEVEL": "info" } });
    assert_eq!(bench.start(&sensitive), (Some(0), String::new()));
    let mut client = bench.connect();
    // Words alone are no change that a watcher is woken for.
    let state = eventually("it has spoken", || {
        client
            .state()
            .ok()
            .filter(|state| process(state, "web").last_words.len() == 3)
    });
    bench.written("arguments");
    assert!(
        state
            .notes
            .iter()
            .any(|note| note.starts_with("LEVEL is not masked"))
    );
    assert_eq!(bench.lines("web")[0], "token is ***");
    let mut files = vec![bench.folder().to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            for form in ["correct", "Y29ycmVjd"] {
                assert!(!text.contains(form), "{} holds {form}", path.display());
            }
        }
    }
}

#[test]
fn segments_are_private_rotated_and_bounded() {
    let once = json!({ "ends": true });
    let mut bench = Bench::new(
        &[with(
            shell("web", "for i in $(seq 20000); do echo line number $i; done"),
            once,
        )],
        json!({ "logs": { "segments": { "segment": 100_000, "keep": 350_000 } } }),
    );
    bench.run();
    assert_eq!(bench.wait().code(), Some(0));
    let segments = segment::list(&bench.path("logs")).unwrap();
    let size: u64 = segments.iter().map(|segment| segment.size).sum();
    assert!(
        (200_000..=350_000).contains(&size),
        "{size} bytes in {} segments",
        segments.len()
    );
    for segment in &segments {
        assert_eq!(
            fs::metadata(&segment.path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    // The newest stay.
    assert_eq!(bench.lines("web").last().unwrap(), "line number 20000");
}
