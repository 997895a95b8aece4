//! `landfall backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Make a backup now: dumped, encrypted, stored, restored into a scratch instance and compared
    #[command(alias = "create")]
    Now(BackupNow),
    /// List the backups and when the next ones are due
    #[command(alias = "ls")]
    List(BackupList),
    /// Restore a backup into a scratch instance and compare, without changing anything
    #[command(alias = "check")]
    Verify(BackupVerify),
    /// Put a backup in the place of what is there, which is kept; the app stands still meanwhile
    Restore(BackupRestore),
    /// Show the key that backups are encrypted to, and where its private half is
    Key,
}

#[derive(Debug, Args)]
pub struct BackupNow {
    /// Of what: a backing service, or SERVICE.VOLUME; by default everything that the file wants backed up
    #[arg(value_name = "SUBJECT")]
    pub subject: Option<String>,
}

#[derive(Debug, Args)]
pub struct BackupList {
    #[command(flatten)]
    pub from: BackupFrom,
}

#[derive(Debug, Args)]
pub struct BackupVerify {
    /// Which; by default the newest of everything
    #[arg(value_name = "BACKUP")]
    pub id: Option<String>,
}

/// Another store than the app file's.
#[derive(Debug, Args)]
pub struct BackupFrom {
    /// From s3://bucket/prefix or a folder, instead of where the app file says
    #[arg(long, value_name = "URL")]
    pub from: Option<String>,
    /// The S3 server of --from
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub endpoint: Option<String>,
    /// Its region
    #[arg(long, value_name = "NAME", env = "AWS_REGION")]
    pub region: Option<String>,
    #[arg(long, hide = true, env = "AWS_ACCESS_KEY_ID", hide_env_values = true)]
    pub access_key: Option<String>,
    #[arg(
        long,
        hide = true,
        env = "AWS_SECRET_ACCESS_KEY",
        hide_env_values = true
    )]
    pub secret_key: Option<String>,
}

#[derive(Debug, Args)]
pub struct BackupRestore {
    /// Which; by default, and as `latest`, the last verified one
    #[arg(value_name = "BACKUP")]
    pub backup: Option<String>,
    /// Of what; may be left out where only one thing is backed up
    #[arg(value_name = "SUBJECT")]
    pub subject: Option<String>,
    #[command(flatten)]
    pub from: BackupFrom,
    /// A file with a key that opens it: yours, or the one of the machine that made it
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Go on although what is there now can't be dumped first
    #[arg(long)]
    pub without_safety_dump: bool,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
}
