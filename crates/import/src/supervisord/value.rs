//! Values: Python's `%(…)s`, words as `shlex` splits them, and pairs of `environment`.

use crate::draft;

/// A reference to a variable of supervisord's own environment, inside of texts until they are printed.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// What `%(…)s` can be in one section.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// `program_name`
    pub program: String,
    /// `group_name`
    pub group: String,
    /// `process_num` and `numprocs`
    pub number: (i64, i64),
}

/// A text whose references are resolved, but those to variables: `%(ENV_X)s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

/// Resolves a value; what can't be is named.
pub fn expand(value: &str, names: &Names) -> Result<Text, String> {
    // Private characters of the file's own would be taken for ours.
    let value = value.replace([OPEN, CLOSE], "\u{fffd}");
    let mut out = String::new();
    let mut rest = value.as_str();
    while let Some((before, from)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = from.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let inside = from
            .strip_prefix('(')
            .and_then(|inside| inside.split_once(')'));
        let Some((name, after)) = inside else {
            return Err(format!("%{}", from.chars().take(12).collect::<String>()));
        };
        let end = after.find(['s', 'd']).unwrap_or(0);
        let (form, tail) = after.split_at(end);
        let Some(kind) = tail
            .chars()
            .next()
            .filter(|_| form.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            return Err(format!("%({name})"));
        };
        rest = &tail[1..];
        let number = |number: i64| match (kind, form.strip_prefix('0')) {
            ('d', Some(width)) => format!(
                "{number:0width$}",
                width = width.parse::<usize>().unwrap_or(0).min(20)
            ),
            _ => number.to_string(),
        };
        match name {
            "program_name" => out.push_str(&names.program),
            "group_name" => out.push_str(&names.group),
            "process_num" => out.push_str(&number(names.number.0)),
            "numprocs" => out.push_str(&number(names.number.1)),
            // The folder of the file: that of the app file, as far as it can be known.
            "here" => out.push('.'),
            name => match name
                .strip_prefix("ENV_")
                .filter(|name| draft::is_variable(name))
            {
                Some(variable) => {
                    out.extend([OPEN.to_string(), variable.to_owned(), CLOSE.to_string()])
                }
                None => return Err(format!("%({name})s")),
            },
        }
    }
    out.push_str(rest);
    Ok(Text(out))
}

impl Text {
    /// A text without references.
    #[cfg(test)]
    pub fn plain(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The variables named.
    pub fn variables(&self) -> Vec<&str> {
        let parts = self.0.split(OPEN).skip(1);
        parts
            .filter_map(|part| Some(part.split_once(CLOSE)?.0))
            .collect()
    }

    /// The text, where it names no variable that `value` doesn't know.
    pub fn resolved(&self, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        self.with(|name| value(name).ok_or(()), str::to_owned).ok()
    }

    /// For a line of a shell: one word, its variables expanded.
    pub fn shell_word(&self) -> String {
        if self.variables().is_empty() {
            return draft::quoted(&self.0);
        }
        let text = |text: &str| {
            let mut out = String::new();
            for character in text.chars() {
                if matches!(character, '"' | '\\' | '$' | '`') {
                    out.push('\\');
                }
                out.push(character);
            }
            out
        };
        let inside = self.with(|name| Ok::<_, ()>(format!("${{{name}}}")), text);
        format!("\"{}\"", inside.unwrap_or_default())
    }

    /// For a line that a shell reads whole: variables as it writes them.
    pub fn shell_text(&self) -> String {
        let inside = self.with(|name| Ok::<_, ()>(format!("${{{name}}}")), str::to_owned);
        inside.unwrap_or_default()
    }

    fn with<E>(
        &self,
        variable: impl Fn(&str) -> Result<String, E>,
        text: impl Fn(&str) -> String,
    ) -> Result<String, E> {
        let mut parts = self.0.split(OPEN);
        let mut out = text(parts.next().unwrap_or_default());
        for part in parts {
            let (name, after) = part.split_once(CLOSE).unwrap_or((part, ""));
            out.push_str(&variable(name)?);
            out.push_str(&text(after));
        }
        Ok(out)
    }

    /// Its words, as Python's `shlex.split` has them; none where a quote is open.
    pub fn words(&self) -> Option<Vec<Text>> {
        // This `shlex` takes a `#` at a word's beginning for a comment; supervisord's doesn't.
        let guarded = self.0.replace('#', "\u{e002}");
        let words = shlex::split(&guarded)?;
        Some(
            words
                .into_iter()
                .map(|word| Text(word.replace('\u{e002}', "#")))
                .collect(),
        )
    }
}

/// A pair of `environment`.
pub type Pair = (String, Text);

/// The pairs of `environment`: `A="b",C='d, e',F=%(ENV_G)s`. None where supervisord wouldn't read it.
pub fn pairs(text: &Text) -> Option<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut rest = text.0.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        let after = after.trim_start();
        let (value, tail) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted(&after[1..], quote)?,
            _ => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        pairs.push((name.to_owned(), Text(value)));
        let tail = tail.trim_start();
        rest = match tail.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if tail.is_empty() => tail,
            None => return None,
        };
    }
    Some(pairs)
}

fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Some((value, &text[at + 1..])),
            '\\' if quote == '"' => match characters.next()?.1 {
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            program: "web".to_owned(),
            group: "all".to_owned(),
            number: (3, 8),
        }
    }

    #[test]
    fn references_are_resolved() {
        let text = |value: &str| expand(value, &names()).map(|text| text.shell_text());
        assert_eq!(
            text("%(program_name)s_%(process_num)02d/%(numprocs)d %%").unwrap(),
            "web_03/8 %"
        );
        assert_eq!(text("--port %(ENV_PORT)s").unwrap(), "--port ${PORT}");
        assert_eq!(text("%(here)s/x").unwrap(), "./x");
        assert_eq!(
            text("%(host_node_name)s").unwrap_err(),
            "%(host_node_name)s"
        );
        assert!(text("100% sure").is_err());
    }

    #[test]
    fn pairs_have_quotes_and_commas() {
        let pair = |text: &str| pairs(&Text::plain(text));
        let found = pair("A=\"b, c\",D='e',\nF=g, H=\"i\\\"j\",").unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| format!("{name}={}", value.0))
            .collect();
        assert_eq!(found, ["A=b, c", "D=e", "F=g", "H=i\"j"]);
        assert!(pair("A=\"b").is_none() && pair("A").is_none() && pair("A=\"b\"c").is_none());
    }

    #[test]
    fn words_are_quoted_again_for_a_shell() {
        let text = expand("x 'a b' \"%(ENV_C)s d\" #e", &names()).unwrap();
        let words: Vec<_> = text.words().unwrap().iter().map(Text::shell_word).collect();
        assert_eq!(words, ["x", "'a b'", "\"${C} d\"", "'#e'"]);
        assert!(Text::plain("x 'a").words().is_none());
    }
}
