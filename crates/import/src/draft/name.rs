//! Names that fit: DNS labels, each given once.

use std::collections::{BTreeMap, BTreeSet};

/// The longest name, as `landfall_app::Name` has it.
const LONGEST: usize = 63;

/// Names given so far in one place: of all services, of all processes of a service, …
#[derive(Debug, Clone, Default)]
pub struct Names {
    given: BTreeSet<String>,
    /// How often a name was asked for, so that the next free number isn't looked for from the start.
    asked: BTreeMap<String, usize>,
}

/// A name that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// A valid name that nobody else has.
    pub name: String,
    /// Whether it is another text than the one asked for.
    pub changed: bool,
}

impl Names {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name as near to this one as possible, not given before: letters in lower case, what is neither
    /// letter nor digit as `-`, at most 63 characters, with `-2`, `-3`, … where it is taken. Where
    /// nothing of the text can stay, `otherwise` is taken, which must be valid.
    pub fn give(&mut self, text: &str, otherwise: &str) -> Given {
        let fitting = fitting(text, otherwise);
        let mut name = fitting.clone();
        let count = self.asked.entry(fitting.clone()).or_insert(0);
        while self.given.contains(&name) || *count == 0 {
            *count += 1;
            if *count > 1 {
                let number = format!("-{count}");
                let kept = fitting.len().min(LONGEST - number.len());
                name = format!("{}{number}", fitting[..kept].trim_end_matches('-'));
            }
        }
        self.given.insert(name.clone());
        Given {
            changed: name != text,
            name,
        }
    }
}

fn fitting(text: &str, otherwise: &str) -> String {
    let mut name = String::new();
    for character in text.chars() {
        let character = character.to_ascii_lowercase();
        match character {
            'a'..='z' => name.push(character),
            '0'..='9' if !name.is_empty() => name.push(character),
            // A name begins with a letter: what stands before the first one goes, a number stays behind one.
            '0'..='9' => name.extend(['n', character]),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
        if name.len() >= LONGEST {
            break;
        }
    }
    name.truncate(LONGEST);
    match name.trim_end_matches('-') {
        "" => otherwise.to_owned(),
        name => name.to_owned(),
    }
}

/// Whether a variable of the environment can have this name: letters, digits and `_`, not beginning with
/// a digit.
pub fn is_variable(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(first)
        && text
            .bytes()
            .all(|byte| first(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_stays() {
        let given = Names::new().give("web-1", "app");
        assert_eq!((given.name.as_str(), given.changed), ("web-1", false));
    }

    #[test]
    fn others_are_made_to_fit_and_said_to_be_changed() {
        for (text, expected) in [
            ("Web_Server", "web-server"),
            ("1st app.", "n1st-app"),
            ("日本", "app"),
            ("", "app"),
            ("-a--b-", "a-b"),
        ] {
            let given = Names::new().give(text, "app");
            assert_eq!(
                (given.name.as_str(), given.changed),
                (expected, true),
                "{text}"
            );
        }
    }

    #[test]
    fn two_that_become_one_get_a_number() {
        let mut names = Names::new();
        let given: Vec<_> = ["a_b", "a-b", "a.b", "a-b-2"]
            .iter()
            .map(|text| names.give(text, "app").name)
            .collect();
        assert_eq!(given, ["a-b", "a-b-2", "a-b-3", "a-b-2-2"]);
    }

    #[test]
    fn a_long_one_is_cut_and_keeps_its_number() {
        let mut names = Names::new();
        let long = "x".repeat(80);
        assert_eq!(names.give(&long, "app").name, "x".repeat(63));
        assert_eq!(
            names.give(&long, "app").name,
            format!("{}-2", "x".repeat(61))
        );
    }
}
