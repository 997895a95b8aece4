//! Reading: a tree in which every key and every value knows its place, with limits for files that mean
//! harm. What a plain word means is decided by whoever asks, see [`Scalar::reading`].

mod build;
mod scalar;

use std::fmt;

pub use scalar::{Reading, Style};

/// What a file may cost. The defaults are far above what people write.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes.
    pub bytes: usize,
    /// How deep lists and mappings may stand in each other.
    pub depth: usize,
    /// Most values of all documents together, those that aliases stand for among them.
    pub nodes: usize,
    /// Most bytes of text that aliases may stand for.
    pub copied_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 128,
            nodes: 500_000,
            copied_bytes: 16 << 20,
        }
    }
}

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A value and its place. What an alias stands for is a copy with the places of its anchor.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// Its tag as it is written, `!reset`; none where it has none.
    pub tag: Option<String>,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, a number, a truth value, nothing: see [`Scalar::reading`].
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping.
    Map(Mapping),
}

/// A scalar as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Its text, escapes and folds done.
    pub text: String,
    /// How it is written.
    pub style: Style,
}

/// A mapping in the order of the file, no key twice, merge keys (`<<`) merged in at the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping {
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub span: Span,
    /// The value.
    pub value: Node,
}

impl Mapping {
    /// The entry of a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }
}

impl Node {
    /// Its scalar.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Its items.
    pub fn list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Its mapping.
    pub fn map(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value of a key, where it is a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.get(key)
    }

    /// A scalar's text as it is written, whatever else it could be read as.
    pub fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    /// What a scalar means; nothing for lists and mappings.
    pub fn reading(&self) -> Option<Reading> {
        let scalar = self.scalar()?;
        Some(match self.tag.as_deref() {
            Some("!!str") => Reading::Text(scalar.text.clone()),
            Some("!!null") => Reading::Null,
            Some("!!bool" | "!!int" | "!!float") => scalar::plain(&scalar.text),
            _ => scalar.reading(),
        })
    }

    /// Whether it is nothing: empty, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.reading() == Some(Reading::Null)
    }

    /// A truth value, in words of YAML 1.2 (`true`) and 1.1 (`yes`, `on`), quoted or not.
    pub fn as_bool(&self) -> Option<bool> {
        scalar::truth(self.text()?)
    }

    /// A whole number: as Go's readers take it (`012` is 10, `0x1f`, `1_000`), or quoted decimal digits.
    pub fn as_integer(&self) -> Option<i64> {
        match self.reading()? {
            Reading::Integer(number) => Some(number),
            Reading::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A number.
    pub fn as_number(&self) -> Option<f64> {
        match self.reading()? {
            Reading::Float(number) => Some(number),
            Reading::Text(text) => text.trim().parse().ok(),
            Reading::Integer(number) => Some(number as f64),
            _ => None,
        }
    }

    /// The text that a program gets which is written in Go and prints what it has read: `0x10` becomes
    /// `16`, `1.50` becomes `1.5`, `TRUE` becomes `true`. Nothing for null, lists and mappings.
    pub fn as_text(&self) -> Option<String> {
        scalar::printed(self.reading()?)
    }

    /// What it is, in a word for messages.
    pub fn kind(&self) -> &'static str {
        match self.reading() {
            Some(Reading::Null) => "nothing",
            Some(Reading::Bool(_)) => "a truth value",
            Some(Reading::Integer(_) | Reading::Float(_)) => "a number",
            Some(Reading::Text(_)) => "a text",
            None if self.list().is_some() => "a list",
            None => "a mapping",
        }
    }
}

/// Something wrong with the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub span: Span,
    /// What, as a lowercase fragment.
    pub message: String,
    /// Another place that has to do with it.
    pub related: Option<Span>,
    /// What was expected, or how to mend it.
    pub mend: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.span.line, self.message)
    }
}

/// All that is wrong with a text, in its order; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Reads a text: a node for each document that isn't empty.
///
/// # Errors
/// Where it isn't UTF-8 text, isn't YAML, has a key twice, or costs more than the limits; with all that
/// is wrong with it, as far as that can be seen.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Node>, Problems> {
    let text = decode(bytes, limits).map_err(|problem| Problems(vec![problem]))?;
    build::build(text, limits)
}

fn problem(span: Span, message: impl Into<String>, mend: &str) -> Problem {
    Problem {
        span,
        message: message.into(),
        related: None,
        mend: (!mend.is_empty()).then(|| mend.to_owned()),
    }
}

/// The bytes as text, without a byte order mark.
fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Problem> {
    let at = |offset: usize| {
        let before = &bytes[..offset];
        let begin = before.iter().rposition(|byte| *byte == b'\n');
        Span {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + String::from_utf8_lossy(&before[begin.map_or(0, |at| at + 1)..])
                .chars()
                .count(),
            start: offset,
            end: (offset + 1).min(bytes.len()),
        }
    };
    if bytes.len() > limits.bytes {
        let message = format!(
            "the file has {} bytes, and at most {} are read",
            bytes.len(),
            limits.bytes
        );
        return Err(problem(at(0), message, ""));
    }
    const UTF8: &str = "save the file as UTF-8";
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(problem(at(0), "the file is UTF-16", UTF8));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        problem(
            at(error.valid_up_to()),
            "the file is not UTF-8 text; here is the first byte that isn't",
            UTF8,
        )
    })?;
    if let Some(offset) = text.find('\0') {
        return Err(problem(
            at(offset),
            "a NUL character: the file is not a text file",
            UTF8,
        ));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
