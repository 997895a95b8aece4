//! Files of variables: `.env` and those of `env_file`, as Compose reads them.

use super::interpolate::{Variables, Wrong, interpolate};

/// A line of such a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub name: String,
    /// None: a bare name, which takes the project's value.
    pub value: Option<String>,
    pub line: usize,
}

/// A line that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub line: usize,
    pub message: String,
}

/// Reads such a file. `lookup`: variables from outside, which values may name. `raw`: values as they
/// stand, without quotes and variables.
pub(super) fn read(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    raw: bool,
) -> Result<Vec<Variable>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n");
    let mut variables: Vec<Variable> = Vec::new();
    let mut known = std::collections::HashMap::<String, String>::new();
    let mut line = 1;
    let mut rest = text.as_str();
    loop {
        let start = rest.find(|c: char| !c.is_whitespace());
        let Some(start) = start else { break };
        line += newlines(&rest[..start]);
        rest = &rest[start..];
        let (statement, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if statement.starts_with('#') {
            rest = after;
            line += 1;
            continue;
        }
        let first = line;
        let problem = |message: String| Problem {
            line: first,
            message,
        };
        let skipped = statement.strip_prefix("export").map_or(0, |rest| {
            if rest.starts_with([' ', '\t']) {
                statement.len() - rest.trim_start().len()
            } else {
                0
            }
        });
        let statement = &statement[skipped..];
        let end = statement.find(if raw { &['='][..] } else { &['=', ':'][..] });
        let name = statement[..end.unwrap_or(statement.len())].trim_end();
        let allowed = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
        if name.is_empty() {
            return Err(problem(
                "expected NAME=value, and there is no name".to_owned(),
            ));
        }
        if let Some(c) = name.chars().find(|c| !allowed(*c)) {
            return Err(problem(format!(
                "a variable's name can't hold `{}`",
                c.escape_default()
            )));
        }
        let Some(end) = end else {
            variables.push(Variable {
                name: name.to_owned(),
                value: None,
                line,
            });
            rest = after;
            line += 1;
            continue;
        };
        let value_start = skipped + end + 1;
        let value_start = value_start
            + rest[value_start..]
                .find(|c: char| !c.is_whitespace() || c == '\n')
                .unwrap_or(rest.len() - value_start);
        let value = &rest[value_start..];
        let expand = |text: &str| {
            let value = |name: &str| lookup(name).or_else(|| known.get(name).cloned());
            let mut variables = Variables {
                value: &value,
                unset: Vec::new(),
                demanded: None,
            };
            interpolate(text, &mut variables)
                .map(|scalar| scalar.text)
                .map_err(|wrong| {
                    problem(match wrong {
                        Wrong::Form(form) => format!("`{form}` is no variable"),
                        Wrong::Missing(name, _) => {
                            format!("`{name}` has no value, and the file demands one")
                        }
                    })
                })
        };
        let (value, consumed) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) if !raw => {
                let (inside, length) = quoted(value, quote)
                    .ok_or_else(|| problem("a quote is opened and not closed".to_owned()))?;
                let inside = match quote {
                    '"' => expand(&escapes(&inside))?,
                    _ => inside,
                };
                (inside, length)
            }
            _ => {
                let end = value.find('\n').unwrap_or(value.len());
                let plain = &value[..end];
                let value = match raw {
                    true => plain.to_owned(),
                    false => {
                        let plain = plain.find(" #").map_or(plain, |at| &plain[..at]);
                        // A value that is nothing but a comment.
                        let plain = if plain.starts_with('#') { "" } else { plain };
                        expand(plain.trim_end())?
                    }
                };
                (value, end)
            }
        };
        known.insert(name.to_owned(), value.clone());
        variables.push(Variable {
            name: name.to_owned(),
            value: Some(value),
            line,
        });
        let end = value_start + consumed;
        line += newlines(&rest[..end]);
        rest = &rest[end..];
        // What stands behind a closing quote is a comment, or nothing.
        let tail = rest.find('\n').unwrap_or(rest.len());
        let behind = rest[..tail].trim();
        if !behind.is_empty() && !behind.starts_with('#') {
            return Err(problem(
                "something stands behind the closing quote".to_owned(),
            ));
        }
        rest = &rest[tail..];
    }
    Ok(variables)
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// What stands between quotes, and how many bytes that is with them.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            c if c == quote && escaped => {
                escaped = false;
                inside.push(c);
            }
            c if c == quote => return Some((inside, at + 1)),
            '\\' if !escaped => escaped = true,
            c => {
                if std::mem::take(&mut escaped) {
                    inside.push('\\');
                }
                inside.push(c);
            }
        }
    }
    None
}

/// Escapes in double quotes. An escaped dollar becomes two, which interpolation makes one.
fn escapes(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        let escape = match characters.peek() {
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('a') => "\u{7}",
            Some('b') => "\u{8}",
            Some('f') => "\u{c}",
            Some('v') => "\u{b}",
            Some('"') => "\"",
            Some('\\') => "\\",
            Some('$') => "$$",
            _ => {
                out.push('\\');
                continue;
            }
        };
        characters.next();
        out.push_str(escape);
    }
    out
}
