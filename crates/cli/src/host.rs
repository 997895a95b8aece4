//! Reaching the host: its socket, its start in the background, the wait until it answers.

use std::{
    fs::OpenOptions,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use landfall_api::{Client, ClientError, wire::HostStatus};
use landfall_host::{Home, Settings};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{
    context::Context,
    environment::Environment,
    report::{Error, Result},
};

/// A start takes some tens of milliseconds, after a reboot with many apps longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of this user's host. Nothing is opened yet.
pub fn client(environment: &Environment) -> Client {
    Client::new(Home::socket(&environment.home))
}

/// The host's answer, or none where no host runs.
pub async fn running(client: &Client) -> Result<Option<HostStatus>> {
    match client.get("/v1/host").await {
        Ok(status) => Ok(Some(status)),
        // One that dies while it is asked is as good as gone.
        Err(ClientError::Unreachable { .. } | ClientError::Broken(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The host's log while it runs in the background.
pub fn log_file(home: &Path) -> PathBuf {
    home.join("host.log")
}

/// What a host is told: what the environment says.
pub fn settings(environment: &Environment, leaves_with_last_app: bool) -> Result<Settings> {
    let own = own_program()?;
    let mut settings = Settings::new(
        environment.home.clone(),
        own.clone(),
        supervise_program(&own)?,
    );
    settings.http_port = environment.http_port;
    settings.port_range = environment.ports;
    settings.leaves_with_last_app = leaves_with_last_app;
    settings.faults.clone_from(&environment.faults);
    settings
        .supervise_static
        .clone_from(&environment.supervise_static);
    settings.engine.clone_from(&environment.engine);
    settings
        .runtime_folder
        .clone_from(&environment.runtime_folder);
    Ok(settings)
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| {
        Error::new(
            "tool-missing",
            format!("can't find this program's own file: {error}"),
        )
    })
}

/// The supervisor stands beside this program.
fn supervise_program(own: &Path) -> Result<PathBuf> {
    let beside = own.with_file_name("landfall-supervise");
    match beside.is_file() {
        true => Ok(beside),
        false => Err(Error::new(
            "tool-missing",
            format!("landfall-supervise is not at {}", beside.display()),
        )
        .mend("install both programs into one folder; `make install` does")),
    }
}

/// Makes sure that a host runs; says whether it was started now.
pub async fn ensure(
    environment: &Environment,
    leaves_with_last_app: bool,
) -> Result<(Client, HostStatus, bool)> {
    let client = client(environment);
    if let Some(status) = running(&client).await? {
        return Ok((client, status, false));
    }
    let status = start(environment, &client, leaves_with_last_app).await?;
    Ok((client, status, true))
}

/// The host that looked after this user's apps before, started again where it is gone; and
/// whether it was.
pub async fn again(context: &Context) -> Result<(Client, bool)> {
    let client = client(&context.environment);
    let gone =
        running(&client).await?.is_none() && context.environment.home.join("ledger.db").exists();
    if gone {
        start(&context.environment, &client, false).await?;
        context.output.say("Started the host again.");
    }
    Ok((client, gone))
}

/// Starts a host in the background and waits until it answers.
pub async fn start(
    environment: &Environment,
    client: &Client,
    leaves_with_last_app: bool,
) -> Result<HostStatus> {
    if !cfg!(target_os = "linux") {
        return Err(Error::new(
            "not-built-yet",
            "apps run on this machine only if it is a Linux one",
        )
        .mend("deploy to a server, or run landfall in a Linux machine or container"));
    }
    // Said here, where somebody reads it, rather than by a host in the background.
    settings(environment, leaves_with_last_app)?;
    let home = Home::open(&environment.home)
        .map_err(|error| Error::file(&environment.home, "can't make", &error))?;
    let watch =
        Watch::new(home.root()).map_err(|error| Error::file(home.root(), "can't watch", &error))?;
    let log_before = std::fs::metadata(log_file(home.root())).map_or(0, |log| log.len());
    let mut child = spawn(environment, leaves_with_last_app)?;
    let deadline = Instant::now() + PATIENCE;
    let (mut appeared, mut ended) = (false, false);
    loop {
        if let Some(status) = running(client).await? {
            return Ok(status);
        }
        // Another command may have been quicker: then its host has the lock and soon answers. The lock isn't
        // looked at before: that takes it for an instant, and may be just when the host wants it.
        if let Ok(Some(status)) = child.try_wait()
            && !locked(&home)
        {
            return Err(failed(
                environment,
                log_before,
                &format!("the host ended at its start ({status})"),
            ));
        }
        if Instant::now() > deadline {
            return Err(failed(
                environment,
                log_before,
                "the host doesn't answer after its start",
            ));
        }
        ended |= matches!(child.try_wait(), Ok(Some(_)));
        appeared |= Home::socket(home.root()).exists();
        // Between its making and its listening nothing announces the socket.
        let patience = if appeared || ended {
            Duration::from_millis(5)
        } else {
            Duration::from_secs(1)
        };
        watch
            .wait(&child, patience)
            .map_err(|error| Error::file(home.root(), "can't watch", &error))?;
    }
}

/// Whether some host lives, also one that doesn't answer yet.
fn locked(home: &Home) -> bool {
    let lock = std::fs::File::open(home.lock());
    lock.is_ok_and(|lock| {
        matches!(
            lock.try_lock_shared(),
            Err(std::fs::TryLockError::WouldBlock)
        )
    })
}

/// A failure with what the host said from a place of its log on.
fn failed(environment: &Environment, log_from: u64, what: &str) -> Error {
    let log = log_file(&environment.home);
    let mut error = Error::new("host-failed", what);
    let mut mend = "landfall host run shows it in the foreground".to_owned();
    if let Ok(bytes) = std::fs::read(&log) {
        let from = usize::try_from(log_from)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let text = String::from_utf8_lossy(&bytes[from..]);
        let mut lines: Vec<&str> = text.lines().collect();
        // What it says helps is more than where to read on.
        if let Some(own) = lines.last().and_then(|line| own_mend(line)) {
            mend = own.to_owned();
            lines.pop();
        }
        let last = lines[lines.len().saturating_sub(5)..].join("\n");
        if !last.is_empty() {
            error = error.with("its last words", last);
        }
    }
    error.with("its log", log.display().to_string()).mend(mend)
}

/// The mend in the last line of an error, as `report::render` writes it.
fn own_mend(line: &str) -> Option<&str> {
    let text = line.strip_prefix("  mend ")?.trim();
    (!text.is_empty()).then_some(text)
}

fn spawn(environment: &Environment, leaves_with_last_app: bool) -> Result<Child> {
    let path = log_file(&environment.home);
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(|error| Error::file(&path, "can't open", &error))?;
    let mut command = Command::new(own_program()?);
    command.args(["host", "run", "--detached"]);
    if leaves_with_last_app {
        command.arg("--leave-with-last-app");
    }
    command
        // Not the folder of whoever happened to start it: that may be unmounted or deleted.
        .current_dir("/")
        .env("LANDFALL_HOME", &environment.home)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    command
        .spawn()
        .map_err(|error| Error::new("host-failed", format!("can't start the host: {error}")))
}

/// Wakes when something appears in a folder or a child ends.
struct Watch {
    folder: std::os::fd::OwnedFd,
}

impl Watch {
    fn new(folder: &Path) -> std::io::Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(
            &watch,
            folder,
            inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO,
        )?;
        Ok(Self { folder: watch })
    }

    fn wait(&self, child: &Child, patience: Duration) -> std::io::Result<()> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let ended = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let mut watched = vec![PollFd::from_borrowed_fd(self.folder.as_fd(), PollFlags::IN)];
        watched.extend(
            ended
                .as_ref()
                .map(|ended| PollFd::new(ended, PollFlags::IN)),
        );
        let patience = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        match poll(&mut watched, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Told once is enough: what appeared is looked at by its name.
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.folder, &mut buffer).is_ok_and(|count| count > 0) {}
        Ok(())
    }
}

/// Waits until a host that was asked to stop is gone.
pub fn gone(environment: &Environment, process: u32) -> Result {
    let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    // No such process: it is gone already.
    let Ok(ended) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(());
    };
    let mut watched = [PollFd::new(&ended, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    match poll(&mut watched, Some(&patience)) {
        Ok(0) => Err(failed(
            environment,
            u64::MAX,
            &format!("the host (process {process}) was asked to stop and doesn't"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use landfall_release::Failure;

    use super::*;

    #[test]
    fn the_mend_of_a_host_that_ended() {
        let failure = Failure::new("port-taken", "port 8080 can't be had")
            .with("mend", "LANDFALL_HTTP_PORT=… names another one");
        let text = crate::report::render(&failure, false);
        let last = text.lines().last().and_then(own_mend);
        assert_eq!(last, Some("LANDFALL_HTTP_PORT=… names another one"));
        assert_eq!(own_mend("error[port-taken]: mend it"), None);
    }
}
