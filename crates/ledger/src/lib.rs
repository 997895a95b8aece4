//! The ledger: everything that a host must still know after it was killed, in one SQLite file.
//!
//! All calls block, and each that writes is on disk when it returns. Full sync, one writer, two
//! readers, small caches: an idle host has few pages of it in memory.

#![forbid(unsafe_code)]

mod backing;
mod backups;
mod clock;
mod deployments;
mod environments;
mod error;
mod events;
mod instances;
mod locks;
mod ports;
mod releases;
mod runs;
mod schema;
mod secrets;
mod settings;
mod store;

pub use backing::{BackingBody, BackingRow, KeptData};
pub use backups::{BackupBody, BackupRow};
pub use clock::Clock;
pub use deployments::{Begin, DeploymentRow, Finish};
pub use environments::{EnvironmentRow, EnvironmentState};
pub use error::LedgerError;
pub use events::EventFilter;
pub use instances::{InstanceRow, InstanceState};
pub use locks::{Lease, Locked};
pub use ports::PortRow;
pub use releases::ReleaseRow;
pub use runs::{BeginRun, RunBody, RunRow};
pub use secrets::SecretRow;
pub use store::Ledger;
