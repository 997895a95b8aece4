//! `landfall backing`: databases and caches of the app, and the way to a client of theirs.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use landfall_api::{
    Client, path,
    wire::backing::{
        BackingClient, BackingClientQuery, BackingStatus, UpgradeBacking, UpgradedBacking,
    },
};

use crate::{
    app_file,
    arguments::{Backing, BackingCommand, BackingUpgrade},
    context::{Context, Place},
    exit::Exit,
    host,
    report::{Error, Result},
    view::{backing, plain},
};

pub fn run(context: &Context, arguments: &Backing) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let (client, _) = host::again(context).await?;
        match &arguments.command {
            None | Some(BackingCommand::List) => list(context, &client, &place).await,
            Some(BackingCommand::Restart(arguments)) => {
                let name = &arguments.backing;
                let path = place.path(&format!("backing/{}/restart", path::encode(name)));
                client.post::<()>(&path, &()).await?;
                context.output.say(format!("{name} was started again."));
                Ok(())
            }
            Some(BackingCommand::Upgrade(arguments)) => {
                upgrade(context, &client, &place, arguments).await
            }
        }
    })
}

async fn list(context: &Context, client: &Client, place: &Place) -> Result {
    let all = all(client, place).await?;
    if context.output.json() {
        context.output.data("backing", &all);
    } else if all.is_empty() {
        context
            .output
            .say("No backing services: a database is a [backing.NAME] of the app file.");
    } else {
        context.output.print(&backing::table(&all));
        for line in backing::remarks(&all) {
            context.output.print(&line);
        }
    }
    Ok(())
}

async fn upgrade(
    context: &Context,
    client: &Client,
    place: &Place,
    arguments: &BackingUpgrade,
) -> Result {
    let name = &arguments.backing;
    let file = app_file::read(context)?;
    let resolved = file.resolve(context, &place.environment)?;
    let wanted = resolved.app.backing.get(name.as_str());
    let asked = UpgradeBacking {
        to: arguments
            .to
            .clone()
            .or_else(|| wanted.and_then(|wanted| wanted.version.clone())),
        runtime: wanted.map(|wanted| wanted.runtime),
        by: context.environment.by(),
    };
    context.output.say(format!(
        "Upgrading {name}: the app waits until its data is moved and compared."
    ));
    let path = place.path(&format!("backing/{}/upgrade", path::encode(name)));
    let done: UpgradedBacking = client.post(&path, &asked).await?;
    if context.output.json() {
        context.output.data("upgraded", &done);
    }
    context.output.say(format!(
        "{name} went from {} to {}: {} compared, {} in all; nobody could use it for {}.",
        done.from,
        done.to,
        plain::counted(done.compared as usize, "table"),
        plain::counted(usize::try_from(done.rows).unwrap_or(usize::MAX), "row"),
        plain::took(done.downtime),
    ));
    if done.moved {
        context.output.say(format!(
            "It has another address now: landfall deploy{} gives it to the app.",
            place.flag()
        ));
    }
    let written = wanted.and_then(|wanted| wanted.version.as_deref());
    if written.is_some_and(|written| !done.to.starts_with(written)) {
        context.output.say(format!(
            "The app file still says {}: set version = \"{}\", or the next deployment is refused.",
            written.unwrap_or_default(),
            done.to
        ));
    }
    context.output.say(format!(
        "The data before is kept in {0}; once nobody needs it: rm -r {0}",
        done.kept.display()
    ));
    Ok(())
}

/// All of an environment.
pub async fn all(client: &Client, place: &Place) -> Result<Vec<BackingStatus>> {
    Ok(client.get(&place.path("backing")).await?)
}

/// What a client of one is executed with; of the only one of a kind where none is named.
pub async fn client(
    client: &Client,
    place: &Place,
    name: Option<&str>,
    kind: Option<&str>,
    execute: bool,
) -> Result<(String, BackingClient)> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => only(&all(client, place).await?, kind)?,
    };
    let path = place.path(&format!("backing/{}/client", path::encode(&name)));
    let query = BackingClientQuery { execute };
    let found: BackingClient = client.get(&path::query(&path, &query)).await?;
    match kind {
        Some(kind) if found.kind != kind => Err(Error::new(
            "unknown-backing",
            format!("{name} is no {kind}, it is {}", found.kind),
        )),
        _ => Ok((name, found)),
    }
}

fn only(all: &[BackingStatus], kind: Option<&str>) -> Result<String> {
    let named = all.iter().filter(|backing| backing.named);
    let names: Vec<&str> = named
        .filter(|backing| kind.is_none_or(|kind| backing.kind == kind))
        .map(|backing| backing.name.as_str())
        .collect();
    let kind = kind.unwrap_or("backing service");
    match names.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err(Error::new(
            "unknown-backing",
            format!("the app has no {kind} that was brought up"),
        )
        .mend("landfall deploy brings up what the app file names")),
        names => Err(
            Error::new("unknown-backing", "which one is meant is not clear")
                .with("known", names.join(", ")),
        ),
    }
}

/// A program that talks to a backing service: in its container, or that of its own packages, or one
/// on the user's path for somebody else's.
pub fn program(
    client: &BackingClient,
    name: &str,
    arguments: &[String],
    terminal: bool,
) -> Command {
    if let Some(container) = &client.container {
        let mut command = Command::new("docker");
        command.args(["exec", if terminal { "-it" } else { "-i" }, container]);
        command.args(&client.execution).arg(name).args(arguments);
        return command;
    }
    let path = match &client.programs {
        Some(folder) => folder.join(name),
        None => PathBuf::from(name),
    };
    let mut command = Command::new(path);
    command.args(arguments).envs(&client.environment);
    command
}

/// Executes a program in this process's place.
pub fn execute(mut command: Command) -> Result {
    let error = command.exec();
    Err(Error {
        exit: Exit::Ours,
        ..not_executed(&command, &error)
    })
}

fn not_executed(command: &Command, error: &std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    Error::new("not-executed", format!("can't execute {program}: {error}"))
}

/// Writes what a program says into a file, whole or not at all; `-` is standard output.
pub fn dump(context: &Context, mut command: Command, file: &Path) -> Result {
    if file.as_os_str() == "-" {
        return execute(command);
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = file.with_file_name(name);
    let failed = |error: std::io::Error| Error::file(&temporary, "can't write", &error);
    let output = private(&temporary).map_err(failed)?;
    command.stdin(Stdio::null()).stdout(output);
    let status = command
        .status()
        .map_err(|error| not_executed(&command, &error));
    let done = status.and_then(|status| match status.success() {
        true => std::fs::rename(&temporary, file).map_err(failed),
        false => Err(Error::new(
            "dump-failed",
            format!(
                "the dump ended with {status}; {} is not written",
                file.display()
            ),
        )),
    });
    if done.is_err() {
        // What is there of it is no dump.
        let _ = std::fs::remove_file(&temporary);
    }
    done?;
    let size = std::fs::metadata(file).map_or(0, |file| file.len());
    let said = format!("Wrote {} into {}.", plain::bytes(size), file.display());
    context.output.say(said);
    Ok(())
}

/// A file for its owner alone: a dump holds everything.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}
