//! `landfall import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct Import {
    /// What kind of file it is
    #[arg(value_name = "FORMAT")]
    pub format: ImportFormat,
    /// The file; by default the one that has that tool's own name here. Several are merged, where the tool does that
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A profile that counts as chosen; repeatable
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// Only print what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// compose.yaml, docker-compose.yml
    Compose,
    /// Procfile
    Procfile,
    /// supervisord.conf
    Supervisord,
    /// Kamal's config/deploy.yml
    Kamal,
    /// fly.toml
    Fly,
    /// Heroku's app.json, with the Procfile beside it
    Heroku,
}
