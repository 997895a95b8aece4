//! An image built from the sources.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use landfall_app::model::Build;
use landfall_release::SourceVersion;

use super::{
    BUILT_FOR, ImageRequest, Made, arguments, artifact, configuration,
    desk::Desk,
    engine::Images,
    error::ImageError,
    host_mark,
    output::{Output, Trouble},
    program,
    recipe::{self, Parted},
    reference, supervisor, transfer,
};
use crate::{error::BuildError, files::lock, progress::Progress, snapshot::Snapshot, store};

/// What is built.
#[derive(Clone, Copy)]
pub struct Recipe<'a> {
    /// The sources.
    pub snapshot: &'a Snapshot,
    /// The service's root, relative to the app file.
    pub root: &'a str,
    /// How the file says it is built.
    pub build: &'a Build,
    /// `build.args`, with every reference resolved.
    pub arguments: &'a BTreeMap<String, String>,
    /// The time, as RFC 3339 has it.
    pub now: &'a str,
}

/// Builds a service's image, or finds the one that was built from the same.
pub fn build_image(
    request: &ImageRequest<'_>,
    recipe: &Recipe<'_>,
    progress: &dyn Fn(Progress),
) -> Result<Made, BuildError> {
    let parted =
        recipe::find_dockerfile(recipe.snapshot, request.service, recipe.root, recipe.build)?;
    let digest = recipe::digest(
        request,
        recipe.snapshot,
        recipe.build,
        recipe.arguments,
        &parted,
    )?;
    let name = reference::built(request.app, request.service, &store::name(&digest));
    let images = Images::connect(request.engine)?;
    let building = Building {
        request,
        recipe,
        parted,
        digest,
        name,
        images,
    };
    if !request.fresh
        && let Some(made) = building.there()?
    {
        return Ok(made);
    }
    let waits = || {
        progress(Progress::Said(
            "waiting for another build of this service".to_owned(),
        ));
    };
    let locks = request.scratch.join("images");
    let own = locks.join(format!("{}-{}.lock", request.app, request.service));
    let _lock = lock(&own, request.cancelled, waits)?;
    // Whoever had the lock may have built the very same.
    match building.there()? {
        Some(made) if !request.fresh => Ok(made),
        _ => building.make(progress),
    }
}

struct Building<'a> {
    request: &'a ImageRequest<'a>,
    recipe: &'a Recipe<'a>,
    parted: Parted,
    digest: String,
    name: String,
    images: Images,
}

impl Building<'_> {
    /// What was built of the same already.
    fn there(&self) -> Result<Option<Made>, BuildError> {
        let found = self.images.image(&self.name)?;
        let artifact_label = landfall_containers::label::ARTIFACT;
        let same = found.filter(|image| image.labels.get(artifact_label) == Some(&self.digest));
        Ok(same.map(|image| self.made(image, "unchanged".to_owned(), false)))
    }

    fn made(&self, image: landfall_containers::Image, done: String, new: bool) -> Made {
        let mut said = self.parted.dockerfile.clone();
        if let Some(stage) = &self.recipe.build.stage {
            said.push_str(&format!(", stage {stage}"));
        }
        // What publishing gave it, if it was.
        let artifact = artifact(image, &self.name, &self.name, "dockerfile", &said);
        Made {
            said: format!("{said}, {done}"),
            artifact,
            new,
        }
    }

    fn make(&self, progress: &dyn Fn(Progress)) -> Result<Made, BuildError> {
        let output = RefCell::new(Output::default());
        let watch = |news: Progress| match news {
            Progress::Line(line) => {
                if let Some(said) = output.borrow_mut().line(&line) {
                    progress(Progress::Said(said));
                }
            }
            Progress::Command(_) => {}
            other => progress(other),
        };
        let desk = Desk::new(self.request, &watch)?;
        let builder = program::builder(&desk.tools)?;
        progress(Progress::Said("writing the context out".to_owned()));
        let (context, file) = self.export(desk.folder())?;
        let text = fs::read_to_string(&file).map_err(BuildError::file(&file, "read"))?;
        if !builder.buildkit {
            self.without_buildkit(&text)?;
            progress(Progress::Warning(
                "no docker on PATH has BuildKit; the builder from before it is used, which is slower."
                    .to_owned(),
            ));
        }
        let ready = supervisor::ready(self.request, &text, self.recipe.arguments, progress)?;
        let secrets = self.secrets(desk.folder())?;
        let labels = self.labels();
        let id = desk.folder().join("id");
        let words = arguments::build(
            &self.request.engine.to_string(),
            &arguments::Build {
                context: &context,
                dockerfile: &file,
                name: &self.name,
                id: &id,
                arguments: self.recipe.arguments,
                labels: &labels,
                stage: self.recipe.build.stage.as_deref(),
                secrets: &secrets,
                fresh: ready.pull,
                anew: false,
                buildkit: builder.buildkit,
            },
        );
        let buildkit = OsStr::new(if builder.buildkit { "1" } else { "0" });
        let ran = desk.docker(&builder.program, &words, &[("DOCKER_BUILDKIT", buildkit)]);
        ran.map_err(|error| match error {
            BuildError::Failed {
                took, exit, last, ..
            } => {
                let trouble = output.borrow().trouble();
                self.failed(&text, trouble, exit, last, took)
            }
            other => other,
        })?;
        let built = fs::read_to_string(&id).map_err(BuildError::file(&id, "read"))?;
        let found = self.images.image(built.trim())?;
        let image = found.ok_or_else(|| ImageError::Transfer {
            doing: "found after its build",
            reference: self.name.clone(),
            said: "docker built it, and the Engine doesn't have it".to_owned(),
        })?;
        let mut done = match output.borrow().layers() {
            (0, _) => "built".to_owned(),
            (1, 0) => "1 layer".to_owned(),
            (count, 0) => format!("{count} layers"),
            (count, cached) => format!("{cached} of {count} layers cached"),
        };
        if let Some(imported) = ready.imported {
            done.push_str(&format!(", {imported} imported"));
        }
        Ok(self.made(image, done, true))
    }

    /// Writes out what docker is given: the context, and the Dockerfile, which may be outside of it.
    fn export(&self, folder: &Path) -> Result<(PathBuf, PathBuf), BuildError> {
        let (snapshot, parted) = (self.recipe.snapshot, &self.parted);
        let context = folder.join("context");
        snapshot.export(&parted.context, &context)?;
        if let Ok(inside) = Path::new(&parted.dockerfile).strip_prefix(&parted.context) {
            let file = context.join(inside);
            return Ok((context, file));
        }
        let beside = folder.join("dockerfile");
        fs::create_dir(&beside).map_err(BuildError::file(&beside, "made"))?;
        let name = Path::new(&parted.dockerfile)
            .file_name()
            .unwrap_or(OsStr::new("Dockerfile"));
        let file = beside.join(name);
        snapshot.export(&parted.dockerfile, &file)?;
        let ignore = recipe::ignore_file(&parted.dockerfile);
        if snapshot.digest(&ignore)?.is_some() {
            let mut to = file.clone().into_os_string();
            to.push(".dockerignore");
            snapshot.export(&ignore, Path::new(&to))?;
        }
        Ok((context, file))
    }

    /// Refuses what the builder from before BuildKit can't do.
    fn without_buildkit(&self, text: &str) -> Result<(), BuildError> {
        let needs = super::dockerfile::needs_buildkit(text);
        let what = match needs {
            _ if !self.request.secrets.is_empty() => "build.secrets".to_owned(),
            Some((line, what)) => format!("{what} ({}:{line})", self.parted.dockerfile),
            None => return Ok(()),
        };
        Err(ImageError::NoBuildKit {
            service: self.request.service.to_owned(),
            what,
        }
        .into())
    }

    /// Puts the values of secrets into files that nobody else can read.
    fn secrets(&self, folder: &Path) -> Result<Vec<(String, PathBuf)>, BuildError> {
        let secrets = self.request.secrets.iter().enumerate();
        secrets
            .map(|(number, (name, value))| {
                let file = folder.join(format!("secret-{number}"));
                configuration::private(&file, value.expose().as_bytes())?;
                Ok((name.clone(), file))
            })
            .collect()
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let version: &SourceVersion = &self.recipe.snapshot.version;
        let mut labels = BTreeMap::from([
            (
                landfall_containers::label::APP.to_owned(),
                self.request.app.to_owned(),
            ),
            (
                landfall_containers::label::ARTIFACT.to_owned(),
                self.digest.clone(),
            ),
            (BUILT_FOR.to_owned(), host_mark(self.request.home)),
        ]);
        let mut open = |name: &str, value: &str| {
            labels.insert(format!("org.opencontainers.image.{name}"), value.to_owned());
        };
        open("created", self.recipe.now);
        open("version", version.short());
        if let Some(commit) = version.commit.as_deref().filter(|_| !version.dirty) {
            open("revision", commit);
        }
        if let Some(address) = self.recipe.snapshot.published_at() {
            open("source", &address);
        }
        labels
    }

    /// What a failed build means.
    fn failed(
        &self,
        text: &str,
        trouble: Trouble,
        exit: String,
        last: Vec<String>,
        took: std::time::Duration,
    ) -> BuildError {
        let ended = Ended { exit, last, took };
        explained(
            self.request.service,
            &self.parted.dockerfile,
            text,
            trouble,
            ended,
        )
    }
}

/// How docker ended.
pub struct Ended {
    pub exit: String,
    pub last: Vec<String>,
    pub took: std::time::Duration,
}

/// What a failed build of a Dockerfile with this text means.
pub fn explained(
    service: &str,
    dockerfile: &str,
    text: &str,
    trouble: Trouble,
    ended: Ended,
) -> BuildError {
    let service = service.to_owned();
    let full = |line: &String| line.contains("no space left on device");
    if full(&trouble.said) || trouble.last.iter().any(full) {
        return ImageError::DiskFull {
            doing: "built",
            said: trouble.said,
        }
        .into();
    }
    if trouble.said.to_lowercase().contains("buildkit") && trouble.code.is_none() {
        return ImageError::NoBuildKit {
            service,
            what: trouble.said,
        }
        .into();
    }
    // Nothing of the Dockerfile ran: a base image is missing, or it can't be read.
    let base = trouble.base_image();
    if let Some(base) = base.filter(|_| transfer::is_about_a_registry(&trouble.said)) {
        return transfer::error("pulled", base, &trouble.said).into();
    }
    let line = trouble.line.or_else(|| {
        let instruction = trouble.instruction.as_deref()?;
        super::dockerfile::line_of(text, instruction)
    });
    let at = match line {
        Some(line) => format!("({}:{line}) ", dockerfile),
        None => String::new(),
    };
    let command = trouble
        .instruction
        .unwrap_or_else(|| "docker build".to_owned());
    let exit = trouble
        .code
        .map_or(ended.exit, |code| format!("exited with {code}"));
    BuildError::Failed {
        service,
        command: super::dockerfile::plain(&command),
        exit: format!("{at}{exit}"),
        took: ended.took,
        last: if trouble.last.is_empty() && trouble.code.is_none() {
            ended.last
        } else {
            trouble.last
        },
    }
}
