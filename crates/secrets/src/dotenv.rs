//! `.env` files, as the field writes them. Values are taken as they stand: nothing is expanded.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use landfall_redact::Secret;

use crate::error::Error;

/// What a `.env` file says.
#[derive(Debug, Clone, Default)]
pub struct DotEnv {
    /// Where it stands.
    pub path: PathBuf,
    /// Names in the order of the file, each once.
    pub order: Vec<String>,
    /// Values; of a name that stands twice the last one.
    pub values: BTreeMap<String, Secret>,
}

impl DotEnv {
    /// Reads a file; none is there: `None`.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        match fs::read(path) {
            Ok(bytes) => Self::parse(&bytes, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File {
                path: path.to_owned(),
                action: "read",
                source,
            }),
        }
    }

    /// Reads a file's content; `path` is for messages.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let bad = |line, reason| Error::BadDotenv {
            path: path.to_owned(),
            line,
            reason,
        };
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(bad(1, "this is UTF-16; save it as UTF-8"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            bad(
                before.iter().filter(|byte| **byte == b'\n').count() + 1,
                "this line is not UTF-8",
            )
        })?;
        let mut reader = Reader {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 1,
        };
        let mut found = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        while let Some(pair) = reader.pair().map_err(|(line, reason)| bad(line, reason))? {
            let (name, value) = pair;
            if found
                .values
                .insert(name.to_owned(), Secret::new(value))
                .is_none()
            {
                found.order.push(name.to_owned());
            }
        }
        Ok(found)
    }
}

/// A line of a `.env` file, with its end. It is quoted in the form that the most readers understand in the
/// same way: single quotes, in which nothing is expanded, and double ones only where the value has a `'`, a
/// backslash or a carriage return in it. Lines of a value stay lines.
#[must_use]
pub fn line(name: &str, value: &Secret) -> String {
    let value = value.expose();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&byte);
    let mut line = format!("{name}=");
    if value.bytes().all(plain) {
        line.push_str(value);
    } else if !value.contains(['\'', '\\', '\r']) {
        line.extend(["'", value, "'"]);
    } else {
        line.push('"');
        for character in value.chars() {
            match character {
                '"' | '\\' | '$' => line.extend(['\\', character]),
                '\r' => line.push_str("\\r"),
                other => line.push(other),
            }
        }
        line.push('"');
    }
    line.push('\n');
    line
}

/// Whether a variable looks as if it were a secret, by its name and by a URL with a password in it.
#[must_use]
pub fn looks_secret(name: &str, value: &Secret) -> bool {
    const OPEN: [&str; 5] = [
        "NEXT_PUBLIC_",
        "VITE_",
        "REACT_APP_",
        "PUBLIC_",
        "NUXT_PUBLIC_",
    ];
    const WORDS: [&str; 15] = [
        "KEY",
        "KEYS",
        "APIKEY",
        "TOKEN",
        "TOKENS",
        "SECRET",
        "SECRETS",
        "PASSWORD",
        "PASSWD",
        "PASS",
        "PWD",
        "CREDENTIALS",
        "CREDENTIAL",
        "DSN",
        "PASSPHRASE",
    ];
    const URLS: [&str; 7] = [
        "DATABASE_URL",
        "DB_URL",
        "REDIS_URL",
        "MONGO_URL",
        "MONGO_URI",
        "MONGODB_URI",
        "AMQP_URL",
    ];
    let name = name.to_ascii_uppercase();
    if OPEN.iter().any(|open| name.starts_with(open)) || name.contains("PUBLIC_KEY") {
        return false;
    }
    name.split('_').any(|word| WORDS.contains(&word))
        || name.ends_with("WEBHOOK_URL")
        || URLS.iter().any(|url| name.ends_with(url))
        || has_password(value.expose())
}

/// `scheme://user:password@host`
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':') && !user.ends_with(':'))
}

type Problem = (usize, &'static str);

struct Reader<'text> {
    rest: &'text str,
    line: usize,
}

impl<'text> Reader<'text> {
    /// Takes the rest of the line, without its end.
    fn take_line(&mut self) -> &'text str {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += 1;
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn pair(&mut self) -> Result<Option<(&'text str, String)>, Problem> {
        while !self.rest.is_empty() {
            let line = self.rest.split('\n').next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') {
                self.take_line();
                continue;
            }
            return self.assignment(line).map(Some);
        }
        Ok(None)
    }

    fn assignment(&mut self, line: &'text str) -> Result<(&'text str, String), Problem> {
        let at = self.line;
        let (name, _) = line
            .split_once('=')
            .ok_or((at, "there is no `=` after the name"))?;
        let name = match name.strip_prefix("export") {
            Some(name) if name.starts_with([' ', '\t']) => name,
            _ => name,
        }
        .trim();
        if !crate::file::is_secret_name(name) {
            return Err((
                at,
                "before the `=` stands no name of a variable (letters, digits and _)",
            ));
        }
        let (_, after) = self
            .rest
            .split_once('=')
            .ok_or((at, "there is no `=` after the name"))?;
        let value = after.trim_start_matches([' ', '\t']);
        self.rest = value;
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => self.quoted(quote)?,
            _ => plain(self.take_line()).to_owned(),
        };
        match value.contains('\0') {
            true => Err((at, "the value holds a NUL byte")),
            false => Ok((name, value)),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let at = self.line;
        let text = &self.rest[quote.len_utf8()..];
        let mut value = String::new();
        let mut characters = text.char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                _ if character == quote => {
                    self.line += text[..index].matches('\n').count();
                    self.rest = &text[index + quote.len_utf8()..];
                    let here = self.line;
                    let behind = self.take_line().trim();
                    return match behind.is_empty() || behind.starts_with('#') {
                        true => Ok(value),
                        false => Err((here, "something stands behind the closing quote")),
                    };
                }
                '\\' if quote == '"' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, escaped @ ('"' | '\\' | '$' | '\''))) => value.push(escaped),
                    // What isn't an escape stays as it is: paths of Windows, patterns.
                    Some((_, other)) => value.extend(['\\', other]),
                    None => break,
                },
                // Files of Windows: the line's end inside a value is one character, as elsewhere.
                '\r' if text[index..].starts_with("\r\n") => {}
                _ => value.push(character),
            }
        }
        Err((at, "the quote is never closed"))
    }
}

/// A value without quotes: up to a `#` behind white space.
fn plain(text: &str) -> &str {
    let mut end = text.len();
    for (index, _) in text.match_indices('#') {
        if index == 0 || text[..index].ends_with([' ', '\t']) {
            end = index;
            break;
        }
    }
    text[..end].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
        match DotEnv::parse(text.as_bytes(), Path::new(".env")) {
            Ok(found) => Ok(found
                .order
                .iter()
                .map(|name| (name.clone(), found.values[name].expose().to_owned()))
                .collect()),
            Err(Error::BadDotenv { line, reason, .. }) => Err((line, reason)),
            Err(other) => panic!("{other}"),
        }
    }

    fn one(text: &str) -> String {
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].1.clone()
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        assert_eq!(one("A=b"), "b");
        assert_eq!(one("  export  A = b c  # said"), "b c");
        assert_eq!(one("A=b#c"), "b#c");
        assert_eq!(one("A=#nothing"), "");
        assert_eq!(one("A="), "");
        assert_eq!(one("A='b \\n $c' # said"), "b \\n $c");
        assert_eq!(one(r#"A="b\n\"c\" \$d \w""#), "b\n\"c\" $d \\w");
        assert_eq!(one("A=\"first\r\nsecond\"\r\n"), "first\nsecond");
        assert_eq!(one("\u{feff}A=b\r\n"), "b");
        assert_eq!(one("A=x=y=="), "x=y==");
        assert_eq!(one("A=`it's \"so\"`"), "it's \"so\"");
        assert_eq!(one("exported=1"), "1");
        assert_eq!(one("A=1\nA=2"), "2");
    }

    #[test]
    fn names_keep_their_order() {
        let found = parse("# first\n\nB=1\nA=\"x\ny\"\nC=3").unwrap();
        assert_eq!(
            found
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>(),
            ["B", "A", "C"]
        );
    }

    #[test]
    fn a_written_line_is_read_back() {
        for value in [
            "",
            "plain-1.2:3/x=",
            "two words",
            "it's",
            "-----BEGIN KEY-----\nab+/=\n-----END KEY-----\n",
            "a # b",
            "$HOME ${x} $(y) `z`",
            "C:\\new",
            "ends with \\",
            "\"'\\$`\r\n\t",
            " around ",
            "#",
            "ä€𝄞",
        ] {
            let written = line("A", &Secret::new(value.to_owned()));
            let after = format!("{written}B=1\n");
            let found = parse(&after).unwrap();
            assert_eq!(found[0], ("A".to_owned(), value.to_owned()), "{written}");
            assert_eq!(found[1].1, "1", "{written}");
        }
        assert_eq!(line("A", &Secret::new("a b".to_owned())), "A='a b'\n");
    }

    #[test]
    fn errors_name_the_line_and_never_the_value() {
        assert_eq!(parse("A=1\nhunter2\n").unwrap_err().0, 2);
        assert_eq!(parse("A=\"x\ny\"\n1B=hunter2").unwrap_err().0, 3);
        assert_eq!(
            parse("\n\nA='hunter2\nB=1").unwrap_err(),
            (3, "the quote is never closed")
        );
        assert_eq!(parse("A='x\n' hunter2").unwrap_err().0, 2);
        for text in [
            &b"A=1\nB=\xff hunter2"[..],
            b"A='hunter2",
            b"A=hunter2\0",
            b"\xff\xfeA\0=\0",
        ] {
            let error = DotEnv::parse(text, Path::new(".env")).unwrap_err();
            assert_eq!(error.name(), "bad-dotenv");
            assert!(!format!("{error} {error:?} {}", error.mend()).contains("hunter2"));
        }
    }

    #[test]
    fn secrets_are_told_by_name_and_by_password() {
        let none = Secret::new("x".to_owned());
        for name in [
            "OPENAI_API_KEY",
            "TYPEFORM_API_TOKEN",
            "db_password",
            "DATABASE_URL",
            "SLACK_WEBHOOK_URL",
        ] {
            assert!(looks_secret(name, &none), "{name}");
        }
        for name in [
            "LOG_LEVEL",
            "KEYBOARD",
            "NEXT_PUBLIC_KEY",
            "JWT_PUBLIC_KEY",
            "API_URL",
            "PORT",
        ] {
            assert!(!looks_secret(name, &none), "{name}");
        }
        assert!(looks_secret(
            "UPSTREAM",
            &Secret::new("https://me:hunter2@example.com/x".to_owned())
        ));
        assert!(!looks_secret(
            "UPSTREAM",
            &Secret::new("https://example.com/a:b@c".to_owned())
        ));
    }
}
