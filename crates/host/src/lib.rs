//! The host: keeps apps running on this machine, makes releases live, remembers everything.

#![forbid(unsafe_code)]

mod backing;
mod backups;
mod changes;
mod condition;
mod diagnosis;
mod edge;
mod fetch;
mod handlers;
mod home;
mod host;
mod identifier;
mod instance;
mod jobs;
mod lease;
mod lifecycle;
mod logs;
mod once;
mod orphans;
mod recovery;
mod report;
mod retention;
mod rollouts;
mod routes;
mod run;
mod runtime;
mod sample;
mod server;
mod settings;
mod specification;
mod status;
mod steps;
mod target;
#[cfg(test)]
mod testing;
mod volumes;
mod watcher;

pub use backing::image_reference;
pub use home::Home;
pub use run::{HostError, run};
pub use settings::Settings;
