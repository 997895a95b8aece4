//! A program that is killed while it writes loses nothing that was said to be written.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use landfall_ledger::{Clock, Ledger};
use landfall_release::EventKind;

const LEDGER: &str = "LANDFALL_TEST_LEDGER";

/// Not a test of its own: what the program does that is killed.
#[test]
fn writer() {
    let Ok(path) = env::var(LEDGER) else { return };
    let ledger = Ledger::open(Path::new(&path), Clock::system()).unwrap();
    loop {
        let event = ledger
            .append_event(None, None, None, EventKind::HostStopped)
            .unwrap();
        // The test harness may have put something on the same line.
        writeln!(std::io::stderr(), "{}", event.sequence).unwrap();
    }
}

#[test]
fn killed_while_it_writes_all_that_was_acknowledged_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(LEDGER, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let numbers = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| line.parse::<u64>().ok());
        acknowledged = numbers.take(7 * round).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = lines
            .map_while(Result::ok)
            .filter_map(|line| line.parse().ok())
            .last()
            .unwrap_or(acknowledged);
        let ledger = Ledger::open(&path, Clock::system()).unwrap();
        let count = ledger.verify_chain().unwrap();
        // The last one may have been on disk and not said any more.
        assert!(
            count == acknowledged || count == acknowledged + 1,
            "{acknowledged} said, {count} there"
        );
    }
    assert!(acknowledged >= 7 * 15);
}
