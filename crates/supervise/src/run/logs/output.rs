//! Lines to standard output, without ever waiting for its reader.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

/// How much waits for a reader at most; what comes beyond is dropped.
const MOST: usize = 256 * 1024;

/// A pipe that is ready takes this much without waiting.
const PIPE_STEP: usize = 4096;

/// Standard output.
pub struct Output {
    descriptor: OwnedFd,
    /// Whether writing never waits, or must be asked for each step.
    free: bool,
    pending: Vec<u8>,
    start: usize,
    closed: bool,
    /// Bytes dropped since it was last said.
    unsaid: u64,
}

impl Output {
    pub fn new() -> io::Result<Self> {
        if closed_from_the_start() {
            return Self::nowhere();
        }
        let kind = rustix::fs::fstat(rustix::stdio::stdout())
            .map(|stat| FileType::from_raw_mode(stat.st_mode));
        // The non-blocking mode belongs to the open file, which others share: a pipe can be opened
        // anew for ourselves.
        if kind == Ok(FileType::Fifo) {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            if let Ok(descriptor) = rustix::fs::open("/proc/self/fd/1", flags, Mode::empty()) {
                return Ok(Self::with(descriptor, true));
            }
        }
        match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3) {
            Ok(descriptor) => Ok(Self::with(descriptor, false)),
            Err(_) => Self::nowhere(),
        }
    }

    fn nowhere() -> io::Result<Self> {
        let nothing = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?;
        Ok(Self {
            closed: true,
            ..Self::with(nothing, false)
        })
    }

    const fn with(descriptor: OwnedFd, free: bool) -> Self {
        Self {
            descriptor,
            free,
            pending: Vec::new(),
            start: 0,
            closed: false,
            unsaid: 0,
        }
    }

    /// What to poll for writing, while something waits.
    pub fn waits(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed && self.pending()).then(|| self.descriptor.as_fd())
    }

    pub const fn pending(&self) -> bool {
        self.start < self.pending.len()
    }

    pub const fn closed(&self) -> bool {
        self.closed
    }

    /// Takes a line in parts, or drops it; the number of bytes dropped.
    pub fn line(&mut self, parts: &[&[u8]]) -> u64 {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let waiting = self.pending.len() - self.start;
        // A single line may exceed the bound, so that it isn't lost for ever.
        if self.closed || (waiting > 0 && waiting + length > MOST) {
            self.unsaid += length as u64;
            return length as u64;
        }
        if self.unsaid > 0 && waiting + length + 200 <= MOST {
            let said = format!(
                "{} | {} bytes of log lines dropped: the reader of standard output was too slow\n",
                landfall_supervise::segment::OWN,
                self.unsaid
            );
            self.unsaid = 0;
            self.pending.extend_from_slice(said.as_bytes());
        }
        for part in parts {
            self.pending.extend_from_slice(part);
        }
        0
    }

    /// Whether a batch is due.
    pub const fn due(&self) -> bool {
        self.pending.len() - self.start >= 32 * 1024
    }

    /// Writes what can be written now; the bytes lost where the output turns out to be closed.
    pub fn write(&mut self) -> u64 {
        while self.pending() && !self.closed {
            let mut now = &self.pending[self.start..];
            if !self.free {
                let mut ready = [PollFd::new(&self.descriptor, PollFlags::OUT)];
                let none = Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                };
                if poll(&mut ready, Some(&none)) == Ok(0) {
                    break;
                }
                now = &now[..now.len().min(PIPE_STEP)];
            }
            match rustix::io::write(&self.descriptor, now) {
                Ok(written) => self.start += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // Also a full disk, where the output is a file: the lines are lost, and later ones
                // may not be.
                Err(error) => {
                    let lost = (self.pending.len() - self.start) as u64;
                    self.closed = matches!(
                        error,
                        Errno::PIPE | Errno::BADF | Errno::IO | Errno::CONNRESET
                    );
                    self.pending = Vec::new();
                    self.start = 0;
                    self.unsaid += lost;
                    return lost;
                }
            }
        }
        if self.start == self.pending.len() {
            self.start = 0;
            self.pending.clear();
            if self.pending.capacity() > 2 * 64 * 1024 {
                self.pending = Vec::new();
            }
        } else if self.start > MOST {
            self.pending.drain(..self.start);
            self.start = 0;
        }
        0
    }
}

/// Whether standard output was closed when we were started: std has put `/dev/null` in its place, open
/// for reading too, as nobody does who wants to throw lines away.
fn closed_from_the_start() -> bool {
    let output = rustix::stdio::stdout();
    let null = rustix::fs::fstat(output).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == rustix::fs::makedev(1, 3)
    });
    let both = || {
        rustix::fs::fcntl_getfl(output).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
    };
    null && both()
}
