//! The supervisor's program that is put into containers: one that needs nothing of theirs.

use std::path::{Path, PathBuf};

use landfall_release::Failure;
use landfall_supervise::program::is_static;

use crate::host::Host;

/// The file name of a static one that stands beside one that isn't.
const BESIDE: &str = "landfall-supervise-static";

/// The static supervisor: the one that was named, the one beside this program, or the usual one.
pub fn supervisor(host: &Host) -> Result<PathBuf, Failure> {
    let settings = &host.settings;
    find(
        settings.supervise_static.as_deref(),
        &settings.supervise_program,
    )
}

fn find(named: Option<&Path>, usual: &Path) -> Result<PathBuf, Failure> {
    let refused = |path: &Path, why: &str| {
        Failure::new(
            "supervisor-not-static",
            format!("{} can't run in containers: {why}", path.display()),
        )
        .with(
            "mend",
            "scripts/build-supervise builds one that can; LANDFALL_SUPERVISE_STATIC names it, or it \
             stands beside landfall as landfall-supervise-static",
        )
    };
    let check = |path: &Path| match is_static(path) {
        Ok(true) => Ok(path.to_owned()),
        Ok(false) => Err(refused(path, "it needs the system's own libraries")),
        Err(error) => Err(refused(path, &error.to_string())),
    };
    if let Some(named) = named {
        return check(named);
    }
    let beside = usual.with_file_name(BESIDE);
    match beside.is_file() {
        true => check(&beside),
        false => check(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_libraries_is_refused_with_the_way_to_one_that_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let usual = folder.path().join("landfall-supervise");
        std::fs::write(&usual, "#!/bin/sh\n").unwrap();
        let failure = find(None, &usual).unwrap_err();
        assert_eq!(failure.name, "supervisor-not-static");
        let missing = find(Some(&folder.path().join("nowhere")), &usual).unwrap_err();
        assert!(missing.message.contains("nowhere"), "{missing}");
    }
}
