//! Releases, deployments and what is live.

mod support;

use std::{collections::BTreeMap, path::Path};

use landfall_app::model::Replicas;
use landfall_ledger::{EventFilter, LedgerError};
use landfall_release::{
    Content, Direction, EventKind, Failure, Generation, Journal, MadeBy, Outcome, Record, Release,
    ReleaseNumber, Step,
};
use support::{Fixture, content, finish, name, shop};

#[test]
fn releases_get_numbers_and_digests_and_the_live_one_is_not_made_twice() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let one = fixture.deployed(content("one"));
    assert_eq!((one.number, one.created_at), (ReleaseNumber(1), 1_000));
    assert!(one.is_intact());
    fixture.pass(5);
    assert_eq!(fixture.ledger.add_release(content("one")).unwrap(), one);
    let two = fixture.ledger.add_release(content("two")).unwrap();
    assert_eq!(two.number, ReleaseNumber(2));
    assert_ne!(two.digest, one.digest);
    // Equal to one that is not live: a release of its own.
    assert_eq!(
        fixture.ledger.add_release(content("two")).unwrap().number,
        ReleaseNumber(3)
    );
    assert_eq!(
        fixture
            .ledger
            .release(&app, &environment, ReleaseNumber(2))
            .unwrap(),
        Some(two)
    );
    assert_eq!(
        fixture
            .ledger
            .release(&app, &environment, ReleaseNumber(9))
            .unwrap(),
        None
    );
    assert_eq!(
        fixture
            .ledger
            .release(&app, &name("production"), ReleaseNumber(1))
            .unwrap(),
        None
    );
}

#[test]
fn the_list_of_releases_says_what_became_of_each() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    fixture.deployed(content("one"));
    let two = fixture.deployed(content("two"));
    let three = ledger.add_release(content("three")).unwrap();
    let rollout = fixture.begun(&three, &app, &environment);
    ledger
        .finish_deployment(&rollout, finish(Outcome::Undone, &two))
        .unwrap();
    assert_eq!(
        ledger.release_before(&app, &environment).unwrap(),
        Some(ReleaseNumber(1))
    );
    ledger
        .mark_pruned(&app, &environment, ReleaseNumber(1))
        .unwrap();
    ledger
        .mark_pruned(&app, &environment, ReleaseNumber(1))
        .unwrap();
    let rows: Vec<_> = ledger
        .releases(&app, &environment)
        .unwrap()
        .iter()
        .map(|row| (row.number.0, row.live, row.pruned, row.served, row.outcome))
        .collect();
    assert_eq!(
        rows,
        [
            (3, false, false, false, Some(Outcome::Undone)),
            (2, true, false, true, Some(Outcome::Done)),
            (1, false, true, true, Some(Outcome::Done)),
        ]
    );
    assert_eq!(ledger.release_before(&app, &environment).unwrap(), None);
    let pruned = ledger.events(0, &EventFilter::default(), 100).unwrap();
    let pruned = pruned
        .iter()
        .filter(|event| matches!(event.kind, EventKind::ReleasePruned { .. }))
        .count();
    assert_eq!(pruned, 1);
}

#[test]
fn a_rollback_and_then_another_lead_back_and_forth() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let one = fixture.deployed(content("one"));
    let two = fixture.deployed(content("two"));
    assert_eq!(
        fixture.ledger.release_before(&app, &environment).unwrap(),
        Some(one.number)
    );
    let rollout = fixture.begun(&one, &app, &environment);
    assert_eq!(rollout.previous, Some(two.number));
    fixture
        .ledger
        .set_live(&app, &environment, Some(one.number), rollout.generation)
        .unwrap();
    fixture
        .ledger
        .finish_deployment(&rollout, finish(Outcome::Done, &one))
        .unwrap();
    assert_eq!(
        fixture.ledger.release_before(&app, &environment).unwrap(),
        Some(two.number)
    );
}

#[test]
fn a_deployment_is_unfinished_until_it_is_finished_once() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let release = ledger.add_release(content("one")).unwrap();
    let rollout = fixture.begun(&release, &app, &environment);
    assert_eq!(
        (rollout.deployment.0, rollout.previous, rollout.generation),
        (1, None, Generation(1))
    );
    let other = fixture.begun(&release, &app, &environment);
    assert!(other.generation > rollout.generation);
    assert_eq!(
        ledger.unfinished().unwrap(),
        [rollout.clone(), other.clone()]
    );

    fixture.pass(20);
    ledger
        .finish_deployment(&rollout, finish(Outcome::Done, &release))
        .unwrap();
    ledger
        .finish_deployment(&rollout, finish(Outcome::NotUndone, &release))
        .unwrap();
    assert_eq!(ledger.unfinished().unwrap(), [other]);
    let row = ledger
        .deployment(&app, &environment, rollout.deployment)
        .unwrap()
        .unwrap();
    assert_eq!((row.started_at, row.ended_at), (1_000, Some(1_020)));
    assert_eq!(row.finish, Some(finish(Outcome::Done, &release)));
    assert_eq!(ledger.deployments(&app, &environment).unwrap().len(), 2);
    assert_eq!(ledger.last_sequence().unwrap(), 3);
}

#[test]
fn the_journal_comes_back_as_it_was_written_and_tells_of_itself_in_events() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let release = fixture.ledger.add_release(content("one")).unwrap();
    let rollout = fixture.begun(&release, &app, &environment);
    let (step, direction) = (Step::Start, Direction::Forward);
    let failure = Failure::new("crashed", "api ended with 1").with("its last words", "oh\nno");
    let records = [
        Record::Started { step, direction },
        Record::Failed {
            step,
            direction,
            took: 3,
            failure: Box::new(failure),
        },
        Record::TakenUp { live: None },
        Record::Finished {
            step,
            direction: Direction::Undo,
            took: 4,
            said: "stopped".to_owned(),
        },
        Record::Ended {
            outcome: Outcome::Undone,
        },
    ];
    for record in &records {
        fixture.ledger.append(&rollout, record).unwrap();
    }
    let fixture = fixture.reopened();
    assert_eq!(fixture.ledger.records(&rollout).unwrap(), records);
    let filter = EventFilter {
        deployment: Some(rollout.deployment),
        ..EventFilter::default()
    };
    let kinds: Vec<_> = fixture
        .ledger
        .events(0, &filter, 100)
        .unwrap()
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds.len(), 5);
    assert!(matches!(kinds[0], EventKind::DeploymentStarted { .. }));
    assert!(
        matches!(&kinds[2], EventKind::StepFailed { failure, took: 3, .. } if failure.name == "crashed")
    );
    assert_eq!(
        kinds[3],
        EventKind::DeploymentTakenUp {
            direction: Direction::Undo
        }
    );
}

#[test]
fn environments_know_what_is_live_and_whether_they_run() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let error = ledger.set_running(&app, &environment, false).unwrap_err();
    assert!(
        matches!(error, LedgerError::UnknownEnvironment { .. }),
        "{error}"
    );

    ledger
        .ensure_environment(&app, &environment, Path::new("/srv/shop"))
        .unwrap();
    let state = ledger.environment(&app, &environment).unwrap().unwrap();
    assert_eq!(
        (state.live, state.generation, state.running),
        (None, None, true)
    );
    assert_eq!(state.folder, Path::new("/srv/shop"));

    fixture.deployed(content("one"));
    fixture.pass(50);
    ledger
        .set_live(&app, &environment, Some(ReleaseNumber(1)), Generation(5))
        .unwrap();
    ledger.set_running(&app, &environment, false).unwrap();
    let rows = ledger.environments().unwrap();
    assert_eq!(rows.len(), 1);
    let state = &rows[0].state;
    assert_eq!(
        (state.live, state.generation, state.running),
        (Some(ReleaseNumber(1)), Some(Generation(5)), false)
    );
    assert_eq!(
        state.live_since,
        Some(1_000),
        "the same release again is not a new one"
    );
    assert_eq!(state.folder, Path::new("/srv/shop"));

    ledger.remove_environment(&app, &environment).unwrap();
    assert_eq!(ledger.environments().unwrap(), []);
    assert_eq!(ledger.releases(&app, &environment).unwrap(), []);
    // What the edge has seen must never come again.
    assert!(ledger.next_generation().unwrap() > Generation(1));
}

fn scaled(base: &Release, made_by: MadeBy, replicas: u32) -> Content {
    let mut content = Content {
        made_by,
        ..base.content.clone()
    };
    content
        .app
        .services
        .get_mut("api")
        .expect("the app has this service")
        .replicas = Replicas::Fixed(replicas);
    content
}

#[test]
fn numbers_set_by_hand_are_known_until_the_file_is_deployed_again() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let one = fixture.deployed(content("one"));
    assert_eq!(
        fixture.ledger.scaled(&app, &environment).unwrap(),
        BTreeMap::new()
    );
    let two = fixture.deployed(scaled(&one, MadeBy::Scale { base: one.number }, 3));
    fixture.deployed(scaled(&two, MadeBy::Secrets { base: two.number }, 3));
    let expected = BTreeMap::from([(name("api"), 3)]);
    assert_eq!(fixture.ledger.scaled(&app, &environment).unwrap(), expected);
    fixture.deployed(content("two"));
    assert_eq!(
        fixture.ledger.scaled(&app, &environment).unwrap(),
        BTreeMap::new()
    );
}
