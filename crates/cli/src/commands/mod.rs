//! One file for each command, or for those that are alike.

mod backing;
mod backup;
pub mod change;
mod check;
mod config;
mod deploy;
mod deployments;
mod down;
mod edge;
mod events;
mod execute;
mod explain;
mod host;
mod image;
mod import;
mod init;
mod jobs;
mod logs;
mod open;
mod plan;
mod psql;
mod redis;
mod render;
mod rollback;
mod secrets;
mod shell;
mod status;
mod tunnel;
mod up;
mod version;
mod volumes;

use crate::{arguments::Command, context::Context, report::Result};

/// Runs a command.
pub fn run(context: &Context, command: Command) -> Result {
    match command {
        Command::Init(arguments) => init::run(context, &arguments),
        Command::Check => check::run(context),
        Command::Backing(arguments) => backing::run(context, &arguments),
        Command::Tunnel(arguments) => tunnel::run(context, &arguments),
        Command::Psql(arguments) => psql::run(context, arguments),
        Command::RedisCli(arguments) => redis::run(context, arguments),
        Command::Volumes(arguments) => volumes::run(context, &arguments),
        Command::Backup(command) => backup::run(context, &command),
        Command::Jobs(arguments) => jobs::run(context, &arguments),
        Command::Config(arguments) => config::run(context, &arguments),
        Command::Plan(arguments) => plan::run(context, &arguments),
        Command::Up(arguments) => up::run(context, &arguments),
        Command::Deploy(arguments) => deploy::run(context, &arguments),
        Command::Status => status::run(context),
        Command::Releases => deployments::releases(context),
        Command::Deployments(arguments) => deployments::run(context, &arguments),
        Command::Events(arguments) => events::run(context, &arguments),
        Command::Open(arguments) => open::run(context, &arguments),
        Command::Logs(arguments) => logs::run(context, &arguments),
        Command::Rollback(arguments) => rollback::run(context, &arguments),
        Command::Restart => change::restart(context),
        Command::Stop => change::stop(context),
        Command::Start => change::start(context),
        Command::Scale(arguments) => change::scale(context, &arguments),
        Command::Run(arguments) => execute::run(context, arguments),
        Command::Exec(arguments) => execute::exec(context, arguments),
        Command::Secrets(command) => secrets::run(context, command),
        Command::Render(arguments) => render::run(context, &arguments),
        Command::Import(arguments) => import::run(context, &arguments),
        Command::Image(command) => image::run(context, &command),
        Command::Down(arguments) => down::run(context, &arguments),
        Command::Host(command) => host::run(context, &command),
        Command::Edge(arguments) => edge::run(&arguments),
        Command::Explain(arguments) => explain::run(context, &arguments),
        Command::Completions(arguments) => shell::completions(context, &arguments),
        Command::Man(arguments) => shell::man(context, &arguments),
        Command::Version => version::run(context),
    }
}
