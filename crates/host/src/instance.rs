//! One supervisor, adopted: started beside us or found running, there is no difference.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use landfall_release::Failure;
use landfall_supervise::{
    client,
    control::{Answer, Hello, Request},
    specification::{Sensitive, Specification, VERSION, files},
    state::State,
};
use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Command,
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{home::make_folder, orphans};

/// What is known of a supervisor.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// It lives, and last said this.
    Alive(Box<State>),
    /// Its control socket has ended; what its state file said last, if it could be read.
    Gone(Option<Box<State>>),
}

impl View {
    /// The last state, alive or not.
    pub fn state(&self) -> Option<&State> {
        match self {
            Self::Alive(state) => Some(state),
            Self::Gone(state) => state.as_deref(),
        }
    }
}

/// News of an instance.
#[derive(Debug)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// How it was.
    pub before: View,
    /// How it is.
    pub after: View,
}

/// An adopted supervisor.
#[derive(Debug)]
pub struct Instance {
    id: String,
    folder: PathBuf,
    view: watch::Receiver<View>,
}

/// Why a supervisor can't be adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Nobody listens on its control socket: it doesn't live.
    #[error("no supervisor answers in {}", folder.display())]
    Gone {
        /// Its folder.
        folder: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// It has the socket, and says nothing: stopped by a signal, or a machine at its limits.
    #[error("the supervisor in {} doesn't answer within {} s", folder.display(), PATIENCE.as_secs())]
    Silent {
        /// Its folder.
        folder: PathBuf,
    },
    /// It says something that can't be understood.
    #[error("the supervisor in {} says `{said}`", folder.display())]
    Unreadable {
        /// Its folder.
        folder: PathBuf,
        /// What it said, shortened.
        said: String,
    },
    /// It speaks a newer protocol.
    #[error("the supervisor in {} speaks version {version}, this host up to {VERSION}", folder.display())]
    Newer {
        /// Its folder.
        folder: PathBuf,
        /// Its version.
        version: u32,
    },
}

/// How long a supervisor may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to a control socket, greeted.
struct Control {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    folder: PathBuf,
}

impl Control {
    async fn open(folder: &Path) -> Result<Self, AdoptError> {
        let silent = |_| AdoptError::Silent {
            folder: folder.to_owned(),
        };
        timeout(PATIENCE, Self::greet(folder))
            .await
            .map_err(silent)?
    }

    async fn greet(folder: &Path) -> Result<Self, AdoptError> {
        let gone = |source| AdoptError::Gone {
            folder: folder.to_owned(),
            source,
        };
        let stream = connect(folder).await.map_err(gone)?;
        let (reader, writer) = stream.into_split();
        let mut control = Self {
            lines: BufReader::new(reader).lines(),
            writer,
            folder: folder.to_owned(),
        };
        let hello: Hello = control
            .read()
            .await?
            .ok_or_else(|| gone(io::ErrorKind::UnexpectedEof.into()))?;
        if hello.version > VERSION {
            return Err(AdoptError::Newer {
                folder: folder.to_owned(),
                version: hello.version,
            });
        }
        Ok(control)
    }

    async fn read<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, AdoptError> {
        // A broken connection is the supervisor's end as much as a closed one.
        let Some(line) = self.lines.next_line().await.unwrap_or_default() else {
            return Ok(None);
        };
        match serde_json::from_str(&line) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(AdoptError::Unreadable {
                folder: self.folder.clone(),
                said: line.chars().take(120).collect(),
            }),
        }
    }

    /// The first state after `watch`.
    async fn first(&mut self, folder: &Path) -> Result<Box<State>, AdoptError> {
        loop {
            match self.read::<Answer>().await? {
                Some(Answer::State(state)) => return Ok(state),
                Some(_) => continue,
                None => {
                    let source = io::ErrorKind::UnexpectedEof.into();
                    return Err(AdoptError::Gone {
                        folder: folder.to_owned(),
                        source,
                    });
                }
            }
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<(), AdoptError> {
        // A request of ours is plain data and always serializes.
        let mut line = serde_json::to_vec(request).expect("a request serializes");
        line.push(b'\n');
        self.writer
            .write_all(&line)
            .await
            .map_err(|source| AdoptError::Gone {
                folder: self.folder.clone(),
                source,
            })
    }
}

/// Connects to the control socket in a folder, never through a link.
pub async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let socket = client::control(folder)?;
    UnixStream::connect(client::place_of(&socket)).await
}

/// Writes an instance's folder and starts its supervisor, as nobody's child. It still has to be adopted.
pub async fn start(
    program: &Path,
    folder: &Path,
    specification: &Specification,
    sensitive: &Sensitive,
) -> Result<(), Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(
            "supervisor-failed",
            format!(
                "the supervisor of {} {what}: {error}",
                specification.instance
            ),
        )
    };
    make_folder(folder).map_err(|error| failed("can't have its folder", &error))?;
    let text = serde_json::to_vec_pretty(specification)
        .map_err(|error| failed("can't be described", &error))?;
    write_private(&folder.join(files::SPECIFICATION), &text)
        .map_err(|error| failed("can't have its specification", &error))?;
    let input = serde_json::to_vec(sensitive)
        .map_err(|error| failed("can't be given its secrets", &error))?;

    let mut child = Command::new(program)
        .arg("start")
        .arg(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            failed("doesn't start", &error).with(
                "mend",
                format!("`{}` must be there and executable", program.display()),
            )
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(&input)
            .await
            .map_err(|error| failed("doesn't read its secrets", &error))?;
    }
    // Ends once the control socket listens, or with the reason why it doesn't.
    let output = timeout(Duration::from_secs(20), child.wait_with_output())
        .await
        .map_err(|_| failed("doesn't start", &"it did not answer within 20 s"))?
        .map_err(|error| failed("doesn't start", &error))?;
    // 3: it runs already, which is what a step that is run again wants.
    if output.status.success() || output.status.code() == Some(3) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed("doesn't start", &said))
}

impl Instance {
    /// Adopts a running supervisor and watches it from now on; each change is told to `notices`.
    pub async fn adopt(
        id: &str,
        folder: &Path,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Result<Arc<Self>, AdoptError> {
        let mut control = Control::open(folder).await?;
        control.ask(&Request::Watch).await?;
        let first = timeout(PATIENCE, control.first(folder)).await;
        let first = first.map_err(|_| AdoptError::Silent {
            folder: folder.to_owned(),
        })??;
        let (sender, view) = watch::channel(View::Alive(first));
        let instance = Arc::new(Self {
            id: id.to_owned(),
            folder: folder.to_owned(),
            view,
        });
        tokio::spawn(follow(
            id.to_owned(),
            folder.to_owned(),
            control,
            sender,
            notices,
        ));
        Ok(instance)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is known of it now.
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Follows it.
    pub fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Stops everything in it and waits for the end; what doesn't end in time is killed. Of plain
    /// processes only.
    pub async fn stop(&self, grace: Duration) {
        if !self.ask_to_stop(grace).await {
            self.kill();
        }
    }

    /// Asks it to stop everything and waits for the end; whether it came in time.
    pub async fn ask_to_stop(&self, grace: Duration) -> bool {
        let asked = match Control::open(&self.folder).await {
            Ok(mut control) => control.ask(&Request::Stop).await.is_ok(),
            Err(_) => false,
        };
        let mut view = self.view.clone();
        let gone = async {
            view.wait_for(|view| matches!(view, View::Gone(_)))
                .await
                .map(drop)
        };
        // Stopping is by stages of dependencies, each with its own grace.
        let stages = self
            .view
            .borrow()
            .state()
            .map_or(1, |state| state.processes.len().max(1));
        let limit = grace * u32::try_from(stages).unwrap_or(1) + Duration::from_secs(3);
        asked && timeout(limit, gone).await.is_ok()
    }

    /// Ends supervisor and processes with SIGKILL.
    fn kill(&self) {
        let supervisor = match &*self.view.borrow() {
            View::Alive(state) => Some(state.supervisor),
            View::Gone(_) => None,
        };
        kill_own(supervisor, &self.folder);
        // What it left, and it may be gone already.
        orphans::sweep(&self.id, &self.folder);
    }
}

async fn follow(
    id: String,
    folder: PathBuf,
    mut control: Control,
    view: watch::Sender<View>,
    notices: mpsc::UnboundedSender<Notice>,
) {
    loop {
        let after = match control.read::<Answer>().await {
            Ok(Some(Answer::State(state))) => View::Alive(state),
            Ok(Some(_)) => continue,
            // What can't be read any more can't be watched any more either.
            Ok(None) | Err(_) => View::Gone(last_state(&folder).map(Box::new)),
        };
        let ended = matches!(after, View::Gone(_));
        let before = view.send_replace(after.clone());
        // The receiver ends with the host, and then nobody wants to know.
        let _ = notices.send(Notice {
            id: id.clone(),
            before,
            after,
        });
        if ended {
            return;
        }
    }
}

/// Ends a supervisor that doesn't answer, by its number as it is known or as it wrote it down, and
/// everything of its instance.
pub fn kill_unanswering(id: &str, folder: &Path, known: Option<u32>) {
    let supervisor = known.or_else(|| last_state(folder).map(|state| state.supervisor));
    kill_own(supervisor, folder);
    orphans::sweep(id, folder);
}

/// Kills a supervisor by its number, if that is the one that runs this folder: numbers are given
/// again, and one in a container says a number of its own process namespace.
fn kill_own(supervisor: Option<u32>, folder: &Path) {
    let own = |process: &u32| {
        let folder = folder.as_os_str().as_encoded_bytes();
        std::fs::read(format!("/proc/{process}/cmdline"))
            .is_ok_and(|words| words.split(|byte| *byte == 0).any(|word| word == folder))
    };
    let supervisor = supervisor
        .filter(own)
        .and_then(|process| Pid::from_raw(i32::try_from(process).ok()?));
    if let Some(supervisor) = supervisor {
        // It may have ended just now.
        let _ = kill_process(supervisor, Signal::KILL);
    }
}

/// A supervisor's state is some kilobytes.
const LARGEST_STATE: u64 = 4 << 20;

/// What a supervisor's state file said last.
pub fn last_state(folder: &Path) -> Option<State> {
    use std::io::Read as _;
    // Somebody in a container may have put something else there.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::open(folder.join(files::STATE), flags, Mode::empty()).ok()?;
    let file = std::fs::File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(LARGEST_STATE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes a file for its owner alone, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let temporary = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
