//! The steps of a rollout on this machine, a file each.

pub mod commands;
pub mod instances;
pub mod preflight;
pub mod retire;
pub mod smoke;
pub mod switch;
pub mod verify;
