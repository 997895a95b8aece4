//! Views: what people see, made of events and of the host's answers. They print, and do nothing.

pub mod backing;
pub mod backup;
pub mod event;
pub mod jobs;
pub mod log;
pub mod plain;
pub mod status;
pub mod steps;
pub mod table;
