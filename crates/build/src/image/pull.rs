//! Somebody else's image: what the Engine has of it, or what its registry has.

use std::cell::RefCell;

use landfall_containers::Image;
use landfall_release::ImageArtifact;

use super::{
    ImageRequest, Made, arguments, artifact, desk::Desk, engine::Images, program,
    transfer::Transfer,
};
use crate::{error::BuildError, progress::Progress};

/// How such an artifact's builder is called.
const BUILDER: &str = "image";

/// Takes an image by its reference. `pinned` is what the live release has under the same reference:
/// it stays, even if the tag has moved meanwhile, unless what is newest is asked for.
pub fn take_image(
    request: &ImageRequest<'_>,
    reference: &str,
    pinned: Option<&ImageArtifact>,
    progress: &dyn Fn(Progress),
) -> Result<Made, BuildError> {
    let images = Images::connect(request.engine)?;
    let pinned = pinned.filter(|pinned| pinned.reference == reference);
    if !request.fresh {
        let kept = match pinned {
            Some(pinned) => images.image(&pinned.id)?,
            None => None,
        };
        let found = match kept {
            Some(image) => Some(image),
            None => images.image(reference)?,
        };
        if let Some(image) = found {
            let said = format!("{reference}, there already");
            return Ok(made(image, reference, pinned, said, false));
        }
    }
    let transfer = RefCell::new(Transfer::default());
    let watch = |news: Progress| match news {
        Progress::Line(line) => {
            if let Some(said) = transfer.borrow_mut().line(&line) {
                progress(Progress::Said(format!("{reference}: {said}")));
            }
        }
        Progress::Command(_) => progress(Progress::Said(reference.to_owned())),
        other => progress(other),
    };
    let desk = Desk::new(request, &watch)?;
    let program = program::client(&desk.tools)?;
    let words = arguments::of(&request.engine.to_string(), &["pull", reference]);
    desk.docker(&program, &words, &[])
        .map_err(|error| match error {
            BuildError::Failed { exit, .. } => {
                transfer.borrow().error("pulled", reference, &exit).into()
            }
            other => other,
        })?;
    let lost = || {
        transfer
            .borrow()
            .error("pulled", reference, "the Engine doesn't have it")
    };
    let image = images.image(reference)?.ok_or_else(lost)?;
    let made_for = &image.architecture;
    if let Some(own) = processor().filter(|own| own != made_for && !made_for.is_empty()) {
        progress(Progress::Warning(format!(
            "{reference} is made for {made_for}, and this machine is {own}: it runs only where that is emulated."
        )));
    }
    let moved = pinned.is_some_and(|pinned| pinned.id != image.id);
    let same = pinned.is_some_and(|pinned| pinned.id == image.id);
    let mut said = reference.to_owned();
    for part in [
        transfer.borrow().said().as_str(),
        if moved {
            "another image than before"
        } else {
            ""
        },
        if same { "still the same" } else { "" },
    ] {
        if !part.is_empty() {
            said.push_str(", ");
            said.push_str(part);
        }
    }
    Ok(made(image, reference, None, said, !same))
}

/// This machine's processor, as images call it.
fn processor() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("amd64"),
        "aarch64" => Some("arm64"),
        _ => None,
    }
}

fn made(
    image: Image,
    reference: &str,
    pinned: Option<&ImageArtifact>,
    said: String,
    new: bool,
) -> Made {
    let mut artifact = artifact(image, reference, reference, BUILDER, reference);
    // An image whose tag has moved on has no name any more that would say its digest.
    if let (Some(own), Some(pinned)) = (&mut artifact.image, pinned)
        && own.id == pinned.id
        && own.digest.is_none()
    {
        own.digest.clone_from(&pinned.digest);
    }
    Made {
        artifact,
        said,
        new,
    }
}
