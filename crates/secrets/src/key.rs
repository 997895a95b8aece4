//! The user's key: an age identity in a file of its own, or given by CI.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::PathBuf};

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use landfall_redact::Secret;

use crate::{
    error::Error,
    write::{Existing, write},
};

/// Where a key comes from. Whoever runs at the rim fills it in from the environment and the home.
#[derive(Debug, Clone)]
pub struct KeySource {
    /// The key file: `$LANDFALL_KEY_FILE`, else `~/.config/landfall/key`.
    pub file: PathBuf,
    /// The key itself: `$LANDFALL_KEY`. Stronger than the file.
    pub value: Option<Secret>,
}

/// A key that decrypts.
#[derive(Clone)]
pub struct Key(pub(crate) Identity);

impl Key {
    /// A new one, of the operating system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        Self(Identity::generate())
    }

    /// The half that others encrypt to: `age1…`.
    #[must_use]
    pub fn public(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Reads the first identity of a key file's text; lines with `#` are comments.
    pub(crate) fn parse(text: &str, from: &str) -> Result<Self, Error> {
        text.lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .and_then(|line| line.parse().ok())
            .map(Self)
            .ok_or_else(|| Error::BadKey {
                from: from.to_owned(),
            })
    }

    /// The key file's text.
    pub(crate) fn text(&self, purpose: &str) -> Secret {
        let public = self.public();
        Secret::new(format!(
            "# {purpose}\n# public key: {public}\n{}\n",
            self.0.to_string().expose_secret()
        ))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.public())
    }
}

impl KeySource {
    /// Where the key comes from, for messages.
    #[must_use]
    pub fn said(&self) -> String {
        match self.value {
            Some(_) => "LANDFALL_KEY".to_owned(),
            None => self.file.display().to_string(),
        }
    }

    /// The key; none is `no-key`.
    pub fn load(&self) -> Result<Key, Error> {
        if let Some(value) = &self.value {
            return Key::parse(value.expose(), "LANDFALL_KEY");
        }
        let failed = |source| Error::File {
            path: self.file.clone(),
            action: "read",
            source,
        };
        let metadata = match fs::metadata(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoKey {
                    path: self.file.clone(),
                });
            }
            other => other.map_err(failed)?,
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(Error::ReadableKey {
                path: self.file.clone(),
            });
        }
        let text = Secret::new(fs::read_to_string(&self.file).map_err(failed)?);
        Key::parse(text.expose(), &self.file.display().to_string())
    }

    /// Makes a key where there is none. One that is there is never overwritten.
    pub fn generate(&self) -> Result<Key, Error> {
        let key = Key::generate();
        let text =
            key.text("The key to this user's secrets in Landfall. Keep a copy; never commit it.");
        match write(&self.file, text.expose().as_bytes(), 0o600, Existing::Keep) {
            Err(Error::File { source, path, .. })
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                Err(Error::KeyExists { path })
            }
            other => other.map(|()| key),
        }
    }

    /// The key that is there, else a new one; and whether it is new.
    pub fn load_or_generate(&self) -> Result<(Key, bool), Error> {
        match self.load() {
            Err(Error::NoKey { .. }) => match self.generate() {
                Err(Error::KeyExists { .. }) => Ok((self.load()?, false)),
                other => Ok((other?, true)),
            },
            other => Ok((other?, false)),
        }
    }
}
