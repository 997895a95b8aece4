//! What can go wrong, by name, and how it is mended. No message ever holds a value.

use std::{io, path::PathBuf};

/// Why a secret can't be had or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Secrets that a deployment needs have no value.
    #[error("{} no value in {environment}: {}", match names.len() { 1 => "a secret has", _ => "secrets have" }, names.join(", "))]
    Missing {
        /// The environment.
        environment: String,
        /// All of them, sorted.
        names: Vec<String>,
    },
    /// There is no key to decrypt with.
    #[error("no key to decrypt secrets with: there is none at {}, and LANDFALL_KEY is not set", .path.display())]
    NoKey {
        /// Where the key would be.
        path: PathBuf,
    },
    /// What should be a key isn't.
    #[error("the key in {from} is not an age identity (AGE-SECRET-KEY-1…)")]
    BadKey {
        /// A path, or the variable's name.
        from: String,
    },
    /// Others can read the key.
    #[error("the key at {} can be read by other users of this machine", .path.display())]
    ReadableKey {
        /// Where it is.
        path: PathBuf,
    },
    /// A key would be overwritten.
    #[error("there is a key at {} already", .path.display())]
    KeyExists {
        /// Where it is.
        path: PathBuf,
    },
    /// The key at hand opens nothing here.
    #[error(
        "your key can't decrypt {name} of {environment}: it is not among the recipients ({public})"
    )]
    NotARecipient {
        /// The environment.
        environment: String,
        /// The first name that can't be decrypted.
        name: String,
        /// The public half of the key at hand.
        public: String,
    },
    /// A `.env` file can't be read.
    #[error("{}:{line}: {reason}", .path.display())]
    BadDotenv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The secrets file can't be read.
    #[error("{}: {reason}", match line { Some(line) => format!("{}:{line}", path.display()), None => path.display().to_string() })]
    BadSecretsFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where it is known.
        line: Option<usize>,
        /// What is wrong there.
        reason: String,
    },
    /// Nobody to encrypt to.
    #[error("{} has no recipients: nobody could decrypt what is put in", .path.display())]
    NoRecipients {
        /// The file.
        path: PathBuf,
    },
    /// Not the public half of a key.
    #[error("`{given}` is not a public key of age (age1…)")]
    BadRecipient {
        /// What was given; never a private key.
        given: String,
    },
    /// The name is taken by another key.
    #[error("there is a recipient {name} already, with another key")]
    RecipientExists {
        /// The name.
        name: String,
    },
    /// Nobody has this name.
    #[error("no recipient is called {name}; there are: {}", .known.join(", "))]
    UnknownRecipient {
        /// What was asked for.
        name: String,
        /// Who there is.
        known: Vec<String>,
    },
    /// Nobody would be left.
    #[error("{name} is the last recipient: without it nobody could decrypt the file")]
    LastRecipient {
        /// The name.
        name: String,
    },
    /// There is no such secret.
    #[error("no secret is called {name} in {environment}; there are: {}", match known.is_empty() { true => "none".to_owned(), false => known.join(", ") })]
    UnknownSecret {
        /// The environment.
        environment: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Not the name of a variable.
    #[error(
        "`{0}` can't be the name of a secret: it is made of letters, digits and _, and doesn't begin with a digit"
    )]
    BadName(String),
    /// Not the name of an environment or a recipient.
    #[error("`{0}` can't be a name here: it is made of letters, digits, `-`, `_`, `.` and `@`")]
    BadLabel(String),
    /// A value of nothing.
    #[error("the value of {0} is empty")]
    Empty(String),
    /// A value that no process can be given.
    #[error("the value of {0} holds a NUL byte or is not UTF-8; variables can't carry that")]
    NotText(String),
    /// The command that gives values failed.
    #[error("`{program}` gave no value for {name}: {reason}")]
    CommandFailed {
        /// The program.
        program: String,
        /// The secret.
        name: String,
        /// Its exit and the last lines of its standard error.
        reason: String,
    },
    /// What the host keeps can't be opened with its identity.
    #[error("a stored secret can't be opened with this host's identity")]
    Sealed,
    /// The operating system refuses.
    #[error("{} can't be {action}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `written`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// The error's stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing-secret",
            Self::NoKey { .. } => "no-key",
            Self::BadKey { .. } => "bad-key",
            Self::ReadableKey { .. } => "readable-key",
            Self::KeyExists { .. } => "key-exists",
            Self::NotARecipient { .. } => "not-a-recipient",
            Self::BadDotenv { .. } => "bad-dotenv",
            Self::BadSecretsFile { .. } => "bad-secrets-file",
            Self::NoRecipients { .. } => "no-recipients",
            Self::BadRecipient { .. } => "bad-recipient",
            Self::RecipientExists { .. } => "recipient-exists",
            Self::UnknownRecipient { .. } => "unknown-recipient",
            Self::LastRecipient { .. } => "last-recipient",
            Self::UnknownSecret { .. } => "unknown-secret",
            Self::BadName(_) => "bad-secret-name",
            Self::BadLabel(_) => "bad-name",
            Self::Empty(_) => "empty-secret",
            Self::NotText(_) => "binary-secret",
            Self::CommandFailed { .. } => "secrets-command-failed",
            Self::Sealed => "sealed-secret",
            Self::File { .. } => "file-unusable",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Missing { environment, names } => {
                let set: Vec<_> = names.iter().map(|name| format!("landfall secrets set {name} -e {environment}")).collect();
                match environment.as_str() {
                    "local" => format!("{}; or put it into a git-ignored .env", set.join(", ")),
                    _ => set.join(", "),
                }
            }
            Self::NoKey { .. } => "landfall secrets keygen, then ask a teammate for `landfall secrets recipients add`; in CI set LANDFALL_KEY".to_owned(),
            Self::BadKey { from } => format!("put back your copy of the key into {from}; or move it away and run landfall secrets keygen"),
            Self::ReadableKey { path } => format!("chmod 600 {}", path.display()),
            Self::KeyExists { .. } => "use it as it is; or move it away first, keeping a copy".to_owned(),
            Self::NotARecipient { public, .. } => format!("a teammate who can decrypt runs: landfall secrets recipients add NAME {public}"),
            Self::BadDotenv { .. } => "write NAME=value, NAME='value' or NAME=\"value\", one each line".to_owned(),
            Self::BadSecretsFile { .. } => "put right what is named, or take the file of the last commit; values are changed by landfall secrets set".to_owned(),
            Self::NoRecipients { .. } => "landfall secrets keygen".to_owned(),
            Self::BadRecipient { .. } => "give the line `public key` of their key file; landfall secrets keygen prints it".to_owned(),
            Self::RecipientExists { name } => format!("landfall secrets recipients remove {name}, or choose another name"),
            Self::UnknownRecipient { .. } => "landfall secrets recipients list".to_owned(),
            Self::LastRecipient { .. } => "add another recipient first".to_owned(),
            Self::UnknownSecret { environment, .. } => format!("landfall secrets list -e {environment}"),
            Self::BadName(_) => "name it as a variable: OPENAI_API_KEY".to_owned(),
            Self::BadLabel(_) => "choose another name".to_owned(),
            Self::Empty(name) => format!("landfall secrets unset {name} takes it away; declare it { } if the app can do without", "{ name = \"…\", optional = true }"),
            Self::NotText(_) => "encode it, for example by base64".to_owned(),
            Self::CommandFailed { .. } => "run the command of `secrets-from` by hand; it must print the value and end with 0".to_owned(),
            Self::Sealed => "deploy again from a desk that has the secrets".to_owned(),
            Self::File { .. } => "see to the file's owner, its mode and the free space".to_owned(),
        }
    }
}
