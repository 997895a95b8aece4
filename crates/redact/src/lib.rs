//! The secret type, and masking of secrets in text and in streams of it.
//!
//! ```
//! use landfall_redact::{Masker, Secret};
//!
//! let token = Secret::new("hunter2hunter2".to_owned());
//! let (masker, warnings) = Masker::new([("TOKEN", token.expose())]);
//! assert!(warnings.is_empty());
//! assert_eq!(&*masker.mask(b"token=hunter2hunter2"), b"token=***");
//! ```
#![forbid(unsafe_code)]

mod forms;
mod masker;
mod secret;

pub use masker::{MASK, MINIMUM, Masker, Stream};
pub use secret::Secret;
