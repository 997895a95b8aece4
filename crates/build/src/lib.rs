//! From sources to artifacts: snapshots, builders, and what `init` finds in a folder.
//!
//! Everything here is synchronous. A build runs its programs in process groups of their own and
//! stops them when the flag it was given says so.
#![forbid(unsafe_code)]

mod build;
pub mod detect;
mod digest;
mod error;
mod files;
mod git;
mod history;
mod image;
mod node;
mod progress;
mod python;
mod remote;
mod run;
mod snapshot;
mod store;
mod tool;
mod walk;

pub use build::{BuildRequest, build};
pub use error::BuildError;
pub use history::History;
pub use image::{
    BUILT_FOR, ImageError, ImageRequest, Login, Made, Published, Recipe, Scanned, Trial, Tried,
    build_image, docker_environment, find_dockerfile, host_mark, is_given_name, publish_image,
    put_files, registry, scan_image, take_image, try_build,
};
pub use progress::Progress;
pub use snapshot::{Snapshot, SnapshotRequest};
pub use store::prune;
pub use tool::tool_environment;
