//! A host in a folder of its own, where nothing runs, with an app that was submitted.

use std::{collections::BTreeMap, sync::Arc};

use landfall_app::{App, Name};
use landfall_deploy::Faults;
use landfall_ledger::{Begin, Clock, Finish};
use landfall_release::{
    Artifact, Content, MadeBy, Outcome, Purpose, Release, Rollout, SourceVersion, Step,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{Home, Settings, host::Host, server};

mod engine;

pub use engine::FakeEngine;

pub struct Bed {
    pub folder: TempDir,
    pub host: Arc<Host>,
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The app of a file, as it is in `local`.
pub fn app(text: &str) -> App {
    let text = format!("app = \"shop\"\n{text}");
    let (file, diagnostics) = landfall_app::read(text.as_bytes(), "landfall.toml");
    let file = file.unwrap_or_else(|| panic!("{}", diagnostics.render(false)));
    match file.resolve(&name("local")) {
        Ok(resolved) => resolved.app,
        Err(diagnostics) => panic!("{}", diagnostics.render(false)),
    }
}

impl Bed {
    pub fn new() -> Self {
        Self::with_ports((20_000, 29_999))
    }

    /// With these to lease.
    pub fn with_ports(ports: (u16, u16)) -> Self {
        Self::made(ports, Clock::system(), None)
    }

    /// With this clock.
    pub fn at(clock: Clock) -> Self {
        Self::made((20_000, 29_999), clock, None)
    }

    /// With this Engine.
    pub fn with_engine(engine: &FakeEngine) -> Self {
        Self::made((20_000, 29_999), Clock::system(), Some(engine.address()))
    }

    fn made(ports: (u16, u16), clock: Clock, engine: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let mut settings = Settings::new(home.clone(), "landfall".into(), "supervise".into());
        settings.port_range = ports;
        settings.engine = engine;
        let home = Home::open(&home).unwrap();
        let (host, _) = Host::open_at(settings, home, Faults::none(), clock).unwrap();
        Self { folder, host }
    }

    /// A release of an app with these secrets.
    pub fn release(&self, text: &str, secrets: &[(&str, &str)]) -> Release {
        let app = app(text);
        let (host, folder) = (&self.host, self.folder.path());
        host.ledger
            .ensure_environment(&app.app, &app.environment, folder)
            .unwrap();
        let mut versions = BTreeMap::new();
        for (secret, value) in secrets {
            let value = landfall_redact::Secret::new((*value).to_owned());
            let mac = host.identity.mac(secret, &value);
            let sealed = host.identity.seal(&value);
            let version = host
                .ledger
                .put_secret(&app.app, &app.environment, secret, &mac, &sealed)
                .unwrap();
            versions.insert((*secret).to_owned(), version);
        }
        let artifact = Artifact {
            digest: String::new(),
            folder: folder.to_owned(),
            path: vec![],
            environment: BTreeMap::new(),
            builder: "none".to_owned(),
            said: String::new(),
            size: 0,
            image: None,
        };
        let content = Content {
            source: SourceVersion {
                commit: None,
                branch: None,
                subject: None,
                dirty: false,
                tree: String::new(),
            },
            artifacts: app
                .services
                .keys()
                .map(|service| (service.clone(), artifact.clone()))
                .collect(),
            app,
            secrets: versions,
            files: BTreeMap::new(),
            made_by: MadeBy::Deploy,
        };
        host.ledger.add_release(content).unwrap()
    }

    /// A deployment of a release that was begun and not driven.
    pub fn begun(&self, release: &Release) -> Rollout {
        let begin = Begin {
            app: release.content.app.app.clone(),
            environment: release.content.app.environment.clone(),
            purpose: Purpose::Deploy,
            release: release.number,
            by: "ada@desk".to_owned(),
            steps: vec![Step::Lock, Step::Start, Step::Switch, Step::Unlock],
            prepared: None,
        };
        self.host.ledger.begin_deployment(begin).unwrap()
    }

    pub fn finish(&self, rollout: &Rollout) {
        let finish = Finish {
            outcome: Outcome::Done,
            live: Some(rollout.release),
            took: 5,
            requests: 0,
            failed_requests: 0,
            failure: None,
        };
        self.host.ledger.finish_deployment(rollout, finish).unwrap();
    }

    /// Serves on the host's socket, for as long as what comes out isn't dropped.
    pub fn serve(&self) -> (landfall_api::Client, Serving) {
        let socket = Home::socket(self.host.home.root());
        let listener = server::bind(&socket).unwrap();
        let serving = tokio::spawn(server::serve(self.host.clone(), listener));
        (landfall_api::Client::new(socket), Serving(serving))
    }
}

pub struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}
