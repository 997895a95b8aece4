//! `landfall secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Set a secret; the value comes from standard input, a file or a prompt, never from an argument
    Set(SecretsSet),
    /// Take over the values of a .env file
    Import(SecretsImport),
    /// Decrypt the values into a file or a pipe: to hand them to another tool
    Export(SecretsExport),
    /// List names: which the app uses, which have a value
    #[command(alias = "ls")]
    List,
    /// Remove a secret
    #[command(visible_alias = "rm", alias = "remove")]
    Unset(SecretsUnset),
    /// Make a key for this user, or a further one for a machine such as CI
    Keygen(SecretsKeygen),
    /// Who can read the secrets
    #[command(subcommand, alias = "recipient")]
    Recipients(Recipients),
}

#[derive(Debug, Args)]
pub struct SecretsSet {
    /// The secret's name
    pub name: String,
    /// Read the value from this file
    #[arg(long, value_name = "PATH")]
    pub from_file: Option<PathBuf>,
    /// Only write it down; the running app keeps the old value until the next deployment
    #[arg(long)]
    pub no_deploy: bool,
}

#[derive(Debug, Args)]
pub struct SecretsImport {
    /// A file of NAME=value lines
    #[arg(default_value = ".env")]
    pub path: PathBuf,
    /// Only write them down; the running app keeps the old values until the next deployment
    #[arg(long)]
    pub no_deploy: bool,
}

#[derive(Debug, Args)]
pub struct SecretsExport {
    /// As lines of a .env file, or as one JSON object
    #[arg(long, value_name = "FORMAT", default_value = "dotenv")]
    pub format: ExportFormat,
    /// Into this file, which only its owner can read, instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only what this service gets
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Print them on a terminal, where everybody can see them
    #[arg(long, conflicts_with = "out")]
    pub show: bool,
}

/// How exported values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// NAME=value lines, quoted where it matters
    Dotenv,
    /// One object: {"NAME": "value"}
    Json,
}

#[derive(Debug, Args)]
pub struct SecretsUnset {
    /// The secret's name
    pub name: String,
    /// Only write it down; the running app keeps its value until the next deployment
    #[arg(long)]
    pub no_deploy: bool,
}

#[derive(Debug, Args)]
pub struct SecretsKeygen {
    /// Write the key here instead, for CI or a second machine
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Recipients {
    /// Let another key read the secrets
    Add {
        /// Whose: a person's or a machine's name
        name: String,
        /// The public key: age1…
        key: String,
    },
    /// List who can read them
    #[command(alias = "ls")]
    List,
    /// Encrypt what comes without this key
    #[command(visible_alias = "rm")]
    Remove {
        /// Whose
        name: String,
    },
}
