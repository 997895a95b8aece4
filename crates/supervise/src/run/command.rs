//! The command line.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use landfall_supervise::{
    client::Client,
    control::{Answer, Request},
    specification::files,
    state::Ended,
};

use super::{
    input::Input,
    serve::{self, Refusal},
    system,
};

/// The exit code for a lock that is held.
pub const ALREADY_RUNS: u8 = 3;
/// The argument that makes this program become a command.
pub const EXECUTE: &str = "exec";
/// The exit code for wrong usage.
const USAGE: u8 = 2;

/// As where somebody else than the host has started a container again.
const NOTHING_GIVEN: &str = "Nothing was given on standard input: the processes run without the values that contain secrets, and no line is masked.";

const HELP: &str = "\
Supervises the processes of one service.

landfall-supervise run FOLDER|FILE.json [--sensitive-stdin|--inherit]   in the foreground, or as
                                     process 1; --inherit gives each process its own environment, too
landfall-supervise start FOLDER      in the background; secrets as JSON on standard input
landfall-supervise state FOLDER      how it is, as JSON
landfall-supervise restart FOLDER [PROCESS]
landfall-supervise stop FOLDER       returns when it has ended
landfall-supervise exec FILE -- COMMAND…   becomes the command, with the environment and in the
                                     folder that FILE says, as JSON; FILE is removed first
landfall-supervise --version | --help

FOLDER holds specification.json. Exit codes: 0 done or ended as asked; 1 failed, or a process was
given up; 2 wrong usage; 3 a supervisor already runs on the folder; of exec, before the command's
own: 125 FILE is not as it should be; 126 the command can't be executed; 127 it isn't there.
";

/// Says something went wrong.
pub fn complain(what: &str) {
    // Standard error may be closed: nothing else can be done then.
    let _ = writeln!(io::stderr(), "landfall-supervise: {what}");
}

/// The exit code of a supervisor.
pub fn outcome(ended: io::Result<Ended>) -> ExitCode {
    match ended {
        Ok(Ended::Stopped | Ended::Finished) => ExitCode::SUCCESS,
        Ok(Ended::GaveUp { .. }) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Does what the arguments say.
pub fn command(arguments: &[&str]) -> ExitCode {
    // Only a supervisor takes signals from its loop.
    if arguments.first() != Some(&"run") && system::unblock_signals().is_err() {
        return ExitCode::FAILURE;
    }
    match arguments {
        ["--version" | "-V"] => print(concat!(
            "landfall-supervise ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
        ["--help" | "-h" | "help"] => print(HELP),
        ["run", place] => run(Path::new(place), false, &[]),
        ["run", place, "--sensitive-stdin"] | ["run", "--sensitive-stdin", place] => {
            run(Path::new(place), true, &[])
        }
        ["run", place, "--inherit"] | ["run", "--inherit", place] => {
            // What is no text is nothing that a specification could say either.
            let own = std::env::vars_os();
            let own: Vec<(String, String)> = own
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect();
            run(Path::new(place), false, &own)
        }
        ["start", folder] => super::detach::start(Path::new(folder)),
        ["state", folder] => report(state(Path::new(folder))),
        ["stop", folder] => report(stop(Path::new(folder))),
        ["restart", folder] => report(restart(Path::new(folder), None)),
        ["restart", folder, process] => report(restart(Path::new(folder), Some(process))),
        _ => {
            let _ = io::stderr().write_all(HELP.as_bytes());
            ExitCode::from(USAGE)
        }
    }
}

fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn report(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn run(place: &Path, with_sensitive: bool, inherited: &[(String, String)]) -> ExitCode {
    let set_up = || {
        let place = place
            .canonicalize()
            .map_err(|error| format!("{}: {error}", place.display()))?;
        let mut notes = Vec::new();
        let mut sensitive = None;
        if with_sensitive {
            sensitive = serve::read_sensitive(Input::new()?)?;
            if sensitive.is_none() {
                notes.push(NOTHING_GIVEN.to_owned());
            }
        }
        serve::set_up(&place, sensitive.unwrap_or_default(), notes, inherited)
    };
    match set_up() {
        Ok(ready) => outcome(ready.run()),
        Err(Refusal::AlreadyRuns) => {
            complain(&format!("a supervisor already runs on {}", place.display()));
            ExitCode::from(ALREADY_RUNS)
        }
        Err(Refusal::Failed(why)) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn connect(folder: &Path) -> Result<Client, String> {
    Client::connect(folder)
        .map_err(|error| format!("no supervisor answers on {}: {error}", folder.display()))
}

fn state(folder: &Path) -> Result<(), String> {
    let (text, running) = match connect(folder) {
        Ok(mut client) => {
            let state = client.state().map_err(|error| error.to_string())?;
            (
                serde_json::to_string_pretty(&state).map_err(|error| error.to_string())?,
                Ok(()),
            )
        }
        Err(why) => {
            let path = folder.join(files::STATE);
            let Ok(text) = fs::read_to_string(path) else {
                return Err(why);
            };
            (text, Err(format!("{why}; this is its last state")))
        }
    };
    let _ = writeln!(io::stdout(), "{text}");
    running
}

fn accepted(client: &mut Client, request: &Request) -> Result<(), String> {
    client.send(request).map_err(|error| error.to_string())?;
    match client.receive() {
        Ok(Some(Answer::Accepted)) => Ok(()),
        Ok(Some(Answer::Refused { reason })) => Err(reason),
        Ok(other) => Err(format!("an answer that doesn't fit: {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn stop(folder: &Path) -> Result<(), String> {
    let mut client = connect(folder)?;
    accepted(&mut client, &Request::Stop)?;
    // The end of the connection is its end.
    while let Ok(Some(_)) = client.receive() {}
    Ok(())
}

fn restart(folder: &Path, process: Option<&str>) -> Result<(), String> {
    accepted(
        &mut connect(folder)?,
        &Request::Restart {
            process: process.map(str::to_owned),
        },
    )
}
