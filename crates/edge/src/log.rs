//! The access log: a line of JSON for each request, gathered by each worker and written by one
//! thread. A reader that stalls costs lines, which are counted, and never a request.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use crate::date::Timestamp;

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// To standard output.
    #[default]
    Output,
    /// To the end of a file.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// A worker hands its lines over at this size, or after [`DELAY`].
const FULL: usize = 60 * 1024;
/// How long a line may wait for others.
pub(crate) const DELAY: Duration = Duration::from_millis(50);
/// Batches that wait for the writer.
const QUEUE: usize = 64;

/// What is said of a request.
pub(crate) struct Line<'a> {
    pub whose: Option<&'a crate::traffic::Label>,
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub took: Duration,
    pub bytes: u64,
    pub client: std::net::IpAddr,
    pub request: &'a str,
}

/// The writer's end.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    batches: Option<SyncSender<Vec<u8>>>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// Opens the log and starts its thread, which ends with the last clone of what is returned.
    pub(crate) fn start(log: &AccessLog) -> io::Result<(Self, Option<thread::JoinHandle<()>>)> {
        let mut to: Box<dyn Write + Send> = match log {
            AccessLog::Off => {
                return Ok((
                    Self {
                        batches: None,
                        dropped: Arc::default(),
                    },
                    None,
                ));
            }
            AccessLog::Output => Box::new(io::stdout()),
            AccessLog::File(path) => {
                Box::new(OpenOptions::new().append(true).create(true).open(path)?)
            }
        };
        let (sender, receiver) = sync_channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&dropped);
        let thread = thread::Builder::new()
            .name("edge-log".into())
            .spawn(move || write_all(&receiver, &mut to, &counter))?;
        Ok((
            Self {
                batches: Some(sender),
                dropped,
            },
            Some(thread),
        ))
    }

    fn send(&self, batch: Vec<u8>) {
        let Some(batches) = &self.batches else { return };
        if let Err(error) = batches.try_send(batch) {
            let (std::sync::mpsc::TrySendError::Full(batch)
            | std::sync::mpsc::TrySendError::Disconnected(batch)) = error;
            let lines = batch.iter().filter(|&&byte| byte == b'\n').count();
            self.dropped.fetch_add(lines as u64, Relaxed);
        }
    }
}

fn write_all(batches: &Receiver<Vec<u8>>, to: &mut impl Write, dropped: &AtomicU64) {
    for batch in batches {
        // Nobody is left to be told where even the log can't be written.
        let _ = to.write_all(&batch).and_then(|()| to.flush());
        let lines = dropped.swap(0, Relaxed);
        if lines > 0 {
            let _ = writeln!(
                to,
                r#"{{"time":"{}","dropped":{lines}}}"#,
                Timestamp(SystemTime::now())
            );
        }
    }
}

/// What a worker has gathered.
#[derive(Debug)]
pub(crate) struct Gathered {
    writer: Writer,
    lines: Mutex<Vec<u8>>,
}

impl Gathered {
    pub(crate) fn new(writer: Writer) -> Self {
        Self {
            writer,
            lines: Mutex::default(),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.writer.batches.is_none()
    }

    /// Adds a line; whether it is the first, and a [`flush`](Self::flush) must follow.
    pub(crate) fn add(&self, line: &Line<'_>) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let first = lines.is_empty();
        line.write(&mut lines);
        if lines.len() >= FULL {
            // The flush that is still to come finds what is added until then.
            let batch = std::mem::replace(&mut *lines, Vec::with_capacity(FULL + 1024));
            self.writer.send(batch);
        }
        first
    }

    pub(crate) fn flush(&self) {
        let batch = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        if !batch.is_empty() {
            self.writer.send(batch);
        }
    }
}

impl Line<'_> {
    fn write(&self, to: &mut Vec<u8>) {
        // Writing to a Vec can't fail.
        let _ = write!(to, r#"{{"time":"{}""#, Timestamp(SystemTime::now()));
        if let Some(label) = self.whose {
            for (key, value) in [
                ("app", &label.app),
                ("environment", &label.environment),
                ("service", &label.service),
            ] {
                let _ = write!(to, r#","{key}":""#);
                escape(value, to);
                to.push(b'"');
            }
            let _ = write!(to, r#","release":{}"#, label.release);
        }
        to.extend_from_slice(br#","method":""#);
        escape(self.method, to);
        to.extend_from_slice(br#"","path":""#);
        escape(self.path, to);
        let micros = self.took.as_micros();
        let _ = write!(
            to,
            r#"","status":{},"ms":{}.{:03},"bytes":{},"client":"{}","request":""#,
            self.status,
            micros / 1000,
            micros % 1000,
            self.bytes,
            self.client
        );
        escape(self.request, to);
        to.extend_from_slice(b"\"}\n");
    }
}

fn escape(text: &str, to: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => to.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                let _ = write!(to, "\\u{byte:04x}");
            }
            _ => to.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_whatever_the_path() {
        let mut text = Vec::new();
        Line {
            whose: None,
            method: "GET",
            path: "/a\"b\\c\u{1}é",
            status: 200,
            took: Duration::from_micros(1234),
            bytes: 5,
            client: [127, 0, 0, 1].into(),
            request: "r",
        }
        .write(&mut text);
        let line: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(line["path"], "/a\"b\\c\u{1}é");
        assert_eq!(line["ms"], 1.234);
    }

    #[test]
    fn lines_that_find_no_room_are_counted() {
        let (sender, receiver) = sync_channel(1);
        let writer = Writer {
            batches: Some(sender),
            dropped: Arc::default(),
        };
        writer.send(b"1\n".to_vec());
        writer.send(b"2\n3\n".to_vec());
        assert_eq!(writer.dropped.load(Relaxed), 2);
        let dropped = Arc::clone(&writer.dropped);
        drop(writer);
        let mut written = Vec::new();
        write_all(&receiver, &mut written, &dropped);
        let text = String::from_utf8(written).unwrap();
        assert!(
            text.starts_with("1\n{") && text.contains("\"dropped\":2"),
            "{text}"
        );
    }
}
