//! The app file: parsed, diagnosed, resolved for one environment, described as a schema. No I/O.

#![forbid(unsafe_code)]

mod command;
mod diagnostic;
mod explain;
mod file;
mod grammar;
mod lower;
mod merge;
pub mod model;
pub mod name;
mod node;
mod read;
mod reference;
mod render;
mod schema;
mod settings;
mod source;
mod suggest;
pub mod template;
pub mod units;
#[cfg(test)]
mod worst;

pub use command::{MissingVariable, NotWords};
pub use diagnostic::{Diagnostic, Diagnostics, Report, Severity};
pub use explain::codes;
pub use file::{File, LOCAL, Origin, Resolved, read};
pub use model::App;
pub use name::Name;
pub use reference::reference;
pub use render::PRINTED;
pub use schema::schema;
pub use settings::{Setting, config_text};
pub use source::{Source, Span};
pub use template::{Field, Reference, Template, Value};
