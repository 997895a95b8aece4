//! Lines into segments: files that are closed at a size, the oldest removed beyond another.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use landfall_supervise::segment::{self, Segment};

/// The segments of an instance.
pub struct Segments {
    folder: PathBuf,
    instance: String,
    limit: u64,
    keep: u64,
    /// The permissions of each file.
    mode: u32,
    current: Option<(File, u64)>,
}

impl Segments {
    pub const fn new(folder: PathBuf, instance: String, limit: u64, keep: u64, mode: u32) -> Self {
        Self {
            folder,
            instance,
            limit,
            keep,
            mode,
            current: None,
        }
    }

    /// Whether the next line begins a new segment.
    pub fn full(&self, pending: usize) -> bool {
        self.current
            .as_ref()
            .is_some_and(|(_, size)| size + pending as u64 >= self.limit)
    }

    /// Closes the current segment: the next write begins another.
    pub fn close(&mut self) {
        self.current = None;
    }

    /// Writes whole lines, the first of which is of the time `first`.
    pub fn write(&mut self, lines: &[u8], first: u64) -> io::Result<()> {
        let (file, size) = match &mut self.current {
            Some(current) => current,
            None => {
                let file = self.open(first)?;
                self.current.insert((file, 0))
            }
        };
        let written = file.write_all(lines);
        *size += lines.len() as u64;
        if written.is_err() {
            // Part of a line may stand there: begin another file, so that the next line stays whole.
            self.current = None;
        }
        written
    }

    fn open(&self, first: u64) -> io::Result<File> {
        let mut first = first;
        let file = loop {
            let path = self.folder.join(segment::file_name(first, &self.instance));
            match OpenOptions::new()
                .create_new(true)
                .append(true)
                .mode(self.mode)
                .open(path)
            {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => first += 1,
                other => break other?,
            }
        };
        self.retain();
        Ok(file)
    }

    /// Removes this instance's oldest segments while all exceed what is kept.
    fn retain(&self) {
        let Ok(segments) = segment::list(&self.folder) else {
            return;
        };
        let mine: Vec<Segment> = segments
            .into_iter()
            .filter(|segment| segment.instance == self.instance)
            .collect();
        let mut size: u64 = mine.iter().map(|segment| segment.size).sum();
        // The last one is the one that was just opened.
        for segment in mine.iter().take(mine.len().saturating_sub(1)) {
            if size + self.limit <= self.keep {
                break;
            }
            if fs::remove_file(&segment.path).is_ok() {
                size -= segment.size;
            }
        }
    }
}
