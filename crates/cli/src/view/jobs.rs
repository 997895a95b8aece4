//! Jobs and their runs.

use landfall_api::wire::job::{JobStatus, RunSummary};
use landfall_release::RunOutcome;

use crate::{
    report,
    view::{plain, table::Table},
};

/// The table of `landfall jobs`.
pub fn table(jobs: &[JobStatus], now: u64) -> String {
    let mut table = Table::new(0);
    table.row(["JOB", "SERVICE", "SCHEDULE", "LAST RUN", "NEXT"]);
    for job in jobs {
        table.row([
            job.name.to_string(),
            job.service.to_string(),
            schedule(job),
            job.last
                .as_ref()
                .map_or_else(|| "never yet".to_owned(), |last| happened(last, now)),
            next(job, now),
        ]);
    }
    table.render()
}

/// The table of `landfall jobs history NAME`.
pub fn history(runs: &[RunSummary], now: u64) -> String {
    let mut table = Table::new(0);
    table.row(["RUN", "WHEN", "OUTCOME", "TOOK", "RELEASE", "BY"]);
    for run in runs {
        table.row([
            run.number.to_string(),
            plain::ago(run.due_at.unwrap_or(run.started_at), now),
            outcome(run),
            run.ended_at
                .filter(|_| run.release.is_some())
                .map(|ended| plain::took(ended.saturating_sub(run.started_at)))
                .unwrap_or_default(),
            run.release
                .map(|release| release.to_string())
                .unwrap_or_default(),
            run.by.clone().unwrap_or_else(|| "schedule".to_owned()),
        ]);
    }
    table.render()
}

/// What the status says of jobs: those that somebody should look at, and what comes next.
pub fn line(jobs: &[JobStatus], now: u64) -> Option<String> {
    let trouble = jobs.iter().filter_map(|job| {
        if let Some(problem) = &job.problem {
            return Some(format!("{} can't be kept: {problem}", job.name));
        }
        let last = job.last.as_ref()?;
        let shown = last.outcome.is_none_or(RunOutcome::is_trouble);
        shown.then(|| format!("{} {}", job.name, happened(last, now)))
    });
    let mut said: Vec<String> = trouble.collect();
    let next = jobs
        .iter()
        .filter_map(|job| Some((job.next?, &job.name)))
        .min();
    if let Some((at, name)) = next {
        said.push(format!("next: {name} {}", until(at, now)));
    }
    match said.as_slice() {
        [] => None,
        said => Some(format!("Jobs: {}", said.join("; "))),
    }
}

/// How a run went and when: `failed 2 h ago: exit 3`.
fn happened(run: &RunSummary, now: u64) -> String {
    match run.outcome {
        None => format!("began {}, goes on", plain::ago(run.started_at, now)),
        Some(RunOutcome::Done) => format!("done {}", plain::ago(run.started_at, now)),
        Some(outcome) => {
            let when = plain::ago(run.due_at.unwrap_or(run.started_at), now);
            let what = outcome.as_str().replace('-', " ");
            format!("{what} {when}: {}", report::clean(&run.said))
        }
    }
}

fn outcome(run: &RunSummary) -> String {
    match run.outcome {
        None => "goes on".to_owned(),
        Some(RunOutcome::Done) => "done".to_owned(),
        Some(outcome) => {
            let what = outcome.as_str().replace('-', " ");
            format!("{what}: {}", report::clean(&run.said))
        }
    }
}

fn schedule(job: &JobStatus) -> String {
    let words = job.words.trim_end_matches('.');
    match words {
        "" => format!("{} ({})", job.schedule, job.timezone),
        words => format!("{words}, {} ({})", job.timezone, job.schedule),
    }
}

fn next(job: &JobStatus, now: u64) -> String {
    match (&job.problem, job.next) {
        (Some(problem), _) => problem.clone(),
        (None, Some(at)) => until(at, now),
        (None, None) => "not while the app is stopped".to_owned(),
    }
}

fn until(at: u64, now: u64) -> String {
    format!("in {}", plain::lasting(at.saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use landfall_release::{ReleaseNumber, RunKind};

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn job(last: Option<RunSummary>) -> JobStatus {
        JobStatus {
            name: "nightly".parse().unwrap(),
            service: "web".parse().unwrap(),
            schedule: "30 2 * * *".to_owned(),
            words: "At 02:30.".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            timeout: None,
            next: Some(13 * HOUR),
            problem: None,
            last,
        }
    }

    fn run(outcome: Option<RunOutcome>, said: &str) -> RunSummary {
        RunSummary {
            number: 7,
            kind: RunKind::Job,
            name: "nightly".to_owned(),
            by: None,
            release: Some(ReleaseNumber(2)),
            service: None,
            due_at: Some(8 * HOUR),
            started_at: 8 * HOUR,
            ended_at: outcome.map(|_| 8 * HOUR + 1500),
            outcome,
            code: None,
            said: said.to_owned(),
            last_words: Vec::new(),
        }
    }

    #[test]
    fn what_went_wrong_and_what_comes_next_is_in_the_status() {
        let line = |job| line(&[job], 10 * HOUR).unwrap();
        assert_eq!(line(job(None)), "Jobs: next: nightly in 3 h");
        let done = run(Some(RunOutcome::Done), "exit 0");
        assert_eq!(line(job(Some(done))), "Jobs: next: nightly in 3 h");
        let failed = run(Some(RunOutcome::Failed), "exit 3");
        assert_eq!(
            line(job(Some(failed))),
            "Jobs: nightly failed 2 h ago: exit 3; next: nightly in 3 h"
        );
        assert_eq!(super::line(&[], 0), None);
    }

    #[test]
    fn jobs_as_a_table() {
        let text = table(&[job(Some(run(None, "")))], 10 * HOUR);
        assert_eq!(
            text,
            "JOB      SERVICE  SCHEDULE                              LAST RUN                NEXT\n\
             nightly  web      At 02:30, Europe/Berlin (30 2 * * *)  began 2 h ago, goes on  in 3 h\n"
        );
    }

    #[test]
    fn runs_as_a_table() {
        let text = history(
            &[run(Some(RunOutcome::TimedOut), "it took longer than 5 s")],
            10 * HOUR,
        );
        assert_eq!(
            text,
            "RUN  WHEN     OUTCOME                             TOOK  RELEASE  BY\n\
             7    2 h ago  timed out: it took longer than 5 s  1.5s  2        schedule\n"
        );
    }
}
