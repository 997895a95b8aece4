//! What a subject's backups are made with: its store, the keys, the database or the folder itself.

use std::{path::PathBuf, sync::Arc};

use landfall_api::wire::backup::BackupStore;
use landfall_app::{
    Name,
    model::{BackingKind, Backup, Run},
};
use landfall_backup::{
    Credentials, Keys, Limits, Location, Recipients, S3Settings, Store, make::Subject,
};
use landfall_ledger::BackingRow;
use landfall_release::{Content, Failure, Release};
use landfall_secrets::KeySource;

use crate::{
    backing::{self, Source},
    host::{Host, ledger_failed},
    volumes,
};

/// Something that is backed up, as the live release says.
pub struct Means {
    /// The release.
    pub release: Release,
    /// Its name.
    pub subject: String,
    /// When and where to.
    pub backup: Backup,
    /// What it is.
    pub what: What,
}

/// What is backed up.
pub enum What {
    /// A database.
    Database(Box<BackingRow>),
    /// A folder: the volume of a service, or the data of an image.
    Folder {
        /// Where it is.
        folder: PathBuf,
        /// Whose it is, where it is a service's.
        service: Option<Name>,
    },
}

/// What is not backed up, with what is.
pub fn unknown(content: &Content, subject: &str) -> Failure {
    let known: Vec<_> = content.app.backups().map(|(name, _)| name).collect();
    let failure = Failure::new(
        "unknown-subject",
        format!("nothing called `{subject}` is backed up"),
    );
    match known.is_empty() {
        false => failure.with("known", known.join(", ")),
        true => failure.with(
            "mend",
            "give a backing service or a volume a backup = { schedule = …, to = … }",
        ),
    }
}

impl Means {
    /// Those of one subject.
    pub fn find(host: &Host, release: Release, subject: &str) -> Result<Self, Failure> {
        let app = &release.content.app;
        let found = app.backups().find(|(name, _)| name == subject);
        let (_, backup) = found.ok_or_else(|| unknown(&release.content, subject))?;
        let backup = backup.clone();
        let what = match subject.split_once('.') {
            Some((service, volume)) => {
                let service: Name = service
                    .parse()
                    .map_err(|_| unknown(&release.content, subject))?;
                What::Folder {
                    folder: volumes::folder(host, &app.app, &app.environment, &service, volume),
                    service: Some(service),
                }
            }
            None => {
                let name: Name = subject
                    .parse()
                    .map_err(|_| unknown(&release.content, subject))?;
                let row = backing::known(host, &app.app, &app.environment, &name)?;
                match row.body.wanted.kind {
                    BackingKind::Postgres | BackingKind::Redis => What::Database(Box::new(row)),
                    BackingKind::Image(_) => What::Folder {
                        folder: row.body.data.clone(),
                        service: None,
                    },
                }
            }
        };
        Ok(Self {
            subject: subject.to_owned(),
            backup,
            what,
            release,
        })
    }

    /// The database's programs, where it is one.
    pub fn source(&self, host: &Arc<Host>) -> Result<Option<Source>, Failure> {
        match &self.what {
            What::Database(row) => Source::new(host, row).map(Some),
            What::Folder { .. } => Ok(None),
        }
    }

    /// The same as what is backed up.
    pub fn subject<'a>(
        &self,
        host: &Host,
        source: Option<&'a Source>,
    ) -> Result<Subject<'a>, Failure> {
        let app = &self.release.content.app;
        Ok(match (&self.what, source) {
            (What::Database(row), Some(server)) => match row.body.wanted.kind {
                BackingKind::Postgres => Subject::Postgres {
                    server,
                    database: row.body.database.clone(),
                },
                _ => Subject::Redis { server },
            },
            (What::Folder { folder, .. }, _) => {
                crate::home::make_folder(folder).map_err(|error| {
                    Failure::new("backup-failed", format!("{}: {error}", folder.display()))
                })?;
                Subject::Volume {
                    folder: folder.clone(),
                    scratch: host
                        .home
                        .environment(&app.app, &app.environment)
                        .join("scratch")
                        .join(&self.subject),
                }
            }
            (What::Database(row), None) => {
                return Err(Failure::new(
                    "backup-failed",
                    format!("{} has no programs", row.name),
                ));
            }
        })
    }

    /// A command that brings the folder to rest first.
    pub fn quiesce(&self) -> Option<(&Name, &Run)> {
        match &self.what {
            What::Folder {
                service: Some(service),
                ..
            } => Some((service, self.backup.quiesce.as_ref()?)),
            _ => None,
        }
    }

    /// The store that the file names.
    pub fn store(&self, host: &Host) -> Result<Store, Failure> {
        let app = &self.release.content.app;
        let name: Name = self
            .subject
            .split('.')
            .next()
            .unwrap_or_default()
            .parse()
            .map_err(|_| unknown(&self.release.content, &self.subject))?;
        let secrets = host.secrets(&self.release.content)?;
        let value = |value: &Option<landfall_app::Value>| {
            value
                .as_ref()
                .map(|value| backing::rendered(&name, value, &secrets, app))
                .transpose()
        };
        let to = BackupStore {
            to: self.backup.to.clone(),
            endpoint: self.backup.endpoint.clone(),
            region: self.backup.region.clone(),
            access_key: value(&self.backup.access_key)?,
            secret_key: value(&self.backup.secret_key)?,
        };
        open(host, &app.app, &app.environment, to)
    }

    /// Another store; without a key of its own it is tried with the one of the file's.
    pub fn other_store(&self, host: &Host, mut other: BackupStore) -> Result<Store, Failure> {
        let app = &self.release.content.app;
        if other.access_key.is_none() && other.to.starts_with("s3://") {
            let secrets = host.secrets(&self.release.content)?;
            let name: Name = app.app.clone();
            for (to, value) in [
                (&mut other.access_key, &self.backup.access_key),
                (&mut other.secret_key, &self.backup.secret_key),
            ] {
                if let Some(value) = value {
                    *to = Some(backing::rendered(&name, value, &secrets, app)?);
                }
            }
            other.endpoint = other.endpoint.or_else(|| self.backup.endpoint.clone());
            other.region = other.region.or_else(|| self.backup.region.clone());
        }
        open(host, &app.app, &app.environment, other)
    }
}

/// Opens a store. A relative folder is one of the app file's.
pub fn open(
    host: &Host,
    app: &Name,
    environment: &Name,
    store: BackupStore,
) -> Result<Store, Failure> {
    let mut to = store.to;
    if !to.contains("://") && !to.starts_with('/') {
        let environments = host.ledger.environments().map_err(ledger_failed)?;
        let known = environments
            .into_iter()
            .find(|row| row.app == *app && row.environment == *environment);
        let folder = known.map(|row| row.state.folder).unwrap_or_default();
        to = folder.join(to).display().to_string();
    }
    let store = match Location::parse(&to)? {
        Location::Folder(folder) => Store::folder(folder),
        Location::S3 { bucket, prefix } => {
            let key = |key: Option<String>| {
                key.ok_or_else(|| {
                    Failure::new("backup-denied", format!("{to} needs a key")).with(
                        "mend",
                        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, here and as secrets",
                    )
                })
            };
            Store::s3(S3Settings {
                bucket,
                prefix,
                endpoint: store.endpoint,
                region: store.region,
                credentials: Credentials {
                    access_key: key(store.access_key)?,
                    secret_key: key(store.secret_key)?,
                },
                limits: Limits::default(),
            })?
        }
    };
    Ok(store)
}

/// The file of the key that this host reads its backups with.
pub fn key_file(host: &Host) -> PathBuf {
    host.home.root().join("backup.key")
}

/// That key, made where there is none.
pub fn keys(host: &Host) -> Result<Keys, Failure> {
    let file = key_file(host);
    let source = KeySource {
        file: file.clone(),
        value: None,
    };
    let failed =
        |error: String| Failure::new("host-failed", format!("{}: {error}", file.display()));
    source
        .load_or_generate()
        .map_err(|error| failed(error.to_string()))?;
    let text = std::fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
    Ok(Keys::parse(&text)?)
}

/// Whom backups of an environment are encrypted to: this host and its people.
pub fn recipients(host: &Host, app: &Name, environment: &Name) -> Result<Recipients, Failure> {
    let own = keys(host)?.public();
    let people = super::people(host, app, environment)?;
    Ok(Recipients::new(own.into_iter().chain(people))?)
}
