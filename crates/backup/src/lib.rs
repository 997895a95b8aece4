//! Backups: what is dumped, sealed, kept, restored into a scratch instance and compared before it
//! counts.
//!
//! Nothing here knows a host. Whoever has a database says how its programs are started
//! ([`Programs`]) and how a scratch instance of the same is had ([`Source`]); everything is streamed,
//! so that memory doesn't grow with what is backed up.
#![forbid(unsafe_code)]

pub mod catalogue;
mod channel;
mod error;
mod key;
pub mod make;
mod manifest;
pub mod postgres;
pub mod program;
mod progress;
pub mod redis;
mod retention;
mod scratch;
mod seal;
mod source;
mod store;
pub mod volume;

pub use error::Error;
pub use key::{Keys, Recipients};
pub use manifest::{
    Contents, FORMAT, Identity, Keyspace, Kind, Manifest, Part, PostgresContents, Reason,
    RedisContents, Sum, TableSum, VolumeContents,
};
pub use program::{Ended, Programs, Running};
pub use progress::{Progress, Quiet, Stage, Watcher};
pub use retention::{Kept, expired};
pub use scratch::{ScratchFolder, room};
pub use seal::{read_part, write_part};
pub use source::{Scratch, Server};
pub use store::{Credentials, Limits, Location, Object, S3Settings, Store, Writer};
