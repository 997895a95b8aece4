//! A folder for a supervisor, the supervisor itself, and the certainty that nothing of it stays.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use landfall_supervise::{
    client::Client,
    control::{Answer, Request},
    groups,
    segment::{self, Entry},
    state::{ProcessState, State},
    tree,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_landfall-supervise");

/// Longer than anything here takes, also on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// A supervisor's folder, and everything that runs by it.
pub struct Bench {
    folder: TempDir,
    pub instance: String,
    pub child: Option<Child>,
}

/// A process whose command is a shell's.
pub fn shell(name: &str, script: &str) -> Value {
    json!({ "name": name, "command": ["sh", "-c", script], "environment": { "PATH": "/usr/bin:/bin:/usr/sbin:/sbin" } })
}

/// One value with the keys of another added, tables merged.
pub fn with(mut value: Value, more: Value) -> Value {
    merge(&mut value, more);
    value
}

fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(table), Value::Object(more)) => {
            for (key, more) in more {
                merge(table.entry(key).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more,
    }
}

impl Bench {
    /// A folder with a specification; scripts run in its `work`, lines go to its `logs`.
    pub fn new(processes: &[Value], more: Value) -> Self {
        Self::within(tempfile::tempdir().unwrap(), processes, more)
    }

    pub fn within(folder: TempDir, processes: &[Value], more: Value) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let instance = format!(
            "case-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let bench = Self {
            folder,
            instance,
            child: None,
        };
        fs::create_dir_all(bench.path("work")).unwrap();
        fs::create_dir_all(bench.path("logs")).unwrap();
        let specification = with(
            json!({
                "version": 1,
                "instance": bench.instance,
                "directory": bench.path("work"),
                "processes": processes,
                "logs": { "segments": { "folder": bench.path("logs"), "segment": 100_000_000, "keep": 1_000_000_000 } },
                "restart": { "delay": 20, "max-delay": 200 },
                "stop": { "grace": 5000 },
            }),
            more,
        );
        bench.write("specification.json", &specification.to_string());
        bench
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A file that a script writes into the work folder, once it is there and has a line.
    pub fn written(&self, name: &str) -> String {
        let path = self.path("work").join(name);
        eventually(&format!("{name} is written"), || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            text.ends_with('\n').then(|| text.trim().to_owned())
        })
    }

    pub fn written_pid(&self, name: &str) -> u32 {
        self.written(name).parse().unwrap()
    }

    /// Starts it in the foreground, as a child of the test.
    pub fn run(&mut self) -> &mut Child {
        self.run_with(
            Command::new(PROGRAM)
                .arg("run")
                .arg(self.folder.path())
                .stdout(Stdio::null()),
        )
    }

    pub fn run_with(&mut self, command: &mut Command) -> &mut Child {
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        self.child.insert(child)
    }

    /// The same as a user who may write no control group: nobody, if we are root.
    pub fn run_without_groups(&mut self) -> &mut Child {
        const NOBODY: u32 = 65534;
        if !rustix::process::geteuid().is_root() {
            return self.run();
        }
        // The program itself may stand where nobody else can read it.
        let program = self.path("program");
        fs::copy(PROGRAM, &program).unwrap();
        for name in [".", "program", "specification.json", "work", "logs"] {
            chown(self.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut command = Command::new(program);
        command.arg("run").arg(self.folder()).stdout(Stdio::null());
        self.run_with(command.uid(NOBODY).gid(NOBODY))
    }

    /// Starts it in the background, as the host does; its exit code and what it says.
    pub fn start(&mut self, sensitive: &Value) -> (Option<i32>, String) {
        let mut child = Command::new(PROGRAM)
            .arg("start")
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(sensitive.to_string().as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    pub fn connect(&self) -> Client {
        let client = eventually("the supervisor listens", || {
            Client::connect(self.folder()).ok()
        });
        client.set_timeout(Some(LONG)).unwrap();
        client
    }

    pub fn state(&self) -> State {
        self.connect().state().unwrap()
    }

    /// The last state it wrote.
    pub fn last_state(&self) -> State {
        serde_json::from_slice(&fs::read(self.path("state.json")).unwrap()).unwrap()
    }

    /// Follows the changes until one is as wanted.
    pub fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        let mut client = self.connect();
        client.send(&Request::Watch).unwrap();
        let since = Instant::now();
        let mut last = None;
        while since.elapsed() < LONG {
            match client.receive() {
                Ok(Some(Answer::State(state))) if wanted(&state) => return *state,
                Ok(Some(Answer::State(state))) => last = Some(state),
                other => panic!("{what}: {other:?}, after {last:#?}"),
            }
        }
        panic!("not within {LONG:?}: {what}: {last:#?}");
    }

    pub fn until_ready(&self) -> State {
        self.until("healthy", |state| state.healthy)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.child.as_ref().unwrap().id(), signal);
    }

    /// Waits for the foreground supervisor's end.
    pub fn wait(&mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        let status = eventually("the supervisor ends", || child.try_wait().unwrap());
        self.child = None;
        status
    }

    /// Everything that carries the instance's token and lives.
    pub fn alive(&self) -> Vec<u32> {
        tree::of_instance(&self.instance)
    }

    /// The lines in its segments.
    pub fn entries(&self) -> Vec<Entry> {
        let segments = segment::list(&self.path("logs")).unwrap();
        segment::Lines::new(segments, 0, u64::MAX)
            .map(Result::unwrap)
            .collect()
    }

    /// The texts of one process's lines.
    pub fn lines(&self, process: &str) -> Vec<String> {
        self.entries()
            .into_iter()
            .filter(|entry| entry.process == process)
            .map(|entry| entry.text)
            .collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // In a process namespace of its own it has another number there, which is somebody else here:
        // as process 1 it would be the ancestor of the whole machine.
        let folder = self.folder().to_string_lossy().into_owned();
        let supervisor = Client::connect(self.folder())
            .ok()
            .map(|client| client.hello.supervisor)
            .filter(|pid| {
                fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|words| words.contains(&folder))
            });
        for pid in supervisor
            .into_iter()
            .chain(self.child.as_ref().map(Child::id))
        {
            for pid in tree::descendants(pid) {
                kill(pid, Signal::KILL);
            }
        }
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(5) {
            let left = self.alive();
            if left.is_empty() {
                break;
            }
            left.into_iter().for_each(|pid| kill(pid, Signal::KILL));
            thread::sleep(Duration::from_millis(5));
        }
        groups::end_left(self.folder(), Duration::from_secs(1));
    }
}

pub fn kill(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
}

pub fn lives(pid: u32) -> bool {
    tree::status(pid).is_some_and(|status| !status.ended)
}

/// Looks again and again for what no event tells.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < LONG, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a process does nothing at all for a while.
pub fn until_it_rests(pid: u32) {
    let switches = || -> u64 {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks
            .map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap())
            .flat_map(|status| {
                status
                    .lines()
                    .filter_map(|line| {
                        line.strip_prefix("voluntary_ctxt_switches:")?
                            .trim()
                            .parse::<u64>()
                            .ok()
                    })
                    .collect::<Vec<_>>()
            })
            .sum()
    };
    // What the start set in motion comes to rest first.
    let mut before = switches();
    eventually("it rests for a while", || {
        thread::sleep(Duration::from_millis(700));
        let now = switches();
        let rested = now == before;
        before = now;
        rested.then_some(())
    });
}

pub fn process<'state>(state: &'state State, name: &str) -> &'state ProcessState {
    state
        .processes
        .iter()
        .find(|process| process.name == name)
        .unwrap()
}

/// An HTTP server in the test, for probes: it answers each path with the status that is set.
pub struct Server {
    pub port: u16,
    pub status: Arc<AtomicU16>,
    pub asked: Arc<AtomicU32>,
}

impl Server {
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = Arc::new(AtomicU16::new(status));
        let asked = Arc::new(AtomicU32::new(0));
        let (shared, count) = (Arc::clone(&status), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                let status = shared.load(Ordering::Relaxed);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
                );
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            port,
            status,
            asked,
        }
    }

    pub fn probe(&self) -> Value {
        json!({ "http": { "address": format!("127.0.0.1:{}", self.port), "path": "/health" } })
    }

    pub fn set(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub fn until_asked(&self, times: u32) {
        let before = self.asked.load(Ordering::Relaxed);
        eventually("probes come", || {
            (self.asked.load(Ordering::Relaxed) >= before + times).then_some(())
        });
    }
}

/// A command in a process namespace of its own, where the program is process 1; none where neither
/// root nor a user namespace permits it.
pub fn as_first_process() -> Option<Command> {
    let own: &[&str] = &["--pid", "--fork", "--kill-child", "--mount-proc"];
    let user: &[&str] = &[
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    for options in [own, user] {
        let tried = Command::new("unshare")
            .args(options)
            .arg("true")
            .stderr(Stdio::null())
            .status();
        if tried.is_ok_and(|status| status.success()) {
            let mut command = Command::new("unshare");
            command.args(options).arg(PROGRAM);
            return Some(command);
        }
    }
    eprintln!("skipped: neither root nor user namespaces here");
    None
}
