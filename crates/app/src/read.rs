//! The text against the grammar: every value that passes becomes a node, every other a diagnostic.

use std::sync::Arc;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    diagnostic::Diagnostic,
    grammar::article,
    grammar::{APP, Key, Kind, Naming, Problem, Scalar, Shape, Table, is_host, is_variable, name},
    node::{Data, Field, Fields, Layer, Node},
    source::{Source, Span},
    suggest::{self, Suggestion},
};

/// So many are kept; the rest of a file that is this broken says nothing new.
const MOST: usize = 10_000;
/// So many get a suggestion, which costs time.
const SUGGESTED: usize = 500;

/// What reading gives: the tree, the environments' names in the order of their layers, what is wrong.
pub(crate) struct Read {
    pub root: Fields,
    pub environments: Vec<Arc<str>>,
    pub diagnostics: Vec<Diagnostic>,
    /// Whether the text isn't TOML, so that anything may be missing from the tree.
    pub broken: bool,
}

/// Reads a whole file.
pub(crate) fn read(source: &Source) -> Read {
    let (tree, errors) = DeTable::parse_recoverable(source.text());
    let mut reader = Reader {
        layer: 0,
        environments: Vec::new(),
        diagnostics: Vec::new(),
    };
    let mut lines = std::collections::BTreeSet::new();
    for error in errors.iter().take(MOST) {
        let end = source.text().len();
        let span = error.span().unwrap_or(end..end);
        let line = source.line(span.start);
        if !lines.insert(line) {
            // What follows on the same line is the first error's consequence.
            continue;
        }
        reader.diagnostics.push(syntax(error.message(), span));
    }
    let broken = errors
        .iter()
        .any(|error| error.message() != "duplicate key");
    let before = reader.diagnostics.len();
    let root = reader.fields(&APP, tree.get_ref());
    if !errors.is_empty() {
        let (syntax, mut others) = {
            let others = reader.diagnostics.split_off(before);
            (reader.diagnostics, others)
        };
        others.retain(|diagnostic| !lines.contains(&source.line(diagnostic.span.start)));
        reader.diagnostics = syntax;
        reader.diagnostics.extend(others);
    }
    Read {
        root,
        environments: reader.environments,
        diagnostics: reader.diagnostics,
        broken,
    }
}

fn syntax(message: &str, span: Span) -> Diagnostic {
    if message == "duplicate key" {
        let message = "the same key is set twice";
        return Diagnostic::error("duplicate-key", span, message, "this one is the second")
            .help("a table and a key stand once; a list of tables is [[…]]");
    }
    let (message, label) = match message.split_once(", expected ") {
        Some((message, expected)) => (message, format!("expected {expected}")),
        None => (message, "here".to_owned()),
    };
    Diagnostic::error(
        "syntax",
        span,
        format!("this is not TOML: {message}"),
        label,
    )
}

struct Reader {
    layer: Layer,
    environments: Vec<Arc<str>>,
    diagnostics: Vec<Diagnostic>,
}

/// Where a value stands, for messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    key: &'a str,
    example: &'a str,
}

impl Reader {
    fn push(&mut self, diagnostic: impl FnOnce() -> Diagnostic) {
        if self.diagnostics.len() < MOST {
            self.diagnostics.push(diagnostic());
        }
    }

    /// The keys of a table.
    fn fields(&mut self, table: &'static Table, values: &DeTable<'_>) -> Fields {
        let mut fields = Fields::default();
        let mut guessed = Vec::new();
        for (key, value) in values.iter() {
            let word: &str = key.get_ref();
            let Some(known) = table.key(word) else {
                let meant = self.unknown_key(table, word, key.span());
                if let Some(meant) = meant.filter(|meant| !fields.has(meant)) {
                    guessed.push(meant);
                    let node = self.node(value.span(), Data::Bad);
                    fields.insert(
                        meant.into(),
                        Field {
                            key: key.span(),
                            node,
                        },
                    );
                }
                continue;
            };
            if table.name == "app-file" && word == "environment" {
                if let Some(node) = self.environments(known, value) {
                    fields.insert(
                        word.into(),
                        Field {
                            key: key.span(),
                            node,
                        },
                    );
                }
                continue;
            }
            let rival = table.rivals(word).find_map(|rival| {
                let field = fields.field(rival)?;
                // A key that was only guessed from another word contradicts nothing.
                (!guessed.contains(&rival)).then(|| (rival, field.key.clone()))
            });
            if let Some((rival, span)) = rival {
                self.push(|| {
                    let message =
                        format!("`{rival}` and `{word}` can't both stand in {}", table.title);
                    Diagnostic::error(
                        "conflicting-keys",
                        key.span(),
                        message,
                        format!("besides `{rival}`"),
                    )
                    .related(span, format!("`{rival}` is here"))
                    .help("keep one of the two")
                });
                continue;
            }
            let place = Place {
                key: word,
                example: known.example,
            };
            let node = self.value(&known.shape, place, value);
            let node = node.unwrap_or_else(|| self.node(value.span(), Data::Bad));
            fields.insert(
                word.into(),
                Field {
                    key: key.span(),
                    node,
                },
            );
        }
        fields
    }

    /// Says that a table has no such key; gives the key that was meant, if that is plain.
    fn unknown_key(&mut self, table: &Table, word: &str, span: Span) -> Option<&'static str> {
        let suggested = self.diagnostics.len() < SUGGESTED;
        let suggestion = if suggested {
            suggest::unknown_key(table, word)
        } else {
            Suggestion::none()
        };
        let meant = suggestion.meant;
        self.push(|| {
            let count = table.name == "replicas" && matches!(word, "count" | "replicas" | "number");
            let code = if count {
                "replicas-under-autoscaler"
            } else {
                "unknown-key"
            };
            let message = format!("no key `{word}` in {}", table.title);
            let mut diagnostic = Diagnostic::error(code, span, message, suggestion.label);
            diagnostic.help = suggestion.help;
            diagnostic
        });
        meant
    }

    /// Each environment is a layer of its own, so that its values remember where they come from.
    fn environments(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Node> {
        let (naming, shape) = key.shape.as_map()?;
        let DeValue::Table(table) = value.get_ref() else {
            return self.value(
                &key.shape,
                Place {
                    key: "environment",
                    example: key.example,
                },
                value,
            );
        };
        let mut fields = Fields::default();
        for (name, value) in table.iter() {
            let word: &str = name.get_ref();
            if !self.named(naming, word, name.span()) {
                continue;
            }
            if ["all", "default", "none"].contains(&word) {
                self.push(|| {
                    let message = format!("an environment can't be called `{word}`");
                    Diagnostic::error(
                        "reserved-name",
                        name.span(),
                        message,
                        "this word has a meaning of its own in commands",
                    )
                });
                continue;
            }
            self.environments.push(word.into());
            self.layer = Layer::try_from(self.environments.len()).unwrap_or(Layer::MAX);
            if let Some(node) = self.value(
                shape,
                Place {
                    key: word,
                    example: "",
                },
                value,
            ) {
                fields.insert(
                    word.into(),
                    Field {
                        key: name.span(),
                        node,
                    },
                );
            }
            self.layer = 0;
        }
        Some(self.node(value.span(), Data::Table(Arc::new(fields))))
    }

    fn node(&self, span: Span, data: Data) -> Node {
        Node {
            span,
            layer: self.layer,
            data,
        }
    }

    /// A value of a shape, if it is one.
    fn value(
        &mut self,
        shape: &'static Shape,
        place: Place<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Node> {
        match self.fitting(shape, value.get_ref()) {
            Some(Shape::Scalar(scalar)) => self.scalar(*scalar, place, value),
            Some(Shape::List(inner)) => {
                let DeValue::Array(items) = value.get_ref() else {
                    return None;
                };
                let nodes: Vec<_> = items
                    .iter()
                    .filter_map(|item| self.value(inner, place, item))
                    .collect();
                if items.is_empty() && place.key == "command" {
                    self.push(|| {
                        Diagnostic::error(
                            "bad-value",
                            value.span(),
                            "the command is empty",
                            "expected the program and its arguments",
                        )
                    });
                    return None;
                }
                if matches!(place.key, "run" | "command" | "migrate")
                    && let Some(item) = nodes.first().filter(|node| node.text() == Some(""))
                {
                    let span = item.span.clone();
                    self.push(|| {
                        Diagnostic::error(
                            "bad-value",
                            span,
                            "the program is empty",
                            "expected a program's name",
                        )
                    });
                    return None;
                }
                Some(self.node(value.span(), Data::List(nodes.into())))
            }
            Some(Shape::Table(table)) => {
                let DeValue::Table(values) = value.get_ref() else {
                    return None;
                };
                let fields = self.fields(table, values);
                Some(self.node(value.span(), Data::Table(Arc::new(fields))))
            }
            Some(Shape::Map(naming, inner)) => {
                let DeValue::Table(values) = value.get_ref() else {
                    return None;
                };
                let mut fields = Fields::default();
                for (key, value) in values.iter() {
                    let word: &str = key.get_ref();
                    let named = self.named(*naming, word, key.span());
                    let node = self
                        .value(
                            inner,
                            Place {
                                key: word,
                                example: "",
                            },
                            value,
                        )
                        .filter(|_| named);
                    let node = node.unwrap_or_else(|| self.node(value.span(), Data::Bad));
                    fields.insert(
                        word.into(),
                        Field {
                            key: key.span(),
                            node,
                        },
                    );
                }
                Some(self.node(value.span(), Data::Table(Arc::new(fields))))
            }
            Some(Shape::Either(_)) | None => {
                self.wrong_type(shape, place, value);
                None
            }
        }
    }

    /// The alternative that a value's TOML type chooses.
    fn fitting(&self, shape: &'static Shape, value: &DeValue<'_>) -> Option<&'static Shape> {
        let fits = match shape {
            Shape::Either(shapes) => {
                return shapes.iter().find_map(|shape| self.fitting(shape, value));
            }
            Shape::Scalar(scalar) => match value {
                DeValue::String(_) => scalar.takes_text(),
                DeValue::Integer(_) => scalar.takes_integer() && !scalar.takes_boolean(),
                DeValue::Float(_) => scalar.takes_float(),
                DeValue::Boolean(_) => scalar.takes_boolean(),
                _ => false,
            },
            Shape::List(_) => matches!(value, DeValue::Array(_)),
            Shape::Table(_) | Shape::Map(..) => matches!(value, DeValue::Table(_)),
        };
        fits.then_some(shape)
    }

    fn wrong_type(&mut self, shape: &Shape, place: Place<'_>, value: &Spanned<DeValue<'_>>) {
        self.push(|| {
            let found = match value.get_ref() {
                DeValue::String(_) => "a text",
                DeValue::Integer(_) => "a whole number",
                DeValue::Float(_) => "a number",
                DeValue::Boolean(_) => "true or false",
                DeValue::Datetime(_) => "a date",
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
            };
            let message = format!("`{}` is {found}", place.key);
            let mut diagnostic = Diagnostic::error(
                "wrong-type",
                value.span(),
                message,
                format!("expected {}", shape.expected()),
            );
            diagnostic.help = fixed(shape, value.get_ref(), place.key).or_else(|| {
                (!place.example.is_empty())
                    .then(|| format!("for example {} = {}", place.key, place.example))
            });
            diagnostic
        });
    }

    fn scalar(
        &mut self,
        scalar: Scalar,
        place: Place<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Node> {
        let (data, checked) = match value.get_ref() {
            DeValue::String(text) => (Data::Text(text.as_ref().into()), scalar.check_text(text)),
            DeValue::Boolean(value) => (Data::Boolean(*value), scalar.check_boolean(*value)),
            DeValue::Float(text) => (
                Data::Float(text.as_str().into()),
                scalar.check_text(text.as_str()),
            ),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(value) => (Data::Integer(value), scalar.check_integer(value)),
                    Err(_) => {
                        let code = if scalar.kind == Kind::Port {
                            "bad-port"
                        } else {
                            "bad-value"
                        };
                        (
                            Data::Integer(0),
                            Err(Problem::new(code, "this number is far too large")),
                        )
                    }
                }
            }
            _ => return None,
        };
        if let Err(problem) = checked {
            self.push(|| {
                let shown = shown(&data);
                let message = match scalar.kind {
                    Kind::Words | Kind::Shell => {
                        format!("`{}` can't be executed as it stands", place.key)
                    }
                    _ => format!("`{}` can't be {shown}", place.key),
                };
                let mut diagnostic =
                    Diagnostic::error(problem.code, value.span(), message, problem.label);
                diagnostic.help = problem.help;
                if place.key == "replicas"
                    && matches!(value.get_ref(), DeValue::Integer(number) if number.as_str() == "0")
                {
                    diagnostic.label = "a service runs at least once".to_owned();
                    diagnostic.help = Some("leave it out of the file instead".to_owned());
                }
                diagnostic
            });
            return None;
        }
        Some(self.node(value.span(), data))
    }

    /// Whether a word may be a key of a table of names.
    fn named(&mut self, naming: Naming, word: &str, span: Span) -> bool {
        let problem = match naming {
            Naming::Name(what) => name(what, word).err().map(|problem| {
                (
                    problem,
                    format!("`{word}` is no name of {} {what}", article(what)),
                )
            }),
            Naming::Variable => Scalar::new(Kind::Variable)
                .check_text(word)
                .err()
                .filter(|_| !is_variable(word))
                .map(|problem| (problem, format!("`{word}` is no name of a variable"))),
            Naming::Host => {
                let (host, port) = word.split_once(':').unwrap_or((word, "1"));
                let bad = !is_host(host) || port.parse::<u16>().is_err();
                bad.then(|| {
                    (
                        Problem::new("bad-host", "expected a host name such as \"ghcr.io\""),
                        format!("`{word}` is no host name"),
                    )
                })
            }
            Naming::Header => {
                let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
                let bad = word.is_empty() || !word.bytes().all(token);
                bad.then(|| {
                    (
                        Problem::new("bad-value", "expected a header such as X-Frame-Options"),
                        format!("`{word}` is no header"),
                    )
                })
            }
            Naming::Path => (!word.starts_with('/')).then(|| {
                (
                    Problem::new(
                        "bad-path",
                        "expected an absolute path such as \"/etc/shop.toml\"",
                    ),
                    format!("`{word}` is no absolute path"),
                )
            }),
            Naming::Free => None,
        };
        let Some((problem, message)) = problem else {
            return true;
        };
        self.push(|| {
            let mut diagnostic = Diagnostic::error(problem.code, span, message, problem.label);
            diagnostic.help = problem.help;
            diagnostic
        });
        false
    }
}

/// A value in a message.
fn shown(data: &Data) -> String {
    match data {
        Data::Text(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        Data::Integer(value) => value.to_string(),
        Data::Float(text) => text.to_string(),
        Data::Boolean(value) => value.to_string(),
        Data::List(_) | Data::Table(_) | Data::Bad => "this".to_owned(),
    }
}

/// The same value with the type that was expected, where that is plain.
fn fixed(shape: &Shape, value: &DeValue<'_>, key: &str) -> Option<String> {
    let takes = |test: &dyn Fn(&Scalar) -> bool| match shape {
        Shape::Scalar(scalar) => test(scalar),
        Shape::Either(shapes) => shapes
            .iter()
            .any(|shape| matches!(shape, Shape::Scalar(scalar) if test(scalar))),
        _ => false,
    };
    let written = match value {
        DeValue::Integer(number) => {
            let number = number.as_str();
            if takes(&|scalar| scalar.kind == Kind::Time) {
                format!("\"{number}s\"")
            } else if takes(&|scalar| scalar.kind == Kind::Size) {
                format!("\"{number}MiB\"")
            } else if takes(&|scalar| scalar.kind == Kind::Share) {
                format!("\"{number}%\"")
            } else if takes(&|scalar| {
                matches!(scalar.kind, Kind::Text | Kind::Template | Kind::Version)
            }) {
                format!("\"{number}\"")
            } else {
                return None;
            }
        }
        DeValue::Float(number)
            if takes(&|scalar| {
                matches!(scalar.kind, Kind::Text | Kind::Template | Kind::Version)
            }) =>
        {
            format!("\"{}\"", number.as_str())
        }
        DeValue::Boolean(value)
            if takes(&|scalar| matches!(scalar.kind, Kind::Text | Kind::Template)) =>
        {
            format!("\"{value}\"")
        }
        DeValue::String(text) if text.len() < 60 => match text.as_ref() {
            "true" | "yes" | "on" if takes(&Scalar::takes_boolean) => "true".to_owned(),
            "false" | "no" | "off" if takes(&Scalar::takes_boolean) => "false".to_owned(),
            text if text.parse::<u32>().is_ok() && takes(&Scalar::takes_integer) => text.to_owned(),
            text if matches!(shape, Shape::List(_)) => format!("[\"{text}\"]"),
            _ => return None,
        },
        DeValue::Table(_) if matches!(shape, Shape::List(Shape::Table(_))) => {
            return Some(format!("a list of tables is written [[{key}]]"));
        }
        _ => return None,
    };
    Some(format!("write {key} = {written}"))
}
