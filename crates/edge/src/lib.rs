//! The reverse proxy: routes as an immutable snapshot, swapped whole; sockets held by a supervisor.
//!
//! Control, HTTP/1.1 on a Unix socket with JSON bodies ([`client::Client`] speaks it):
//! - `GET /v1/state` → [`routes::EdgeState`]
//! - `PUT /v1/apps/{app}/{environment}` with [`routes::AppRoutes`]: on disk before it answers 200
//! - `DELETE /v1/apps/{app}/{environment}?generation=N`
//! - `GET /v1/drained/{app}/{environment}/{service}/{release}`: answers once nothing of that release
//!   is under way, or its drain is over and what was left has been closed.

#![forbid(unsafe_code)]

mod answer;
mod check;
pub mod client;
mod conn;
mod control;
mod date;
mod edge;
mod exchange;
mod files;
mod forward;
mod guard;
mod head;
mod health;
mod instances;
mod log;
mod media;
mod proxy;
mod report;
pub mod routes;
mod server;
mod settings;
mod sockets;
mod store;
mod table;
#[cfg(test)]
mod testing;
mod traffic;
mod tunnel;
mod upstream;
mod worker;

pub use crate::{
    control::VERSION,
    edge::{CONTROL, Edge, EdgeError, run, start},
    settings::{AccessLog, Settings, Timeouts},
    store::StoreError,
};
