//! Running the programs of a build: in a process group of their own, so that all of it can be
//! stopped, with masked output, line by line.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use landfall_redact::Masker;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::{error::BuildError, progress::Progress};

/// How many lines of output an error carries.
const LAST: usize = 20;

/// Longer lines are cut: some tools print whole files in one.
const LONGEST: usize = 16 << 10;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// What programs of a build may see of the surroundings: where tools and networks are, nothing that
/// would make a build differ or carry a secret by accident.
pub fn tool_environment(
    all: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    const NAMES: [&str; 21] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "ALL_PROXY",
        "GIT_SSL_CAINFO",
    ];
    const PREFIXES: [&str; 7] = [
        "LC_",
        "PIP_",
        "UV_",
        "NPM_CONFIG_",
        "npm_config_",
        "PYENV_",
        "NVM_",
    ];
    let wanted = |name: &OsStr| {
        name.to_str().is_some_and(|name| {
            NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        })
    };
    all.into_iter().filter(|(name, _)| wanted(name)).collect()
}

/// Finds a program in the folders of `PATH`.
pub(crate) fn find(environment: &BTreeMap<OsString, OsString>, program: &str) -> Option<PathBuf> {
    let path = environment.get(OsStr::new("PATH"))?;
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| {
            use std::os::unix::fs::PermissionsExt as _;
            file.metadata()
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
}

/// Everything that the commands of one build share.
pub(crate) struct Tools<'a> {
    pub service: &'a str,
    pub environment: BTreeMap<OsString, OsString>,
    pub masker: Masker,
    pub cancelled: &'a AtomicBool,
    pub progress: &'a dyn Fn(Progress),
}

impl Tools<'_> {
    /// Refuses to go on once asked to stop.
    pub fn check(&self) -> Result<(), BuildError> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(BuildError::Cancelled),
            false => Ok(()),
        }
    }

    /// Runs a command to its end; anything but 0 is an error with its last words.
    pub fn run(
        &self,
        folder: &Path,
        words: &[&OsStr],
        more: &[(&str, &OsStr)],
    ) -> Result<Vec<String>, BuildError> {
        self.run_with(folder, words, more, None)
    }

    /// The same with its standard output in a file.
    pub fn run_into(
        &self,
        folder: &Path,
        words: &[&OsStr],
        more: &[(&str, &OsStr)],
        to: &Path,
    ) -> Result<Vec<String>, BuildError> {
        let file = File::create(to).map_err(BuildError::file(to, "written"))?;
        self.run_with(folder, words, more, Some(file))
    }

    fn run_with(
        &self,
        folder: &Path,
        words: &[&OsStr],
        more: &[(&str, &OsStr)],
        to: Option<File>,
    ) -> Result<Vec<String>, BuildError> {
        self.check()?;
        let began = Instant::now();
        let Some((program, arguments)) = words.split_first() else {
            return Ok(Vec::new());
        };
        let said = shown(words);
        (self.progress)(Progress::Command(self.masker.mask_text(&said)));
        let failed = |exit: String, last: Vec<String>| BuildError::Failed {
            service: self.service.to_owned(),
            command: self.masker.mask_text(&said),
            exit,
            took: began.elapsed(),
            last,
        };
        let not_started =
            |error: io::Error| failed(format!("can't be started ({error})"), Vec::new());
        // One pipe for both, so that the lines come in the order in which they were written.
        let (output, pipe) = io::pipe().map_err(not_started)?;
        let errors = pipe.try_clone().map_err(not_started)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(&self.environment)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(to.map_or_else(|| Stdio::from(pipe), Stdio::from))
            .stderr(errors)
            .process_group(0);
        let mut child = command.spawn().map_err(not_started)?;
        // Our own ends of the pipe: while they are open it has no end.
        drop(command);
        let mut last = VecDeque::new();
        let status = self
            .follow(&mut child, output, &mut last)
            .map_err(|error| match error {
                Ended::Cancelled => BuildError::Cancelled,
                Ended::Lost(error) => failed(format!("is lost ({error})"), Vec::new()),
            })?;
        match status.success() {
            true => Ok(last.into()),
            false => Err(failed(exit(status), last.into())),
        }
    }

    /// Passes lines on until the command and what it started have ended.
    fn follow(
        &self,
        child: &mut Child,
        output: io::PipeReader,
        last: &mut VecDeque<String>,
    ) -> Result<ExitStatus, Ended> {
        let group = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Ended::Lost("no process id".into()))?;
        let (sender, lines) = mpsc::sync_channel(1024);
        thread::spawn(move || read_lines(output, &sender));
        let mut take = |line: Vec<u8>| {
            let line = String::from_utf8_lossy(&self.masker.mask(&line))
                .trim_end()
                .to_owned();
            if !line.is_empty() {
                if last.len() == LAST {
                    last.pop_front();
                }
                last.push_back(line.clone());
                (self.progress)(Progress::Line(line));
            }
        };
        let mut asked: Option<Instant> = None;
        loop {
            let open = match lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    take(line);
                    true
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(Duration::from_millis(5));
                    false
                }
            };
            if self.cancelled.load(Ordering::Relaxed) && asked.is_none() {
                asked = Some(Instant::now());
                let _ = kill_process_group(group, Signal::TERM);
            }
            if asked.is_some_and(|asked| asked.elapsed() > GRACE) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            // Not reaped yet, so that the group's number can't belong to anyone else.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let ended = waitid(WaitId::Pid(group), options)
                .map_err(|error| Ended::Lost(error.to_string()))?
                .is_some();
            if ended {
                // What the command left in the background would go on writing into the artifact.
                let _ = kill_process_group(group, Signal::KILL);
                while open && let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) {
                    take(line);
                }
                let status = child
                    .wait()
                    .map_err(|error| Ended::Lost(error.to_string()))?;
                return match asked {
                    Some(_) => Err(Ended::Cancelled),
                    None => Ok(status),
                };
            }
        }
    }

    /// What a program prints about itself: its version. `None`: it isn't there or fails.
    pub fn ask(&self, words: &[&OsStr]) -> Option<String> {
        let (program, arguments) = words.split_first()?;
        let output = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The path of a program, or the error that says how to install it.
    pub fn need(&self, program: &str, install: &'static str) -> Result<PathBuf, BuildError> {
        find(&self.environment, program).ok_or_else(|| BuildError::ToolMissing {
            service: self.service.to_owned(),
            tool: program.to_owned(),
            install,
        })
    }
}

enum Ended {
    Cancelled,
    Lost(String),
}

/// Sends each line; progress bars, which go back by `\r`, count as lines.
fn read_lines(stream: impl Read, sender: &mpsc::SyncSender<Vec<u8>>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        let (used, ends) = match stream.fill_buf() {
            Ok([]) | Err(_) => break,
            Ok(buffer) => match buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                Some(at) => {
                    line.extend_from_slice(&buffer[..at]);
                    (at + 1, true)
                }
                None => {
                    line.extend_from_slice(buffer);
                    (buffer.len(), line.len() > LONGEST)
                }
            },
        };
        stream.consume(used);
        if ends && sender.send(std::mem::take(&mut line)).is_err() {
            return;
        }
    }
    let _ = sender.send(line);
}

fn exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(9)) => "was ended by signal 9 (out of memory?)".to_owned(),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// A command as it could be typed.
pub(crate) fn shown(words: &[&OsStr]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./=:@%+,".contains(&byte))
    };
    let words = words
        .iter()
        .map(|word| word.to_string_lossy())
        .map(|word| match plain(&word) {
            true => word.into_owned(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        });
    words.collect::<Vec<_>>().join(" ")
}
