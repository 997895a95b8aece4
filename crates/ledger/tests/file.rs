//! The file itself: kept, private, refused when it is too new, consistent when it is torn.

mod support;

use std::{fs, os::unix::fs::PermissionsExt, thread};

use landfall_ledger::{Clock, EventFilter, Ledger, LedgerError};
use landfall_release::EventKind;
use support::{Fixture, content, shop};

#[test]
fn what_was_written_is_there_after_opening_again() {
    let fixture = Fixture::new();
    let release = fixture.deployed(content("one"));
    fixture.ledger.set_setting("edge-port", "8080").unwrap();
    let fixture = fixture.reopened();
    let (app, environment) = shop();
    assert_eq!(
        fixture.ledger.live_release(&app, &environment).unwrap(),
        Some(release)
    );
    assert_eq!(
        fixture.ledger.setting("edge-port").unwrap().as_deref(),
        Some("8080")
    );
    assert_eq!(fixture.ledger.verify_chain().unwrap(), 2);
}

#[test]
fn settings_are_replaced_and_removed() {
    let Fixture { ledger, .. } = Fixture::new();
    ledger.set_setting("boot", "a").unwrap();
    ledger.set_setting("boot", "b").unwrap();
    assert_eq!(ledger.setting("boot").unwrap().as_deref(), Some("b"));
    ledger.remove_setting("boot").unwrap();
    assert_eq!(ledger.setting("boot").unwrap(), None);
}

#[test]
fn the_files_are_private() {
    let fixture = Fixture::new();
    fixture.ledger.set_setting("a", "b").unwrap();
    let mut files = 0;
    for file in fs::read_dir(fixture.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            file.file_name()
        );
        files += 1;
    }
    assert_eq!(files, 3, "the ledger, its log and its index");

    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let fixture = fixture.reopened();
    assert_eq!(
        fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.pragma_update(None, "user_version", 99).unwrap();
    drop(sql);
    let before = fs::read(&path).unwrap();
    let error = Ledger::open(&path, Clock::system()).unwrap_err();
    assert_eq!(error.name(), "ledger-newer");
    let text = error.to_string();
    assert!(
        text.contains("schema is 99") && text.contains("newer landfall"),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_ledger_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    fs::write(
        &path,
        "this is a text, and long enough to be taken for the head of a database. ".repeat(9),
    )
    .unwrap();
    let error = Ledger::open(&path, Clock::system()).unwrap_err();
    assert!(matches!(error, LedgerError::Unusable { .. }), "{error}");
    let error =
        Ledger::open(&folder.path().join("missing/ledger.db"), Clock::system()).unwrap_err();
    assert!(matches!(error, LedgerError::Open { .. }), "{error}");
}

#[test]
fn a_torn_log_opens_at_the_last_whole_transaction() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    for version in 0..20 {
        let kind = EventKind::HostStarted {
            version: version.to_string(),
            adopted: 0,
            started: 0,
        };
        fixture
            .ledger
            .append_event(Some(&app), Some(&environment), None, kind)
            .unwrap();
    }
    let log = fs::read(fixture.folder.path().join("ledger.db-wal")).unwrap();
    let mut seen = Vec::new();
    // The ends of whole transactions, and everywhere in between.
    for length in (0..log.len())
        .step_by(1777)
        .chain([log.len() - 1, log.len()])
    {
        let torn = tempfile::tempdir().unwrap();
        let path = torn.path().join("ledger.db");
        fs::copy(fixture.path(), &path).unwrap();
        fs::write(torn.path().join("ledger.db-wal"), &log[..length]).unwrap();
        let ledger = Ledger::open(&path, Clock::system()).unwrap();
        let count = ledger.verify_chain().unwrap();
        assert_eq!(
            ledger
                .events(0, &EventFilter::default(), 100)
                .unwrap()
                .len() as u64,
            count
        );
        assert_eq!(ledger.last_sequence().unwrap(), count);
        ledger
            .append_event(None, None, None, EventKind::HostStopped)
            .unwrap();
        assert_eq!(ledger.verify_chain().unwrap(), count + 1);
        seen.push(count);
    }
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&20));
    assert!(seen.contains(&19) && seen.contains(&10), "{seen:?}");
}

#[test]
fn many_threads_write_and_read_at_once() {
    let Fixture { ledger, folder, .. } = Fixture::new();
    let second = Ledger::open(&folder.path().join("ledger.db"), Clock::system()).unwrap();
    thread::scope(|scope| {
        for number in 0..6 {
            let ledger = if number % 2 == 0 {
                ledger.clone()
            } else {
                second.clone()
            };
            scope.spawn(move || {
                let (app, environment) = shop();
                for round in 0..20 {
                    let purpose = format!("instance:{number}-{round}");
                    ledger
                        .lease_port(&app, &environment, &purpose, 20_000..=21_000, &[])
                        .unwrap();
                    ledger
                        .append_event(Some(&app), None, None, EventKind::Started)
                        .unwrap();
                    assert!(ledger.last_sequence().unwrap() > 0);
                }
            });
        }
    });
    assert_eq!(ledger.verify_chain().unwrap(), 120);
    let ports: Vec<_> = ledger.ports().unwrap().iter().map(|row| row.port).collect();
    assert_eq!(ports, (20_000..20_120).collect::<Vec<_>>());
}
