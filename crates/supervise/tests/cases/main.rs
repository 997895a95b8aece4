//! The supervisor's program against real processes. Each numbered case is one where another
//! supervisor was seen to fail.
#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing fails")]

mod cleanup;
mod container;
mod control;
mod execute;
mod fixture;
mod groups;
mod inherit;
mod limits;
mod logs;
mod order;
mod probes;
mod restart;
mod shared;
mod stopping;
mod support;
