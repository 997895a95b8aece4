//! The builder that runs what the file says.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use landfall_app::model::Run;

use crate::{
    build::{Made, Work},
    digest::Parts,
    error::BuildError,
    files::{self, copy, inside, move_to, remove},
    progress::Progress,
};

/// Runs `build.run` in the artifact's folder, with the folders that are kept from build to build.
pub fn make(work: &Work<'_>) -> Result<Made, BuildError> {
    let Some(run) = &work.request.build.run else {
        return Ok(Made::default());
    };
    let words: Vec<&OsStr> = match run {
        Run::Shell(text) => ["sh", "-eu", "-c", text]
            .into_iter()
            .map(OsStr::new)
            .collect(),
        Run::Exact(words) => words.iter().map(OsStr::new).collect(),
    };
    let kept = work
        .request
        .cache
        .join("kept")
        .join(work.request.app)
        .join(work.request.service);
    let kept_folders: Vec<(PathBuf, PathBuf)> = work
        .request
        .build
        .cache
        .iter()
        .map(|folder| {
            let name = Parts::default().with("folder", folder).finish();
            Ok((work.folder.join(inside(folder)?), kept.join(&name[..16])))
        })
        .collect::<Result<_, BuildError>>()?;
    let waits = || {
        (work.tools.progress)(Progress::Said(
            "waiting for another build of this service".to_owned(),
        ))
    };
    let _lock = match kept_folders.is_empty() {
        true => None,
        false => Some(files::lock(
            &kept.join("lock"),
            work.request.cancelled,
            waits,
        )?),
    };
    for (folder, kept) in &kept_folders {
        if kept.is_dir() && !folder.exists() {
            move_to(kept, folder)?;
        }
    }
    let result = work.tools.run(work.folder, &words, &[]);
    let output = work
        .request
        .build
        .output
        .as_deref()
        .map(inside)
        .transpose()?;
    for (folder, kept) in &kept_folders {
        // What the release doesn't hold goes back; of what it holds, the cache gets a copy of its
        // own, since a release never changes. So it is after a failure too.
        let held = result.is_ok()
            && output
                .as_ref()
                .is_none_or(|output| folder.starts_with(work.folder.join(output)));
        if folder.is_dir() {
            keep(folder, kept, held)?;
        }
    }
    result.map(|_| Made {
        said: short(run),
        ..Made::default()
    })
}

fn keep(folder: &Path, kept: &Path, held: bool) -> Result<(), BuildError> {
    remove(kept)?;
    if !held {
        return move_to(folder, kept);
    }
    let beside = kept.with_extension("new");
    remove(&beside)?;
    copy(folder, &beside)?;
    fs::rename(&beside, kept).map_err(BuildError::file(kept, "written"))
}

fn short(run: &Run) -> String {
    let text = match run {
        Run::Shell(text) => text.trim().lines().next().unwrap_or_default().to_owned(),
        Run::Exact(words) => words.join(" "),
    };
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
