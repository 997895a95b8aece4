//! `exec`: becoming a command whose environment comes in a file that is read once, so that nothing
//! secret stands in a container's configuration or in anyone's arguments.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
};

use landfall_supervise::specification::Execution;
use rustix::fs::{Mode, OFlags};

use super::command::complain;

/// An environment may be this large.
const MOST: u64 = 64 * 1024 * 1024;

/// The exit code where the file isn't as it should be.
const NOT_TOLD: u8 = 125;
/// The one for what is there and can't be executed.
const NOT_EXECUTED: u8 = 126;
/// The one for what isn't there.
const NOT_FOUND: u8 = 127;

/// Becomes the command; comes back only where that fails.
pub fn execute(file: &Path, command: &[OsString]) -> ExitCode {
    let execution = match take(file) {
        Ok(execution) => execution,
        Err(why) => {
            complain(&why);
            return ExitCode::from(NOT_TOLD);
        }
    };
    let Some((program, arguments)) = command.split_first() else {
        complain("no command");
        return ExitCode::from(NOT_TOLD);
    };
    if let Some(directory) = &execution.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        complain(&format!("folder {}: {error}", directory.display()));
        return ExitCode::from(NOT_EXECUTED);
    }
    let mut becoming = Command::new(program);
    becoming.args(arguments).env_clear();
    // A container's user has a home that only the container knows.
    if let Some(home) = std::env::var_os("HOME") {
        becoming.env("HOME", home);
    }
    if execution.keep_terminal
        && let Some(terminal) = std::env::var_os("TERM")
    {
        becoming.env("TERM", terminal);
    }
    becoming.envs(&execution.environment);
    let error = becoming.exec();
    let path = execution.environment.get("PATH").map(OsString::from);
    let (code, words) = said(program, path.as_deref(), &error);
    complain(&words);
    ExitCode::from(code)
}

/// Reads the file, which is gone afterwards.
fn take(file: &Path) -> Result<Execution, String> {
    let failed = |error: io::Error| format!("{}: {error}", file.display());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = rustix::fs::open(file, flags, Mode::empty());
    let opened = File::from(opened.map_err(|error| failed(error.into()))?);
    let mode = opened.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 && !shared(file) {
        return Err(format!(
            "{}: others may read it; it must be its owner's alone (0600)",
            file.display()
        ));
    }
    let mut text = Vec::new();
    opened.take(MOST).read_to_end(&mut text).map_err(failed)?;
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(format!(
                "{}: can't be removed after reading: {error}",
                file.display()
            ));
        }
        _ => {}
    }
    // Only where it is wrong: the message of the parser may quote a value.
    serde_json::from_slice(&text).map_err(|error| {
        format!(
            "{} is not what it should be, at line {} column {}",
            file.display(),
            error.line(),
            error.column()
        )
    })
}

/// Whether a file stands in a folder that several users share: everyone may write there, and what
/// guards it is the folder above. One like `/tmp`, where each has files of his own, is none.
fn shared(file: &Path) -> bool {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    fs::metadata(folder.unwrap_or(Path::new(".")))
        .is_ok_and(|folder| folder.permissions().mode() & 0o1002 == 0o0002)
}

/// The exit code as a shell gives it, and what to say.
fn said(program: &OsStr, path: Option<&OsStr>, error: &io::Error) -> (u8, String) {
    let name = Path::new(program).display();
    if error.kind() != io::ErrorKind::NotFound {
        return (NOT_EXECUTED, format!("{name}: {error}"));
    }
    if let Some(found) = find(program, path) {
        // The system names the file, though what is missing is what should run it.
        let words = format!(
            "{}: it is there, but the interpreter or dynamic linker that it names is not",
            found.display()
        );
        return (NOT_FOUND, words);
    }
    let words = match path {
        _ if program.as_encoded_bytes().contains(&b'/') => format!("{name}: {error}"),
        Some(path) => format!("{name}: not found in PATH ({})", Path::new(path).display()),
        None => format!("{name}: not found, and the environment has no PATH"),
    };
    (NOT_FOUND, words)
}

fn find(program: &OsStr, path: Option<&OsStr>) -> Option<std::path::PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        let program = Path::new(program);
        return program.exists().then(|| program.to_owned());
    }
    let folders = std::env::split_paths(path?);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
