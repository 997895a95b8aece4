//! `landfall volumes`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Volumes {
    #[command(subcommand)]
    pub command: Option<VolumesCommand>,
}

#[derive(Debug, Subcommand)]
pub enum VolumesCommand {
    /// List the volumes with their sizes, also those that no service uses any more; as without a command
    #[command(alias = "ls")]
    List,
    /// Write what is in a volume as a tar archive
    Export(VolumesExport),
    /// Put what a tar archive holds in the place of all that is in a volume; the app stands still meanwhile
    Import(VolumesImport),
    /// Move a volume's data to another disk, copied and compared; the app stands still meanwhile
    #[command(visible_alias = "mv")]
    Move(VolumesMove),
    /// Remove a volume that no service uses any more
    #[command(visible_alias = "rm")]
    Remove(VolumesRemove),
}

#[derive(Debug, Args)]
pub struct VolumesExport {
    /// The volume: SERVICE.NAME, or its name alone where there is only one of it
    pub volume: String,
    /// The archive; standard output by default
    #[arg(value_name = "FILE")]
    pub archive: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct VolumesImport {
    /// The volume: SERVICE.NAME, or its name alone where there is only one of it
    pub volume: String,
    /// The archive; - is standard input
    #[arg(value_name = "FILE")]
    pub archive: PathBuf,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct VolumesMove {
    /// The volume: SERVICE.NAME, or its name alone where there is only one of it
    pub volume: String,
    /// A folder on the other disk; without it the data comes back into the state folder
    #[arg(long, value_name = "FOLDER")]
    pub to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct VolumesRemove {
    /// The volume: SERVICE.NAME, or its name alone where there is only one of it
    pub volume: String,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
}
