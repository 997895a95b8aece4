//! What a host is told when it starts. Nothing else is read from the environment or the home folder.

use std::path::PathBuf;

/// Settings of one host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its state folder, absolute.
    pub home: PathBuf,
    /// The shared HTTP port: 0 takes any; none takes 8080 or, where that is taken, the next free one.
    pub http_port: Option<u16>,
    /// Ports leased to services and instances, both ends included; below the ephemeral ones.
    pub port_range: (u16, u16),
    /// Ends with its last app (started by `up`).
    pub leaves_with_last_app: bool,
    /// The supervisor's program.
    pub supervise_program: PathBuf,
    /// A static one for containers, where it stands elsewhere than beside that one.
    pub supervise_static: Option<PathBuf>,
    /// Which Docker Engine: `DOCKER_HOST`, as the user's docker program reads it.
    pub engine: Option<String>,
    /// The user's folder of sockets (`XDG_RUNTIME_DIR`), where a rootless Engine has its own.
    pub runtime_folder: Option<String>,
    /// This program, which is also the edge.
    pub own_program: PathBuf,
    /// Faults to inject, for tests: see `landfall_deploy::Faults`.
    pub faults: Option<String>,
    /// How often use of processor and memory is sampled.
    pub sampling: std::time::Duration,
}

impl Settings {
    /// Settings with the defaults of everything but the places.
    pub fn new(home: PathBuf, own_program: PathBuf, supervise_program: PathBuf) -> Self {
        Self {
            home,
            http_port: None,
            port_range: (20_000, 29_999),
            leaves_with_last_app: false,
            supervise_program,
            supervise_static: None,
            engine: None,
            runtime_folder: None,
            own_program,
            faults: None,
            sampling: std::time::Duration::from_secs(10),
        }
    }
}
