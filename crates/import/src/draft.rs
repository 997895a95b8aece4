//! What an importer builds: an app file as tables, each key with what is said of it and where it comes
//! from. Keys are those of `docs/app-file.md`; the printer brings them into its order.
//!
//! ```
//! use landfall_import::draft::{Draft, print};
//!
//! let mut draft = Draft::new("shop");
//! let web = draft.service("web");
//! web.set("port", 8000).comment("EXPOSE of the Dockerfile");
//! web.set("command", "bin/web --port $PORT").from("Procfile", 1);
//! web.table("env").set("LOG_LEVEL", "info");
//! assert_eq!(
//!     print(&draft),
//!     r#"app = "shop"
//!
//! [service.web]
//! command = "bin/web --port $PORT"
//! port    = 8000  # EXPOSE of the Dockerfile
//! env     = { LOG_LEVEL = "info" }
//! "#
//! );
//! ```

mod command;
mod name;
mod print;
mod settle;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, rc::Rc};

pub use command::{command, once, port_variable, quoted, take_port, variables, words};
pub use name::{Given, Names, is_variable};
pub use print::print;
pub use settle::settle;

/// An app file to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Lines of comment at the head of the file, without `#`.
    pub comments: Vec<String>,
    /// The app's name; it must be a valid one, see [`Names`].
    pub app: String,
    /// What stands at the top, in whatever environment.
    pub top: Section,
    /// What is different in an environment, by its name.
    environments: Tables<Section>,
}

/// What the top of the file and an environment have alike.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// Its own keys: `timezone`, `env`, `logs`, `target`, `runtime`, …
    pub own: Table,
    services: Tables<Table>,
    backing: Tables<Table>,
    jobs: Tables<Table>,
    /// Commands at points of a deployment: `switched`, …
    pub hooks: Table,
}

impl Draft {
    /// An empty one.
    pub fn new(app: impl Into<String>) -> Self {
        Self {
            comments: Vec::new(),
            app: app.into(),
            top: Section::default(),
            environments: Tables::default(),
        }
    }

    /// A service at the top, made where it isn't there; the name must be a valid one.
    pub fn service(&mut self, name: &str) -> &mut Table {
        self.top.service(name)
    }

    /// A backing service at the top, made where it isn't there.
    pub fn backing(&mut self, name: &str) -> &mut Table {
        self.top.backing(name)
    }

    /// A job at the top, made where it isn't there.
    pub fn job(&mut self, name: &str) -> &mut Table {
        self.top.job(name)
    }

    /// An environment, made where it isn't there.
    pub fn environment(&mut self, name: &str) -> &mut Section {
        self.environments.get(name)
    }

    /// The environments in their order.
    pub fn environments(&self) -> Vec<(&str, &Section)> {
        self.environments.ordered()
    }
}

impl Section {
    /// A service, made where it isn't there.
    pub fn service(&mut self, name: &str) -> &mut Table {
        self.services.get(name)
    }

    /// The services in their order.
    pub fn services(&self) -> Vec<(&str, &Table)> {
        self.services.ordered()
    }

    /// A service that is there.
    pub fn known_service(&mut self, name: &str) -> Option<&mut Table> {
        self.services.entries.get_mut(name).map(|(_, table)| table)
    }

    /// Takes a service out.
    pub fn remove_service(&mut self, name: &str) -> Option<Table> {
        self.services.remove(name)
    }

    /// A backing service, made where it isn't there.
    pub fn backing(&mut self, name: &str) -> &mut Table {
        self.backing.get(name)
    }

    /// The backing services in their order.
    pub fn all_backing(&self) -> Vec<(&str, &Table)> {
        self.backing.ordered()
    }

    /// A job, made where it isn't there.
    pub fn job(&mut self, name: &str) -> &mut Table {
        self.jobs.get(name)
    }

    /// The jobs in their order.
    pub fn jobs(&self) -> Vec<(&str, &Table)> {
        self.jobs.ordered()
    }
}

/// Things by name, in the order in which they were made.
#[derive(Debug, Clone, PartialEq)]
struct Tables<T> {
    entries: BTreeMap<String, (usize, T)>,
    next: usize,
}

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T: Default> Tables<T> {
    fn get(&mut self, name: &str) -> &mut T {
        let next = self.next;
        let (at, thing) = self
            .entries
            .entry(name.to_owned())
            .or_insert_with(|| (next, T::default()));
        if *at == next {
            self.next += 1;
        }
        thing
    }

    fn ordered(&self) -> Vec<(&str, &T)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(_, (at, _))| *at);
        all.into_iter()
            .map(|(name, (_, thing))| (name.as_str(), thing))
            .collect()
    }

    fn remove(&mut self, name: &str) -> Option<T> {
        self.entries.remove(name).map(|(_, thing)| thing)
    }
}

/// A table: a service, `env`, `health`, …
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    entries: BTreeMap<String, Entry>,
    next: usize,
    /// Lines of comment under its head, without `#`. A table of one line has no place for them, so one
    /// with comments gets lines of its own.
    pub comments: Vec<String>,
    /// Where it comes from.
    pub place: Option<Place>,
}

/// A key's value and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    at: usize,
    /// Said behind it.
    pub comment: Option<String>,
    /// Where it comes from.
    pub place: Option<Place>,
}

/// A line of a file that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Rc<str>,
    /// The line, from 1.
    pub line: usize,
}

/// A value of an app file.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
    List(Vec<Value>),
    Table(Table),
}

impl Table {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key; what it was is forgotten. Its comment and its place can be given to the answer.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Entry {
        let at = self.next;
        self.next += 1;
        let entry = Entry {
            value: value.into(),
            at,
            comment: None,
            place: None,
        };
        match self.entries.entry(key.to_owned()) {
            std::collections::btree_map::Entry::Vacant(vacant) => vacant.insert(entry),
            std::collections::btree_map::Entry::Occupied(occupied) => {
                let known = occupied.into_mut();
                *known = Entry {
                    at: known.at,
                    ..entry
                };
                known
            }
        }
    }

    /// The table under a key, made where none is there.
    pub fn table(&mut self, key: &str) -> &mut Table {
        if !matches!(self.entries.get(key), Some(entry) if matches!(entry.value, Value::Table(_))) {
            self.set(key, Table::new());
        }
        match self.entries.get_mut(key).map(|entry| &mut entry.value) {
            Some(Value::Table(table)) => table,
            _ => unreachable!("it was made just now"),
        }
    }

    /// Appends to the list under a key, made where none is there.
    pub fn push(&mut self, key: &str, value: impl Into<Value>) -> &mut Entry {
        if !matches!(self.entries.get(key), Some(entry) if matches!(entry.value, Value::List(_))) {
            self.set(key, Value::List(Vec::new()));
        }
        let entry = self.entries.get_mut(key).expect("it was made just now");
        if let Value::List(list) = &mut entry.value {
            list.push(value.into());
        }
        entry
    }

    /// What a key is set to.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The text that a key is set to.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The table that a key is set to.
    pub fn known_table(&self, key: &str) -> Option<&Table> {
        match self.get(key) {
            Some(Value::Table(table)) => Some(table),
            _ => None,
        }
    }

    /// A key with what is said of it.
    pub fn entry(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// Whether a key is set.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        self.entries.remove(key)
    }

    /// The keys in the order in which they were set first.
    pub fn entries(&self) -> Vec<(&str, &Entry)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(_, entry)| entry.at);
        all.into_iter()
            .map(|(key, entry)| (key.as_str(), entry))
            .collect()
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A line of comment under its head.
    pub fn comment(&mut self, text: impl Into<String>) {
        self.comments.push(text.into());
    }

    /// Something left to the user, as a line of comment under its head.
    pub fn todo(&mut self, text: impl std::fmt::Display) {
        self.comments.push(format!("TODO: {text}"));
    }

    /// Where it comes from.
    pub fn from(&mut self, file: &str, line: usize) -> &mut Self {
        self.place = Some(Place::new(file, line));
        self
    }
}

impl Entry {
    /// What is said behind it.
    pub fn comment(&mut self, text: impl Into<String>) -> &mut Self {
        self.comment = Some(text.into());
        self
    }

    /// Where it comes from.
    pub fn from(&mut self, file: &str, line: usize) -> &mut Self {
        self.place = Some(Place::new(file, line));
        self
    }
}

impl Place {
    /// A line of a file.
    pub fn new(file: &str, line: usize) -> Self {
        Self {
            file: file.into(),
            line,
        }
    }
}

impl FromIterator<(String, Value)> for Table {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(pairs: I) -> Self {
        let mut table = Self::new();
        for (key, value) in pairs {
            table.set(&key, value);
        }
        table
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

macro_rules! whole {
    ($($number:ty),*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Whole(number.into())
            }
        }
    )*};
}

whole!(i64, i32, u32, u16);

impl From<Table> for Value {
    fn from(table: Table) -> Self {
        Self::Table(table)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value> + Clone> From<&[T]> for Value {
    fn from(list: &[T]) -> Self {
        list.to_vec().into()
    }
}
