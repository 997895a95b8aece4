//! What the log thread does.

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, Sender, TryRecvError},
    },
    time::{Duration, Instant},
};

use landfall_redact::Masker;
use landfall_supervise::{
    segment::{OWN, Stream},
    specification::{self, Specification},
    timestamp,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Command, LAST_WORDS, LAST_WORDS_LENGTH, Shared,
    output::Output,
    segments::Segments,
    streams::{Lines, Reading},
};

/// Lines are written in batches of about this size.
const BATCH: usize = 64 * 1024;

/// How long a reader that has stalled is waited for at the very end.
const LAST_WAIT: Duration = Duration::from_millis(150);

enum Sink {
    Output(Output),
    Segments {
        segments: Segments,
        batch: Vec<u8>,
        first: u64,
    },
}

/// The sink with what each line needs.
struct Writer {
    sink: Sink,
    names: Vec<String>,
    shared: Arc<Shared>,
    /// The time of the lines read last, as a number and written.
    now: u64,
    written_now: String,
}

pub struct Thread {
    wake: OwnedFd,
    commands: Receiver<Command>,
    answers: Sender<u64>,
    answered: Arc<OwnedFd>,
    streams: Vec<Reading>,
    buffer: Vec<u8>,
    masker: Masker,
    writer: Writer,
}

impl Thread {
    pub fn new(
        specification: &Specification,
        masker: Masker,
        wake: OwnedFd,
        commands: Receiver<Command>,
        answers: Sender<u64>,
        answered: Arc<OwnedFd>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let sink = match &specification.logs {
            specification::Logs::Output => {
                let output = Output::new()?;
                shared.closed.store(output.closed(), Ordering::Relaxed);
                Sink::Output(output)
            }
            specification::Logs::Segments {
                folder,
                segment,
                keep,
            } => Sink::Segments {
                segments: Segments::new(
                    folder.clone(),
                    specification.instance.clone(),
                    *segment,
                    *keep,
                    if specification.shared { 0o666 } else { 0o600 },
                ),
                batch: Vec::new(),
                first: 0,
            },
        };
        let names = specification
            .processes
            .iter()
            .map(|process| process.name.clone())
            .collect();
        let writer = Writer {
            sink,
            names,
            shared,
            now: 0,
            written_now: String::new(),
        };
        Ok(Self {
            wake,
            commands,
            answers,
            answered,
            streams: Vec::new(),
            buffer: Vec::new(),
            masker,
            writer,
        })
    }

    pub fn run(&mut self) {
        loop {
            self.wait(None);
            loop {
                match self.commands.try_recv() {
                    Ok(Command::Finish) | Err(TryRecvError::Disconnected) => return self.finish(),
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.writer.flush();
        }
    }

    /// Waits for anything, reads what came, and writes what can be written.
    fn wait(&mut self, timeout: Option<Duration>) {
        let mut polled = Vec::with_capacity(self.streams.len() + 2);
        polled.push(PollFd::new(&self.wake, PollFlags::IN));
        polled.extend(
            self.streams
                .iter()
                .map(|stream| PollFd::new(&stream.descriptor, PollFlags::IN)),
        );
        if let Sink::Output(output) = &self.writer.sink {
            polled.extend(
                output
                    .waits()
                    .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::OUT)),
            );
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if poll(&mut polled, timeout.as_ref()).is_err() {
            return;
        }
        let ready: Vec<bool> = polled
            .iter()
            .map(|polled| !polled.revents().is_empty())
            .collect();
        drop(polled);
        if ready[0] {
            let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        }
        self.writer.tick();
        let mut index = 0;
        self.streams.retain_mut(|stream| {
            index += 1;
            !ready[index] || read_some(stream, &mut self.buffer, &self.masker, &mut self.writer, 4)
        });
        self.writer.flush();
    }

    fn obey(&mut self, command: Command) {
        self.writer.tick();
        match command {
            Command::Read {
                process,
                stream,
                descriptor,
            } => {
                self.streams.push(Reading::new(process, stream, descriptor));
            }
            Command::Drain { process, ticket } => {
                self.drain(|stream| stream.process == process);
                let _ = self.answers.send(ticket);
                let _ = rustix::io::write(&*self.answered, &1_u64.to_ne_bytes());
            }
            Command::Remark(text) => self.writer.remark(&self.masker.mask_text(&text)),
            Command::Finish => {}
        }
    }

    fn drain(&mut self, which: impl Fn(&Reading) -> bool) {
        self.streams.retain_mut(|stream| {
            if !which(stream) {
                return true;
            }
            // A pipe holds a megabyte at most; who still writes then is a stray.
            let open = read_some(stream, &mut self.buffer, &self.masker, &mut self.writer, 20);
            stream.flush(&self.masker, &mut self.writer);
            open
        });
    }

    fn finish(&mut self) {
        self.writer.tick();
        self.drain(|_| true);
        self.writer.flush();
        let until = Instant::now() + LAST_WAIT;
        while let Sink::Output(output) = &mut self.writer.sink
            && output.waits().is_some()
        {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.streams.clear();
            self.wait(Some(left));
        }
        let dropped = self.writer.shared.dropped.load(Ordering::Relaxed);
        if let Sink::Output(output) = &self.writer.sink
            && output.closed()
            && dropped > 0
        {
            let said = format!(
                "landfall-supervise: standard output is closed: {dropped} bytes of log lines dropped\n"
            );
            let _ = rustix::io::write(rustix::stdio::stderr(), said.as_bytes());
        }
    }
}

/// Reads a few times at most, so that one stream doesn't keep the others waiting; false at its end.
fn read_some(
    stream: &mut Reading,
    buffer: &mut Vec<u8>,
    masker: &Masker,
    writer: &mut Writer,
    times: usize,
) -> bool {
    buffer.resize(BATCH, 0);
    for _ in 0..times {
        match rustix::io::read(&stream.descriptor, &mut buffer[..]) {
            Ok(0) => {
                stream.flush(masker, writer);
                return false;
            }
            Ok(read) => {
                stream.take(&buffer[..read], masker, writer);
                if read < BATCH / 2 {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(_) => {
                stream.flush(masker, writer);
                return false;
            }
        }
    }
    true
}

impl Writer {
    /// Takes the time for the lines that follow; it never goes backwards.
    fn tick(&mut self) {
        let now = timestamp::now();
        if now > self.now {
            self.now = now;
            self.written_now = timestamp::format(now);
        }
    }

    fn remark(&mut self, text: &str) {
        for line in text.lines() {
            self.write(
                OWN.to_owned().as_str(),
                Stream::Error,
                true,
                line.as_bytes(),
            );
        }
    }

    fn write(&mut self, name: &str, stream: Stream, whole: bool, text: &[u8]) {
        match &mut self.sink {
            Sink::Output(output) => {
                // A plus sign where the line goes on in the next.
                let separator: &[u8] = if whole { b" | " } else { b" |+ " };
                let dropped = output.line(&[name.as_bytes(), separator, text, b"\n"]);
                if dropped > 0 {
                    self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
                } else if output.due() {
                    self.flush();
                }
            }
            Sink::Segments {
                segments,
                batch,
                first,
            } => {
                if segments.full(batch.len()) {
                    flush_segments(segments, batch, *first, &self.shared);
                    segments.close();
                }
                if batch.is_empty() {
                    *first = self.now;
                }
                batch.extend_from_slice(self.written_now.as_bytes());
                batch.push(b' ');
                batch.extend_from_slice(name.as_bytes());
                batch.extend_from_slice(match (stream, whole) {
                    (Stream::Output, true) => b" out F ",
                    (Stream::Output, false) => b" out P ",
                    (Stream::Error, true) => b" err F ",
                    (Stream::Error, false) => b" err P ",
                });
                batch.extend_from_slice(text);
                batch.push(b'\n');
                if batch.len() >= BATCH {
                    flush_segments(segments, batch, *first, &self.shared);
                }
            }
        }
    }

    fn flush(&mut self) {
        match &mut self.sink {
            Sink::Output(output) => {
                let was_closed = output.closed();
                let lost = output.write();
                self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
                if output.closed() && !was_closed {
                    self.shared.closed.store(true, Ordering::Relaxed);
                    let _ = rustix::io::write(
                        rustix::stdio::stderr(),
                        b"landfall-supervise: standard output is closed: log lines are dropped from now on\n",
                    );
                }
            }
            Sink::Segments {
                segments,
                batch,
                first,
            } => flush_segments(segments, batch, *first, &self.shared),
        }
    }
}

fn flush_segments(segments: &mut Segments, batch: &mut Vec<u8>, first: u64, shared: &Shared) {
    if batch.is_empty() {
        return;
    }
    if segments.write(batch, first).is_err() {
        shared
            .dropped
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
    }
    batch.clear();
    if batch.capacity() > 4 * BATCH {
        *batch = Vec::new();
    }
}

impl Lines for Writer {
    fn line(&mut self, process: usize, stream: Stream, whole: bool, text: &[u8]) {
        if let Some(words) = self.shared.words.get(process) {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            keep_last(&mut words, text);
        }
        let name = std::mem::take(&mut self.names[process]);
        self.write(&name, stream, whole, text);
        self.names[process] = name;
    }
}

/// Keeps the last lines, in the room of those that go.
fn keep_last(words: &mut VecDeque<Vec<u8>>, text: &[u8]) {
    let mut line = if words.len() >= LAST_WORDS {
        words.pop_front().unwrap_or_default()
    } else {
        Vec::new()
    };
    line.clear();
    line.extend_from_slice(&text[..text.len().min(LAST_WORDS_LENGTH)]);
    words.push_back(line);
}
