//! Digests over several parts.

use sha2::{Digest as _, Sha256};

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The digest of labelled parts; no two different lists have the same.
#[derive(Default)]
pub struct Parts(Sha256);

impl Parts {
    /// With a further part.
    #[must_use]
    pub fn with(mut self, label: &str, part: impl AsRef<[u8]>) -> Self {
        for bytes in [label.as_bytes(), part.as_ref()] {
            self.0.update((bytes.len() as u64).to_be_bytes());
            self.0.update(bytes);
        }
        self
    }

    /// In hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}
