//! The host's interface: its wire types, and a client over its Unix socket.

#![forbid(unsafe_code)]

pub mod client;
pub mod path;
pub mod wire;

pub use client::{Client, ClientError, DownloadError, Lines};
