//! `landfall jobs`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Jobs {
    #[command(subcommand)]
    pub command: Option<JobsCommand>,
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List the jobs: when each runs, how it went last, when it is due next; as without a command
    #[command(alias = "ls")]
    List,
    /// Run a job now and follow what it writes; never twice at once
    Run(JobsRun),
    /// Show the last runs of a job, also those that were skipped or missed
    #[command(visible_alias = "show")]
    History(JobsHistory),
}

#[derive(Debug, Args)]
pub struct JobsRun {
    /// The job's name
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Don't follow it
    #[arg(short, long)]
    pub detach: bool,
}

#[derive(Debug, Args)]
pub struct JobsHistory {
    /// The job's name
    #[arg(value_name = "JOB")]
    pub job: String,
    /// How many of the last; 20 by default
    #[arg(short = 'n', long = "last", value_name = "COUNT")]
    pub last: Option<usize>,
}
