//! Snapshots of real repositories, and of folders without one.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that goes wrong"
)]

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
};

use landfall_build::{BuildError, Snapshot, SnapshotRequest};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args([
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.com",
            "-c",
            "protocol.file.allow=always",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn put(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

struct Bed {
    _temporary: tempfile::TempDir,
    source: PathBuf,
    scratch: PathBuf,
}

impl Bed {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let source = temporary.path().join("source");
        fs::create_dir(&source).unwrap();
        Self {
            source,
            scratch: temporary.path().join("scratch"),
            _temporary: temporary,
        }
    }

    fn repository() -> Self {
        let bed = Self::new();
        git(&bed.source, &["init", "-q"]);
        bed
    }

    fn commit(&self) {
        git(&self.source, &["add", "-A"]);
        git(&self.source, &["commit", "-q", "-m", "Say it\n\nat length"]);
    }

    fn take(&self, folder: &str) -> Result<Snapshot, BuildError> {
        Snapshot::take(&SnapshotRequest {
            folder: &self.source.join(folder),
            scratch: &self.scratch,
            exclude: &[],
        })
    }

    fn export(&self, snapshot: &Snapshot, path: &str) -> PathBuf {
        let to = self.scratch.join("out").join(format!(
            "{}",
            fs::read_dir(self.scratch.join("out")).map_or(0, Iterator::count)
        ));
        snapshot.export(path, &to).unwrap();
        to
    }
}

fn names(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, below: &Path, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => walk(&entry.path(), below, names),
                false => names.push(
                    entry
                        .path()
                        .strip_prefix(below)
                        .unwrap()
                        .display()
                        .to_string(),
                ),
            }
        }
    }
    let mut names_found = Vec::new();
    walk(folder, folder, &mut names_found);
    names_found.sort();
    names_found
}

#[test]
fn a_dirty_tree_is_taken_as_it_stands_and_the_repository_stays_as_it_was() {
    let bed = Bed::repository();
    put(&bed.source, ".gitignore", "ignored\n");
    put(&bed.source, "kept", "old");
    put(&bed.source, "gone", "x");
    bed.commit();
    let clean = bed.take("").unwrap();
    assert!(!clean.version.dirty);
    assert_eq!(
        clean.version.tree,
        git(&bed.source, &["rev-parse", "HEAD^{tree}"])
    );
    assert_eq!(clean.version.subject.as_deref(), Some("Say it"));
    assert_eq!(clean.version.branch.as_deref(), Some("main"));
    assert_eq!(
        clean.version.commit.as_deref(),
        Some(git(&bed.source, &["rev-parse", "HEAD"]).as_str())
    );

    put(&bed.source, "kept", "new");
    put(&bed.source, "added", "untracked");
    put(&bed.source, "ignored", "no");
    put(&bed.source, ".env", "TOKEN=hunter2");
    put(&bed.source, "sub/.env", "TOKEN=hunter2");
    put(&bed.source, "landfall.secrets.toml", "");
    fs::remove_file(bed.source.join("gone")).unwrap();
    fs::set_permissions(bed.source.join("kept"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("kept", bed.source.join("link")).unwrap();
    let (index, objects) = (
        fs::read(bed.source.join(".git/index")).unwrap(),
        names(&bed.source.join(".git/objects")),
    );
    let dirty = bed.take("").unwrap();
    assert!(dirty.version.dirty);
    assert_ne!(dirty.version.tree, clean.version.tree);
    let out = bed.export(&dirty, "");
    assert_eq!(names(&out), [".gitignore", "added", "kept", "link"]);
    assert_eq!(fs::read_to_string(out.join("kept")).unwrap(), "new");
    assert_eq!(
        fs::metadata(out.join("kept")).unwrap().permissions().mode() & 0o111,
        0o111
    );
    assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("kept"));
    assert_eq!(fs::read(bed.source.join(".git/index")).unwrap(), index);
    assert_eq!(names(&bed.source.join(".git/objects")), objects);
    drop((clean, dirty));
    assert_eq!(
        fs::read_dir(&bed.scratch).unwrap().count(),
        1,
        "only `out` is left"
    );
}

#[test]
fn only_the_apps_own_folder_counts() {
    let bed = Bed::repository();
    put(&bed.source, "apps/a b/api/main.py", "x");
    put(&bed.source, "apps/a b/site/index.html", "x");
    put(&bed.source, "apps/other/file", "x");
    bed.commit();
    put(&bed.source, "apps/other/file", "changed");
    let snapshot = bed.take("apps/a b").unwrap();
    assert!(
        !snapshot.version.dirty,
        "what changed belongs to another app"
    );
    assert_eq!(
        snapshot.digest("api").unwrap(),
        Some(git(&bed.source, &["rev-parse", "HEAD:apps/a b/api"]))
    );
    assert_eq!(snapshot.digest("none").unwrap(), None);
    assert_eq!(
        names(&bed.export(&snapshot, "")),
        ["api/main.py", "site/index.html"]
    );
    assert_eq!(names(&bed.export(&snapshot, "./site/")), ["index.html"]);
    assert_eq!(snapshot.files("site").unwrap(), [Path::new("index.html")]);
    let error = snapshot
        .export("../other", &bed.scratch.join("x"))
        .unwrap_err();
    assert_eq!(error.name(), "outside-of-app");
}

#[test]
fn a_repository_without_commits_and_an_ignored_folder() {
    let bed = Bed::repository();
    put(&bed.source, ".gitignore", "out\n");
    put(&bed.source, "main.py", "x");
    put(&bed.source, "out/index.html", "x");
    let snapshot = bed.take("").unwrap();
    assert_eq!(snapshot.version.commit, None);
    assert!(snapshot.version.dirty);
    assert_eq!(snapshot.version.branch.as_deref(), Some("main"));
    assert_eq!(names(&bed.export(&snapshot, "")), [".gitignore", "main.py"]);
    let ignored = bed.take("out").unwrap();
    assert_eq!(names(&bed.export(&ignored, "")), ["index.html"]);
    assert!(
        ignored.warnings[0].contains("ignores this folder"),
        "{:?}",
        ignored.warnings
    );
}

#[test]
fn odd_names_survive_with_and_without_git() {
    for with_git in [true, false] {
        let bed = if with_git {
            Bed::repository()
        } else {
            Bed::new()
        };
        let odd = [
            &b"a b"[..],
            b"new\nline",
            b"-dash",
            b"quo\"te",
            b"\xff\xfe",
            "ümlaut".as_bytes(),
            b":(top)x",
            b"*",
        ];
        for name in odd {
            fs::write(bed.source.join(OsStr::from_bytes(name)), name).unwrap();
        }
        let snapshot = bed.take("").unwrap();
        let out = bed.export(&snapshot, "");
        for name in odd {
            assert_eq!(
                fs::read(out.join(OsStr::from_bytes(name))).unwrap(),
                name,
                "git: {with_git}"
            );
        }
    }
}

#[test]
fn state_within_the_folder_is_no_source() {
    for with_git in [true, false] {
        let bed = if with_git {
            Bed::repository()
        } else {
            Bed::new()
        };
        put(&bed.source, "main.py", "x");
        put(&bed.source, "state [1]/artifact", "x");
        let exclude = [bed.source.join("state [1]")];
        let request = SnapshotRequest {
            folder: &bed.source,
            scratch: &bed.source.join("state [1]"),
            exclude: &exclude,
        };
        let snapshot = Snapshot::take(&request).unwrap();
        assert_eq!(snapshot.files("").unwrap(), [Path::new("main.py")]);
    }
}

#[test]
fn submodules_are_taken_with_their_content_or_refused_by_name() {
    let library = Bed::repository();
    put(&library.source, "lib.py", "one");
    library.commit();
    let bed = Bed::repository();
    put(&bed.source, "main.py", "x");
    git(
        &bed.source,
        &[
            "submodule",
            "add",
            "-q",
            library.source.to_str().unwrap(),
            "vendor/lib",
        ],
    );
    bed.commit();
    let before = bed.take("").unwrap();
    assert!(!before.version.dirty);
    assert_eq!(
        names(&bed.export(&before, "")),
        [".gitmodules", "main.py", "vendor/lib/lib.py"]
    );
    assert_eq!(names(&bed.export(&before, "vendor/lib")), ["lib.py"]);

    put(&bed.source, "vendor/lib/lib.py", "two");
    let after = bed.take("").unwrap();
    assert!(after.version.dirty);
    assert_ne!(after.version.tree, before.version.tree);
    assert_ne!(
        after.digest("vendor").unwrap(),
        before.digest("vendor").unwrap()
    );
    assert_eq!(
        fs::read_to_string(bed.export(&after, "").join("vendor/lib/lib.py")).unwrap(),
        "two"
    );

    let clone = Bed::new();
    git(
        &clone.source,
        &["clone", "-q", bed.source.to_str().unwrap(), "."],
    );
    let error = clone.take("").unwrap_err();
    assert_eq!(
        error.to_string(),
        "submodules are not checked out: vendor/lib"
    );
}

#[test]
fn pointers_of_lfs_are_refused_by_name() {
    let bed = Bed::repository();
    put(
        &bed.source,
        "data/model.bin",
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    );
    bed.commit();
    let snapshot = bed.take("").unwrap();
    let error = snapshot.export("", &bed.scratch.join("out")).unwrap_err();
    assert_eq!(error.name(), "lfs-pointers");
    assert!(error.to_string().contains("data/model.bin"));
}

#[test]
fn a_folder_without_git_is_walked() {
    let bed = Bed::new();
    for name in [
        "main.py",
        "a/b.txt",
        ".venv/x",
        "node_modules/x",
        "a/__pycache__/x.pyc",
        "x.pyc",
        ".env",
        "a/.git/HEAD",
    ] {
        put(&bed.source, name, "x");
    }
    symlink("main.py", bed.source.join("link")).unwrap();
    fs::set_permissions(
        bed.source.join("main.py"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let snapshot = bed.take("").unwrap();
    assert_eq!(snapshot.version.commit, None);
    let out = bed.export(&snapshot, "");
    assert_eq!(names(&out), ["a/b.txt", "link", "main.py"]);
    assert_eq!(
        fs::metadata(out.join("main.py"))
            .unwrap()
            .permissions()
            .mode()
            & 0o111,
        0o111
    );
    assert_eq!(bed.take("").unwrap().version.tree, snapshot.version.tree);
    put(&bed.source, "a/b.txt", "y");
    let changed = bed.take("").unwrap();
    assert_ne!(changed.version.tree, snapshot.version.tree);
    assert_ne!(changed.digest("a").unwrap(), snapshot.digest("a").unwrap());
    assert_eq!(
        snapshot
            .export("a", &bed.scratch.join("late"))
            .unwrap_err()
            .name(),
        "source-changing"
    );
}

#[test]
#[ignore = "run by the next test, without git on its PATH"]
fn without_git_in_a_repository() {
    assert!(
        Command::new("git").output().is_err(),
        "this test runs without git"
    );
    let bed = Bed::new();
    put(&bed.source, ".git/HEAD", "ref: refs/heads/main");
    put(&bed.source, "main.py", "x");
    let snapshot = bed.take("").unwrap();
    assert_eq!(names(&bed.export(&snapshot, "")), ["main.py"]);
    assert!(
        snapshot.warnings[0].starts_with("git is not installed"),
        "{:?}",
        snapshot.warnings
    );
}

#[test]
fn a_missing_git_is_said() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again
        .args(["--exact", "without_git_in_a_repository", "--ignored"])
        .env("PATH", "/nonexistent");
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
