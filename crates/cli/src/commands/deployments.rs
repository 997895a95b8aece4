//! `landfall releases` and `landfall deployments [ID]`.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use landfall_api::wire::{DeploymentDetail, DeploymentSummary, ReleaseSummary};
use landfall_release::{Direction, Record};

use crate::{
    app_file,
    arguments::Deployments,
    context::Context,
    host,
    report::{self, Result},
    view::{plain, table::Table},
};

/// `landfall releases`
pub fn releases(context: &Context) -> Result {
    let place = app_file::place(context)?;
    let client = host::client(&context.environment);
    let releases: Vec<ReleaseSummary> =
        context.block_on(async { Ok(client.get(&place.path("releases")).await?) })?;
    if context.output.json() {
        context.output.data("releases", &releases);
        return Ok(());
    }
    let now = plain::now();
    let mut table = Table::new(0);
    table.row(["RELEASE", "MADE BY", "CODE", "WHEN", "STATE"]);
    for release in &releases {
        let subject = release.source.subject.as_deref().unwrap_or_default();
        table.row([
            release.number.to_string(),
            release.made_by.clone(),
            format!(
                "{} {}",
                plain::source(&release.source),
                shortened(&report::clean(subject), 48)
            ),
            plain::ago(release.created_at, now),
            state(release).to_owned(),
        ]);
    }
    context.output.print(&table.render());
    Ok(())
}

/// What a release is good for now.
fn state(release: &ReleaseSummary) -> &'static str {
    match release {
        release if release.live => "live",
        release if release.pruned => "pruned",
        release if !release.served => "never served",
        _ => "kept",
    }
}

/// `landfall deployments [ID]`
pub fn run(context: &Context, arguments: &Deployments) -> Result {
    let place = app_file::place(context)?;
    let client = host::client(&context.environment);
    match arguments.number {
        Some(number) => {
            let path = place.path(&format!("deployments/{number}"));
            let detail: DeploymentDetail =
                context.block_on(async { Ok(client.get(&path).await?) })?;
            if context.output.json() {
                context.output.data("deployment", &detail);
            } else {
                context.output.print(&render(
                    &detail,
                    &TimeZone::system(),
                    context.output.colour(),
                ));
            }
        }
        None => {
            let path = place.path("deployments");
            let list: Vec<DeploymentSummary> =
                context.block_on(async { Ok(client.get(&path).await?) })?;
            if context.output.json() {
                context.output.data("deployments", &list);
            } else {
                context.output.print(&render_list(&list, plain::now()));
            }
        }
    }
    Ok(())
}

fn render_list(list: &[DeploymentSummary], now: u64) -> String {
    let mut table = Table::new(0);
    table.row(["ID", "WHAT", "RELEASE", "BY", "WHEN", "TOOK", "OUTCOME"]);
    for deployment in list {
        let took = deployment
            .ended_at
            .map(|end| plain::took(end.saturating_sub(deployment.started_at)));
        let failure = deployment
            .failure
            .as_ref()
            .map(|failure| format!(": {}", failure.name))
            .unwrap_or_default();
        table.row([
            deployment.number.to_string(),
            plain::purpose(deployment.purpose).to_owned(),
            transition(deployment),
            deployment.by.clone(),
            plain::ago(deployment.started_at, now),
            took.unwrap_or_default(),
            format!("{}{failure}", plain::outcome(deployment.outcome)),
        ]);
    }
    table.render()
}

fn transition(deployment: &DeploymentSummary) -> String {
    match deployment.from {
        Some(from) => format!("{from} → {}", deployment.release),
        None => deployment.release.to_string(),
    }
}

fn render(detail: &DeploymentDetail, zone: &TimeZone, colour: bool) -> String {
    let summary = &detail.summary;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Deployment {}: {} of release {} by {}, {}: {}",
        summary.number,
        plain::purpose(summary.purpose),
        transition(summary),
        summary.by,
        plain::clock(summary.started_at, zone),
        plain::outcome(summary.outcome)
    );
    let mut table = Table::new(2);
    for step in &detail.prepared {
        table.row([
            "✓",
            step.step.as_str(),
            &plain::took(step.took),
            &report::clean(&step.said),
        ]);
    }
    for (index, record) in detail.records.iter().enumerate() {
        let name = |step, direction: Direction| match direction {
            Direction::Forward => plain::step(step),
            Direction::Undo => format!("undo {}", plain::step(step)),
        };
        match record {
            // Its end says the same and more; only one without an end is worth a line.
            Record::Started { step, direction } if !ended(&detail.records[index + 1..], record) => {
                let later = &detail.records[index + 1..];
                let taken_up = later
                    .iter()
                    .any(|record| matches!(record, Record::TakenUp { .. }));
                let how = match summary.outcome {
                    None if !taken_up => "running",
                    _ => "cut off",
                };
                table.row(["…", name(*step, *direction).as_str(), "", how]);
            }
            Record::Started { .. } => {}
            Record::Finished {
                step,
                direction,
                took,
                said,
            } => {
                table.row([
                    "✓",
                    name(*step, *direction).as_str(),
                    &plain::took(*took),
                    &report::clean(said),
                ]);
            }
            Record::Failed {
                step,
                direction,
                took,
                failure,
            } => {
                table.row([
                    "✗",
                    name(*step, *direction).as_str(),
                    &plain::took(*took),
                    failure.name.as_str(),
                ]);
            }
            Record::TakenUp { live } => {
                let live = live.map_or("nothing live".to_owned(), |live| {
                    format!("generation {live} live")
                });
                table.row(["", "taken up", "", live.as_str()]);
            }
            Record::Ended { outcome } => {
                table.row(["", "ended", "", plain::outcome(Some(*outcome))])
            }
        }
    }
    text.push_str(&table.render());
    if let Some(failure) = &summary.failure {
        text.push_str(&report::render(failure, colour));
    }
    text
}

fn ended(later: &[Record], started: &Record) -> bool {
    let Record::Started { step, direction } = started else {
        return false;
    };
    later.iter().any(|record| match record {
        Record::Finished {
            step: other,
            direction: towards,
            ..
        }
        | Record::Failed {
            step: other,
            direction: towards,
            ..
        } => other == step && towards == direction,
        _ => false,
    })
}

fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_release::{DeploymentNumber, Failure, Outcome, Purpose, ReleaseNumber, Step};

    #[test]
    fn a_failed_deployment_whole() {
        let failure = Failure::new("wrong-port", "api listens on 3000, expected 8000")
            .with("mend", "use $PORT");
        let (step, direction) = (Step::Verify, Direction::Forward);
        let detail = DeploymentDetail {
            summary: DeploymentSummary {
                number: DeploymentNumber(13),
                purpose: Purpose::Deploy,
                release: ReleaseNumber(13),
                from: Some(ReleaseNumber(12)),
                by: "ann@desk".to_owned(),
                started_at: 0,
                ended_at: Some(31_000),
                outcome: Some(Outcome::Undone),
                failure: Some(failure.clone()),
            },
            prepared: Vec::new(),
            records: vec![
                Record::Started {
                    step: Step::Start,
                    direction,
                },
                Record::Finished {
                    step: Step::Start,
                    direction,
                    took: 200,
                    said: "beside release 12".to_owned(),
                },
                Record::Started { step, direction },
                Record::Failed {
                    step,
                    direction,
                    took: 30_000,
                    failure: Box::new(failure),
                },
                Record::Started {
                    step: Step::Start,
                    direction: Direction::Undo,
                },
                Record::Ended {
                    outcome: Outcome::Undone,
                },
            ],
        };
        let zone = TimeZone::UTC;
        insta::assert_snapshot!(render(&detail, &zone, false), @r"
        Deployment 13: deploy of release 12 → 13 by ann@desk, 1970-01-01 00:00:00: failed, undone
          ✓  start       0.2s   beside release 12
          ✗  verify      30.0s  wrong-port
          …  undo start         cut off
             ended              failed, undone
        error[wrong-port]: api listens on 3000, expected 8000
          mend            use $PORT
        ");
        assert_eq!(
            render_list(&[detail.summary], 60_000),
            "ID  WHAT    RELEASE  BY        WHEN     TOOK   OUTCOME\n\
             13  deploy  12 → 13  ann@desk  60s ago  31.0s  failed, undone: wrong-port\n"
        );
    }

    #[test]
    fn a_step_of_a_deployment_without_an_end_runs() {
        let started = Record::Started {
            step: Step::Verify,
            direction: Direction::Forward,
        };
        let mut detail = DeploymentDetail {
            summary: DeploymentSummary {
                number: DeploymentNumber(1),
                purpose: Purpose::Deploy,
                release: ReleaseNumber(1),
                from: None,
                by: "ann@desk".to_owned(),
                started_at: 0,
                ended_at: None,
                outcome: None,
                failure: None,
            },
            prepared: Vec::new(),
            records: vec![started.clone()],
        };
        let text = render(&detail, &TimeZone::UTC, false);
        assert!(text.contains("verify    running"), "{text}");
        // The host died in it, and the next one began it anew.
        detail.records = vec![started.clone(), Record::TakenUp { live: None }, started];
        let text = render(&detail, &TimeZone::UTC, false);
        assert_eq!(text.matches("cut off").count(), 1, "{text}");
        assert_eq!(text.matches("running").count(), 1, "{text}");
    }
}
