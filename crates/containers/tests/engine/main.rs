//! The calls against a real Engine: `cargo test -p landfall-containers --features engine`.

#![cfg(feature = "engine")]
#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing fails")]

mod commands;
mod containers;
mod image;
mod limits;
mod networks;
mod once;
mod proxy;
mod support;
mod volumes;
mod watching;
