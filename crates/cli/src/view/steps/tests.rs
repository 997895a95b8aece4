//! Deployments as they were recorded, and what is seen of them.

use landfall_release::{DeploymentNumber, Purpose};

use super::*;
use crate::{arguments::Global, output::Output};

fn event(sequence: u64, kind: EventKind) -> Event {
    Event {
        sequence,
        at: 1_700_000_000_000 + sequence,
        app: Some("shop".parse().unwrap()),
        environment: Some("local".parse().unwrap()),
        deployment: Some(DeploymentNumber(2)),
        kind,
    }
}

fn step(step: Step, direction: Direction, took: u64, said: &str) -> [EventKind; 2] {
    let said = said.to_owned();
    [
        EventKind::StepStarted { step, direction },
        EventKind::StepFinished {
            step,
            direction,
            took,
            said,
        },
    ]
}

fn seen(
    output: &Output,
    kinds: impl IntoIterator<Item = EventKind>,
) -> (Times, Option<Finished>, u64) {
    let mut steps = Steps::new(output);
    steps.prepared("build", "requirements.txt, 38 packages", 14_210);
    for (sequence, kind) in kinds.into_iter().enumerate() {
        steps.event(&event(sequence as u64 + 1, kind));
    }
    (steps.times, steps.finished.take(), steps.cursor)
}

fn started() -> EventKind {
    EventKind::DeploymentStarted {
        purpose: Purpose::Deploy,
        release: ReleaseNumber(2),
        from: Some(ReleaseNumber(1)),
        by: "ann@desk".to_owned(),
    }
}

fn finished(outcome: Outcome, live: u64, failure: Option<Failure>) -> EventKind {
    EventKind::DeploymentFinished {
        outcome,
        live: Some(ReleaseNumber(live)),
        took: 1500,
        requests: 412,
        failed_requests: 0,
        failure: failure.map(Box::new),
    }
}

fn good() -> Vec<EventKind> {
    let mut kinds = vec![started()];
    kinds.extend(step(Step::Preflight, Direction::Forward, 12, "61 GiB free"));
    kinds.extend(step(
        Step::Start,
        Direction::Forward,
        200,
        "beside release 1",
    ));
    kinds.extend(step(
        Step::Verify,
        Direction::Forward,
        1310,
        "api ready, agent up for 1s",
    ));
    kinds.extend(step(Step::Switch, Direction::Forward, 4, ""));
    kinds.extend(step(Step::Unlock, Direction::Forward, 1, ""));
    kinds.push(finished(Outcome::Done, 2, None));
    kinds
}

#[test]
fn one_that_goes_well() {
    let output = Output::new(&Global::default(), None);
    let (times, finished, cursor) = seen(&output, good());
    insta::assert_snapshot!(output.captured.borrow(), @r"
    ✓ build      requirements.txt, 38 packages                 14.2s
    ✓ preflight  61 GiB free                                    0.0s
    ✓ start      beside release 1                               0.2s
    ✓ verify     api ready, agent up for 1s                     1.3s
    ✓ switch                                                    0.0s
    ");
    assert_eq!(
        times,
        Times {
            build: 14_210,
            app: 1310
        }
    );
    assert_eq!(cursor, 12);
    assert_eq!(finished.unwrap().requests, 412);
}

#[test]
fn one_that_fails_and_is_undone() {
    let failure = Failure::new("wrong-port", "api listens on 3000, expected 8000");
    let mut kinds = vec![started()];
    kinds.extend(step(Step::Start, Direction::Forward, 1200, ""));
    kinds.push(EventKind::StepStarted {
        step: Step::Verify,
        direction: Direction::Forward,
    });
    kinds.push(EventKind::StepProgress {
        step: Step::Verify,
        said: "1 more to come".to_owned(),
    });
    kinds.push(EventKind::StepFailed {
        step: Step::Verify,
        direction: Direction::Forward,
        took: 30_000,
        failure: Box::new(failure.clone()),
    });
    kinds.extend(step(
        Step::Start,
        Direction::Undo,
        400,
        "release 2 stopped; 1 was never touched",
    ));
    kinds.push(finished(Outcome::Undone, 1, Some(failure)));
    let output = Output::new(&Global::default(), None);
    let (_, finished, _) = seen(&output, kinds);
    insta::assert_snapshot!(output.captured.borrow(), @r"
    ✓ build      requirements.txt, 38 packages                 14.2s
    ✓ start                                                     1.2s
    ✗ verify     api listens on 3000, expected 8000            30.0s
    ✓ undo       release 2 stopped; 1 was never touched         0.4s
    ");
    assert_eq!(finished.unwrap().failure.unwrap().name, "wrong-port");
}

#[test]
fn as_json_each_event_is_a_line() {
    let global = Global {
        json: true,
        ..Global::default()
    };
    let output = Output::new(&global, None);
    seen(&output, good());
    let captured = output.captured.borrow();
    let lines: Vec<serde_json::Value> = captured
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1 + good().len());
    assert!(lines.iter().all(|line| line["version"] == 1));
    assert_eq!(lines[0]["kind"], "prepared");
    assert_eq!(lines[1]["data"]["kind"]["deployment-started"]["release"], 2);
}

#[test]
fn quiet_says_nothing() {
    let global = Global {
        quiet: true,
        ..Global::default()
    };
    let output = Output::new(&global, None);
    seen(&output, good());
    assert_eq!(*output.captured.borrow(), "");
}
