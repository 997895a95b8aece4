//! The context: walked, and copied to where it can be changed.

use std::{collections::BTreeMap, fs, io, path::Path};

use landfall_doctor::{Ignore, Project};

use crate::report::{Error, Result};

use super::subject::Recipe;

/// A context with more files is likely the wrong folder.
const MOST_FILES: usize = 500_000;
/// Larger texts aren't read.
const LARGEST: u64 = 1 << 20;

/// Files whose end says that they are sources.
const SOURCES: [&str; 14] = [
    "py", "js", "ts", "tsx", "jsx", "mjs", "rs", "go", "rb", "php", "java", "html", "css", "md",
];

/// What is known of the context.
pub fn look(recipe: &Recipe) -> Result<Project> {
    let mut files = Vec::new();
    walk(&recipe.folder, "", &mut files)?;
    files.sort();
    let texts = files
        .iter()
        .filter(|(path, size)| *size < LARGEST && says_dependencies(path))
        .filter_map(|(path, _)| {
            Some((
                path.clone(),
                fs::read_to_string(recipe.folder.join(path)).ok()?,
            ))
        });
    let texts: BTreeMap<_, _> = texts.collect();
    Ok(Project {
        texts,
        files,
        ignore: recipe.ignore()?,
        port: recipe.port,
        bases: BTreeMap::new(),
    })
}

fn says_dependencies(path: &str) -> bool {
    path == "package.json"
        || (path.ends_with(".txt")
            && path.contains("requirements")
            && !path.contains("node_modules"))
}

fn walk(folder: &Path, name: &str, files: &mut Vec<(String, u64)>) -> Result {
    let failed = |error: io::Error| Error::file(folder, "can't read", &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(own) = entry.file_name().into_string() else {
            continue;
        };
        let path = if name.is_empty() {
            own
        } else {
            format!("{name}/{own}")
        };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), &path, files)?;
        } else if kind.is_file() {
            files.push((path, entry.metadata().map_or(0, |found| found.len())));
        }
        if files.len() > MOST_FILES {
            return Err(Error::new(
                "bad-context",
                format!("the context has more than {MOST_FILES} files"),
            )
            .mend("is it the right folder? --context names another"));
        }
    }
    Ok(())
}

/// A copy that shares the files' contents; what is changed in it is written anew.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() && fs::hard_link(&source, &target).is_err() {
            // On another file system.
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Writes a file of the copy anew; the one that it shared its content with stays as it is.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let permissions = fs::metadata(path).ok().map(|found| found.permissions());
    let mut beside = path.to_owned().into_os_string();
    beside.push(".landfall-advice");
    fs::write(&beside, text)?;
    if let Some(permissions) = permissions {
        fs::set_permissions(&beside, permissions)?;
    }
    fs::rename(&beside, path)
}

/// A file of the sources to change a line of: one that the start names, else one that is near the root.
pub fn source<'p>(project: &'p Project, start: &str, ignores: &[Option<&str>]) -> Option<&'p str> {
    let ignores: Vec<Ignore> = ignores
        .iter()
        .map(|text| Ignore::read(text.unwrap_or_default()))
        .collect();
    let sources = project
        .files
        .iter()
        .map(|(path, _)| path.as_str())
        .filter(|path| {
            let known = path
                .rsplit_once('.')
                .is_some_and(|(_, end)| SOURCES.contains(&end));
            let made = [
                "node_modules/",
                "venv/",
                ".git/",
                "__pycache__",
                "target/",
                ".next/",
            ]
            .iter()
            .any(|part| path.contains(part));
            known && !made && !ignores.iter().any(|ignore| ignore.leaves_out(path))
        });
    sources.min_by_key(|path| {
        (
            !start.contains(path),
            path.ends_with(".md"),
            path.matches('/').count(),
            path.len(),
        )
    })
}
