//! An Engine, a name and a label for each test, and nothing left of it afterwards.

use futures_util::FutureExt as _;
use landfall_containers::{ContainerSpecification, Engine, EngineAddress, Labels, label};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, resume_unwind},
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What a test has.
pub struct Place {
    pub engine: Engine,
    /// The id of an image with busybox and some settings.
    pub image: String,
    /// A folder of the test's own, which is also what its things are labelled with.
    pub folder: TempDir,
    name: &'static str,
}

impl Place {
    /// A name on the Engine that only this test of this run uses.
    pub fn name(&self, what: &str) -> String {
        format!("landfall-test.{}.{}.{what}", self.name, std::process::id())
    }

    pub fn home(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    pub fn labels(&self) -> Labels {
        BTreeMap::from([(label::HOME.to_owned(), self.home().to_owned())])
    }

    /// A container that runs a line of shell.
    pub fn shell(&self, what: &str, line: &str) -> ContainerSpecification {
        ContainerSpecification {
            name: self.name(what),
            image: self.image.clone(),
            command: words(&["/bin/sh", "-c", line]),
            labels: self.labels(),
            ..ContainerSpecification::default()
        }
    }

    /// Makes and starts one.
    pub async fn started(&self, specification: &ContainerSpecification) -> String {
        let id = self.engine.create(specification).await.unwrap();
        self.engine.start(&specification.name, None).await.unwrap();
        id
    }

    /// Runs one to its end: exit code and what it wrote.
    pub async fn ran(&self, specification: &ContainerSpecification) -> (i64, String) {
        let mut output = Vec::new();
        let take = |_, bytes: &[u8]| output.extend_from_slice(bytes);
        let ended = self.engine.run_once(specification, None, take).await;
        let text = String::from_utf8(output).unwrap();
        (ended.unwrap().exit_code, text)
    }

    async fn sweep(&self) {
        for container in self.engine.containers(&self.labels()).await.unwrap() {
            self.engine.remove(&container.id, true).await.unwrap();
        }
        for network in self.engine.networks(&self.labels()).await.unwrap() {
            self.engine.remove_network(&network.name).await.unwrap();
        }
        for volume in self.engine.volumes(&self.labels()).await.unwrap() {
            self.engine.remove_volume(&volume.name).await.unwrap();
        }
    }
}

/// Runs a test, and sweeps also where it fails.
pub fn with(name: &'static str, test: impl AsyncFnOnce(&Place)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // A static program to make images of; scripts/test-engine takes one out of busybox:test.
        let busybox = std::env::var("LANDFALL_TEST_BUSYBOX").unwrap_or("/bin/busybox".to_owned());
        let busybox = Path::new(&busybox);
        assert!(
            busybox.exists(),
            "there is no {} to make an image from: run scripts/test-engine, or install busybox-static",
            busybox.display()
        );
        let engine = Engine::connect(&address()).await.unwrap();
        let place = Place {
            image: crate::image::made(&engine, busybox).await,
            engine,
            folder: tempfile::tempdir().unwrap(),
            name,
        };
        let ended = AssertUnwindSafe(test(&place)).catch_unwind().await;
        place.sweep().await;
        if let Err(panic) = ended {
            resume_unwind(panic);
        }
    });
}

pub fn address() -> EngineAddress {
    let given = std::env::var("DOCKER_HOST").ok();
    EngineAddress::from_environment(given.as_deref(), None, true).unwrap()
}

/// Waits until `look` gives something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
