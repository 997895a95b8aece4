//! A command that ran, or runs, and what it said.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, ChildStdin, ExitStatus, Output},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::wait;

/// A command that ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command, for messages.
    pub command: String,
    /// Its exit code; −1 for one that a signal ended.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    pub(crate) fn new(command: String, output: &Output) -> Self {
        Self {
            command,
            code: code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Both outputs.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Fails the test unless it ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code of:\n{self}");
        self
    }

    /// Fails the test unless it ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Fails the test unless one of the outputs contains each of these, in any letter case.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        let all = self.all().to_lowercase();
        for text in texts {
            assert!(
                all.contains(&text.to_lowercase()),
                "`{text}` is missing in:\n{self}"
            );
        }
        self
    }

    /// Fails the test if one of the outputs contains this.
    #[track_caller]
    pub fn hides(self, text: &str) -> Self {
        assert!(
            !self.all().contains(text),
            "`{text}` must not be in:\n{self}"
        );
        self
    }

    /// What `--json` printed: the `data` of its first line.
    #[track_caller]
    pub fn data(&self) -> Value {
        let line = self.stdout.lines().next().unwrap_or_default();
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in:\n{self}"));
        value
            .get("data")
            .cloned()
            .unwrap_or_else(|| panic!("no `data` in:\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
        } = self;
        write!(f, "$ {command}\n{stdout}{stderr}(exit {code})")
    }
}

/// A command that runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    input: Option<ChildStdin>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn new(command: String, mut child: Child) -> Self {
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|from| collect(from, &stdout)));
        readers.extend(child.stderr.take().map(|from| collect(from, &stderr)));
        Self {
            command,
            input: child.stdin.take(),
            child,
            stdout,
            stderr,
            readers,
        }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far, on both outputs.
    pub fn said(&self) -> String {
        let text = |of: &Mutex<String>| of.lock().expect("a reader never panics").clone();
        format!("{}{}", text(&self.stdout), text(&self.stderr))
    }

    /// Waits until it said this.
    #[track_caller]
    pub fn until_it_says(&self, text: &str) {
        wait(
            &format!("`{}` says `{text}`, it said: {}", self.command, self.said()),
            || self.said().contains(text).then_some(()),
        );
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(process) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may be gone already, and then its exit shows it.
            let _ = kill_process(process, signal);
        }
    }

    /// Its standard input, while it is open.
    pub fn input(&mut self) -> Option<&mut ChildStdin> {
        self.input.as_mut()
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// Closes its standard input and waits for its end.
    pub fn end(mut self) -> Ran {
        self.close_input();
        let status = wait(&format!("the end of `{}`", self.command), || {
            self.child
                .try_wait()
                .expect("a child of ours can be waited for")
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader never panics");
        }
        let text = |of: &Mutex<String>| of.lock().expect("a reader never panics").clone();
        Ran {
            command: self.command.clone(),
            code: code(status),
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, to: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            to.lock()
                .expect("nobody panics with it")
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}
