//! Builds with the real programs, without a network.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that goes wrong"
)]

mod bed;
mod commands;
mod packages;
