//! What can go wrong on the way from sources to an artifact, by name, and how it is mended.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use landfall_release::Failure;

use crate::image::ImageError;

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A command of the build failed.
    #[error("the build of {service} fails: `{command}` {exit} after {:.1}s", .took.as_secs_f64())]
    Failed {
        /// The service.
        service: String,
        /// The command, as it could be typed.
        command: String,
        /// `exited with 1`, `was ended by signal 9`.
        exit: String,
        /// How long it ran.
        took: Duration,
        /// The last lines of its output, masked.
        last: Vec<String>,
    },
    /// A program that the build needs isn't there.
    #[error("{service} needs {tool}, which is not installed")]
    ToolMissing {
        /// The service.
        service: String,
        /// The program.
        tool: String,
        /// How it is installed on Debian and Ubuntu.
        install: &'static str,
    },
    /// Asked to stop.
    #[error("the build was stopped")]
    Cancelled,
    /// git refuses.
    #[error("the sources can't be read from git: `git {command}` says: {said}")]
    Git {
        /// The subcommand.
        command: String,
        /// Its last words.
        said: String,
    },
    /// Submodules that aren't checked out.
    #[error("submodules are not checked out: {}", .0.join(", "))]
    SubmodulesMissing(Vec<String>),
    /// Files whose content is elsewhere.
    #[error("files are pointers of Git LFS, their content is not here: {}", .0.join(", "))]
    LfsPointers(Vec<String>),
    /// The service's root isn't there.
    #[error("there is no folder {root} for {service}, or nothing in it that git does not ignore")]
    NoRoot {
        /// The service.
        service: String,
        /// Its root, as the file says.
        root: String,
    },
    /// The build didn't make what it should.
    #[error("the build of {service} makes no folder {output}")]
    NoOutput {
        /// The service.
        service: String,
        /// What should be there.
        output: String,
    },
    /// A path leads out of the repository.
    #[error("{0} leads out of the folder of the app")]
    Outside(String),
    /// A file that the app file names isn't there.
    #[error("there is no file {0}, or git ignores it")]
    NoSuchFile(String),
    /// Something about an image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file changed while it was read.
    #[error("{} changes while it is read", .0.display())]
    Changing(PathBuf),
    /// The operating system refuses.
    #[error("{} can't be {action}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, …
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl BuildError {
    /// The error's stable name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Failed { .. } => "build-failed",
            Self::ToolMissing { .. } => "tool-missing",
            Self::Cancelled => "cancelled",
            Self::Git { .. } => "git-failed",
            Self::SubmodulesMissing(_) => "submodule-missing",
            Self::LfsPointers(_) => "lfs-pointers",
            Self::NoRoot { .. } => "no-such-root",
            Self::NoOutput { .. } => "no-build-output",
            Self::Outside(_) => "outside-of-app",
            Self::NoSuchFile(_) => "no-such-file",
            Self::Image(error) => error.name(),
            Self::Changing(_) => "source-changing",
            Self::File { .. } => "file-unusable",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn mend(&self) -> Option<String> {
        Some(match self {
            Self::Failed { .. } => "see its last words; the same command in the service's folder should fail in the same way".to_owned(),
            Self::ToolMissing { install, .. } => (*install).to_owned(),
            Self::Cancelled => return None,
            Self::Git { said, .. } if said.contains("dubious ownership") => {
                "the repository belongs to another user: git config --global --add safe.directory FOLDER".to_owned()
            }
            Self::Git { .. } => "see that `git status` works in the app's folder".to_owned(),
            Self::SubmodulesMissing(_) => "git submodule update --init --recursive".to_owned(),
            Self::LfsPointers(_) => "git lfs pull".to_owned(),
            Self::NoRoot { .. } => "put right `root` in landfall.toml; an empty folder needs a file in it".to_owned(),
            Self::NoOutput { .. } => "put right `output` or `static` in landfall.toml, or the build".to_owned(),
            Self::Outside(_) => "keep `root`, `output`, `cache` and `files` below the folder of landfall.toml".to_owned(),
            Self::NoSuchFile(_) => "put right `files` in landfall.toml: paths are relative to its folder".to_owned(),
            Self::Image(error) => return error.mend(),
            Self::Changing(_) => "try again once nothing writes there".to_owned(),
            Self::File { .. } => "see to its owner, its mode and the free space".to_owned(),
        })
    }

    /// The same as it is shown and kept.
    #[must_use]
    pub fn failure(&self) -> Failure {
        if let Self::Image(error) = self {
            return error.failure();
        }
        let mut failure = Failure::new(self.name(), self.to_string());
        if let Self::Failed { last, .. } = self
            && !last.is_empty()
        {
            failure = failure.with("its last words", last.join("\n"));
        }
        match self.mend() {
            Some(mend) => failure.with("mend", mend),
            None => failure,
        }
    }

    pub(crate) fn file(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            path,
            action,
            source,
        }
    }
}
