//! What is leased or kept: locks, ports, instances, secrets.

mod support;

use std::{path::PathBuf, time::Duration};

use landfall_ledger::{InstanceRow, InstanceState, LedgerError};
use landfall_release::{DeploymentNumber, ReleaseNumber};
use support::{Fixture, name, shop};

const LASTING: Duration = Duration::from_millis(100);

#[test]
fn a_lock_is_held_by_one_and_says_by_whom() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let first = ledger
        .lock(
            &app,
            &environment,
            "ada@desk",
            "deploy",
            Some(DeploymentNumber(1)),
            LASTING,
        )
        .unwrap();
    fixture.pass(10);
    match ledger.lock(
        &app,
        &environment,
        "bob@desk",
        "scale",
        Some(DeploymentNumber(2)),
        LASTING,
    ) {
        Err(LedgerError::Locked(held)) => {
            assert_eq!(
                (held.holder.as_str(), held.reason.as_str(), held.since),
                ("ada@desk", "deploy", 1_000)
            );
            assert_eq!(held.deployment, Some(DeploymentNumber(1)));
        }
        other => panic!("{other:?}"),
    }
    // Another environment is another lock.
    ledger
        .lock(
            &app,
            &name("production"),
            "bob@desk",
            "scale",
            None,
            LASTING,
        )
        .unwrap();
    ledger.unlock(&first).unwrap();
    assert_eq!(ledger.locked(&app, &environment).unwrap(), None);
    ledger
        .lock(&app, &environment, "bob@desk", "scale", None, LASTING)
        .unwrap();
}

#[test]
fn a_lease_frees_itself_and_its_holder_learns_of_it() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let mut first = ledger
        .lock(&app, &environment, "ada@desk", "deploy", None, LASTING)
        .unwrap();
    fixture.pass(90);
    ledger.renew(&mut first, LASTING).unwrap();
    assert_eq!(first.expires_at, 1_190);
    fixture.pass(99);
    assert!(
        ledger
            .lock(&app, &environment, "bob@desk", "deploy", None, LASTING)
            .is_err()
    );
    fixture.pass(1);
    assert_eq!(ledger.locked(&app, &environment).unwrap(), None);
    // Late, but nobody came meanwhile.
    ledger.renew(&mut first, LASTING).unwrap();
    fixture.pass(100);
    let second = ledger
        .lock(&app, &environment, "bob@desk", "deploy", None, LASTING)
        .unwrap();
    assert!(second.token > first.token);
    assert!(matches!(
        ledger.renew(&mut first, LASTING),
        Err(LedgerError::LeaseLost { .. })
    ));
    // The first one's late unlock doesn't free the second one's lock.
    ledger.unlock(&first).unwrap();
    assert_eq!(
        ledger.locked(&app, &environment).unwrap().unwrap().holder,
        "bob@desk"
    );
}

#[test]
fn a_deployment_taken_up_gets_its_own_lock_back() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let number = DeploymentNumber(4);
    let mut before = ledger
        .lock(
            &app,
            &environment,
            "ada@desk",
            "deploy",
            Some(number),
            LASTING,
        )
        .unwrap();
    let after = ledger
        .lock(
            &app,
            &environment,
            "ada@desk",
            "deploy",
            Some(number),
            LASTING,
        )
        .unwrap();
    assert!(after.token > before.token);
    assert!(ledger.renew(&mut before, LASTING).is_err());
    ledger
        .unlock_deployment(&app, &environment, DeploymentNumber(3))
        .unwrap();
    assert!(ledger.locked(&app, &environment).unwrap().is_some());
    ledger
        .unlock_deployment(&app, &environment, number)
        .unwrap();
    assert_eq!(ledger.locked(&app, &environment).unwrap(), None);
}

#[test]
fn ports_are_stable_lowest_first_and_never_given_twice() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let lease = |purpose: &str, avoid: &[u16]| {
        ledger.lease_port(&app, &environment, purpose, 20_000..=20_002, avoid)
    };
    assert_eq!(lease("stable:web", &[]).unwrap(), 20_000);
    assert_eq!(lease("instance:a", &[20_001]).unwrap(), 20_002);
    assert_eq!(lease("stable:web", &[]).unwrap(), 20_000);
    assert_eq!(lease("instance:b", &[]).unwrap(), 20_001);
    let error = lease("instance:c", &[]).unwrap_err();
    assert_eq!(error.name(), "no-port");
    assert!(error.to_string().contains("instance:c"), "{error}");
    ledger
        .release_port(&app, &environment, "instance:a")
        .unwrap();
    // One that somebody else sits on is replaced.
    assert_eq!(lease("stable:web", &[20_000]).unwrap(), 20_002);
    assert_eq!(
        lease("instance:c", &[20_000]).map_err(|error| error.name()),
        Err("no-port")
    );
    let ports: Vec<_> = ledger
        .ports()
        .unwrap()
        .into_iter()
        .map(|row| (row.port, row.purpose))
        .collect();
    assert_eq!(
        ports,
        [
            (20_001, "instance:b".to_owned()),
            (20_002, "stable:web".to_owned())
        ]
    );
}

fn instance(id: &str, release: u64, state: InstanceState) -> InstanceRow {
    let (app, environment) = shop();
    InstanceRow {
        id: id.to_owned(),
        app,
        environment,
        release: ReleaseNumber(release),
        service: name("api"),
        replica: 1,
        port: Some(20_001),
        folder: PathBuf::from("/run/x"),
        address: None,
        boot_id: "boot".to_owned(),
        state,
        created_at: 1_000,
    }
}

#[test]
fn instances_are_added_changed_and_removed() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let old = instance("old", 1, InstanceState::Live);
    let new = instance("new", 2, InstanceState::Starting);
    let stopped = instance("stopped", 2, InstanceState::Stopped);
    for row in [&old, &new, &stopped] {
        ledger.add_instance(row).unwrap();
    }
    assert_eq!(ledger.instances().unwrap(), [old, new, stopped]);
    ledger
        .set_live_instances(&app, &environment, ReleaseNumber(2))
        .unwrap();
    let states: Vec<_> = ledger
        .instances_of(&app, &environment)
        .unwrap()
        .into_iter()
        .map(|row| (row.id, row.state))
        .collect();
    assert_eq!(
        states,
        [
            ("old".to_owned(), InstanceState::Draining),
            ("new".to_owned(), InstanceState::Live),
            ("stopped".to_owned(), InstanceState::Stopped),
        ]
    );
    assert!(
        ledger
            .set_instance_state("old", InstanceState::Stopped)
            .unwrap()
    );
    assert!(
        !ledger
            .set_instance_state("unknown", InstanceState::Stopped)
            .unwrap()
    );
    ledger.remove_instance("old").unwrap();
    assert_eq!(ledger.instances().unwrap().len(), 2);
    assert_eq!(ledger.instances_of(&app, &name("production")).unwrap(), []);
}

#[test]
fn the_same_value_of_a_secret_has_the_same_version() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    let put = |mac: &[u8], ciphertext: &[u8]| {
        ledger
            .put_secret(&app, &environment, "TOKEN", mac, ciphertext)
            .unwrap()
    };
    assert_eq!(
        ledger
            .secret_version(&app, &environment, "TOKEN", b"mac-a")
            .unwrap(),
        (1, false)
    );
    assert_eq!(put(b"mac-a", b"first"), 1);
    assert_eq!(put(b"mac-b", b"second"), 2);
    assert_eq!(put(b"mac-a", b"again"), 1);
    assert_eq!(
        ledger
            .secret_version(&app, &environment, "TOKEN", b"mac-b")
            .unwrap(),
        (2, true)
    );
    assert_eq!(
        ledger
            .secret(&app, &environment, "TOKEN", 1)
            .unwrap()
            .as_deref(),
        Some(&b"first"[..])
    );
    assert_eq!(ledger.secret(&app, &environment, "TOKEN", 3).unwrap(), None);
    assert_eq!(
        ledger
            .secret(&app, &name("production"), "TOKEN", 1)
            .unwrap(),
        None
    );
    let versions: Vec<_> = ledger
        .secret_versions(&app, &environment)
        .unwrap()
        .into_iter()
        .map(|row| (row.name, row.version))
        .collect();
    assert_eq!(versions, [("TOKEN".to_owned(), 1), ("TOKEN".to_owned(), 2)]);
}

#[test]
fn a_generated_value_never_changes() {
    let fixture = Fixture::new();
    let (app, environment) = shop();
    let ledger = &fixture.ledger;
    assert_eq!(ledger.generated(&app, &environment, "KEY").unwrap(), None);
    assert_eq!(
        ledger
            .put_generated(&app, &environment, "KEY", b"one")
            .unwrap(),
        b"one"
    );
    assert_eq!(
        ledger
            .put_generated(&app, &environment, "KEY", b"two")
            .unwrap(),
        b"one"
    );
    let fixture = fixture.reopened();
    assert_eq!(
        fixture
            .ledger
            .generated(&app, &environment, "KEY")
            .unwrap()
            .as_deref(),
        Some(&b"one"[..])
    );
}
