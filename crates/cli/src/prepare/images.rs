//! Images of services that run as containers: built, taken or given, scanned, published.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Instant,
};

use landfall_app::{
    App, Name,
    model::{Backing, Build, Runtime, Service, Source},
};
use landfall_build::{
    BuildError, ImageRequest, Login, Made, Progress, Recipe, Scanned, build_image,
    docker_environment, find_dockerfile, publish_image, put_files, scan_image, take_image,
};
use landfall_containers::EngineAddress;
use landfall_redact::Secret;
use landfall_release::{Artifact, Failure, ImageArtifact};

use crate::{
    app_file,
    arguments::Images as Arguments,
    context::Context,
    exit::Exit,
    host,
    prepare::{Sources, build},
    report::{Error, Result},
    view::steps::Steps,
};

/// What the command line says about images.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    /// Images given for services in place of what they are made of.
    pub given: Vec<(String, String)>,
    /// Look for newer images under the same names.
    pub fresh: bool,
    /// Publish or not, where that was said.
    pub publish: Option<bool>,
}

impl ImageOptions {
    /// Whether something is asked for that has to be done although nothing changes.
    pub fn ask(&self) -> bool {
        self.fresh || self.publish == Some(true)
    }
}

impl From<&Arguments> for ImageOptions {
    fn from(arguments: &Arguments) -> Self {
        let publish = match (arguments.push, arguments.no_push) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        Self {
            given: arguments.given.clone(),
            fresh: arguments.pull,
            publish,
        }
    }
}

/// Whether what is made of a service is an image.
pub fn is_image(service: &Service) -> bool {
    match &service.source {
        Source::Image(_) => true,
        Source::Build(_) => service.runtime == Runtime::Container && service.static_files.is_none(),
        Source::SameAs(_) => false,
    }
}

/// Whether the Engine needs an image for a backing service.
pub fn is_container(backing: &Backing) -> bool {
    backing.own() && backing.runtime == Runtime::Container
}

/// Puts given images in the place of what services are made of.
pub fn give(app: &mut App, given: &[(String, String)]) -> Result {
    for (name, reference) in given {
        let usage = |error: Error| Error {
            exit: Exit::Usage,
            ..error
        };
        let known: Vec<Name> = app.services.keys().cloned().collect();
        let service = name
            .parse::<Name>()
            .ok()
            .and_then(|name| app.services.get_mut(&name))
            .ok_or_else(|| {
                Error::new("unknown-service", format!("the app has no service {name}"))
                    .with("it has", crate::view::plain::names(&known))
            })?;
        if service.static_files.is_some() || service.runtime == Runtime::Process {
            return Err(usage(Error::new(
                "bad-arguments",
                format!("{name} runs without a container, so that it can't be an image"),
            ))
            .mend(format!("set runtime = \"container\" in [service.{name}]")));
        }
        service.source = Source::Image(reference.clone());
    }
    Ok(())
}

/// Refuses what can't be built, before anything is.
pub fn check(sources: &Sources) -> Result {
    for (name, service) in &sources.resolved.app.services {
        let Source::Build(build) = &service.source else {
            continue;
        };
        if service.static_files.is_some() && build.dockerfile.is_some() {
            return Err(Error::new(
                "not-built-yet",
                format!("{name} is a folder of static files that a Dockerfile makes, which this version can't do yet"),
            )
            .mend("let build = { run = \"…\" } make it, or serve the files from the image: take `static` out"));
        }
        if !is_image(service) {
            continue;
        }
        if build.run.is_some() {
            return Err(Error::new(
                "not-built-yet",
                format!("{name} runs as a container and is built by `run`, which this version can't do yet"),
            )
            .mend("name a Dockerfile, or set runtime = \"process\""));
        }
        find_dockerfile(&sources.snapshot, name.as_str(), &service.root, build)?;
    }
    Ok(())
}

/// The static supervisor's program, which some Dockerfiles take from an image that is made of it.
pub fn supervisor(context: &Context) -> std::result::Result<PathBuf, Failure> {
    let settings = host::settings(&context.environment, false)
        .map_err(|error| error.failure.map(|failure| *failure))
        .map_err(|failure| {
            failure
                .unwrap_or_else(|| Failure::new("tool-missing", "there is no landfall-supervise"))
        })?;
    let beside = settings
        .supervise_program
        .with_file_name("landfall-supervise-static");
    let program = match settings.supervise_static {
        Some(named) => named,
        None if beside.is_file() => beside,
        None => settings.supervise_program,
    };
    let why = match landfall_supervise::program::is_static(&program) {
        Ok(true) => return Ok(program),
        Ok(false) => "it needs the system's own libraries".to_owned(),
        Err(error) => error.to_string(),
    };
    let said = format!("{} can't run in containers: {why}", program.display());
    Err(Failure::new("supervisor-not-static", said).with(
        "mend",
        "`make install` installs one that can; LANDFALL_SUPERVISE_STATIC names one that is elsewhere",
    ))
}

/// All images of one deployment.
pub struct Images<'a> {
    context: &'a Context,
    sources: &'a Sources,
    around: Around<'a>,
}

/// What is the same for all of them.
struct Around<'a> {
    app: &'a Name,
    home: &'a Path,
    engine: EngineAddress,
    variables: BTreeMap<OsString, OsString>,
    scratch: PathBuf,
    logins: &'a [Login],
    supervisor: std::result::Result<PathBuf, Failure>,
    fresh: bool,
}

impl Around<'_> {
    fn request<'r>(
        &'r self,
        name: &'r Name,
        secrets: &'r BTreeMap<String, Secret>,
        cancelled: &'r AtomicBool,
    ) -> ImageRequest<'r> {
        ImageRequest {
            app: self.app.as_str(),
            service: name.as_str(),
            home: self.home,
            engine: &self.engine,
            scratch: &self.scratch,
            variables: &self.variables,
            logins: self.logins,
            secrets,
            supervisor: self.supervisor.as_deref(),
            fresh: self.fresh,
            cancelled,
        }
    }
}

impl<'a> Images<'a> {
    /// Nothing is asked of the Engine yet.
    pub fn new(context: &'a Context, sources: &'a Sources) -> Result<Self> {
        let environment = &context.environment;
        let engine = EngineAddress::from_environment(
            environment.engine.as_deref(),
            environment.runtime_folder.as_deref(),
            rustix::process::geteuid().is_root(),
        )
        .map_err(Failure::from)?;
        let around = Around {
            app: &sources.resolved.app.app,
            home: &environment.home,
            engine,
            variables: docker_environment(std::env::vars_os()),
            scratch: environment.home.join("scratch"),
            logins: &sources.logins.known,
            supervisor: supervisor(context),
            fresh: sources.images.fresh,
        };
        Ok(Self {
            context,
            sources,
            around,
        })
    }

    /// Runs something about a service's image as a step, with its news and Ctrl-C heeded.
    fn step<T: Send>(
        &self,
        step: &str,
        name: &Name,
        secrets: &BTreeMap<String, Secret>,
        steps: &mut Steps<'_>,
        work: impl FnOnce(&ImageRequest<'_>, &dyn Fn(Progress)) -> std::result::Result<T, BuildError>
        + Send,
    ) -> Result<(T, u64)> {
        let began = Instant::now();
        steps.begin(step, name.as_str());
        let around = &self.around;
        let done = build::watched(self.context, name, steps, |cancelled, tell| {
            work(&around.request(name, secrets, cancelled), tell)
        });
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match done {
            Ok(done) => Ok((done, took)),
            Err(error) => {
                steps.failed(step, name.as_str(), took);
                Err(self.explained(error))
            }
        }
    }

    /// What a registry refused, with the login that the file has for it and that lacks its secret.
    fn explained(&self, error: Error) -> Error {
        let is_denied = error
            .failure
            .as_ref()
            .is_some_and(|failure| failure.name == "registry-denied");
        let lacking = &self.sources.logins.lacking;
        if !is_denied || lacking.is_empty() {
            return error;
        }
        let lines: Vec<_> = lacking
            .iter()
            .map(|(host, names)| format!("{host}: no value for {}", names.join(", ")))
            .collect();
        error.with("logins left out", lines.join("\n"))
    }

    /// Builds or takes the image of a service.
    pub fn make(
        &self,
        name: &Name,
        service: &Service,
        arguments: &BTreeMap<String, String>,
        steps: &mut Steps<'_>,
    ) -> Result<(Made, &'static str, u64)> {
        let sources = self.sources;
        match &service.source {
            Source::Image(reference) => {
                let pinned = sources
                    .live
                    .get(name)
                    .and_then(|artifact| artifact.image.as_ref());
                let none = BTreeMap::new();
                let (made, took) = self.step("pull", name, &none, steps, |request, tell| {
                    take_image(request, reference, pinned, tell)
                })?;
                Ok((made, "pull", took))
            }
            Source::Build(build) => {
                let secrets = self.secrets(build);
                let now = jiff::Timestamp::now().to_string();
                let recipe = Recipe {
                    snapshot: &sources.snapshot,
                    root: &service.root,
                    build,
                    arguments,
                    now: &now,
                };
                let (made, took) = self.step("build", name, &secrets, steps, |request, tell| {
                    build_image(request, &recipe, tell)
                })?;
                Ok((made, "build", took))
            }
            Source::SameAs(_) => Err(Error::new("bad-request", "the same image is made once")),
        }
    }

    /// Takes the image of a backing service that runs as a container; what was done, if anything was.
    pub fn backing(
        &self,
        name: &Name,
        backing: &Backing,
        steps: &mut Steps<'_>,
    ) -> Result<Option<(String, u64)>> {
        let reference = landfall_host::image_reference(backing);
        let none = BTreeMap::new();
        let (made, took) = self.step("pull", name, &none, steps, |request, tell| {
            take_image(request, &reference, None, tell)
        })?;
        Ok(made.new.then_some((made.said, took)))
    }

    fn secrets(&self, build: &Build) -> BTreeMap<String, Secret> {
        let named = build.secrets.iter();
        named
            .filter_map(|name| Some((name.clone(), self.sources.secrets.get(name)?.clone())))
            .collect()
    }

    /// Scans an image where the file says so, or where it is new and there is a scanner; what came of it.
    pub fn scan(
        &self,
        name: &Name,
        service: &Service,
        made: &Made,
        steps: &mut Steps<'_>,
    ) -> Result<Option<(String, u64)>> {
        let Some(image) = made.image() else {
            return Ok(None);
        };
        if service.scan.is_none() && !made.new {
            return Ok(None);
        }
        let none = BTreeMap::new();
        let (scanned, took) = self.step("scan", name, &none, steps, |request, tell| {
            scan_image(request, image, service.scan, tell)
        })?;
        Ok(match scanned {
            Scanned::Found(said) => Some((said, took)),
            Scanned::Not(said) if service.scan.is_some() => Some((said, took)),
            // Nobody asked for it.
            Scanned::Not(_) => None,
        })
    }

    /// Whether images are published in this deployment.
    pub fn publishes(&self) -> bool {
        let elsewhere = self.sources.place.environment != app_file::local();
        self.sources.images.publish.unwrap_or(elsewhere)
    }

    /// Publishes an image; what came of it, and its digest.
    pub fn publish(
        &self,
        name: &Name,
        image: &ImageArtifact,
        to: &str,
        steps: &mut Steps<'_>,
    ) -> Result<(String, Option<String>, u64)> {
        let none = BTreeMap::new();
        let version = &self.sources.snapshot.version;
        let (published, took) = self.step("push", name, &none, steps, |request, tell| {
            publish_image(request, image, to, version, tell)
        })?;
        Ok((published.said, published.digest, took))
    }

    /// Puts the files that a service names into its artifact.
    pub fn put_files(&self, service: &Service, artifact: Artifact) -> Result<Artifact> {
        if service.files.is_empty() || artifact.image.is_none() {
            return Ok(artifact);
        }
        let artifacts = build::artifacts_folder(self.context, self.sources)?;
        let never = AtomicBool::new(false);
        let files = &service.files;
        Ok(put_files(
            artifact,
            files,
            &self.sources.snapshot,
            &artifacts,
            &never,
        )?)
    }
}
