//! The grammar of the app file, once: reading, suggestions, JSON Schema and reference all follow it.

mod app;
mod edge;
mod environment;
mod platform;
mod scalar;
mod service;
mod text;

pub(crate) use app::{ALL_NEWS, APP};
pub(crate) use scalar::{Kind, NAME_PATTERN, Problem, SIGNALS, Scalar, VARIABLE_PATTERN};
pub(crate) use text::{factor_tenths, is_host, is_variable, name, rate_per_second, version};

/// A table: its keys and what holds for them together.
pub(crate) struct Table {
    /// Its name in the schema and the reference: `service`.
    pub name: &'static str,
    /// How a message calls it: `a service`.
    pub title: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
    pub keys: &'static [Key],
    /// Of each group only one key may be set; setting one in an environment replaces the others.
    pub exclusive: &'static [&'static [&'static str]],
    /// Whether its defaults hold also where the file doesn't name it.
    pub always: bool,
}

/// A key of a table.
pub(crate) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub doc: &'static str,
    /// As TOML; empty where there is none.
    pub default: &'static str,
    /// As TOML.
    pub example: &'static str,
    pub required: bool,
    pub later: Option<Later>,
}

/// What this binary can't do yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Later {
    /// Whether a deployment without it would be another one than the file says.
    pub matters: bool,
}

/// What a value may be.
pub(crate) enum Shape {
    Scalar(Scalar),
    List(&'static Shape),
    Table(&'static Table),
    Map(Naming, &'static Shape),
    /// A short form and longer ones, told apart by their TOML types.
    Either(&'static [Shape]),
}

/// What the keys of a table of names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Names of our grammar, of a `service`, a `process`, …
    Name(&'static str),
    /// Environment variables.
    Variable,
    /// Host names of registries.
    Host,
    /// Headers of HTTP.
    Header,
    /// Absolute paths.
    Path,
    /// Anything.
    Free,
}

impl Table {
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Its first keys, as a table that is expected.
    fn keys_shown(&self) -> String {
        let names: Vec<_> = self.keys.iter().take(4).map(|key| key.name).collect();
        let more = if self.keys.len() > 4 { ", …" } else { "" };
        format!("a table {{ {}{more} }}", names.join(", "))
    }

    /// The keys that can't stand beside this one.
    pub fn rivals(&self, name: &str) -> impl Iterator<Item = &'static str> {
        let groups = self
            .exclusive
            .iter()
            .filter(move |group| group.contains(&name));
        let name = name.to_owned();
        groups
            .flat_map(|group| group.iter().copied())
            .filter(move |rival| *rival != name)
    }
}

impl Shape {
    /// The table that this is, or is in its long form.
    pub fn as_table(&self) -> Option<&'static Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Either(shapes) => shapes.iter().find_map(Self::as_table),
            _ => None,
        }
    }

    /// What the table of names holds, if this is one.
    pub fn as_map(&self) -> Option<(Naming, &'static Shape)> {
        match self {
            Self::Map(naming, shape) => Some((*naming, shape)),
            Self::Either(shapes) => shapes.iter().find_map(Self::as_map),
            _ => None,
        }
    }

    /// The list's items, if this is one.
    pub fn as_list(&self) -> Option<&'static Shape> {
        match self {
            Self::List(shape) => Some(shape),
            Self::Either(shapes) => shapes.iter().find_map(Self::as_list),
            _ => None,
        }
    }

    /// What is expected, for messages: `a port (1 to 65535)`.
    pub fn expected(&self) -> String {
        match self {
            Self::Scalar(scalar) => scalar.expected().to_owned(),
            Self::List(_) => "a list `[…]`".to_owned(),
            Self::Table(table) => table.keys_shown(),
            Self::Map(naming, _) => format!("a table of {}", naming.plural()),
            Self::Either(shapes) => {
                let mut words: Vec<_> = shapes.iter().map(Self::expected).collect();
                let last = words.pop().unwrap_or_default();
                if words.is_empty() {
                    last
                } else {
                    format!("{} or {last}", words.join(", "))
                }
            }
        }
    }
}

/// `a` or `an`.
pub(crate) fn article(what: &str) -> &'static str {
    if what.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

impl Naming {
    pub fn plural(self) -> String {
        match self {
            Self::Name(what) if what.ends_with("ss") => format!("{what}es by name"),
            Self::Name(what) => format!("{what}s by name"),
            Self::Variable => "environment variables".to_owned(),
            Self::Host => "host names".to_owned(),
            Self::Header => "headers".to_owned(),
            Self::Path => "absolute paths".to_owned(),
            Self::Free => "settings".to_owned(),
        }
    }
}

/// A key; what else there is to say about it is added by the functions below.
const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        doc,
        default: "",
        example: "",
        required: false,
        later: None,
    }
}

impl Key {
    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Not built yet; a deployment is refused.
    const fn later(mut self) -> Self {
        self.later = Some(Later { matters: true });
        self
    }

    /// Not built yet; a deployment goes on without it.
    const fn later_harmless(mut self) -> Self {
        self.later = Some(Later { matters: false });
        self
    }
}

/// A table whose defaults hold only where the file names it.
const fn table(
    name: &'static str,
    title: &'static str,
    doc: &'static str,
    keys: &'static [Key],
) -> Table {
    Table {
        name,
        title,
        doc,
        keys,
        exclusive: &[],
        always: false,
    }
}

impl Table {
    const fn exclusive(mut self, groups: &'static [&'static [&'static str]]) -> Self {
        self.exclusive = groups;
        self
    }

    const fn always(mut self) -> Self {
        self.always = true;
        self
    }
}

const fn scalar(kind: Kind) -> Shape {
    Shape::Scalar(Scalar::new(kind))
}

static TEXT: Shape = scalar(Kind::Text);
static TEMPLATE: Shape = scalar(Kind::Template);
static SECRET_NAME: Shape = scalar(Kind::Secret);

/// A command that ends: a string for the shell, or a list.
const RUN: Shape = Shape::Either(&[scalar(Kind::Shell), Shape::List(&TEXT)]);
/// A command that stays: a string of words, or a list.
const COMMAND: Shape = Shape::Either(&[scalar(Kind::Words), Shape::List(&TEXT)]);
/// Environment variables.
const ENV: Shape = Shape::Map(Naming::Variable, &ENV_VALUE);
static ENV_VALUE: Shape = Shape::Either(&[scalar(Kind::Template), Shape::Table(&GENERATE)]);
static GENERATE: Table = table(
    "generated-value",
    "a generated value",
    "A value that the host makes once and keeps.",
    &[key(
        "generate",
        scalar(Kind::Count {
            least: 8,
            most: 1024,
        }),
        "So many random bytes, as hexadecimal digits.",
    )
    .example("32")
    .required()],
);
