//! The same app as other tools' files. Pure: what stands in the repository comes by [`Project`], and what
//! is written is given back as text.
//!
//! A format is one module with one function from [`Input`] to [`Rendered`]. What a file of that format
//! can't say is never left out in silence: it is a [`Note`].

#![forbid(unsafe_code)]

mod compose;
mod dockerfile;
mod dokku;
mod github;
mod place;
mod shell;
mod supervisord;
mod systemd;
#[cfg(test)]
mod testing;
mod variables;

use landfall_app::App;

pub use place::{Change, Placed, Problem, place};

/// What can be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A Dockerfile and a `.dockerignore` for each service that is built.
    Dockerfile,
    /// A compose file, and what belongs to it.
    Compose,
    /// Workflows of GitHub Actions.
    Github,
    /// `app.json`, a Procfile, and the commands that set a Dokku server up.
    Dokku,
    /// Units, for who wants no host.
    Systemd,
    /// A supervisord.conf for each service of several processes.
    Supervisord,
}

impl Format {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 6] = [
        Self::Dockerfile,
        Self::Compose,
        Self::Github,
        Self::Dokku,
        Self::Systemd,
        Self::Supervisord,
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dockerfile => "dockerfile",
            Self::Compose => "compose",
            Self::Github => "github",
            Self::Dokku => "dokku",
            Self::Systemd => "systemd",
            Self::Supervisord => "supervisord",
        }
    }
}

/// The app as files of a format.
///
/// # Errors
/// Where the format can't say the app at all.
pub fn render(format: Format, input: &Input<'_>) -> Result<Rendered, Refusal> {
    match format {
        Format::Dockerfile => dockerfile::render(input),
        Format::Compose => compose::render(input),
        Format::Github => github::render(input),
        Format::Dokku => dokku::render(input),
        Format::Systemd => systemd::render(input),
        Format::Supervisord => supervisord::render(input),
    }
}

/// What is rendered from.
pub struct Input<'a> {
    /// The app in the environment asked for.
    pub app: &'a App,
    /// The app in every environment, `local` first; for formats that hold several (workflows).
    pub environments: &'a [App],
    /// What stands in the repository.
    pub project: &'a dyn Project,
    /// The version of Landfall that writes.
    pub version: &'a str,
}

/// What stands in the user's repository. Paths are relative to the app file's folder, with `/`.
pub trait Project {
    /// The content of a file, if there is one and it is no larger than a megabyte.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
    /// Names in a folder, sorted; folders end with `/`. Empty where there is no such folder.
    fn list(&self, path: &str) -> Vec<String>;
    /// The content of a file as text.
    fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(self.read(path)?).ok()
    }
    /// Whether there is such a file.
    fn has(&self, path: &str) -> bool {
        self.read(path).is_some()
    }
}

/// A repository in memory, for tests and for what was read already.
impl Project for std::collections::BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.get(path.trim_start_matches("./")).cloned()
    }

    fn list(&self, path: &str) -> Vec<String> {
        let path = path.trim_start_matches("./").trim_matches('/');
        let prefix = match path {
            "" | "." => String::new(),
            path => format!("{path}/"),
        };
        let mut names: Vec<String> = self
            .range(prefix.clone()..)
            .map_while(|(key, _)| key.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => rest.to_owned(),
            })
            .collect();
        names.dedup();
        names
    }
}

/// What a format makes of an app.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    /// The files, in the order in which they are told.
    pub files: Vec<Written>,
    /// What the app file says and these files can't.
    pub notes: Vec<Note>,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Where: relative to the app file's folder, with `/`.
    pub path: String,
    /// Its whole text, without the header that says how it was made, which [`place`] adds. Places that
    /// are the user's are marked, see [`keep`].
    pub text: String,
    /// Whether it is the whole file, or lines that a file of the user's must have.
    pub extent: Extent,
    /// How comments look in it.
    pub comment: Comment,
    /// Whether it is a program.
    pub executable: bool,
}

/// How much of a file is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it but the user's places.
    Whole,
    /// Lines of a list such as `.gitignore`: those that are missing are put at its end.
    Lines,
}

/// How a file's comments look, and with that how it says that it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment {
    /// `# …`, in a line of its own.
    Hash,
    /// `; …`
    Semicolon,
    /// The format has none (JSON): an object says it by a key of its own, `landfall`, and has no places of the
    /// user's. What isn't an object is only replaced when that is asked for.
    None,
}

/// Something that the app file says and a rendered file can't, or says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The setting, as `landfall config` names it: `service.web.observe`.
    pub setting: String,
    /// What becomes of it here, as a sentence without its full stop.
    pub said: String,
}

/// Why a format can't be written at all. Becomes a failure of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The failure's stable name, as `landfall explain` knows it.
    pub name: &'static str,
    /// What, where and why.
    pub message: String,
    /// What to do about it.
    pub mend: Option<String>,
}

/// A place of the user's in a written file: what stands between its two lines is taken over from the file
/// that is there. `indent` spaces stand before both.
pub fn keep(name: &str, indent: usize, comment: Comment) -> String {
    let (mark, space) = (comment.mark(), " ".repeat(indent));
    format!("{space}{mark} landfall:keep {name}\n{space}{mark} landfall:end\n")
}

impl Comment {
    /// What begins a comment.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Hash | Self::None => "#",
            Self::Semicolon => ";",
        }
    }
}
