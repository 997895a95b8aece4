//! `landfall run` and `landfall exec`: a command of the user's in the app's own environment. It
//! takes this process's place, so that terminal, signals and exit code are its own.

use std::{io::IsTerminal as _, os::unix::process::CommandExt as _, process::Command};

use landfall_api::wire::{
    AppStatus, ExecutionEnvironment,
    container::{ContainerExecution, Execution, ExecutionRequest},
};

use crate::{
    app_file,
    arguments::{Exec, Run},
    context::Context,
    exit::Exit,
    host,
    report::{Error, Result},
};

/// `landfall run`
pub fn run(context: &Context, arguments: Run) -> Result {
    ours(execute(
        context,
        arguments.service,
        None,
        true,
        &arguments.command,
    ))
}

/// `landfall exec`
pub fn exec(context: &Context, arguments: Exec) -> Result {
    ours(execute(
        context,
        arguments.service,
        arguments.process,
        false,
        &arguments.command,
    ))
}

/// Every failure before the command runs is ours.
fn ours(result: Result) -> Result {
    result.map_err(|error| Error {
        exit: Exit::Ours,
        ..error
    })
}

fn execute(
    context: &Context,
    service: Option<String>,
    process: Option<String>,
    one_off: bool,
    command: &[String],
) -> Result {
    let place = app_file::place(context)?;
    let client = host::client(&context.environment);
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let execution: Execution = context.block_on(async {
        let service = match service {
            Some(service) => service,
            None => only(&client.get(&place.path("status")).await?)?,
        };
        let request = ExecutionRequest {
            service,
            process,
            one_off,
            command: command.to_vec(),
            terminal: input.is_terminal() && output.is_terminal(),
        };
        Ok(client.post(&place.path("executions"), &request).await?)
    })?;
    match execution {
        Execution::Process(execution) => become_process(&execution, command),
        Execution::Container(execution) => become_docker(&execution),
    }
}

/// The user's own docker program, which knows how to pass a terminal and signals on.
fn become_docker(execution: &ContainerExecution) -> Result {
    let error = Command::new("docker")
        .args(["--host", &execution.engine])
        .args(&execution.arguments)
        .exec();
    Err(
        Error::new("tool-missing", format!("can't execute docker: {error}"))
            .mend("install Docker's command line, so that its program docker is on PATH"),
    )
}

fn become_process(execution: &ExecutionEnvironment, command: &[String]) -> Result {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Error::new("not-executed", "no command was given"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&execution.directory)
        .env_clear()
        .envs(&execution.environment);
    // So that a shell or an editor knows the terminal that it is on.
    if let Some(terminal) = std::env::var_os("TERM") {
        command.env("TERM", terminal);
    }
    let error = command.exec();
    Err(
        Error::new("not-executed", format!("can't execute {program}: {error}"))
            .with("folder", execution.directory.display().to_string())
            .with(
                "PATH",
                execution
                    .environment
                    .get("PATH")
                    .cloned()
                    .unwrap_or_default(),
            ),
    )
}

fn only(status: &AppStatus) -> Result<String> {
    let services: Vec<&str> = status
        .services
        .iter()
        .map(|service| service.service.as_str())
        .collect();
    match services.as_slice() {
        [service] => Ok((*service).to_owned()),
        services => Err(
            Error::new("unknown-service", "which service is meant is not clear")
                .with("services", services.join(", ")),
        ),
    }
}
