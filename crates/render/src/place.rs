//! What becomes of a file that is there already: what a user added in marked places is taken over,
//! and what was changed elsewhere by hand is never lost without being asked for.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{Comment, Extent, Written};

/// The words that mark a header's digest and a place of the user's.
const DIGEST: &str = "landfall:digest ";
const KEEP: &str = "landfall:keep ";
const END: &str = "landfall:end";

/// A file as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its whole text.
    pub text: String,
    /// What that changes.
    pub change: Change,
}

/// What writing a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is none yet.
    New,
    /// It stands there just so.
    Unchanged,
    /// Something else stands there.
    Changed,
}

/// Why a file is not overwritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It was not written by us.
    #[error("it was not written by landfall")]
    Foreign,
    /// It was written by us, and changed since, outside of the user's places.
    #[error("it was changed by hand since it was written, outside of its `landfall:keep` places")]
    Edited,
    /// A place of the user's that has something in it isn't in the new file any more.
    #[error(
        "its place `landfall:keep {0}` has something in it, and the new file has no such place"
    )]
    Homeless(String),
    /// A place of the user's has no end.
    #[error("its place `landfall:keep {0}` has no `landfall:end`")]
    Unended(String),
}

/// The file as it is to be written over `existing`. `command` is what wrote it, as it is typed. With `force`
/// what somebody else wrote, or changed by hand, is replaced; the user's places are taken over all the same.
///
/// # Errors
/// Where that would lose something.
pub fn place(
    existing: Option<&str>,
    written: &Written,
    command: &str,
    force: bool,
) -> Result<Placed, Problem> {
    if written.extent == Extent::Lines {
        return Ok(lines(
            existing.unwrap_or_default(),
            existing.is_some(),
            written,
        ));
    }
    let fresh = |body: &str| headed(body, written, command);
    let Some(existing) = existing else {
        return Ok(Placed {
            text: fresh(&written.text),
            change: Change::New,
        });
    };
    // A checkout may have given it other line ends.
    let unified = existing.replace("\r\n", "\n");
    if written.comment == Comment::None {
        let text = fresh(&written.text);
        return match signed(&unified) {
            _ if unified == text => Ok(unchanged(existing)),
            _ if force => Ok(changed(text)),
            None => Err(Problem::Foreign),
            Some((noted, body)) if noted != digest(&body) => Err(Problem::Edited),
            Some(_) => Ok(changed(text)),
        };
    }
    let mark = written.comment.mark();
    let (noted, body) = unheaded(&unified, mark);
    let kept = match kept(body, mark) {
        Ok(kept) => kept,
        Err(_) if noted.is_none() && force => BTreeMap::new(),
        Err(problem) => return Err(problem),
    };
    if !force {
        match noted {
            None => return Err(Problem::Foreign),
            Some(noted) if noted != digest(&emptied(body, mark)) => return Err(Problem::Edited),
            Some(_) => {}
        }
    }
    let filled = filled(&written.text, &kept, mark)?;
    let text = fresh(&filled);
    Ok(match text == unified {
        true => unchanged(existing),
        false => changed(text),
    })
}

fn unchanged(existing: &str) -> Placed {
    Placed {
        text: existing.to_owned(),
        change: Change::Unchanged,
    }
}

fn changed(text: String) -> Placed {
    Placed {
        text,
        change: Change::Changed,
    }
}

/// The lines that are missing, at the end of what is there.
fn lines(existing: &str, exists: bool, written: &Written) -> Placed {
    let there: Vec<&str> = existing.lines().map(str::trim).collect();
    let mut missing = written
        .text
        .lines()
        .filter(|line| !line.is_empty() && !there.contains(&line.trim()))
        .peekable();
    if missing.peek().is_none() {
        return unchanged(existing);
    }
    let mut text = existing.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in missing {
        text.push_str(line);
        text.push('\n');
    }
    Placed {
        text,
        change: match exists {
            true => Change::Changed,
            false => Change::New,
        },
    }
}

/// With the header. A first line that must stay the first (`#!`) does.
fn headed(body: &str, written: &Written, command: &str) -> String {
    if written.comment == Comment::None {
        return sign(body, command);
    }
    let mark = written.comment.mark();
    let (first, rest) = match body.starts_with("#!") {
        true => body.split_once('\n').unwrap_or((body, "")),
        false => ("", body),
    };
    let digest = digest(&emptied(body, mark));
    let mut text = String::new();
    if !first.is_empty() {
        text.push_str(first);
        text.push('\n');
    }
    text.push_str(&format!(
        "{mark} Written by `{command}` from landfall.toml: change that, and write this anew.\n"
    ));
    if body.contains(KEEP) {
        text.push_str(&format!(
            "{mark} What stands between `{}` and `{END}` is yours, and stays.\n",
            KEEP.trim_end()
        ));
    }
    text.push_str(&format!("{mark} {DIGEST}{digest}\n"));
    text.push_str(rest);
    text
}

/// The key by which an object of JSON, which has no comments, says how it was made. It is the first, and on a
/// line of its own. Who reads such a file passes over keys that it doesn't know.
const KEY: &str = "  \"landfall\": \"";

/// JSON with that key; anything else stays as it is.
fn sign(body: &str, command: &str) -> String {
    match body.strip_prefix("{\n") {
        Some(rest) if rest != "}\n" => format!(
            "{{\n{KEY}Written by `{command}` from landfall.toml: change that, and write this anew. {DIGEST}{}\",\n{rest}",
            digest(body)
        ),
        _ => body.to_owned(),
    }
}

/// The digest that the key notes, and the object without it.
fn signed(text: &str) -> Option<(&str, String)> {
    let rest = text.strip_prefix("{\n")?;
    let (line, rest) = rest.split_once('\n')?;
    let said = line.strip_prefix(KEY)?.strip_suffix("\",")?;
    let (_, noted) = said.rsplit_once(DIGEST)?;
    Some((noted, format!("{{\n{rest}")))
}

/// The digest that the header notes, and what stands below the header.
fn unheaded<'a>(text: &'a str, mark: &str) -> (Option<&'a str>, &'a str) {
    let begin = format!("{mark} {DIGEST}");
    let mut at = 0;
    for line in text.split_inclusive('\n').take(8) {
        at += line.len();
        if let Some(noted) = line.strip_prefix(&begin) {
            return (Some(noted.trim_end()), &text[at..]);
        }
        if !line.starts_with(mark) && !line.starts_with("#!") {
            break;
        }
    }
    (None, text)
}

fn digest(text: &str) -> String {
    let sum = Sha256::digest(text.as_bytes());
    sum.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Whether a line begins a place of the user's, and which.
fn begins<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let line = line.trim().strip_prefix(mark)?.trim_start();
    line.strip_prefix(KEEP).map(str::trim)
}

fn ends(line: &str, mark: &str) -> bool {
    line.trim()
        .strip_prefix(mark)
        .is_some_and(|rest| rest.trim() == END)
}

/// What stands in the user's places.
fn kept(body: &str, mark: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut kept = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in body.split_inclusive('\n') {
        match &mut open {
            Some((name, _)) if begins(line, mark).is_some() => {
                return Err(Problem::Unended(name.clone()));
            }
            Some((_, inside)) if !ends(line, mark) => inside.push_str(line),
            Some(_) => kept.extend(open.take()),
            None => open = begins(line, mark).map(|name| (name.to_owned(), String::new())),
        }
    }
    match open {
        Some((name, _)) => Err(Problem::Unended(name)),
        None => Ok(kept),
    }
}

/// The text without what stands in the user's places; a header of it is left out, a `#!` line too.
fn emptied(body: &str, mark: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut inside = false;
    for line in body.split_inclusive('\n') {
        if ends(line, mark) {
            inside = false;
        }
        if !inside && !line.starts_with("#!") {
            text.push_str(line);
        }
        if begins(line, mark).is_some() {
            inside = true;
        }
    }
    text
}

/// The text with the user's places filled.
fn filled(body: &str, kept: &BTreeMap<String, String>, mark: &str) -> Result<String, Problem> {
    let mut text = String::with_capacity(body.len());
    let mut homes = Vec::new();
    for line in body.split_inclusive('\n') {
        text.push_str(line);
        if let Some(name) = begins(line, mark) {
            homes.push(name);
            if let Some(inside) = kept.get(name) {
                text.push_str(inside);
            }
        }
    }
    let homeless = kept
        .iter()
        .find(|(name, inside)| !inside.trim().is_empty() && !homes.contains(&name.as_str()));
    match homeless {
        Some((name, _)) => Err(Problem::Homeless(name.clone())),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep;

    fn written(text: &str) -> Written {
        Written {
            path: "x".to_owned(),
            text: text.to_owned(),
            extent: Extent::Whole,
            comment: Comment::Hash,
            executable: false,
        }
    }

    const COMMAND: &str = "landfall render compose";

    fn placed(existing: Option<&str>, text: &str) -> Result<Placed, Problem> {
        place(existing, &written(text), COMMAND, false)
    }

    #[test]
    fn what_was_written_is_written_anew_and_known_again() {
        let first = placed(None, "a: 1\n").unwrap();
        assert_eq!(first.change, Change::New);
        assert!(
            first
                .text
                .starts_with("# Written by `landfall render compose` from landfall.toml")
        );
        assert!(first.text.ends_with("\na: 1\n"));
        assert_eq!(
            placed(Some(&first.text), "a: 1\n").unwrap().change,
            Change::Unchanged
        );
        let windows = first.text.replace('\n', "\r\n");
        assert_eq!(
            placed(Some(&windows), "a: 1\n").unwrap().change,
            Change::Unchanged
        );
        let second = placed(Some(&first.text), "a: 2\n").unwrap();
        assert_eq!(second.change, Change::Changed);
        assert_eq!(
            second,
            Placed {
                text: placed(None, "a: 2\n").unwrap().text,
                change: Change::Changed
            }
        );
    }

    #[test]
    fn what_somebody_else_wrote_or_changed_stays() {
        assert_eq!(placed(Some("a: 1\n"), "a: 2\n"), Err(Problem::Foreign));
        let text = placed(None, "a: 1\nb: 2\n")
            .unwrap()
            .text
            .replace("b: 2", "b: 3");
        assert_eq!(placed(Some(&text), "a: 1\nb: 2\n"), Err(Problem::Edited));
        let forced = place(Some(&text), &written("a: 1\nb: 2\n"), COMMAND, true).unwrap();
        assert!(forced.text.ends_with("a: 1\nb: 2\n"));
    }

    #[test]
    fn the_users_places_are_taken_over() {
        let body = format!("a: 1\n{}b: 2\n", keep("services", 2, Comment::Hash));
        let text = placed(None, &body).unwrap().text;
        let mine = text.replace("  # landfall:end", "  mine: true\n  # landfall:end");
        assert_eq!(
            placed(Some(&mine), &body).unwrap().change,
            Change::Unchanged
        );
        let newer = placed(Some(&mine), &body.replace("b: 2", "b: 3"))
            .unwrap()
            .text;
        assert!(
            newer.contains("keep services\n  mine: true\n  # landfall:end\nb: 3\n"),
            "{newer}"
        );
        assert_eq!(
            placed(Some(&mine), "b: 3\n"),
            Err(Problem::Homeless("services".to_owned()))
        );
        let open = mine.replace("  # landfall:end\n", "");
        assert_eq!(
            placed(Some(&open), &body),
            Err(Problem::Unended("services".to_owned()))
        );
    }

    #[test]
    fn a_program_keeps_its_first_line() {
        let first = placed(None, "#!/bin/sh\ntrue\n").unwrap();
        assert!(
            first.text.starts_with("#!/bin/sh\n# Written by"),
            "{}",
            first.text
        );
        assert_eq!(
            placed(Some(&first.text), "#!/bin/sh\ntrue\n")
                .unwrap()
                .change,
            Change::Unchanged
        );
    }

    #[test]
    fn json_says_how_it_was_made_by_a_key_of_its_own() {
        let object = |value: u32| Written {
            comment: Comment::None,
            ..written(&format!("{{\n  \"a\": {value}\n}}\n"))
        };
        let first = place(None, &object(1), COMMAND, false).unwrap();
        assert!(
            first
                .text
                .starts_with("{\n  \"landfall\": \"Written by `landfall render compose`"),
            "{}",
            first.text
        );
        let read: serde_json::Value = serde_json::from_str(&first.text).unwrap();
        assert_eq!(read["a"], 1);
        let again = |text: &str, value, force| place(Some(text), &object(value), COMMAND, force);
        assert_eq!(
            again(&first.text, 1, false).unwrap().change,
            Change::Unchanged
        );
        let windows = first.text.replace('\n', "\r\n");
        assert_eq!(again(&windows, 1, false).unwrap().change, Change::Unchanged);
        let second = again(&first.text, 2, false).unwrap();
        assert_eq!(second.change, Change::Changed);
        assert_eq!(
            second.text,
            place(None, &object(2), COMMAND, false).unwrap().text
        );
        let edited = first.text.replace("\"a\": 1", "\"a\": 3");
        assert_eq!(again(&edited, 1, false), Err(Problem::Edited));
        assert_eq!(again(&edited, 1, true).unwrap().text, first.text);
        assert_eq!(again("{\n  \"a\": 1\n}\n", 2, false), Err(Problem::Foreign));
        assert_eq!(again("[]", 1, false), Err(Problem::Foreign));
    }

    #[test]
    fn lines_are_only_added() {
        let ignore = Written {
            extent: Extent::Lines,
            ..written(".env\nbackups/\n")
        };
        let placed = place(Some("target\n.env"), &ignore, COMMAND, false).unwrap();
        assert_eq!(placed.text, "target\n.env\nbackups/\n");
        let again = place(Some(&placed.text), &ignore, COMMAND, false).unwrap();
        assert_eq!(again.change, Change::Unchanged);
    }
}
