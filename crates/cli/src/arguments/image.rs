//! `landfall image`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use landfall_app::model::Severity;

#[derive(Debug, Subcommand)]
pub enum Image {
    /// What makes an image large, slow or unsafe: measured, with the mended Dockerfile
    ///
    /// Builds the Dockerfile as it stands and as it would be mended, by your own docker, and compares sizes, times, what
    /// a one-line change rebuilds, the user, and whether TERM ends it. Nothing of it stays on the Engine.
    Advise(ImageAdvise),
}

#[derive(Debug, Args)]
pub struct ImageAdvise {
    /// A Dockerfile, or an image that the Engine has; by default each Dockerfile of the app file
    #[arg(value_name = "DOCKERFILE|IMAGE")]
    pub subject: Option<String>,
    /// Don't build anything: say only what can be seen in the file
    #[arg(long)]
    pub no_build: bool,
    /// Write the mended Dockerfile and .dockerignore over those that stand there, once they were tried
    #[arg(long, conflicts_with = "no_build")]
    pub fix: bool,
    /// The folder that is sent to the builder; the app file's, or the Dockerfile's own, by default
    #[arg(long, value_name = "DIR")]
    pub context: Option<PathBuf>,
    /// Give a build argument; it stays in the history of the image, so nothing secret
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    pub arguments: Vec<String>,
    /// Fail, with 6, where something of this severity or worse is left
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Least>,
}

/// The least severity that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Least {
    Low,
    Medium,
    High,
    Critical,
}

impl From<Least> for Severity {
    fn from(least: Least) -> Self {
        match least {
            Least::Low => Self::Low,
            Least::Medium => Self::Medium,
            Least::High => Self::High,
            Least::Critical => Self::Critical,
        }
    }
}
