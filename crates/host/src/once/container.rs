//! A command that runs once, in a container of its own.

use std::{io, time::Duration};

use landfall_containers::{ContainerSpecification, Engine, Output};
use landfall_redact::Masker;
use landfall_release::Failure;
use landfall_supervise::{
    segment::Stream,
    specification::{Execution, INSTANCE_VARIABLE},
};
use tokio::time::{sleep, timeout};

use super::{
    Ended, GRACE, Once,
    output::{Cutting, Log},
};
use crate::{
    home::make_folder,
    runtime::{self, SUPERVISOR},
};

/// Runs it to its end. The container goes with it, also when this is dropped before.
pub async fn run_in(
    engine: &Engine,
    container: &ContainerSpecification,
    once: &Once<'_>,
) -> Result<Ended, Failure> {
    let failed = |error: io::Error| Failure::new("host-failed", error.to_string());
    make_folder(once.logs).map_err(failed)?;
    let mut environment = once.environment.whole();
    environment.insert(INSTANCE_VARIABLE.to_owned(), once.instance.to_owned());
    let execution = Execution {
        environment,
        directory: Some(once.directory.to_owned()),
        ..Execution::default()
    };
    let file = runtime::execution_file(once.folder, &execution).map_err(failed)?;
    let mut container = container.clone();
    container.command = [SUPERVISOR, "exec", &file.inside, "--"]
        .map(str::to_owned)
        .to_vec();
    container.command.extend_from_slice(once.command);

    let (masker, _) = Masker::new(
        once.mask
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let mut log = Log::open(once.logs, once.instance, once.process).map_err(failed)?;
    let mut output = Cutting::new(Stream::Output, &masker);
    let mut errors = Cutting::new(Stream::Error, &masker);
    let mut unwritten = None;
    let mut timed_out = false;
    let run = engine.run_once(&container, None, |from, bytes| {
        let cutting = match from {
            Output::Standard => &mut output,
            Output::Error => &mut errors,
        };
        if let Err(error) = cutting.take(bytes, &mut log) {
            unwritten.get_or_insert(error);
        }
    });
    let ended = {
        let mut run = std::pin::pin!(run);
        let late = async {
            match once.limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut run => ended?,
            () = late => {
                timed_out = true;
                engine.signal(&container.name, "SIGTERM").await?;
                match timeout(GRACE, &mut run).await {
                    Ok(ended) => ended?,
                    Err(_) => {
                        engine.kill(&container.name).await?;
                        run.await?
                    }
                }
            }
        }
    };
    for cutting in [output, errors] {
        let mut cutting = cutting;
        if let Err(error) = cutting.finish(&mut log) {
            unwritten.get_or_insert(error);
        }
    }
    if let Some(error) = unwritten {
        return Err(failed(error));
    }
    Ok(Ended {
        said: said(&ended, timed_out, once.limit, container.memory),
        well: ended.exit_code == 0 && !timed_out,
        code: i32::try_from(ended.exit_code).ok(),
        timed_out,
        last_words: log.last_words(),
    })
}

fn said(
    ended: &landfall_containers::Ended,
    timed_out: bool,
    limit: Option<Duration>,
    memory: Option<u64>,
) -> String {
    if timed_out {
        let limit = limit.unwrap_or_default();
        return format!("it took longer than {} s", limit.as_secs_f64());
    }
    match memory.filter(|_| ended.oom_killed && ended.exit_code != 0) {
        Some(memory) => format!("it ran out of memory, limit {} MiB", memory >> 20),
        None => format!("exit {}", ended.exit_code),
    }
}
