//! Images: built from the sources, or taken from a registry; scanned and published. The user's own
//! `docker` does it, so that its cache, its plugins and its logins are at hand; what the Engine has is
//! asked of the Engine itself, which is quick.

mod arguments;
mod configuration;
mod desk;
mod dockerfile;
mod engine;
mod error;
mod findings;
mod made;
mod output;
mod program;
mod publish;
mod pull;
mod put_in;
mod recipe;
mod reference;
mod scan;
mod supervisor;
mod transfer;
mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::Path,
    sync::atomic::AtomicBool,
};

use landfall_containers::{EngineAddress, Image};
use landfall_redact::Secret;
use landfall_release::{Artifact, Failure, ImageArtifact};

pub use configuration::Login;
pub use desk::docker_environment;
pub use error::ImageError;
pub use made::{Recipe, build_image};
pub use publish::{Published, publish_image};
pub use pull::take_image;
pub use put_in::put_files;
pub use recipe::find_dockerfile;
pub use reference::registry;
pub use scan::{Scanned, scan_image};
pub use trial::{Trial, Tried, try_build};

use crate::{digest::Parts, store};

/// The label of images that a host's releases are made of: which host it is, see [`host_mark`].
/// Containers inherit an image's labels, so that it isn't the one by which a host knows its own.
pub const BUILT_FOR: &str = "landfall.built-for";

/// Whether a name of an image that was built for an app, which these labels are of, was given to it
/// here: in its build, or when it was published to one of these repositories.
#[must_use]
pub fn is_given_name(
    name: &str,
    app: &str,
    labels: &BTreeMap<String, String>,
    repositories: &BTreeSet<String>,
) -> bool {
    let digest = labels.get(landfall_containers::label::ARTIFACT);
    let digest = digest.map(|digest| store::name(digest));
    reference::is_given(name, app, digest.as_deref().unwrap_or(""), repositories)
}

/// A host by its state folder, in a way that may stand on a published image.
#[must_use]
pub fn host_mark(home: &Path) -> String {
    let path = home.as_os_str().as_encoded_bytes();
    let mut mark = Parts::default().with("home", path).finish();
    mark.truncate(16);
    mark
}

/// What every command about an image needs.
#[derive(Clone, Copy)]
pub struct ImageRequest<'a> {
    /// The app's name.
    pub app: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// The host's state folder.
    pub home: &'a Path,
    /// The Engine.
    pub engine: &'a EngineAddress,
    /// Where private scratch folders may go.
    pub scratch: &'a Path,
    /// What docker sees of the surroundings; made by [`docker_environment`].
    pub variables: &'a BTreeMap<OsString, OsString>,
    /// Logins of the app file for the registries that are used.
    pub logins: &'a [Login],
    /// The values of `build.secrets`; masked in all output.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// Ask the registries for what is newer than what the Engine has.
    pub fresh: bool,
    /// The static supervisor's program, or why there is none: for Dockerfiles that take it from its image.
    pub supervisor: Result<&'a Path, &'a Failure>,
    /// Set to stop it.
    pub cancelled: &'a AtomicBool,
}

/// An image that was built or taken, as an artifact.
#[derive(Debug, Clone)]
pub struct Made {
    /// The artifact; what it says of itself doesn't depend on whether anything had to be done.
    pub artifact: Artifact,
    /// What was done, in a few words.
    pub said: String,
    /// Whether anything had to be done.
    pub new: bool,
}

impl Made {
    /// The image.
    #[must_use]
    pub fn image(&self) -> Option<&ImageArtifact> {
        self.artifact.image.as_ref()
    }
}

/// What the Engine has, as an artifact.
fn artifact(
    found: Image,
    reference: &str,
    repository: &str,
    builder: &str,
    said: &str,
) -> Artifact {
    let digest = reference::digest_of(repository, &found.digests).cloned();
    Artifact {
        digest: Parts::default()
            .with("builder", builder)
            .with("image", &found.id)
            .finish(),
        folder: std::path::PathBuf::new(),
        path: Vec::new(),
        environment: BTreeMap::new(),
        builder: builder.to_owned(),
        said: said.to_owned(),
        size: found.size,
        image: Some(ImageArtifact {
            reference: reference.to_owned(),
            id: found.id,
            digest,
            config: found.config,
        }),
    }
}
