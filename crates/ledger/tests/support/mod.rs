//! A ledger in a folder of its own, with a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![expect(dead_code, reason = "each test file uses its own part of it")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use landfall_app::{App, Name};
use landfall_ledger::{Begin, Clock, Finish, Ledger};
use landfall_release::{Content, MadeBy, Outcome, Purpose, Release, Rollout, SourceVersion, Step};
use tempfile::TempDir;

pub struct Fixture {
    pub folder: TempDir,
    pub ledger: Ledger,
    pub time: Arc<AtomicU64>,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let time = Arc::new(AtomicU64::new(1_000));
        let ledger = Ledger::open(&folder.path().join("ledger.db"), clock(&time)).unwrap();
        Self {
            folder,
            ledger,
            time,
        }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    pub fn reopened(self) -> Self {
        let Self {
            folder,
            ledger,
            time,
        } = self;
        drop(ledger);
        let ledger = Ledger::open(&folder.path().join("ledger.db"), clock(&time)).unwrap();
        Self {
            folder,
            ledger,
            time,
        }
    }

    pub fn pass(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// A release deployed from beginning to end.
    pub fn deployed(&self, content: Content) -> Release {
        let (app, environment) = (content.app.app.clone(), content.app.environment.clone());
        let release = self.ledger.add_release(content).unwrap();
        let rollout = self.begun(&release, &app, &environment);
        self.ledger
            .set_live(&app, &environment, Some(release.number), rollout.generation)
            .unwrap();
        self.ledger
            .finish_deployment(&rollout, finish(Outcome::Done, &release))
            .unwrap();
        release
    }

    pub fn begun(&self, release: &Release, app: &Name, environment: &Name) -> Rollout {
        let begin = Begin {
            app: app.clone(),
            environment: environment.clone(),
            purpose: Purpose::Deploy,
            release: release.number,
            by: "ada@desk".to_owned(),
            steps: vec![Step::Lock, Step::Start, Step::Switch, Step::Unlock],
            prepared: None,
        };
        self.ledger.begin_deployment(begin).unwrap()
    }
}

pub fn clock(time: &Arc<AtomicU64>) -> Clock {
    let time = Arc::clone(time);
    Clock::new(move || time.load(Ordering::Relaxed))
}

pub fn finish(outcome: Outcome, live: &Release) -> Finish {
    Finish {
        outcome,
        live: Some(live.number),
        took: 5,
        requests: 10,
        failed_requests: 0,
        failure: None,
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn shop() -> (Name, Name) {
    (name("shop"), name("local"))
}

pub fn content(tree: &str) -> Content {
    let app: App = serde_json::from_str(include_str!("../data/app.json")).unwrap();
    Content {
        source: SourceVersion {
            tree: tree.to_owned(),
            ..SourceVersion::default()
        },
        app,
        artifacts: BTreeMap::new(),
        secrets: BTreeMap::new(),
        files: BTreeMap::new(),
        made_by: MadeBy::Deploy,
    }
}
