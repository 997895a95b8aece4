//! A folder with code, and what a build of it needs.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, atomic::AtomicBool},
};

use landfall_app::model::{Build, Run};
use landfall_build::{
    BuildError, BuildRequest, Progress, Snapshot, SnapshotRequest, build, tool_environment,
};
use landfall_redact::Secret;
use landfall_release::Artifact;

pub struct Bed {
    pub temporary: tempfile::TempDir,
    pub tools: BTreeMap<OsString, OsString>,
    pub environment: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, Secret>,
    pub cancelled: AtomicBool,
    pub said: Mutex<Vec<Progress>>,
}

impl Bed {
    pub fn new() -> Self {
        Self {
            temporary: tempfile::tempdir().unwrap(),
            tools: tool_environment(std::env::vars_os()),
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            cancelled: AtomicBool::new(false),
            said: Mutex::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().canonicalize().unwrap().join(name)
    }

    pub fn put(&self, name: &str, content: &str) {
        let path = self.path("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn build(&self, how: &Build, static_files: Option<&str>) -> Result<Artifact, BuildError> {
        let scratch = self.path("artifacts/.scratch");
        let snapshot = Snapshot::take(&SnapshotRequest {
            folder: &self.path("source"),
            scratch: &scratch,
            exclude: &[],
        })?;
        let request = BuildRequest {
            app: "app",
            service: "web",
            snapshot: &snapshot,
            root: ".",
            build: how,
            static_files,
            artifacts: &self.path("artifacts"),
            cache: &self.path("cache"),
            environment: &self.environment,
            secrets: &self.secrets,
            tools: &self.tools,
            cancelled: &self.cancelled,
        };
        build(&request, &|progress| {
            self.said.lock().unwrap().push(progress)
        })
    }

    pub fn commands(&self) -> usize {
        self.said
            .lock()
            .unwrap()
            .iter()
            .filter(|said| matches!(said, Progress::Command(_)))
            .count()
    }

    /// Runs a command as a process of the artifact would be.
    pub fn run(artifact: &Artifact, words: &[&str]) -> String {
        let mut path: Vec<_> = artifact
            .path
            .iter()
            .map(|path| artifact.folder.join(path))
            .collect();
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let path = std::env::join_paths(path).unwrap();
        let mut command = Command::new("env");
        let output = command
            .args(words)
            .current_dir(&artifact.folder)
            .env("PATH", path)
            .envs(&artifact.environment)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

pub fn shell(text: &str) -> Build {
    Build {
        run: Some(Run::Shell(text.to_owned())),
        ..Build::default()
    }
}
