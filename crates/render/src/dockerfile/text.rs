//! A Dockerfile's text. Whatever comes from somebody else goes through one of the quoting functions.

use crate::{Comment, keep};

/// A Dockerfile as it grows.
#[derive(Default)]
pub struct Text(String);

impl Text {
    /// A line as it stands.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.0.push_str(line.as_ref());
        self.0.push('\n');
    }

    /// An empty line.
    pub fn gap(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with("\n\n") {
            self.0.push('\n');
        }
    }

    /// A comment.
    pub fn says(&mut self, text: &str) {
        for line in text.lines() {
            self.line(format!("# {line}"));
        }
    }

    /// A place of the user's.
    pub fn keep(&mut self, name: &str) {
        self.0.push_str(&keep(name, 0, Comment::Hash));
    }

    /// An instruction whose value is a list of words: `CMD ["a", "b"]`.
    pub fn exec(&mut self, instruction: &str, words: &[String]) {
        self.line(format!("{instruction} {}", json(words)));
    }

    /// `RUN` with its mounts, each on a line of its own.
    pub fn run(&mut self, mounts: &[String], command: &str) {
        match mounts {
            [] => self.line(format!("RUN {command}")),
            [mount] => self.line(format!("RUN {mount} \\\n    {command}")),
            [first, rest @ ..] => {
                let rest: String = rest
                    .iter()
                    .map(|mount| format!(" \\\n    {mount}"))
                    .collect();
                self.line(format!("RUN {first}{rest} \\\n    {command}"));
            }
        }
    }

    /// `COPY` of paths that may be named anything.
    pub fn copy(&mut self, options: &[&str], from: &[String], to: &str) {
        let mut words: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let plain = from
            .iter()
            .map(String::as_str)
            .chain([to])
            .all(|path| path.bytes().all(|byte| is_plain(byte) && byte != b'$'));
        if plain {
            words.extend(from.iter().cloned());
            words.push(to.to_owned());
        } else {
            // `$` is a variable there, and `[` begins a pattern.
            let escaped = |path: &String| {
                path.replace('\\', "\\\\")
                    .replace('$', "\\$")
                    .replace('[', "[[]")
            };
            let all: Vec<String> = from.iter().chain([&to.to_owned()]).map(escaped).collect();
            words.push(json(&all));
        }
        self.line(format!("COPY {}", words.join(" ")));
    }

    /// The whole text: no two empty lines, none at the end.
    pub fn finish(self) -> String {
        let mut text = self.0.trim_end().to_owned();
        text.push('\n');
        text
    }
}

/// A list of words as JSON, in one line.
pub fn json(words: &[String]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| serde_json::Value::from(word.as_str()).to_string())
        .collect();
    format!("[{}]", words.join(", "))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./=:@%+,".contains(&byte)
}

/// A value of `ENV` or `ARG`: `$` and quotes are its own.
pub fn value(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A word for a shell.
pub fn shell(word: &str) -> String {
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A name that came from a file of the project, where it may become part of a tag or a path: only what
/// such names are made of.
pub fn tame(text: &str) -> Option<String> {
    let text = text.trim();
    let good = !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    good.then(|| text.to_owned())
}
