//! The text of the secrets file: always written in the same way, one key for each name, sorted, so
//! that git merges two people's changes; comments stay with what they stand above.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use crate::{cipher::ARMOUR, error::Error};

const HEAD: &str = "# Secrets, each encrypted with age to the recipients below: safe to commit.\n\
                    # Changed by `landfall secrets set`, `unset`, `import` and `recipients`.\n";

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Public keys by the name of who has the private one.
    pub recipients: BTreeMap<String, String>,
    /// Armoured ciphertexts by environment and name.
    pub environments: BTreeMap<String, BTreeMap<String, String>>,
    comments: Comments,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Comments {
    head: Option<String>,
    /// By table and key; the table itself has no key.
    above: BTreeMap<(String, Option<String>), String>,
    tail: String,
}

impl Layout {
    /// Reads a file's text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let bad = |line, reason: String| Error::BadSecretsFile {
            path: path.to_owned(),
            line,
            reason,
        };
        if let Some(line) = text
            .lines()
            .position(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))
        {
            return Err(bad(
                Some(line + 1),
                "two versions of the file were merged, and this conflict is left".to_owned(),
            ));
        }
        let table: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| {
            // The error's own text shows the line, in which somebody may have put a plain value.
            let line = error
                .span()
                .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let twice = error.message().contains("duplicate");
            bad(
                line,
                if twice {
                    "a name stands here twice, maybe after a merge: keep one"
                } else {
                    "this is not TOML"
                }
                .to_owned(),
            )
        })?;
        let mut layout = Self {
            comments: Comments::read(text),
            ..Self::default()
        };
        for (key, value) in table {
            let toml::Value::Table(inner) = value else {
                return Err(bad(
                    None,
                    format!("`{key}` stands outside of [recipients] and [environment.NAME]"),
                ));
            };
            match key.as_str() {
                "recipients" => {
                    for (name, value) in inner {
                        let toml::Value::String(public) = value else {
                            return Err(bad(
                                None,
                                format!("recipient {name} is not a text with a public key"),
                            ));
                        };
                        layout.recipients.insert(name, public);
                    }
                }
                "environment" => {
                    for (environment, value) in inner {
                        let values = layout.environments.entry(environment.clone()).or_default();
                        let toml::Value::Table(inner) = value else {
                            return Err(bad(
                                None,
                                format!("environment.{environment} is not a table"),
                            ));
                        };
                        for (name, value) in inner {
                            match value {
                                toml::Value::String(cipher)
                                    if cipher.trim().starts_with(ARMOUR) =>
                                {
                                    values.insert(name, cipher.trim().to_owned());
                                }
                                _ => {
                                    return Err(bad(
                                        None,
                                        format!(
                                            "{name} of {environment} is not encrypted: take it out, set it by `landfall secrets set {name} -e {environment}`, \
                                         and replace the value itself if it was ever committed"
                                        ),
                                    ));
                                }
                            }
                        }
                    }
                }
                _ => {
                    return Err(bad(
                        None,
                        format!(
                            "no table [{key}] here: there are [recipients] and [environment.NAME]"
                        ),
                    ));
                }
            }
        }
        Ok(layout)
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let mut text = self
            .comments
            .head
            .clone()
            .unwrap_or_else(|| HEAD.to_owned());
        self.table(&mut text, "recipients", &self.recipients, |public| {
            format!("\"{public}\"")
        });
        for (environment, values) in &self.environments {
            if !values.is_empty() {
                let table = format!("environment.{}", quoted(environment));
                self.table(&mut text, &table, values, |cipher| {
                    format!("\"\"\"\n{cipher}\n\"\"\"")
                });
            }
        }
        text.push_str(&self.comments.tail);
        text
    }

    fn table(
        &self,
        text: &mut String,
        name: &str,
        values: &BTreeMap<String, String>,
        value: impl Fn(&str) -> String,
    ) {
        let above = |key: Option<&str>| {
            let comment = self
                .comments
                .above
                .get(&(name.to_owned(), key.map(str::to_owned)));
            comment.map(String::as_str).unwrap_or_default()
        };
        let _ = write!(text, "\n{}[{name}]\n", above(None));
        for (key, content) in values {
            let _ = writeln!(
                text,
                "{}{} = {}",
                above(Some(key)),
                quoted(key),
                value(content)
            );
        }
    }
}

/// A key as TOML wants it.
fn quoted(key: &str) -> String {
    match key
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    {
        true => key.to_owned(),
        false => format!("\"{key}\""),
    }
}

impl Comments {
    fn read(text: &str) -> Self {
        let mut comments = Self::default();
        let mut pending = String::new();
        let mut table = String::new();
        let mut started = false;
        let mut inside = false;
        for line in text.lines() {
            let ends = line.matches("\"\"\"").count() + line.matches("'''").count();
            if inside {
                inside = ends % 2 == 0;
                continue;
            }
            let trimmed = line.trim();
            if trimmed.starts_with('#') {
                let _ = writeln!(pending, "{trimmed}");
                continue;
            }
            if trimmed.is_empty() {
                if !started && !pending.is_empty() {
                    comments.head = Some(std::mem::take(&mut pending));
                    started = true;
                }
                continue;
            }
            started = true;
            let key = match trimmed.strip_prefix('[') {
                Some(rest) => {
                    table = rest.split(']').next().unwrap_or_default().trim().to_owned();
                    None
                }
                None => {
                    inside = ends % 2 == 1;
                    trimmed
                        .split('=')
                        .next()
                        .map(|key| key.trim().trim_matches(['"', '\'']).to_owned())
                }
            };
            if !pending.is_empty() {
                comments
                    .above
                    .insert((table.clone(), key), std::mem::take(&mut pending));
            }
        }
        if !pending.is_empty() {
            comments.tail = format!("\n{pending}");
        }
        comments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Layout, Error> {
        Layout::parse(text, Path::new("landfall.secrets.toml"))
    }

    #[test]
    fn what_is_written_is_read_and_comments_stay() {
        let text = "# Ours.\n\n# The team.\n[recipients]\n# On leave.\nann = \"age1a\"\n\"bob@x\" = \"age1b\"\n\n\
                    [environment.local]\n# From the console.\nA = \"\"\"\n-----BEGIN AGE ENCRYPTED FILE-----\n# no comment\n-----END\n\"\"\"\n\n# The end.\n";
        let layout = read(text).unwrap();
        assert_eq!(layout.render(), text);
        let mut more = layout.clone();
        more.environments
            .get_mut("local")
            .unwrap()
            .insert("B".to_owned(), format!("{ARMOUR}\nx"));
        let added: Vec<_> = more
            .render()
            .lines()
            .map(str::to_owned)
            .filter(|line| !text.contains(line))
            .collect();
        assert_eq!(
            added,
            ["B = \"\"\""],
            "a new name adds lines and changes none"
        );
    }

    #[test]
    fn bad_files_are_named_without_showing_values() {
        for (text, said) in [
            ("A = 'hunter2'", "outside of"),
            (
                "[environment.local]\nA = 'hunter2'",
                "A of local is not encrypted",
            ),
            ("[environment]\nlocal = 'hunter2'", "not a table"),
            ("[recipients]\nann = 1", "recipient ann"),
            ("[local]\nA = 'hunter2'", "no table [local]"),
            ("[recipients]\n\n\nA = = hunter2", ":4: this is not TOML"),
            (
                "[recipients]\nann = 'a'\nann = 'b'",
                ":3: a name stands here twice",
            ),
            (
                "<<<<<<< HEAD\n[recipients]\n=======\n>>>>>>> them",
                ":1: two versions",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert!(!format!("{error:?}{error}").contains("hunter2"), "{error}");
        }
    }
}
