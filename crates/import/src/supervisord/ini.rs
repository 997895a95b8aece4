//! The file's form: what Python's `configparser` makes of it with supervisord's settings.

use std::collections::BTreeMap;

use crate::Refusal;

/// A section and its keys.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// What stands between the brackets: `program:web`.
    pub name: String,
    /// The file that it begins in.
    pub file: String,
    /// The line of its head, from 1.
    pub line: usize,
    /// Its keys in lower case, in the order in which they stand there first.
    pub keys: Vec<Key>,
    /// Where each stands among them.
    places: BTreeMap<String, usize>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key in lower case.
    pub key: String,
    /// The value without comments; lines that belong to it are joined by line ends.
    pub value: String,
    /// The line, from 1.
    pub line: usize,
}

impl Section {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Key> {
        self.places.get(key).map(|place| &self.keys[*place])
    }
}

/// Reads a file into the sections known so far: a section that stands twice is one, and of a key that
/// stands twice the last counts.
///
/// # Errors
/// Where a line is neither a section's head nor a key.
pub fn read(text: &str, file: &str, sections: &mut Vec<Section>) -> Result<(), Refusal> {
    let refused = |line, message: String| Refusal {
        name: "bad-import",
        file: file.to_owned(),
        line,
        message,
        mend: None,
    };
    // The section, the key's place in it and how far it is indented.
    let mut section: Option<usize> = None;
    let mut key: Option<(usize, usize)> = None;
    let mut known: BTreeMap<String, usize> = sections
        .iter()
        .enumerate()
        .map(|(index, section)| (section.name.clone(), index))
        .collect();
    for (index, line) in text.lines().enumerate() {
        let trimmed = without_comment(line).trim();
        if trimmed.is_empty() {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if let (Some(at), Some((place, before))) = (section, key)
            && indent > before
        {
            let value = &mut sections[at].keys[place].value;
            if !value.is_empty() {
                value.push('\n');
            }
            value.push_str(trimmed);
            continue;
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| Some(rest.split_once(']')?.0))
        {
            let name = name.trim().to_owned();
            let at = *known.entry(name.clone()).or_insert_with(|| {
                sections.push(Section {
                    name,
                    file: file.to_owned(),
                    line: index + 1,
                    ..Section::default()
                });
                sections.len() - 1
            });
            (section, key) = (Some(at), None);
            continue;
        }
        let Some(at) = section else {
            return Err(refused(
                index + 1,
                "stands in no section; a supervisord.conf begins with one, [supervisord] or [program:NAME]".to_owned(),
            ));
        };
        let Some(delimiter) = trimmed.find(['=', ':']) else {
            return Err(refused(
                index + 1,
                "is neither a section's head nor `key=value`; supervisord doesn't read it either"
                    .to_owned(),
            ));
        };
        let name = trimmed[..delimiter].trim().to_ascii_lowercase();
        let found = Key {
            value: trimmed[delimiter + 1..].trim().to_owned(),
            line: index + 1,
            key: name,
        };
        let Section { keys, places, .. } = &mut sections[at];
        let next = keys.len();
        let place = *places.entry(found.key.clone()).or_insert(next);
        match keys.get_mut(place) {
            Some(known) => *known = found,
            None => keys.push(found),
        }
        key = Some((place, indent));
    }
    Ok(())
}

/// A line up to its comment: `;` or `#` at its beginning or behind white space.
fn without_comment(line: &str) -> &str {
    let end = line
        .char_indices()
        .find(|(at, c)| {
            matches!(c, ';' | '#') && (*at == 0 || line[..*at].ends_with(char::is_whitespace))
        })
        .map_or(line.len(), |(at, _)| at);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, key: &str) -> String {
        let mut sections = Vec::new();
        read(text, "x", &mut sections).unwrap();
        sections[0].get(key).unwrap().value.clone()
    }

    #[test]
    fn comments_begin_at_a_line_or_behind_white_space() {
        assert_eq!(value("[a]\nb=c ; d", "b"), "c");
        assert_eq!(value("[a]\nb=c;d#e", "b"), "c;d#e");
        assert_eq!(value("; x\n[a]\n  # y\nB: c # d", "b"), "c");
    }

    #[test]
    fn lines_that_stand_further_in_belong_to_the_value() {
        assert_eq!(
            value("[a]\nb=c,\n  d=e\n\n  ; x\n  f\ng=h", "b"),
            "c,\nd=e\nf"
        );
    }

    #[test]
    fn what_stands_twice_is_one_and_the_last_counts() {
        assert_eq!(value("[a]\nb=1\n[c]\nd=e\n[a]\nb=2", "b"), "2");
    }

    #[test]
    fn other_lines_are_refused_with_their_number() {
        let mut sections = Vec::new();
        assert_eq!(read("[a]\nb\n", "x", &mut sections).unwrap_err().line, 2);
        assert_eq!(read("b=c\n", "x", &mut sections).unwrap_err().line, 1);
    }
}
