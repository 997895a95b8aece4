//! Log lines found by time, process and text, across rotations; and followed as they come.

mod entries;
mod follow;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use landfall_api::wire::{LogLine, LogQuery};
use landfall_supervise::segment::{self, Entry, Lines, Segment, Stream};
use tokio::sync::mpsc;

use crate::identifier::InstanceId;

pub use entries::Entries;

/// So many lines are read at a time.
const BATCH: usize = 1000;

/// Where lines go; it ends with its reader.
pub type Sink = mpsc::Sender<LogLine>;

/// The folders with segments of one environment, by service.
pub fn folders(logs: &Path, service: Option<&str>) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    let entries = match std::fs::read_dir(logs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folders),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if service.is_none_or(|service| entry.file_name() == service) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Sends what a query asks for; where it follows, until the reader is gone.
pub async fn answer(logs: PathBuf, query: LogQuery, sink: Sink) -> io::Result<()> {
    let watcher = query
        .follow
        .then(|| follow::Watcher::new(&logs))
        .transpose()?;
    let (folders_of, history) = (logs.clone(), query.clone());
    let mut past = blocking(move || Past::open(&folders_of, &history)).await?;
    let seen = loop {
        let (read, batch) = blocking(move || past.read()).await?;
        for line in batch {
            // Waiting for a slow reader holds no thread.
            if sink.send(line).await.is_err() {
                return Ok(());
            }
        }
        if read.over {
            break read.seen;
        }
        if sink.is_closed() {
            return Ok(());
        }
        past = read;
    };
    match watcher {
        Some(watcher) => watcher.follow(&logs, &query, seen, &sink).await,
        None => Ok(()),
    }
}

/// Does what waits for the disk where nobody else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// The lines that are there already.
struct Past {
    lines: Lines,
    entries: Entries,
    /// How far each instance was read.
    seen: BTreeMap<String, u64>,
    over: bool,
}

impl Past {
    fn open(logs: &Path, query: &LogQuery) -> io::Result<Self> {
        let mut segments: Vec<Segment> = Vec::new();
        for folder in folders(logs, query.service.as_deref())? {
            segments.extend(segment::list(&folder)?);
        }
        let until = query.until.unwrap_or(u64::MAX);
        Ok(Self {
            lines: Lines::new(segments, query.since.unwrap_or(0), until),
            entries: Entries::new(query),
            seen: BTreeMap::new(),
            over: false,
        })
    }

    /// Reads on by a batch; what is wanted of it comes out.
    fn read(mut self) -> io::Result<(Self, Vec<LogLine>)> {
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            let Some(entry) = self.lines.next().transpose()? else {
                batch.extend(self.entries.finish());
                self.over = true;
                break;
            };
            let instance = self.seen.entry(entry.instance.to_string()).or_insert(0);
            *instance = entry.at.max(*instance);
            batch.extend(self.entries.take(line(entry)));
        }
        Ok((self, batch))
    }
}

/// A line as clients see it.
fn line(entry: Entry) -> LogLine {
    let id = InstanceId::parse(&entry.instance);
    LogLine {
        at: entry.at,
        service: id
            .as_ref()
            .map_or_else(String::new, |id| id.service.clone()),
        process: entry.process,
        instance: entry.instance.to_string(),
        replica: id.as_ref().map_or(0, |id| id.replica),
        release: id.as_ref().map_or(0, |id| id.release),
        error: entry.stream == Stream::Error,
        text: entry.text,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(lines: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let service = folder.path().join("web");
        fs::create_dir(&service).unwrap();
        let text: String = (0..lines)
            .map(|number| format!("2026-11-21T12:04:11.123456Z web out F line {number}\n"))
            .collect();
        let name = segment::file_name(1, "shop.local.web.1.1.1");
        fs::write(service.join(name), text).unwrap();
        folder
    }

    async fn all(mut lines: mpsc::Receiver<LogLine>) -> usize {
        let mut count = 0;
        while let Some(line) = lines.recv().await {
            assert_eq!(line.text, format!("line {count}"));
            count += 1;
        }
        count
    }

    #[test]
    fn readers_that_are_slow_hold_up_no_other() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let folder = written(3 * BATCH);
        let query = LogQuery::default;
        runtime.block_on(async {
            let mut slow = Vec::new();
            for _ in 0..10 {
                let (sink, mut lines) = mpsc::channel(1);
                tokio::spawn(answer(folder.path().to_owned(), query(), sink));
                assert_eq!(lines.recv().await.unwrap().text, "line 0");
                slow.push(lines);
            }
            let (sink, lines) = mpsc::channel(1);
            let answering = tokio::spawn(answer(folder.path().to_owned(), query(), sink));
            assert_eq!(all(lines).await, 3 * BATCH);
            answering.await.unwrap().unwrap();
        });
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_ends_the_reading() {
        let folder = written(3 * BATCH);
        let (sink, lines) = mpsc::channel(1);
        drop(lines);
        let query = LogQuery {
            follow: true,
            ..LogQuery::default()
        };
        answer(folder.path().to_owned(), query, sink).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_while_it_is_read_comes_once() {
        let folder = written(2);
        let (sink, mut lines) = mpsc::channel(1);
        let query = LogQuery {
            follow: true,
            ..LogQuery::default()
        };
        let answering = tokio::spawn(answer(folder.path().to_owned(), query, sink));
        assert_eq!(lines.recv().await.unwrap().text, "line 0");
        let name = segment::file_name(1, "shop.local.web.1.1.1");
        let path = folder.path().join("web").join(name);
        let mut file = fs::File::options().append(true).open(path).unwrap();
        io::Write::write_all(&mut file, b"2026-11-21T12:04:12.123456Z web out F line 2\n").unwrap();
        for expected in ["line 1", "line 2"] {
            assert_eq!(lines.recv().await.unwrap().text, expected);
        }
        drop(lines);
        answering.await.unwrap().unwrap();
    }
}
