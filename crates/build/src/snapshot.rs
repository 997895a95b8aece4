//! The sources of a release, as they stand in the folder now.

use std::path::{Component, Path, PathBuf};

use landfall_release::SourceVersion;

use crate::{error::BuildError, files::inside, git, remote, walk};

/// Files that never become part of a release: values of secrets and the app file itself, which the
/// release holds in its resolved form.
pub(crate) fn never(name: &[u8]) -> bool {
    matches!(name, b".env" | b"landfall.toml" | b"landfall.secrets.toml")
}

/// So many links may lead from one to the next, as in the kernel.
const MOST_LINKS: usize = 40;

/// What a snapshot is asked to look at.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotRequest<'a> {
    /// The folder of the app file.
    pub folder: &'a Path,
    /// Where scratch files may go: best on the filesystem of the artifacts.
    pub scratch: &'a Path,
    /// Folders that are not sources even if they lie within (Landfall's own state).
    pub exclude: &'a [PathBuf],
}

/// The sources as they stood when it was taken. It goes with its scratch files when dropped.
#[derive(Debug)]
pub struct Snapshot {
    /// What is known of them.
    pub version: SourceVersion,
    /// What the user should know; whole sentences.
    pub warnings: Vec<String>,
    sources: Sources,
}

#[derive(Debug)]
enum Sources {
    Git(git::Repository),
    Walk(walk::Listing),
}

impl Snapshot {
    /// Takes a snapshot: by git where the folder is in a repository, else by walking through it.
    /// Nothing in the repository changes, neither its index nor its objects.
    pub fn take(request: &SnapshotRequest<'_>) -> Result<Self, BuildError> {
        let mut warnings = Vec::new();
        match git::find(request.folder)? {
            git::Found::Repository(place) => {
                match git::Repository::read(&place, request, &mut warnings) {
                    Ok((repository, version)) => Ok(Self {
                        version,
                        warnings,
                        sources: Sources::Git(repository),
                    }),
                    Err(BuildError::Git { said, .. })
                        if said.contains("ignored by one of your .gitignore") =>
                    {
                        warnings.push(
                            "the repository around it ignores this folder: it is read without git."
                                .to_owned(),
                        );
                        Self::walked(request, warnings)
                    }
                    Err(error) => Err(error),
                }
            }
            found => {
                if matches!(found, git::Found::NoGit) && walk::in_repository(request.folder) {
                    warnings.push(
                        "git is not installed: everything in the folder is taken, what .gitignore names too.".to_owned(),
                    );
                }
                Self::walked(request, warnings)
            }
        }
    }

    fn walked(
        request: &SnapshotRequest<'_>,
        mut warnings: Vec<String>,
    ) -> Result<Self, BuildError> {
        let listing = walk::Listing::read(request.folder, request.exclude, &mut warnings)?;
        let version = SourceVersion {
            tree: listing.digest(Path::new("")),
            ..SourceVersion::default()
        };
        Ok(Self {
            version,
            warnings,
            sources: Sources::Walk(listing),
        })
    }

    /// Where the repository is published, as its remote `origin` says: never with a password in it.
    pub fn published_at(&self) -> Option<String> {
        match &self.sources {
            Sources::Git(repository) => remote::address(&repository.origin()?),
            Sources::Walk(_) => None,
        }
    }

    /// The digest of a folder or file below the app's folder; `None` where there is none.
    pub fn digest(&self, path: &str) -> Result<Option<String>, BuildError> {
        let path = inside(path)?;
        match &self.sources {
            Sources::Git(repository) => repository.digest(&path),
            Sources::Walk(listing) => Ok(listing.contains(&path).then(|| listing.digest(&path))),
        }
    }

    /// What a path of the sources stands for: itself, or what it leads to where it is a symbolic link.
    /// One that leads out of the app's folder is refused.
    pub fn followed(&self, path: &str) -> Result<String, BuildError> {
        let mut at = inside(path)?;
        for _ in 0..MOST_LINKS {
            let target = match &self.sources {
                Sources::Git(repository) => repository.link(&at)?,
                Sources::Walk(listing) => listing.link(&at),
            };
            let Some(target) = target else {
                return at
                    .into_os_string()
                    .into_string()
                    .map_err(|name| BuildError::NoSuchFile(name.to_string_lossy().into_owned()));
            };
            at.pop();
            for part in target.components() {
                let stays = match part {
                    Component::CurDir => true,
                    Component::ParentDir => at.pop(),
                    Component::Normal(part) => {
                        at.push(part);
                        true
                    }
                    Component::RootDir | Component::Prefix(_) => false,
                };
                if !stays {
                    let led = format!("{path} (a link to {})", target.display());
                    return Err(BuildError::Outside(led));
                }
            }
        }
        Err(BuildError::NoSuchFile(format!(
            "{path}: its links lead in a circle"
        )))
    }

    /// All files below a folder of the app, relative to it.
    pub fn files(&self, path: &str) -> Result<Vec<PathBuf>, BuildError> {
        let path = inside(path)?;
        Ok(match &self.sources {
            Sources::Git(repository) => repository.files(&path),
            Sources::Walk(listing) => listing.files(&path),
        })
    }

    /// Writes a folder or file of the snapshot out; `to` must not be there yet.
    pub fn export(&self, path: &str, to: &Path) -> Result<(), BuildError> {
        let path = inside(path)?;
        match &self.sources {
            Sources::Git(repository) => repository.export(&path, to)?,
            Sources::Walk(listing) => listing.export(&path, to)?,
        }
        let mut pointers = Vec::new();
        if to.is_dir() {
            git::pointers(to, to, &mut pointers)?;
        }
        match pointers.is_empty() {
            true => Ok(()),
            false => Err(BuildError::LfsPointers(pointers)),
        }
    }
}
