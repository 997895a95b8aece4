//! `landfall image`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Image {
    /// What makes an image large, slow or unsafe: measured, with the mended Dockerfile
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
    /// Write the mended Dockerfile over the one that stands there
    #[arg(long, conflicts_with = "no_build")]
    pub fix: bool,
}
