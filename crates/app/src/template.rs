//! Values with `${…}` in them: parsed and checked when the file is read, rendered at run time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::name::Name;

/// A value of `env` and of other places that allow `${…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Text with references.
    Text(Template),
    /// Made once by the host, of so many random bytes, and kept: `{ generate = 32 }`.
    Generate(u32),
}

/// Text with references in it. Written as in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// Something known later.
    Reference(Reference),
}

/// What `${…}` may name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `${secret.NAME}`
    Secret(String),
    /// `${service.NAME.url}` and the other fields.
    Service(Name, Field),
    /// `${process.NAME.url}`: a sibling, over localhost.
    Process(Name, Field),
    /// `${backing.NAME.url}`
    Backing(Name, Field),
}

/// What a reference asks of what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The whole URL.
    Url,
    /// The host.
    Host,
    /// The port.
    Port,
    /// The user; backing services only.
    User,
    /// The password; backing services only.
    Password,
    /// The database's name; backing services only.
    Name,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("`${{` without its `}}`")]
    Unclosed,
    /// Not one of the known forms.
    #[error(
        "`${{{0}}}` names nothing: it is one of secret.NAME, service.NAME.url, process.NAME.url, backing.NAME.url (or .host, .port, .user, .password, .name)"
    )]
    Unknown(String),
}

impl Template {
    /// A text without references.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Text(text.into())],
        }
    }

    /// Its parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The references in it, in order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }

    /// Puts a value in for each reference; the first that has none is the error.
    pub fn render<'a, E>(
        &'a self,
        mut value: impl FnMut(&'a Reference) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Reference(reference) => text.push_str(&value(reference)?),
            }
        }
        Ok(text)
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let end = rest[start..].find('}').ok_or(TemplateError::Unclosed)? + start;
            parts.push(Part::Reference(rest[start + 2..end].parse()?));
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }
}

impl FromStr for Reference {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let unknown = || TemplateError::Unknown(text.to_owned());
        let (kind, rest) = text.split_once('.').ok_or_else(unknown)?;
        if kind == "secret" {
            return match rest.contains('.') || rest.is_empty() {
                true => Err(unknown()),
                false => Ok(Self::Secret(rest.to_owned())),
            };
        }
        let (name, field) = rest.split_once('.').ok_or_else(unknown)?;
        let name = name.parse().map_err(|_| unknown())?;
        let field = match field {
            "url" => Field::Url,
            "host" => Field::Host,
            "port" => Field::Port,
            "user" => Field::User,
            "password" => Field::Password,
            "name" => Field::Name,
            _ => return Err(unknown()),
        };
        match (kind, field) {
            ("service", Field::Url | Field::Host | Field::Port) => Ok(Self::Service(name, field)),
            ("process", Field::Url | Field::Host | Field::Port) => Ok(Self::Process(name, field)),
            ("backing", _) => Ok(Self::Backing(name, field)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "url",
            Self::Host => "host",
            Self::Port => "port",
            Self::User => "user",
            Self::Password => "password",
            Self::Name => "name",
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "secret.{name}"),
            Self::Service(name, field) => write!(f, "service.{name}.{field}"),
            Self::Process(name, field) => write!(f, "process.{name}.{field}"),
            Self::Backing(name, field) => write!(f, "backing.{name}.{field}"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Reference(reference) => write!(f, "${{{reference}}}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
