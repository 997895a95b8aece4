//! Failures that users read: a stable name, what happened, the evidence, the mend.

use serde::{Deserialize, Serialize};

/// Why something failed, as it is shown and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// The error's stable name; `landfall explain NAME` says more.
    pub name: String,
    /// What happened and where: `api listens on 3000, expected 8000`.
    pub message: String,
    /// The evidence, each with a label: `its last words`, `exit`, `since 12`, `mend`.
    pub details: Vec<Detail>,
}

/// A piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Detail {
    /// What it is.
    pub label: String,
    /// One or more lines.
    pub text: String,
}

impl Failure {
    /// A failure by name and message.
    pub fn new(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// The same with a further piece of evidence.
    #[must_use]
    pub fn with(mut self, label: &str, text: impl Into<String>) -> Self {
        self.details.push(Detail {
            label: label.to_owned(),
            text: text.into(),
        });
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for Failure {}
