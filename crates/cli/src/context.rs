//! What every command is given: arguments that hold everywhere, the environment, the output.

use landfall_api::path;
use landfall_app::Name;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    arguments::Global,
    environment::Environment,
    output::Output,
    report::{Error, Result},
};

/// What every command is given.
pub struct Context {
    pub global: Global,
    pub environment: Environment,
    pub output: Output,
}

/// An environment of an app.
#[derive(Debug, Clone)]
pub struct Place {
    pub app: Name,
    pub environment: Name,
}

impl Place {
    /// The host's path of something in it.
    pub fn path(&self, rest: &str) -> String {
        path::environment(self.app.as_str(), self.environment.as_str(), rest)
    }

    /// What a command needs to mean it again: ` -e production`, nothing for `local`.
    pub fn flag(&self) -> String {
        match self.environment.as_str() {
            "local" => String::new(),
            environment => format!(" -e {environment}"),
        }
    }
}

impl Context {
    /// Ctrl-C. From here on it doesn't end the command by itself.
    pub fn interrupt(&self) -> Result<Signal> {
        signal(SignalKind::interrupt())
            .map_err(|error| Error::new("host-failed", format!("can't wait for Ctrl-C: {error}")))
    }

    /// Runs what talks to the host: one thread is plenty.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new("host-failed", format!("can't start the runtime: {error}"))
            })?;
        let result = runtime.block_on(work);
        // A read of standard input can't be cancelled; nobody waits for it.
        runtime.shutdown_background();
        result
    }
}
