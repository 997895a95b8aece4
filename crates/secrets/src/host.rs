//! What the host does with the values it is sent: sealed to an identity of its own, so that nobody's
//! key reaches a server and a reboot needs no desk.

use std::{fs, io, path::Path};

use age::secrecy::ExposeSecret as _;
use hmac::{Hmac, Mac as _};
use landfall_redact::Secret;
use sha2::Sha256;

use crate::{
    cipher,
    error::Error,
    key::Key,
    write::{Existing, write},
};

/// The host's identity.
#[derive(Debug, Clone)]
pub struct HostIdentity(Key);

impl HostIdentity {
    /// The identity at this path, made (mode 0600) where there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        for _ in 0..2 {
            match fs::read_to_string(path).map(Secret::new) {
                Ok(text) => {
                    return Key::parse(text.expose(), &path.display().to_string()).map(Self);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(Error::File {
                        path: path.to_owned(),
                        action: "read",
                        source,
                    });
                }
            }
            let key = Key::generate();
            let text = key.text("This host's identity: secrets at rest are encrypted to it.");
            match write(path, text.expose().as_bytes(), 0o600, Existing::Keep) {
                // Another one was quicker: its identity is the host's.
                Err(Error::File { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.map(|()| Self(key)),
            }
        }
        Err(Error::BadKey {
            from: path.display().to_string(),
        })
    }

    /// Encrypts a value for this host alone.
    #[must_use]
    pub fn seal(&self, value: &Secret) -> Vec<u8> {
        cipher::seal(&self.0.0.to_public(), value)
    }

    /// Decrypts what [`Self::seal`] made.
    pub fn open(&self, sealed: &[u8]) -> Result<Secret, Error> {
        cipher::decrypt(&self.0.0, sealed).map_err(|_| Error::Sealed)
    }

    /// Tells versions of a secret apart without saying anything about them: a plain hash of a weak
    /// secret could be guessed.
    #[must_use]
    pub fn mac(&self, name: &str, value: &Secret) -> [u8; 32] {
        let identity = self.0.0.to_string();
        // The identity itself never is the key of anything else: one is derived for this use.
        let key = hmac(
            identity.expose_secret().as_bytes(),
            &[b"landfall: versions of secrets"],
        );
        let length = (name.len() as u64).to_be_bytes();
        hmac(&key, &[&length, name.as_bytes(), value.expose().as_bytes()])
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
