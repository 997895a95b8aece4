//! Sources by git: the working tree as it stands, through an index and an object folder of our own.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Write as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use landfall_release::SourceVersion;

use crate::{
    error::BuildError,
    files::{Scratch, move_to, remove},
    snapshot::{SnapshotRequest, never},
};

/// Whether a folder is in a repository.
pub enum Found {
    Repository(Place),
    None,
    NoGit,
}

/// Where a folder is in a repository.
pub struct Place {
    /// The repository's folder.
    top: PathBuf,
    /// The folder below it.
    prefix: PathBuf,
}

/// The sources, as objects of git.
#[derive(Debug)]
pub struct Repository {
    top: PathBuf,
    prefix: PathBuf,
    /// Index and new objects; gone with it.
    scratch: Scratch,
    /// The real object folder, as git wants it in the environment.
    objects: OsString,
    entries: Vec<Entry>,
    tree: String,
    dirty: bool,
    /// Repositories within, each with its path below the top.
    nested: Vec<(PathBuf, Repository)>,
}

#[derive(Debug)]
struct Entry {
    /// A repository within.
    link: bool,
    symbolic: bool,
    path: PathBuf,
}

/// A git that no variable of a surrounding hook misleads, and that changes nothing by the way.
fn git(folder: &Path) -> Command {
    const MISLEADING: [&str; 8] = [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
    ];
    let mut command = Command::new("git");
    for name in MISLEADING {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0");
    command.args([
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.safecrlf=false",
        "-c",
        "advice.addEmbeddedRepo=false",
    ]);
    command.stdin(Stdio::null());
    command
}

/// Runs it; `None` where it ends with anything but 0.
fn ask(
    command: &mut Command,
    input: Option<Vec<u8>>,
) -> Result<Result<Vec<u8>, String>, io::Error> {
    let mut child = command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let writer = child
        .stdin
        .take()
        .zip(input)
        .map(|(mut pipe, input)| thread::spawn(move || pipe.write_all(&input)));
    let output = child.wait_with_output()?;
    if let Some(writer) = writer {
        // A git that ends early says so itself.
        let _ = writer.join();
    }
    Ok(match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    })
}

/// The author of each commit after `from` up to `to`, a line each. None where git can't say.
pub fn authors(folder: &Path, from: &str, to: &str) -> Option<String> {
    let range = format!("{from}..{to}");
    let mut command = git(folder);
    command.args(["log", "--format=%ae", &range, "--"]);
    let output = ask(&mut command, None).ok()?.ok()?;
    String::from_utf8(output).ok()
}

fn line(mut bytes: Vec<u8>) -> OsString {
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    OsString::from_vec(bytes)
}

/// Looks for the repository around a folder.
pub fn find(folder: &Path) -> Result<Found, BuildError> {
    let top = match ask(git(folder).args(["rev-parse", "--show-toplevel"]), None) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {
            return Ok(Found::NoGit);
        }
        Err(error) => return Err(BuildError::file(folder, "read")(error)),
        Ok(Ok(top)) => PathBuf::from(line(top)),
        Ok(Err(said))
            if said.contains("not a git repository")
                || said.contains("must be run in a work tree") =>
        {
            return Ok(Found::None);
        }
        Ok(Err(said)) => {
            return Err(BuildError::Git {
                command: "rev-parse".to_owned(),
                said,
            });
        }
    };
    let top = top
        .canonicalize()
        .map_err(BuildError::file(&top, "found"))?;
    let folder = folder
        .canonicalize()
        .map_err(BuildError::file(folder, "found"))?;
    match folder.strip_prefix(&top) {
        Ok(prefix) => Ok(Found::Repository(Place {
            prefix: prefix.to_owned(),
            top,
        })),
        Err(_) => Ok(Found::None),
    }
}

impl Repository {
    /// Reads the folder's files, tracked or not, as they are now.
    pub fn read(
        place: &Place,
        request: &SnapshotRequest<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(Self, SourceVersion), BuildError> {
        fs::create_dir_all(request.scratch).map_err(BuildError::file(request.scratch, "made"))?;
        let scratch = Scratch::new(request.scratch)?;
        let plain = |arguments: &[&str]| -> Result<PathBuf, BuildError> {
            let output = checked(git(&place.top).args(arguments), None, arguments[0])?;
            Ok(place.top.join(line(output)))
        };
        let index = plain(&["rev-parse", "--git-path", "index"])?;
        let objects = plain(&["rev-parse", "--git-path", "objects"])?;
        copy_index(&index, &scratch.path().join("index"))?;
        let new = scratch.path().join("objects");
        fs::create_dir(&new).map_err(BuildError::file(&new, "made"))?;
        let mut repository = Self {
            top: place.top.clone(),
            prefix: place.prefix.clone(),
            scratch,
            objects: quoted(objects.as_os_str()),
            entries: Vec::new(),
            tree: String::new(),
            dirty: false,
            nested: Vec::new(),
        };
        repository.add(request)?;
        let head = repository.optional(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
        repository.dirty = match &head {
            Some(_) => {
                let mut command = repository.git();
                command
                    .args(["diff-index", "--cached", "--quiet", "HEAD", "--"])
                    .arg(repository.pathspec());
                ask(&mut command, None)
                    .map_err(BuildError::file(&repository.top, "read"))?
                    .is_err()
            }
            None => true,
        };
        repository.leave_out()?;
        repository.list()?;
        repository.tree = repository.write_tree()?;
        repository.descend(request, warnings)?;
        let version = SourceVersion {
            commit: head,
            branch: repository.optional(&["symbolic-ref", "--quiet", "--short", "HEAD"])?,
            subject: repository.optional(&["log", "-1", "--format=%s", "HEAD"])?,
            dirty: repository.is_dirty(),
            tree: repository
                .digest(Path::new(""))?
                .unwrap_or_else(|| repository.tree.clone()),
        };
        Ok((repository, version))
    }

    fn git(&self) -> Command {
        let mut command = git(&self.top);
        command
            .env("GIT_INDEX_FILE", self.scratch.path().join("index"))
            .env("GIT_OBJECT_DIRECTORY", self.scratch.path().join("objects"))
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.objects);
        command
    }

    /// The app's folder, taken literally whatever characters it holds.
    fn pathspec(&self) -> OsString {
        let mut spec = OsString::from(":(top,literal)");
        spec.push(&self.prefix);
        spec
    }

    fn add(&self, request: &SnapshotRequest<'_>) -> Result<(), BuildError> {
        let mut command = self.git();
        command.args(["add", "--all", "--"]).arg(self.pathspec());
        for excluded in request
            .exclude
            .iter()
            .filter_map(|path| path.canonicalize().ok())
        {
            if let Ok(path) = excluded.strip_prefix(&self.top) {
                let mut spec = OsString::from(":(top,literal,exclude)");
                spec.push(path);
                command.arg(spec);
            }
        }
        match ask(&mut command, None).map_err(BuildError::file(&self.top, "read"))? {
            // A folder with nothing in it matches nothing.
            Err(said) if !said.contains("did not match any files") => Err(BuildError::Git {
                command: "add".to_owned(),
                said,
            }),
            _ => Ok(()),
        }
    }

    /// Takes out what is never part of a release.
    fn leave_out(&self) -> Result<(), BuildError> {
        let mut command = self.git();
        let all = checked(
            command.args(["ls-files", "-z", "--"]).arg(self.pathspec()),
            None,
            "ls-files",
        )?;
        let name = |path: &[u8]| {
            path.rsplit(|byte| *byte == b'/')
                .next()
                .unwrap_or_default()
                .to_vec()
        };
        let mut out = Vec::new();
        for path in all
            .split(|byte| *byte == 0)
            .filter(|path| never(&name(path)))
        {
            out.extend_from_slice(path);
            out.push(0);
        }
        if !out.is_empty() {
            checked(
                self.git()
                    .args(["update-index", "-z", "--force-remove", "--stdin"]),
                Some(out),
                "update-index",
            )?;
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(), BuildError> {
        let mut command = self.git();
        let all = checked(
            command
                .args(["ls-files", "-s", "-z", "--"])
                .arg(self.pathspec()),
            None,
            "ls-files",
        )?;
        for entry in all.split(|byte| *byte == 0) {
            if let Some(tab) = entry.iter().position(|byte| *byte == b'\t') {
                self.entries.push(Entry {
                    link: entry.starts_with(b"160000"),
                    symbolic: entry.starts_with(b"120000"),
                    path: PathBuf::from(OsStr::from_bytes(&entry[tab + 1..])),
                });
            }
        }
        Ok(())
    }

    fn write_tree(&self) -> Result<String, BuildError> {
        let tree = checked(
            self.git().args(["write-tree", "--missing-ok"]),
            None,
            "write-tree",
        )?;
        Ok(line(tree).to_string_lossy().into_owned())
    }

    /// Reads the repositories within: submodules, and what was cloned into the folder.
    fn descend(
        &mut self,
        request: &SnapshotRequest<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(), BuildError> {
        let mut missing = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.link) {
            let folder = self.top.join(&entry.path);
            match find(&folder) {
                Ok(Found::Repository(place))
                    if place.top != self.top && place.prefix.as_os_str().is_empty() =>
                {
                    let request = SnapshotRequest {
                        folder: &folder,
                        ..*request
                    };
                    let (nested, version) = Self::read(&place, &request, warnings)?;
                    if version.dirty {
                        warnings.push(format!(
                            "the repository within at {} has uncommitted changes.",
                            entry.path.display()
                        ));
                    }
                    self.nested.push((entry.path.clone(), nested));
                }
                _ => missing.push(entry.path.display().to_string()),
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(BuildError::SubmodulesMissing(missing)),
        }
    }

    fn is_dirty(&self) -> bool {
        self.dirty || self.nested.iter().any(|(_, nested)| nested.is_dirty())
    }

    /// All files below a path below the app's folder, relative to that path.
    pub fn files(&self, path: &Path) -> Vec<PathBuf> {
        let path = self.prefix.join(path);
        let own = self.entries.iter().filter(|entry| !entry.link);
        let own = own.filter_map(|entry| Some(entry.path.strip_prefix(&path).ok()?.to_owned()));
        let nested = self
            .nested
            .iter()
            .filter_map(|(at, nested)| Some((at.strip_prefix(&path).ok()?, nested)));
        own.chain(nested.flat_map(|(at, nested)| {
            nested
                .files(Path::new(""))
                .into_iter()
                .map(|file| at.join(file))
        }))
        .collect()
    }

    /// The digest of a path below the app's folder.
    pub fn digest(&self, path: &Path) -> Result<Option<String>, BuildError> {
        let path = self.prefix.join(path);
        if !self
            .entries
            .iter()
            .any(|entry| entry.path.starts_with(&path) || path.starts_with(&entry.path))
        {
            return Ok(None);
        }
        let own = match path.as_os_str().is_empty() {
            true => Some(self.tree.clone()),
            false => {
                let mut object = OsString::from(format!("{}:", self.tree));
                object.push(&path);
                let output = ask(
                    self.git()
                        .args(["rev-parse", "--verify", "--quiet"])
                        .arg(object),
                    None,
                );
                let output = output.map_err(BuildError::file(&self.top, "read"))?;
                output
                    .ok()
                    .map(|id| line(id).to_string_lossy().into_owned())
            }
        };
        let mut nested = self
            .nested
            .iter()
            .filter(|(at, _)| at.starts_with(&path) || path.starts_with(at))
            .peekable();
        if nested.peek().is_none() {
            return Ok(own);
        }
        let mut parts = crate::digest::Parts::default().with("own", own.unwrap_or_default());
        for (at, repository) in nested {
            parts = parts
                .with("at", at.as_os_str().as_bytes())
                .with("tree", &repository.tree);
        }
        Ok(Some(parts.finish()))
    }

    /// Where a symbolic link below the app's folder leads to.
    pub fn link(&self, path: &Path) -> Result<Option<PathBuf>, BuildError> {
        let path = self.prefix.join(path);
        let within = |at: &Path| path.strip_prefix(at).ok().map(Path::to_owned);
        for (at, repository) in &self.nested {
            if let Some(path) = within(at) {
                return repository.link(&path);
            }
        }
        let is_link = |entry: &Entry| entry.symbolic && entry.path == path;
        if !self.entries.iter().any(is_link) {
            return Ok(None);
        }
        let mut object = OsString::from(format!("{}:", self.tree));
        object.push(&path);
        let target = checked(
            self.git().args(["cat-file", "blob"]).arg(object),
            None,
            "cat-file",
        )?;
        Ok(Some(OsString::from_vec(target).into()))
    }

    /// Writes a folder or file below the app's folder out.
    pub fn export(&self, path: &Path, to: &Path) -> Result<(), BuildError> {
        let path = self.prefix.join(path);
        // Written under their whole paths, so that the attributes of folders above count, then moved.
        let beside = self.scratch.path().join("export");
        remove(&beside)?;
        let mut list = Vec::new();
        for entry in self
            .entries
            .iter()
            .filter(|entry| !entry.link && entry.path.starts_with(&path))
        {
            list.extend_from_slice(entry.path.as_os_str().as_bytes());
            list.push(0);
        }
        let mut prefix = OsString::from("--prefix=");
        prefix.push(&beside);
        prefix.push("/");
        checked(
            self.git()
                .args(["checkout-index", "-f", "-q", "-z", "--stdin"])
                .arg(prefix),
            Some(list),
            "checkout-index",
        )?;
        let made = beside.join(&path);
        if !fs::symlink_metadata(&made).is_ok_and(|found| !found.is_dir()) {
            fs::create_dir_all(&made).map_err(BuildError::file(&made, "made"))?;
        }
        for (at, repository) in self.nested.iter().filter(|(at, _)| at.starts_with(&path)) {
            let within = beside.join(at);
            remove(&within)?;
            repository.export(Path::new(""), &within)?;
        }
        move_to(&made, to)
    }

    /// The address of the remote `origin`, as it stands in the configuration.
    pub fn origin(&self) -> Option<String> {
        let asked = self.optional(&["config", "--get", "remote.origin.url"]);
        asked.ok().flatten()
    }

    /// An answer that may not exist.
    fn optional(&self, arguments: &[&str]) -> Result<Option<String>, BuildError> {
        let output = ask(git(&self.top).args(arguments), None)
            .map_err(BuildError::file(&self.top, "read"))?;
        Ok(output
            .ok()
            .map(|text| line(text).to_string_lossy().into_owned())
            .filter(|text| !text.is_empty()))
    }
}

fn checked(
    command: &mut Command,
    input: Option<Vec<u8>>,
    name: &str,
) -> Result<Vec<u8>, BuildError> {
    let failed = |said| BuildError::Git {
        command: name.to_owned(),
        said,
    };
    ask(command, input)
        .map_err(|error| failed(error.to_string()))?
        .map_err(failed)
}

/// Copies the index with its time: git trusts what it knows of files older than that.
fn copy_index(from: &Path, to: &Path) -> Result<(), BuildError> {
    let modified = match fs::metadata(from).and_then(|found| found.modified()) {
        Ok(modified) => modified,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BuildError::file(from, "read")(error)),
    };
    fs::copy(from, to).map_err(BuildError::file(from, "copied"))?;
    File::options()
        .write(true)
        .open(to)
        .and_then(|file| file.set_modified(modified))
        .map_err(BuildError::file(to, "written"))
}

/// A path as git reads it in a list of paths.
fn quoted(path: &OsStr) -> OsString {
    let mut text = vec![b'"'];
    for byte in path.as_bytes() {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            b'\n' => text.extend(b"\\n"),
            byte => text.push(*byte),
        }
    }
    text.push(b'"');
    OsString::from_vec(text)
}

/// Finds files that hold only a pointer of Git LFS.
pub fn pointers(folder: &Path, below: &Path, found: &mut Vec<String>) -> Result<(), BuildError> {
    const FIRST: &[u8] = b"version https://git-lfs.github.com/spec/";
    for entry in fs::read_dir(folder).map_err(BuildError::file(folder, "read"))? {
        let entry = entry.map_err(BuildError::file(folder, "read"))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(BuildError::file(&path, "read"))?;
        if kind.is_dir() {
            pointers(&path, below, found)?;
        } else if kind.is_file()
            && entry.metadata().is_ok_and(|file| file.len() < 1024)
            && fs::read(&path).is_ok_and(|content| content.starts_with(FIRST))
        {
            found.push(
                path.strip_prefix(below)
                    .unwrap_or(&path)
                    .display()
                    .to_string(),
            );
        }
    }
    found.sort();
    Ok(())
}
