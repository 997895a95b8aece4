//! YAML as people write it and read it: written with comments and in the order given, with every text
//! quoted that some reader could take for something else; read into a tree in which everything knows
//! its line. No I/O.

#![forbid(unsafe_code)]

pub mod read;
mod write;

pub use write::{Map, Node, write};
