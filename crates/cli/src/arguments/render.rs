//! `landfall render`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct Render {
    /// What to write; with --check or --diff and without one, all that stands there already
    #[arg(value_name = "FORMAT", required_unless_present_any = ["check", "diff"])]
    pub formats: Vec<RenderFormat>,
    /// Write into this folder instead of the app file's
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write nothing; fail where a file is missing or stale, for CI
    #[arg(long)]
    pub check: bool,
    /// Write nothing; show what would change, line by line
    #[arg(long)]
    pub diff: bool,
    /// Replace also what somebody else wrote, or changed by hand; `landfall:keep` places stay
    #[arg(long, conflicts_with_all = ["check", "diff"])]
    pub force: bool,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RenderFormat {
    /// A Dockerfile and a .dockerignore for each service that is built
    Dockerfile,
    /// A compose file, and what belongs to it
    Compose,
    /// Workflows of GitHub Actions
    Github,
    /// app.json, a Procfile, and the commands that set a Dokku server up
    Dokku,
    /// Units, for who wants no host
    Systemd,
    /// A supervisord.conf for each service of several processes
    Supervisord,
}

impl From<RenderFormat> for landfall_render::Format {
    fn from(format: RenderFormat) -> Self {
        match format {
            RenderFormat::Dockerfile => Self::Dockerfile,
            RenderFormat::Compose => Self::Compose,
            RenderFormat::Github => Self::Github,
            RenderFormat::Dokku => Self::Dokku,
            RenderFormat::Systemd => Self::Systemd,
            RenderFormat::Supervisord => Self::Supervisord,
        }
    }
}
