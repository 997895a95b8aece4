//! The image that Dockerfiles of several processes take the supervisor from. Nobody publishes it: it is
//! made of the program on this machine, where the Engine lacks it.

use std::{cell::RefCell, collections::BTreeMap, ffi::OsStr, fs};

use super::{
    ImageRequest, arguments, desk::Desk, engine::Images, error::ImageError, program, transfer,
};
use crate::{digest::Parts, error::BuildError, progress::Progress};

/// The program, in its image too.
const PROGRAM: &str = "landfall-supervise";

/// The image of this version's supervisor, as rendered Dockerfiles name it.
fn image() -> String {
    format!("{PROGRAM}:{}", env!("CARGO_PKG_VERSION"))
}

/// What a build has to be told, after what it is built upon was looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The supervisor's image, where it was made now.
    pub imported: Option<String>,
    /// Whether docker may look for newer base images itself; no registry has the supervisor's, and it
    /// would ask one for it.
    pub pull: bool,
}

/// Makes the supervisor's image where a Dockerfile with this text builds upon it and the Engine lacks
/// it, or has one that was made here of another program. Where newer base images are wanted, the others
/// are pulled here.
pub fn ready(
    request: &ImageRequest<'_>,
    text: &str,
    arguments: &BTreeMap<String, String>,
    progress: &dyn Fn(Progress),
) -> Result<Ready, BuildError> {
    let bases = super::dockerfile::bases(text, arguments);
    let own = image();
    if !bases.contains(&own) {
        return Ok(Ready {
            imported: None,
            pull: request.fresh,
        });
    }
    let imported = import(request, &own, progress)?.then(|| own.clone());
    if request.fresh {
        for base in bases.iter().filter(|base| **base != own) {
            pull(request, base, progress)?;
        }
    }
    Ok(Ready {
        imported,
        pull: false,
    })
}

/// Whether it had to be made.
fn import(
    request: &ImageRequest<'_>,
    own: &str,
    progress: &dyn Fn(Progress),
) -> Result<bool, BuildError> {
    let found = Images::connect(request.engine)?.image(own)?;
    let artifact_label = landfall_containers::label::ARTIFACT;
    let has = found.map(|image| image.labels.get(artifact_label).cloned());
    // What the user imported is the user's.
    if has == Some(None) {
        return Ok(false);
    }
    let file = request
        .supervisor
        .map_err(|failure| ImageError::Engine(Box::new(failure.clone())))?;
    let bytes = fs::read(file).map_err(BuildError::file(file, "read"))?;
    let digest = Parts::default().with("supervisor", &bytes).finish();
    if has.flatten().as_ref() == Some(&digest) {
        return Ok(false);
    }
    progress(Progress::Said(format!(
        "importing {own} from {}",
        file.display()
    )));
    // Its lines aren't those of the service's build.
    let quiet = |_: Progress| {};
    let desk = Desk::new(request, &quiet)?;
    let builder = program::builder(&desk.tools)?;
    let context = desk.folder().join("supervisor");
    fs::create_dir(&context).map_err(BuildError::file(&context, "made"))?;
    let copied = context.join(PROGRAM);
    // With its permissions.
    fs::copy(file, &copied).map_err(BuildError::file(&copied, "written"))?;
    let dockerfile = context.join("Dockerfile");
    fs::write(
        &dockerfile,
        format!("FROM scratch\nCOPY {PROGRAM} /{PROGRAM}\n"),
    )
    .map_err(BuildError::file(&dockerfile, "written"))?;
    let open = |name: &str| format!("org.opencontainers.image.{name}");
    let labels = BTreeMap::from([
        (artifact_label.to_owned(), digest),
        (open("title"), PROGRAM.to_owned()),
        (open("version"), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    let words = arguments::build(
        &request.engine.to_string(),
        &arguments::Build {
            context: &context,
            dockerfile: &dockerfile,
            name: own,
            id: &desk.folder().join("id"),
            arguments: &BTreeMap::new(),
            labels: &labels,
            stage: None,
            secrets: &[],
            fresh: false,
            anew: false,
            buildkit: builder.buildkit,
        },
    );
    let buildkit = OsStr::new(if builder.buildkit { "1" } else { "0" });
    desk.docker(&builder.program, &words, &[("DOCKER_BUILDKIT", buildkit)])?;
    Ok(true)
}

fn pull(
    request: &ImageRequest<'_>,
    base: &str,
    progress: &dyn Fn(Progress),
) -> Result<(), BuildError> {
    progress(Progress::Said(format!("looking for a newer {base}")));
    let said = RefCell::new(transfer::Transfer::default());
    let watch = |news: Progress| {
        if let Progress::Line(line) = news {
            said.borrow_mut().line(&line);
        }
    };
    let desk = Desk::new(request, &watch)?;
    let client = program::client(&desk.tools)?;
    let words = arguments::of(&request.engine.to_string(), &["pull", base]);
    let pulled = desk.docker(&client, &words, &[]);
    pulled.map(|_| ()).map_err(|error| match error {
        BuildError::Failed { exit, .. } => said.borrow().error("pulled", base, &exit).into(),
        other => other,
    })
}
