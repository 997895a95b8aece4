//! Which processes of this machine those are that a supervisor names.

use std::{collections::BTreeMap, path::Path};

use landfall_containers::processes_of;

use super::container::{first_process, marker};

/// The processes of an instance: in a container they have other numbers than outside of it.
pub enum Processes {
    /// Plain ones.
    Plain,
    /// Those of a container, by the number that each has in it.
    Contained(BTreeMap<u32, u32>),
}

impl Processes {
    /// Those of an instance as of now. Reads some small files; the Engine isn't asked.
    pub fn of(folder: &Path) -> Self {
        let Some(marker) = marker(folder) else {
            return Self::Plain;
        };
        let first = first_process(&marker)
            .and_then(|process| u32::try_from(process.as_raw_nonzero().get()).ok());
        Self::Contained(first.map(processes_of).unwrap_or_default())
    }

    /// The number outside.
    pub fn outside(&self, process: u32) -> Option<u32> {
        match self {
            Self::Plain => Some(process),
            Self::Contained(processes) => processes.get(&process).copied(),
        }
    }
}
