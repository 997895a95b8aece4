//! Following segments as they grow, woken by the kernel: nothing is looked at while nothing is written.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Seek as _, SeekFrom},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use landfall_api::wire::LogQuery;
use landfall_supervise::segment::{self, Entry, Segment};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Entries, Sink, blocking, folders, line};

/// Watches the folders of an environment's segments.
pub struct Watcher {
    descriptor: AsyncFd<OwnedFd>,
    watched: Vec<PathBuf>,
    read: Read,
}

/// How far each segment was read.
type Read = BTreeMap<PathBuf, u64>;

impl Watcher {
    /// Begins to watch; what is written from now on isn't missed.
    pub fn new(logs: &Path) -> io::Result<Self> {
        crate::home::make_folder(logs)?;
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "sound here: the descriptor is owned and never replaced; its successor is unsafe"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        let mut watcher = Self {
            descriptor,
            watched: Vec::new(),
            read: BTreeMap::new(),
        };
        inotify::add_watch(watcher.descriptor.get_ref(), logs, WatchFlags::CREATE)?;
        watcher.look(logs)?;
        for segment in segments(logs, None)? {
            watcher.read.insert(segment.path, segment.size);
        }
        Ok(watcher)
    }

    /// Watches the folders that came since.
    fn look(&mut self, logs: &Path) -> io::Result<()> {
        for folder in folders(logs, None)? {
            if !self.watched.contains(&folder) {
                inotify::add_watch(
                    self.descriptor.get_ref(),
                    &folder,
                    WatchFlags::MODIFY | WatchFlags::CREATE,
                )?;
                self.watched.push(folder);
            }
        }
        Ok(())
    }

    /// Sends lines as they come, until the reader is gone. `seen` says how far each instance was
    /// sent before.
    pub async fn follow(
        mut self,
        logs: &Path,
        query: &LogQuery,
        seen: BTreeMap<String, u64>,
        sink: &Sink,
    ) -> io::Result<()> {
        let mut entries = Entries::new(&LogQuery {
            last: None,
            ..query.clone()
        });
        loop {
            self.look(logs)?;
            let (logs_of, service) = (logs.to_owned(), query.service.clone());
            let read = std::mem::take(&mut self.read);
            let mut fresh;
            (self.read, fresh) =
                blocking(move || read_on(&logs_of, service.as_deref(), read)).await?;
            fresh.retain(|entry| {
                seen.get(&*entry.instance)
                    .is_none_or(|seen| entry.at > *seen)
            });
            fresh.sort_by_key(|entry| entry.at);
            for entry in fresh {
                for line in entries.take(line(entry)) {
                    if sink.send(line).await.is_err() {
                        return Ok(());
                    }
                }
            }
            for line in entries.flush() {
                if sink.send(line).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = sink.closed() => return Ok(()),
                woken = self.wait() => woken?,
            }
        }
    }

    /// Waits for something to be written.
    async fn wait(&self) -> io::Result<()> {
        let mut ready = self.descriptor.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(self.descriptor.get_ref(), &mut buffer);
        // Which files they were doesn't matter: each is read on from where it was left.
        loop {
            match reader.next() {
                Ok(_) => continue,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        Ok(())
    }
}

fn segments(logs: &Path, service: Option<&str>) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for folder in folders(logs, service)? {
        segments.extend(segment::list(&folder)?);
    }
    Ok(segments)
}

/// Reads the whole lines that the segments have got since the last time.
fn read_on(logs: &Path, service: Option<&str>, mut read: Read) -> io::Result<(Read, Vec<Entry>)> {
    let mut fresh = Vec::new();
    for segment in segments(logs, service)? {
        let from = read.entry(segment.path.clone()).or_insert(0);
        *from += whole_lines(&segment, *from, &mut fresh)?;
    }
    Ok((read, fresh))
}

/// Reads the whole lines of a segment from a place on; how many bytes they are.
fn whole_lines(segment: &Segment, from: u64, fresh: &mut Vec<Entry>) -> io::Result<u64> {
    if segment.size <= from {
        return Ok(0);
    }
    let mut file = match segment::open(&segment.path) {
        // Retention took it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(segment.size - from).read_to_end(&mut text)?;
    let whole = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let instance: Arc<str> = segment.instance.as_str().into();
    for text in text[..whole].split(|byte| *byte == b'\n') {
        let Some(line) = segment::parse(text) else {
            continue;
        };
        fresh.push(Entry {
            instance: instance.clone(),
            at: line.at,
            process: line.process.to_owned(),
            stream: line.stream,
            whole: line.whole,
            text: String::from_utf8_lossy(line.text).into_owned(),
        });
    }
    Ok(whole as u64)
}
