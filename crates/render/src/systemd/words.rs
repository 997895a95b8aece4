//! Words and values as systemd reads them. In a unit `%` begins a specifier, in `Exec…=` lines `$` a variable;
//! quotes and backslashes work as in C.

/// A word of an `Exec…=` line in which nothing is expanded.
pub(super) fn word(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

/// A word in which `${NAME}` of `pieces` is put in at the start: texts and names in turn, a text first.
pub(super) fn word_of(pieces: &[String]) -> String {
    let mut text = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        match at % 2 {
            0 => text.push_str(&piece.replace('$', "$$")),
            _ => {
                text.push_str("${");
                text.push_str(piece);
                text.push('}');
            }
        }
    }
    quoted(&text)
}

/// A line of words in which nothing is expanded.
pub(super) fn line<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = words.into_iter().map(|one| word(one.as_ref())).collect();
    words.join(" ")
}

/// `NAME=value` of `Environment=`, in which only `%` means something. None where systemd refuses the value.
pub(super) fn assignment(name: &str, value: &str) -> Option<String> {
    let held = |character: char| !character.is_control() || matches!(character, '\n' | '\t');
    value
        .chars()
        .all(held)
        .then(|| quoted(&format!("{name}={value}")))
}

fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@+,={}$".contains(&byte);
    let text = text.replace('%', "%%");
    // In front of a line `@`, `-`, `:`, `+` and `!` are for systemd; there stands a path or a name.
    if !text.is_empty() && text.bytes().all(|byte| plain(byte) || byte == b'%') {
        return text;
    }
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if other.is_ascii_control() => {
                out.push_str(&format!("\\x{:02x}", u32::from(other)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Reads a line as systemd.service(5) and systemd.syntax(7) say: words with C's quotes, then specifiers,
    /// then variables.
    fn read(line: &str, variables: &BTreeMap<&str, &str>) -> Vec<String> {
        let mut words = Vec::new();
        let mut letters = line.chars().peekable();
        let mut word: Option<String> = None;
        let mut quote = None;
        while let Some(letter) = letters.next() {
            match (letter, quote) {
                (letter, Some(open)) if letter == open => quote = None,
                ('"' | '\'', None) => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                ('\\', _) => {
                    let escaped = match letters.next().expect("a letter behind a backslash") {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'x' => {
                            let digits: String = letters.by_ref().take(2).collect();
                            char::from(u8::from_str_radix(&digits, 16).unwrap())
                        }
                        other @ ('"' | '\\' | '\'' | ' ') => other,
                        other => panic!("no escape: {other}"),
                    };
                    word.get_or_insert_default().push(escaped);
                }
                (' ' | '\t' | '\n' | '\r', None) => words.extend(word.take()),
                (';', None) if word.is_none() => panic!("another command begins"),
                (other, _) => word.get_or_insert_default().push(other),
            }
        }
        assert_eq!(quote, None, "a quote stays open in {line}");
        words.extend(word);
        words
            .into_iter()
            .map(|word| expanded(&specified(&word), variables))
            .collect()
    }

    fn specified(word: &str) -> String {
        let mut text = String::new();
        let mut letters = word.chars();
        while let Some(letter) = letters.next() {
            if letter == '%' {
                assert_eq!(letters.next(), Some('%'), "a specifier in {word}");
            }
            text.push(letter);
        }
        text
    }

    fn expanded(word: &str, variables: &BTreeMap<&str, &str>) -> String {
        let mut text = String::new();
        let mut rest = word;
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((name, after)) =
                rest.strip_prefix('{').and_then(|it| it.split_once('}'))
            {
                text.push_str(variables[name]);
                rest = after;
            } else {
                panic!("a lone $ in {word}");
            }
        }
        text.push_str(rest);
        text
    }

    proptest! {
        #[test]
        fn systemd_reads_the_words_that_were_meant(words in prop::collection::vec("[^\0]{0,16}", 1..6)) {
            prop_assert_eq!(read(&line(&words), &BTreeMap::new()), words);
        }

        #[test]
        fn letters_with_a_meaning_lose_it(words in prop::collection::vec("[ %$\"'\\\\{};#A\n\t]{0,12}", 1..6)) {
            prop_assert_eq!(read(&line(&words), &BTreeMap::new()), words);
        }

        #[test]
        fn a_variable_is_put_in_between_any_letters(before in "[^\0]{0,8}", after in "[^\0]{0,8}", value in "[^\0]{0,8}") {
            let word = word_of(&[before.clone(), "PORT".to_owned(), after.clone()]);
            let values = BTreeMap::from([("PORT", value.as_str())]);
            prop_assert_eq!(read(&word, &values), [format!("{before}{value}{after}")]);
        }

        #[test]
        fn an_assignment_is_one_word(value in "[^\0]{0,16}") {
            if let Some(text) = assignment("NAME", &value) {
                // Variables aren't expanded here, so a dollar is one dollar.
                let read = read(&text.replace('$', "$$"), &BTreeMap::new());
                prop_assert_eq!(read, [format!("NAME={value}")]);
            }
        }
    }

    #[test]
    fn plain_words_stay_plain() {
        assert_eq!(line(["python", "-m", "agent"]), "python -m agent");
        assert_eq!(
            line(["a b", "", "100%", "$HOME"]),
            "\"a b\" \"\" 100%% $$HOME"
        );
        assert_eq!(assignment("A", "\u{7}"), None);
    }
}
