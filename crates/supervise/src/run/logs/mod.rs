//! The log thread: it alone reads what the processes say and writes it, so that a slow disk or a
//! stalled reader never reaches the loop that reaps, restarts and answers.

mod output;
mod segments;
mod streams;
mod thread;

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{Builder, JoinHandle},
};

use landfall_redact::Masker;
use landfall_supervise::{segment::Stream, specification::Specification};
use rustix::event::{EventfdFlags, eventfd};

/// How many last lines of a process are kept, and how much of each.
const LAST_WORDS: usize = 10;
const LAST_WORDS_LENGTH: usize = 500;

/// What the loop tells the thread.
enum Command {
    /// A process was started: read its stream.
    Read {
        process: usize,
        stream: Stream,
        descriptor: OwnedFd,
    },
    /// A process ended: read what is left of it, then say so.
    Drain { process: usize, ticket: u64 },
    /// A line of the supervisor's own.
    Remark(String),
    /// Read and write what is left, and end.
    Finish,
}

/// What both sides see.
#[derive(Default)]
struct Shared {
    dropped: AtomicU64,
    closed: AtomicBool,
    words: Vec<Mutex<VecDeque<Vec<u8>>>>,
}

/// The loop's end of the log thread.
pub struct Logs {
    commands: Sender<Command>,
    wake: OwnedFd,
    answers: Receiver<u64>,
    answered: Arc<OwnedFd>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    tickets: u64,
}

impl Logs {
    /// Starts the thread.
    pub fn start(specification: &Specification, masker: Masker) -> io::Result<Self> {
        let (commands, received) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let answered = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let shared = Arc::new(Shared {
            words: specification
                .processes
                .iter()
                .map(|_| Mutex::default())
                .collect(),
            ..Shared::default()
        });
        let mut thread = thread::Thread::new(
            specification,
            masker,
            rustix::io::fcntl_dupfd_cloexec(&wake, 3)?,
            received,
            answer,
            Arc::clone(&answered),
            Arc::clone(&shared),
        )?;
        let thread = Builder::new()
            .name("logs".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || thread.run())?;
        Ok(Self {
            commands,
            wake,
            answers,
            answered,
            shared,
            thread: Some(thread),
            tickets: 0,
        })
    }

    fn tell(&self, command: Command) {
        // A thread that is gone takes nothing any more; the processes go on.
        if self.commands.send(command).is_ok() {
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Has a process's streams read.
    pub fn read(&self, process: usize, [output, error]: [OwnedFd; 2]) {
        if let Some(words) = self.shared.words.get(process) {
            words.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.tell(Command::Read {
            process,
            stream: Stream::Output,
            descriptor: output,
        });
        self.tell(Command::Read {
            process,
            stream: Stream::Error,
            descriptor: error,
        });
    }

    /// Has what is left of an ended process read; [`drained`](Self::drained) then gives the ticket.
    pub fn drain(&mut self, process: usize) -> u64 {
        self.tickets += 1;
        self.tell(Command::Drain {
            process,
            ticket: self.tickets,
        });
        self.tickets
    }

    /// Writes a line of the supervisor's own.
    pub fn remark(&self, text: String) {
        self.tell(Command::Remark(text));
    }

    /// Readable when [`drained`](Self::drained) has something.
    pub fn answered(&self) -> BorrowedFd<'_> {
        self.answered.as_fd()
    }

    /// The last ticket that is done, if there is news.
    pub fn drained(&self) -> Option<u64> {
        let _ = rustix::io::read(&*self.answered, &mut [0_u8; 8]);
        self.answers.try_iter().last()
    }

    /// Bytes of lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Whether standard output is closed.
    pub fn closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }

    /// A process's last lines.
    pub fn words(&self, process: usize) -> Vec<String> {
        self.shared
            .words
            .get(process)
            .map_or_else(Vec::new, |words| {
                let words = words.lock().unwrap_or_else(PoisonError::into_inner);
                words
                    .iter()
                    .map(|line| String::from_utf8_lossy(line).into_owned())
                    .collect()
            })
    }

    /// Has everything written that can be, within `patience`; the thread is left behind if it
    /// takes longer.
    pub fn finish(&mut self, patience: std::time::Duration) {
        self.tell(Command::Finish);
        let until = std::time::Instant::now() + patience;
        while let Some(thread) = self.thread.take_if(|thread| !thread.is_finished()) {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            // The channel ends with the thread.
            let _ = self.answers.recv_timeout(left);
            self.thread = Some(thread);
        }
    }
}
