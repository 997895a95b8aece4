//! `landfall jobs`: what runs on a schedule, what ran, and a run by hand.

use landfall_api::{
    Client, path,
    wire::{
        LogLine, LogQuery,
        job::{JobStatus, RunBegun, RunQuery, RunRequest, RunSummary},
    },
};
use landfall_release::RunOutcome;

use crate::{
    app_file,
    arguments::{Jobs, JobsCommand, JobsHistory, JobsRun},
    context::{Context, Place},
    exit::Exit,
    host,
    report::{self, Error, Result},
    view::{jobs, log::LogView, plain},
};

pub fn run(context: &Context, arguments: &Jobs) -> Result {
    let place = app_file::place(context)?;
    let client = host::client(&context.environment);
    context.block_on(async {
        match &arguments.command {
            None | Some(JobsCommand::List) => list(context, &client, &place).await,
            Some(JobsCommand::Run(arguments)) => begin(context, &client, &place, arguments).await,
            Some(JobsCommand::History(arguments)) => {
                history(context, &client, &place, arguments).await
            }
        }
    })
}

async fn list(context: &Context, client: &Client, place: &Place) -> Result {
    let jobs: Vec<JobStatus> = client.get(&place.path("jobs")).await?;
    if context.output.json() {
        context.output.data("jobs", &jobs);
    } else if jobs.is_empty() {
        context
            .output
            .say("No jobs: what runs on a schedule is a [job.NAME] of the app file.");
    } else {
        context.output.print(&jobs::table(&jobs, plain::now()));
    }
    Ok(())
}

async fn history(
    context: &Context,
    client: &Client,
    place: &Place,
    arguments: &JobsHistory,
) -> Result {
    let query = RunQuery {
        last: arguments.last,
        wait: false,
    };
    let path = place.path(&format!("jobs/{}/runs", path::encode(&arguments.job)));
    let runs: Vec<RunSummary> = client.get(&path::query(&path, &query)).await?;
    if context.output.json() {
        context.output.data("runs", &runs);
        return Ok(());
    }
    if runs.is_empty() {
        context
            .output
            .say(format!("{} never ran yet.", arguments.job));
        return Ok(());
    }
    context.output.print(&jobs::history(&runs, plain::now()));
    let failed = runs
        .iter()
        .find(|run| run.outcome.is_some_and(RunOutcome::is_trouble) && !run.last_words.is_empty());
    if let Some(run) = failed {
        let mut text = format!("The last words of run {}:\n", run.number);
        for line in &run.last_words {
            text.push_str(&format!("  {}\n", report::clean(line)));
        }
        context.output.print(&text);
    }
    Ok(())
}

async fn begin(context: &Context, client: &Client, place: &Place, arguments: &JobsRun) -> Result {
    let job = path::encode(&arguments.job);
    let request = RunRequest {
        by: context.environment.by(),
    };
    let path = place.path(&format!("jobs/{job}/run"));
    let begun: RunBegun = client.post(&path, &request).await?;
    let number = begun.run.number;
    if arguments.detach {
        if context.output.json() {
            context.output.data("run", &begun.run);
        }
        context.output.say(format!(
            "Run {number} of {} goes on; landfall jobs history {}{} says how it ends.",
            arguments.job,
            arguments.job,
            place.flag()
        ));
        return Ok(());
    }
    let ended = follow(context, client, place, &job, &begun).await?;
    let Some(ended) = ended else {
        context
            .output
            .say(format!("Run {number} of {} goes on.", arguments.job));
        return Err(Error::said(Exit::Partial));
    };
    if context.output.json() {
        context.output.data("run", &ended);
    }
    let took = plain::took(
        ended
            .ended_at
            .unwrap_or(ended.started_at)
            .saturating_sub(ended.started_at),
    );
    match ended.outcome {
        Some(RunOutcome::Done) => {
            context
                .output
                .say(format!("{} is done after {took}.", arguments.job));
            Ok(())
        }
        _ => Err(Error::new(
            "job-failed",
            format!("{} after {took}: {}", arguments.job, ended.said),
        )
        .mend(format!(
            "its lines: landfall logs --process {}{}",
            begun.process,
            place.flag()
        ))),
    }
}

/// Prints a run's lines until it has ended; none where the user left before.
async fn follow(
    context: &Context,
    client: &Client,
    place: &Place,
    job: &str,
    begun: &RunBegun,
) -> Result<Option<RunSummary>> {
    let mut interrupt = context.interrupt()?;
    let mut view = LogView::new(&context.output, [begun.process.as_str()]);
    let mut query = LogQuery {
        service: begun.run.service.as_ref().map(ToString::to_string),
        process: Some(begun.process.clone()),
        since: Some(begun.run.started_at * 1000),
        follow: true,
        ..LogQuery::default()
    };
    let path = place.path(&format!("jobs/{job}/runs/{}", begun.run.number));
    let wait = RunQuery {
        last: None,
        wait: true,
    };
    let path = path::query(&path, &wait);
    let mut printed = 0;
    let ended: RunSummary = {
        let following = lines(client, place, &query, begun, &mut view, &mut printed, 0);
        let waiting = client.get(&path);
        tokio::pin!(following, waiting);
        tokio::select! {
            ended = &mut waiting => ended?,
            _ = interrupt.recv() => return Ok(None),
            followed = &mut following => {
                followed?;
                waiting.await?
            }
        }
    };
    // What came between the last line that was followed and the end.
    query.follow = false;
    let known = printed;
    lines(client, place, &query, begun, &mut view, &mut printed, known).await?;
    Ok(Some(ended))
}

async fn lines(
    client: &Client,
    place: &Place,
    query: &LogQuery,
    begun: &RunBegun,
    view: &mut LogView<'_>,
    printed: &mut usize,
    known: usize,
) -> Result {
    let mut lines = client
        .lines::<LogLine>(&path::query(&place.path("logs"), query))
        .await?;
    let mut count = 0;
    while let Some(line) = lines.next().await? {
        if line.instance != begun.instance {
            continue;
        }
        count += 1;
        if count > known {
            view.line(&line);
            *printed += 1;
        }
    }
    Ok(())
}
