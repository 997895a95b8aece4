//! An image's layers, taken in entry by entry as they stream by. What is kept is bounded: names and
//! sizes of files, never their contents.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use crate::{history::Past, secrets};

/// So many entries are remembered; of larger images what was deleted or doubled isn't known.
const MOST_ENTRIES: usize = 1_500_000;
/// So many examples are kept of each kind.
const EXAMPLES: usize = 5;
/// Files that are larger aren't looked into.
pub const LARGEST_LOOKED_INTO: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link of either kind.
    Link,
    /// Devices and the like.
    Other,
}

/// One entry of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its path without a slash at the beginning.
    pub path: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// Its permissions.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// What is known of a layer.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes as a registry keeps it, compressed by gzip; none where it wasn't measured.
    pub compressed: Option<u64>,
    /// How many files it has.
    pub files: u64,
    /// Bytes of package lists.
    pub lists: u64,
    /// Bytes of what package managers downloaded.
    pub caches: u64,
    /// Bytes of compilers and headers.
    pub build_tools: u64,
    /// Bytes that later layers delete or write anew, of files of this one.
    pub hidden: u64,
    /// Bytes of files of earlier layers that this one only writes again, at the same size.
    pub doubled: u64,
    /// Bytes of files of earlier layers that this one deletes.
    pub deleted: u64,
    /// Some of these.
    pub deleted_examples: Vec<String>,
    /// Some of those that are written again.
    pub doubled_examples: Vec<String>,
    /// Files with secrets: the path, and what it is.
    pub secrets: Vec<(String, &'static str)>,
    /// Programs that run as their owner.
    pub set_user: Vec<String>,
    /// Files that everybody may write.
    pub writable: Vec<String>,
    /// Programs of some names that health checks use.
    pub programs: Vec<&'static str>,
    /// The top folders' bytes, for what is said of the layer.
    entries: Vec<(Box<str>, u64)>,
    whiteouts: Vec<Box<str>>,
}

/// Layers that stream by, in whatever order.
#[derive(Debug, Default)]
pub struct Layers {
    by_name: HashMap<String, Layer>,
    count: usize,
}

impl Layers {
    /// Whether a layer of this name was taken in already.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Takes an entry of a layer in. `true`: its content should be told too.
    pub fn entry(&mut self, name: &str, entry: &Entry<'_>) -> bool {
        let layer = match self.by_name.get_mut(name) {
            Some(layer) => layer,
            None => self.by_name.entry(name.to_owned()).or_default(),
        };
        let path = entry.path.trim_start_matches("./").trim_start_matches('/');
        let (folder, last) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(gone) = last.strip_prefix(".wh.") {
            let whole = match gone {
                // All that the folder had in layers below.
                ".wh..opq" => format!("{folder}/"),
                gone if folder.is_empty() => gone.to_owned(),
                gone => format!("{folder}/{gone}"),
            };
            layer.whiteouts.push(whole.into());
            return false;
        }
        if entry.kind != Kind::File {
            if entry.kind == Kind::Link {
                layer.program(path);
            }
            return false;
        }
        layer.bytes += entry.size;
        layer.files += 1;
        layer.sort_in(path, entry);
        self.count += 1;
        if self.count <= MOST_ENTRIES {
            layer.entries.push((path.into(), entry.size));
        }
        if entry.size > 0 && !secrets::is_nobodys(path) {
            if let Some(what) = secrets::file(path).filter(|_| layer.secrets.len() < 50) {
                layer.secrets.push((path.to_owned(), what));
                return false;
            }
            return entry.size <= LARGEST_LOOKED_INTO;
        }
        false
    }

    /// Takes the content of a file in, after its entry.
    pub fn content(&mut self, name: &str, path: &str, content: &[u8]) {
        // What has a zero byte early is no text.
        if content[..content.len().min(512)].contains(&0) {
            return;
        }
        let Some(what) = secrets::shape(content) else {
            return;
        };
        if let Some(layer) = self
            .by_name
            .get_mut(name)
            .filter(|layer| layer.secrets.len() < 50)
        {
            let path = path.trim_start_matches("./").trim_start_matches('/');
            layer.secrets.push((path.to_owned(), what));
        }
    }

    /// What a layer takes compressed. Also makes layers known that have no entries.
    pub fn compressed(&mut self, name: &str, bytes: Option<u64>) {
        self.by_name.entry(name.to_owned()).or_default().compressed = bytes;
    }

    /// The layers in their order, with what later ones do to earlier ones.
    #[must_use]
    pub fn finish(mut self, order: &[String], past: Past) -> Looked {
        let whole = self.count <= MOST_ENTRIES;
        let mut layers: Vec<Layer> = order
            .iter()
            .map(|name| self.by_name.remove(name).unwrap_or_default())
            .collect();
        if whole {
            compare(&mut layers);
        }
        for layer in &mut layers {
            layer.entries = Vec::new();
            layer.whiteouts = Vec::new();
        }
        Looked {
            layers,
            past,
            whole,
        }
    }
}

impl Layer {
    fn program(&mut self, path: &str) {
        for program in ["curl", "wget", "python", "python3", "node", "bash", "sh"] {
            let is = ["usr/bin/", "bin/", "usr/local/bin/"]
                .iter()
                .any(|folder| path.strip_prefix(folder) == Some(program));
            if is && !self.programs.contains(&program) {
                self.programs.push(program);
            }
        }
    }

    fn sort_in(&mut self, path: &str, entry: &Entry<'_>) {
        self.program(path);
        let starts = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
        if starts(&[
            "var/lib/apt/lists/",
            "var/cache/apt/",
            "var/cache/apk/",
            "var/cache/dnf/",
            "var/cache/yum/",
            "var/lib/dnf/",
        ]) {
            self.lists += entry.size;
        } else if path.contains(".cache/pip/")
            || path.contains("/.npm/_cacache/")
            || path.contains(".cache/yarn/")
            || path.contains(".cache/uv/")
            || path.contains("/go/pkg/mod/cache/")
        {
            self.caches += entry.size;
        } else if starts(&[
            "usr/lib/gcc/",
            "usr/libexec/gcc/",
            "usr/include/",
            "usr/local/go/",
            "usr/local/cargo/",
            "usr/local/rustup/",
            "usr/lib/llvm",
        ]) || (starts(&["usr/lib/", "lib/"]) && path.ends_with(".a"))
            || (starts(&["usr/bin/"])
                && [
                    "-gcc",
                    "-g++",
                    "-ld.bfd",
                    "-ld.gold",
                    "-as",
                    "/make",
                    "-cpp",
                    "-lto-dump",
                ]
                .iter()
                .any(|part| path.contains(part)))
        {
            self.build_tools += entry.size;
        }
        if entry.mode & 0o4000 != 0 && self.set_user.len() < EXAMPLES {
            self.set_user.push(path.to_owned());
        }
        if entry.mode & 0o002 != 0
            && !starts(&["tmp/", "var/tmp/"])
            && self.writable.len() < EXAMPLES
        {
            self.writable.push(path.to_owned());
        }
    }
}

/// Where each file of the layers below was seen last, and what becomes of it.
fn compare(layers: &mut [Layer]) {
    let mut seen: BTreeMap<Box<str>, (usize, u64)> = BTreeMap::new();
    for at in 0..layers.len() {
        let whiteouts = std::mem::take(&mut layers[at].whiteouts);
        for gone in &whiteouts {
            let mut below: Vec<(Box<str>, (usize, u64))> = Vec::new();
            if let Some(found) = seen.remove(gone) {
                below.push((gone.clone(), found));
            }
            let folder = format!("{}/", gone.trim_end_matches('/'));
            let inside: Vec<Box<str>> = seen
                .range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded))
                .take_while(|(path, _)| path.starts_with(folder.as_str()))
                .map(|(path, _)| path.clone())
                .collect();
            for path in inside {
                if let Some(found) = seen.remove(&path) {
                    below.push((path, found));
                }
            }
            for (path, (from, size)) in below {
                layers[at].deleted += size;
                layers[from].hidden += size;
                if size > 0 && layers[at].deleted_examples.len() < EXAMPLES {
                    layers[at].deleted_examples.push(path.into());
                }
            }
        }
        let entries = std::mem::take(&mut layers[at].entries);
        for (path, size) in entries {
            if let Some((from, before)) = seen.insert(path.clone(), (at, size))
                && from != at
            {
                layers[from].hidden += before;
                if before == size && size > 0 && !is_bookkeeping(&path) {
                    layers[at].doubled += size;
                    if layers[at].doubled_examples.len() < EXAMPLES {
                        layers[at].doubled_examples.push(path.into());
                    }
                }
            }
        }
    }
}

/// What package managers write anew each time.
fn is_bookkeeping(path: &str) -> bool {
    [
        "var/cache/",
        "var/lib/dpkg/",
        "var/lib/apt/",
        "var/log/",
        "lib/apk/",
        "var/lib/rpm/",
        "etc/ld.so.cache",
    ]
    .iter()
    .any(|folder| path.starts_with(folder))
}

/// An image that was looked into.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Its layers, from the base on.
    pub layers: Vec<Layer>,
    /// Its configuration and history.
    pub past: Past,
    /// Whether all of its files were compared.
    pub whole: bool,
}

impl Looked {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes).sum()
    }

    /// Bytes as a registry keeps it, where that was measured.
    #[must_use]
    pub fn compressed(&self) -> Option<u64> {
        self.layers.iter().map(|layer| layer.compressed).sum()
    }

    /// Whether a program is in some layer.
    #[must_use]
    pub fn has_program(&self, name: &str) -> bool {
        self.layers
            .iter()
            .any(|layer| layer.programs.contains(&name))
    }
}
