//! What must be known of a Dockerfile besides what docker does with it: at which line an instruction
//! stands, whether it needs BuildKit, and what it is built upon.

use std::collections::{BTreeMap, BTreeSet};

/// An instruction, continued lines joined, each run of white space as one space.
struct Instruction {
    line: usize,
    text: String,
}

/// The line of an instruction, as a builder prints it. Of several that are the same it can't be said
/// which is meant, and the first is as good as any.
pub fn line_of(dockerfile: &str, printed: &str) -> Option<usize> {
    let printed = plain(printed);
    let found = instructions(dockerfile);
    let mut found = found.iter();
    found
        .find(|instruction| instruction.text.eq_ignore_ascii_case(&printed))
        .map(|instruction| instruction.line)
}

/// The first line that the builder from before BuildKit can't do, and what it is.
pub fn needs_buildkit(dockerfile: &str) -> Option<(usize, &'static str)> {
    instructions(dockerfile)
        .into_iter()
        .find_map(|instruction| {
            let mut words = instruction.text.split(' ');
            let keyword = words.next()?.to_ascii_uppercase();
            let option = words
                .take_while(|word| word.starts_with("--"))
                .find_map(|word| {
                    let name = word.split('=').next()?;
                    match (keyword.as_str(), name) {
                        ("RUN", "--mount") => Some("RUN --mount"),
                        ("RUN", "--network") => Some("RUN --network"),
                        ("RUN", "--security") => Some("RUN --security"),
                        ("COPY" | "ADD", "--link") => Some("COPY --link"),
                        ("COPY" | "ADD", "--chmod") => Some("COPY --chmod"),
                        _ => None,
                    }
                });
            let here = matches!(keyword.as_str(), "RUN" | "COPY" | "ADD")
                && is_here_document(&instruction.text);
            option
                .or(here.then_some("a here-document"))
                .map(|what| (instruction.line, what))
        })
}

/// `RUN <<EOF`: a marker at the end of the line.
fn is_here_document(text: &str) -> bool {
    text.split(' ').any(|word| {
        let marker = word
            .strip_prefix("<<")
            .map(|rest| rest.trim_start_matches('-'));
        let marker = marker.map(|marker| marker.trim_matches(['"', '\'']));
        marker.is_some_and(|marker| {
            !marker.is_empty()
                && marker
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    })
}

/// The images that a Dockerfile is built upon or copies from, in their order, each once: stages of its
/// own aren't among them, nor is what can't be known before the build.
pub fn bases(dockerfile: &str, arguments: &BTreeMap<String, String>) -> Vec<String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: BTreeSet<String> = BTreeSet::from(["scratch".to_owned()]);
    let mut seen = BTreeSet::new();
    let mut bases = Vec::new();
    let mut is_first = true;
    for instruction in instructions(dockerfile) {
        let mut words = instruction.text.split(' ');
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        let named = match keyword.as_str() {
            // Arguments count for FROM only where they stand before the first one.
            "ARG" if is_first => {
                for word in words {
                    let (name, value) = match word.split_once('=') {
                        Some((name, value)) => (name, Some(value.trim_matches(['"', '\'']))),
                        None => (word, None),
                    };
                    let given = arguments.get(name).map(String::as_str);
                    if let Some(value) = given.or(value) {
                        let value = filled(value, &known).unwrap_or_default();
                        known.insert(name.to_owned(), value);
                    }
                }
                continue;
            }
            "FROM" => {
                is_first = false;
                let mut words = words.filter(|word| !word.starts_with("--"));
                let named = words.next().and_then(|word| filled(word, &known));
                let own = named.filter(|name| !stages.contains(&name.to_ascii_lowercase()));
                stages.extend(words.nth(1).map(str::to_ascii_lowercase));
                own
            }
            "COPY" => words
                .take_while(|word| word.starts_with("--"))
                .find_map(|word| word.strip_prefix("--from="))
                .filter(|name| !name.contains('$') && name.parse::<usize>().is_err())
                .filter(|name| !stages.contains(&name.to_ascii_lowercase()))
                .map(str::to_owned),
            _ => None,
        };
        if let Some(named) = named.filter(|named| !named.is_empty())
            && seen.insert(named.clone())
        {
            bases.push(named);
        }
    }
    bases
}

/// A text with `$NAME` and `${NAME}` filled in; none where one isn't known.
fn filled(text: &str, known: &BTreeMap<String, String>) -> Option<String> {
    let mut parts = text.split('$');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = match part.strip_prefix('{') {
            Some(part) => part.split_once('}')?,
            None => {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                let end = part.bytes().position(|byte| !is_name(byte));
                part.split_at(end.unwrap_or(part.len()))
            }
        };
        whole.push_str(known.get(name)?);
        whole.push_str(rest);
    }
    Some(whole)
}

/// Each run of white space as one space.
pub fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut all: Vec<Instruction> = Vec::new();
    let mut continued = false;
    for (index, line) in dockerfile.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match all.last_mut().filter(|_| continued) {
            Some(instruction) => instruction.text = plain(&format!("{} {line}", instruction.text)),
            None => all.push(Instruction {
                line: index + 1,
                text: plain(line),
            }),
        }
        continued = goes_on;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# syntax=docker/dockerfile:1\nFROM busybox AS base\n\nRUN echo a && \\\n    # said\n    echo b\n\
                        copy a.txt   /a.txt\nRUN false\n";

    #[test]
    fn an_instruction_is_found_by_what_is_printed() {
        assert_eq!(line_of(TEXT, "RUN echo a &&     echo b"), Some(4));
        assert_eq!(line_of(TEXT, "COPY a.txt /a.txt"), Some(7));
        assert_eq!(line_of(TEXT, "RUN false"), Some(8));
        assert_eq!(line_of(TEXT, "RUN true"), None);
    }

    #[test]
    fn what_it_is_built_upon_is_known_before() {
        let text = "ARG PYTHON=3.13 BASE=\"python:${PYTHON}-slim\"\nARG SUPERVISE=landfall-supervise:0.1.0\n\
                    FROM $BASE AS Build\nARG BASE=none\nFROM ${SUPERVISE} AS supervise\nfrom --platform=linux/amd64 $BASE\n\
                    COPY --from=supervise /a /b\nCOPY --chown=1 --from=busybox:1 /a /b\nCOPY --from=0 /c /c\n\
                    FROM scratch\nFROM build\nFROM ${UNKNOWN}x\n";
        let none = BTreeMap::new();
        assert_eq!(
            bases(text, &none),
            ["python:3.13-slim", "landfall-supervise:0.1.0", "busybox:1"]
        );
        let given = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(
            bases(text, &given("SUPERVISE", "own:1")),
            ["python:3.13-slim", "own:1", "busybox:1"]
        );
        // What no ARG declares isn't given.
        assert_eq!(bases(text, &given("UNKNOWN", "a")).len(), 3);
    }

    #[test]
    fn what_needs_buildkit_is_known_before() {
        assert_eq!(needs_buildkit(TEXT), None);
        for (text, line, what) in [
            (
                "FROM a\nRUN --mount=type=secret,id=x cat /run/secrets/x",
                2,
                "RUN --mount",
            ),
            ("FROM a\nCOPY --from=b --link x /x", 2, "COPY --link"),
            ("FROM a\nRUN <<EOF\necho\nEOF", 2, "a here-document"),
        ] {
            assert_eq!(needs_buildkit(text), Some((line, what)), "{text}");
        }
        assert_eq!(needs_buildkit("FROM a\nRUN echo $((1<<4)) --mount"), None);
    }
}
