//! The builder of Node: installed modules, shared by all artifacts with the same lock where nothing
//! speaks against it, and the `build` script.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    build::{Made, Work},
    digest::{Parts, hex},
    error::BuildError,
    files::{copy, inside, remove},
    progress::Progress,
    tool::Tools,
};

const INSTALL: &str = "sudo apt install nodejs npm";

/// What is there to build with.
#[derive(Debug)]
pub struct Node {
    installer: PathBuf,
    kind: Kind,
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With its lock's name.
    Npm(Option<&'static str>),
    Pnpm,
    Yarn,
}

impl Node {
    /// Looks for node and the installer whose lock is there.
    pub fn find(tools: &Tools<'_>, has: &dyn Fn(&str) -> bool) -> Result<Self, BuildError> {
        let node = tools.need("node", INSTALL)?;
        let version = tools
            .ask(&[node.as_os_str(), OsStr::new("--version")])
            .unwrap_or_default();
        let lock = ["npm-shrinkwrap.json", "package-lock.json"]
            .into_iter()
            .find(|name| has(name));
        let (kind, program, install) = match () {
            () if lock.is_some() => (Kind::Npm(lock), "npm", INSTALL),
            () if has("pnpm-lock.yaml") => (
                Kind::Pnpm,
                "pnpm",
                "npm install --global pnpm, or corepack enable",
            ),
            () if has("yarn.lock") => (
                Kind::Yarn,
                "yarn",
                "npm install --global yarn, or corepack enable",
            ),
            () => (Kind::Npm(None), "npm", INSTALL),
        };
        Ok(Self {
            installer: tools.need(program, install)?,
            kind,
            version,
        })
    }

    /// What of it goes into digests.
    pub fn version(&self) -> String {
        format!("{} {:?}", self.version, self.kind)
    }

    /// Installs modules and runs the `build` script.
    pub fn make(&self, work: &Work<'_>) -> Result<Made, BuildError> {
        let folder = work.folder;
        let package = read(&folder.join("package.json"))?;
        let mut made = Made::default();
        made.environment
            .insert("NODE_ENV".to_owned(), "production".to_owned());
        let modules = folder.join("node_modules");
        remove(&modules)?;
        let builds = package["scripts"]["build"].is_string();
        let needs = [
            "dependencies",
            "devDependencies",
            "optionalDependencies",
            "workspaces",
        ];
        let needs = needs.iter().any(|key| !is_empty(&package[*key]));
        let lock = match self.kind {
            Kind::Npm(Some(name)) => Some((name, read(&folder.join(name))?)),
            _ => None,
        };
        let shared = lock
            .as_ref()
            .filter(|_| needs)
            .and_then(|(name, lock)| self.shared(folder, &package, name, lock));
        made.said = match (&self.kind, &lock) {
            _ if !needs => "package.json, no packages".to_owned(),
            (Kind::Npm(_), Some((name, lock))) => format!("{name}, {}", count(lock)),
            (Kind::Npm(_), None) => {
                (work.tools.progress)(Progress::Warning(
                    "there is no package-lock.json: the next build may get other versions; npm install writes it.".to_owned(),
                ));
                "package.json without a lock".to_owned()
            }
            (Kind::Pnpm, _) => "pnpm-lock.yaml".to_owned(),
            (Kind::Yarn, _) => "yarn.lock".to_owned(),
        };
        if let Some((digest, copies)) = shared {
            let (layer, said) = work.layer(&digest, |layer| {
                for name in &copies {
                    let to = layer.join(name);
                    if let Some(parent) = to.parent() {
                        fs::create_dir_all(parent).map_err(BuildError::file(parent, "made"))?;
                    }
                    copy(&folder.join(name), &to)?;
                }
                self.install(work, layer)?;
                fs::create_dir_all(layer.join("node_modules"))
                    .map_err(BuildError::file(layer, "written"))?;
                Ok(made.said.clone())
            })?;
            if builds {
                // Bundlers look for modules within the folder, and some write into them: a copy.
                copy(
                    &work.store.folder.join(&layer).join("node_modules"),
                    &modules,
                )?;
            } else {
                let target = Path::new("..").join(&layer).join("node_modules");
                symlink(target, &modules).map_err(BuildError::file(&modules, "written"))?;
            }
            made.layers.push(layer);
            made.said = said;
        } else if needs {
            self.install(work, folder)?;
        }
        if builds {
            (work.tools.progress)(Progress::Said("running the script build".to_owned()));
            self.run(work, folder, &["run", "build"])?;
            if work.request.static_files.is_some() {
                // Nothing is executed any more.
                remove(&modules)?;
            }
        }
        Ok(made)
    }

    /// The digest of what decides which modules there are, and the files that installing them needs.
    /// `None`: something in it wants to stand in the app's own folder.
    fn shared(
        &self,
        folder: &Path,
        package: &Value,
        name: &str,
        lock: &Value,
    ) -> Option<(String, Vec<PathBuf>)> {
        let hooks = [
            "preinstall",
            "install",
            "postinstall",
            "prepare",
            "prepublish",
        ];
        let own = hooks
            .iter()
            .any(|hook| package["scripts"][*hook].is_string());
        // Next looks for its modules within the folder alone.
        let next = package["dependencies"]["next"].is_string();
        if own || next || !is_empty(&package["workspaces"]) {
            return None;
        }
        let mut copies = vec![PathBuf::from("package.json"), PathBuf::from(name)];
        let mut parts = Parts::default()
            .with("kind", "node")
            .with("node", self.version())
            .with("lock", lock.to_string());
        for key in [
            "dependencies",
            "devDependencies",
            "optionalDependencies",
            "peerDependencies",
            "overrides",
            "engines",
        ] {
            parts = parts.with(key, package[key].to_string());
        }
        if folder.join(".npmrc").is_file() {
            copies.push(PathBuf::from(".npmrc"));
        }
        for module in lock["packages"].as_object()?.values() {
            if module["link"] == true {
                return None;
            }
            if let Some(path) = module["resolved"]
                .as_str()
                .and_then(|from| from.strip_prefix("file:"))
            {
                copies.push(inside(path).ok()?);
            }
        }
        for path in &copies[2..] {
            parts = parts.with("file", hash(&folder.join(path))?);
        }
        Some((parts.finish(), copies))
    }

    fn install(&self, work: &Work<'_>, folder: &Path) -> Result<(), BuildError> {
        (work.tools.progress)(Progress::Said("installing modules".to_owned()));
        self.run(
            work,
            folder,
            match self.kind {
                Kind::Npm(Some(_)) => &["ci", "--no-audit", "--no-fund"],
                Kind::Npm(None) => &["install", "--no-audit", "--no-fund", "--no-package-lock"],
                Kind::Pnpm | Kind::Yarn => &["install", "--frozen-lockfile"],
            },
        )
    }

    fn run(&self, work: &Work<'_>, folder: &Path, arguments: &[&str]) -> Result<(), BuildError> {
        let words: Vec<_> = std::iter::once(self.installer.as_os_str())
            .chain(arguments.iter().map(OsStr::new))
            .collect();
        let cache = work.request.cache.join("npm");
        let more = [
            ("npm_config_cache", cache.as_os_str()),
            ("npm_config_update_notifier", OsStr::new("false")),
        ];
        work.tools.run(folder, &words, &more).map(drop)
    }
}

fn read(path: &Path) -> Result<Value, BuildError> {
    let failed = |error: serde_json::Error| BuildError::file(path, "read")(error.into());
    let text = fs::read(path).map_err(BuildError::file(path, "read"))?;
    serde_json::from_slice(&text).map_err(failed)
}

fn hash(path: &Path) -> Option<String> {
    use sha2::Digest as _;
    Some(hex(&sha2::Sha256::digest(fs::read(path).ok()?)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        other => other.is_null(),
    }
}

fn count(lock: &Value) -> String {
    let packages = lock["packages"].as_object().map_or(0, |packages| {
        packages.keys().filter(|path| !path.is_empty()).count()
    });
    match packages {
        1 => "1 package".to_owned(),
        count => format!("{count} packages"),
    }
}
