//! What importers of trees (TOML, JSON, YAML) share: keys that are looked at once, and those that nobody
//! has looked at; variables; times and sizes as other tools write them.

use std::collections::BTreeSet;

use landfall_app::units::Size;
use landfall_redact::Secret;
use landfall_secrets::dotenv::looks_secret;
use landfall_yaml::read::{Entry, Mapping, Node, Reading, Scalar, Span, Style, Value};

use crate::{
    Imported, Refusal, Remarks,
    draft::{self, Draft, Table},
};

/// What one import finds out.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// What is said.
    pub remarks: Remarks<'a>,
    /// Secrets whose values stood there.
    pub secrets: BTreeSet<String>,
}

/// What becomes of a key that has no equal, as a table: its name and what is said.
pub(crate) type Sayings<'a> = &'a [(&'a str, &'a str)];

impl<'a> Found<'a> {
    /// Nothing yet.
    pub fn of(file: &'a str) -> Self {
        Self {
            remarks: Remarks::of(file),
            secrets: BTreeSet::new(),
        }
    }

    /// Says of every key that isn't taken over what is lost with it: as `lost` says it, as `notes` says
    /// it, else that the tool doesn't know it either.
    pub fn rest(
        &mut self,
        path: &str,
        map: &Mapping,
        taken: &[&str],
        lost: Sayings<'_>,
        notes: Sayings<'_>,
    ) {
        for entry in &map.entries {
            let key = joined(path, &entry.key);
            let line = entry.span.line;
            // A switch that is off, a list that is empty: nothing is lost with it.
            let nothing = match &entry.value.value {
                Value::List(items) => items.is_empty(),
                Value::Map(map) => map.entries.is_empty(),
                Value::Scalar(_) => matches!(entry.value.text(), Some("false" | "off" | "0" | "")),
            };
            if taken.contains(&entry.key.as_str()) || nothing {
                continue;
            }
            match (said(lost, &entry.key), said(notes, &entry.key)) {
                (Some(said), _) => self.remarks.lost(line, key, said),
                (_, Some(said)) => self.remarks.note(line, key, said),
                _ => self
                    .remarks
                    .lost(line, key, "is not known to Landfall, and is left out"),
            }
        }
    }

    /// A variable with its value, into `env` or, where it looks like a secret, into `secrets` of `into`.
    pub fn variable(
        &mut self,
        into: &mut Table,
        secrets: Option<&mut Table>,
        key: &str,
        line: usize,
        name: &str,
        value: &str,
    ) {
        if !draft::is_variable(name) {
            return self.remarks.lost(
                line,
                key,
                "is no name of a variable: letters, digits and `_`",
            );
        }
        if name == "PORT" {
            return self
                .remarks
                .note(line, key, "is given by Landfall, as the service's port");
        }
        if looks_secret(name, &Secret::new(value.to_owned())) && !value.is_empty() {
            self.remarks.secret(line, key, name);
            self.secrets.insert(name.to_owned());
            secrets
                .unwrap_or(into)
                .push("secrets", name)
                .from(self.remarks.file, line);
            return;
        }
        if value.contains("${") {
            return self.remarks.lost(
                line,
                key,
                "holds `${`, which an app file takes for a reference of its own",
            );
        }
        into.table("env")
            .set(name, value)
            .from(self.remarks.file, line);
    }

    /// The end of the import.
    pub fn settle(self, draft: Draft) -> Result<Imported, Refusal> {
        let secrets = self.secrets.into_iter().collect();
        draft::settle(draft, self.remarks.list, secrets, self.remarks.file)
    }
}

/// What is said of a key.
fn said<'s>(sayings: Sayings<'s>, key: &str) -> Option<&'s str> {
    sayings
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, said)| *said)
}

/// A key below others.
pub(crate) fn joined(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// The entry of a key, where it isn't nothing.
pub(crate) fn given<'n>(map: &'n Mapping, key: &str) -> Option<&'n Entry> {
    map.entry(key).filter(|entry| !entry.value.is_null())
}

/// A list, or one thing alone.
pub(crate) fn several(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::List(items) => items.iter().collect(),
        _ => vec![node],
    }
}

/// The texts of a list, or one text alone.
pub(crate) fn texts(node: &Node) -> Vec<String> {
    several(node)
        .into_iter()
        .filter_map(Node::as_text)
        .collect()
}

/// A time as a number of `unit`, or with a unit of its own, as an app file writes it.
pub(crate) fn time(node: &Node, unit: &str) -> Option<String> {
    let text = node.as_text()?;
    let text = text.trim();
    match text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        true => Some(shortest(&format!("{text}{unit}"))),
        false => text
            .parse::<landfall_app::units::Time>()
            .ok()
            .map(|time| time.to_string()),
    }
}

fn shortest(text: &str) -> String {
    text.parse::<landfall_app::units::Time>()
        .map_or_else(|_| text.to_owned(), |time| time.to_string())
}

/// A size as a number of `unit`, or with a unit of its own (`512mb`, `1gb`, `2g`).
pub(crate) fn size(node: &Node, unit: &str) -> Option<String> {
    let text = node.as_text()?.trim().to_ascii_lowercase();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, own) = text.split_at(end);
    let unit = match own.trim() {
        "" => unit,
        "b" => "B",
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        "t" | "tb" | "tib" => "TiB",
        _ => return None,
    };
    format!("{number}{unit}")
        .parse::<Size>()
        .ok()
        .map(|size| size.to_string())
}

/// A file of TOML as the same tree; Windows' line ends are none any more.
pub(crate) fn toml(text: &str, file: &str) -> Result<Mapping, Refusal> {
    let lines: Vec<usize> = std::iter::once(0)
        .chain(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at + 1),
        )
        .collect();
    let line = |at: usize| lines.partition_point(|start| *start <= at);
    let table = toml::de::DeTable::parse(text).map_err(|error| Refusal {
        name: "bad-import",
        file: file.to_owned(),
        line: error.span().map_or(0, |span| line(span.start)),
        message: format!("is not TOML: {}", error.message()),
        mend: None,
    })?;
    Ok(mapping(table.get_ref(), &line))
}

fn mapping(table: &toml::de::DeTable<'_>, line: &dyn Fn(usize) -> usize) -> Mapping {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        span: span(key.span(), line),
        value: node(value, line),
    });
    Mapping {
        entries: entries.collect(),
    }
}

fn span(range: std::ops::Range<usize>, line: &dyn Fn(usize) -> usize) -> Span {
    Span {
        line: line(range.start),
        column: 0,
        start: range.start,
        end: range.end,
    }
}

fn node(value: &toml::Spanned<toml::de::DeValue<'_>>, line: &dyn Fn(usize) -> usize) -> Node {
    use toml::de::DeValue;
    let scalar = |text: String, style| Value::Scalar(Scalar { text, style });
    Node {
        span: span(value.span(), line),
        tag: None,
        value: match value.get_ref() {
            DeValue::String(text) => scalar(text.to_string(), Style::Quoted),
            DeValue::Integer(number) => {
                let digits = number.as_str();
                let whole = i64::from_str_radix(digits, number.radix());
                scalar(
                    whole.map_or_else(|_| digits.to_owned(), |whole| whole.to_string()),
                    Style::Plain,
                )
            }
            DeValue::Float(number) => scalar(number.as_str().to_owned(), Style::Plain),
            DeValue::Boolean(flag) => scalar(flag.to_string(), Style::Plain),
            DeValue::Datetime(time) => scalar(time.to_string(), Style::Quoted),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| node(item, line)).collect())
            }
            DeValue::Table(table) => Value::Map(mapping(table, line)),
        },
    }
}

/// A file of JSON as the same tree: that it is JSON says `serde_json`, where everything stands the
/// reader of YAML, of which JSON is a part.
pub(crate) fn json(text: &str, file: &str) -> Result<Mapping, Refusal> {
    let refused = |line, message| Refusal {
        name: "bad-import",
        file: file.to_owned(),
        line,
        message,
        mend: None,
    };
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| refused(error.line(), format!("is not JSON: {error}")))?;
    if !value.is_object() {
        return Err(refused(1, "is no JSON object".to_owned()));
    }
    // Tabs are white space in JSON, and none at a line's beginning in YAML; in texts they are escaped.
    let read = landfall_yaml::read::read(
        text.replace('\t', " ").as_bytes(),
        &landfall_yaml::read::Limits::default(),
    );
    let placed = read.ok().and_then(|documents| documents.into_iter().next());
    match placed.map(|node| node.value) {
        Some(Value::Map(map)) => Ok(map),
        // Without places, rather than not at all.
        _ => match from_json(&value).value {
            Value::Map(map) => Ok(map),
            _ => Err(refused(1, "is no JSON object".to_owned())),
        },
    }
}

fn from_json(value: &serde_json::Value) -> Node {
    let scalar = |text: String, style| Value::Scalar(Scalar { text, style });
    let span = Span::default();
    Node {
        span,
        tag: None,
        value: match value {
            serde_json::Value::Null => scalar(String::new(), Style::Plain),
            serde_json::Value::Bool(flag) => scalar(flag.to_string(), Style::Plain),
            serde_json::Value::Number(number) => scalar(number.to_string(), Style::Plain),
            serde_json::Value::String(text) => scalar(text.clone(), Style::Quoted),
            serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
            serde_json::Value::Object(map) => Value::Map(Mapping {
                entries: map
                    .iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        span,
                        value: from_json(value),
                    })
                    .collect(),
            }),
        },
    }
}

/// A port number.
pub(crate) fn port(node: &Node) -> Option<u16> {
    match node.reading()? {
        Reading::Integer(number) => u16::try_from(number).ok().filter(|port| *port > 0),
        Reading::Text(text) => text.trim().parse().ok().filter(|port| *port > 0),
        _ => None,
    }
}

/// A command that is executed without a shell, given as a line of words.
pub(crate) fn without_shell(line: &str) -> draft::Value {
    match shlex::split(line) {
        Some(words) if !words.is_empty() => draft::words(&words),
        _ => vec!["sh", "-c", line].into(),
    }
}
