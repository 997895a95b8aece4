//! Starting a supervisor that is nobody's child: in a session of its own, with nothing inherited.
//!
//! The program executes itself twice: the first makes a session and ends, so that the second
//! belongs to the system's first process and can never get a terminal. What it has to say until it
//! listens comes through its standard output.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use rustix::fs::{MemfdFlags, Mode, OFlags};

use super::{
    command::{self, ALREADY_RUNS},
    launch::own_program,
    serve::{self, Refusal},
    system,
};

/// The argument of the first execution.
pub const SESSION: &str = "detach-session";
/// The argument of the second.
pub const SUPERVISOR: &str = "detach-supervisor";

const LISTENS: &str = "listens";
const HELD: &str = "already runs";

/// What the caller sees: starts one and waits until it listens.
pub fn start(folder: &Path) -> ExitCode {
    match try_start(folder) {
        Ok(said) if said == LISTENS => ExitCode::SUCCESS,
        Ok(said) if said == HELD => {
            command::complain(&format!(
                "a supervisor already runs on {}",
                folder.display()
            ));
            ExitCode::from(ALREADY_RUNS)
        }
        Ok(said) if said.is_empty() => {
            command::complain("the supervisor ended before it listened");
            ExitCode::FAILURE
        }
        Ok(said) | Err(said) => {
            command::complain(&said);
            ExitCode::FAILURE
        }
    }
}

fn try_start(folder: &Path) -> Result<String, String> {
    let folder: PathBuf = folder
        .canonicalize()
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    system::close_inherited_on_exec();
    let failed = |error: io::Error| format!("a supervisor can't be started: {error}");
    let mut sensitive = File::from(
        rustix::fs::memfd_create("sensitive", MemfdFlags::CLOEXEC)
            .map_err(|error| failed(error.into()))?,
    );
    io::copy(&mut io::stdin().lock(), &mut sensitive)
        .and_then(|_| sensitive.rewind())
        .map_err(failed)?;
    let (mut report, said) = io::pipe().map_err(failed)?;
    let mut first = Command::new(own_program())
        .arg(SESSION)
        .arg(&folder)
        .env_clear()
        .current_dir("/")
        .stdin(sensitive)
        .stdout(said)
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    first.wait().map_err(failed)?;
    let mut said = String::new();
    report.read_to_string(&mut said).map_err(failed)?;
    Ok(said)
}

/// The first execution: a session, and the second.
pub fn session(folder: &Path) -> ExitCode {
    let started = rustix::process::setsid()
        .map_err(io::Error::from)
        .and_then(|_| {
            Command::new(own_program())
                .arg0_named()
                .arg(SUPERVISOR)
                .arg(folder)
                .spawn()
                .map(drop)
        });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = write!(io::stdout(), "a supervisor can't be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// So that `ps` shows the program's name rather than `/proc/self/exe`.
trait Named {
    fn arg0_named(&mut self) -> &mut Self;
}

impl Named for Command {
    fn arg0_named(&mut self) -> &mut Self {
        std::os::unix::process::CommandExt::arg0(self, "landfall-supervise")
    }
}

/// The second execution: the supervisor.
pub fn supervisor(folder: &Path) -> ExitCode {
    let sensitive = serve::read_sensitive(io::stdin().lock());
    // Before anything is set up: what writes to standard output must not get hold of the pipe, whose
    // end the caller waits for.
    let Ok(report) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3) else {
        return ExitCode::FAILURE;
    };
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let quiet = nothing.and_then(|nothing| {
        rustix::stdio::dup2_stdin(&nothing)?;
        rustix::stdio::dup2_stdout(&nothing)?;
        rustix::stdio::dup2_stderr(&nothing)
    });
    let set_up = quiet
        .map_err(|error| Refusal::Failed(format!("/dev/null: {}", io::Error::from(error))))
        .and_then(|()| sensitive.map_err(Refusal::from))
        .and_then(|sensitive| {
            serve::set_up(folder, sensitive.unwrap_or_default(), Vec::new(), &[])
        });
    let (said, ready) = match set_up {
        Ok(ready) => (LISTENS.to_owned(), Some(ready)),
        Err(Refusal::AlreadyRuns) => (HELD.to_owned(), None),
        Err(Refusal::Failed(why)) => (why, None),
    };
    let _ = rustix::io::write(&report, said.as_bytes());
    drop(report);
    match ready {
        Some(ready) => command::outcome(ready.run()),
        None => ExitCode::FAILURE,
    }
}
