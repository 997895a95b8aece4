//! A build: which builder, under which digest, and the artifact that comes of it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use landfall_app::model::Build;
use landfall_redact::{Masker, Secret};
use landfall_release::Artifact;

use crate::{
    digest::Parts,
    error::BuildError,
    files::{inside, move_to, remove, size},
    node,
    progress::Progress,
    python, run,
    snapshot::Snapshot,
    store::{self, Marker, Store},
    tool::Tools,
};

/// Counted up when builders make something else of the same sources.
const VERSION: &str = "1";

/// What is built, and where.
#[derive(Clone, Copy)]
pub struct BuildRequest<'a> {
    /// The app's name.
    pub app: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// The sources.
    pub snapshot: &'a Snapshot,
    /// The service's root, relative to the app file.
    pub root: &'a str,
    /// How the file says it is built.
    pub build: &'a Build,
    /// The folder of static files that is served.
    pub static_files: Option<&'a str>,
    /// The folder of all artifacts, on the filesystem where they run.
    pub artifacts: &'a Path,
    /// Where caches are kept from build to build.
    pub cache: &'a Path,
    /// `build.env`, with every reference resolved.
    pub environment: &'a BTreeMap<String, String>,
    /// The values of `build.secrets`: given as variables, masked in the output.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// What programs see of the surroundings; made by [`crate::tool_environment`].
    pub tools: &'a BTreeMap<OsString, OsString>,
    /// Set to stop the build.
    pub cancelled: &'a AtomicBool,
}

/// Said of what an earlier build made.
const CACHED: &str = ", cached";

/// Which builder, with what it found out about its interpreter.
#[derive(Debug)]
enum Builder {
    Run,
    Python(python::Python),
    Node(node::Node),
    Static,
    None,
}

/// What a builder made of the folder.
#[derive(Debug, Default)]
pub struct Made {
    /// In a few words.
    pub said: String,
    /// Variables to set.
    pub environment: BTreeMap<String, String>,
    /// Layers referred to.
    pub layers: Vec<String>,
}

/// Everything a builder works with.
pub struct Work<'a> {
    pub request: &'a BuildRequest<'a>,
    pub tools: &'a Tools<'a>,
    pub store: &'a Store<'a>,
    /// What is built of the snapshot.
    pub root: &'a str,
    /// The artifact's folder, with the sources in it.
    pub folder: &'a Path,
}

/// Builds a service, or finds what an earlier build made of the same sources.
pub fn build(
    request: &BuildRequest<'_>,
    progress: &dyn Fn(Progress),
) -> Result<Artifact, BuildError> {
    // Programs run elsewhere: a relative path would lead them astray.
    let cache =
        std::path::absolute(request.cache).map_err(BuildError::file(request.cache, "found"))?;
    let request = &BuildRequest {
        cache: &cache,
        ..*request
    };
    let (masker, warnings) = Masker::new(
        request
            .secrets
            .iter()
            .map(|(name, value)| (name, value.expose())),
    );
    warnings
        .into_iter()
        .for_each(|warning| progress(Progress::Warning(warning)));
    let mut environment = request.tools.clone();
    for (name, value) in request.environment {
        environment.insert(name.into(), value.into());
    }
    for (name, value) in request.secrets {
        environment.insert(name.into(), value.expose().into());
    }
    let tools = Tools {
        service: request.service,
        environment,
        masker,
        cancelled: request.cancelled,
        progress,
    };
    tools.check()?;
    let mut root = inside(request.root)?;
    if let Some(context) = &request.build.context {
        root.push(inside(context)?);
    }
    let path = root.to_string_lossy();
    let no_root = || BuildError::NoRoot {
        service: request.service.to_owned(),
        root: format!(
            "{}/{}",
            request.root,
            request.build.context.as_deref().unwrap_or_default()
        )
        .trim_end_matches('/')
        .to_owned(),
    };
    // An app whose programs lie elsewhere has nothing but its app file, and that is no source.
    let source = match request.snapshot.digest(&path)? {
        Some(source) => source,
        None if root.as_os_str().is_empty() => NOTHING.to_owned(),
        None => return Err(no_root()),
    };
    let files = request.snapshot.files(&path)?;
    if files.iter().any(|file| file.as_os_str().is_empty()) {
        return Err(no_root());
    }
    let builder = choose(request, &tools, &files)?;
    let digest = digest(request, &builder, &source, &root);
    let name = store::name(&digest);
    let store = Store::open(request.artifacts, request.cancelled)?;
    let cached = |marker: Marker| {
        let artifact = marker.artifact?;
        let said = artifact.said.trim_end_matches(CACHED);
        Some(Artifact {
            said: format!("{said}{CACHED}"),
            ..artifact
        })
    };
    if let Some(artifact) = store.complete(&name, &digest).and_then(cached) {
        return Ok(artifact);
    }
    let waits = || {
        progress(Progress::Said(
            "waiting for another build of the same".to_owned(),
        ))
    };
    let place = match store.take(&name, &digest, waits)? {
        Ok(marker) => match cached(marker) {
            Some(artifact) => return Ok(artifact),
            None => return Err(no_root()),
        },
        Err(place) => place,
    };
    let folder = place.folder.clone();
    let work = Work {
        request,
        tools: &tools,
        store: &store,
        root: &path,
        folder: &folder,
    };
    let made = work.make(&builder).inspect_err(|_| {
        let _ = remove(&folder);
    })?;
    tools.check()?;
    let artifact = Artifact {
        digest: digest.clone(),
        path: paths(&folder),
        environment: made.environment,
        builder: builder.name().to_owned(),
        said: made.said.clone(),
        size: size(&folder),
        folder,
        image: None,
    };
    place.finish(&Marker {
        folder: artifact.folder.clone(),
        digest,
        said: made.said,
        artifact: Some(artifact.clone()),
        layers: made.layers,
    })?;
    Ok(artifact)
}

/// The digest of no source at all.
const NOTHING: &str = "nothing";

impl Work<'_> {
    fn make(&self, builder: &Builder) -> Result<Made, BuildError> {
        match self.request.snapshot.digest(self.root)? {
            Some(_) => self.request.snapshot.export(self.root, self.folder)?,
            None => {
                fs::create_dir_all(self.folder).map_err(BuildError::file(self.folder, "make"))?
            }
        }
        self.tools.check()?;
        let mut made = match builder {
            Builder::Run => run::make(self)?,
            Builder::Python(python) => python.make(self)?,
            Builder::Node(node) => node.make(self)?,
            Builder::Static | Builder::None => Made::default(),
        };
        if let Some(output) = &self.request.build.output {
            self.keep_only(output)?;
        }
        if let Some(folder) = self.request.static_files {
            self.needs(folder)?;
        }
        if made.said.is_empty() {
            let files = self.request.snapshot.files(self.root)?.len();
            made.said = format!("{files} file{}", if files == 1 { "" } else { "s" });
        }
        Ok(made)
    }

    /// Makes a folder of the build's output the whole artifact.
    fn keep_only(&self, output: &str) -> Result<(), BuildError> {
        if inside(output)?.as_os_str().is_empty() {
            return Ok(());
        }
        let from = self.needs(output)?;
        let beside = self.folder.with_extension("output");
        remove(&beside)?;
        move_to(&from, &beside)?;
        remove(self.folder)?;
        move_to(&beside, self.folder)
    }

    fn needs(&self, output: &str) -> Result<PathBuf, BuildError> {
        let path = self.folder.join(inside(output)?);
        match path.is_dir() {
            true => Ok(path),
            false => Err(BuildError::NoOutput {
                service: self.request.service.to_owned(),
                output: output.to_owned(),
            }),
        }
    }

    /// A folder that several artifacts share, made once for each digest.
    pub fn layer(
        &self,
        digest: &str,
        make: impl FnOnce(&Path) -> Result<String, BuildError>,
    ) -> Result<(String, String), BuildError> {
        let name = format!("deps-{}", store::name(digest));
        let waits = || {
            (self.tools.progress)(Progress::Said(
                "waiting for another build of the same dependencies".to_owned(),
            ))
        };
        match self.store.take(&name, digest, waits)? {
            Ok(marker) => Ok((name, format!("{}{CACHED}", marker.said))),
            Err(place) => {
                let folder = place.folder.clone();
                let said = make(&folder).inspect_err(|_| {
                    let _ = remove(&folder);
                })?;
                place.finish(&Marker {
                    folder,
                    digest: digest.to_owned(),
                    said: said.clone(),
                    artifact: None,
                    layers: Vec::new(),
                })?;
                Ok((name, said))
            }
        }
    }
}

impl Builder {
    const fn name(&self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Python(_) => "python",
            Self::Node(_) => "node",
            Self::Static => "static",
            Self::None => "none",
        }
    }
}

fn choose(
    request: &BuildRequest<'_>,
    tools: &Tools<'_>,
    files: &[PathBuf],
) -> Result<Builder, BuildError> {
    let has = |name: &str| files.iter().any(|file| file == Path::new(name));
    let python_file = |file: &PathBuf| {
        file.components().count() <= 2 && file.extension().is_some_and(|end| end == "py")
    };
    let is_python = python::FILES.iter().any(|name| has(name));
    Ok(if request.build.run.is_some() {
        Builder::Run
    } else if has("package.json") && (request.static_files.is_some() || !is_python) {
        Builder::Node(node::Node::find(tools, &has)?)
    } else if is_python || (request.static_files.is_none() && files.iter().any(python_file)) {
        Builder::Python(python::Python::find(tools, &has)?)
    } else if request.static_files.is_some() {
        Builder::Static
    } else {
        if let Some(dockerfile) = &request.build.dockerfile {
            (tools.progress)(Progress::Warning(format!(
                "{} runs as processes, so {dockerfile} is not used, and nothing else here says how it is built; \
                 build = {{ run = \"…\" }} would.",
                request.service
            )));
        }
        Builder::None
    })
}

fn digest(request: &BuildRequest<'_>, builder: &Builder, source: &str, root: &Path) -> String {
    let build =
        serde_json::to_string(request.build).expect("the model is written as JSON by design");
    let mut parts = Parts::default()
        .with("version", VERSION)
        .with("source", source)
        .with("builder", builder.name())
        .with("build", build)
        .with("static", request.static_files.unwrap_or_default())
        .with("machine", std::env::consts::ARCH);
    for (name, value) in request.environment {
        parts = parts.with("name", name).with("value", value);
    }
    for name in request.secrets.keys() {
        parts = parts.with("secret", name);
    }
    match builder {
        Builder::Python(python) => parts = parts.with("python", python.version()),
        Builder::Node(node) => parts = parts.with("node", node.version()),
        // Commands may look at where they are.
        Builder::Run => parts = parts.with("root", root.as_os_str().as_encoded_bytes()),
        Builder::Static | Builder::None => {}
    }
    parts.finish()
}

/// Folders of programs that builds leave behind.
fn paths(folder: &Path) -> Vec<String> {
    let known = [".venv/bin", "node_modules/.bin"];
    known
        .into_iter()
        .filter(|path| fs::metadata(folder.join(path)).is_ok_and(|found| found.is_dir()))
        .map(str::to_owned)
        .collect()
}
