//! The program: the processes of one service, as process 1 of a container or under the host.
#![deny(unsafe_code)]

mod run;

use std::{env, path::Path, process::ExitCode};

use run::{command, detach, execute, launch, system};

fn main() -> ExitCode {
    // Before anything else: as process 1, a signal that isn't blocked yet is lost.
    if let Err(error) = system::block_signals() {
        command::complain(&format!("signals can't be blocked: {error}"));
        return ExitCode::FAILURE;
    }
    // Executed by way of /proc/self/exe it would be called `exe`; the system keeps 15 letters.
    let _ = rustix::thread::set_name(c"landfall-superv");
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let text: Vec<_> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .collect();
    let text: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
    match text[..] {
        [launch::ARGUMENT, _] => launch::become_child(),
        [detach::SESSION, _] => detach::session(Path::new(&arguments[1])),
        [detach::SUPERVISOR, _] => detach::supervisor(Path::new(&arguments[1])),
        // As they stand: a command's arguments need not be text.
        [command::EXECUTE, _, "--", _, ..] => match system::unblock_signals() {
            Ok(()) => execute::execute(Path::new(&arguments[1]), &arguments[3..]),
            Err(_) => ExitCode::FAILURE,
        },
        _ => command::command(&text),
    }
}
