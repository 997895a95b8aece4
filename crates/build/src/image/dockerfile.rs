//! What must be known of a Dockerfile besides what docker does with it: at which line an instruction
//! stands, and whether it needs BuildKit.

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
