//! What a command writes: cut into lines and parts of them, masked, kept in segments.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use landfall_redact::{Masker, Stream as Masking};
use landfall_supervise::{
    segment::{LONGEST, Stream, file_name},
    timestamp,
};

use crate::specification::SEGMENT;

/// How many of the last lines are kept for a failure.
const LAST_WORDS: usize = 20;

/// How much of each.
const LONGEST_WORD: usize = 1000;

/// The lines of a command.
pub struct Log {
    folder: PathBuf,
    instance: String,
    process: String,
    file: File,
    written: u64,
    most: u64,
    /// The time of the last line: times never go back in a segment, whatever the clock does.
    latest: u64,
    last: VecDeque<String>,
}

impl Log {
    /// Opens the first segment.
    pub fn open(folder: &Path, instance: &str, process: &str) -> io::Result<Self> {
        let latest = timestamp::now();
        Ok(Self {
            folder: folder.to_owned(),
            instance: instance.to_owned(),
            process: process.to_owned(),
            file: segment(folder, latest, instance)?,
            written: 0,
            most: SEGMENT,
            latest,
            last: VecDeque::new(),
        })
    }

    /// The last lines, each as far as it is worth it.
    pub fn last_words(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    fn part(&mut self, stream: Stream, begins: bool, whole: bool, text: &[u8]) -> io::Result<()> {
        self.latest = timestamp::now().max(self.latest);
        let ends = if whole { 'F' } else { 'P' };
        let at = timestamp::format(self.latest);
        let mut line = format!("{at} {} {stream} {ends} ", self.process).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        if self.written > 0 && self.written + line.len() as u64 > self.most {
            // Its name is its first line's time, which no other segment of ours has.
            self.latest += 1;
            let at = timestamp::format(self.latest);
            line.splice(..at.len(), at.bytes());
            self.file = segment(&self.folder, self.latest, &self.instance)?;
            self.written = 0;
        }
        self.file.write_all(&line)?;
        self.written += line.len() as u64;
        if begins {
            if self.last.len() == LAST_WORDS {
                self.last.pop_front();
            }
            let text = String::from_utf8_lossy(text);
            let mut word: String = text.chars().take(LONGEST_WORD).collect();
            if !whole || word.len() < text.len() {
                word.push('…');
            }
            self.last.push_back(word);
        }
        Ok(())
    }
}

fn segment(folder: &Path, first: u64, instance: &str) -> io::Result<File> {
    // Anew: a container that writes to this folder too may have laid a link there.
    std::fs::OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join(file_name(first, instance)))
}

/// One stream, cut into lines; never more of one is held than its longest part.
pub struct Cutting {
    stream: Stream,
    masking: Masking,
    /// Masked text of the line that goes on.
    held: Vec<u8>,
    /// Whether anything of that line was read.
    begun: bool,
    /// Whether a part of it was written.
    parted: bool,
}

impl Cutting {
    /// A stream of which nothing was read yet.
    pub fn new(stream: Stream, masker: &Masker) -> Self {
        Self {
            stream,
            masking: masker.stream(),
            held: Vec::new(),
            begun: false,
            parted: false,
        }
    }

    /// Takes in what was read.
    pub fn take(&mut self, piece: &[u8], log: &mut Log) -> io::Result<()> {
        for text in piece.split_inclusive(|byte| *byte == b'\n') {
            self.begun = true;
            let line = text.strip_suffix(b"\n");
            self.masking.push(line.unwrap_or(text), &mut self.held);
            match line {
                Some(_) => self.end(log)?,
                None => self.parts(log)?,
            }
        }
        Ok(())
    }

    /// The end: a last line without a newline is one too.
    pub fn finish(&mut self, log: &mut Log) -> io::Result<()> {
        match self.begun {
            true => self.end(log),
            false => Ok(()),
        }
    }

    /// Writes what is too long to wait for its end.
    fn parts(&mut self, log: &mut Log) -> io::Result<()> {
        while self.held.len() > LONGEST {
            log.part(self.stream, !self.parted, false, &self.held[..LONGEST])?;
            self.held.drain(..LONGEST);
            self.parted = true;
        }
        Ok(())
    }

    fn end(&mut self, log: &mut Log) -> io::Result<()> {
        self.masking.finish(&mut self.held);
        self.parts(log)?;
        let text = self.held.strip_suffix(b"\r").unwrap_or(&self.held);
        log.part(self.stream, !self.parted, true, text)?;
        self.held.clear();
        (self.begun, self.parted) = (false, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use landfall_supervise::segment::{Lines, list};

    use super::*;

    fn written(folder: &Path) -> Vec<String> {
        let entries = Lines::new(list(folder).unwrap(), 0, u64::MAX);
        entries
            .map(|entry| entry.unwrap())
            .map(|entry| format!("{} {} {}", entry.stream, entry.whole, entry.text))
            .collect()
    }

    #[test]
    fn lines_wherever_they_are_cut() {
        let text = b"one\r\n\ntwo secret-value\nlast";
        let (masker, _) = Masker::new([("TOKEN", "secret-value")]);
        for cut in 0..=text.len() {
            let folder = tempfile::tempdir().unwrap();
            let mut log = Log::open(folder.path(), "i", "migrate").unwrap();
            let mut cutting = Cutting::new(Stream::Error, &masker);
            let (first, second) = text.split_at(cut);
            cutting.take(first, &mut log).unwrap();
            cutting.take(second, &mut log).unwrap();
            cutting.finish(&mut log).unwrap();
            cutting.finish(&mut log).unwrap();
            let expected = [
                "err true one",
                "err true ",
                "err true two ***",
                "err true last",
            ];
            assert_eq!(written(folder.path()), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_of_just_the_longest_is_whole() {
        for (length, parts) in [(LONGEST, 1), (LONGEST + 1, 2), (3 * LONGEST, 3)] {
            let folder = tempfile::tempdir().unwrap();
            let mut log = Log::open(folder.path(), "i", "migrate").unwrap();
            let mut cutting = Cutting::new(Stream::Output, &Masker::none());
            for piece in vec![b'x'; length].chunks(8192) {
                cutting.take(piece, &mut log).unwrap();
                assert!(cutting.held.len() <= LONGEST);
            }
            cutting.take(b"\n", &mut log).unwrap();
            let lines = written(folder.path());
            assert_eq!(lines.len(), parts, "{length}");
            assert!(lines.last().unwrap().starts_with("out true "));
        }
    }

    #[test]
    fn a_full_segment_is_closed_and_another_opened() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path(), "i", "migrate").unwrap();
        log.most = 100;
        let mut cutting = Cutting::new(Stream::Output, &Masker::none());
        for number in 0..20 {
            let line = format!("line {number}\n");
            cutting.take(line.as_bytes(), &mut log).unwrap();
        }
        let segments = list(folder.path()).unwrap();
        assert!(segments.len() >= 9, "{segments:?}");
        assert!(segments.iter().all(|segment| segment.size <= 100));
        let expected: Vec<_> = (0..20)
            .map(|number| format!("out true line {number}"))
            .collect();
        assert_eq!(written(folder.path()), expected);
    }
}
