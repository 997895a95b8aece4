//! `landfall backup`: made, listed, verified, restored.

mod restore;

use landfall_api::{
    Client, path,
    wire::backup::{
        BackupNews, BackupStore, BackupSummary, Backups, BackupsBegun, MakeBackup, RestoreBackup,
        VerifyBackup,
    },
};
use landfall_secrets::{FILE_NAME, SecretsFile};

use crate::{
    app_file,
    arguments::{Backup, BackupFrom},
    commands::deploy,
    context::{Context, Place},
    exit::Exit,
    host,
    report::{Error, Result},
    view::{
        backup::{self as view, Bar},
        plain,
    },
};

pub fn run(context: &Context, command: &Backup) -> Result {
    let place = app_file::place(context)?;
    if let Backup::Restore(arguments) = command {
        return restore::restore(context, &place, arguments);
    }
    context.block_on(async {
        let client = match command {
            // A store is looked at where nothing was ever deployed, too.
            Backup::List(arguments) if arguments.from.from.is_some() => ensured(context).await?.0,
            _ => host::again(context).await?.0,
        };
        let desk = Desk {
            context,
            client: &client,
            place: &place,
        };
        match command {
            Backup::Now(arguments) => desk.now(arguments.subject.clone()).await,
            Backup::List(arguments) => desk.list(&arguments.from).await,
            Backup::Verify(arguments) => desk.verify(arguments.id.clone()).await,
            Backup::Restore(_) => Ok(()),
            Backup::Key => desk.key().await,
        }
    })
}

/// The host, started where there is none; and whether it was.
async fn ensured(context: &Context) -> Result<(Client, bool)> {
    let (client, _, started) = host::ensure(&context.environment, false).await?;
    if started {
        let user = &context.environment.user;
        context.output.say(format!("Started a host for {user}."));
    }
    Ok((client, started))
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
                from: store(self.context, from),
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
        let status = deploy::status(self.client, self.place).await?;
        let deployed = status.is_some_and(|status| status.live.is_some());
        for status in &all.subjects {
            output.say(view::line(status, plain::now()));
        }
        if !all.backups.is_empty() {
            output.print(&view::table(&all.backups, plain::now()));
        } else if !deployed {
            output.say(format!(
                "Nothing is deployed in {} yet: landfall backup list --from … shows what a store has, and landfall backup restore brings it back.",
                self.place.environment
            ));
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
}

/// Another store, with what opens it from the environment, as the tools of S3 have it.
/// A relative folder is one of the app file's, also where the host doesn't know that yet.
fn store(context: &Context, from: &BackupFrom) -> Option<BackupStore> {
    let mut to = from.from.clone()?;
    if !to.contains("://")
        && let Ok(file) = app_file::find(context)
        && let Some(folder) = file.parent()
    {
        to = folder.join(to).display().to_string();
    }
    Some(BackupStore {
        to,
        endpoint: from.endpoint.clone(),
        region: from.region.clone(),
        access_key: from.access_key.clone(),
        secret_key: from.secret_key.clone(),
    })
}
