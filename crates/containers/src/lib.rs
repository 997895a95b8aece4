//! The Docker Engine, as far as containers of ours need it.
//!
//! [`Engine`] is the one way in: asynchronous calls over the Engine's unix socket, each with an end
//! in time, with plain types on both sides. It knows no application and no release, only names,
//! labels and what every container of ours has (see [`ContainerSpecification`]).

#![forbid(unsafe_code)]

mod address;
mod container;
mod engine;
mod error;
mod events;
mod execute;
mod export;
mod image;
mod information;
pub mod label;
mod network;
mod once;
mod specification;
mod usage;
mod volume;

pub use address::EngineAddress;
pub use container::Container;
pub use engine::Engine;
pub use error::{EngineError, Object};
pub use events::{EngineEvent, EventKind};
pub use execute::Command;
pub use image::{Image, ImageSpace, Removal};
pub use information::Information;
pub use network::{Network, NotASubnet, Subnet};
pub use once::{Ended, Output};
pub use specification::{Attachment, ContainerSpecification, Mount};
pub use usage::{Usage, processes_of};
pub use volume::Volume;

/// Labels of a container, image, network or volume.
pub type Labels = std::collections::BTreeMap<String, String>;
