//! The harness of the black-box tests: each test has a world of its own, with its own state
//! folder, range of ports and edge, and nothing of it outlives the test.
//!
//! Waiting is on conditions and events with a generous limit, never for a time.

#![forbid(unsafe_code)]

#[cfg(feature = "engine")]
pub mod browser;
pub mod command;
#[cfg(feature = "formats")]
pub mod composed;
#[cfg(feature = "engine")]
pub mod daemon;
#[cfg(feature = "engine")]
pub mod engine;
pub mod events;
pub mod http;
pub mod load;
pub mod ports;
#[cfg(feature = "engine")]
pub mod registry;
pub mod sweep;
#[cfg(feature = "formats")]
pub mod tools;
#[cfg(feature = "formats")]
pub mod tricky;
pub mod world;

use std::time::{Duration, Instant};

#[cfg(feature = "engine")]
pub use browser::Browser;
pub use command::{Ran, Running};
#[cfg(feature = "engine")]
pub use daemon::Daemon;
pub use events::Events;
pub use http::{Answer, get, request};
pub use load::Load;
pub use world::World;

/// Longer than anything takes on a busy machine; only a failing test waits so long. Building an image
/// fetches packages.
pub const LIMIT: Duration = Duration::from_secs(if cfg!(feature = "engine") { 180 } else { 30 });

/// Waits until something holds and gives it back; fails the test where it never does.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
