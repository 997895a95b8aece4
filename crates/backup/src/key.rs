//! Keys: whom a backup is encrypted to, and what opens it.

use std::str::FromStr as _;

use age::x25519;

use crate::error::Error;

/// The private halves at hand.
#[derive(Clone)]
pub struct Keys(Vec<x25519::Identity>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.public().join(", "))
    }
}

impl Keys {
    /// All identities of a key file's text; lines with `#` are comments.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let keys: Vec<x25519::Identity> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                x25519::Identity::from_str(line)
                    .map_err(|_| Error::Bad("a line of the key is no age identity".to_owned()))
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(Error::Bad("the key has no age identity".to_owned()));
        }
        Ok(Self(keys))
    }

    /// The same with those of another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The public halves: `age1…`.
    pub fn public(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|key| key.to_public().to_string())
            .collect()
    }

    pub(crate) fn identities(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|key| key as &dyn age::Identity)
    }
}

/// Whom a backup is encrypted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients(Vec<String>);

impl Recipients {
    /// From public keys; each once, at least one.
    pub fn new(public: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let mut all: Vec<String> = public.into_iter().collect();
        all.sort();
        all.dedup();
        for one in &all {
            x25519::Recipient::from_str(one)
                .map_err(|_| Error::Bad(format!("`{one}` is no age recipient")))?;
        }
        if all.is_empty() {
            return Err(Error::Bad("a backup without recipients".to_owned()));
        }
        Ok(Self(all))
    }

    /// The public keys.
    pub fn public(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn parsed(&self) -> Vec<x25519::Recipient> {
        self.0
            .iter()
            .filter_map(|one| x25519::Recipient::from_str(one).ok())
            .collect()
    }
}
