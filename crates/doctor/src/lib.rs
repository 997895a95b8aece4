//! What makes an image large, slow or unsafe, and what mends it. Pure: files, histories and layers are
//! told, and what comes out is findings.
//!
//! [`advise`] reads a Dockerfile, [`mend`] mends it as far as that is safe, [`Looked`] takes an image's
//! layers in as a stream, and [`measured`] says what of them is waste.

#![forbid(unsafe_code)]

mod advise;
mod finding;
mod history;
mod ignore;
mod layers;
mod measured;
mod recipe;
mod rules;
mod secrets;
mod shell;

pub use advise::{Base, Mended, Project, advise, advise_history, mend};
pub use finding::{Effect, Finding, Place, Rule, sort};
pub use history::{Configuration, Past, recipe_of};
pub use ignore::Ignore;
pub use layers::{Entry, Kind, Layer, Layers, Looked};
pub use measured::measured;
pub use recipe::{Action, BadDockerfile, Command, LARGEST, Recipe, Stage, Step};
pub use rules::{RULES, secret_values};
