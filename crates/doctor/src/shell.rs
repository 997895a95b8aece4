//! A line for the shell, as far as it must be understood: its simple commands and their words, each
//! with its place. What is not understood is left alone.

use std::ops::Range;

/// A word, quotes taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub span: Range<usize>,
    /// Whether it has variables, commands or patterns in it.
    pub moving: bool,
    /// Whether any of it is quoted.
    pub quoted: bool,
}

/// A simple command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simple {
    /// Its words.
    pub words: Vec<Word>,
    /// What stands between it and the next one; empty at the end.
    pub then: &'static str,
}

impl Simple {
    /// The program's name, without its folder.
    pub fn program(&self) -> &str {
        let first = self.words.first().map_or("", |word| word.text.as_str());
        first.rsplit('/').next().unwrap_or(first)
    }

    /// The words after the program.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(|word| word.text.as_str())
    }

    /// The first argument that is no option.
    pub fn verb(&self) -> &str {
        self.arguments()
            .find(|word| !word.starts_with('-'))
            .unwrap_or_default()
    }

    /// Whether an option is given.
    pub fn has(&self, option: &str) -> bool {
        self.arguments().any(|word| {
            word == option
                || word
                    .strip_prefix(option)
                    .is_some_and(|rest| rest.starts_with('='))
        })
    }
}

/// The words of a text, quotes taken off.
pub fn words(text: &str) -> Vec<String> {
    let found = commands(text).into_iter().flat_map(|simple| simple.words);
    found.map(|word| word.text).collect()
}

/// The simple commands of a line, in their order. A Dockerfile's continued lines and the comments
/// between them are no part of it.
pub fn commands(text: &str) -> Vec<Simple> {
    let bytes = text.as_bytes();
    let mut all = Vec::new();
    let mut current = Simple::default();
    let mut word: Option<Word> = None;
    let mut at = 0;
    let mut line_begins = false;
    let end_word = |word: &mut Option<Word>, current: &mut Simple, at: usize| {
        if let Some(mut done) = word.take() {
            done.span.end = at;
            current.words.push(done);
        }
    };
    while at < bytes.len() {
        let byte = bytes[at];
        if line_begins && (byte == b' ' || byte == b'\t') {
            at += 1;
            continue;
        }
        if byte == b'#' && word.is_none() {
            // A comment: to the end of its line, which in a Dockerfile is no end of the command.
            while at < bytes.len() && bytes[at] != b'\n' {
                at += 1;
            }
            if line_begins && at < bytes.len() {
                at += 1;
            }
            continue;
        }
        line_begins = false;
        let two = bytes.get(at + 1).copied();
        match byte {
            b'\\'
                if two == Some(b'\n')
                    || (two == Some(b'\r') && bytes.get(at + 2) == Some(&b'\n')) =>
            {
                end_word(&mut word, &mut current, at);
                at += if two == Some(b'\n') { 2 } else { 3 };
                line_begins = true;
                continue;
            }
            b' ' | b'\t' | b'\r' => end_word(&mut word, &mut current, at),
            b'&' | b'|' | b';' | b'\n' | b'(' | b')' => {
                end_word(&mut word, &mut current, at);
                let (then, length) = match (byte, two) {
                    (b'&', Some(b'&')) => ("&&", 2),
                    (b'|', Some(b'|')) => ("||", 2),
                    (b'&', _) => ("&", 1),
                    (b'|', _) => ("|", 1),
                    (b'(', _) => ("(", 1),
                    (b')', _) => (")", 1),
                    _ => (";", 1),
                };
                if !current.words.is_empty() {
                    current.then = then;
                    all.push(std::mem::take(&mut current));
                }
                at += length;
                continue;
            }
            _ => {
                let word = word.get_or_insert(Word {
                    text: String::new(),
                    span: at..at,
                    moving: false,
                    quoted: false,
                });
                match byte {
                    b'\'' | b'"' => {
                        word.quoted = true;
                        let from = at + 1;
                        at = from;
                        while at < bytes.len() && bytes[at] != byte {
                            if byte == b'"' && bytes[at] == b'\\' {
                                at += 1;
                            } else if byte == b'"' && matches!(bytes[at], b'$' | b'`') {
                                word.moving = true;
                            }
                            at += 1;
                        }
                        let inside = text.get(from..at.min(bytes.len())).unwrap_or_default();
                        match byte {
                            b'"' => word.text.push_str(&inside.replace("\\\"", "\"")),
                            _ => word.text.push_str(inside),
                        }
                    }
                    b'\\' => {
                        at += 1;
                        word.quoted = true;
                        if let Some(letter) = text.get(at..).and_then(|rest| rest.chars().next()) {
                            word.text.push(letter);
                            at += letter.len_utf8() - 1;
                        }
                    }
                    b'$' | b'`' | b'*' | b'?' | b'{' | b'~' | b'<' | b'>' | b'[' => {
                        word.moving = true;
                        word.text.push(char::from(byte));
                    }
                    _ => {
                        let letter = text[at..].chars().next().unwrap_or(' ');
                        word.text.push(letter);
                        at += letter.len_utf8() - 1;
                    }
                }
            }
        }
        at += 1;
    }
    end_word(&mut word, &mut current, bytes.len());
    if !current.words.is_empty() {
        all.push(current);
    }
    all
}

/// The simple commands of a line without the variables that are set in front of them.
pub fn programs(text: &str) -> Vec<Simple> {
    let mut all = commands(text);
    for simple in &mut all {
        let settings = simple.words.iter().take_while(|word| {
            let name = word.text.split_once('=').map_or("", |(name, _)| name);
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            !name.is_empty() && name.bytes().all(is_name)
                || matches!(
                    word.text.as_str(),
                    "sudo" | "exec" | "then" | "do" | "if" | "!"
                )
        });
        let count = settings.count();
        simple.words.drain(..count);
    }
    all.retain(|simple| !simple.words.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(text: &str) -> Vec<Vec<String>> {
        let found = programs(text).into_iter();
        found
            .map(|simple| simple.words.into_iter().map(|word| word.text).collect())
            .collect()
    }

    #[test]
    fn commands_are_told_apart() {
        assert_eq!(
            simple(
                "apt-get update && A=1 apt-get install -y \\\n    # why\n    curl 'a b'; rm -rf /x"
            ),
            [
                vec!["apt-get", "update"],
                vec!["apt-get", "install", "-y", "curl", "a b"],
                vec!["rm", "-rf", "/x"],
            ]
        );
        assert_eq!(
            simple("(cd /x; make) | tee log"),
            [vec!["cd", "/x"], vec!["make"], vec!["tee", "log"]]
        );
    }

    #[test]
    fn words_know_their_places() {
        let text = "pip install \"a b\" é $X";
        let found = commands(text);
        let words = &found[0].words;
        assert_eq!(&text[words[1].span.clone()], "install");
        assert_eq!(&text[words[2].span.clone()], "\"a b\"");
        assert_eq!(&text[words[3].span.clone()], "é");
        assert!(words[4].moving && !words[1].moving && words[2].quoted);
    }

    #[test]
    fn quotes_without_an_end_end_with_the_text() {
        for text in ["'", "\"a", "\"\\", "\\", "a \\é", "\"é\\"] {
            commands(text);
        }
    }
}
