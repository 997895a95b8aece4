//! `landfall volumes`: the kept folders of services: shown, copied out and in, moved, removed.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use landfall_api::{
    Client, DownloadError, path,
    wire::volume::{
        BackingData, ImportVolume, MoveVolume, VolumeChanged, VolumeRemoved, VolumeStatus,
    },
};
use tokio::sync::mpsc;

use crate::{
    app_file,
    arguments::{
        Volumes, VolumesCommand, VolumesExport, VolumesImport, VolumesMove, VolumesRemove,
    },
    context::{Context, Place},
    exit::Exit,
    follow, host,
    report::{Error, Result},
    view::{plain, steps::Steps, table::Table},
};

/// What is read of a file at a time.
const PIECE: usize = 64 << 10;

pub fn run(context: &Context, arguments: &Volumes) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let (client, _) = host::again(context).await?;
        match &arguments.command {
            None | Some(VolumesCommand::List) => list(context, &client, &place).await,
            Some(VolumesCommand::Export(arguments)) => {
                export(context, &client, &place, arguments).await
            }
            Some(VolumesCommand::Import(arguments)) => {
                import(context, &client, &place, arguments).await
            }
            Some(VolumesCommand::Move(arguments)) => {
                relocate(context, &client, &place, arguments).await
            }
            Some(VolumesCommand::Remove(arguments)) => {
                remove(context, &client, &place, arguments).await
            }
        }
    })
}

/// The host's path of something of a volume.
fn of(place: &Place, volume: &str, rest: &str) -> String {
    place.path(&format!("volumes/{}{rest}", path::encode(volume)))
}

async fn list(context: &Context, client: &Client, place: &Place) -> Result {
    let volumes: Vec<VolumeStatus> = client.get(&place.path("volumes")).await?;
    if context.output.json() {
        context.output.data("volumes", &volumes);
    } else if volumes.is_empty() {
        context
            .output
            .say("No volumes: what shall be kept is named by `volumes` of a service.");
    } else {
        context.output.print(&render(&volumes));
    }
    Ok(())
}

fn render(volumes: &[VolumeStatus]) -> String {
    let mut table = Table::new(0);
    table.row(["VOLUME", "IN THE SERVICE", "SIZE", "BACKUP", "FOLDER"]);
    for volume in volumes {
        table.row([
            format!("{}.{}", volume.service, volume.name),
            match &volume.backing {
                Some(BackingData::Used) => "data of a backing service".to_owned(),
                Some(BackingData::Kept { version }) => format!("of {version}, kept by an upgrade"),
                None => volume
                    .path
                    .clone()
                    .unwrap_or_else(|| "unused, kept".to_owned()),
            },
            volume.size.map_or_else(|| "?".to_owned(), plain::bytes),
            match (&volume.backup, &volume.backing) {
                (Some(schedule), _) => schedule.clone(),
                // Those are told with the backing service.
                (None, Some(_)) => "-".to_owned(),
                (None, None) => "none".to_owned(),
            },
            volume.folder.display().to_string(),
        ]);
    }
    table.render()
}

async fn export(
    context: &Context,
    client: &Client,
    place: &Place,
    arguments: &VolumesExport,
) -> Result {
    let path = of(place, &arguments.volume, "/export");
    let Some(file) = arguments
        .archive
        .as_deref()
        .filter(|file| *file != Path::new("-"))
    else {
        let mut to = io::stdout().lock();
        let taken = client.download(&path, |piece| to.write_all(piece)).await;
        return taken.map_err(|error| broken(error, Path::new("standard output")));
    };
    // Under another name until it is whole.
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let made = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&part);
    let mut to = made.map_err(|error| Error::file(&part, "can't write", &error))?;
    let mut bytes = 0;
    let taken = client.download(&path, |piece| {
        bytes += piece.len() as u64;
        to.write_all(piece)
    });
    let whole = match taken.await {
        Ok(()) => to
            .sync_all()
            .and_then(|()| fs::rename(&part, file))
            .map_err(|error| Error::file(file, "can't write", &error)),
        Err(error) => Err(broken(error, &part)),
    };
    if let Err(error) = whole {
        // It holds nothing that anybody could use.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    context.output.say(format!(
        "Wrote {} of {} into {}.",
        plain::bytes(bytes),
        arguments.volume,
        file.display()
    ));
    Ok(())
}

fn broken(error: DownloadError, place: &Path) -> Error {
    match error {
        DownloadError::Client(error) => error.into(),
        DownloadError::Taken(error) => Error::file(place, "can't write", &error),
    }
}

async fn import(
    context: &Context,
    client: &Client,
    place: &Place,
    arguments: &VolumesImport,
) -> Result {
    let asked = format!(
        "Put {} in the place of all that is in {}?",
        arguments.archive.display(),
        arguments.volume
    );
    confirmed(context, arguments.yes, &asked)?;
    let (sender, pieces) = mpsc::channel(4);
    let from: Box<dyn io::Read + Send> = match arguments.archive.as_path() {
        file if file == Path::new("-") => Box::new(io::stdin()),
        file => {
            let opened = File::open(file);
            Box::new(opened.map_err(|error| Error::file(file, "can't read", &error))?)
        }
    };
    tokio::task::spawn_blocking(move || send(from, &sender));
    let query = ImportVolume {
        by: context.environment.by(),
    };
    let path = path::query(&of(place, &arguments.volume, "/import"), &query);
    let changed: VolumeChanged = client.upload(&path, pieces).await?;
    let said = format!(
        "{} holds {} with {} now.",
        arguments.volume,
        plain::counted(usize::try_from(changed.files).unwrap_or(usize::MAX), "file"),
        plain::bytes(changed.bytes)
    );
    finish(context, client, place, changed, said).await
}

/// Sends what is read to its end, or until nobody wants more.
fn send(mut from: impl io::Read, to: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let read = match from.read(&mut piece) {
            Ok(0) => return,
            Ok(count) => {
                piece.truncate(count);
                Ok(piece)
            }
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if to.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

async fn relocate(
    context: &Context,
    client: &Client,
    place: &Place,
    arguments: &VolumesMove,
) -> Result {
    let to = match &arguments.to {
        None => None,
        Some(folder) => {
            let whole = std::path::absolute(folder);
            Some(whole.map_err(|error| Error::file(folder, "can't find", &error))?)
        }
    };
    let request = MoveVolume {
        to,
        by: context.environment.by(),
    };
    let path = of(place, &arguments.volume, "/move");
    let changed: VolumeChanged = client.post(&path, &request).await?;
    let said = format!(
        "{} is in {} now: {} copied and compared.",
        arguments.volume,
        changed.folder.display(),
        plain::bytes(changed.bytes)
    );
    finish(context, client, place, changed, said).await
}

/// Says what was done, and follows the start of the app where it was stopped for it.
async fn finish(
    context: &Context,
    client: &Client,
    place: &Place,
    changed: VolumeChanged,
    said: String,
) -> Result {
    if context.output.json() {
        context.output.data("volume", &changed);
    }
    context.output.say(said);
    if let Some(accepted) = &changed.start {
        context
            .output
            .say("The app stood still for it and starts again:");
        let mut steps = Steps::new(&context.output);
        follow::accepted(context, client, place, accepted, &mut steps).await?;
    }
    Ok(())
}

async fn remove(
    context: &Context,
    client: &Client,
    place: &Place,
    arguments: &VolumesRemove,
) -> Result {
    let asked = format!(
        "Remove the volume {} with all that is in it?",
        arguments.volume
    );
    confirmed(context, arguments.yes, &asked)?;
    let path = of(place, &arguments.volume, "");
    let removed: VolumeRemoved = client.delete(&path).await?;
    if context.output.json() {
        context.output.data("removed", &removed);
    }
    context.output.say(format!(
        "Removed {}, {} freed.",
        arguments.volume,
        plain::bytes(removed.freed)
    ));
    Ok(())
}

/// Goes on where somebody says so.
fn confirmed(context: &Context, yes: bool, question: &str) -> Result {
    if yes {
        return Ok(());
    }
    if !context.output.interactive() {
        return Err(Error {
            exit: Exit::Refused,
            ..Error::new("not-confirmed", format!("not asked: {question}"))
                .mend("say --yes, since nobody can be asked here")
        });
    }
    print!("{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdout()
        .flush()
        .and_then(|()| io::BufRead::read_line(&mut io::stdin().lock(), &mut answer));
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    context.output.say("Nothing was changed.");
    Err(Error::said(Exit::Refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_as_a_table() {
        let volume = |name: &str, path: Option<&str>| VolumeStatus {
            service: "web".parse().unwrap(),
            name: name.parse().unwrap(),
            path: path.map(str::to_owned),
            folder: "/state/data".into(),
            moved: false,
            size: Some(3 << 20),
            backup: None,
            backing: None,
        };
        let text = render(&[volume("data", Some("/var/lib/web")), volume("old", None)]);
        assert_eq!(
            text,
            "VOLUME    IN THE SERVICE  SIZE   BACKUP  FOLDER\n\
             web.data  /var/lib/web    3 MiB  none    /state/data\n\
             web.old   unused, kept    3 MiB  none    /state/data\n"
        );
        let backing = VolumeStatus {
            backing: Some(BackingData::Used),
            ..volume("data", None)
        };
        let text = render(&[backing]);
        assert!(text.contains("data of a backing service"), "{text}");
        assert!(!text.contains("unused"), "{text}");
    }
}
