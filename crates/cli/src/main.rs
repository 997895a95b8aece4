//! `landfall`, the command.

#![forbid(unsafe_code)]

mod app_file;
mod arguments;
mod commands;
mod context;
mod environment;
mod exit;
mod explain;
mod follow;
mod host;
#[cfg(test)]
mod manual;
mod output;
mod prepare;
mod report;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    arguments::{Arguments, Global},
    context::Context,
    environment::Environment,
    exit::Exit,
    output::Output,
};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return unread(&error),
    };
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => {
            let error = error.into();
            report::report(&Output::new(&arguments.global, None), &error);
            return error.exit.into();
        }
    };
    let output = Output::new(&arguments.global, Some(&environment));
    let context = Context {
        global: arguments.global,
        environment,
        output,
    };
    match commands::run(&context, arguments.command) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            report::report(&context.output, &error);
            error.exit.into()
        }
    }
}

/// The command line is a mistake, or asks for help or the version.
fn unread(error: &clap::Error) -> ExitCode {
    let words = std::env::args_os().skip(1);
    if !error.use_stderr() || !arguments::ask_for_json(words) {
        // Standard output or standard error may be gone; then nobody reads it.
        let _ = error.print();
        return u8::try_from(error.exit_code()).map_or(Exit::Usage.into(), ExitCode::from);
    }
    let global = Global {
        json: true,
        ..Global::default()
    };
    let error = report::Error::from(error);
    report::report(&Output::new(&global, None), &error);
    error.exit.into()
}
