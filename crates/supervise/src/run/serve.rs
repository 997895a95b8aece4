//! Setting a supervisor up: reading what it is told, taking the lock, binding what it holds.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{OpenOptionsExt, PermissionsExt},
    },
    path::Path,
};

use landfall_redact::Masker;
use landfall_supervise::{
    control::Hello,
    specification::{CONTROL_VARIABLE, Sensitive, Specification, VERSION, files},
    state::Ended,
    tree, unix,
};
use rustix::{
    fs::{FlockOperation, Mode},
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use super::{
    answer::Answering,
    cgroup::Groups,
    clients::Clients,
    limits::Limits,
    logs::Logs,
    signals,
    sockets::Sockets,
    supervisor::{Parts, Supervisor},
    system,
    validate::validate,
};

/// Secrets may be this large altogether.
const MOST_SENSITIVE: u64 = 64 * 1024 * 1024;

/// Why a supervisor doesn't come up.
#[derive(Debug)]
pub enum Refusal {
    /// Another holds the lock.
    AlreadyRuns,
    /// Anything else.
    Failed(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Reads what only memory may hold; none where nothing was given.
pub fn read_sensitive(from: impl Read) -> Result<Option<Sensitive>, String> {
    let mut text = Vec::new();
    from.take(MOST_SENSITIVE)
        .read_to_end(&mut text)
        .map_err(|error| format!("standard input: {error}"))?;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // Only where it is wrong: the message of the parser may quote a value.
    let wrong = |error: serde_json::Error| {
        format!(
            "standard input is not what it should be, at line {} column {}",
            error.line(),
            error.column()
        )
    };
    let sensitive = serde_json::from_slice(&text).map(Some).map_err(wrong);
    text.fill(0);
    std::hint::black_box(&text);
    sensitive
}

/// A supervisor that is set up, and what it holds as long as it lives.
pub struct Ready {
    supervisor: Supervisor,
    signals: OwnedFd,
    _lock: Option<File>,
}

impl Ready {
    /// Supervises, until the end.
    pub fn run(mut self) -> io::Result<Ended> {
        self.supervisor.run(&self.signals)
    }
}

/// Sets a supervisor up, on a folder or on a specification's file alone. Signals are blocked already.
/// `notes` are the first of its state's. `inherited` is what every process is given beside what its
/// specification says, which is stronger.
pub fn set_up(
    place: &Path,
    sensitive: Sensitive,
    notes: Vec<String>,
    inherited: &[(String, String)],
) -> Result<Ready, Refusal> {
    let signals = system::signal_descriptor().map_err(|error| format!("signals: {error}"))?;
    let metadata = fs::metadata(place).map_err(|error| format!("{}: {error}", place.display()))?;
    let folder = metadata.is_dir().then(|| place.to_owned());
    let lock = folder.as_deref().map(take_lock).transpose()?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let file = folder.as_ref().map_or_else(
        || place.to_owned(),
        |folder| folder.join(files::SPECIFICATION),
    );
    let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut specification = match folder.is_some() {
        true => serde_json::from_slice(&text),
        false => alone(&text),
    }
    .map_err(|error| format!("{}: {error}", file.display()))?;
    for process in &mut specification.processes {
        for (name, value) in inherited {
            let environment = &mut process.environment;
            if !environment.contains_key(name) {
                environment.insert(name.clone(), value.clone());
            }
        }
    }
    validate(&specification).map_err(|error| format!("{}: {error}", file.display()))?;
    if specification.shared {
        // Who may come here at all is settled by the folder above.
        rustix::process::umask(Mode::empty());
        if let Some(lock) = &lock {
            // One that another user has made is open already.
            let _ = lock.set_permissions(PermissionsExt::from_mode(0o666));
        }
    }
    let signal = signals::by_name(&specification.stop.signal).unwrap_or(Signal::TERM);

    // Orphans become our children; process 1 gets them anyway.
    if std::process::id() != 1 {
        let own = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(own))
            .map_err(|error| format!("subreaper: {error}"))?;
    }
    let visible = tree::visible();
    if let Some(folder) = folder.as_ref().filter(|_| visible) {
        end_remains(&specification.instance, folder);
    }

    let (masker, more) = Masker::new(&sensitive.mask);
    let mut notes = notes;
    notes.extend(more);
    let groups = Groups::set_up(&specification, place, visible);
    let (limits, more) = Limits::find(&specification, &groups);
    notes.extend(more);
    if !visible {
        notes.push(
            "There is no /proc here: processes that leave their group are not found.".to_owned(),
        );
    }
    let mut sockets = Sockets::default();
    for socket in &specification.sockets {
        sockets.listen(socket)?;
    }
    let answering = match specification.health {
        Some(address) => Some(
            Answering::bind(address)
                .map_err(|error| format!("health can't be answered on {address}: {error}"))?,
        ),
        None => None,
    };
    let logs = Logs::start(&specification, masker).map_err(|error| format!("logs: {error}"))?;
    let clients = match &folder {
        Some(folder) => Some(listen(folder, &specification)?),
        None => None,
    };
    let parts = Parts {
        folder,
        sensitive,
        signal,
        logs,
        sockets,
        clients,
        answering,
        limits,
        groups,
        notes,
    };
    let mut supervisor = Supervisor::new(specification, parts);
    supervisor.announce();
    Ok(Ready {
        supervisor,
        signals,
        _lock: lock,
    })
}

/// A specification in a file of its own. One that stands in a repository says who wrote it.
fn alone(text: &[u8]) -> Result<Specification, serde_json::Error> {
    let mut whole: serde_json::Value = serde_json::from_slice(text)?;
    if let Some(members) = whole.as_object_mut() {
        members.remove("landfall");
    }
    serde_json::from_value(whole)
}

fn take_lock(folder: &Path) -> Result<File, Refusal> {
    let path = folder.join(files::LOCK);
    let mut lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // For people who look; the lock alone counts.
            let _ = lock
                .set_len(0)
                .and_then(|()| writeln!(lock, "{}", std::process::id()));
            Ok(lock)
        }
        Err(Errno::WOULDBLOCK) => Err(Refusal::AlreadyRuns),
        Err(error) => Err(Refusal::Failed(format!(
            "{}: {}",
            path.display(),
            io::Error::from(error)
        ))),
    }
}

/// We hold the lock, so whoever ran here before is gone; what it left behind must go too, before
/// anything is started twice.
fn end_remains(instance: &str, folder: &Path) {
    let control = folder.join(files::CONTROL);
    for pid in tree::of_instance(instance) {
        // Another folder's instance may have the same name.
        let ours =
            tree::variable(pid, CONTROL_VARIABLE).is_some_and(|path| Path::new(&path) == control);
        if ours
            && pid != std::process::id()
            && !is_ancestor(pid)
            && let Some(pid) = Pid::from_raw(pid.cast_signed())
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn is_ancestor(pid: u32) -> bool {
    let mut at = std::process::id();
    while let Some(status) = tree::status(at) {
        if status.parent == pid {
            return true;
        }
        at = status.parent;
    }
    false
}

fn listen(folder: &Path, specification: &Specification) -> Result<Clients, String> {
    let path = folder.join(files::CONTROL);
    let hello = Hello {
        version: VERSION,
        instance: specification.instance.clone(),
        supervisor: std::process::id(),
    };
    let mode = if specification.shared { 0o666 } else { 0o600 };
    unix::bind_with(&path, mode)
        .and_then(|listener| Clients::new(listener, &hello, specification.shared))
        .map_err(|error| format!("{}: {error}", path.display()))
}
