//! The supervisor of one service's processes: what it is told, what it says, and the supervisor itself.
//!
//! The library is what others need to speak with one: the types of its files and of its control
//! protocol, a blocking client, the reading of its log segments, a look at trees of processes,
//! the end of what a killed one left in its control groups, and whether its program runs anywhere.
//! The supervisor itself is this package's program.
#![deny(unsafe_code)]

pub mod client;
pub mod control;
pub mod groups;
pub mod program;
pub mod segment;
pub mod specification;
pub mod state;
pub mod timestamp;
pub mod tree;
pub mod unix;
