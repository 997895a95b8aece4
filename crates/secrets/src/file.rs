//! The secrets file and what is done with it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use age::x25519::Recipient;
use landfall_redact::Secret;

use crate::{
    cipher::{self, Refused},
    error::Error,
    key::Key,
    layout::Layout,
    write::{Existing, write},
};

/// The file's name, beside the app file.
pub const FILE_NAME: &str = "landfall.secrets.toml";

/// The secrets file, in memory.
#[derive(Debug, Clone)]
pub struct SecretsFile {
    path: PathBuf,
    layout: Layout,
    exists: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Names that are new or have another value now.
    pub written: Vec<String>,
    /// Names that had this value already; told only where a key was at hand.
    pub unchanged: Vec<String>,
    /// Names left out because their value is empty.
    pub empty: Vec<String>,
}

impl SecretsFile {
    /// Reads the file; where there is none it is empty.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let (text, exists) = match fs::read(path) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| Error::BadSecretsFile {
                    path: path.to_owned(),
                    line: None,
                    reason: "this is not UTF-8".to_owned(),
                })?;
                (text, true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), false),
            Err(source) => {
                return Err(Error::File {
                    path: path.to_owned(),
                    action: "read",
                    source,
                });
            }
        };
        Ok(Self {
            path: path.to_owned(),
            layout: Layout::parse(&text, path)?,
            exists,
        })
    }

    /// Reads the file, changes it, and writes it whole; nothing is written when the change fails.
    /// Two at a time wait for one another.
    pub fn change<T>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let failed = |source| Error::File {
            path: path.to_owned(),
            action: "locked",
            source,
        };
        let lock = File::open(folder).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut file = Self::load(path)?;
        let before = file.layout.clone();
        let result = change(&mut file)?;
        if file.layout != before {
            file.save()?;
        }
        Ok(result)
    }

    /// Writes the file whole.
    pub fn save(&self) -> Result<(), Error> {
        write(
            &self.path,
            self.layout.render().as_bytes(),
            0o644,
            Existing::Replace,
        )
    }

    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was there when it was read.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.exists
    }

    /// The environments that have secrets, sorted.
    #[must_use]
    pub fn environments(&self) -> Vec<&str> {
        self.layout
            .environments
            .iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The names that have a value in an environment, sorted. Needs no key.
    #[must_use]
    pub fn names(&self, environment: &str) -> Vec<&str> {
        self.values(environment)
            .keys()
            .map(String::as_str)
            .collect()
    }

    /// Whether a name has a value in an environment. Needs no key.
    #[must_use]
    pub fn contains(&self, environment: &str, name: &str) -> bool {
        self.values(environment).contains_key(name)
    }

    /// All values of an environment.
    pub fn decrypt(&self, environment: &str, key: &Key) -> Result<BTreeMap<String, Secret>, Error> {
        self.values(environment)
            .keys()
            .map(|name| Ok((name.clone(), self.decrypt_one(environment, name, key)?)))
            .collect()
    }

    /// One value of an environment.
    pub fn decrypt_one(&self, environment: &str, name: &str, key: &Key) -> Result<Secret, Error> {
        let cipher = self
            .values(environment)
            .get(name)
            .ok_or_else(|| self.unknown(environment, name))?;
        cipher::decrypt(&key.0, cipher.as_bytes()).map_err(|refused| match refused {
            Refused::NotForMe => Error::NotARecipient {
                environment: environment.to_owned(),
                name: name.to_owned(),
                public: key.public(),
            },
            Refused::Damaged => Error::BadSecretsFile {
                path: self.path.clone(),
                line: None,
                reason: format!(
                    "{name} of {environment} is damaged: it is not what was once written"
                ),
            },
            Refused::NotText => Error::NotText(name.to_owned()),
        })
    }

    /// Gives a name a value. Needs no key, only recipients.
    pub fn set(&mut self, environment: &str, name: &str, value: &Secret) -> Result<(), Error> {
        label(environment)?;
        if !is_secret_name(name) {
            return Err(Error::BadName(name.to_owned()));
        }
        if value.is_empty() {
            return Err(Error::Empty(name.to_owned()));
        }
        if value.expose().contains('\0') {
            return Err(Error::NotText(name.to_owned()));
        }
        let cipher = cipher::encrypt(&self.keys()?, value).trim().to_owned();
        self.layout
            .environments
            .entry(environment.to_owned())
            .or_default()
            .insert(name.to_owned(), cipher);
        Ok(())
    }

    /// Takes a name's value away.
    pub fn unset(&mut self, environment: &str, name: &str) -> Result<(), Error> {
        let unknown = self.unknown(environment, name);
        let values = self.layout.environments.get_mut(environment);
        values
            .and_then(|values| values.remove(name))
            .map(drop)
            .ok_or(unknown)
    }

    /// Gives several names values. With a key, what has the same value already stays as it is, so
    /// that importing twice changes nothing. Empty values are left out.
    pub fn import(
        &mut self,
        environment: &str,
        values: &BTreeMap<String, Secret>,
        key: Option<&Key>,
    ) -> Result<Imported, Error> {
        let mut imported = Imported::default();
        for (name, value) in values {
            let known = key.filter(|_| self.contains(environment, name));
            let same = known
                .and_then(|key| self.decrypt_one(environment, name, key).ok())
                .is_some_and(|old| old == *value);
            if value.is_empty() {
                imported.empty.push(name.clone());
            } else if same {
                imported.unchanged.push(name.clone());
            } else {
                self.set(environment, name, value)?;
                imported.written.push(name.clone());
            }
        }
        Ok(imported)
    }

    /// Who can decrypt: public keys by name.
    #[must_use]
    pub const fn recipients(&self) -> &BTreeMap<String, String> {
        &self.layout.recipients
    }

    /// Whether a key belongs to a recipient.
    #[must_use]
    pub fn is_recipient(&self, key: &Key) -> bool {
        let public = key.public();
        self.layout
            .recipients
            .values()
            .any(|recipient| recipient.trim() == public)
    }

    /// Adds a recipient, or one that is there again, and encrypts everything anew; the key is needed where there is something to
    /// encrypt. Returns how many values were encrypted anew.
    pub fn add_recipient(
        &mut self,
        name: &str,
        public: &str,
        key: Option<&Key>,
    ) -> Result<usize, Error> {
        label(name)?;
        let public = public.trim();
        if public.parse::<Recipient>().is_err() {
            // Somebody may have given the private half.
            let secret = public.to_ascii_uppercase().contains("SECRET");
            let given = if secret {
                "AGE-SECRET-KEY-…, the private half"
            } else {
                public
            };
            return Err(Error::BadRecipient {
                given: given.to_owned(),
            });
        }
        match self.layout.recipients.get(name) {
            // Where nothing can be read nothing is to be done either.
            Some(known) if known.trim() == public && key.is_none() => return Ok(0),
            Some(known) if known.trim() != public => {
                return Err(Error::RecipientExists {
                    name: name.to_owned(),
                });
            }
            // Already there: a value that someone set while this one was being added on another
            // branch is still not theirs. Encrypting everything anew mends that.
            _ => {}
        }
        let mut recipients = self.layout.recipients.clone();
        recipients.insert(name.to_owned(), public.to_owned());
        self.encrypt_anew(recipients, key)
    }

    /// Takes a recipient away and encrypts everything anew. Returns the environments and names that
    /// the one removed could read: git keeps the old versions, so **those values must be replaced**.
    pub fn remove_recipient(
        &mut self,
        name: &str,
        key: Option<&Key>,
    ) -> Result<Vec<(String, String)>, Error> {
        let mut recipients = self.layout.recipients.clone();
        if recipients.remove(name).is_none() {
            return Err(Error::UnknownRecipient {
                name: name.to_owned(),
                known: recipients.into_keys().collect(),
            });
        }
        let known = self.all();
        if recipients.is_empty() && !known.is_empty() {
            return Err(Error::LastRecipient {
                name: name.to_owned(),
            });
        }
        self.encrypt_anew(recipients, key)?;
        Ok(known)
    }

    fn encrypt_anew(
        &mut self,
        recipients: BTreeMap<String, String>,
        key: Option<&Key>,
    ) -> Result<usize, Error> {
        let all = self.all();
        let mut values = Vec::new();
        for (environment, name) in &all {
            let key = key.ok_or_else(|| Error::NoKey {
                path: PathBuf::from("~/.config/landfall/key"),
            })?;
            values.push((environment, name, self.decrypt_one(environment, name, key)?));
        }
        // Only now, when everything could be read, is anything changed.
        self.layout.recipients = recipients;
        for (environment, name, value) in values {
            self.set(environment, name, &value)?;
        }
        Ok(all.len())
    }

    fn all(&self) -> Vec<(String, String)> {
        let all = self.layout.environments.iter();
        all.flat_map(|(environment, values)| {
            values
                .keys()
                .map(|name| (environment.clone(), name.clone()))
        })
        .collect()
    }

    fn values(&self, environment: &str) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.layout.environments.get(environment).unwrap_or(&NONE)
    }

    fn keys(&self) -> Result<Vec<Recipient>, Error> {
        if self.layout.recipients.is_empty() {
            return Err(Error::NoRecipients {
                path: self.path.clone(),
            });
        }
        let parse = |(name, public): (&String, &String)| {
            public.trim().parse().map_err(|_| Error::BadSecretsFile {
                path: self.path.clone(),
                line: None,
                reason: format!("the public key of recipient {name} is not one of age (age1…)"),
            })
        };
        self.layout.recipients.iter().map(parse).collect()
    }

    fn unknown(&self, environment: &str, name: &str) -> Error {
        Error::UnknownSecret {
            environment: environment.to_owned(),
            name: name.to_owned(),
            known: self
                .names(environment)
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// Whether a text can be the name of a secret, which is a variable's.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn label(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    match !name.is_empty() && name.len() <= 128 && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(Error::BadLabel(name.to_owned())),
    }
}
