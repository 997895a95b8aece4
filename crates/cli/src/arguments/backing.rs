//! `landfall backing`, and what reaches a backing service.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Backing {
    #[command(subcommand)]
    pub command: Option<BackingCommand>,
}

#[derive(Debug, Subcommand)]
pub enum BackingCommand {
    /// List them: how they are, what they use of their limits; as without a command
    #[command(alias = "ls")]
    List,
    /// Start one again; for a moment nobody can use it
    Restart(BackingRestart),
    /// Move one to another major version: dump, a new one, restore, compare, switch
    Upgrade(BackingUpgrade),
}

#[derive(Debug, Args)]
pub struct BackingRestart {
    /// The backing service
    #[arg(value_name = "NAME")]
    pub backing: String,
}

#[derive(Debug, Args)]
pub struct BackingUpgrade {
    /// The backing service
    #[arg(value_name = "NAME")]
    pub backing: String,
    /// The version; by default what the app file says
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
}

#[derive(Debug, Args)]
pub struct Tunnel {
    /// The backing service
    #[arg(value_name = "NAME")]
    pub backing: String,
    /// The port here; a free one by default
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub port: u16,
    /// Show the URL with its password
    #[arg(long)]
    pub show_password: bool,
}

#[derive(Debug, Args)]
pub struct Psql {
    /// The backing service; may be left out where there is only one PostgreSQL
    #[arg(value_name = "NAME")]
    pub backing: Option<String>,
    /// Write a dump into this file: SQL where it ends in .sql, else for pg_restore; - for SQL to standard output
    #[arg(long, value_name = "FILE", conflicts_with = "arguments")]
    pub dump: Option<PathBuf>,
    /// Further arguments of psql
    #[arg(last = true, value_name = "ARGUMENT")]
    pub arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RedisCli {
    /// The backing service; may be left out where there is only one Redis
    #[arg(value_name = "NAME")]
    pub backing: Option<String>,
    /// Write a snapshot (RDB) into this file; - for standard output
    #[arg(long, value_name = "FILE", conflicts_with = "arguments")]
    pub dump: Option<PathBuf>,
    /// Further arguments of redis-cli
    #[arg(last = true, value_name = "ARGUMENT")]
    pub arguments: Vec<String>,
}
