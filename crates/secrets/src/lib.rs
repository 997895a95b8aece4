//! Secrets: the file that is committed, who can read it, and how the host keeps what it was sent.
//!
//! The file `landfall.secrets.toml` holds one age ciphertext for each name of each environment.
//! Names can be read without a key; values need one of the keys whose public halves stand in the
//! file's `[recipients]`. A host encrypts what it is sent to an identity of its own.
#![forbid(unsafe_code)]

mod cipher;
pub mod dotenv;
mod error;
mod file;
mod host;
mod key;
mod layout;
mod resolve;
mod write;

pub use dotenv::DotEnv;
pub use error::Error;
pub use file::{FILE_NAME, Imported, SecretsFile, is_secret_name};
pub use host::HostIdentity;
pub use key::{Key, KeySource};
pub use resolve::{Needed, Origin, Resolved, Source, Sources, resolve};

pub use landfall_redact::Secret;
