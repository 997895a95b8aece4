//! The command line as types. The doc comments are the help text, the completions, the man pages
//! and `docs/commands.md`.

mod backing;
mod backup;
mod image;
mod import;
mod jobs;
mod render;
mod secrets;
mod volumes;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use backing::{Backing, BackingCommand, BackingUpgrade, Psql, RedisCli, Tunnel};
pub use backup::{Backup, BackupFrom, BackupRestore};
pub use image::{Image, ImageAdvise};
pub use import::{Import, ImportFormat};
pub use jobs::{Jobs, JobsCommand, JobsHistory, JobsRun};
pub use render::Render;
pub use secrets::{
    ExportFormat, Recipients, Secrets, SecretsExport, SecretsImport, SecretsKeygen, SecretsSet,
};
pub use volumes::{
    Volumes, VolumesCommand, VolumesExport, VolumesImport, VolumesMove, VolumesRemove,
};

/// One file describes an application; landfall gets it running, proven healthy, observable and reversible.
#[derive(Debug, Parser)]
#[command(
    name = "landfall",
    version,
    propagate_version = false,
    max_term_width = 100
)]
#[command(arg_required_else_help = true)]
#[command(
    after_help = "New here? `landfall init` writes an app file, `landfall up` runs it.\n\
                        `landfall explain NAME` says more about an error by its name."
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The environment; `local` is always there
    #[arg(short, long, global = true, value_name = "NAME")]
    pub environment: Option<String>,
    /// The app file; by default landfall.toml here or in a folder above
    #[arg(long, global = true, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Print data as JSON: {"version": 1, "kind": …, "data": …}, one object in each line
    #[arg(long, global = true)]
    pub json: bool,
    /// Colours; NO_COLOR is heeded too
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub color: Color,
    /// Say only what went wrong, and the data asked for
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Also into a pipe
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a landfall.toml from what stands in this folder
    Init(Init),
    /// Find every error of the app file at once, in all environments
    #[command(visible_alias = "validate", alias = "lint")]
    Check,
    /// Show the resolved app file: every default, and where each value comes from
    Config(Config),
    /// Show what `deploy` would change, and why
    #[command(alias = "diff")]
    Plan(Plan),
    /// Run the app on this machine and follow its logs; Ctrl-C stops it
    #[command(alias = "dev")]
    Up(Up),
    /// Make a release and make it live; undone by itself if it fails
    #[command(alias = "ship")]
    Deploy(Deploy),
    /// Show how the app is: processes, health, load, release
    #[command(visible_alias = "ps")]
    Status,
    /// List the releases
    Releases,
    /// List the deployments, or show one with all its steps
    #[command(alias = "history")]
    Deployments(Deployments),
    /// Show what happened, event by event
    Events(Events),
    /// Show the app's address, and open it in a browser
    Open(Open),
    /// Show the app's logs
    #[command(alias = "log")]
    Logs(Logs),
    /// Make an earlier release live again, whole: code, configuration and secrets
    Rollback(Rollback),
    /// Replace all processes by new ones of the same release, without interruption
    Restart,
    /// Stop the app; `start` brings it back as it was
    Stop,
    /// Start the app again after `stop`
    Start,
    /// Change how many replicas of a service run
    Scale(Scale),
    /// Run a command once, in the live release and with the environment of a service
    Run(Run),
    /// Run a command beside a running process, with that process's own environment
    Exec(Exec),
    /// List the backing services, start one again, or move one to another version
    #[command(alias = "backings")]
    Backing(Backing),
    /// Give a backing service a port of this machine's loopback, until Ctrl-C
    Tunnel(Tunnel),
    /// A shell in a PostgreSQL, or a dump of it; nothing needs to be installed here
    Psql(Psql),
    /// A shell in a Redis, or a dump of it; nothing needs to be installed here
    RedisCli(RedisCli),
    /// Show what runs on a schedule, what ran, and run it by hand
    #[command(alias = "job")]
    Jobs(Jobs),
    /// Back up databases and volumes, verified by restoring them; put a backup back
    #[command(alias = "backups", subcommand)]
    Backup(Backup),
    /// Show the kept folders of services, copy them out and in, move them
    #[command(alias = "volume")]
    Volumes(Volumes),
    /// Keep secrets: encrypted in a file that is safe to commit
    #[command(alias = "secret", subcommand)]
    Secrets(Secrets),
    /// Write the app as other tools' files: Dockerfile, compose, workflows, units
    Render(Render),
    /// Read other tools' files into a landfall.toml
    Import(Import),
    /// Look into images: what makes them large, slow or unsafe
    #[command(alias = "images", subcommand)]
    Image(Image),
    /// Take the app off this machine
    #[command(visible_alias = "destroy", aliases = ["remove", "rm"])]
    Down(Down),
    /// The host: the program that looks after the apps of this machine
    #[command(alias = "daemon", subcommand)]
    Host(Host),
    /// The reverse proxy; started by the host
    #[command(hide = true)]
    Edge(Edge),
    /// Explain an error by its name; without a name, list all of them
    Explain(Explain),
    /// Print a completion script for a shell
    #[command(alias = "completion")]
    Completions(Completions),
    /// Print the manual page, or write the pages of all commands into a folder
    Man(Man),
    /// Show the version; with --json, those of the protocols too
    Version,
}

#[derive(Debug, Args)]
pub struct Init {
    /// Only print what would be written
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Config {
    /// Print the JSON Schema of the app file, for editors
    #[arg(long, conflicts_with = "environment")]
    pub schema: bool,
}

#[derive(Debug, Args)]
pub struct Plan {
    /// The environment, as with -e
    #[arg(value_name = "ENVIRONMENT")]
    pub place: Option<String>,
    /// As if this image were deployed in place of what the service is made of; repeatable
    #[arg(long = "image", value_name = "SERVICE=REFERENCE", value_parser = image)]
    pub given: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct Up {
    /// Leave it running and give the terminal back
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub images: Images,
}

/// What is said about images; the same for `deploy` and `up`.
#[derive(Debug, Args)]
pub struct Images {
    /// Deploy this image in place of what the service is made of; repeatable
    #[arg(long = "image", value_name = "SERVICE=REFERENCE", value_parser = image)]
    pub given: Vec<(String, String)>,
    /// Look for newer images: those named in the file, and those that builds begin from
    #[arg(long)]
    pub pull: bool,
    /// Publish what is built where the file says `push`; without it `local` doesn't
    #[arg(long, overrides_with = "no_push")]
    pub push: bool,
    /// Don't publish what is built
    #[arg(long, overrides_with = "push")]
    pub no_push: bool,
}

#[derive(Debug, Args)]
pub struct Deploy {
    /// The environment, as with -e
    #[arg(value_name = "ENVIRONMENT")]
    pub place: Option<String>,
    /// Deploy uncommitted changes elsewhere than to `local`
    #[arg(long)]
    pub allow_dirty: bool,
    #[command(flatten)]
    pub images: Images,
}

#[derive(Debug, Args)]
pub struct Deployments {
    /// The deployment's number
    #[arg(value_name = "ID", value_parser = deployment)]
    pub number: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Events {
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Only those after this sequence number
    #[arg(
        long,
        value_name = "SEQUENCE",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub after: u64,
    /// How many of the last
    #[arg(short = 'n', long = "last", value_name = "COUNT")]
    pub last: Option<usize>,
    /// Those of all apps, and of the host itself
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct Open {
    /// The service; by default the first that has an address
    pub service: Option<String>,
}

#[derive(Debug, Args)]
pub struct Logs {
    /// Only this service, or this process
    pub service: Option<String>,
    /// Only this process
    #[arg(short, long, value_name = "NAME")]
    pub process: Option<String>,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// From here on: 2h, 30m, 12:04, 2026-01-31T12:04:00
    #[arg(short, long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to here
    #[arg(short, long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only lines with this text in them, upper and lower case as given
    #[arg(short, long, value_name = "TEXT")]
    pub grep: Option<String>,
    /// How many of the last; by default 100, and all with --since, --until or --grep
    #[arg(
        short = 'n',
        long = "last",
        visible_alias = "tail",
        value_name = "COUNT"
    )]
    pub last: Option<usize>,
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// The release; by default the one that was live before
    #[arg(value_parser = release)]
    pub release: Option<u64>,
    /// Take back everything but the secrets
    #[arg(long)]
    pub keep_secrets: bool,
}

#[derive(Debug, Args)]
pub struct Scale {
    /// How many of which: web=3
    #[arg(required = true, value_name = "SERVICE=COUNT", value_parser = replicas)]
    pub replicas: Vec<(String, u32)>,
}

/// Whether a command line that can't be read asks for JSON all the same: what follows `--` is not ours.
pub fn ask_for_json(words: impl IntoIterator<Item = OsString>) -> bool {
    words
        .into_iter()
        .take_while(|word| word != "--")
        .any(|word| word == "--json")
}

/// Reads a release's number.
fn release(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a release is a number, such as 3")
}

/// Reads a deployment's number.
fn deployment(text: &str) -> Result<u64, &'static str> {
    text.parse()
        .map_err(|_| "a deployment is a number, such as 3")
}

/// Reads `web=ghcr.io/acme/shop:1`.
fn image(text: &str) -> Result<(String, String), &'static str> {
    text.split_once('=')
        .map(|(service, reference)| (service.trim().to_owned(), reference.trim().to_owned()))
        .filter(|(service, reference)| !service.is_empty() && !reference.is_empty())
        .ok_or("expected SERVICE=REFERENCE, such as web=ghcr.io/acme/shop:1")
}

/// Reads `web=3`.
fn replicas(text: &str) -> Result<(String, u32), String> {
    let (service, count) = text
        .split_once('=')
        .ok_or("expected SERVICE=COUNT, such as web=3")?;
    let count = count
        .parse()
        .map_err(|_| format!("`{count}` is not a number of replicas"))?;
    Ok((service.to_owned(), count))
}

#[derive(Debug, Args)]
pub struct Run {
    /// The service; may be left out where there is only one
    pub service: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Exec {
    /// The service; may be left out where there is only one
    pub service: Option<String>,
    /// With this process's environment; by default that of the process that listens
    #[arg(short, long, value_name = "NAME")]
    pub process: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Down {
    /// Remove its releases, logs, volumes and secrets on this machine too
    #[arg(long)]
    pub purge: bool,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum Host {
    /// Run the host in the foreground
    Run(HostRun),
    /// Start the host in the background; after a reboot this brings back what ran
    Start,
    /// Stop the host; the apps run on unless --stop-apps
    Stop {
        /// Stop all apps first
        #[arg(long, conflicts_with = "keep_apps")]
        stop_apps: bool,
        /// Leave the apps running, which is the default
        #[arg(long)]
        keep_apps: bool,
    },
    /// Show the host and what it looks after
    Status,
    /// Join standard input and output to the host's socket; for `ssh`
    Connect,
}

#[derive(Debug, Args)]
pub struct HostRun {
    /// End once no app is left
    #[arg(long, hide = true)]
    pub leave_with_last_app: bool,
    /// Leave the terminal's session
    #[arg(long, hide = true)]
    pub detached: bool,
}

#[derive(Debug, Args)]
pub struct Edge {
    /// Its folder: routes, control socket, lock
    #[arg(long)]
    pub folder: PathBuf,
    /// The shared HTTP address
    #[arg(long)]
    pub http: std::net::SocketAddr,
    /// Worker threads; one for each core by default
    #[arg(long)]
    pub threads: Option<usize>,
    /// The control socket of its supervisor, which holds the listening sockets
    #[arg(long)]
    pub supervisor: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The error's name, such as wrong-port
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// The folder
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
