//! What can go wrong with images, by name, and how it is mended.

use landfall_release::Failure;

/// Why there is no image, or why it isn't used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There is no Dockerfile where one is needed.
    #[error("{service} has no Dockerfile: there is no {path} among the sources")]
    NoDockerfile {
        /// The service.
        service: String,
        /// Where it should be.
        path: String,
    },
    /// No `docker` on this machine can BuildKit, and this needs it.
    #[error("{service} needs BuildKit for {what}, and no docker on this machine has it")]
    NoBuildKit {
        /// The service.
        service: String,
        /// What needs it.
        what: String,
    },
    /// The registry has no such image.
    #[error("there is no image {reference}: {said}")]
    Unknown {
        /// The image.
        reference: String,
        /// Docker's words.
        said: String,
    },
    /// The registry doesn't let this user.
    #[error("{registry} doesn't let {reference} be {doing}: {said}")]
    Denied {
        /// `pulled`, `pushed`.
        doing: &'static str,
        /// The image.
        reference: String,
        /// The registry's host.
        registry: String,
        /// Docker's words.
        said: String,
    },
    /// The registry can't be reached.
    #[error("the registry {registry} can't be reached: {said}")]
    Unreachable {
        /// The registry's host.
        registry: String,
        /// Docker's words.
        said: String,
    },
    /// The Engine's disk is full.
    #[error("the image can't be {doing}, the Docker Engine's disk is full: {said}")]
    DiskFull {
        /// `built`, `pulled`.
        doing: &'static str,
        /// Docker's words.
        said: String,
    },
    /// The image isn't made for this machine.
    #[error("{reference} is not made for this machine's processor: {said}")]
    Architecture {
        /// The image.
        reference: String,
        /// Docker's words.
        said: String,
    },
    /// Docker refuses in words that say nothing of the above.
    #[error("{reference} can't be {doing}: {said}")]
    Transfer {
        /// `pulled`, `pushed`.
        doing: &'static str,
        /// The image.
        reference: String,
        /// Docker's words.
        said: String,
    },
    /// The scan found what the file doesn't allow.
    #[error(
        "{service}'s image has vulnerabilities: {count}; the app file allows none that is {least} or worse"
    )]
    Vulnerable {
        /// The service.
        service: String,
        /// `2 critical, 5 high`.
        count: String,
        /// The least severity that stops a deployment.
        least: &'static str,
        /// The worst, one a line.
        worst: Vec<String>,
    },
    /// Nothing could be scanned although the file requires it.
    #[error("{service}'s image is not scanned, and the app file requires that it is: {why}")]
    NotScanned {
        /// The service.
        service: String,
        /// Why.
        why: String,
    },
    /// The Engine's own trouble.
    #[error("{0}")]
    Engine(Box<Failure>),
}

impl ImageError {
    /// The error's stable name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::NoDockerfile { .. } => "no-dockerfile",
            Self::NoBuildKit { .. } => "no-buildkit",
            Self::Unknown { .. } => "unknown-image",
            Self::Denied { .. } => "registry-denied",
            Self::Unreachable { .. } => "registry-unreachable",
            Self::DiskFull { .. } => "disk-full",
            Self::Architecture { .. } => "wrong-architecture",
            Self::Transfer { .. } => "image-failed",
            Self::Vulnerable { .. } => "vulnerable",
            Self::NotScanned { .. } => "not-scanned",
            Self::Engine(failure) => &failure.name,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn mend(&self) -> Option<String> {
        Some(match self {
            Self::NoDockerfile { .. } => "name it: build = { dockerfile = \"…\" }, relative to `root`; \
                 what git ignores is not among the sources"
                .to_owned(),
            Self::NoBuildKit { .. } => "install its plugin: sudo apt install docker-buildx-plugin (of Docker) or \
                 docker-buildx (of Debian and Ubuntu)"
                .to_owned(),
            Self::Unknown { reference, .. } => format!("look at its name and tag; docker pull {reference} should work"),
            Self::Denied { registry, .. } => format!(
                "log in: docker login {registry}, or [registry.\"{registry}\"] with username and password in landfall.toml; \
                 a name that isn't there is refused in the same words"
            ),
            Self::Unreachable { .. } => "see to the network or the proxy of the Docker Engine, then again".to_owned(),
            Self::DiskFull { .. } => "docker system df says what takes it; docker builder prune frees what builds keep".to_owned(),
            Self::Architecture { .. } => "take an image for this processor, or a tag that has several".to_owned(),
            Self::Vulnerable { .. } => "take newer base images (landfall deploy --pull) and packages; or change `scan` in landfall.toml".to_owned(),
            Self::NotScanned { .. } => "install trivy or grype and fetch its database (trivy image --download-db-only, grype db update), \
                 or take `required` out of `scan`"
                .to_owned(),
            Self::Transfer { .. } | Self::Engine(_) => return None,
        })
    }

    /// The same as it is shown and kept.
    #[must_use]
    pub fn failure(&self) -> Failure {
        if let Self::Engine(failure) = self {
            return (**failure).clone();
        }
        let mut failure = Failure::new(self.name(), self.to_string());
        if let Self::Vulnerable { worst, .. } = self {
            failure = failure.with("the worst", worst.join("\n"));
        }
        match self.mend() {
            Some(mend) => failure.with("mend", mend),
            None => failure,
        }
    }
}
