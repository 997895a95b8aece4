//! Other tools' files, read into a `landfall.toml` with the same meaning. Pure: files come by [`Files`],
//! variables are told, and what comes out is text and remarks.
//!
//! A format is one module with one function to an [`Imported`]. A line that has no equal in an app file
//! is never left out in silence: it is a [`Remark`] with its place and what it would have done.

#![forbid(unsafe_code)]

pub mod compose;
pub mod draft;

use std::collections::BTreeMap;

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
