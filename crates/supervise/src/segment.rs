//! Log segments: their names, their lines, and reading them in the order of time.
//!
//! A segment is `<20 digits>-<instance>.log`: the microseconds of its first line since the Unix
//! epoch. A line is `2026-11-21T12:04:11.123456Z <process> out|err F|P <text>`; `P` marks a part of
//! a longer line that goes on in the next `P` or `F` of the same stream. Within an instance times
//! never go backwards. Lines that say what the supervisor did are tagged [`OWN`].

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    str::from_utf8,
    sync::Arc,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::timestamp;

/// The tag of the supervisor's own lines.
pub const OWN: &str = "landfall";

/// The longest text of one line: what is longer comes in parts.
pub const LONGEST: usize = 64 * 1024;

/// The stream on which a process wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Output => "out",
            Self::Error => "err",
        })
    }
}

/// One line of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'line> {
    /// When it was read, in microseconds since the Unix epoch.
    pub at: u64,
    /// The process's name.
    pub process: &'line str,
    /// Its stream.
    pub stream: Stream,
    /// Whether it ends here; else its next part follows.
    pub whole: bool,
    /// Its text, without the newline.
    pub text: &'line [u8],
}

/// Reads one line, without its newline; none for what isn't one.
#[must_use]
pub fn parse(line: &[u8]) -> Option<Line<'_>> {
    let at = timestamp::parse(from_utf8(line.get(..timestamp::LENGTH)?).ok()?)?;
    let rest = line.get(timestamp::LENGTH..)?.strip_prefix(b" ")?;
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let process = from_utf8(&rest[..space]).ok()?;
    let rest = &rest[space + 1..];
    let stream = match rest.get(..4)? {
        b"out " => Stream::Output,
        b"err " => Stream::Error,
        _ => return None,
    };
    let whole = match rest.get(4..6)? {
        b"F " => true,
        b"P " => false,
        _ => return None,
    };
    Some(Line {
        at,
        process,
        stream,
        whole,
        text: &rest[6..],
    })
}

/// A segment's file name.
#[must_use]
pub fn file_name(first: u64, instance: &str) -> String {
    format!("{first:020}-{instance}.log")
}

/// A segment in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its file.
    pub path: PathBuf,
    /// The time of its first line.
    pub first: u64,
    /// The instance that wrote it.
    pub instance: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Segment {
    /// What a path says, if it is a segment's.
    #[must_use]
    pub fn of(path: &Path, size: u64) -> Option<Self> {
        let (first, instance) = path
            .file_name()?
            .to_str()?
            .strip_suffix(".log")?
            .split_once('-')?;
        if first.len() != 20 || instance.is_empty() {
            return None;
        }
        Some(Self {
            path: path.to_owned(),
            first: first.parse().ok()?,
            instance: instance.to_owned(),
            size,
        })
    }

    /// The time of its last whole line; that of its name where it has none.
    ///
    /// # Errors
    /// Those of reading.
    pub fn last(&self) -> io::Result<u64> {
        let mut file = open(&self.path)?;
        let size = file.metadata()?.len();
        // Room for two of the longest lines with their tags.
        let tail = size.min(2 * (LONGEST as u64 + 1024));
        file.seek(SeekFrom::Start(size - tail))?;
        let mut text = Vec::new();
        file.take(tail).read_to_end(&mut text)?;
        Ok(text
            .rsplit(|byte| *byte == b'\n')
            .find_map(parse)
            .map_or(self.first, |line| line.at))
    }
}

/// The segments of a folder, in the order of their first lines.
///
/// # Errors
/// Those of reading the folder.
pub fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // One that was removed meanwhile is no segment any more.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        // Containers may write here: what isn't a file is none of ours.
        if !metadata.is_file() {
            continue;
        }
        segments.extend(Segment::of(&entry.path(), metadata.len()));
    }
    segments.sort_by(|one, other| (one.first, &one.instance).cmp(&(other.first, &other.instance)));
    Ok(segments)
}

/// Opens a segment for reading. A container may have put a link or a pipe in its place: that is as
/// good as no segment.
///
/// # Errors
/// Those of opening; `NotFound` also where it isn't a file.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        // A link; a socket.
        Err(Errno::LOOP | Errno::NXIO) => return Err(io::ErrorKind::NotFound.into()),
        file => File::from(file?),
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// A line on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The instance that wrote it.
    pub instance: Arc<str>,
    /// When it was read, in microseconds since the Unix epoch.
    pub at: u64,
    /// The process's name.
    pub process: String,
    /// Its stream.
    pub stream: Stream,
    /// Whether it ends here; else its next part follows.
    pub whole: bool,
    /// Its text, without the newline; what isn't UTF-8 is replaced.
    pub text: String,
}

/// The lines of segments between two times, both included, merged by time across instances and
/// across rotations. Segments that vanish meanwhile are passed over, as are lines still being
/// written.
#[derive(Debug)]
pub struct Lines {
    sources: Vec<Source>,
    since: u64,
    until: u64,
}

impl Lines {
    /// Those of `segments` that lie between `since` and `until`.
    #[must_use]
    pub fn new(segments: Vec<Segment>, since: u64, until: u64) -> Self {
        let mut by_instance: BTreeMap<String, VecDeque<Segment>> = BTreeMap::new();
        for segment in segments {
            by_instance
                .entry(segment.instance.clone())
                .or_default()
                .push_back(segment);
        }
        let sources = by_instance
            .into_iter()
            .map(|(instance, mut segments)| {
                segments
                    .make_contiguous()
                    .sort_by_key(|segment| segment.first);
                // A segment ends where the next of its instance begins.
                while segments.get(1).is_some_and(|next| next.first < since) {
                    segments.pop_front();
                }
                segments.retain(|segment| segment.first <= until);
                Source {
                    instance: instance.into(),
                    segments,
                    reader: None,
                    next: None,
                }
            })
            .collect();
        Self {
            sources,
            since,
            until,
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        for source in &mut self.sources {
            if let Err(error) = source.fill(self.since, self.until) {
                return Some(Err(error));
            }
        }
        let earliest = self
            .sources
            .iter_mut()
            .filter(|source| source.next.is_some())
            .min_by_key(|source| source.next.as_ref().map(|entry| entry.at))?;
        earliest.next.take().map(Ok)
    }
}

/// The lines of one instance.
#[derive(Debug)]
struct Source {
    instance: Arc<str>,
    segments: VecDeque<Segment>,
    reader: Option<BufReader<File>>,
    next: Option<Entry>,
}

impl Source {
    fn fill(&mut self, since: u64, until: u64) -> io::Result<()> {
        let mut buffer = Vec::new();
        while self.next.is_none() {
            let Some(reader) = &mut self.reader else {
                let Some(segment) = self.segments.pop_front() else {
                    return Ok(());
                };
                match open(&segment.path) {
                    Ok(file) => self.reader = Some(BufReader::with_capacity(LONGEST, file)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                continue;
            };
            buffer.clear();
            reader.read_until(b'\n', &mut buffer)?;
            if buffer.pop() != Some(b'\n') {
                self.reader = None;
                continue;
            }
            let Some(line) = parse(&buffer) else { continue };
            if line.at > until {
                self.segments.clear();
                self.reader = None;
            } else if line.at >= since {
                self.next = Some(Entry {
                    instance: Arc::clone(&self.instance),
                    at: line.at,
                    process: line.process.to_owned(),
                    stream: line.stream,
                    whole: line.whole,
                    text: String::from_utf8_lossy(line.text).into_owned(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_there_and_back() {
        let text = b"2026-11-21T12:04:11.123456Z web out F  two spaces";
        let line = parse(text).unwrap();
        assert_eq!(
            (line.process, line.stream, line.whole, line.text),
            ("web", Stream::Output, true, &b" two spaces"[..])
        );
        assert_eq!(timestamp::format(line.at).as_bytes(), &text[..27]);
        assert!(
            parse(b"2026-11-21T12:04:11.123456Z web err P ")
                .is_some_and(|line| !line.whole && line.text.is_empty())
        );
        for wrong in [
            &b""[..],
            b"2026-11-21T12:04:11.123456Z web",
            b"2026-11-21T12:04:11.123456Z web xxx F a",
        ] {
            assert_eq!(parse(wrong), None);
        }
    }

    #[test]
    fn merged_by_time_across_rotations_and_instances() {
        let folder = tempfile::tempdir().unwrap();
        let write = |instance: &str, lines: &[(u64, &str)]| {
            let text: String = lines
                .iter()
                .map(|(at, text)| format!("{} web out F {text}\n", timestamp::format(*at)))
                .collect();
            fs::write(folder.path().join(file_name(lines[0].0, instance)), text).unwrap();
        };
        write("blue", &[(10, "a"), (20, "b")]);
        write("blue", &[(30, "d"), (50, "f")]);
        write("green", &[(25, "c"), (40, "e")]);
        fs::write(folder.path().join("notes.txt"), "no segment").unwrap();
        let read = |since, until| -> String {
            Lines::new(list(folder.path()).unwrap(), since, until)
                .map(|entry| entry.unwrap().text)
                .collect()
        };
        assert_eq!(read(0, 100), "abcdef");
        assert_eq!(read(20, 40), "bcde");
        assert_eq!(read(26, 26), "");
        assert_eq!(list(folder.path()).unwrap()[2].last().unwrap(), 50);
    }

    #[test]
    fn what_isnt_a_file_is_no_segment() {
        let folder = tempfile::tempdir().unwrap();
        let at = |first| folder.path().join(file_name(first, "web"));
        fs::write(at(1), "").unwrap();
        std::os::unix::fs::symlink(at(1), at(2)).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at(3),
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let firsts: Vec<_> = list(folder.path()).unwrap();
        assert_eq!(firsts.len(), 1);
        assert!(open(&at(1)).is_ok());
        for other in [2, 3] {
            let error = open(&at(other)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }
}
