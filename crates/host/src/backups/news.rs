//! What is being done with the backups of each subject, for those who follow it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use landfall_api::wire::backup::BackupNews;
use landfall_app::Name;
use landfall_backup::{Progress, Watcher};
use landfall_release::Failure;
use tokio::sync::watch;

/// App, environment, subject.
type Place = (Name, Name, String);

/// What a host remembers of its backups while it lives.
#[derive(Default)]
pub struct Kept {
    news: Mutex<BTreeMap<Place, watch::Sender<Option<BackupNews>>>>,
    /// Which backup shall be checked next, where somebody named one.
    named: Mutex<BTreeMap<Place, String>>,
    /// One at a time: a backup and a check of the same would meet in one scratch instance.
    alone: Mutex<BTreeMap<Place, Arc<tokio::sync::Mutex<()>>>>,
}

impl Kept {
    fn sender(
        &self,
        app: &Name,
        environment: &Name,
        subject: &str,
    ) -> watch::Sender<Option<BackupNews>> {
        let key = (app.clone(), environment.clone(), subject.to_owned());
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.entry(key)
            .or_insert_with(|| watch::channel(None).0)
            .clone()
    }

    /// Waits until nothing else is done with the backups of a subject.
    pub async fn alone(
        &self,
        app: &Name,
        environment: &Name,
        subject: &str,
    ) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let key = (app.clone(), environment.clone(), subject.to_owned());
            let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
            alone.entry(key).or_default().clone()
        };
        lock.lock_owned().await
    }

    /// Says that something will begin, so that nobody who follows takes the end of what was before
    /// for its own. Answers what was told before, to be told again where it can't begin.
    pub fn announce(&self, app: &Name, environment: &Name, subject: &str) -> Announced {
        let sender = self.sender(app, environment, subject);
        let before = sender.borrow().clone();
        if before.as_ref().is_none_or(BackupNews::is_end) {
            sender.send_replace(Some(waiting()));
        }
        Announced { sender, before }
    }

    /// Begins to tell of something new.
    pub fn begin(&self, app: &Name, environment: &Name, subject: &str) -> Telling {
        let sender = self.sender(app, environment, subject);
        sender.send_replace(Some(waiting()));
        Telling {
            sender,
            ended: false,
        }
    }

    /// Follows what is told; the last of it stays.
    pub fn follow(
        &self,
        app: &Name,
        environment: &Name,
        subject: &str,
    ) -> watch::Receiver<Option<BackupNews>> {
        self.sender(app, environment, subject).subscribe()
    }

    /// What is being done now.
    pub fn doing(&self, app: &Name, environment: &Name, subject: &str) -> Option<String> {
        match &*self.sender(app, environment, subject).borrow() {
            Some(BackupNews::Progress { stage, .. }) => Some(stage.clone()),
            _ => None,
        }
    }

    /// Names the backup that is checked next.
    pub fn name(&self, app: &Name, environment: &Name, subject: &str, id: &str) {
        let key = (app.clone(), environment.clone(), subject.to_owned());
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.insert(key, id.to_owned());
    }

    /// The backup that was named.
    pub fn named(&self, app: &Name, environment: &Name, subject: &str) -> Option<String> {
        let key = (app.clone(), environment.clone(), subject.to_owned());
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.remove(&key)
    }
}

/// Something that will begin.
pub struct Announced {
    sender: watch::Sender<Option<BackupNews>>,
    before: Option<BackupNews>,
}

impl Announced {
    /// It can't.
    pub fn withdraw(self) {
        let Self { sender, before } = self;
        if before.as_ref().is_none_or(BackupNews::is_end) {
            sender.send_if_modified(|now| {
                let ours = *now == Some(waiting());
                if ours {
                    *now = before;
                }
                ours
            });
        }
    }
}

fn waiting() -> BackupNews {
    BackupNews::Progress {
        stage: "waiting".to_owned(),
        bytes: 0,
        of: None,
    }
}

/// Tells of one thing to its end. Dropped before, it says that it was stopped.
pub struct Telling {
    sender: watch::Sender<Option<BackupNews>>,
    ended: bool,
}

impl Telling {
    /// The end.
    pub fn end(mut self, news: BackupNews) {
        self.ended = true;
        self.sender.send_replace(Some(news));
    }

    /// Something in a word: `waiting`.
    pub fn say(&self, stage: &str) {
        self.sender.send_replace(Some(BackupNews::Progress {
            stage: stage.to_owned(),
            bytes: 0,
            of: None,
        }));
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if !self.ended {
            let failure = Failure::new("backup-failed", "it was stopped before its end");
            self.sender.send_replace(Some(BackupNews::Failed(failure)));
        }
    }
}

impl Watcher for Telling {
    fn news(&self, progress: Progress) {
        let stage = serde_json::to_value(progress.stage).unwrap_or_default();
        self.sender.send_replace(Some(BackupNews::Progress {
            stage: stage.as_str().unwrap_or_default().to_owned(),
            bytes: progress.bytes,
            of: progress.of,
        }));
    }
}
