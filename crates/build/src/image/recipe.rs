//! What an image is built from: the context, the Dockerfile, and the digest over all that goes in.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use landfall_app::model::Build;

use super::{ImageRequest, error::ImageError, host_mark};
use crate::{digest::Parts, error::BuildError, snapshot::Snapshot};

/// Counted up when the same sources give something else.
const VERSION: &str = "image-1";

/// Where the parts of a build are, relative to the app file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parted {
    /// The folder that is built.
    pub context: String,
    /// The Dockerfile.
    pub dockerfile: String,
}

/// Finds the context and the Dockerfile of a service among the sources.
pub fn find_dockerfile(
    snapshot: &Snapshot,
    service: &str,
    root: &str,
    build: &Build,
) -> Result<Parted, BuildError> {
    let root = below("", root)?;
    let context = match &build.context {
        Some(context) => below(&root, context)?,
        None => root.clone(),
    };
    if snapshot.digest(&context)?.is_none() {
        return Err(BuildError::NoRoot {
            service: service.to_owned(),
            root: context,
        });
    }
    // Relative to the root, and as in Compose to the context where there is none.
    let named = build.dockerfile.as_deref().unwrap_or("Dockerfile");
    let places = match &build.dockerfile {
        Some(_) => [below(&root, named), below(&context, named)],
        None => [below(&context, named), below(&root, named)],
    };
    let mut first = None;
    for place in places {
        let place = place?;
        if snapshot.digest(&place)?.is_some() {
            return Ok(Parted {
                context,
                dockerfile: place,
            });
        }
        first.get_or_insert(place);
    }
    Err(ImageError::NoDockerfile {
        service: service.to_owned(),
        path: first.unwrap_or_default(),
    }
    .into())
}

/// The digest of all that goes into an image. Values of secrets don't: they must not change it.
pub fn digest(
    request: &ImageRequest<'_>,
    snapshot: &Snapshot,
    build: &Build,
    arguments: &BTreeMap<String, String>,
    parted: &Parted,
) -> Result<String, BuildError> {
    let of = |path: &str| Ok::<_, BuildError>(snapshot.digest(path)?.unwrap_or_default());
    let mut parts = Parts::default()
        .with("version", VERSION)
        .with("host", host_mark(request.home))
        .with("machine", std::env::consts::ARCH)
        .with("app", request.app)
        .with("context", of(&parted.context)?)
        .with("at", &parted.dockerfile)
        .with("dockerfile", of(&parted.dockerfile)?)
        .with("ignore", of(&ignore_file(&parted.dockerfile))?)
        .with("stage", build.stage.as_deref().unwrap_or_default());
    for (name, value) in arguments {
        parts = parts.with("name", name).with("value", value);
    }
    for name in request.secrets.keys() {
        parts = parts.with("secret", name);
    }
    Ok(parts.finish())
}

/// The file beside a Dockerfile that says what of the context it doesn't need.
pub fn ignore_file(dockerfile: &str) -> String {
    format!("{dockerfile}.dockerignore")
}

/// A path below the app's folder that is said relative to another; `..` goes upwards, not out of it.
fn below(folder: &str, path: &str) -> Result<String, BuildError> {
    let outside = || BuildError::Outside(path.to_owned());
    let mut whole = PathBuf::from(folder);
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => whole.push(part),
            Component::ParentDir if whole.pop() => {}
            _ => return Err(outside()),
        }
    }
    whole.into_os_string().into_string().map_err(|_| outside())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SnapshotRequest;

    fn snapshot(files: &[&str]) -> (tempfile::TempDir, Snapshot) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join("app").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let scratch = folder.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let app = folder.path().join("app");
        let request = SnapshotRequest {
            folder: &app,
            scratch: &scratch,
            exclude: &[],
        };
        let snapshot = Snapshot::take(&request).unwrap();
        (folder, snapshot)
    }

    fn found(
        files: &[&str],
        root: &str,
        context: Option<&str>,
        file: Option<&str>,
    ) -> Result<(String, String), String> {
        let (_folder, snapshot) = snapshot(files);
        let build = Build {
            context: context.map(str::to_owned),
            dockerfile: file.map(str::to_owned),
            ..Build::default()
        };
        find_dockerfile(&snapshot, "web", root, &build)
            .map(|parted| (parted.context, parted.dockerfile))
            .map_err(|error| error.name().to_owned())
    }

    fn two(context: &str, dockerfile: &str) -> Result<(String, String), String> {
        Ok((context.to_owned(), dockerfile.to_owned()))
    }

    #[test]
    fn where_the_dockerfile_is() {
        let files = [
            "backend/Dockerfile",
            "backend/a",
            "docker/web.Dockerfile",
            "b",
        ];
        let named = Some("Dockerfile");
        assert_eq!(
            found(&files, "backend", None, named),
            two("backend", "backend/Dockerfile")
        );
        // As in Compose: a folder, and the Dockerfile in it.
        assert_eq!(
            found(&files, ".", Some("backend"), None),
            two("backend", "backend/Dockerfile")
        );
        assert_eq!(
            found(&files, ".", Some("backend"), named),
            two("backend", "backend/Dockerfile")
        );
        // Outside of the context, and a context above the root.
        let web = Some("docker/web.Dockerfile");
        assert_eq!(
            found(&files, ".", Some("backend"), web),
            two("backend", "docker/web.Dockerfile")
        );
        assert_eq!(
            found(&files, "backend", Some(".."), named),
            two("", "backend/Dockerfile")
        );
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let files = ["backend/a"];
        let refused = |root, context, file| found(&files, root, context, file).unwrap_err();
        assert_eq!(
            refused("backend", None, Some("Dockerfile")),
            "no-dockerfile"
        );
        assert_eq!(refused("front", None, None), "no-such-root");
        assert_eq!(refused("backend", Some("../.."), None), "outside-of-app");
    }

    #[test]
    fn a_single_file_is_written_out() {
        let (folder, snapshot) = snapshot(&["backend/Dockerfile"]);
        let to = folder.path().join("Dockerfile");
        snapshot.export("backend/Dockerfile", &to).unwrap();
        assert_eq!(std::fs::read_to_string(to).unwrap(), "backend/Dockerfile");
    }
}
