//! The text of an app file and the places in it.

use std::{ops::Range, sync::Arc};

/// A place in the text: bytes from and to.
pub type Span = Range<usize>;

/// An app file's name and text, with its lines found once.
#[derive(Debug, Clone)]
pub struct Source {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    /// Takes the text of a file.
    pub fn new(file: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(breaks.map(|(at, _)| at + 1))
            .collect();
        Self {
            inner: Arc::new(Inner {
                file: file.to_owned(),
                text,
                lines,
            }),
        }
    }

    /// The file's name, as the user knows it.
    pub fn file(&self) -> &str {
        &self.inner.file
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The line, from 1, that a byte stands on.
    pub fn line(&self, at: usize) -> usize {
        self.inner.lines.partition_point(|start| *start <= at)
    }

    /// The column, from 1 and in characters, that a byte stands at.
    pub fn column(&self, at: usize) -> usize {
        let start = self.line_start(self.line(at));
        let end = boundary(&self.inner.text, at);
        let before = self.inner.text.get(start..end).unwrap_or_default();
        before.chars().filter(|c| *c != '\u{feff}').count() + 1
    }

    /// The bytes of a line without its end; lines count from 1.
    pub(crate) fn line_span(&self, line: usize) -> Span {
        let start = self.line_start(line);
        let end = self
            .inner
            .lines
            .get(line)
            .map_or(self.inner.text.len(), |next| next - 1);
        let text = &self.inner.text[start..end];
        let start = if text.starts_with('\u{feff}') {
            start + '\u{feff}'.len_utf8()
        } else {
            start
        };
        start..start.max(start + self.inner.text[start..end].trim_end_matches('\r').len())
    }

    fn line_start(&self, line: usize) -> usize {
        let last = self.inner.lines.len() - 1;
        self.inner.lines[line.saturating_sub(1).min(last)]
    }
}

/// The last place not behind this one that doesn't cut a character.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}
