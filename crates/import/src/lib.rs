//! Other tools' files, read into a `landfall.toml` with the same meaning. Pure: files come by [`Files`],
//! variables are told, and what comes out is text and remarks.
//!
//! A format is one module with one function to an [`Imported`]. A line that has no equal in an app file
//! is never left out in silence: it is a [`Remark`] with its place and what it would have done.

#![forbid(unsafe_code)]

pub mod compose;
pub mod draft;
pub mod fly;
pub mod heroku;
pub mod kamal;
pub mod procfile;
pub mod supervisord;
mod tree;

use std::collections::BTreeMap;

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Compose,
    Kamal,
    Fly,
    Heroku,
    Supervisord,
    Procfile,
}

impl Format {
    /// All of them; those that say more about an app stand first.
    pub const ALL: [Self; 6] = [
        Self::Compose,
        Self::Kamal,
        Self::Fly,
        Self::Heroku,
        Self::Supervisord,
        Self::Procfile,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Kamal => "kamal",
            Self::Fly => "fly",
            Self::Heroku => "heroku",
            Self::Supervisord => "supervisord",
            Self::Procfile => "procfile",
        }
    }

    /// The names under which its tool looks for its file; the first that is there is taken.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Compose => &[
                "compose.yaml",
                "compose.yml",
                "docker-compose.yaml",
                "docker-compose.yml",
            ],
            Self::Kamal => &["config/deploy.yml", "config/deploy.yaml"],
            Self::Fly => &["fly.toml"],
            Self::Heroku => &["app.json"],
            Self::Supervisord => &[
                "supervisord.conf",
                "supervisor.conf",
                "etc/supervisord.conf",
                "deploy/supervisord.conf",
                "docker/supervisord.conf",
                "config/supervisord.conf",
            ],
            Self::Procfile => &["Procfile"],
        }
    }
}

/// Reads files of a format into an app file with the same meaning.
///
/// # Errors
/// Where a file isn't there, or isn't what the format allows at all.
pub fn import(format: Format, input: &Input<'_>) -> Result<Imported, Refusal> {
    match format {
        Format::Compose => compose::import(input),
        Format::Kamal => kamal::import(input),
        Format::Fly => fly::import(input),
        Format::Heroku => heroku::import(input),
        Format::Supervisord => supervisord::import(input),
        Format::Procfile => procfile::import(input),
    }
}

/// What is read from.
pub struct Input<'a> {
    /// The files named, relative to the folder of the app file to be, with `/`. Several are merged in
    /// their order where the format has that.
    pub files: &'a [String],
    /// Where they and those that they name are read.
    pub source: &'a dyn Files,
    /// The variables that interpolation sees beside the project's own file of them.
    pub variables: &'a BTreeMap<String, String>,
    /// Profiles asked for, where the format has them.
    pub profiles: &'a [String],
    /// The app's name where the file doesn't give one: the folder's.
    pub name: &'a str,
}

impl Input<'_> {
    /// The text of a file: none where there is none. A mark of the byte order at its beginning is left
    /// out, and Windows' line ends are lines' ends.
    ///
    /// # Errors
    /// Where it can't be read, is too large or isn't UTF-8.
    pub fn text(&self, path: &str) -> Result<Option<String>, Refusal> {
        let refused = |line, message| Refusal {
            name: "bad-import",
            file: path.to_owned(),
            line,
            message,
            mend: None,
        };
        let bytes = self.source.read(path).map_err(|said| refused(0, said))?;
        let Some(bytes) = bytes else { return Ok(None) };
        if bytes.len() > LARGEST {
            return Err(refused(0, "is larger than 16 MiB".to_owned()));
        }
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(refused(1, "is UTF-16; save it as UTF-8".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            refused(line, "is no UTF-8 text from here on".to_owned())
        })?;
        if let Some(at) = text.find('\0') {
            let line = text[..at].matches('\n').count() + 1;
            return Err(refused(
                line,
                "holds a NUL character, so it is no text".to_owned(),
            ));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Ok(Some(text.replace("\r\n", "\n")))
    }

    /// The text of the file that was named, which must be there.
    ///
    /// # Errors
    /// As [`Self::text`], and where it isn't there or none was named.
    pub fn named_text(&self) -> Result<(String, String), Refusal> {
        let missing = |file: &str| Refusal {
            name: "no-such-file",
            file: file.to_owned(),
            line: 0,
            message: "there is no such file".to_owned(),
            mend: None,
        };
        let file = self.files.first().ok_or_else(|| missing(""))?;
        let text = self.text(file)?.ok_or_else(|| missing(file))?;
        Ok((file.clone(), text))
    }
}

/// Where files are read.
pub trait Files {
    /// A file's content: none where there is no such file. At most [`LARGEST`] bytes are asked for.
    ///
    /// # Errors
    /// Where it is there and can't be read, or is larger.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String>;
}

/// No file that people write is larger (16 MiB); one that is isn't read.
pub const LARGEST: usize = 16 << 20;

/// Files in memory, for tests.
impl Files for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.get(path.trim_start_matches("./")).cloned())
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// The whole `landfall.toml`; it is read without an error.
    pub text: String,
    /// What has no equal, or another one than its writer may expect, in the order of the files.
    pub remarks: Vec<Remark>,
    /// Names of secrets whose values stood in the files in the clear, or in files of variables.
    pub secrets: Vec<String>,
}

impl Imported {
    /// Whether everything has its equal.
    pub fn clean(&self) -> bool {
        !self
            .remarks
            .iter()
            .any(|remark| matches!(remark.kind, RemarkKind::Lost | RemarkKind::Changed))
    }
}

/// Something to be said about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What kind of.
    pub kind: RemarkKind,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key as a path: `services.web.ipc`.
    pub key: String,
    /// What it would have done and what becomes of it, as a sentence without its full stop.
    pub said: String,
}

/// Kinds of remarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemarkKind {
    /// It has no equal and is left out.
    Lost,
    /// It has an equal that does not do quite the same.
    Changed,
    /// A secret in plain text: the value is not taken over, its name is.
    PlainSecret,
    /// It is taken care of in another way; nothing is lost.
    Note,
}

/// Collects remarks about one file.
#[derive(Debug)]
pub struct Remarks<'a> {
    /// The file.
    pub file: &'a str,
    /// What was said so far.
    pub list: Vec<Remark>,
}

impl<'a> Remarks<'a> {
    /// None yet, about a file.
    pub fn of(file: &'a str) -> Self {
        Self {
            file,
            list: Vec::new(),
        }
    }

    fn add(
        &mut self,
        kind: RemarkKind,
        line: usize,
        key: impl Into<String>,
        said: impl Into<String>,
    ) {
        self.list.push(Remark {
            kind,
            file: self.file.to_owned(),
            line,
            key: key.into(),
            said: said.into(),
        });
    }

    /// Something that has no equal.
    pub fn lost(&mut self, line: usize, key: impl Into<String>, said: impl Into<String>) {
        self.add(RemarkKind::Lost, line, key, said);
    }

    /// Something that becomes a little different.
    pub fn changed(&mut self, line: usize, key: impl Into<String>, said: impl Into<String>) {
        self.add(RemarkKind::Changed, line, key, said);
    }

    /// Something that is taken care of in another way.
    pub fn note(&mut self, line: usize, key: impl Into<String>, said: impl Into<String>) {
        self.add(RemarkKind::Note, line, key, said);
    }

    /// A secret in the clear.
    pub fn secret(&mut self, line: usize, key: impl Into<String>, name: &str) {
        let said = format!(
            "{name} stands here in plain text; only its name was taken over: set its value by `landfall secrets set {name}`, and change it where it is in use, since the file's history keeps it"
        );
        self.add(RemarkKind::PlainSecret, line, key, said);
    }
}

/// Why a file can't be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct Refusal {
    /// The failure's stable name, as `landfall explain` knows it.
    pub name: &'static str,
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where it is the file as a whole.
    pub line: usize,
    /// What and why.
    pub message: String,
    /// What to do about it.
    pub mend: Option<String>,
}
