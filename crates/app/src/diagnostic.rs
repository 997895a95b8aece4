//! What is wrong with a file: named, placed, with the mend.

use serde::Serialize;

use crate::source::{Source, Span};

/// Longer messages quote too much of the file.
const LONGEST: usize = 600;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used; something in it has no effect or not the one expected.
    Warning,
}

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name, for `landfall explain`.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to say at that place.
    pub label: String,
    /// Another place that has to do with it, and what to say there.
    pub related: Option<(Span, String)>,
    /// How to mend it.
    pub help: Option<String>,
    /// What else to know.
    pub notes: Vec<String>,
    /// For `not-built-yet`: whether a deployment must be refused.
    pub matters: bool,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            span,
            label: label.into(),
            related: None,
            help: None,
            notes: Vec::new(),
            matters: true,
        }
    }

    /// A warning at a place.
    pub fn warning(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            matters: false,
            ..Self::error(code, span, message, label)
        }
    }

    /// Text from a file may hold control characters, which a terminal would obey.
    fn clean(&mut self) {
        let texts = [&mut self.message, &mut self.label].into_iter();
        for text in texts.chain(&mut self.help).chain(&mut self.notes) {
            if text.len() > LONGEST || text.chars().any(unsafe_to_show) {
                let longer = text.chars().nth(LONGEST).is_some();
                let kept = text.chars().take(LONGEST);
                *text = kept
                    .map(|c| if unsafe_to_show(c) { '\u{fffd}' } else { c })
                    .collect();
                if longer {
                    text.push('…');
                }
            }
        }
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what else to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Points at another place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }
}

/// Everything that is wrong with a file, in its order.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    source: Source,
    list: Vec<Diagnostic>,
}

/// A diagnostic as JSON: places as lines and columns, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The line of the end.
    pub end_line: usize,
    /// The column of the end.
    pub end_column: usize,
    /// What to say at that place.
    pub label: String,
    /// How to mend it.
    pub help: Option<String>,
    /// What else to know.
    pub notes: Vec<String>,
}

impl Diagnostics {
    /// Sorts by place; the same thing at the same place is said once.
    pub(crate) fn new(source: Source, mut list: Vec<Diagnostic>) -> Self {
        list.iter_mut().for_each(Diagnostic::clean);
        list.sort_by(|a, b| {
            let key = |d: &Diagnostic| (d.span.start, d.span.end, d.severity, d.code);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        list.dedup_by(|a, b| a.code == b.code && a.span == b.span && a.message == b.message);
        Self { source, list }
    }

    /// The file that they are about.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// All of them, in the order of the file.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the file can't be used.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors.
    pub fn errors(&self) -> usize {
        self.list
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }

    /// How many warnings.
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }

    /// For `--json`.
    pub fn reports(&self) -> Vec<Report> {
        let report = |d: &Diagnostic| Report {
            severity: d.severity,
            code: d.code,
            message: d.message.clone(),
            file: self.source.file().to_owned(),
            line: self.source.line(d.span.start),
            column: self.source.column(d.span.start),
            end_line: self.source.line(d.span.end),
            end_column: self.source.column(d.span.end),
            label: d.label.clone(),
            help: d.help.clone(),
            notes: d.notes.clone(),
        };
        self.list.iter().map(report).collect()
    }
}

/// What a terminal would obey, or what would turn the text around.
fn unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
