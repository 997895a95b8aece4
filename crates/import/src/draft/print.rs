//! A draft as text, in the style of our own app files: short tables on one line, long ones under a head
//! of their own, `=` and comments one below the other.

use toml_writer::{ToTomlKey as _, ToTomlValue as _, TomlKeyBuilder, TomlStringBuilder};

use super::{Draft, Section, Table, Value};

/// A line with a list or a table in it is no longer than this; else it is written over several lines.
const WIDEST: usize = 100;
/// A comment stands beside a line up to this long in the column of the others.
const COLUMN: usize = 60;

/// Keys in the order of the reference; others follow in the order in which they were set.
pub(super) const ORDER: &[&str] = &[
    // At the top and in an environment.
    "app",
    "target",
    "runtime",
    "extends",
    "timezone",
    "requires-landfall",
    "secrets-from",
    // A service.
    "root",
    "build",
    "image",
    "static",
    "push",
    "command",
    "run",
    "after",
    "port",
    "publish",
    "public",
    "domains",
    "routes",
    "health",
    "smoke",
    "migrate",
    "replicas",
    "start",
    "strategy",
    "drain",
    "stop",
    "restart",
    "observe",
    "required",
    "priority",
    "memory",
    "cpu",
    "gpu",
    "uses",
    "env",
    "secrets",
    "http",
    "cors",
    "redirects",
    "volumes",
    "files",
    "user",
    "read-only",
    "tmpfs",
    "capabilities",
    "pids",
    "disk",
    "scan",
    // Health, a backing service, a job.
    "ready",
    "live",
    "tcp",
    "interval",
    "kind",
    "url",
    "version",
    "data",
    "schedule",
    "service",
    "timeout",
    "backup",
    "save",
    "settings",
    "extensions",
    "init",
];

/// The text of the app file.
pub fn print(draft: &Draft) -> String {
    printed(draft, true).0
}

/// One printed key, to find back what a line of the text came from.
#[derive(Debug)]
pub(super) struct Line {
    /// The first line of its value, from 1.
    pub first: usize,
    /// Its keys from the top: `environment`, `local`, `service`, `web`, `port`.
    pub path: Vec<String>,
}

/// The text, and what stands on which line. Without `short` every table has a head of its own, so that
/// every key has a line of its own.
pub(super) fn printed(draft: &Draft, short: bool) -> (String, Vec<Line>) {
    let mut printer = Printer {
        short,
        text: String::new(),
        line: 1,
        lines: Vec::new(),
    };
    for comment in &draft.comments {
        printer.comment(comment);
    }
    let mut top = draft.top.own.clone();
    let mut head = Table::new();
    head.set("app", draft.app.as_str());
    // What is no table stands beside the name; tables of the top come last of all, as in our examples.
    for (key, entry) in draft.top.own.entries() {
        if !matches!(entry.value, Value::Table(_))
            || (short && key == "env" && inline_fits(key, entry))
        {
            head.entries.insert(
                key.to_owned(),
                super::Entry {
                    at: entry.at + 1,
                    ..entry.clone()
                },
            );
            top.entries.remove(key);
        }
    }
    head.comments.clone_from(&draft.top.own.comments);
    printer.table(&mut Vec::new(), &head, &[], false);
    printer.section(&mut Vec::new(), &draft.top);
    top.comments.clear();
    for (key, entry) in sorted(&top) {
        if let Value::Table(table) = &entry.value {
            printer.table(&mut vec![key.to_owned()], table, &[], true);
        }
    }
    for (name, environment) in draft.environments() {
        let mut path = vec!["environment".to_owned(), name.to_owned()];
        let nothing = environment.services.entries.is_empty()
            && environment.backing.entries.is_empty()
            && environment.jobs.entries.is_empty()
            && environment.hooks.is_empty();
        if !environment.own.is_empty() || !environment.own.comments.is_empty() || nothing {
            printer.table(&mut path, &environment.own, &[], true);
        }
        printer.section(&mut path, environment);
    }
    (printer.text, printer.lines)
}

/// A table's keys in the order of the reference.
fn sorted(table: &Table) -> Vec<(&str, &super::Entry)> {
    let mut entries = table.entries();
    let rank = |key: &str| ORDER.iter().position(|known| *known == key);
    entries.sort_by_key(|(key, entry)| (rank(key).unwrap_or(usize::MAX), entry.at));
    entries
}

struct Printer {
    short: bool,
    text: String,
    /// The line that is written next.
    line: usize,
    lines: Vec<Line>,
}

impl Printer {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.line += 1 + text.bytes().filter(|byte| *byte == b'\n').count();
    }

    fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let line = shown(line);
            self.push(format!("# {line}").trim_end());
        }
    }

    fn section(&mut self, path: &mut Vec<String>, section: &Section) {
        for (kind, tables) in [
            ("service", &section.services),
            ("backing", &section.backing),
            ("job", &section.jobs),
        ] {
            for (name, table) in tables.ordered() {
                path.extend([kind.to_owned(), name.to_owned()]);
                let apart: &[&str] = if kind == "service" { &["process"] } else { &[] };
                self.table(path, table, apart, true);
                path.truncate(path.len() - 2);
            }
        }
        if !section.hooks.is_empty() {
            path.push("hook".to_owned());
            self.table(path, &section.hooks, &[], true);
            path.pop();
        }
    }

    /// A table under its head; `apart` are keys whose own tables each get a head.
    fn table(&mut self, path: &mut Vec<String>, table: &Table, apart: &[&str], head: bool) {
        let entries = sorted(table);
        let (below, here): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, entry)| {
            matches!(&entry.value, Value::Table(_))
                && (apart.contains(key) || !self.short || !inline_fits(key, entry))
        });
        let only_heads = here.is_empty()
            && table.comments.is_empty()
            && !below.is_empty()
            && below.iter().all(|(key, _)| apart.contains(key));
        if head && !only_heads {
            let head: Vec<String> = path.iter().map(|key| key_text(key)).collect();
            if self.line > 1 {
                self.push("");
            }
            self.lines.push(Line {
                first: self.line,
                path: path.clone(),
            });
            self.push(&format!("[{}]", head.join(".")));
        }
        for comment in &table.comments {
            self.comment(comment);
        }
        self.entries(path, &here);
        for (key, entry) in below {
            let Value::Table(inner) = &entry.value else {
                continue;
            };
            path.push(key.to_owned());
            if apart.contains(&key) {
                for (name, entry) in inner.entries() {
                    let Value::Table(table) = &entry.value else {
                        continue;
                    };
                    path.push(name.to_owned());
                    self.table(path, table, &[], true);
                    path.pop();
                }
            } else {
                let mut inner = inner.clone();
                if let Some(comment) = &entry.comment {
                    inner.comments.insert(0, comment.clone());
                }
                self.table(path, &inner, &[], true);
            }
            path.pop();
        }
    }

    fn entries(&mut self, path: &[String], entries: &[(&str, &super::Entry)]) {
        let keys: Vec<String> = entries.iter().map(|(key, _)| key_text(key)).collect();
        let width = keys
            .iter()
            .map(|key| key.chars().count())
            .max()
            .unwrap_or(0);
        let lines: Vec<String> = entries
            .iter()
            .zip(&keys)
            .map(|((_, entry), key)| {
                let start = format!("{key:<width$} = ");
                let text = format!("{start}{}", inline(&entry.value));
                match &entry.value {
                    Value::List(items) if text.chars().count() > WIDEST && items.len() > 1 => {
                        let items: Vec<String> = items
                            .iter()
                            .map(|item| format!("  {},\n", inline(item)))
                            .collect();
                        format!("{start}[\n{}]", items.concat())
                    }
                    _ => text,
                }
            })
            .collect();
        let length = |line: &String| line.lines().last().unwrap_or_default().chars().count();
        let column = entries
            .iter()
            .zip(&lines)
            .filter(|((_, entry), line)| entry.comment.is_some() && length(line) <= COLUMN)
            .map(|(_, line)| length(line))
            .max()
            .unwrap_or(0);
        for ((key, entry), line) in entries.iter().zip(lines) {
            let mut path = path.to_vec();
            path.push((*key).to_owned());
            self.lines.push(Line {
                first: self.line,
                path,
            });
            match &entry.comment {
                Some(comment) => {
                    let fill = " ".repeat(column.saturating_sub(length(&line)));
                    let comment = shown(&comment.replace('\n', " "));
                    self.push(&format!("{line}{fill}  # {comment}"));
                }
                None => self.push(&line),
            }
        }
    }
}

/// Whether a table can stand on the line of its key.
fn inline_fits(key: &str, entry: &super::Entry) -> bool {
    fn silent(value: &Value) -> bool {
        match value {
            Value::Table(table) => {
                table.comments.is_empty()
                    && table
                        .entries
                        .values()
                        .all(|entry| entry.comment.is_none() && silent(&entry.value))
            }
            Value::List(items) => items.iter().all(silent),
            _ => true,
        }
    }
    silent(&entry.value) && key.len() + 3 + inline(&entry.value).chars().count() <= WIDEST
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) => text_text(text),
        Value::Whole(number) => number.to_string(),
        // As the format wants it: with a point, so that it stays what it is.
        Value::Real(number) => toml::Value::Float(*number).to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(items) => format!(
            "[{}]",
            items.iter().map(inline).collect::<Vec<_>>().join(", ")
        ),
        Value::Table(table) if table.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let pairs: Vec<String> = sorted(table)
                .iter()
                .map(|(key, entry)| format!("{} = {}", key_text(key), inline(&entry.value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// A text without escapes where it can be: `"a"`, else `'a "b"'`, else with escapes. Never over lines.
fn text_text(text: &str) -> String {
    let builder = TomlStringBuilder::new(text);
    let string = builder
        .as_basic_pretty()
        .or_else(|| builder.as_literal())
        .unwrap_or_else(|| builder.as_basic());
    string.to_toml_value()
}

fn key_text(key: &str) -> String {
    let builder = TomlKeyBuilder::new(key);
    let key = builder
        .as_unquoted()
        .or_else(|| builder.as_basic_pretty())
        .unwrap_or_else(|| builder.as_basic());
    key.to_toml_key()
}

/// A comment can't hold control characters.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
