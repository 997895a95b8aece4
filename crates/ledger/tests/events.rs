//! Events: in order, found by what they belong to, and chained.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use landfall_ledger::{EventFilter, LedgerError};
use landfall_release::{DeploymentNumber, EventKind};
use support::{Fixture, content, name, shop};

#[test]
fn events_are_found_by_cursor_and_by_what_they_belong_to() {
    let Fixture { ledger, .. } = Fixture::new();
    let (app, environment) = shop();
    let other = name("blog");
    for app in [&app, &other, &app] {
        ledger
            .append_event(Some(app), Some(&environment), None, EventKind::Started)
            .unwrap();
    }
    let event = ledger
        .append_event(None, None, None, EventKind::HostStopped)
        .unwrap();
    assert_eq!((event.sequence, event.at), (4, 1_000));

    let sequences = |events: Vec<landfall_release::Event>| {
        events
            .iter()
            .map(|event| event.sequence)
            .collect::<Vec<_>>()
    };
    let all = EventFilter::default();
    assert_eq!(
        sequences(ledger.events(0, &all, 100).unwrap()),
        [1, 2, 3, 4]
    );
    assert_eq!(sequences(ledger.events(2, &all, 1).unwrap()), [3]);
    assert_eq!(sequences(ledger.latest_events(&all, 2).unwrap()), [3, 4]);
    let of_shop = EventFilter {
        app: Some(app),
        ..EventFilter::default()
    };
    assert_eq!(sequences(ledger.events(0, &of_shop, 100).unwrap()), [1, 3]);
    assert_eq!(ledger.events(3, &all, 1).unwrap(), [event]);
}

#[test]
fn listeners_hear_of_events_once_they_can_be_read() {
    let Fixture { ledger, .. } = Fixture::new();
    let heard = Arc::new(AtomicU64::new(0));
    let (listener, reader) = (Arc::clone(&heard), ledger.clone());
    ledger.on_event(Box::new(move |sequence| {
        assert_eq!(reader.last_sequence().unwrap(), sequence);
        listener.store(sequence, Ordering::SeqCst);
    }));
    ledger.set_setting("no", "event").unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 0);
    ledger
        .append_event(None, None, None, EventKind::HostStopped)
        .unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}

#[test]
fn events_of_a_deployment_are_not_those_of_its_namesake_before_a_purge() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let filter = EventFilter {
        app: Some(app.clone()),
        environment: Some(environment.clone()),
        deployment: Some(DeploymentNumber(1)),
    };
    fixture.deployed(content("one"));
    assert_eq!(fixture.ledger.events(0, &filter, 100).unwrap().len(), 2);
    fixture
        .ledger
        .remove_environment(&app, &environment)
        .unwrap();
    let release = fixture.deployed(content("two"));
    assert_eq!(release.number.0, 1);
    let events = fixture.ledger.events(0, &filter, 100).unwrap();
    assert_eq!(
        events
            .iter()
            .map(|event| event.sequence)
            .collect::<Vec<_>>(),
        [3, 4]
    );
}

#[test]
fn a_broken_chain_is_found() {
    let breaks: [(&str, u64, &str); 6] = [
        (
            "UPDATE events SET body = replace(body, 'shop', 'shap') WHERE sequence = 2",
            2,
            "an event was changed",
        ),
        (
            "UPDATE events SET app = 'blog' WHERE sequence = 3",
            3,
            "an event's columns were changed",
        ),
        (
            "DELETE FROM events WHERE sequence = 2",
            2,
            "an event is missing",
        ),
        (
            "DELETE FROM events WHERE sequence = 4",
            4,
            "events are missing at its end",
        ),
        (
            "UPDATE events SET hash = zeroblob(32) WHERE sequence = 4",
            4,
            "an event was changed",
        ),
        (
            "UPDATE head SET hash = zeroblob(32)",
            4,
            "its head was changed",
        ),
    ];
    for (statement, at, expected) in breaks {
        let fixture = Fixture::new();
        let (app, environment) = shop();
        for _ in 0..4 {
            fixture
                .ledger
                .append_event(Some(&app), Some(&environment), None, EventKind::Stopped)
                .unwrap();
        }
        assert_eq!(fixture.ledger.verify_chain().unwrap(), 4);
        let sql = rusqlite::Connection::open(fixture.path()).unwrap();
        assert_eq!(sql.execute(statement, []).unwrap(), 1);
        match fixture.ledger.verify_chain() {
            Err(LedgerError::Chain { sequence, why }) => {
                assert_eq!((sequence, why), (at, expected))
            }
            other => panic!("{statement}: {other:?}"),
        }
    }
}
