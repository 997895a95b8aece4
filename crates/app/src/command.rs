//! Commands that stay: a string split into words without a shell, `$NAME` expanded at the start.

use crate::{
    grammar::Problem,
    model::{Command, Run},
};

/// A variable that a command names has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the command names `${0}`, which has no value in the process's environment")]
pub struct MissingVariable(pub String);

/// A text is not words of a command: it needs a shell, or a quote isn't closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotWords(String);

impl std::str::FromStr for Command {
    type Err = NotWords;

    /// The words of a text, as the app file reads them.
    fn from_str(text: &str) -> Result<Self, NotWords> {
        split(text)
            .map(Self::Words)
            .map_err(|problem| NotWords(problem.label))
    }
}

impl Command {
    /// The words to execute: `$NAME` and `${NAME}` replaced, `$$` a dollar. A list stays as it is.
    pub fn expand(
        &self,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, MissingVariable> {
        match self {
            Self::Exact(words) => Ok(words.clone()),
            Self::Words(words) => words
                .iter()
                .map(|word| expand_word(word, &lookup))
                .collect(),
        }
    }

    /// The variables that it names, in order; none in a list, which is taken as it stands.
    pub fn variables(&self) -> Vec<String> {
        let names = std::cell::RefCell::new(Vec::new());
        let _ = self.expand(|name| {
            names.borrow_mut().push(name.to_owned());
            Some(String::new())
        });
        names.into_inner()
    }

    /// Its words as they stand in the file.
    pub fn words(&self) -> &[String] {
        match self {
            Self::Words(words) | Self::Exact(words) => words,
        }
    }
}

impl Run {
    /// The program and its arguments: a string goes to `sh -eu -c`, a list is taken as it stands.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Shell(text) => ["sh", "-eu", "-c", text].map(str::to_owned).to_vec(),
            Self::Exact(words) => words.clone(),
        }
    }
}

fn expand_word(
    word: &str,
    lookup: &impl Fn(&str) -> Option<String>,
) -> Result<String, MissingVariable> {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let (name, after) = match rest.strip_prefix('{') {
            Some(inside) => inside.split_once('}').unwrap_or(("", inside)),
            None => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            text.push('$');
            continue;
        }
        text.push_str(&lookup(name).ok_or_else(|| MissingVariable(name.to_owned()))?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// Splits a command into words as a shell would, but refuses what only a shell can do. A dollar
/// that quotes protect becomes `$$`.
pub(crate) fn split(text: &str) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\0' => return Err(Problem::new("bad-value", "holds a NUL character")),
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some('$') => word.push_str("$$"),
                        Some(c) => word.push(c),
                        None => return Err(unclosed('\'')),
                    }
                }
            }
            '"' => quoted(&mut characters, word.get_or_insert_default())?,
            '\\' => match characters.next() {
                Some('$') => word.get_or_insert_default().push_str("$$"),
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(Problem::new("unclosed-quote", "ends with a backslash")),
            },
            '&' | '|' | ';' | '<' | '>' | '`' => {
                let operator = match characters.peek() {
                    Some(next) if *next == c && c != ';' && c != '`' => format!("{c}{c}"),
                    _ => c.to_string(),
                };
                return Err(shell(&operator));
            }
            '$' => {
                if characters.peek() == Some(&'(') {
                    return Err(shell("$("));
                }
                let word = word.get_or_insert_default();
                word.push('$');
                if characters.peek() == Some(&'{') {
                    braced(&mut characters, word)?;
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let Some(first) = words.first() else {
        return Err(Problem::new("bad-value", "the command is empty"));
    };
    if [
        "cd", "export", "source", ".", "exec", "eval", "set", "if", "for", "while", "ulimit",
        "umask",
    ]
    .contains(&first.as_str())
    {
        return Err(shell(first));
    }
    if let Some((name, _)) = first.split_once('=')
        && crate::grammar::is_variable(name)
    {
        let label = format!("`{name}=…` before a command is the shell's");
        return Err(Problem::new("shell-in-command", label)
            .help(format!("put `{name}` into the process's `env`")));
    }
    Ok(words)
}

/// The inside of double quotes; only `$` and `\` keep their meaning there.
fn quoted(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
) -> Result<(), Problem> {
    loop {
        match characters.next() {
            Some('"') => return Ok(()),
            Some('\\') => match characters.next() {
                Some('$') => word.push_str("$$"),
                Some(c @ ('"' | '\\' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err(unclosed('"')),
            },
            Some('`') => return Err(shell("`")),
            Some('$') if characters.peek() == Some(&'(') => return Err(shell("$(")),
            Some('$') => {
                word.push('$');
                if characters.peek() == Some(&'{') {
                    braced(characters, word)?;
                }
            }
            Some(c) => word.push(c),
            None => return Err(unclosed('"')),
        }
    }
}

/// `{NAME}` after a dollar.
fn braced(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
) -> Result<(), Problem> {
    let mut inside = String::new();
    for c in characters.by_ref() {
        if c == '}' {
            let name = inside.trim_start_matches('{');
            if crate::grammar::is_variable(name) {
                word.push_str(&format!("{{{name}}}"));
                return Ok(());
            }
            let problem = Problem::new(
                "reference-in-command",
                format!("`${{{name}}}` can't stand in a command"),
            );
            return Err(problem.help(match name {
                name if name.starts_with("secret.") => format!(
                    "everybody may read a command's arguments; put it into `env`, as X = \"${{{name}}}\", and let the app read `X` itself"
                ),
                name if name.contains('.') => format!(
                    "put it into `env`, as X = \"${{{name}}}\", and write `$X` here"
                ),
                _ => "only `$NAME` and `${NAME}` are expanded here; the rest is the shell's".to_owned(),
            }));
        }
        inside.push(c);
    }
    Err(Problem::new("bad-reference", "`${` without its `}`"))
}

fn unclosed(quote: char) -> Problem {
    Problem::new(
        "unclosed-quote",
        format!("a {quote} is opened and not closed"),
    )
}

fn shell(operator: &str) -> Problem {
    let label = format!("`{operator}` is the shell's, and a `command` is executed without one");
    Problem::new("shell-in-command", label).help(
        "for something that happens once and ends use `run`; to have a shell all the same write the list form: [\"sh\", \"-c\", \"…\"]",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).unwrap()
    }

    #[test]
    fn splits_as_a_shell_does() {
        assert_eq!(
            words("a  b 'c d' \"e f\" g\\ h ''"),
            ["a", "b", "c d", "e f", "g h", ""]
        );
    }

    #[test]
    fn expands_from_the_environment_only_what_quotes_leave() {
        let command = Command::Words(words("x $A ${B}c '$A' \\$A \"$A\" $ $1 a$$b"));
        let values = |name: &str| (name == "A" || name == "B").then(|| format!("<{name}>"));
        assert_eq!(
            command.expand(values).unwrap(),
            ["x", "<A>", "<B>c", "$A", "$A", "<A>", "$", "$1", "a$b"]
        );
        let missing = Command::Words(words("x $C")).expand(|_| None);
        assert_eq!(missing, Err(MissingVariable("C".to_owned())));
        assert_eq!(
            Command::Exact(vec!["$A".to_owned()])
                .expand(|_| None)
                .unwrap(),
            ["$A"]
        );
    }

    #[test]
    fn refuses_what_only_a_shell_can_do() {
        for text in [
            "a && b",
            "a | b",
            "a > b",
            "a; b",
            "a &",
            "`a`",
            "a $(b)",
            "cd x",
            "A=1 b",
            "a \"$(b)\"",
        ] {
            assert_eq!(split(text).unwrap_err().code, "shell-in-command", "{text}");
        }
        assert_eq!(words("echo 'a && b' \"c|d\""), ["echo", "a && b", "c|d"]);
        assert_eq!(split("a 'b").unwrap_err().code, "unclosed-quote");
        assert_eq!(
            split("a ${secret.X}").unwrap_err().code,
            "reference-in-command"
        );
    }
}
