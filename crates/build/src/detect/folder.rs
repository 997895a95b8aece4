//! A folder as `init` looks at it: names, and texts of a reasonable size.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::walk::is_ignored;

/// No text beyond this size is looked at.
const LARGEST: u64 = 256 << 10;

/// No more files than this are looked at.
const MOST: usize = 5000;

/// A folder and the files in it.
pub struct Folder {
    path: PathBuf,
    /// Paths of files relative to the folder, sorted, in `/` notation.
    pub files: Vec<String>,
}

impl Folder {
    /// Lists a folder, as deep as applications go.
    pub fn read(path: &Path) -> Self {
        let mut folder = Self {
            path: path.to_owned(),
            files: Vec::new(),
        };
        folder.list(Path::new(""), 0);
        folder.files.sort();
        folder
    }

    /// A folder whose files aren't listed: only texts of known names are read.
    pub fn only(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            files: Vec::new(),
        }
    }

    fn list(&mut self, below: &Path, depth: usize) {
        for entry in fs::read_dir(self.path.join(below))
            .into_iter()
            .flatten()
            .flatten()
        {
            let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else {
                continue;
            };
            let Some(text) = name.to_str() else { continue };
            let hidden_folder = kind.is_dir() && text.starts_with('.');
            if is_ignored(&name) || hidden_folder || self.files.len() >= MOST {
                continue;
            }
            let relative = below.join(&name);
            if kind.is_dir() && depth < 6 {
                self.list(&relative, depth + 1);
            } else if kind.is_file()
                && let Some(relative) = relative.to_str()
            {
                self.files.push(relative.to_owned());
            }
        }
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file == name)
    }

    /// The first of several files that is there.
    pub fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// A file's text; none where there is no file, or one too large or no text.
    pub fn text(&self, name: &str) -> Option<String> {
        let path = self.path.join(name);
        let small =
            fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
        small.then(|| fs::read_to_string(path).ok()).flatten()
    }

    /// The same of a folder below.
    pub fn below(&self, name: &str) -> Self {
        let prefix = format!("{name}/");
        let files = self
            .files
            .iter()
            .filter_map(|file| file.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect();
        Self {
            path: self.path.join(name),
            files,
        }
    }

    /// The names of the folders in it.
    pub fn folders(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .files
            .iter()
            .filter_map(|file| file.split_once('/'))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.dedup();
        names
    }

    /// Source files with one of these endings, tests left out.
    pub fn sources<'a>(&'a self, endings: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        let is_test = |file: &str| {
            file.split('/').any(|part| {
                matches!(part, "test" | "tests" | "__tests__" | "e2e" | "spec")
                    || part.starts_with("test_")
            })
        };
        self.files.iter().map(String::as_str).filter(move |file| {
            !is_test(file)
                && file
                    .rsplit_once('.')
                    .is_some_and(|(_, ending)| endings.contains(&ending))
        })
    }
}
