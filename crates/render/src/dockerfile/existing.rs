//! What a Dockerfile that stands there already says: taken over where the app file says nothing.

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// What its last stage executes: ENTRYPOINT and CMD as one.
    pub command: Option<Vec<String>>,
    /// The port that it exposes.
    pub port: Option<u16>,
    /// Bases that it names, arguments filled in: `python:3.12-slim`.
    pub bases: Vec<String>,
    /// Whether somebody else's RUN is in it, which what is written here doesn't have.
    pub runs: bool,
}

impl Existing {
    /// Reads a Dockerfile, up to the end of a stage, or to its own end.
    pub fn read(text: &str, stage: Option<&str>) -> Self {
        let mut found = Self::default();
        let (mut entrypoint, mut command): (Option<Vec<String>>, Option<Vec<String>>) =
            (None, None);
        let mut arguments: Vec<(String, String)> = Vec::new();
        let mut at_stage = false;
        for line in instructions(text) {
            let (word, rest) = line
                .split_once(char::is_whitespace)
                .unwrap_or((line.as_str(), ""));
            let rest = rest.trim();
            match word.to_ascii_uppercase().as_str() {
                "ARG" => {
                    if let Some((name, value)) = rest.split_once('=') {
                        arguments.push((name.to_owned(), value.trim_matches('"').to_owned()));
                    }
                }
                "FROM" => {
                    if at_stage {
                        break;
                    }
                    (entrypoint, command, found.port) = (None, None, None);
                    let mut words = rest.split_whitespace().filter(|it| !it.starts_with("--"));
                    let mut base = words.next().unwrap_or_default().to_owned();
                    for (name, value) in arguments.iter().rev() {
                        base = base.replace(&format!("${{{name}}}"), value);
                        if base.strip_prefix('$') == Some(name) {
                            base.clone_from(value);
                        }
                    }
                    found.bases.push(base);
                    let name = words.nth(1);
                    at_stage = stage.is_some() && name == stage;
                }
                "RUN" => found.runs = true,
                "ENTRYPOINT" => (entrypoint, command) = (Some(list(rest)), None),
                "CMD" => command = Some(list(rest)),
                "EXPOSE" => {
                    let first = rest.split_whitespace().next().unwrap_or_default();
                    found.port = first.split('/').next().and_then(|port| port.parse().ok());
                }
                _ => {}
            }
        }
        found.runs &= !text.contains("landfall:digest");
        let mut words = entrypoint.unwrap_or_default();
        words.extend(command.unwrap_or_default());
        // That of several processes comes from the app file alone.
        let ours = words.first().map(String::as_str) == Some(super::several::PROGRAM);
        found.command = Some(words).filter(|words| !words.is_empty() && !ours);
        found
    }

    /// The version in the tag of a base: `3.12` of `python:3.12-slim`.
    pub fn version(&self, name: &str) -> Option<String> {
        self.bases.iter().find_map(|base| {
            let base = base.split('@').next().unwrap_or_default();
            let (path, tag) = base.rsplit_once(':')?;
            let last = path.rsplit('/').next()?;
            let version = tag.split('-').next()?;
            let numbers = version.split('.').all(|part| {
                !part.is_empty() && part.len() < 6 && part.bytes().all(|byte| byte.is_ascii_digit())
            });
            (last == name && numbers).then(|| version.to_owned())
        })
    }
}

/// A list of words, in JSON or for a shell.
fn list(text: &str) -> Vec<String> {
    if let Ok(words) = serde_json::from_str::<Vec<String>>(text) {
        return words;
    }
    let shell = text
        .bytes()
        .any(|byte| b"&|;<>()`$\"'\\*?#~=".contains(&byte));
    if shell {
        return ["sh", "-c", text].map(str::to_owned).to_vec();
    }
    text.split_whitespace().map(str::to_owned).collect()
}

/// Instructions, continued lines joined.
fn instructions(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match all.last_mut().filter(|_| continued) {
            Some(whole) => {
                whole.push(' ');
                whole.push_str(part);
            }
            None => all.push(part.to_owned()),
        }
        continued = goes_on;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Vec<String> {
        Existing::read(text, None).command.unwrap_or_default()
    }

    #[test]
    fn the_last_stage_counts_and_its_entrypoint_stands_in_front() {
        let text = "FROM a AS x\nCMD [\"no\"]\nFROM b\nENTRYPOINT [\"tini\", \"--\"]\nCMD [\"app\"]\nEXPOSE 5000/tcp\n";
        assert_eq!(command(text), ["tini", "--", "app"]);
        let named = Existing::read(text, Some("x"));
        assert_eq!(
            (named.command, named.port),
            (Some(vec!["no".to_owned()]), None)
        );
        assert_eq!(Existing::read(text, None).port, Some(5000));
    }

    #[test]
    fn steps_are_seen_where_somebody_else_wrote_them() {
        assert!(Existing::read("FROM a\nRUN pip install flask\nCMD x", None).runs);
        for text in [
            "FROM a\nCMD x",
            "# landfall:digest 0123\nFROM a\nRUN pip install flask",
        ] {
            assert!(!Existing::read(text, None).runs, "{text}");
        }
    }

    #[test]
    fn the_forms_of_a_command() {
        assert_eq!(
            command("FROM a\nCMD python -m app"),
            ["python", "-m", "app"]
        );
        assert_eq!(
            command("FROM a\ncmd python \\\n  # said\n  x --port $PORT"),
            ["sh", "-c", "python x --port $PORT"]
        );
        assert_eq!(command("FROM a"), [""; 0]);
        let ours = "FROM a\nCMD [\"landfall-supervise\", \"run\", \"/x\"]";
        assert_eq!(command(ours), [""; 0]);
    }

    #[test]
    fn versions_stand_in_tags_also_where_arguments_name_them() {
        let text = "ARG PYTHON=python:3.12-slim\nFROM ${PYTHON} AS a\nFROM docker.io/library/node:22.3.1-alpine@sha256:00\n";
        let found = Existing::read(text, None);
        assert_eq!(found.version("python").as_deref(), Some("3.12"));
        assert_eq!(found.version("node").as_deref(), Some("22.3.1"));
        assert_eq!(Existing::read("FROM python", None).version("python"), None);
        assert_eq!(
            Existing::read("FROM python:latest", None).version("python"),
            None
        );
    }
}
