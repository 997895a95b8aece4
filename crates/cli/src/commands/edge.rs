//! `landfall edge`: the reverse proxy, started by the host under a supervisor.

use crate::{
    arguments::Edge,
    report::{Error, Result},
};

pub fn run(arguments: &Edge) -> Result {
    let mut settings = landfall_edge::Settings::new(&arguments.folder, arguments.http);
    if let Some(threads) = arguments.threads {
        settings.threads = threads;
    }
    settings.supervisor.clone_from(&arguments.supervisor);
    landfall_edge::run(settings).map_err(|error| Error::new("edge-failed", error.to_string()))
}
