//! Programs of this machine, run as plain processes.

use std::{
    collections::BTreeMap,
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, timeout},
};

use landfall_backup::{
    Ended, Error, Programs, Running,
    program::{Boxed, last_words},
};

/// So many lines of a log are shown.
const LAST_WORDS: usize = 20;
/// How long a scratch instance may take until it answers.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END: Duration = Duration::from_secs(20);

/// Programs of this machine.
#[derive(Debug, Clone)]
pub struct LocalPrograms {
    /// Where they are looked for first; then in `PATH`.
    pub folder: Option<PathBuf>,
    /// The user and group that they run as; none: this one.
    pub user: Option<(u32, u32)>,
    /// Their environment, addresses and passwords among it.
    pub environment: BTreeMap<String, String>,
    /// Where they run.
    pub directory: PathBuf,
}

impl LocalPrograms {
    pub fn command(&self, program: &str) -> Command {
        let own = self.folder.as_ref().map(|folder| folder.join(program));
        let path = own.filter(|path| path.is_file());
        let mut command = Command::new(path.unwrap_or_else(|| program.into()));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // Messages are read by people, and by these tests; values are bytes.
            .env("LC_ALL", "C.UTF-8")
            .envs(&self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Programs for LocalPrograms {
    fn start<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [String],
    ) -> Boxed<'a, io::Result<Running>> {
        Box::pin(async move {
            let mut command = self.command(program);
            let mut child = command.args(arguments).spawn()?;
            let (input, output, errors) =
                (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let output = output.ok_or(io::ErrorKind::BrokenPipe)?;
            let ended = async move {
                // Read beside it, so that a full pipe doesn't hold it up.
                let (status, last_words) = tokio::join!(child.wait(), last_words(errors));
                Ok(ended(status?, last_words))
            };
            Ok(Running {
                input: input.map(|input| Box::new(input) as _),
                output: Box::new(output),
                ended: Box::pin(ended),
            })
        })
    }
}

fn ended(status: ExitStatus, last_words: Vec<String>) -> Ended {
    let said = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    };
    Ended {
        well: status.success(),
        said,
        last_words,
    }
}

/// The server of a scratch instance, with its log in the instance's folder.
pub struct LocalServer {
    name: &'static str,
    child: Option<Child>,
}

impl LocalServer {
    /// One that isn't started yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, child: None }
    }

    /// Starts it and waits until it `answers`, for as long as it lives.
    pub async fn start<F>(
        &mut self,
        mut command: Command,
        folder: &Path,
        answers: impl Fn() -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = bool>,
    {
        let log = folder.join("log");
        let written = std::fs::File::create(&log).map_err(Error::io(log.display().to_string()))?;
        let errors = written.try_clone().map_err(Error::io("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::from(written))
            .stderr(Stdio::from(errors));
        let name = self.name;
        let child = command.spawn().map_err(Error::io(name))?;
        let child = self.child.insert(child);
        let deadline = Instant::now() + START;
        let failed = |said: String| Error::Program {
            program: format!("the scratch instance of {name}"),
            said,
            last_words: tail(&log),
        };
        loop {
            if let Some(status) = child.try_wait().map_err(Error::io(name))? {
                return Err(failed(ended(status, Vec::new()).said));
            }
            if answers().await {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(failed(format!("no answer in {} s", START.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it by a signal.
    pub async fn end(self, signal: Signal) {
        let Some(mut child) = self.child else {
            return;
        };
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            let _ = kill_process(id, signal);
        }
        if timeout(END, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

fn tail(log: &Path) -> Vec<String> {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].to_vec()
}

/// Random bytes in hexadecimal.
pub fn random() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    let mut file = std::fs::File::open("/dev/urandom").map_err(Error::io("/dev/urandom"))?;
    io::Read::read_exact(&mut file, &mut bytes).map_err(Error::io("/dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A folder that a program's user owns.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// A new one, with a short path: sockets are in it.
    pub fn new(user: Option<(u32, u32)>) -> Self {
        let folder = tempfile::Builder::new().prefix("lf").tempdir().unwrap();
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The user that databases run as where this is root, which they refuse to be.
pub fn account(name: &str) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        accounts.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            (fields[0] == name).then(|| (fields[2].parse().unwrap(), fields[3].parse().unwrap()))
        })
    };
    of(name).or_else(|| of("nobody"))
}
