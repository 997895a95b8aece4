//! The places in a host's state folder. Folders are made with mode 0700.

use std::{
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use landfall_app::Name;

/// The state folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder, made if it isn't there.
    pub fn open(root: &Path) -> io::Result<Self> {
        make_folder(root)?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The host's socket. The command finds it by the same rule.
    pub fn socket(root: &Path) -> PathBuf {
        root.join("host.sock")
    }

    /// Locked while a host lives.
    pub fn lock(&self) -> PathBuf {
        self.root.join("host.lock")
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger.db")
    }

    /// The host's own age identity.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// The edge's folder: its routes, its control socket.
    pub fn edge(&self) -> PathBuf {
        self.root.join("edge")
    }

    /// The folder of the edge's supervisor.
    pub fn edge_supervisor(&self) -> PathBuf {
        self.root.join("edge").join("supervisor")
    }

    /// The edge's own log lines, the access log among them.
    pub fn edge_logs(&self) -> PathBuf {
        self.root.join("edge").join("logs")
    }

    /// The folder of one instance's supervisor.
    pub fn instance(&self, id: &str) -> PathBuf {
        self.root.join("instances").join(id)
    }

    /// Everything of one app.
    pub fn app(&self, app: &Name) -> PathBuf {
        self.root.join("apps").join(app.as_str())
    }

    /// What was built for an app; shared by its environments.
    pub fn artifacts(&self, app: &Name) -> PathBuf {
        self.app(app).join("artifacts")
    }

    /// A kept folder of a service.
    pub fn volume(&self, app: &Name, environment: &Name, service: &Name, name: &str) -> PathBuf {
        let volumes = self.app(app).join("volumes");
        let service = volumes.join(environment.as_str()).join(service.as_str());
        service.join(name)
    }

    /// The kept folders of all services of an environment, by service.
    pub fn volumes(&self, app: &Name, environment: &Name) -> PathBuf {
        let volumes = self.app(app).join("volumes");
        volumes.join(environment.as_str())
    }

    /// Everything of one environment that isn't an artifact.
    pub fn environment(&self, app: &Name, environment: &Name) -> PathBuf {
        self.app(app)
            .join("environments")
            .join(environment.as_str())
    }

    /// The log segments of one service.
    pub fn logs(&self, app: &Name, environment: &Name, service: &str) -> PathBuf {
        self.environment(app, environment)
            .join("logs")
            .join(service)
    }

    /// `$HOME` of an environment's processes: kept from release to release.
    pub fn process_home(&self, app: &Name, environment: &Name) -> PathBuf {
        self.environment(app, environment).join("home")
    }
}

/// Makes a folder and those above it, each for its owner alone.
pub fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}
