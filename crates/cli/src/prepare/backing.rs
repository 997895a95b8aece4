//! What backing services need of the sources: the scripts of their first start.

use std::{collections::BTreeMap, fs};

use landfall_app::App;
use landfall_build::Snapshot;

use crate::report::{Error, Result};

/// More than a script has; a dump is restored, not run at the first start.
const MOST: u64 = 1 << 20;

/// The texts of all `init` scripts, by their paths in the app file: as they are in the sources of
/// this release, whatever lies beside them.
pub fn scripts(app: &App, snapshot: &Snapshot) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for path in app.backing.values().flat_map(|backing| &backing.init) {
        texts.insert(path.clone(), script(path, snapshot)?);
    }
    Ok(texts)
}

fn script(path: &str, snapshot: &Snapshot) -> Result<String> {
    let unusable = |what: &str| Error::new("file-unusable", format!("{path} {what}"));
    if snapshot.digest(path)?.is_none() {
        return Err(
            unusable("is no file of the sources, so that it can't run at the first start")
                .mend("add it, and see that .gitignore doesn't name it"),
        );
    }
    let folder = tempfile::tempdir()
        .map_err(|error| Error::file(&std::env::temp_dir(), "can't make a folder in", &error))?;
    let file = folder.path().join("script");
    snapshot.export(path, &file)?;
    let found = fs::symlink_metadata(&file)
        .map_err(|error| unusable(&format!("can't be read: {error}")))?;
    if !found.is_file() {
        return Err(
            unusable("is a folder or a link, and not a script").mend("name the file itself")
        );
    }
    let size = found.len();
    if size > MOST {
        return Err(unusable(&format!(
            "has {size} bytes, and a script for the first start at most {MOST}"
        ))
        .mend("let a migration of the app fill the database"));
    }
    fs::read_to_string(&file).map_err(|error| unusable(&format!("can't be read: {error}")))
}
