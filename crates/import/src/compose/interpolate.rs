//! `${V:-x}` and its kin, as the Compose specification has them.

use std::rc::Rc;

use super::{secret::is_secret_name, tree::Scalar};

/// A part of an interpolated text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text of the file, and of variables that are no secrets.
    Text(String),
    /// The value of a variable that is called like a secret.
    Secret {
        /// The variable.
        name: String,
        /// Its value, empty where it has none.
        value: String,
        /// Whether the value stands in the file itself, as a default.
        plain: bool,
    },
}

/// Why a text can't be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// What begins like a variable isn't one.
    Form(String),
    /// A variable that the file demands has no value; with what it says of it.
    Missing(String, String),
}

/// What interpolation sees, and what it finds.
pub(super) struct Variables<'a> {
    /// The value of a variable.
    pub value: &'a dyn Fn(&str) -> Option<String>,
    /// Variables without a value and without a default.
    pub unset: Vec<String>,
    /// Variables that are demanded and have no value; none: such a one is an error. Where it is a variable
    /// of a service it can come later, as a secret.
    pub demanded: Option<Vec<String>>,
}

/// Deeper nesting isn't followed: nobody could.
const DEEPEST: usize = 32;

/// A text with its variables put in.
pub(super) fn interpolate(text: &str, variables: &mut Variables<'_>) -> Result<Scalar, Wrong> {
    let mut pieces = Vec::new();
    if text.contains('$') {
        put(text, variables, &mut pieces, 0)?;
    } else {
        pieces.push(Piece::Text(text.to_owned()));
    }
    let secret = pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Secret { .. }));
    Ok(Scalar {
        text: pieces.iter().map(Piece::text).collect(),
        pieces: secret.then(|| Rc::from(pieces)),
        is_text: true,
        written: None,
    })
}

impl Scalar {
    /// `KEY=value` in two, or the key alone.
    pub(super) fn split_pair(&self) -> (String, Option<Scalar>) {
        let Some((key, text)) = self.text.split_once('=') else {
            return (self.text.clone(), None);
        };
        let pieces = self.pieces.as_deref().and_then(|pieces| {
            let (first, rest) = pieces.split_first()?;
            let Piece::Text(first) = first else {
                return None;
            };
            let (_, first) = first.split_once('=')?;
            let mut all = Vec::new();
            push(&mut all, first);
            all.extend_from_slice(rest);
            Some(Rc::from(all))
        });
        let value = Scalar {
            text: text.to_owned(),
            pieces,
            is_text: true,
            written: None,
        };
        (key.to_owned(), Some(value))
    }
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Secret { value: text, .. } => text,
        }
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str) {
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        last.push_str(text);
    } else if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn put(
    text: &str,
    variables: &mut Variables<'_>,
    pieces: &mut Vec<Piece>,
    depth: usize,
) -> Result<(), Wrong> {
    if depth > DEEPEST {
        return Err(Wrong::Form(text.chars().take(40).collect()));
    }
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        push(pieces, &rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            push(pieces, "$");
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let end = closing(inside).ok_or_else(|| {
                Wrong::Form(format!("${}", rest.chars().take(40).collect::<String>()))
            })?;
            braced(&inside[..end], variables, pieces, depth)?;
            rest = &inside[end + 1..];
        } else {
            let name = &rest[..name_length(rest)];
            if name.is_empty() {
                push(pieces, "$");
            } else {
                value(name, variables, pieces);
                rest = &rest[name.len()..];
            }
        }
    }
    push(pieces, rest);
    Ok(())
}

/// How many bytes of a text are a variable's name.
fn name_length(text: &str) -> usize {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if !text.bytes().next().is_some_and(first) {
        return 0;
    }
    text.bytes()
        .take_while(|byte| first(*byte) || byte.is_ascii_digit())
        .count()
}

/// Where the brace closes that was opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The value of a variable, or nothing and a warning.
fn value(name: &str, variables: &mut Variables<'_>, pieces: &mut Vec<Piece>) {
    let found = (variables.value)(name);
    if is_secret_name(name) {
        pieces.push(Piece::Secret {
            name: name.to_owned(),
            value: found.unwrap_or_default(),
            plain: false,
        });
        return;
    }
    match found {
        Some(found) => push(pieces, &found),
        None => {
            if !variables.unset.iter().any(|known| known == name) {
                variables.unset.push(name.to_owned());
            }
        }
    }
}

/// What stands between `${` and its `}`.
fn braced(
    inside: &str,
    variables: &mut Variables<'_>,
    pieces: &mut Vec<Piece>,
    depth: usize,
) -> Result<(), Wrong> {
    let wrong = || {
        Wrong::Form(format!(
            "${{{}}}",
            inside.chars().take(40).collect::<String>()
        ))
    };
    let (name, rest) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return Err(wrong());
    }
    if rest.is_empty() {
        value(name, variables, pieces);
        return Ok(());
    }
    // With a colon an empty value counts as none.
    let (filled, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let mut characters = rest.chars();
    let sign = characters.next();
    let other = characters.as_str();
    let has = (variables.value)(name).is_some_and(|value| !filled || !value.is_empty());
    match sign {
        Some('-') if has => value(name, variables, pieces),
        Some('-') => {
            if is_secret_name(name) {
                let mut default = Vec::new();
                put(other, variables, &mut default, depth + 1)?;
                let named = default
                    .iter()
                    .any(|piece| matches!(piece, Piece::Secret { .. }));
                if !named {
                    let text: String = default.iter().map(Piece::text).collect();
                    pieces.push(Piece::Secret {
                        name: name.to_owned(),
                        plain: !text.is_empty(),
                        value: text,
                    });
                    return Ok(());
                }
                for piece in default {
                    match piece {
                        Piece::Text(text) => push(pieces, &text),
                        secret => pieces.push(secret),
                    }
                }
            } else {
                put(other, variables, pieces, depth + 1)?;
            }
        }
        Some('?') if has => value(name, variables, pieces),
        // A secret needs no value here: a deployment demands it.
        Some('?') if is_secret_name(name) => value(name, variables, pieces),
        Some('?') if variables.demanded.is_some() => {
            pieces.push(Piece::Secret {
                name: name.to_owned(),
                value: String::new(),
                plain: false,
            });
            variables
                .demanded
                .get_or_insert_default()
                .push(name.to_owned());
        }
        Some('?') => {
            let mut said = Vec::new();
            put(other, variables, &mut said, depth + 1)?;
            let said = said.iter().map(Piece::text).collect();
            return Err(Wrong::Missing(name.to_owned(), said));
        }
        Some('+') if has => put(other, variables, pieces, depth + 1)?,
        Some('+') => {}
        _ => return Err(wrong()),
    }
    Ok(())
}
