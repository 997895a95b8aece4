//! `landfall down`: the app off this machine.

use std::io::{BufRead, Write};

use landfall_api::{
    path,
    wire::{Removed, volume::VolumeStatus},
};
use serde::Serialize;

use crate::{
    app_file,
    arguments::Down,
    context::{Context, Place},
    exit::Exit,
    host,
    report::{Error, Result},
    view::plain,
};

#[derive(Serialize)]
struct Query {
    purge: bool,
}

pub fn run(context: &Context, arguments: &Down) -> Result {
    let place = app_file::place(context)?;
    if arguments.purge && !arguments.yes && !confirmed(context, &place)? {
        context.output.say("Nothing was changed.");
        return Err(Error::said(Exit::Refused));
    }
    context.block_on(async {
        let (client, _) = host::again(context).await?;
        let removed: Removed = client
            .delete(&path::query(
                &place.path(""),
                &Query {
                    purge: arguments.purge,
                },
            ))
            .await?;
        if context.output.json() {
            context.output.data("removed", &removed);
        }
        let stopped = plain::counted(removed.instances as usize, "instance");
        let said = match arguments.purge {
            true => format!(
                "its releases, logs, volumes and secrets here are gone, {} freed",
                plain::bytes(removed.freed)
            ),
            false => "its releases, logs and volumes stay; --purge removes them too".to_owned(),
        };
        context.output.say(format!(
            "Took {}, {} down: {stopped} stopped; {said}.",
            place.app, place.environment
        ));
        Ok(())
    })
}

/// The volumes with their sizes, where somebody can tell them: ` (web.data 3 GiB)`.
fn volumes(context: &Context, place: &Place) -> Result<String> {
    let client = host::client(&context.environment);
    let path = place.path("volumes");
    let volumes: Vec<VolumeStatus> =
        context.block_on(async { Ok(client.get(&path).await.unwrap_or_default()) })?;
    let told: Vec<String> = volumes
        .iter()
        .map(|volume| {
            let size = volume.size.map_or_else(|| "?".to_owned(), plain::bytes);
            format!("{}.{} {size}", volume.service, volume.name)
        })
        .collect();
    Ok(match told.as_slice() {
        [] => String::new(),
        told => format!(" ({})", told.join(", ")),
    })
}

/// Asks somebody, if there is somebody.
fn confirmed(context: &Context, place: &Place) -> Result<bool> {
    let place_name = format!("{}, {}", place.app, place.environment);
    let what = format!(
        "the releases, logs, volumes{} and secrets of {place_name}",
        volumes(context, place)?
    );
    if !context.output.interactive() {
        return Err(Error {
            exit: Exit::Refused,
            ..Error::new("not-confirmed", format!("--purge removes {what}"))
                .mend("say --yes, since nobody can be asked here")
        });
    }
    print!("Remove {what} from this machine? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdout()
        .flush()
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}
