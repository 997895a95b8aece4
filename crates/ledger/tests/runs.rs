//! Runs: written before they begin, ended once, and the old ones forgotten.

mod support;

use landfall_ledger::{BeginRun, EventFilter, RunBody};
use landfall_release::{EventKind, RunKind, RunOutcome};
use support::{Fixture, shop};

fn begin(name: &str, due_at: Option<u64>) -> BeginRun {
    let (app, environment) = shop();
    BeginRun {
        app,
        environment,
        kind: RunKind::Job,
        name: name.to_owned(),
        due_at,
        body: RunBody::default(),
    }
}

fn said(text: &str) -> RunBody {
    RunBody {
        said: text.to_owned(),
        code: Some(3),
        ..RunBody::default()
    }
}

#[test]
fn a_run_is_there_before_it_begins_and_ends_once() {
    let Fixture { ledger, .. } = Fixture::new();
    let (app, environment) = shop();
    let run = ledger.begin_run(begin("nightly", Some(500))).unwrap();
    let unfinished = ledger.unfinished_runs().unwrap();
    assert_eq!(unfinished, std::slice::from_ref(&run));
    let ended = ledger
        .end_run(run.number, RunOutcome::Failed, said("exit 3"))
        .unwrap()
        .unwrap();
    assert_eq!(ended.outcome, Some(RunOutcome::Failed));
    assert_eq!(ledger.run(run.number).unwrap(), Some(ended.clone()));
    let again = ledger.end_run(run.number, RunOutcome::Done, said("late"));
    assert_eq!(again.unwrap(), None, "it has ended already");
    assert!(ledger.unfinished_runs().unwrap().is_empty());
    assert_eq!(ledger.last_runs(&app, &environment).unwrap(), [ended]);
    let events = ledger.events(0, &EventFilter::default(), 10).unwrap();
    assert!(
        matches!(
            events.iter().map(|event| &event.kind).collect::<Vec<_>>()[..],
            [
                EventKind::RunStarted { run: 1, .. },
                EventKind::RunEnded {
                    outcome: RunOutcome::Failed,
                    ..
                }
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn what_was_left_out_counts_as_accounted_for() {
    let Fixture { ledger, .. } = Fixture::new();
    let (app, environment) = shop();
    let accounted = || ledger.accounted(&app, &environment, RunKind::Job, "nightly");
    assert_eq!(accounted().unwrap(), None);
    ledger
        .leave_out_run(begin("nightly", Some(700)), RunOutcome::Missed)
        .unwrap();
    ledger
        .leave_out_run(begin("other", Some(900)), RunOutcome::Missed)
        .unwrap();
    // Asked for by hand: nothing was due.
    ledger.begin_run(begin("nightly", None)).unwrap();
    assert_eq!(accounted().unwrap(), Some(700));
    let last = ledger.last_runs(&app, &environment).unwrap();
    let names: Vec<_> = last.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["nightly", "other"]);
    assert_eq!(last[0].outcome, None, "the newest of each");
    ledger.remove_environment(&app, &environment).unwrap();
    assert_eq!(accounted().unwrap(), None);
}

#[test]
fn the_oldest_runs_are_forgotten_but_none_that_goes_on() {
    let Fixture { ledger, .. } = Fixture::new();
    let (app, environment) = shop();
    let first = ledger.begin_run(begin("tick", Some(1))).unwrap();
    for due in 2..=250 {
        ledger
            .leave_out_run(begin("tick", Some(due)), RunOutcome::Skipped)
            .unwrap();
    }
    let runs = ledger
        .runs(&app, &environment, RunKind::Job, "tick", 1000)
        .unwrap();
    assert_eq!(runs.len(), 201);
    assert_eq!(
        (runs[0].due_at, runs[200].number),
        (Some(250), first.number)
    );
}
