//! A release: one immutable version of an app in an environment.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use landfall_app::{App, Name};
use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Number of a release, from 1 in each environment of an app.
    ReleaseNumber
);
number!(
    /// Number of a deployment, from 1 in each environment of an app.
    DeploymentNumber
);
number!(
    /// The live truth: grows with each switch of an environment; the edge refuses lower ones.
    Generation
);

/// A sealed release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Release {
    /// Its number.
    pub number: ReleaseNumber,
    /// SHA-256 over everything in it but number and time, in hexadecimal.
    pub digest: String,
    /// When it was sealed, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// What it is.
    pub content: Content,
}

/// What a release is made of; what the command submits and the host seals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Content {
    /// Where the code came from.
    pub source: SourceVersion,
    /// The resolved app.
    pub app: App,
    /// What was built, by service.
    pub artifacts: BTreeMap<Name, Artifact>,
    /// Versions of the secrets, by name. Filled in by whoever keeps the values.
    pub secrets: BTreeMap<String, u32>,
    /// Texts of the sources that are needed apart from any artifact, by their paths beside the app
    /// file: scripts for the first start of backing services.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Why it was made.
    pub made_by: MadeBy,
}

/// Why a release was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MadeBy {
    /// A build.
    Deploy,
    /// `scale` on an earlier release.
    Scale {
        /// Which.
        base: ReleaseNumber,
    },
    /// `secrets set` on an earlier release.
    Secrets {
        /// Which.
        base: ReleaseNumber,
    },
    /// `rollback --keep-secrets` to an earlier release.
    Rollback {
        /// Which.
        base: ReleaseNumber,
    },
}

/// Where the code came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SourceVersion {
    /// The commit; none without a repository.
    pub commit: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The commit's first line.
    pub subject: Option<String>,
    /// Whether there were uncommitted changes.
    pub dirty: bool,
    /// Digest of the source tree: git's tree id, or a hash of our own walk.
    pub tree: String,
}

impl SourceVersion {
    /// What people call it: the commit's first seven characters, or those of the tree.
    pub fn short(&self) -> &str {
        let id = self.commit.as_deref().unwrap_or(&self.tree);
        id.get(..7).unwrap_or(id)
    }
}

/// What a build made, at the path where it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Artifact {
    /// Digest of everything that went into it.
    pub digest: String,
    /// Its folder: where it was built and where it runs.
    pub folder: PathBuf,
    /// Folders put in front of `PATH`, relative to `folder`.
    pub path: Vec<String>,
    /// Variables that the builder needs set (`VIRTUAL_ENV`), weaker than all of the app file's.
    pub environment: BTreeMap<String, String>,
    /// Which builder made it: `python`, `node`, `run`, `static`, `none`.
    pub builder: String,
    /// In a few words: `requirements.txt, 38 packages`.
    pub said: String,
    /// Bytes on disk.
    pub size: u64,
    /// The image, where that is what was built or named; `folder` is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageArtifact>,
}

/// An image, pinned: what runs is found by `id`, whatever happens to its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageArtifact {
    /// How people call it: `postgres:15`, or the name that a build gave it.
    pub reference: String,
    /// The Engine's id: `sha256:…`.
    pub id: String,
    /// The registry's digest (`name@sha256:…`), where it came from or was published to one.
    pub digest: Option<String>,
    /// What its author set.
    pub config: ImageConfig,
}

/// What an image's author set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ImageConfig {
    /// ENTRYPOINT.
    pub entrypoint: Vec<String>,
    /// CMD.
    pub command: Vec<String>,
    /// ENV.
    pub environment: BTreeMap<String, String>,
    /// USER; empty: root.
    pub user: String,
    /// WORKDIR; empty: `/`.
    pub directory: String,
    /// STOPSIGNAL.
    pub stop_signal: Option<String>,
    /// HEALTHCHECK; none where there is none, or it is switched off.
    pub health_check: Option<HealthCheck>,
    /// EXPOSE, the TCP ports.
    pub ports: Vec<u16>,
    /// VOLUME.
    pub volumes: Vec<String>,
}

/// HEALTHCHECK of an image. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HealthCheck {
    /// Program and arguments; the shell form is written out.
    pub command: Vec<String>,
    /// Between two checks.
    pub interval: u64,
    /// For one check.
    pub timeout: u64,
    /// How long a start may take.
    pub start_period: u64,
    /// Failures in a row until it is unhealthy.
    pub retries: u32,
}
