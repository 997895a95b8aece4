//! `landfall backup restore`: into its place, or where nothing is deployed yet into backing services
//! that are made for it.

use std::{fs, io::Write as _};

use landfall_api::{
    Client,
    wire::{
        Accepted,
        backup::{
            BackupNews, BackupRestored, BackupStore, BackupSummary, BackupsBegun, RestoreBackup,
        },
    },
};

use super::{Desk, ensured, store};
use crate::{
    app_file,
    arguments::BackupRestore,
    commands::deploy,
    context::{Context, Place},
    exit::Exit,
    follow, prepare,
    report::{Error, Result},
    view::steps::Steps,
};

/// Puts a backup back. Where nothing is deployed yet its backing services are made for it first;
/// the app itself isn't started, so that no migration meets an empty database.
pub fn restore(context: &Context, place: &Place, arguments: &BackupRestore) -> Result {
    let (client, deployed) = context.block_on(async {
        let (client, started) = ensured(context).await?;
        let status = deploy::status(&client, place).await?;
        let deployed = status.is_some_and(|status| status.live.is_some());
        if !deployed {
            follow::carry_on(context, &client, place, started).await?;
        }
        Ok((client, deployed))
    })?;
    let key = match &arguments.key {
        None => None,
        Some(file) => Some(
            fs::read_to_string(file).map_err(|error| Error::file(file, "can't read", &error))?,
        ),
    };
    let (id, subject) = which(arguments);
    let what = subject.as_deref().unwrap_or("what is backed up");
    let (app, environment) = (&place.app, &place.environment);
    let by = id.as_deref().unwrap_or("its last verified backup");
    let question = match deployed {
        true => format!(
            "The app stands still while {what} of {app}, {environment} is replaced by {by}; what is there now is kept beside it."
        ),
        false => format!(
            "{app} isn't deployed in {environment} yet: its backing services are made, and {what} becomes {by}."
        ),
    };
    if !arguments.yes && !confirmed(context, &question)? {
        context.output.say("Nothing was changed.");
        return Err(Error::said(Exit::Refused));
    }
    let from = store(context, &arguments.from);
    if !deployed {
        // Nothing is made for a backup that isn't there.
        if let Some(from) = &from {
            context.block_on(find(
                &client,
                place,
                from,
                id.as_deref(),
                subject.as_deref(),
            ))?;
        }
        provision(context, place, &client)?;
    }
    let asked = RestoreBackup {
        id,
        subject,
        from,
        key,
        without_safety_dump: arguments.without_safety_dump,
        by: context.environment.by(),
    };
    let desk = Desk {
        context,
        client: &client,
        place,
    };
    context.block_on(desk.restore(&asked))
}

/// Refuses a backup that another store doesn't have, as far as that can be seen from here: what opens
/// a bucket may be a secret of the app's.
async fn find(
    client: &Client,
    place: &Place,
    from: &BackupStore,
    id: Option<&str>,
    subject: Option<&str>,
) -> Result {
    if from.to.starts_with("s3://") && from.access_key.is_none() {
        return Ok(());
    }
    let asked = RestoreBackup {
        from: Some(from.clone()),
        ..RestoreBackup::default()
    };
    let path = place.path("backups/look");
    let found: Vec<BackupSummary> = client.post(&path, &asked).await?;
    let wanted = |backup: &BackupSummary| match id {
        None | Some("latest") => backup.verified_at.is_some(),
        Some(id) => backup.id == id,
    };
    let mut of_it = found
        .iter()
        .filter(|backup| subject.is_none_or(|subject| backup.subject == subject));
    if of_it.any(wanted) {
        return Ok(());
    }
    let what = subject.unwrap_or("anything");
    let message = match id {
        None | Some("latest") => format!("{} has no verified backup of {what}", from.to),
        Some(id) => format!("{} has no backup {id} of {what}", from.to),
    };
    let (app, environment) = (&place.app, &place.environment);
    Err(Error::new(
        "unknown-backup",
        format!("{message} in {app}/{environment}"),
    )
    .mend("landfall backup list --from … shows what is there"))
}

/// Brings up the backing services that the app file names, and nothing else.
fn provision(context: &Context, place: &Place, client: &Client) -> Result {
    let app_file = app_file::read(context)?;
    let sources = prepare::sources_of_data(context, &app_file, &place.environment)?;
    let mut steps = Steps::new(&context.output);
    let built = prepare::backing_images(context, &sources, &mut steps)?;
    let submission = sources.provisioning(built, context.environment.by());
    context.block_on(async {
        let accepted: Accepted = client.post(&place.path("deployments"), &submission).await?;
        drop(submission);
        follow::accepted(context, client, place, &accepted, &mut steps).await?;
        Ok(())
    })
}

impl Desk<'_> {
    async fn restore(&self, asked: &RestoreBackup) -> Result {
        let path = self.place.path("backups/restore");
        let begun: BackupsBegun = self.client.post(&path, asked).await?;
        for subject in &begun.subjects {
            match self.follow(subject).await? {
                BackupNews::Restored(restored) => self.restored(subject, &restored).await?,
                BackupNews::Failed(failure) => return Err(failure.into()),
                BackupNews::Done(_) | BackupNews::Progress { .. } => {}
            }
        }
        Ok(())
    }

    async fn restored(&self, subject: &str, restored: &BackupRestored) -> Result {
        let output = &self.context.output;
        if output.json() {
            output.data("backup-restored", restored);
        }
        let backup = &restored.backup;
        output.say(format!(
            "{subject} is as it was in {} ({}), compared.",
            backup.id, backup.said
        ));
        output.say(format!(
            "What was there before is {}; once it isn't needed: {}",
            restored.kept, restored.drop
        ));
        if let Some(safety) = &restored.safety {
            output.say(format!("A dump of it is backup {safety}."));
        }
        let Some(accepted) = &restored.deployment else {
            let flag = self.place.flag();
            output.say(format!(
                "Nothing of the app runs yet. Once all is restored: landfall deploy{flag}, which runs its migrations upon this data."
            ));
            return Ok(());
        };
        let mut steps = Steps::new(output);
        follow::accepted(self.context, self.client, self.place, accepted, &mut steps).await?;
        drop(steps);
        output.say("The app runs again.");
        Ok(())
    }
}

/// A backup and what it is of: both, one, or none of them. Backups begin with their date.
fn which(arguments: &BackupRestore) -> (Option<String>, Option<String>) {
    let is_id =
        |text: &str| text == "latest" || text.starts_with(|first: char| first.is_ascii_digit());
    match (&arguments.backup, &arguments.subject) {
        (Some(first), None) if !is_id(first) => (None, Some(first.clone())),
        (first, second) => (first.clone(), second.clone()),
    }
}

/// Asks somebody, if there is somebody.
fn confirmed(context: &Context, question: &str) -> Result<bool> {
    if !context.output.interactive() {
        return Err(Error {
            exit: Exit::Refused,
            ..Error::new("not-confirmed", question.to_owned())
                .mend("say --yes, since nobody can be asked here")
        });
    }
    print!("{question} Go on? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdout()
        .flush()
        .and_then(|()| std::io::stdin().read_line(&mut answer));
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}
