//! The tools of other formats, as `scripts/test-formats` installs them: the judges of what is rendered.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Ran;

/// A tool's program. A test that uses one has its name in its own, so that it is left out where the tool
/// can't be had: `with_hadolint_…`, `with_compose_and_engine_…`.
pub fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os("LANDFALL_TOOLS")
        .map_or_else(|| workspace().join("target/tools"), PathBuf::from);
    let program = folder.join("bin").join(name);
    assert!(
        program.exists(),
        "{} is missing: scripts/test-formats --tools installs it",
        program.display()
    );
    program
}

/// Runs a tool in a folder to its end.
pub fn run_tool(name: &str, folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Ran {
    run(Command::new(tool(name)).current_dir(folder).args(arguments))
}

/// Runs any program to its end.
pub fn run(command: &mut Command) -> Ran {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran::new(format!("{command:?}"), &output)
}

/// The repository's own folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
