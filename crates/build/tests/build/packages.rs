//! Builds by the package programs of Python and Node.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use landfall_app::model::Build;
use landfall_build::prune;
use landfall_release::Artifact;

use crate::bed::Bed;

fn has(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let mut bed = Bed::new();
    bed.put("package.json", "{}");
    bed.tools.insert("PATH".into(), bed.path("nowhere").into());
    let error = bed.build(&Build::default(), None).unwrap_err();
    assert_eq!(
        (error.name(), error.mend().unwrap().as_str()),
        ("tool-missing", "sudo apt install nodejs npm")
    );
    bed.put("requirements.txt", "");
    let error = bed.build(&Build::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "web needs python3, which is not installed"
    );
}

#[test]
fn a_python_without_its_venv_module_is_named_with_its_package() {
    let mut bed = Bed::new();
    bed.put("requirements.txt", "x");
    // As Debian's python3 says it without python3-venv.
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo Python 3.11.2 && exit\n\
        echo 'The virtual environment was not created successfully because ensurepip is not'\n\
        echo 'available.  On Debian/Ubuntu systems, you need to install the python3-venv'\nexit 1\n";
    fs::create_dir(bed.path("bin")).unwrap();
    // Written by another process: one forked meanwhile would hold it open for writing, and a
    // file that is can't be executed.
    let write = ["-c", "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"];
    let written = Command::new("sh")
        .args(write)
        .arg(bed.path("bin/python3"))
        .arg(script)
        .status();
    assert!(written.unwrap().success());
    bed.tools.insert("PATH".into(), bed.path("bin").into());
    let error = bed.build(&Build::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "web needs the venv module of python3, which is not installed"
    );
    assert_eq!(error.mend().unwrap(), "sudo apt install python3-venv");
}

/// A wheel is a zip file; Python writes it, and no package index is asked.
fn wheel(bed: &Bed, name: &str, says: &str) {
    let script = "import sys, zipfile\nfolder, name, says = sys.argv[1:]\n\
        with zipfile.ZipFile(f'{folder}/{name}-1.0-py3-none-any.whl', 'w') as z:\n\
        \x20   info = f'{name}-1.0.dist-info'\n\
        \x20   z.writestr(f'{name}.py', f'def main():\\n    print({says!r})\\n')\n\
        \x20   z.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')\n\
        \x20   z.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
        \x20   z.writestr(f'{info}/entry_points.txt', f'[console_scripts]\\n{name}-tool = {name}:main\\n')\n\
        \x20   z.writestr(f'{info}/RECORD', '')\n";
    let folder = bed.path("source/wheels");
    fs::create_dir_all(&folder).unwrap();
    let status = Command::new("python3")
        .args(["-c", script])
        .arg(&folder)
        .args([name, says])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn requirements_make_an_environment_that_releases_share() {
    if !has("python3") {
        return;
    }
    let bed = Bed::new();
    wheel(&bed, "greeter", "hello");
    bed.put(
        "requirements.txt",
        "--no-index\n--find-links ./wheels\ngreeter==1.0  # said\n",
    );
    bed.put("main.py", "import greeter; greeter.main()");
    let how = Build {
        dockerfile: Some("Dockerfile".to_owned()),
        ..Build::default()
    };
    let first = bed.build(&how, None).unwrap();
    assert_eq!(
        (first.builder.as_str(), first.said.as_str()),
        ("python", "requirements.txt, 1 package")
    );
    assert_eq!(first.path, [".venv/bin"]);
    assert_eq!(Bed::run(&first, &["python", "main.py"]), "hello");
    assert_eq!(Bed::run(&first, &["greeter-tool"]), "hello");
    let commands = bed.commands();

    bed.put("main.py", "import greeter; greeter.main(); print('more')");
    let began = Instant::now();
    let second = bed.build(&how, None).unwrap();
    println!("a changed line: {:?}", began.elapsed());
    assert_ne!(second.folder, first.folder);
    assert_eq!(bed.commands(), commands, "a changed line installs nothing");
    assert_eq!(Bed::run(&second, &["python", "main.py"]), "hello\nmore");
    assert_eq!(Bed::run(&first, &["python", "main.py"]), "hello");

    wheel(&bed, "greeter", "good day");
    let third = bed.build(&how, None).unwrap();
    assert!(
        bed.commands() > commands,
        "another wheel under the same name is another environment"
    );
    assert_eq!(Bed::run(&third, &["greeter-tool"]), "good day");
    assert_eq!(Bed::run(&first, &["greeter-tool"]), "hello");

    let keep = BTreeSet::from([third.folder.clone()]);
    assert!(
        prune(&bed.path("artifacts"), &keep, Duration::from_secs(3600))
            .unwrap()
            .is_empty(),
        "all of it is young"
    );
    let removed = prune(&bed.path("artifacts"), &keep, Duration::ZERO).unwrap();
    assert_eq!(
        removed.len(),
        3,
        "two artifacts and the layer that only they used: {removed:?}"
    );
    assert_eq!(Bed::run(&third, &["greeter-tool"]), "good day");

    bed.put("requirements.txt", "--no-index\nlandfall-no-such-package\n");
    let error = bed.build(&how, None).unwrap_err();
    assert!(
        error.failure().details[0]
            .text
            .contains("landfall-no-such-package"),
        "{error:?}"
    );
}

#[test]
fn a_lock_of_uv_is_kept_to() {
    if !has("python3") || !has("uv") {
        return;
    }
    let bed = Bed::new();
    bed.put(
        "pyproject.toml",
        "[project]\nname = 'mine'\nversion = '1.0'\nrequires-python = '>=3.9'\n",
    );
    bed.put("main.py", "print('hello')");
    let lock = Command::new("uv")
        .args(["lock", "--offline"])
        .current_dir(bed.path("source"))
        .output()
        .unwrap();
    assert!(
        lock.status.success(),
        "{}",
        String::from_utf8_lossy(&lock.stderr)
    );
    let artifact = bed.build(&Build::default(), None).unwrap();
    assert_eq!(artifact.said, "uv.lock, 0 packages");
    assert_eq!(Bed::run(&artifact, &["python", "main.py"]), "hello");
}

#[test]
fn python_without_requirements_still_has_python() {
    if !has("python3") {
        return;
    }
    let bed = Bed::new();
    bed.put("agent/__main__.py", "print('hello')");
    let artifact = bed.build(&Build::default(), None).unwrap();
    assert_eq!(Bed::run(&artifact, &["python", "-m", "agent"]), "hello");
}

#[test]
fn a_python_project_is_installed_itself() {
    if !has("python3") {
        return;
    }
    let bed = Bed::new();
    // A build backend of three lines, so that nothing needs to be fetched.
    bed.put("pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n[project]\nname = 'mine'\nversion = '1.0'\n");
    bed.put(
        "backend.py",
        "import zipfile\n\ndef build_wheel(folder, config_settings=None, metadata_directory=None):\n    name = 'mine-1.0-py3-none-any.whl'\n    \
         with zipfile.ZipFile(f'{folder}/{name}', 'w') as z:\n        info = 'mine-1.0.dist-info'\n        \
         z.writestr('mine.py', open('src/mine.py').read())\n        \
         z.writestr(f'{info}/METADATA', 'Metadata-Version: 2.1\\nName: mine\\nVersion: 1.0\\n')\n        \
         z.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n        \
         z.writestr(f'{info}/RECORD', '')\n    return name\n",
    );
    bed.put("src/mine.py", "print('one')");
    let first = bed.build(&Build::default(), None).unwrap();
    assert_eq!(first.said, "pyproject.toml, 1 package");
    assert_eq!(Bed::run(&first, &["python", "-m", "mine"]), "one");
    bed.put("src/mine.py", "print('two')");
    assert_eq!(
        Bed::run(
            &bed.build(&Build::default(), None).unwrap(),
            &["python", "-m", "mine"]
        ),
        "two"
    );
}

fn npm_lock(bed: &Bed) {
    let npm = Command::new("npm")
        .args(["install", "--offline", "--no-audit", "--no-fund"])
        .current_dir(bed.path("source"))
        .output()
        .unwrap();
    assert!(
        npm.status.success(),
        "{}",
        String::from_utf8_lossy(&npm.stderr)
    );
}

#[test]
fn node_modules_are_installed_and_the_build_script_is_run() {
    if !has("node") || !has("npm") {
        return;
    }
    let bed = Bed::new();
    bed.put("dep/package.json", r#"{"name": "dep", "version": "1.0.0"}"#);
    bed.put("dep/index.js", "module.exports = 'hello'");
    bed.put(
        "package.json",
        r#"{"name": "x", "version": "1.0.0", "dependencies": {"dep": "file:dep"}, "scripts": {"build": "mkdir -p dist && node main.js > dist/index.html"}}"#,
    );
    bed.put("main.js", "console.log(require('dep'))");
    npm_lock(&bed);
    let artifact = bed.build(&Build::default(), Some("dist")).unwrap();
    assert_eq!(artifact.builder, "node");
    assert_eq!(
        fs::read_to_string(artifact.folder.join("dist/index.html")).unwrap(),
        "hello\n"
    );
    assert!(artifact.environment.contains_key("NODE_ENV"));
    assert!(
        !artifact.folder.join("node_modules").exists(),
        "a site executes nothing"
    );
}

#[test]
fn node_modules_are_shared_between_releases() {
    if !has("node") || !has("npm") {
        return;
    }
    let bed = Bed::new();
    bed.put(
        "dep/package.json",
        r#"{"name": "dep", "version": "1.0.0", "bin": "index.js"}"#,
    );
    bed.put(
        "dep/index.js",
        "#!/usr/bin/env node\nmodule.exports = 'hello'; console.log('ran')",
    );
    let pack = Command::new("npm")
        .args(["pack", "--pack-destination", ".."])
        .current_dir(bed.path("source/dep"))
        .output()
        .unwrap();
    assert!(pack.status.success());
    fs::remove_dir_all(bed.path("source/dep")).unwrap();
    bed.put(
        "package.json",
        r#"{"name": "x", "version": "1.0.0", "dependencies": {"dep": "file:dep-1.0.0.tgz"}}"#,
    );
    bed.put("main.js", "console.log(require('dep'))");
    npm_lock(&bed);
    let first = bed.build(&Build::default(), None).unwrap();
    assert_eq!(first.said, "package-lock.json, 1 package");
    assert_eq!(Bed::run(&first, &["node", "main.js"]), "ran\nhello");
    assert_eq!(Bed::run(&first, &["dep"]), "ran");
    let commands = bed.commands();
    bed.put("main.js", "console.log(require('dep') + '!')");
    let second = bed.build(&Build::default(), None).unwrap();
    assert_eq!(bed.commands(), commands, "a changed line installs nothing");
    assert_eq!(Bed::run(&second, &["node", "main.js"]), "ran\nhello!");
    let link =
        |artifact: &Artifact| fs::canonicalize(artifact.folder.join("node_modules")).unwrap();
    assert_eq!(link(&first), link(&second));
    assert!(link(&first).starts_with(Path::new(&bed.path("artifacts"))));
}
