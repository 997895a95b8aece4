//! Publishing what was built: as `latest`, and as `<branch>-<commit>`.

use std::cell::RefCell;

use landfall_release::{ImageArtifact, SourceVersion};

use super::{
    ImageRequest, arguments, desk::Desk, engine::Images, program, reference, transfer::Transfer,
};
use crate::{error::BuildError, progress::Progress};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// In a few words.
    pub said: String,
    /// The registry's digest (`name@sha256:…`); none where nothing was published.
    pub digest: Option<String>,
}

/// Publishes an image under a name. What isn't a commit's has no name to be published under.
pub fn publish_image(
    request: &ImageRequest<'_>,
    image: &ImageArtifact,
    name: &str,
    version: &SourceVersion,
    progress: &dyn Fn(Progress),
) -> Result<Published, BuildError> {
    let not = |why: &str| Published {
        said: format!("not published: {why}"),
        digest: None,
    };
    let Some(commit) = version.commit.as_deref() else {
        return Ok(not("the sources are in no repository"));
    };
    if version.dirty {
        return Ok(not("uncommitted changes"));
    }
    let name = reference::repository(name);
    let tag = reference::tag(version.branch.as_deref(), commit);
    let tags = [tag.as_str(), "latest"];
    let images = Images::connect(request.engine)?;
    let mut known = None;
    for tag in tags {
        let found = images.image(&format!("{name}:{tag}"))?;
        let found = found.filter(|found| found.id == image.id);
        known = found.and_then(|found| reference::digest_of(name, &found.digests).cloned());
        if known.is_none() {
            break;
        }
    }
    let said = format!("{name}:{tag} and latest");
    if known.is_some() && !request.fresh {
        return Ok(Published {
            said: format!("{said}, published already"),
            digest: known,
        });
    }
    let mut digest = None;
    let mut layers = String::new();
    for tag in tags {
        let reference = format!("{name}:{tag}");
        let transfer = RefCell::new(Transfer::default());
        let watch = |news: Progress| match news {
            Progress::Line(line) => {
                if let Some(said) = transfer.borrow_mut().line(&line) {
                    progress(Progress::Said(format!("{reference}: {said}")));
                }
            }
            Progress::Command(_) => {}
            other => progress(other),
        };
        let desk = Desk::new(request, &watch)?;
        let program = program::client(&desk.tools)?;
        let engine = request.engine.to_string();
        for words in [
            arguments::of(&engine, &["tag", &image.id, &reference]),
            arguments::of(&engine, &["push", &reference]),
        ] {
            desk.docker(&program, &words, &[])
                .map_err(|error| match error {
                    BuildError::Failed { exit, .. } => {
                        transfer.borrow().error("pushed", &reference, &exit).into()
                    }
                    other => other,
                })?;
        }
        let transfer = transfer.into_inner();
        if layers.is_empty() {
            layers = transfer.said();
        }
        digest = transfer.digest.map(|digest| format!("{name}@{digest}"));
    }
    Ok(Published {
        said: [said, layers]
            .iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join(", "),
        digest,
    })
}
