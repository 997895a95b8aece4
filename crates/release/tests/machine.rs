//! The state machine against a small world of two releases, with failures and crashes anywhere.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use landfall_release::{
    Decision, DeploymentNumber, Direction, Failure, Generation, Outcome, Purpose, Record,
    ReleaseNumber, Rollout, Step, cause, decide, direction,
};
use proptest::{collection::vec, prelude::*, sample::subsequence};

const OLD: Generation = Generation(6);
const NEW: Generation = Generation(7);
const BACK: Generation = Generation(8);

/// What happens to one step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Well,
    FailsWithoutEffect,
    FailsWithEffect,
    CrashBefore,
    CrashAfterEffect,
    CrashAfterRecord,
    /// The same, and the edge comes back with what it had before the rollout.
    EdgeForgets,
}

/// What is running, and where the traffic goes.
#[derive(Debug, Clone, PartialEq)]
struct World {
    old_runs: bool,
    new_runs: bool,
    live: Generation,
}

impl World {
    fn perform(&mut self, step: Step) {
        match step {
            Step::StopOld | Step::Retire => self.old_runs = false,
            Step::Start => self.new_runs = true,
            Step::Switch => self.live = NEW,
            _ => {}
        }
    }

    fn undo(&mut self, step: Step) {
        match step {
            Step::StopOld => self.old_runs = true,
            Step::Start => self.new_runs = false,
            Step::Switch => self.live = BACK,
            _ => panic!("{step} has nothing to undo"),
        }
    }

    fn serves(&self) -> bool {
        if self.live == NEW {
            self.new_runs
        } else {
            self.old_runs
        }
    }
}

fn rollout(steps: Vec<Step>) -> Rollout {
    Rollout {
        app: "shop".parse().unwrap(),
        environment: "local".parse().unwrap(),
        deployment: DeploymentNumber(3),
        purpose: Purpose::Deploy,
        release: ReleaseNumber(2),
        previous: Some(ReleaseNumber(1)),
        was_running: true,
        generation: NEW,
        by: "ada@desk".to_owned(),
        steps,
    }
}

fn failed(step: Step, direction: Direction) -> Record {
    Record::Failed {
        step,
        direction,
        took: 1,
        failure: Box::new(Failure::new("crashed", format!("{step} failed"))),
    }
}

fn finished(step: Step, direction: Direction) -> Record {
    Record::Finished {
        step,
        direction,
        took: 1,
        said: String::new(),
    }
}

struct Run {
    records: Vec<Record>,
    world: World,
    outcome: Outcome,
    /// Whether at some moment the traffic went to a release that didn't run.
    gap: bool,
}

/// Runs a rollout to its end while the fates last; what comes after them goes well.
fn run(rollout: &Rollout, fates: &[Fate]) -> Run {
    let mut world = World {
        old_runs: true,
        new_runs: false,
        live: OLD,
    };
    let mut records = Vec::new();
    let mut fates = fates.iter().copied();
    let mut gap = false;
    for _ in 0..400 {
        let decision = decide(rollout, &records);
        assert_eq!(decision, decide(rollout, &records));
        let (step, direction) = match decision {
            Decision::End(outcome) => {
                return Run {
                    records,
                    world,
                    outcome,
                    gap,
                };
            }
            Decision::Perform(step) => (step, Direction::Forward),
            Decision::Undo(step) => (step, Direction::Undo),
        };
        records.push(Record::Started { step, direction });
        let fate = fates.next().unwrap_or(Fate::Well);
        if !matches!(fate, Fate::FailsWithoutEffect | Fate::CrashBefore) {
            match direction {
                Direction::Forward => world.perform(step),
                Direction::Undo => world.undo(step),
            }
        }
        gap |= !world.serves();
        match fate {
            Fate::FailsWithEffect | Fate::FailsWithoutEffect => {
                records.push(failed(step, direction))
            }
            Fate::Well | Fate::CrashAfterRecord | Fate::EdgeForgets => {
                records.push(finished(step, direction))
            }
            Fate::CrashBefore | Fate::CrashAfterEffect => {}
        }
        if fate == Fate::EdgeForgets {
            world.live = OLD;
        }
        if !matches!(
            fate,
            Fate::Well | Fate::FailsWithEffect | Fate::FailsWithoutEffect
        ) {
            records.push(Record::TakenUp {
                live: Some(world.live),
            });
        }
    }
    panic!("never ends: {records:?}");
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let optional: Vec<_> = Step::ALL
        .into_iter()
        .filter(|step| !matches!(step, Step::Lock | Step::Start | Step::Switch | Step::Unlock))
        .collect();
    subsequence(optional, 0..=11).prop_map(|chosen| {
        let always = [Step::Lock, Step::Start, Step::Switch, Step::Unlock];
        Step::ALL
            .into_iter()
            .filter(|step| always.contains(step) || chosen.contains(step))
            .collect()
    })
}

/// The steps of a rollout that provisions and nothing else.
fn provisioning() -> impl Strategy<Value = Vec<Step>> {
    subsequence(PROVISIONING.to_vec(), 0..=4).prop_map(|chosen| {
        let always = [Step::Lock, Step::Unlock];
        let mut steps = PROVISIONING.to_vec();
        steps.retain(|step| always.contains(step) || chosen.contains(step));
        steps
    })
}

fn fates(forgets: bool) -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        12 => Just(Fate::Well),
        1 => Just(Fate::FailsWithoutEffect),
        1 => Just(Fate::FailsWithEffect),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfterEffect),
        1 => Just(Fate::CrashAfterRecord),
        u32::from(forgets) => Just(Fate::EdgeForgets),
    ];
    vec(fate, 0..40)
}

fn has(records: &[Record], wanted: impl Fn(Step, Direction) -> bool, kind: &str) -> bool {
    records.iter().any(|record| match record {
        Record::Started { step, direction } => kind == "started" && wanted(*step, *direction),
        Record::Finished {
            step, direction, ..
        } => kind == "finished" && wanted(*step, *direction),
        Record::Failed {
            step, direction, ..
        } => kind == "failed" && wanted(*step, *direction),
        _ => false,
    })
}

fn forward(records: &[Record], wanted: Step, kind: &str) -> bool {
    has(
        records,
        |step, direction| step == wanted && direction == Direction::Forward,
        kind,
    )
}

fn undo(records: &[Record], wanted: Step, kind: &str) -> bool {
    has(
        records,
        |step, direction| step == wanted && direction == Direction::Undo,
        kind,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ends_in_a_state_that_fits_its_outcome(steps in steps(), fates in fates(true)) {
        let rollout = rollout(steps);
        let Run { records, world, outcome, .. } = run(&rollout, &fates);
        let retired = forward(&records, Step::Retire, "started");
        match outcome {
            Outcome::Done => {
                prop_assert!(forward(&records, Step::Switch, "finished"));
                prop_assert!(world.new_runs);
            }
            Outcome::Undone => {
                prop_assert_eq!((world.old_runs, world.new_runs), (true, false));
                prop_assert_ne!(world.live, NEW);
                prop_assert!(!retired);
            }
            Outcome::Refused => {
                prop_assert_eq!(world, World { old_runs: true, new_runs: false, live: OLD });
                prop_assert!(!has(&records, |step, _| !step.changes_nothing(), "started"));
            }
            Outcome::NotUndone => {
                prop_assert!(retired || has(&records, |_, direction| direction == Direction::Undo, "failed"));
            }
        }
    }

    #[test]
    fn one_of_the_two_serves_at_every_moment(steps in steps(), fates in fates(false)) {
        let rollout = rollout(steps.into_iter().filter(|step| *step != Step::StopOld).collect());
        let Run { records, gap, .. } = run(&rollout, &fates);
        prop_assert!(!gap, "{records:?}");
    }

    #[test]
    fn what_was_started_is_undone_unless_it_is_done(steps in steps(), fates in fates(false)) {
        let rollout = rollout(steps);
        let Run { records, outcome, .. } = run(&rollout, &fates);
        if outcome != Outcome::Done {
            prop_assert!(!forward(&records, Step::Retire, "started"));
            let stays = undo(&records, Step::Switch, "failed");
            for step in [Step::StopOld, Step::Start, Step::Switch] {
                let tried = undo(&records, step, "finished") || undo(&records, step, "failed");
                if !(step == Step::Start && stays) {
                    prop_assert_eq!(tried, forward(&records, step, "started"), "{}: {:?}", step, records);
                }
            }
        }
    }

    #[test]
    fn without_a_switch_nothing_that_serves_is_touched(steps in provisioning(), fates in fates(false)) {
        let rollout = rollout(steps.clone());
        let Run { records, world, outcome, .. } = run(&rollout, &fates);
        prop_assert_eq!(world, World { old_runs: true, new_runs: false, live: OLD });
        prop_assert!(!has(&records, |_, direction| direction == Direction::Undo, "started"));
        // Cut off, it goes on where it was: only what failed is undone.
        let expected = if !steps.contains(&Step::Provision) {
            outcome
        } else if forward(&records, Step::Provision, "finished") {
            Outcome::Done
        } else if forward(&records, Step::Provision, "failed") {
            Outcome::Undone
        } else {
            Outcome::Refused
        };
        prop_assert_eq!(outcome, expected, "{:?}", records);
    }

    #[test]
    fn the_lock_is_given_back_last(steps in prop_oneof![steps(), provisioning()], fates in fates(true)) {
        let rollout = rollout(steps);
        let Run { records, .. } = run(&rollout, &fates);
        let last = records.iter().rev().find_map(|record| match record {
            Record::Started { step, .. } => Some(*step),
            _ => None,
        });
        if forward(&records, Step::Lock, "started") {
            prop_assert_eq!(last, Some(Step::Unlock));
        }
    }

    #[test]
    fn nothing_is_done_without_the_lock_after_a_crash(steps in prop_oneof![steps(), provisioning()], fates in fates(true)) {
        let rollout = rollout(steps);
        let Run { records, .. } = run(&rollout, &fates);
        for (index, record) in records.iter().enumerate() {
            let next = records.get(index + 1);
            if let (Record::TakenUp { .. }, Some(Record::Started { step, .. })) = (record, next)
                && forward(&records[..index], Step::Lock, "started")
            {
                prop_assert!(matches!(step, Step::Lock | Step::Unlock), "{step} after {index}: {records:?}");
            }
        }
    }

    #[test]
    fn every_prefix_can_be_taken_up(steps in prop_oneof![steps(), provisioning()], fates in fates(true), cut in 0usize..200, live in 5u64..9) {
        let rollout = rollout(steps);
        let mut records = run(&rollout, &fates).records;
        records.truncate(cut);
        records.push(Record::TakenUp { live: Some(Generation(live)) });
        for _ in 0..40 {
            let record = match decide(&rollout, &records) {
                Decision::End(_) => return Ok(()),
                Decision::Perform(step) => finished(step, Direction::Forward),
                Decision::Undo(step) => finished(step, Direction::Undo),
            };
            records.push(record);
        }
        prop_assert!(false, "never ends: {:?}", records);
    }

    #[test]
    fn never_turns_from_back_to_forward(steps in prop_oneof![steps(), provisioning()], fates in fates(true)) {
        let rollout = rollout(steps);
        let records = run(&rollout, &fates).records;
        let back: Vec<_> =
            (0..=records.len()).map(|end| direction(&rollout, &records[..end]) == Direction::Undo).collect();
        prop_assert!(back.is_sorted());
    }
}

const ALL: [Step; 16] = Step::ALL;

const PROVISIONING: [Step; 4] = [Step::Preflight, Step::Lock, Step::Provision, Step::Unlock];

#[test]
fn a_rollout_that_goes_well_performs_all_steps_in_order() {
    let rollout = rollout(ALL.to_vec());
    let run = run(&rollout, &[]);
    let performed: Vec<_> = run
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Started {
                step,
                direction: Direction::Forward,
            } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(performed, ALL);
    assert_eq!(run.outcome, Outcome::Done);
}

#[test]
fn a_failure_turns_the_rollout_around_unless_only_tidying_is_left() {
    for (index, step) in ALL.into_iter().enumerate() {
        let mut fates = vec![Fate::Well; index];
        fates.push(Fate::FailsWithEffect);
        let rollout = rollout(ALL.to_vec());
        let run = run(&rollout, &fates);
        let expected = match step {
            Step::Preflight | Step::Lock => Outcome::Refused,
            Step::Retire | Step::After | Step::Unlock => Outcome::Done,
            _ => Outcome::Undone,
        };
        assert_eq!(run.outcome, expected, "{step}");
        let cause = cause(&rollout, &run.records).map(|failure| failure.message.clone());
        assert_eq!(
            cause,
            (expected != Outcome::Done).then(|| format!("{step} failed"))
        );
    }
}

#[test]
fn the_undo_goes_back_in_reverse_order() {
    let mut fates = vec![Fate::Well; 9];
    fates.push(Fate::FailsWithoutEffect);
    let run = run(&rollout(ALL.to_vec()), &fates);
    let undone: Vec<_> = run
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Finished {
                step,
                direction: Direction::Undo,
                ..
            } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(undone, [Step::Switch, Step::Start, Step::StopOld]);
}

#[test]
fn an_undo_that_fails_leaves_what_the_traffic_is_on() {
    let steps = vec![
        Step::Lock,
        Step::StopOld,
        Step::Start,
        Step::Switch,
        Step::Smoke,
        Step::Unlock,
    ];
    let fates = [
        Fate::Well,
        Fate::Well,
        Fate::Well,
        Fate::Well,
        Fate::FailsWithoutEffect,
        Fate::FailsWithoutEffect,
    ];
    let run = run(&rollout(steps), &fates);
    assert_eq!(run.outcome, Outcome::NotUndone);
    assert_eq!(
        run.world,
        World {
            old_runs: true,
            new_runs: true,
            live: NEW
        }
    );
}

#[test]
fn taken_up_after_the_switch_it_goes_on_and_before_it_goes_back() {
    for (index, step) in ALL.into_iter().enumerate() {
        let mut fates = vec![Fate::Well; index];
        fates.push(Fate::CrashAfterEffect);
        let run = run(&rollout(ALL.to_vec()), &fates);
        let expected = match step {
            Step::Preflight | Step::Lock => Outcome::Refused,
            before if before < Step::Switch => Outcome::Undone,
            _ => Outcome::Done,
        };
        assert_eq!(run.outcome, expected, "{step}");
    }
}

#[test]
fn taken_up_without_a_switch_it_goes_on_once_it_changed_something() {
    for (index, step) in PROVISIONING.into_iter().enumerate() {
        for crash in [
            Fate::CrashBefore,
            Fate::CrashAfterEffect,
            Fate::CrashAfterRecord,
        ] {
            let mut fates = vec![Fate::Well; index];
            fates.push(crash);
            let run = run(&rollout(PROVISIONING.to_vec()), &fates);
            let expected = match step {
                Step::Preflight | Step::Lock => Outcome::Refused,
                _ => Outcome::Done,
            };
            assert_eq!(run.outcome, expected, "{step} {crash:?}");
        }
    }
}

#[test]
fn a_journal_that_ends_stays_as_it_ended() {
    let rollout = rollout(ALL.to_vec());
    let records = [
        Record::Ended {
            outcome: Outcome::Refused,
        },
        Record::TakenUp { live: Some(NEW) },
    ];
    assert_eq!(decide(&rollout, &records), Decision::End(Outcome::Refused));
}

#[test]
fn step_words_are_those_of_the_journal() {
    for step in ALL {
        assert_eq!(serde_json::to_string(&step).unwrap(), format!("\"{step}\""));
    }
}

/// The records of a rollout of all steps up to the start of `last`, which was cut off.
fn cut_off_in(last: Step) -> Vec<Record> {
    let mut records = Vec::new();
    for step in ALL {
        records.push(Record::Started {
            step,
            direction: Direction::Forward,
        });
        if step == last {
            break;
        }
        records.push(finished(step, Direction::Forward));
    }
    records
}

#[test]
fn the_traffic_of_another_generation_doesn_t_make_a_rollout_go_on_that_never_switched() {
    let rollout = rollout(ALL.to_vec());
    let mut records = cut_off_in(Step::Verify);
    records.push(Record::TakenUp { live: Some(BACK) });
    retaken(&rollout, &mut records);
    assert_eq!(decide(&rollout, &records), Decision::Undo(Step::Start));
}

#[test]
fn once_the_old_release_may_be_gone_there_is_no_way_back() {
    let rollout = rollout(ALL.to_vec());
    let mut records = cut_off_in(Step::Retire);
    // The edge lost what it was told: it is told again.
    records.push(Record::TakenUp { live: Some(OLD) });
    retaken(&rollout, &mut records);
    assert_eq!(decide(&rollout, &records), Decision::Perform(Step::Switch));
    let mut well = records.clone();
    well.push(finished(Step::Switch, Direction::Forward));
    assert_eq!(decide(&rollout, &well), Decision::Perform(Step::Retire));
    // And where that fails, what may be the only one that runs is left running.
    records.push(failed(Step::Switch, Direction::Forward));
    assert_eq!(decide(&rollout, &records), Decision::Perform(Step::Unlock));
    records.push(finished(Step::Unlock, Direction::Forward));
    assert_eq!(
        decide(&rollout, &records),
        Decision::End(Outcome::NotUndone)
    );
}

#[test]
fn a_rollout_with_nothing_left_to_do_is_done_whatever_is_live_meanwhile() {
    let rollout = rollout(ALL.to_vec());
    let mut records = cut_off_in(Step::Unlock);
    records.push(finished(Step::Unlock, Direction::Forward));
    records.push(Record::TakenUp { live: None });
    assert_eq!(decide(&rollout, &records), Decision::End(Outcome::Done));
}

/// Takes the lock of a rollout that was taken up.
fn retaken(rollout: &Rollout, records: &mut Vec<Record>) {
    assert_eq!(decide(rollout, records), Decision::Perform(Step::Lock));
    records.push(finished(Step::Lock, Direction::Forward));
}

#[test]
fn taken_up_it_takes_its_lock_again_and_goes_on_where_that_fails() {
    let rollout = rollout(ALL.to_vec());
    for (last, next) in [
        (Step::Verify, Decision::Undo(Step::Start)),
        (Step::Smoke, Decision::Perform(Step::Smoke)),
        (Step::Unlock, Decision::Perform(Step::Unlock)),
    ] {
        let mut records = cut_off_in(last);
        let live = if last < Step::Switch { OLD } else { NEW };
        records.push(Record::TakenUp { live: Some(live) });
        // Cut off while it takes it, too.
        records.push(Record::Started {
            step: Step::Lock,
            direction: Direction::Forward,
        });
        records.push(Record::TakenUp { live: Some(live) });
        let mut locked = records.clone();
        retaken(&rollout, &mut locked);
        assert_eq!(decide(&rollout, &locked), next);
        records.push(failed(Step::Lock, Direction::Forward));
        assert_eq!(decide(&rollout, &records), next);
    }
    // Where nothing was changed there is nothing to lock for.
    let mut records = cut_off_in(Step::Lock);
    records.push(Record::TakenUp { live: Some(OLD) });
    assert_eq!(decide(&rollout, &records), Decision::Perform(Step::Unlock));
}
