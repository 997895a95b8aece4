//! A compose file's values, each with its file and line, interpolated and typed as Compose reads them.

use std::rc::Rc;

use landfall_yaml::read::{Mapping, Node, Reading, Value as Read};

use super::interpolate::Piece;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub file: Rc<str>,
    pub line: usize,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub at: At,
    pub tag: Option<Rc<str>>,
    pub value: Value,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Item>),
    Map(Map),
}

/// A text, a number or a truth value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// As a program gets it.
    pub text: String,
    /// What it is made of, where variables of secrets are in it.
    pub pieces: Option<Rc<[Piece]>>,
    /// Whether it is text: quoted, or a word that is nothing else.
    pub is_text: bool,
    /// Another text that stands in the file, where it is read as something else: `012` for `10`.
    pub written: Option<Rc<str>>,
}

/// A mapping in its order, with an index where it is long.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Map {
    entries: Vec<(Rc<str>, At, Item)>,
    index: std::collections::HashMap<Rc<str>, usize>,
}

impl Map {
    pub fn get(&self, key: &str) -> Option<&Item> {
        Some(&self.entries[*self.index.get(key)?].2)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Item> {
        Some(&mut self.entries[*self.index.get(key)?].2)
    }

    /// Where a key stands.
    pub fn at(&self, key: &str) -> Option<&At> {
        Some(&self.entries[*self.index.get(key)?].1)
    }

    /// Sets a key, in its old place where it has one.
    pub fn set(&mut self, key: &str, at: At, item: Item) {
        match self.index.get(key) {
            Some(place) => {
                let place = &mut self.entries[*place];
                (place.1, place.2) = (at, item);
            }
            None => {
                let key: Rc<str> = key.into();
                self.index.insert(Rc::clone(&key), self.entries.len());
                self.entries.push((key, at, item));
            }
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Item> {
        let place = self.index.remove(key)?;
        let (_, _, item) = self.entries.remove(place);
        for other in self.index.values_mut() {
            *other -= usize::from(*other > place);
        }
        Some(item)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &At, &Item)> {
        self.entries
            .iter()
            .map(|(key, at, item)| (&**key, at, item))
    }

    pub fn keys(&self) -> Vec<Rc<str>> {
        self.entries
            .iter()
            .map(|(key, _, _)| Rc::clone(key))
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl IntoIterator for Map {
    type Item = (Rc<str>, At, Item);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl Item {
    pub fn text_at(at: At, text: impl Into<String>) -> Self {
        Self {
            at,
            tag: None,
            value: Value::Scalar(Scalar {
                text: text.into(),
                pieces: None,
                is_text: true,
                written: None,
            }),
        }
    }

    pub fn map_at(at: At) -> Self {
        Self {
            at,
            tag: None,
            value: Value::Map(Map::default()),
        }
    }

    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    pub fn list(&self) -> Option<&[Item]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Item> {
        self.map()?.get(key)
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// A truth value, in the words that Compose takes.
    pub fn flag(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "0" => Some(false),
            _ => None,
        }
    }

    pub fn whole(&self) -> Option<i64> {
        self.text()?.trim().parse().ok()
    }

    pub fn number(&self) -> Option<f64> {
        self.text()?
            .trim()
            .parse()
            .ok()
            .filter(|n: &f64| n.is_finite())
    }

    /// Texts of a list, or of the one text that stands in its place.
    pub fn texts(&self) -> Vec<&Item> {
        match &self.value {
            Value::List(items) => items.iter().collect(),
            Value::Scalar(_) => vec![self],
            _ => Vec::new(),
        }
    }

    /// Items of a list; nothing of what is none.
    pub fn texts_or_maps(&self) -> Vec<&Item> {
        self.list()
            .map(|items| items.iter().collect())
            .unwrap_or_default()
    }

    /// What it is, in a word for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(scalar) if scalar.is_text => "a text",
            Value::Scalar(_) => "a number or a truth value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// What a text of the file becomes; or why it can't.
pub(super) type Text<'a> = dyn FnMut(&str, &At, &str) -> Result<Scalar, Box<crate::Refusal>> + 'a;

/// A node of a file as an item. `text` is asked for each text, with its place and the path of keys.
pub(super) fn item(
    node: &Node,
    file: &Rc<str>,
    path: &mut String,
    text: &mut Text<'_>,
) -> Result<Item, Box<crate::Refusal>> {
    let at = At {
        file: Rc::clone(file),
        line: node.span.line,
    };
    let value = match &node.value {
        Read::List(items) => Value::List(
            items
                .iter()
                .map(|node| item(node, file, path, text))
                .collect::<Result<_, _>>()?,
        ),
        Read::Map(mapping) => Value::Map(map(mapping, file, path, text)?),
        Read::Scalar(written) => match node.reading() {
            None | Some(Reading::Null) => Value::Null,
            Some(Reading::Text(plain)) => Value::Scalar(text(&plain, &at, path)?),
            Some(_) => {
                let read = node.as_text().unwrap_or_default();
                Value::Scalar(Scalar {
                    written: (read != written.text).then(|| written.text.as_str().into()),
                    text: read,
                    pieces: None,
                    is_text: false,
                })
            }
        },
    };
    Ok(Item {
        at,
        tag: node.tag.as_deref().map(Rc::from),
        value,
    })
}

fn map(
    mapping: &Mapping,
    file: &Rc<str>,
    path: &mut String,
    text: &mut Text<'_>,
) -> Result<Map, Box<crate::Refusal>> {
    let mut map = Map::default();
    for entry in &mapping.entries {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&entry.key);
        let value = item(&entry.value, file, path, text)?;
        path.truncate(length);
        let at = At {
            file: Rc::clone(file),
            line: entry.span.line,
        };
        map.set(&entry.key, at, value);
    }
    Ok(map)
}
