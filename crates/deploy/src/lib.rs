//! Drives rollouts: does what the state machine decides, and writes down what came of it.

#![forbid(unsafe_code)]

mod driver;
mod faults;

pub use driver::{Clock, DriveError, Driver, drive, take_up};
pub use faults::{Faults, FaultsError};
