//! One stream of a process: cut into lines, masked, bounded.

use std::os::fd::OwnedFd;

use landfall_redact::{Masker, Stream as MaskedStream};
use landfall_supervise::segment::{LONGEST, Stream};

/// Where whole lines go.
pub trait Lines {
    /// One line, masked; `whole` where it ends here.
    fn line(&mut self, process: usize, stream: Stream, whole: bool, text: &[u8]);
}

/// A stream that is being read.
pub struct Reading {
    pub process: usize,
    pub stream: Stream,
    pub descriptor: OwnedFd,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Masks a line that goes out in parts, across their borders.
    long: Option<MaskedStream>,
}

impl Reading {
    pub const fn new(process: usize, stream: Stream, descriptor: OwnedFd) -> Self {
        Self {
            process,
            stream,
            descriptor,
            partial: Vec::new(),
            long: None,
        }
    }

    /// Takes in what was read.
    pub fn take(&mut self, mut piece: &[u8], masker: &Masker, lines: &mut impl Lines) {
        let clean = !masker.touches(piece);
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = piece.split_at(end);
            piece = &rest[1..];
            if self.partial.is_empty() && self.long.is_none() && line.len() <= LONGEST {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if clean {
                    lines.line(self.process, self.stream, true, line);
                } else {
                    lines.line(self.process, self.stream, true, &masker.mask(line));
                }
            } else {
                self.add(line, masker, lines);
                self.end_line(masker, lines);
            }
        }
        self.add(piece, masker, lines);
    }

    /// Adds to the partial line; what exceeds the longest goes out in parts.
    fn add(&mut self, mut text: &[u8], masker: &Masker, lines: &mut impl Lines) {
        while self.partial.len() + text.len() > LONGEST {
            let (now, later) = text.split_at(LONGEST - self.partial.len());
            self.partial.extend_from_slice(now);
            text = later;
            let long = self.long.get_or_insert_with(|| masker.stream());
            let mut out = Vec::with_capacity(LONGEST);
            long.push(&self.partial, &mut out);
            self.partial.clear();
            for part in out.chunks(LONGEST) {
                lines.line(self.process, self.stream, false, part);
            }
        }
        self.partial.extend_from_slice(text);
    }

    fn end_line(&mut self, masker: &Masker, lines: &mut impl Lines) {
        let text = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        match self.long.take() {
            None => lines.line(self.process, self.stream, true, &masker.mask(text)),
            Some(mut long) => {
                let mut out = Vec::new();
                long.push(text, &mut out);
                long.finish(&mut out);
                let mut parts = out.chunks(LONGEST).peekable();
                if parts.peek().is_none() {
                    lines.line(self.process, self.stream, true, b"");
                }
                while let Some(part) = parts.next() {
                    lines.line(self.process, self.stream, parts.peek().is_none(), part);
                }
            }
        }
        // A long line's room is given back; a usual one's is used again.
        if self.partial.capacity() > 4096 {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
        }
    }

    /// The stream has ended, or its process has: a last line without a newline is one too.
    pub fn flush(&mut self, masker: &Masker, lines: &mut impl Lines) {
        if !self.partial.is_empty() || self.long.is_some() {
            self.end_line(masker, lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Vec<(bool, Vec<u8>)>);

    impl Lines for Kept {
        fn line(&mut self, _: usize, _: Stream, whole: bool, text: &[u8]) {
            self.0.push((whole, text.to_vec()));
        }
    }

    fn reading() -> Reading {
        Reading::new(
            0,
            Stream::Output,
            rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap(),
        )
    }

    fn read(masker: &Masker, pieces: &[&[u8]]) -> Vec<(bool, Vec<u8>)> {
        let mut kept = Kept::default();
        let mut reading = reading();
        for piece in pieces {
            reading.take(piece, masker, &mut kept);
        }
        reading.flush(masker, &mut kept);
        kept.0
    }

    #[test]
    fn lines_wherever_they_are_cut() {
        let whole = b"one\r\ntwo\n\nlast";
        let expected = [&b"one"[..], b"two", b"", b"last"].map(|line| (true, line.to_vec()));
        for cut in 0..whole.len() {
            let (first, second) = whole.split_at(cut);
            assert_eq!(
                read(&Masker::none(), &[first, second]),
                expected,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_long_line_comes_in_marked_parts_and_is_masked_across_them() {
        let (masker, _) = Masker::new([("NAME", "secret-value")]);
        let mut line = vec![b'x'; LONGEST - 5];
        line.extend(b"secret-value");
        line.extend(vec![b'y'; 2 * LONGEST]);
        line.push(b'\n');
        let pieces: Vec<&[u8]> = line.chunks(1000).collect();
        let parts = read(&masker, &pieces);
        assert!(parts.len() >= 3);
        assert!(parts.iter().all(|(_, part)| part.len() <= LONGEST));
        assert_eq!(
            parts
                .iter()
                .map(|(whole, _)| *whole)
                .filter(|whole| *whole)
                .count(),
            1
        );
        assert!(parts.last().unwrap().0);
        let joined: Vec<u8> = parts.into_iter().flat_map(|(_, part)| part).collect();
        let expected = [
            vec![b'x'; LONGEST - 5],
            b"***".to_vec(),
            vec![b'y'; 2 * LONGEST],
        ]
        .concat();
        assert!(joined == expected);
    }

    #[test]
    fn a_secret_across_two_reads_is_masked() {
        let (masker, _) = Masker::new([("NAME", "secret-value")]);
        assert_eq!(
            read(&masker, &[b"a secret-", b"value z\n"]),
            [(true, b"a *** z".to_vec())]
        );
    }
}
