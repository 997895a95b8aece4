//! Writing: a document is built entry by entry, comments among them, and keeps its order.

use std::fmt::Write as _;

/// What stands behind a key or a dash.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Nothing: `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text, quoted where a reader could take it for something else.
    Text(String),
    /// Text of several lines, as a block (`|`) where it can be one.
    Block(String),
    /// A list in one line: `["CMD", "true"]`.
    Flow(Vec<Node>),
    /// A list, an item in each line.
    List(Vec<Node>),
    /// A mapping.
    Map(Map),
}

/// A mapping in the order in which it is built, with comments and blank lines between its entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
enum Line {
    Entry {
        key: String,
        value: Node,
        /// Behind the value, in the same line.
        trailing: Option<String>,
    },
    Comment(String),
    Blank,
}

impl Map {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an entry at the end.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Node>) -> &mut Self {
        self.lines.push(Line::Entry {
            key: key.into(),
            value: value.into(),
            trailing: None,
        });
        self
    }

    /// Puts an entry at the end, where there is a value.
    pub fn set_some(
        &mut self,
        key: impl Into<String>,
        value: Option<impl Into<Node>>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// Puts an entry at the end, with a comment behind it in the same line. A value that takes several
    /// lines has it behind its key.
    pub fn set_noted(
        &mut self,
        key: impl Into<String>,
        value: impl Into<Node>,
        note: impl Into<String>,
    ) -> &mut Self {
        self.lines.push(Line::Entry {
            key: key.into(),
            value: value.into(),
            trailing: Some(note.into()),
        });
        self
    }

    /// Puts a comment of one or more lines before what comes next.
    pub fn comment(&mut self, text: impl Into<String>) -> &mut Self {
        self.lines.push(Line::Comment(text.into()));
        self
    }

    /// Puts an empty line before what comes next.
    pub fn blank(&mut self) -> &mut Self {
        self.lines.push(Line::Blank);
        self
    }

    /// What stands behind a key; the last, where there are several.
    pub fn get(&self, wanted: &str) -> Option<&Node> {
        self.lines.iter().rev().find_map(|line| match line {
            Line::Entry { key, value, .. } if key == wanted => Some(value),
            _ => None,
        })
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        !self
            .lines
            .iter()
            .any(|line| matches!(line, Line::Entry { .. }))
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u16> for Node {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for Node {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<Map> for Node {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Node>> From<Vec<T>> for Node {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// The document as text, ending in a line end.
pub fn write(document: &Map) -> String {
    let mut text = String::new();
    write_map(&mut text, document, 0);
    if document.is_empty() {
        text.push_str("{}\n");
    }
    text
}

fn write_map(text: &mut String, map: &Map, depth: usize) {
    for line in &map.lines {
        match line {
            Line::Blank => text.push('\n'),
            Line::Comment(comment) => {
                for line in comment.lines() {
                    indent(text, depth);
                    text.push_str(format!("# {}", said(line)).trim_end());
                    text.push('\n');
                }
            }
            Line::Entry {
                key,
                value,
                trailing,
            } => {
                indent(text, depth);
                if key.len() <= LONGEST_KEY {
                    scalar(text, key);
                    text.push(':');
                } else {
                    text.push_str("? ");
                    quoted(text, key);
                    text.push('\n');
                    indent(text, depth);
                    text.push(':');
                }
                write_value(text, value, depth, trailing.as_deref());
            }
        }
    }
}

/// What stands behind `key:` or `-`, up to the line end.
fn write_value(text: &mut String, value: &Node, depth: usize, trailing: Option<&str>) {
    let note = |text: &mut String| {
        if let Some(note) = trailing {
            let _ = write!(text, " # {}", said(note).trim_end());
        }
        text.push('\n');
    };
    match value {
        Node::Map(map) if !map.is_empty() => {
            note(text);
            write_map(text, map, depth + 1);
        }
        Node::List(items) if !items.is_empty() => {
            note(text);
            for item in items {
                write_item(text, item, depth + 1);
            }
        }
        Node::Block(block) if is_block(block) => {
            text.push_str(match block.ends_with('\n') {
                true => " |",
                false => " |-",
            });
            note(text);
            for line in block.lines() {
                if !line.is_empty() {
                    indent(text, depth + 1);
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
        inline => {
            text.push(' ');
            write_inline(text, inline);
            note(text);
        }
    }
}

fn write_item(text: &mut String, item: &Node, depth: usize) {
    indent(text, depth);
    text.push('-');
    match item {
        // The first entry stands beside the dash, where it is one.
        Node::Map(map) if matches!(map.lines.first(), Some(Line::Entry { .. })) => {
            let mut entries = String::new();
            write_map(&mut entries, map, depth + 1);
            text.push(' ');
            text.push_str(entries.trim_start());
        }
        Node::Map(map) if !map.is_empty() => {
            text.push('\n');
            write_map(text, map, depth + 1);
        }
        other => write_value(text, other, depth, None),
    }
}

fn write_inline(text: &mut String, value: &Node) {
    match value {
        Node::Null => text.push_str("null"),
        Node::Bool(value) => {
            let _ = write!(text, "{value}");
        }
        Node::Integer(value) => {
            let _ = write!(text, "{value}");
        }
        Node::Text(value) | Node::Block(value) => scalar(text, value),
        Node::Flow(items) | Node::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                // In a flow everything that is text is quoted: commas and brackets are its own.
                match item {
                    Node::Text(value) => quoted(text, value),
                    other => write_inline(text, other),
                }
            }
            text.push(']');
        }
        Node::Map(map) => {
            text.push('{');
            let mut first = true;
            for line in &map.lines {
                let Line::Entry { key, value, .. } = line else {
                    continue;
                };
                if !std::mem::take(&mut first) {
                    text.push_str(", ");
                }
                if key.len() > LONGEST_KEY {
                    text.push_str("? ");
                }
                quoted(text, key);
                text.push_str(": ");
                match value {
                    Node::Text(value) => quoted(text, value),
                    other => write_inline(text, other),
                }
            }
            text.push('}');
        }
    }
}

/// Longer keys, in bytes, must say that they are one: a reader looks for the colon no further than 1,024
/// characters, and a byte takes up to four of them where it is escaped.
const LONGEST_KEY: usize = 200;

/// A line of a comment: what some reader takes for a line's end would end the comment.
fn said(line: &str) -> String {
    let end = |c: char| !is_printable(c) || matches!(c, '\u{2028}' | '\u{2029}');
    line.replace(end, " ")
}

/// What YAML lets stand as it is.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text can be a literal block without an indicator of its indentation.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\t', '\n'])
        && !text.lines().any(|line| line.ends_with([' ', '\t']))
        && !text
            .chars()
            .any(|c| c != '\n' && (!is_printable(c) || matches!(c, '\u{2028}' | '\u{2029}')))
}

fn indent(text: &mut String, depth: usize) {
    for _ in 0..depth {
        text.push_str("  ");
    }
}

fn scalar(text: &mut String, value: &str) {
    if is_plain(value) {
        text.push_str(value);
    } else {
        quoted(text, value);
    }
}

/// Whether every reader takes it for the text that it is, without quotes.
fn is_plain(value: &str) -> bool {
    let mut characters = value.chars();
    let Some(first) = characters.next() else {
        return false;
    };
    let begins = first.is_ascii_alphabetic() || matches!(first, '/' | '_');
    let word = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                '/' | '_' | '-' | '.' | ' ' | '@' | '+' | '=' | '$' | '(' | ')'
            )
    };
    begins
        && characters.all(word)
        && !value.ends_with(' ')
        && !value.contains("  ")
        && !MISREAD.contains(&value.to_ascii_lowercase().as_str())
}

/// Words that some reader takes for a truth value or for nothing.
const MISREAD: [&str; 11] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan",
];

fn quoted(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            c if !is_printable(c) || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = match u32::from(c) {
                    code @ ..=0xff => write!(text, "\\x{code:02x}"),
                    code => write!(text, "\\u{code:04x}"),
                };
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_its_order_and_its_comments() {
        let mut web = Map::new();
        web.set("image", "ghcr.io/acme/web:1")
            .set_noted("port", 8080u16, "where it listens")
            .set("test", Node::Flow(vec!["CMD".into(), "a b".into()]));
        let mut item = Map::new();
        item.set("name", "Checkout")
            .set("run", Node::Block("a\nb\n".into()));
        let mut document = Map::new();
        document
            .comment("Written once.")
            .set("name", "yes")
            .blank()
            .set("web", web)
            .set("steps", vec![Node::Map(item), "x: y".into()])
            .set("one", Node::Block("echo \"$X\"\n".into()));
        assert_eq!(
            write(&document),
            "# Written once.\nname: \"yes\"\n\nweb:\n  image: \"ghcr.io/acme/web:1\"\n  port: 8080 # where it listens\n  \
             test: [\"CMD\", \"a b\"]\nsteps:\n  - name: Checkout\n    run: |\n      a\n      b\n  - \"x: y\"\n\
             one: |\n  echo \"$X\"\n"
        );
    }
}
