//! `landfall backup`: made, listed, verified, restored.

use std::{fs, io::Write as _};

use landfall_api::{
    Client, path,
    wire::backup::{
        BackupNews, BackupRestored, BackupStore, BackupSummary, Backups, BackupsBegun, MakeBackup,
        RestoreBackup, VerifyBackup,
    },
};
use landfall_secrets::{FILE_NAME, SecretsFile};

use crate::{
    app_file,
    arguments::{Backup, BackupFrom, BackupRestore},
    context::{Context, Place},
    exit::Exit,
    follow, host,
    report::{Error, Result},
    view::{
        backup::{self as view, Bar},
        plain,
        steps::Steps,
    },
};

pub fn run(context: &Context, command: &Backup) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let (client, _) = host::again(context).await?;
        let desk = Desk {
            context,
            client: &client,
            place: &place,
        };
        match command {
            Backup::Now(arguments) => desk.now(arguments.subject.clone()).await,
            Backup::List(arguments) => desk.list(&arguments.from).await,
            Backup::Verify(arguments) => desk.verify(arguments.id.clone()).await,
            Backup::Restore(arguments) => desk.restore(arguments).await,
            Backup::Key => desk.key().await,
        }
    })
}

struct Desk<'a> {
    context: &'a Context,
    client: &'a Client,
    place: &'a Place,
}

impl Desk<'_> {
    async fn now(&self, subject: Option<String>) -> Result {
        let asked = MakeBackup {
            subject,
            by: self.context.environment.by(),
            recipients: self.recipients()?,
        };
        let begun: BackupsBegun = self
            .client
            .post(&self.place.path("backups"), &asked)
            .await?;
        self.follow_all(&begun).await
    }

    async fn verify(&self, id: Option<String>) -> Result {
        let asked = VerifyBackup {
            id,
            by: self.context.environment.by(),
        };
        let path = self.place.path("backups/verify");
        let begun: BackupsBegun = self.client.post(&path, &asked).await?;
        self.follow_all(&begun).await
    }

    /// Those who can read the secrets now, as far as the file is at hand.
    fn recipients(&self) -> Result<Option<Vec<String>>> {
        let Ok(file) = app_file::read(self.context) else {
            return Ok(None);
        };
        let secrets = SecretsFile::load(&file.folder.join(FILE_NAME))?;
        Ok(Some(secrets.recipients().values().cloned().collect()))
    }

    async fn follow_all(&self, begun: &BackupsBegun) -> Result {
        let mut first = None;
        for subject in &begun.subjects {
            match self.follow(subject).await? {
                BackupNews::Done(summary) => {
                    if self.context.output.json() {
                        self.context.output.data("backup", &summary);
                    }
                    self.context.output.say(format!(
                        "{subject}: {} verified, {} ({}).",
                        summary.id,
                        plain::bytes(summary.bytes),
                        summary.said
                    ));
                }
                BackupNews::Failed(failure) => {
                    if begun.subjects.len() > 1 {
                        self.context
                            .output
                            .remark(&format!("{subject}: {}", failure.message));
                    }
                    first.get_or_insert(failure);
                }
                BackupNews::Restored(_) | BackupNews::Progress { .. } => {}
            }
        }
        match first {
            None => Ok(()),
            Some(failure) => Err(failure.into()),
        }
    }

    /// Shows how it goes on, until its end.
    async fn follow(&self, subject: &str) -> Result<BackupNews> {
        let path = format!("backups/{}/news", path::encode(subject));
        let mut lines = self
            .client
            .lines::<BackupNews>(&self.place.path(&path))
            .await?;
        let mut interrupt = self.context.interrupt()?;
        let mut bar = Bar::new(&self.context.output, subject);
        loop {
            let news = tokio::select! {
                news = lines.next() => news?,
                _ = interrupt.recv() => {
                    drop(bar);
                    self.context.output.say(format!(
                        "It goes on without you: landfall backup list{} shows how it ends.",
                        self.place.flag()
                    ));
                    return Err(Error::said(Exit::Partial));
                }
            };
            match news {
                None => {
                    return Err(Error::new(
                        "host-failed",
                        format!("the host tells nothing more of {subject}"),
                    ));
                }
                Some(BackupNews::Progress { stage, bytes, of }) => bar.progress(&stage, bytes, of),
                Some(end) => return Ok(end),
            }
        }
    }

    async fn list(&self, from: &BackupFrom) -> Result {
        let output = &self.context.output;
        if from.from.is_some() {
            let asked = RestoreBackup {
                from: store(from),
                ..RestoreBackup::default()
            };
            let path = self.place.path("backups/look");
            let found: Vec<BackupSummary> = self.client.post(&path, &asked).await?;
            if output.json() {
                output.data("backups", &found);
            } else if found.is_empty() {
                output.say(format!(
                    "There is no backup of {}, {} there.",
                    self.place.app, self.place.environment
                ));
            } else {
                output.print(&view::table(&found, plain::now()));
            }
            return Ok(());
        }
        let all: Backups = self.client.get(&self.place.path("backups")).await?;
        if output.json() {
            output.data("backups", &all);
            return Ok(());
        }
        for status in &all.subjects {
            output.say(view::line(status, plain::now()));
        }
        if !all.backups.is_empty() {
            output.print(&view::table(&all.backups, plain::now()));
        } else if all.subjects.is_empty() {
            output.say("Nothing is backed up: give a backing service or a volume a backup = { schedule = …, to = … }.");
        }
        Ok(())
    }

    async fn key(&self) -> Result {
        let output = &self.context.output;
        let all: Backups = self.client.get(&self.place.path("backups")).await?;
        if output.json() {
            output.data(
                "backup-key",
                &serde_json::json!({
                    "recipient": all.recipient, "file": all.key_file, "people": all.people,
                }),
            );
            return Ok(());
        }
        output.print(&all.recipient);
        output.say(format!(
            "Its private half is {}. Keep a copy off this machine: with it and the store alone everything comes back.",
            all.key_file
        ));
        match all.people.len() {
            0 => output.say(
                "Nobody else can read the backups: landfall secrets recipients add lets people, too.",
            ),
            count => output.say(format!(
                "{} of {FILE_NAME} can read them with their own keys, too.",
                plain::counted(count, "recipient")
            )),
        }
        Ok(())
    }

    async fn restore(&self, arguments: &BackupRestore) -> Result {
        let (id, subject) = which(arguments);
        let key = match &arguments.key {
            None => None,
            Some(file) => Some(
                fs::read_to_string(file)
                    .map_err(|error| Error::file(file, "can't read", &error))?,
            ),
        };
        let what = subject.as_deref().unwrap_or("what is backed up");
        let question = format!(
            "The app stands still while {what} of {}, {} is replaced by {}; what is there now is kept beside it.",
            self.place.app,
            self.place.environment,
            id.as_deref().unwrap_or("its last verified backup")
        );
        if !arguments.yes && !confirmed(self.context, &question)? {
            self.context.output.say("Nothing was changed.");
            return Err(Error::said(Exit::Refused));
        }
        let asked = RestoreBackup {
            id,
            subject,
            from: store(&arguments.from),
            key,
            without_safety_dump: arguments.without_safety_dump,
            by: self.context.environment.by(),
        };
        let path = self.place.path("backups/restore");
        let begun: BackupsBegun = self.client.post(&path, &asked).await?;
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

/// Another store, with what opens it from the environment, as the tools of S3 have it.
fn store(from: &BackupFrom) -> Option<BackupStore> {
    Some(BackupStore {
        to: from.from.clone()?,
        endpoint: from.endpoint.clone(),
        region: from.region.clone(),
        access_key: from.access_key.clone(),
        secret_key: from.secret_key.clone(),
    })
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
