//! The supervisor itself.

mod answer;
mod backoff;
mod cgroup;
mod clients;
pub mod command;
pub mod detach;
pub mod execute;
mod input;
pub mod launch;
mod limits;
mod logs;
mod member;
mod probe;
pub mod serve;
mod signals;
mod sockets;
mod supervisor;
pub mod system;
mod validate;
