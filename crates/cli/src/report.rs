//! The one place that turns any error into what people read, and into the exit code.

use std::{fmt::Write as _, io::ErrorKind};

use anstyle::{AnsiColor, Style};
use landfall_api::ClientError;
use landfall_release::Failure;

use crate::{environment::EnvironmentError, exit::Exit, output::Output};

/// Why a command ends other than well.
#[derive(Debug)]
pub struct Error {
    /// What happened; none where everything was said already.
    pub failure: Option<Box<Failure>>,
    /// What is printed as it stands before it: diagnostics with their source lines.
    pub text: Option<String>,
    /// What is printed after it: what serves now, what helps.
    pub after: Option<String>,
    /// How the command ends.
    pub exit: Exit,
}

/// What commands answer.
pub type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    /// An error by its name.
    pub fn new(name: &str, message: impl Into<String>) -> Self {
        Failure::new(name, message).into()
    }

    /// With a further piece of evidence.
    #[must_use]
    pub fn with(mut self, label: &str, text: impl Into<String>) -> Self {
        self.failure = self
            .failure
            .map(|failure| Box::new(failure.with(label, text)));
        self
    }

    /// With what can be done.
    #[must_use]
    pub fn mend(self, text: impl Into<String>) -> Self {
        self.with("mend", text)
    }

    /// Everything was said already.
    pub fn said(exit: Exit) -> Self {
        Self {
            failure: None,
            text: None,
            after: None,
            exit,
        }
    }

    /// A file or folder that the system doesn't let us have.
    pub fn file(path: &std::path::Path, what: &str, error: &std::io::Error) -> Self {
        Self::new(
            "file-unusable",
            format!("{what} {}: {error}", path.display()),
        )
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let exit = Exit::of(&failure);
        Self {
            failure: Some(Box::new(failure)),
            text: None,
            after: None,
            exit,
        }
    }
}

impl From<EnvironmentError> for Error {
    fn from(error: EnvironmentError) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new("bad-variable", error.to_string())
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(failure) => (*failure).into(),
            ClientError::Unreachable { path, source } => {
                let socket = match source.kind() {
                    // No socket, or one that nobody holds: that no host runs is said already.
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                        path.display().to_string()
                    }
                    _ => format!("{}: {source}", path.display()),
                };
                Self::new("no-host", "no host runs on this machine for you")
                    .with("its socket", socket)
                    .mend("landfall host start, or landfall up, which starts one itself")
            }
            error @ ClientError::Broken(_) => Self::new("host-failed", error.to_string())
                .mend("landfall host status; what was begun goes on"),
            ClientError::Unreadable(said) => Self::new(
                "host-failed",
                "the host answered what this command can't read",
            )
            .with("said", said)
            .mend("are both of one version? landfall version, landfall host status"),
        }
    }
}

impl From<&clap::Error> for Error {
    fn from(error: &clap::Error) -> Self {
        use clap::error::ErrorKind;
        let text = error.to_string();
        // What follows, usage and where to find help, is for people.
        let message = match error.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                "a command is missing".to_owned()
            }
            _ => {
                let first = text.split("\n\n").next().unwrap_or_default();
                let lines: Vec<&str> = first.lines().map(str::trim).collect();
                lines.join(" ").trim_start_matches("error: ").to_owned()
            }
        };
        Self::new("bad-arguments", message).mend("landfall help, or landfall help COMMAND")
    }
}

impl From<landfall_secrets::Error> for Error {
    fn from(error: landfall_secrets::Error) -> Self {
        Self::new(error.name(), error.to_string()).mend(error.mend())
    }
}

impl From<landfall_build::BuildError> for Error {
    fn from(error: landfall_build::BuildError) -> Self {
        error.failure().into()
    }
}

/// Prints an error: on standard error, or as the last line of JSON.
pub fn report(output: &Output, error: &Error) {
    if output.json() {
        if let Some(failure) = &error.failure {
            output.data(
                "error",
                &serde_json::json!({ "exit-code": error.exit as u8, "failure": failure }),
            );
        }
        return;
    }
    let mut text = String::new();
    if let Some(before) = &error.text {
        text.push_str(before);
    }
    if let Some(failure) = &error.failure {
        text.push_str(&render(failure, output.error_colour()));
    }
    if let Some(after) = &error.after {
        let _ = writeln!(text, "{after}");
    }
    output.error(&text);
}

/// A failure as people read it: the message, and each piece of evidence beside its label.
pub fn render(failure: &Failure, colour: bool) -> String {
    let red = if colour {
        AnsiColor::Red.on_default().bold()
    } else {
        Style::new()
    };
    let dim = if colour {
        Style::new().dimmed()
    } else {
        Style::new()
    };
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{red}error[{}]{red:#}: {}",
        failure.name,
        clean(&failure.message)
    );
    let width = failure
        .details
        .iter()
        .map(|detail| detail.label.chars().count())
        .max()
        .unwrap_or(0)
        .max(14);
    for detail in &failure.details {
        let detail_text = clean(&detail.text);
        let mut lines = detail_text.lines();
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(text, "  {dim}{:<width$}{dim:#}  {first}", detail.label);
        for line in lines {
            let _ = writeln!(text, "  {:<width$}  {line}", "");
        }
    }
    text
}

/// Words of other programs may hold control characters, which a terminal would obey.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' => clean.push(character),
            // A colour sequence goes as a whole, so that no `[31m` stays of it.
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            character if character.is_control() => {}
            character => clean.push(character),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_with_its_evidence() {
        let failure = Failure::new("wrong-port", "api listens on 3000, expected 8000")
            .with("its last words", "one\n\u{1b}[31mtwo\u{1b}[0m\u{7}")
            .with("mend", "use --port $PORT");
        insta::assert_snapshot!(render(&failure, false), @r"
        error[wrong-port]: api listens on 3000, expected 8000
          its last words  one
                          two
          mend            use --port $PORT
        ");
    }

    #[test]
    fn a_command_line_that_cant_be_read() {
        let read = |words: &[&str]| {
            let error = <crate::arguments::Arguments as clap::Parser>::try_parse_from(words)
                .expect_err("a mistake");
            Error::from(&error)
        };
        let error = read(&["landfall", "status", "--json", "--nosuch"]);
        let failure = error.failure.expect("it has a name");
        assert_eq!(failure.name, "bad-arguments");
        assert_eq!(failure.message, "unexpected argument '--nosuch' found");
        assert_eq!(error.exit, Exit::Usage);
        let failure = read(&["landfall", "run", "--json"]).failure.unwrap();
        assert!(failure.message.contains("CMD"), "{}", failure.message);
        let failure = read(&["landfall", "--json"]).failure.unwrap();
        assert_eq!(failure.message, "a command is missing");
        let failure = read(&["landfall", "host"]).failure.unwrap();
        assert_eq!(failure.message, "a command is missing");
    }

    #[test]
    fn names_decide_the_exit_code() {
        assert_eq!(Error::new("locked", "x").exit, Exit::Locked);
        assert_eq!(Error::new("crashed", "x").exit, Exit::Failed);
        assert_eq!(Error::new("missing-secret", "x").exit, Exit::Refused);
    }
}
