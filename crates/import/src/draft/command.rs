//! Lines for a shell, as other tools write commands, and what an app file makes of them.

use std::collections::BTreeSet;

use super::{Value, name::is_variable};

/// A line for a shell as a `command`: words where a shell would do nothing else with it, else the list
/// that gives it to the shell as it stands. `known` tells of a variable whether the process has it with
/// a value that a shell wouldn't split: words are only as good as that.
///
/// `exec` at its beginning is left out, `${PORT:-8000}` is `$PORT`, which every process has.
pub fn command(line: &str, known: &dyn Fn(&str) -> bool) -> Value {
    let line = port_variable(line.trim()).0;
    let words = line.strip_prefix("exec ").map_or(line.as_str(), str::trim);
    let alone = |name: &str| name == "PORT" || known(name);
    match look(words) {
        Look::Words(named)
            if named.iter().all(|name| alone(name))
                && words.parse::<landfall_app::model::Command>().is_ok() =>
        {
            words.into()
        }
        look => shell(&line, look == Look::Bash),
    }
}

/// A list of words as a `command`: a line where that reads the same.
pub fn words(words: &[String]) -> Value {
    let plain = |word: &String| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./=:@%+,".contains(&byte))
    };
    let line = words.join(" ");
    match words.iter().all(plain) && line.parse::<landfall_app::model::Command>().is_ok() {
        true => line.into(),
        false => words.into(),
    }
}

/// A line that only a shell understands.
fn shell(line: &str, bash: bool) -> Value {
    let shell = if bash { "bash" } else { "sh" };
    vec![shell, "-c", line].into()
}

/// The variables that a line for a shell names.
pub fn variables(line: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut single = false;
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match character {
            '\\' if !single => escaped = true,
            '\'' => single = !single,
            '$' if !single => {
                let rest = &line[at + 1..];
                let name = rest.strip_prefix('{').unwrap_or(rest);
                let end = name
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(name.len());
                if is_variable(&name[..end]) {
                    named.insert(name[..end].to_owned());
                }
            }
            _ => {}
        }
    }
    named
}

/// `${PORT}`, `${PORT:-8000}` and `${PORT-8000}` as `$PORT`, and the number that stood there.
pub fn port_variable(line: &str) -> (String, Option<u16>) {
    let mut out = String::new();
    let mut rest = line;
    let mut port = None;
    while let Some((before, from)) = rest.split_once("${PORT") {
        out.push_str(before);
        let inner = from.split_once('}').map(|(inner, after)| {
            let number = inner.strip_prefix(":-").or_else(|| inner.strip_prefix('-'));
            (inner, number, after)
        });
        match inner {
            Some((inner, number, after))
                if inner.is_empty() || number.is_some_and(|it| !it.contains('$')) =>
            {
                port = port.or_else(|| number?.trim_matches(['"', '\'']).parse().ok());
                let joined = after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                out.push_str(if joined { "${PORT}" } else { "$PORT" });
                rest = after;
            }
            _ => {
                out.push_str("${PORT");
                rest = from;
            }
        }
    }
    out.push_str(rest);
    (out, port)
}

/// What a line needs.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// No shell: words, and the variables named in them.
    Words(BTreeSet<String>),
    /// Any shell.
    Shell,
    /// One that knows more than POSIX says.
    Bash,
}

/// Words that only a shell knows.
const BUILTIN: [&str; 26] = [
    "cd", "export", "source", ".", "exec", "eval", "set", "unset", "if", "for", "while", "until",
    "case", "ulimit", "umask", "trap", "wait", "read", "shift", "return", "exit", "alias",
    "command", "{", "!", ":",
];

/// Marks of what POSIX shells don't know.
const OF_BASH: [&str; 11] = [
    "[[",
    "<(",
    ">(",
    "$'",
    "$\"",
    "pipefail",
    "<<<",
    "&>",
    "//",
    "^^",
    "function ",
];

fn look(line: &str) -> Look {
    let mut named = BTreeSet::new();
    let mut quote = None;
    let mut start = true;
    let mut needs_shell = false;
    let mut characters = line.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let word_start = std::mem::replace(&mut start, character.is_whitespace());
        match (character, quote) {
            ('\'', None) | ('"', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            (_, Some('\'')) => {}
            ('\\', _) => {
                characters.next();
            }
            ('`', _) => needs_shell = true,
            ('$', _) => {
                let rest = &line[at + 1..];
                let braced = rest.strip_prefix('{');
                let name = braced.unwrap_or(rest);
                let end = name
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(name.len());
                let whole = braced.is_none() || name[end..].starts_with('}');
                match is_variable(&name[..end]) && whole {
                    true => {
                        named.insert(name[..end].to_owned());
                        // Its braces are no others.
                        if braced.is_some() {
                            for _ in 0..end + 2 {
                                characters.next();
                            }
                        }
                    }
                    false => needs_shell = true,
                }
            }
            (_, Some(_)) => {}
            (
                '&' | '|' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | ']' | '{' | '}' | '\n'
                | '\r',
                None,
            ) => {
                needs_shell = true;
            }
            ('~' | '#', None) if word_start || at == 0 => needs_shell = true,
            _ => {}
        }
    }
    let first = line.split_whitespace().next().unwrap_or_default();
    let assigns = first
        .split_once('=')
        .is_some_and(|(name, _)| is_variable(name));
    if quote.is_some() || assigns || BUILTIN.contains(&first) {
        needs_shell = true;
    }
    // `//` of an address is none of a `${X//a/b}`.
    let has = |mark: &str| match mark {
        "//" | "^^" => braces(line).any(|inside| inside.contains(mark)),
        mark => line.contains(mark),
    };
    let of_bash =
        OF_BASH.into_iter().any(has) || line.split_whitespace().any(|word| word == "source");
    match (needs_shell, of_bash) {
        (true, true) => Look::Bash,
        (true, false) => Look::Shell,
        (false, _) => Look::Words(named),
    }
}

/// What stands between `${` and `}`.
fn braces(line: &str) -> impl Iterator<Item = &str> {
    line.split("${")
        .skip(1)
        .filter_map(|from| Some(from.split_once('}')?.0))
}

/// A line that happens once and ends, as a `run` or `migrate`: `sh -eu` takes the text where that is as
/// good as the `sh -c` that other tools use, without variables and several commands in a row.
pub fn once(line: &str) -> Value {
    let line = line.trim();
    match look(line) {
        Look::Bash => shell(line, true),
        _ if line.contains(['$', ';', '\n', '`']) => shell(line, false),
        _ => line.into(),
    }
}

/// A word as a shell takes it for itself.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:@%+,".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The number that stands in a line as the port to listen on, and the line with `$PORT` for it:
/// `--port 8000`, `-p 8000`, `--port=8000`, `-b 0.0.0.0:8000`. None where it names `$PORT` already.
pub fn take_port(line: &str) -> Option<(String, u16)> {
    if line.contains("$PORT") || line.contains("${PORT") {
        return None;
    }
    let mut before = "";
    let mut at = 0;
    for word in line.split(' ') {
        let number = |digits: &str| digits.parse::<u16>().ok().filter(|port| *port > 0);
        let option = std::mem::replace(&mut before, word);
        let (kept, digits) = match word.split_once('=') {
            _ if matches!(option, "--port" | "-p" | "--http-port") => ("", word),
            Some(("--port" | "--http-port", digits)) => {
                (&word[..word.len() - digits.len()], digits)
            }
            _ => {
                let (host, digits) = word.rsplit_once(':').unwrap_or((word, ""));
                let known = ["0.0.0.0", "127.0.0.1", "localhost", "[::]", "*", ""];
                match known.contains(&host.rsplit('=').next().unwrap_or_default()) {
                    true => (&word[..word.len() - digits.len()], digits),
                    false => (word, ""),
                }
            }
        };
        if let Some(port) = number(digits) {
            let (head, tail) = (&line[..at], &line[at + word.len()..]);
            return Some((format!("{head}{kept}$PORT{tail}"), port));
        }
        at += word.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(line: &str) -> Value {
        command(line, &|name| name == "KNOWN")
    }

    #[test]
    fn what_no_shell_would_change_is_words() {
        for line in [
            "bin/web --port $PORT",
            "x 'a b' \"c $KNOWN\"",
            "echo '$X && y'",
            "x --url=http://a//b",
            "x a#b a~",
        ] {
            assert_eq!(made(line), line.into(), "{line}");
        }
        assert_eq!(made("exec bin/web"), "bin/web".into());
        assert_eq!(made("x ${PORT:-8000} ${PORT}"), "x $PORT $PORT".into());
        assert_eq!(made("x ${PORT:-80}a"), "x ${PORT}a".into());
    }

    #[test]
    fn a_shell_gets_what_is_its_own_as_it_stands() {
        for line in [
            "a && b",
            "a; b",
            "a > log",
            "a $(b)",
            "a `b`",
            "cd x",
            "A=1 b",
            "a *.py",
            "a ~/b",
            "a {b,c}",
            "a $UNKNOWN",
            "a ${B:-1}",
            "a $1",
            "a 'b",
            "[ -f x ]",
            "a # b",
            "exec a && b",
            "a\nb",
            "source x",
        ] {
            let shell = if line == "source x" { "bash" } else { "sh" };
            assert_eq!(made(line), vec![shell, "-c", line].into(), "{line}");
        }
        assert_eq!(
            made("[[ -f x ]] && y"),
            vec!["bash", "-c", "[[ -f x ]] && y"].into()
        );
        assert_eq!(
            made("x ${A//b/c}"),
            vec!["bash", "-c", "x ${A//b/c}"].into()
        );
    }

    #[test]
    fn variables_are_found_where_a_shell_looks() {
        let found: Vec<_> = variables("a $B ${C:-1} '$D' \\$E \"$F\" $1 $")
            .into_iter()
            .collect();
        assert_eq!(found, ["B", "C", "F"]);
    }

    #[test]
    fn the_port_that_stands_there_is_told() {
        assert_eq!(
            port_variable("x ${PORT:-8000}"),
            ("x $PORT".to_owned(), Some(8000))
        );
        assert_eq!(
            port_variable("x ${PORT:-$Y} ${PORTS}"),
            ("x ${PORT:-$Y} ${PORTS}".to_owned(), None)
        );
    }

    #[test]
    fn a_port_in_a_command_becomes_the_variable() {
        for (line, expected, port) in [
            (
                "uvicorn a:b --host 0.0.0.0 --port 8000",
                "uvicorn a:b --host 0.0.0.0 --port $PORT",
                8000,
            ),
            (
                "gunicorn a --bind=0.0.0.0:5000 -w 2",
                "gunicorn a --bind=0.0.0.0:$PORT -w 2",
                5000,
            ),
            ("next start -p 3000", "next start -p $PORT", 3000),
            ("x --port=80 --other 80", "x --port=$PORT --other 80", 80),
            ("gunicorn -b :8000 a", "gunicorn -b :$PORT a", 8000),
        ] {
            assert_eq!(take_port(line), Some((expected.to_owned(), port)), "{line}");
        }
        for line in [
            "x --port $PORT",
            "agent http://localhost:8000 app:main",
            "x --port many",
            "",
        ] {
            assert_eq!(take_port(line), None, "{line}");
        }
    }

    #[test]
    fn what_happens_once_keeps_its_meaning() {
        assert_eq!(once("a && b"), "a && b".into());
        assert_eq!(once("a; b"), vec!["sh", "-c", "a; b"].into());
        assert_eq!(once("a $B"), vec!["sh", "-c", "a $B"].into());
        assert_eq!(
            once("[[ x ]] && a"),
            vec!["bash", "-c", "[[ x ]] && a"].into()
        );
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
