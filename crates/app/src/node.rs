//! The values of the file after the grammar has let them pass: owned, placed, cheap to share.

use std::sync::Arc;

use toml::map::Map;

use crate::source::Span;

/// Where a value was written: at the top, or in one of the environments.
pub(crate) type Layer = u32;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub span: Span,
    pub layer: Layer,
    pub data: Data,
}

/// What a value is. Tables and lists are shared, so that merging copies only what changes.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Text(Arc<str>),
    Integer(i64),
    /// As written, so that no digit is lost.
    Float(Arc<str>),
    Boolean(bool),
    List(Arc<[Node]>),
    Table(Arc<Fields>),
    /// Something stands there that isn't what it should be, which was said already.
    Bad,
}

/// The keys of a table in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    map: Map<Arc<str>, Field>,
}

/// A key's place and its value.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub key: Span,
    pub node: Node,
}

impl Node {
    pub fn table(&self) -> Option<&Fields> {
        match &self.data {
            Data::Table(fields) => Some(fields),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn integer(&self) -> Option<i64> {
        match self.data {
            Data::Integer(value) => Some(value),
            _ => None,
        }
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.data {
            Data::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// The value of any type that is written without quotes as well as with them.
    pub fn scalar(&self) -> Option<String> {
        match &self.data {
            Data::Text(text) | Data::Float(text) => Some(text.to_string()),
            Data::Integer(value) => Some(value.to_string()),
            Data::Boolean(value) => Some(value.to_string()),
            Data::List(_) | Data::Table(_) | Data::Bad => None,
        }
    }

    /// The value as it would stand in a file, on one line.
    pub fn to_toml(&self) -> String {
        match &self.data {
            Data::Text(text) => toml::Value::from(&**text).to_string(),
            Data::Float(text) => text.to_string(),
            Data::Integer(value) => value.to_string(),
            Data::Boolean(value) => value.to_string(),
            Data::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_toml).collect();
                format!("[{}]", items.join(", "))
            }
            Data::Bad => "…".to_owned(),
            Data::Table(fields) if fields.is_empty() => "{}".to_owned(),
            Data::Table(fields) => {
                let pair = |(key, field): (&str, &Field)| {
                    format!("{} = {}", quoted_key(key), field.node.to_toml())
                };
                let pairs: Vec<_> = fields.iter().map(pair).collect();
                format!("{{ {} }}", pairs.join(", "))
            }
        }
    }
}

/// A key, quoted where a bare one isn't allowed.
pub(crate) fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}

impl Fields {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map.get(key).map(|field| &field.node)
    }

    pub fn field(&self, key: &str) -> Option<&Field> {
        self.map.get(key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub fn insert(&mut self, key: Arc<str>, field: Field) {
        self.map.insert(key, field);
    }

    pub fn remove(&mut self, key: &str) {
        self.map.remove(key);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.map.iter().map(|(key, field)| (&**key, field))
    }

    pub fn shared(&self) -> impl Iterator<Item = (&Arc<str>, &Field)> {
        self.map.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::text)
    }

    pub fn table(&self, key: &str) -> Option<&Self> {
        self.get(key).and_then(Node::table)
    }

    pub fn list(&self, key: &str) -> &[Node] {
        self.get(key).and_then(Node::list).unwrap_or_default()
    }

    /// A value of a type that reads itself from text; it was checked when the file was read.
    pub fn parsed<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)
            .and_then(Node::scalar)
            .and_then(|text| text.parse().ok())
    }
}
