//! A build that is only tried: of a folder as it stands, to see what comes of it and how long it takes.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    ImageRequest, arguments,
    desk::Desk,
    error::ImageError,
    made::{Ended, explained},
    output::Output,
    program, supervisor,
};
use crate::{error::BuildError, progress::Progress};

/// What is tried.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    /// The folder that is sent.
    pub context: &'a Path,
    /// The Dockerfile.
    pub dockerfile: &'a Path,
    /// How it is called where it is named.
    pub shown: &'a str,
    /// The image's name, which must be nobody else's.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The stage to build; the last one by default.
    pub stage: Option<&'a str>,
    /// Build arguments.
    pub arguments: &'a BTreeMap<String, String>,
    /// Whether nothing of earlier builds is used, so that the time is that of the whole build.
    pub anew: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The image's id.
    pub id: String,
    /// How long the build took.
    pub took: Duration,
    /// Steps that make layers, and how many of them were there already.
    pub steps: (usize, usize),
    /// Whether BuildKit did it.
    pub buildkit: bool,
}

/// Builds. The image stays; who asked removes it.
pub fn try_build(
    request: &ImageRequest<'_>,
    trial: &Trial<'_>,
    progress: &dyn Fn(Progress),
) -> Result<Tried, BuildError> {
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
    let desk = Desk::new(request, &watch)?;
    let builder = program::builder(&desk.tools)?;
    let text =
        fs::read_to_string(trial.dockerfile).map_err(BuildError::file(trial.dockerfile, "read"))?;
    if !builder.buildkit
        && let Some((line, what)) = super::dockerfile::needs_buildkit(&text)
    {
        return Err(ImageError::NoBuildKit {
            service: request.service.to_owned(),
            what: format!("{what} ({}:{line})", trial.shown),
        }
        .into());
    }
    supervisor::ready(request, &text, trial.arguments, progress)?;
    let id = desk.folder().join("id");
    let words = arguments::build(
        &request.engine.to_string(),
        &arguments::Build {
            context: trial.context,
            dockerfile: trial.dockerfile,
            name: trial.name,
            id: &id,
            arguments: trial.arguments,
            labels: trial.labels,
            stage: trial.stage,
            secrets: &[],
            fresh: false,
            anew: trial.anew,
            buildkit: builder.buildkit,
        },
    );
    let buildkit = OsStr::new(if builder.buildkit { "1" } else { "0" });
    let began = Instant::now();
    let ran = desk.docker(&builder.program, &words, &[("DOCKER_BUILDKIT", buildkit)]);
    ran.map_err(|error| match error {
        BuildError::Failed {
            took, exit, last, ..
        } => {
            let trouble = output.borrow().trouble();
            let ended = Ended { exit, last, took };
            explained(request.service, trial.shown, &text, trouble, ended)
        }
        other => other,
    })?;
    let took = began.elapsed();
    let id = fs::read_to_string(&id).map_err(BuildError::file(&id, "read"))?;
    let steps = output.borrow().layers();
    Ok(Tried {
        id: id.trim().to_owned(),
        took,
        steps,
        buildkit: builder.buildkit,
    })
}
