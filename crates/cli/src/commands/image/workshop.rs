//! Where images are tried: a private folder, a label of its own, and nothing left of either at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use landfall_build::{
    BuildError, ImageError, ImageRequest, Progress, Scanned, Trial, docker_environment, scan_image,
    try_build,
};
use landfall_containers::{Engine, EngineAddress, Image, Labels};
use landfall_doctor::{Base, Looked, Project};
use landfall_release::{Failure, ImageArtifact};
use serde::Serialize;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    folder,
    layers::{self, Sizes},
    subject::Recipe,
    trial::{self, Ran},
};
use crate::{
    context::Context,
    report::{Error, Result},
};

/// On everything that is made here; its value is the private folder's name.
const LABEL: &str = "landfall.advice";

/// What is said where docker isn't at its own work.
type Tell<'t> = &'t dyn Fn(Progress);
type Tried<T> = std::result::Result<T, BuildError>;

/// The workshop. What was made in it goes with it, also on Ctrl-C.
pub struct Workshop {
    runtime: Runtime,
    engine: Engine,
    address: EngineAddress,
    variables: BTreeMap<OsString, OsString>,
    home: PathBuf,
    supervisor: std::result::Result<PathBuf, Failure>,
    folder: TempDir,
    /// Held as long as this lives: what nobody holds was left by one that was killed.
    _lock: File,
    name: String,
}

/// A Dockerfile as it was built.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    /// Bytes of all files in its layers.
    pub bytes: u64,
    /// The same compressed, as a registry keeps it.
    pub compressed: Option<u64>,
    pub layers: usize,
    /// Bytes of the context that the builder may take.
    pub sent: u64,
    pub sent_files: usize,
    /// Seconds of a build that uses nothing of earlier ones.
    pub build: f64,
    pub change: Option<Change>,
    pub user: String,
    pub ran: Ran,
    #[serde(skip)]
    pub looked: Looked,
    #[serde(skip)]
    pub image: Image,
}

/// What a one-line change of the sources costs.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    pub file: String,
    pub seconds: f64,
    /// Layers that are others afterwards, of all.
    pub layers: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What is built: a Dockerfile's text, and the ignore file where it isn't the one that is there.
#[derive(Clone, Copy)]
pub struct Variant<'a> {
    pub name: &'a str,
    pub dockerfile: &'a str,
    pub ignore: Option<&'a str>,
    /// The file to change a line of.
    pub change: Option<&'a str>,
}

impl Workshop {
    /// Connects to the Engine, and clears away what a killed one left.
    pub fn new(context: &Context) -> Result<Self> {
        let environment = &context.environment;
        let address = EngineAddress::from_environment(
            environment.engine.as_deref(),
            environment.runtime_folder.as_deref(),
            rustix::process::geteuid().is_root(),
        )
        .map_err(Failure::from)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new("host-failed", format!("can't start the runtime: {error}"))
            })?;
        let engine = runtime
            .block_on(Engine::connect(&address))
            .map_err(Failure::from)?;
        let scratch = environment.home.join("scratch");
        let unusable = |error: io::Error| Error::file(&scratch, "can't use", &error);
        fs::create_dir_all(&scratch).map_err(unusable)?;
        clear(&scratch, &runtime, &engine);
        let folder = tempfile::Builder::new()
            .prefix("advice-")
            .tempdir_in(&scratch)
            .map_err(unusable)?;
        let lock = File::create(folder.path().join("lock")).map_err(unusable)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| unusable(error.into()))?;
        let name = folder
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        Ok(Self {
            runtime,
            engine,
            address,
            variables: docker_environment(std::env::vars_os()),
            supervisor: crate::prepare::images::supervisor(context),
            home: environment.home.clone(),
            folder,
            _lock: lock,
            name,
        })
    }

    fn labels(&self) -> Labels {
        Labels::from([(LABEL.to_owned(), self.name.clone())])
    }

    fn request<'r>(
        &'r self,
        service: &'r str,
        cancelled: &'r AtomicBool,
        scratch: &'r Path,
        none: &'r BTreeMap<String, landfall_redact::Secret>,
    ) -> ImageRequest<'r> {
        ImageRequest {
            app: "advice",
            service,
            home: &self.home,
            engine: &self.address,
            scratch,
            variables: &self.variables,
            logins: &[],
            secrets: none,
            supervisor: self.supervisor.as_deref(),
            fresh: false,
            cancelled,
        }
    }

    /// What the Engine has of base images.
    pub fn bases(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, Base>> {
        let mut bases = BTreeMap::new();
        for name in names {
            if let Some(found) = self.image(name)? {
                let repository = name.split('@').next().unwrap_or(name);
                let repository = match repository.rsplit_once(':') {
                    Some((repository, tag)) if !tag.contains('/') => repository,
                    _ => repository,
                };
                let digest = found
                    .digests
                    .iter()
                    .find_map(|digest| digest.strip_prefix(repository)?.strip_prefix('@'));
                let base = Base {
                    digest: digest.map(str::to_owned),
                    directory: found.config.directory.clone(),
                    user: found.config.user.clone(),
                    health: found.config.health_check.is_some(),
                };
                bases.insert(name.clone(), base);
            }
        }
        Ok(bases)
    }

    /// An image that the Engine has.
    pub fn image(&self, reference: &str) -> Result<Option<Image>> {
        Ok(self
            .runtime
            .block_on(self.engine.image(reference))
            .map_err(Failure::from)?)
    }

    /// A copy of the context that can be changed.
    pub fn copy(&self, recipe: &Recipe) -> Result<PathBuf> {
        let to = self.folder.path().join("context");
        folder::copy(&recipe.folder, &to)
            .map_err(|error| Error::file(&recipe.folder, "can't copy", &error))?;
        Ok(to)
    }

    /// Builds a variant, looks into it, starts it, and builds it again with one line changed.
    pub fn measure(
        &self,
        recipe: &Recipe,
        project: &Project,
        variant: Variant<'_>,
        sizes: &mut Sizes,
        cancelled: &AtomicBool,
        tell: Tell<'_>,
    ) -> Tried<Measured> {
        let shown = recipe.name();
        let context = self.folder.path().join("context");
        // Beside the context, so that the one that is in it is sent as it stands.
        let dockerfile = self
            .folder
            .path()
            .join(format!("Dockerfile.{}", variant.name));
        let written = fs::write(&dockerfile, variant.dockerfile).and_then(|()| {
            let inside = recipe
                .path
                .strip_prefix(&recipe.folder)
                .ok()
                .map(|path| context.join(path));
            if let Some(inside) = inside {
                folder::write(&inside, variant.dockerfile.as_bytes())?;
            }
            // Docker would look for one beside the Dockerfile, which isn't where it was.
            let there = context.join(".dockerignore");
            match variant.ignore.or(project.ignore.as_deref()) {
                Some(ignore) => folder::write(&there, ignore.as_bytes()),
                None if there.exists() => fs::remove_file(&there),
                None => Ok(()),
            }
        });
        written.map_err(|error| lost(&context, &error))?;
        let labels = self.labels();
        let name = format!("landfall-advice/{}:{}", self.name, variant.name);
        let none = BTreeMap::new();
        let request = self.request(&shown, cancelled, self.folder.path(), &none);
        let trial = Trial {
            context: &context,
            dockerfile: &dockerfile,
            shown: &shown,
            name: &name,
            labels: &labels,
            stage: recipe.stage.as_deref(),
            arguments: &recipe.arguments,
            anew: true,
        };
        let built = try_build(&request, &trial, tell)?;
        let image = self.found(&built.id)?;
        let looked = self.look(&built.id, sizes, cancelled, tell)?;
        let ran = self.run(&image, variant.name, recipe.port, cancelled, tell)?;
        let change = match variant.change {
            Some(file) => self.change(&request, &trial, &context, file, &image, &looked, tell)?,
            None => None,
        };
        let mut known = project.clone();
        if let Some(ignore) = variant.ignore {
            known.ignore = Some(ignore.to_owned());
        }
        let (sent, sent_files) = known.sent();
        Ok(Measured {
            bytes: looked.bytes(),
            compressed: looked.compressed(),
            layers: image.layers.len(),
            sent,
            sent_files,
            build: built.took.as_secs_f64(),
            change,
            user: match image.config.user.as_str() {
                "" => "root".to_owned(),
                user => user.to_owned(),
            },
            ran,
            looked,
            image,
        })
    }

    fn found(&self, id: &str) -> Tried<Image> {
        let found = self
            .runtime
            .block_on(self.engine.image(id))
            .map_err(|error| failed(error.into()))?;
        found.ok_or_else(|| {
            failed(Failure::new(
                "image-failed",
                "docker built the image, and the Engine doesn't have it",
            ))
        })
    }

    /// Looks into an image's layers.
    pub fn look(
        &self,
        image: &str,
        sizes: &mut Sizes,
        cancelled: &AtomicBool,
        tell: Tell<'_>,
    ) -> Tried<Looked> {
        tell(Progress::Said("looking into the layers".to_owned()));
        let known = std::mem::take(sizes);
        let read = self
            .runtime
            .block_on(layers::read(&self.engine, image, known, cancelled));
        let (looked, known) = read.map_err(|error| failed(error.into()))?;
        *sizes = known;
        go_on(cancelled)?;
        looked.map_err(|error| {
            failed(Failure::new(
                "image-failed",
                format!("the image's layers can't be read: {error}"),
            ))
        })
    }

    /// Starts an image, and ends it.
    pub fn run(
        &self,
        image: &Image,
        name: &str,
        port: Option<u16>,
        cancelled: &AtomicBool,
        tell: Tell<'_>,
    ) -> Tried<Ran> {
        tell(Progress::Said(
            "starting it, and ending it by TERM".to_owned(),
        ));
        let name = format!("landfall-{}-{name}", self.name);
        let labels = self.labels();
        let ran = self.runtime.block_on(trial::run(
            &self.engine,
            image,
            &name,
            &labels,
            port,
            cancelled,
        ));
        go_on(cancelled)?;
        ran.map_err(|error| failed(error.into()))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one build, and the same again with one line more"
    )]
    fn change(
        &self,
        request: &ImageRequest<'_>,
        trial: &Trial<'_>,
        context: &Path,
        file: &str,
        image: &Image,
        looked: &Looked,
        tell: Tell<'_>,
    ) -> Tried<Option<Change>> {
        let path = context.join(file);
        let before = fs::read(&path).map_err(|error| lost(&path, &error))?;
        let mut after = before.clone();
        // A line that says nothing in any language, and that no earlier advice has built already.
        after.push(b'\n');
        for byte in self.name.bytes() {
            let bits = (0..8).map(|bit| if byte >> bit & 1 == 0 { b' ' } else { b'\t' });
            after.extend(bits);
        }
        after.push(b'\n');
        folder::write(&path, &after).map_err(|error| lost(&path, &error))?;
        tell(Progress::Said(format!(
            "building again with a line more in {file}"
        )));
        let name = format!("{}-changed", trial.name);
        let again = Trial {
            name: &name,
            anew: false,
            ..*trial
        };
        let built = try_build(request, &again, tell);
        folder::write(&path, &before).map_err(|error| lost(&path, &error))?;
        let built = built?;
        let changed = self.found(&built.id)?;
        let same = image
            .layers
            .iter()
            .zip(&changed.layers)
            .take_while(|(one, other)| one == other)
            .count();
        let bytes = looked
            .layers
            .iter()
            .skip(same)
            .map(|layer| layer.bytes)
            .sum();
        Ok(Some(Change {
            file: file.to_owned(),
            seconds: built.took.as_secs_f64(),
            layers: changed.layers.len().saturating_sub(same),
            bytes,
        }))
    }

    /// Known vulnerabilities, by the scanner and the database that are there.
    pub fn scan(
        &self,
        image: &Image,
        reference: &str,
        cancelled: &AtomicBool,
        tell: Tell<'_>,
    ) -> Tried<Scanned> {
        let none = BTreeMap::new();
        let request = self.request("the image", cancelled, self.folder.path(), &none);
        let artifact = ImageArtifact {
            reference: reference.to_owned(),
            id: image.id.clone(),
            digest: None,
            config: image.config.clone(),
        };
        scan_image(&request, &artifact, None, tell)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        sweep(&self.runtime, &self.engine, &self.name);
    }
}

/// Removes what has this label's value: containers first, since they hold images.
fn sweep(runtime: &Runtime, engine: &Engine, name: &str) {
    let labels = Labels::from([(LABEL.to_owned(), name.to_owned())]);
    runtime.block_on(async {
        for container in engine.containers(&labels).await.unwrap_or_default() {
            let _ = engine.remove(&container.id, true).await;
        }
        for image in engine.images(&labels).await.unwrap_or_default() {
            for tag in &image.tags {
                let _ = engine.remove_image(tag).await;
            }
            let _ = engine.remove_image(&image.id).await;
        }
    });
}

/// What one that was killed left: its folder, which nobody holds any more, names the rest.
fn clear(scratch: &Path, runtime: &Runtime, engine: &Engine) {
    for entry in fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("advice-") {
            continue;
        }
        let free = File::open(entry.path().join("lock")).is_ok_and(|lock| {
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
        });
        if free {
            sweep(runtime, engine, &name.to_lowercase());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn go_on(cancelled: &AtomicBool) -> Tried<()> {
    match cancelled.load(Ordering::Relaxed) {
        true => Err(BuildError::Cancelled),
        false => Ok(()),
    }
}

fn failed(failure: Failure) -> BuildError {
    ImageError::Engine(Box::new(failure)).into()
}

fn lost(path: &Path, error: &io::Error) -> BuildError {
    failed(Failure::new(
        "file-unusable",
        format!("can't write {}: {error}", path.display()),
    ))
}
