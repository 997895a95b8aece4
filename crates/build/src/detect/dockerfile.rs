//! What a Dockerfile says about the application in it: the last stage's lines.

/// The last stage of a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// The file's name.
    pub file: String,
    /// The base image.
    pub base: Option<String>,
    /// The first port exposed, and its line.
    pub expose: Option<(u16, usize)>,
    /// The user it runs as, and the line.
    pub user: Option<(String, usize)>,
    /// What it runs, and the line.
    pub command: Option<(DockerCommand, usize)>,
    /// Names of variables it sets.
    pub variables: Vec<String>,
}

/// `CMD` or `ENTRYPOINT` with `CMD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerCommand {
    /// Given to a shell.
    Shell(String),
    /// A list of words.
    Exact(Vec<String>),
}

impl Dockerfile {
    /// Reads the text; what isn't understood is passed over.
    pub fn parse(file: &str, text: &str) -> Self {
        let mut found = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        let (mut entrypoint, mut command) = (None, None);
        for (line, instruction, rest) in instructions(text) {
            match instruction.as_str() {
                "FROM" => {
                    (entrypoint, command) = (None, None);
                    let base = rest
                        .split_whitespace()
                        .find(|word| !word.starts_with("--"))
                        .map(str::to_owned);
                    found = Self {
                        file: found.file,
                        base,
                        ..Self::default()
                    };
                }
                "EXPOSE" if found.expose.is_none() => {
                    let port = rest
                        .split_whitespace()
                        .next()
                        .and_then(|port| port.split('/').next()?.parse().ok());
                    found.expose = port.map(|port| (port, line));
                }
                "USER" => found.user = Some((rest.trim().to_owned(), line)),
                "CMD" => command = Some((words(&rest), line)),
                "ENTRYPOINT" => entrypoint = Some((words(&rest), line)),
                "ENV" => found.variables.extend(variables(&rest)),
                _ => {}
            }
        }
        found.command = match (entrypoint, command) {
            (
                Some((DockerCommand::Exact(mut first), line)),
                Some((DockerCommand::Exact(second), _)),
            ) => {
                first.extend(second);
                Some((DockerCommand::Exact(first), line))
            }
            (Some(entrypoint), _) => Some(entrypoint),
            (None, command) => command,
        };
        found
    }

    /// Whether it runs as root.
    pub fn as_root(&self) -> bool {
        self.user
            .as_ref()
            .is_none_or(|(user, _)| matches!(user.split(':').next(), Some("root" | "0")))
    }
}

/// Instructions with the line where each begins; continued lines joined.
fn instructions(text: &str) -> Vec<(usize, String, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') || (line.is_empty() && !continued) {
            continue;
        }
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(line) => (line.trim_end(), true),
            None => (line, false),
        };
        match all.last_mut().filter(|_| continued) {
            Some((_, text)) => {
                text.push(' ');
                text.push_str(line);
            }
            None => all.push((index + 1, line.to_owned())),
        }
        continued = goes_on;
    }
    let split = |(line, text): (usize, String)| {
        let (instruction, rest) = text.split_once(char::is_whitespace)?;
        Some((
            line,
            instruction.to_ascii_uppercase(),
            rest.trim().to_owned(),
        ))
    };
    all.into_iter().filter_map(split).collect()
}

fn words(text: &str) -> DockerCommand {
    match serde_json::from_str(text) {
        Ok(words) => DockerCommand::Exact(words),
        Err(_) => DockerCommand::Shell(text.to_owned()),
    }
}

fn variables(text: &str) -> Vec<String> {
    match text.split_once(char::is_whitespace) {
        Some((name, _)) if !name.contains('=') => vec![name.to_owned()],
        _ => text
            .split_whitespace()
            .filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_counts() {
        let text = "FROM node:20 AS build\nEXPOSE 1\nUSER node\nCMD [\"x\"]\n# said\nFROM --platform=linux/amd64 python:3.13-slim\n\
                    ENV A=1 \\\n    B=2\nENV C 3\nEXPOSE 8000/tcp 9000\nENTRYPOINT [\"uvicorn\"]\nCMD [\"app:app\", \"--port\", \"8000\"]\n";
        let found = Dockerfile::parse("Dockerfile", text);
        assert_eq!(found.base.as_deref(), Some("python:3.13-slim"));
        assert_eq!(found.expose, Some((8000, 10)));
        assert_eq!(found.variables, ["A", "B", "C"]);
        let words = ["uvicorn", "app:app", "--port", "8000"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(found.command, Some((DockerCommand::Exact(words), 11)));
        assert!(found.as_root());
    }

    #[test]
    fn a_command_for_a_shell_and_a_user() {
        let found = Dockerfile::parse(
            "Dockerfile",
            "from x\nuser 1000:1000\ncmd uvicorn a:b --port ${PORT:-8000}",
        );
        assert!(!found.as_root());
        assert_eq!(
            found.command,
            Some((
                DockerCommand::Shell("uvicorn a:b --port ${PORT:-8000}".to_owned()),
                3
            ))
        );
    }
}
