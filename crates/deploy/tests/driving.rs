//! Rollouts driven against a target and a journal in memory: as they are told, with faults, and
//! taken up after a crash at each boundary.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use landfall_deploy::{Clock, DriveError, Driver, Faults, drive, take_up};
use landfall_release::{
    DeploymentNumber, Direction, Failure, Generation, Journal, Outcome, Purpose, Record,
    ReleaseNumber, Rollout, Step, Target,
};

const OLD: Generation = Generation(1);
const NEW: Generation = Generation(2);
const BACK: Generation = Generation(3);

/// Two releases, and where the traffic goes; it looks at each change that one of them serves.
struct Machine {
    state: Mutex<State>,
    fails: Option<(Step, Direction)>,
    lives: bool,
}

struct State {
    old_runs: bool,
    new_runs: bool,
    live: Generation,
    locked: bool,
    done: Vec<(Step, Direction)>,
    gap: bool,
}

impl Machine {
    fn new() -> Self {
        let state = State {
            old_runs: true,
            new_runs: false,
            live: OLD,
            locked: false,
            done: Vec::new(),
            gap: false,
        };
        Self {
            state: Mutex::new(state),
            fails: None,
            lives: true,
        }
    }

    fn failing(step: Step, direction: Direction) -> Self {
        Self {
            fails: Some((step, direction)),
            ..Self::new()
        }
    }

    fn act(&self, step: Step, direction: Direction) -> Result<String, Failure> {
        if self.fails == Some((step, direction)) {
            return Err(Failure::new("crashed", format!("{step} failed")));
        }
        let mut state = self.state.lock().unwrap();
        match (step, direction) {
            (Step::Lock, _) => state.locked = true,
            (Step::Unlock, _) => state.locked = false,
            (Step::Start, Direction::Forward) => state.new_runs = true,
            (Step::Start, Direction::Undo) => state.new_runs = false,
            (Step::Switch, Direction::Forward) => state.live = NEW,
            (Step::Switch, Direction::Undo) => state.live = BACK,
            (Step::Retire, _) => state.old_runs = false,
            _ => {}
        }
        state.gap |= if state.live == NEW {
            !state.new_runs
        } else {
            !state.old_runs
        };
        state.done.push((step, direction));
        Ok(format!("{step} done"))
    }
}

impl Target for Machine {
    async fn perform(&self, _: &Rollout, step: Step) -> Result<String, Failure> {
        tokio::task::yield_now().await;
        self.act(step, Direction::Forward)
    }

    async fn undo(&self, _: &Rollout, step: Step) -> Result<String, Failure> {
        tokio::task::yield_now().await;
        self.act(step, Direction::Undo)
    }

    async fn live(&self, _: &Rollout) -> Result<Option<Generation>, Failure> {
        match self.lives {
            true => Ok(Some(self.state.lock().unwrap().live)),
            false => Err(Failure::new("edge-unreachable", "the edge doesn't answer")),
        }
    }
}

/// A journal that is full after so many records: the host dies there.
#[derive(Default)]
struct Memory {
    records: Mutex<Vec<Record>>,
    full_after: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("full")]
struct Full;

impl Journal for Memory {
    type Error = Full;

    fn append(&self, _: &Rollout, record: &Record) -> Result<(), Full> {
        let mut records = self.records.lock().unwrap();
        if self.full_after == Some(records.len()) {
            return Err(Full);
        }
        records.push(record.clone());
        Ok(())
    }

    fn records(&self, _: &Rollout) -> Result<Vec<Record>, Full> {
        Ok(self.records.lock().unwrap().clone())
    }
}

fn rollout() -> Rollout {
    Rollout {
        app: "shop".parse().unwrap(),
        environment: "local".parse().unwrap(),
        deployment: DeploymentNumber(2),
        purpose: Purpose::Deploy,
        release: ReleaseNumber(2),
        previous: Some(ReleaseNumber(1)),
        was_running: true,
        generation: NEW,
        by: "ada@desk".to_owned(),
        steps: Step::ALL
            .into_iter()
            .filter(|step| *step != Step::StopOld)
            .collect(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn check(machine: &Machine, outcome: Outcome, context: &str) {
    let state = machine.state.lock().unwrap();
    assert!(!state.gap, "{context}: at some moment neither served");
    assert!(!state.locked, "{context}: still locked");
    match outcome {
        Outcome::Done => assert!(
            state.new_runs && !state.old_runs && state.live == NEW,
            "{context}"
        ),
        _ => assert!(
            state.old_runs && !state.new_runs && state.live != NEW,
            "{context}"
        ),
    }
}

#[test]
fn a_rollout_is_written_down_step_by_step_with_its_times() {
    let (machine, journal) = (Machine::new(), Memory::default());
    let time = Arc::new(Mutex::new(0));
    let clock = Clock::new(move || {
        let mut time = time.lock().unwrap();
        *time += 7;
        *time
    });
    let faults = Faults::none();
    let driver = Driver {
        target: &machine,
        journal: &journal,
        faults: &faults,
        clock,
    };
    let rollout = rollout();
    assert_eq!(run(driver.drive(&rollout)).unwrap(), Outcome::Done);
    check(&machine, Outcome::Done, "well");
    let records = journal.records.lock().unwrap();
    let mut expected = Vec::new();
    for step in rollout.steps.iter().copied() {
        let direction = Direction::Forward;
        expected.push(Record::Started { step, direction });
        expected.push(Record::Finished {
            step,
            direction,
            took: 7,
            said: format!("{step} done"),
        });
    }
    expected.push(Record::Ended {
        outcome: Outcome::Done,
    });
    assert_eq!(*records, expected);
}

#[test]
fn a_rollout_that_has_ended_is_left_alone() {
    let (machine, journal) = (Machine::new(), Memory::default());
    run(drive(&rollout(), &machine, &journal, &Faults::none())).unwrap();
    let (records, done) = (
        journal.records.lock().unwrap().len(),
        machine.state.lock().unwrap().done.len(),
    );
    assert_eq!(
        run(take_up(&rollout(), &machine, &journal, &Faults::none())).unwrap(),
        Outcome::Done
    );
    assert_eq!(
        run(drive(&rollout(), &machine, &journal, &Faults::none())).unwrap(),
        Outcome::Done
    );
    assert_eq!(journal.records.lock().unwrap().len(), records);
    assert_eq!(machine.state.lock().unwrap().done.len(), done);
}

#[test]
fn a_step_that_fails_is_undone_with_all_before_it() {
    for step in rollout().steps {
        let (machine, journal) = (
            Machine::failing(step, Direction::Forward),
            Memory::default(),
        );
        let outcome = run(drive(&rollout(), &machine, &journal, &Faults::none())).unwrap();
        let expected = match step {
            Step::Preflight | Step::Lock => Outcome::Refused,
            Step::Retire | Step::After | Step::Unlock => Outcome::Done,
            _ => Outcome::Undone,
        };
        assert_eq!(outcome, expected, "{step}");
        // What can't be done is left over, and no harm: an old release, a lease that ends by itself.
        if !matches!(step, Step::Retire | Step::Unlock) {
            check(&machine, outcome, step.word());
        }
    }
}

/// Crashes once a rollout has so many records, and takes it up; whether it got that far.
fn crash_and_take_up(records: usize, fails: Option<(Step, Direction)>) -> bool {
    let machine = Machine {
        fails,
        ..Machine::new()
    };
    let journal = Memory {
        full_after: Some(records),
        ..Memory::default()
    };
    let crashed = match run(drive(&rollout(), &machine, &journal, &Faults::none())) {
        Err(DriveError::Journal(Full)) => true,
        Err(other) => panic!("{other}"),
        Ok(_) => false,
    };
    let journal = Memory {
        full_after: None,
        ..journal
    };
    let outcome = run(take_up(&rollout(), &machine, &journal, &Faults::none())).unwrap();
    check(
        &machine,
        outcome,
        &format!("crashed after {records} records, {fails:?} fails"),
    );
    crashed
}

#[test]
fn crashed_after_any_record_and_taken_up_the_old_or_the_new_serves() {
    for fails in [
        None,
        Some((Step::Verify, Direction::Forward)),
        Some((Step::Smoke, Direction::Forward)),
    ] {
        let mut records = 0;
        while crash_and_take_up(records, fails) {
            records += 1;
        }
        assert!(records >= 15, "only {records} crashes");
    }
}

#[test]
fn killed_at_any_fault_point_and_taken_up_the_old_or_the_new_serves() {
    for step in rollout().steps {
        for kind in ["kill-before", "kill-after"] {
            let text = format!("{step}:{kind}");
            let kills = Arc::new(Mutex::new(0));
            let counted = Arc::clone(&kills);
            let faults = Faults::from_text(&text)
                .unwrap()
                .with_kill(move || *counted.lock().unwrap() += 1);
            let (machine, journal) = (Machine::new(), Memory::default());
            match run(drive(&rollout(), &machine, &journal, &faults)) {
                Err(DriveError::Killed(at)) => assert_eq!(at, step),
                other => panic!("{text}: {other:?}"),
            }
            assert_eq!(*kills.lock().unwrap(), 1);
            let performed = machine
                .state
                .lock()
                .unwrap()
                .done
                .iter()
                .any(|(done, _)| *done == step);
            assert_eq!(performed, kind == "kill-after", "{text}");
            assert_eq!(
                journal.records.lock().unwrap().last(),
                Some(&Record::Started {
                    step,
                    direction: Direction::Forward
                })
            );
            let outcome = run(take_up(&rollout(), &machine, &journal, &Faults::none())).unwrap();
            check(&machine, outcome, &text);
            let expected = match (step, kind) {
                (Step::Preflight | Step::Lock, _) => Outcome::Refused,
                (Step::Switch, "kill-after") => Outcome::Done,
                (before, _) if before <= Step::Switch => Outcome::Undone,
                _ => Outcome::Done,
            };
            assert_eq!(outcome, expected, "{text}");
        }
    }
}

/// A rollout that provisions and nothing else: no release goes live by it.
fn provisioning() -> Rollout {
    Rollout {
        purpose: Purpose::Provision,
        previous: None,
        steps: vec![Step::Preflight, Step::Lock, Step::Provision, Step::Unlock],
        ..rollout()
    }
}

/// Nothing that serves was touched, the lock is free, and what was provisioned stays.
fn check_provisioned(machine: &Machine, outcome: Outcome, context: &str) {
    let state = machine.state.lock().unwrap();
    assert!(
        state.old_runs && !state.new_runs && state.live == OLD,
        "{context}"
    );
    assert!(!state.locked, "{context}: still locked");
    let back = |(_, direction): &(Step, Direction)| *direction == Direction::Undo;
    assert!(!state.done.iter().any(back), "{context}: {:?}", state.done);
    let done = state.done.contains(&(Step::Provision, Direction::Forward));
    assert_eq!(done, outcome == Outcome::Done, "{context}");
}

#[test]
fn killed_at_any_point_of_provisioning_and_taken_up_it_goes_on() {
    for step in provisioning().steps {
        for kind in ["kill-before", "kill-after"] {
            let text = format!("{step}:{kind}");
            let faults = Faults::from_text(&text).unwrap().with_kill(|| {});
            let (machine, journal) = (Machine::new(), Memory::default());
            assert!(matches!(
                run(drive(&provisioning(), &machine, &journal, &faults)),
                Err(DriveError::Killed(_))
            ));
            let none = Faults::none();
            let outcome = run(take_up(&provisioning(), &machine, &journal, &none)).unwrap();
            let expected = match step {
                Step::Preflight | Step::Lock => Outcome::Refused,
                _ => Outcome::Done,
            };
            assert_eq!(outcome, expected, "{text}");
            check_provisioned(&machine, outcome, &text);
        }
    }
}

#[test]
fn crashed_after_any_record_of_provisioning_it_ends_whole() {
    for records in 0..9 {
        for fails in [None, Some((Step::Provision, Direction::Forward))] {
            let machine = Machine {
                fails,
                ..Machine::new()
            };
            let journal = Memory {
                full_after: Some(records),
                ..Memory::default()
            };
            let _ = run(drive(&provisioning(), &machine, &journal, &Faults::none()));
            let journal = Memory {
                full_after: None,
                ..journal
            };
            let none = Faults::none();
            let outcome = run(take_up(&provisioning(), &machine, &journal, &none)).unwrap();
            check_provisioned(&machine, outcome, &format!("{records} records, {fails:?}"));
        }
    }
}

#[test]
fn killed_in_the_undo_and_taken_up_it_is_undone_to_its_end() {
    for text in [
        "undo-switch:kill-before",
        "undo-switch:kill-after",
        "undo-start:kill-before",
        "undo-start:kill-after",
    ] {
        let faults = Faults::from_text(text).unwrap().with_kill(|| {});
        let (machine, journal) = (
            Machine::failing(Step::Smoke, Direction::Forward),
            Memory::default(),
        );
        assert!(matches!(
            run(drive(&rollout(), &machine, &journal, &faults)),
            Err(DriveError::Killed(_))
        ));
        let outcome = run(take_up(&rollout(), &machine, &journal, &Faults::none())).unwrap();
        assert_eq!(outcome, Outcome::Undone, "{text}");
        check(&machine, outcome, text);
    }
}

#[test]
fn an_undo_that_fails_is_said() {
    let (machine, journal) = (
        Machine::failing(Step::Verify, Direction::Forward),
        Memory::default(),
    );
    let faults = Faults::from_text("undo-start:fail").unwrap();
    assert_eq!(
        run(drive(&rollout(), &machine, &journal, &faults)).unwrap(),
        Outcome::NotUndone
    );
    let state = machine.state.lock().unwrap();
    assert_eq!(state.done.last(), Some(&(Step::Unlock, Direction::Forward)));
    assert!(state.old_runs && !state.gap);
}

#[test]
fn a_rollout_is_not_taken_up_while_nobody_knows_what_is_live() {
    let (machine, journal) = (
        Machine {
            lives: false,
            ..Machine::new()
        },
        Memory::default(),
    );
    let faults = Faults::from_text("verify:kill-before")
        .unwrap()
        .with_kill(|| {});
    run(drive(&rollout(), &machine, &journal, &faults)).unwrap_err();
    let before = journal.records.lock().unwrap().clone();
    match run(take_up(&rollout(), &machine, &journal, &Faults::none())) {
        Err(DriveError::Live(failure)) => assert_eq!(failure.name, "edge-unreachable"),
        other => panic!("{other:?}"),
    }
    assert_eq!(*journal.records.lock().unwrap(), before);
    let machine = Machine {
        lives: true,
        ..machine
    };
    assert_eq!(
        run(take_up(&rollout(), &machine, &journal, &Faults::none())).unwrap(),
        Outcome::Undone
    );
}

#[test]
fn faults_are_for_one_step_one_direction_and_one_deployment() {
    let outcome = |text: &str| {
        run(drive(
            &rollout(),
            &Machine::new(),
            &Memory::default(),
            &Faults::from_text(text).unwrap(),
        ))
        .unwrap()
    };
    assert_eq!(outcome("start:fail"), Outcome::Undone);
    assert_eq!(outcome("start@2:fail"), Outcome::Undone);
    assert_eq!(outcome("start@3:fail"), Outcome::Done);
    assert_eq!(outcome("undo-start:fail"), Outcome::Done);
    assert_eq!(
        outcome(" verify:fail , undo-start:fail"),
        Outcome::NotUndone
    );
    assert_eq!(outcome(""), Outcome::Done);
    for wrong in [
        "start",
        "start:explode",
        "begin:fail",
        "start@x:fail",
        "undo:fail",
    ] {
        let error = Faults::from_text(wrong).unwrap_err().to_string();
        assert!(error.contains(&format!("`{wrong}`")), "{error}");
    }
}

#[test]
fn an_injected_failure_has_a_name() {
    let journal = Memory::default();
    run(drive(
        &rollout(),
        &Machine::new(),
        &journal,
        &Faults::from_text("verify:fail").unwrap(),
    ))
    .unwrap();
    let records = journal.records.lock().unwrap();
    let failure = landfall_release::cause(&rollout(), &records).unwrap();
    assert_eq!(
        (failure.name.as_str(), failure.message.as_str()),
        ("fault-injected", "verify:fail was made to fail")
    );
}

#[test]
fn a_stopped_rollout_says_where_it_is_and_goes_on_when_it_is_let_go() {
    for (text, at_switch) in [
        ("switch:stop-before", OLD),
        ("switch:stop-after", NEW),
        ("switch:stall", OLD),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::from_text(text).unwrap().in_folder(folder.path());
        let (machine, journal) = (Machine::new(), Memory::default());
        let sign = folder.path().join(text);
        let outcome = run(async {
            let rollout = rollout();
            let watch = async {
                while !sign.exists() {
                    tokio::task::yield_now().await;
                }
                assert_eq!(machine.state.lock().unwrap().live, at_switch, "{text}");
                std::fs::remove_file(&sign).unwrap();
            };
            let (outcome, ()) = tokio::join!(drive(&rollout, &machine, &journal, &faults), watch);
            outcome
        });
        assert_eq!(outcome.unwrap(), Outcome::Done, "{text}");
    }
}

#[test]
fn a_rollout_that_is_dropped_is_as_one_that_crashed() {
    let (machine, journal) = (Machine::new(), Memory::default());
    let faults = Faults::from_text("verify:stall").unwrap();
    run(async {
        let rollout = rollout();
        let mut driven = std::pin::pin!(drive(&rollout, &machine, &journal, &faults));
        let stalled = Some(Record::Started {
            step: Step::Verify,
            direction: Direction::Forward,
        });
        while journal.records.lock().unwrap().last() != stalled.as_ref() {
            tokio::select! {
                biased;
                outcome = &mut driven => panic!("{outcome:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    });
    let outcome = run(take_up(&rollout(), &machine, &journal, &Faults::none())).unwrap();
    assert_eq!(outcome, Outcome::Undone);
    check(&machine, outcome, "dropped");
}

/// The error of a journal may be anything that is an error.
#[test]
fn errors_say_what_they_are() {
    let error: DriveError<Full> = DriveError::Journal(Full);
    assert_eq!(
        error.to_string(),
        "the journal of the deployment can't be used: full"
    );
    let error: DriveError<Infallible> = DriveError::Killed(Step::StopOld);
    assert_eq!(
        error.to_string(),
        "cut off at stop-old by a fault that was put in"
    );
}

const KILLED: &str = "LANDFALL_TEST_KILLED";

/// Not a test of its own: what the program does that kills itself.
#[test]
fn killed_program() {
    if std::env::var_os(KILLED).is_some() {
        let faults = Faults::from_text("switch:kill-before").unwrap();
        let outcome = run(drive(
            &rollout(),
            &Machine::new(),
            &Memory::default(),
            &faults,
        ));
        panic!("still alive: {outcome:?}");
    }
}

#[test]
fn killed_by_a_fault_a_program_ends_at_once() {
    use std::os::unix::process::ExitStatusExt;
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_program"])
        .env(KILLED, "yes")
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9));
}
