//! News of a build, for whoever shows it.

/// News of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// What is done now, in a few words: `installing requirements.txt`.
    Said(String),
    /// A command begins.
    Command(String),
    /// A line of a command's output, masked.
    Line(String),
    /// Something the user should know; a whole sentence.
    Warning(String),
}
