//! A file that was read: its environments, and the app in each of them.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    lower::{Effort, Lowered, lower},
    merge::{Merged, inherited},
    model::App,
    name::Name,
    node::Fields,
    read::read as read_tree,
    settings::{self, Setting},
    source::Source,
    suggest,
};

/// The environment that is always there.
pub const LOCAL: &str = "local";

/// Services times environments that are checked when a file is read; a file with more has the rest
/// of its environments checked when they are resolved.
const CHECKED: usize = 50_000;
/// Longer chains of `extends` are refused: nobody could follow them.
const LONGEST_CHAIN: usize = 16;

/// An app file, read and checked.
#[derive(Debug, Clone)]
pub struct File {
    source: Source,
    root: Arc<Fields>,
    /// The environments in the order of their layers.
    layers: Vec<Arc<str>>,
    /// What is wrong with the text itself, in whatever environment.
    wrong: Arc<[Diagnostic]>,
}

/// The app in one environment.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Everything, every default filled in.
    pub app: App,
    /// What the file says and this binary can't do yet; see [`Diagnostic::matters`].
    pub unsupported: Diagnostics,
    merged: Arc<Merged>,
    layers: Vec<Arc<str>>,
}

impl Resolved {
    /// Every value in the order of the reference, as TOML, with its origin.
    pub fn settings(&self) -> Vec<Setting> {
        settings::settings(
            self.unsupported.source(),
            &self.layers,
            &self.merged,
            &self.app,
        )
    }

    /// Where each value comes from: `service.web.port`, `service.web.env.LOG_LEVEL`.
    pub fn origins(&self) -> BTreeMap<String, Origin> {
        self.settings()
            .into_iter()
            .map(|setting| (setting.path, setting.origin))
            .collect()
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nothing says it.
    Default,
    /// Follows from something else that the file says.
    Derived {
        /// From what, in words.
        from: String,
    },
    /// The file says it.
    File {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The environment that says it: `environment.production`; empty at the top.
        table: String,
    },
}

/// Reads an app file: all that is wrong with it, and the file unless it is no text at all. With
/// errors in its text it has a name and environments, and doesn't resolve.
pub fn read(text: &[u8], file: &str) -> (Option<File>, Diagnostics) {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let source = Source::new(file, String::from_utf8_lossy(&text[..at]).into_owned());
            let diagnostic = Diagnostic::error(
                "not-text",
                at..at,
                "the file is not UTF-8 text",
                "the first byte that isn't",
            )
            .help("an app file is a text file; save it as UTF-8");
            return (None, Diagnostics::new(source, vec![diagnostic]));
        }
    };
    let source = Source::new(file, text);
    if let Some(at) = text.find('\0') {
        let diagnostic = Diagnostic::error(
            "not-text",
            at..at + 1,
            "the file is not a text file",
            "a NUL character",
        )
        .help("an app file is a text file; save it as UTF-8");
        return (None, Diagnostics::new(source, vec![diagnostic]));
    }
    let tree = read_tree(&source);
    let mut diagnostics = tree.diagnostics;
    let errors = |list: &[Diagnostic]| {
        list.iter()
            .filter(|d| d.severity == Severity::Error)
            .cloned()
            .collect()
    };
    let file = File {
        source: source.clone(),
        root: Arc::new(tree.root),
        layers: tree.environments,
        wrong: errors(&diagnostics),
    };
    let services = file.root.table("service").map_or(0, Fields::len);
    let mut budget = CHECKED.max(services);
    for environment in file.environments() {
        let cost = services + 1;
        if cost > budget {
            break;
        }
        budget -= cost;
        match file.merged(&environment) {
            Ok(merged) => {
                let lowered = file.lower(&merged, &environment, Effort::Check);
                diagnostics.extend(lowered.diagnostics);
                diagnostics.extend(lowered.unsupported);
            }
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    if tree.broken {
        // What a broken line should have said is missing everywhere else.
        diagnostics.retain(|diagnostic| !MISSING.contains(&diagnostic.code));
    }
    (Some(file), Diagnostics::new(source, diagnostics))
}

/// Errors that may be nothing but the consequence of a line that isn't TOML.
const MISSING: &[&str] = &[
    "missing-key",
    "missing-source",
    "missing-command",
    "no-services",
    "unknown-service",
    "unknown-process",
    "unknown-backing",
    "unknown-secret",
    "unknown-variable",
    "unknown-environment",
    "missing-port",
];

impl File {
    /// The app's name, if the file has a valid one.
    pub fn app(&self) -> Option<Name> {
        self.root.parsed("app")
    }

    /// The file's text.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// All environments: `local` first, which always exists, then those of the file in its order.
    pub fn environments(&self) -> Vec<Name> {
        let local = LOCAL.parse().into_iter();
        let named = self
            .root
            .table("environment")
            .into_iter()
            .flat_map(Fields::iter);
        local
            .chain(
                named
                    .filter(|(name, _)| *name != LOCAL)
                    .filter_map(|(name, _)| name.parse().ok()),
            )
            .collect()
    }

    /// The app in one environment. Fails with everything that is wrong with it there.
    pub fn resolve(&self, environment: &Name) -> Result<Resolved, Diagnostics> {
        if !self.wrong.is_empty() {
            return Err(Diagnostics::new(self.source.clone(), self.wrong.to_vec()));
        }
        let merged = match self.merged(environment) {
            Ok(merged) => merged,
            Err(diagnostic) => {
                return Err(Diagnostics::new(self.source.clone(), vec![*diagnostic]));
            }
        };
        let lowered = self.lower(&merged, environment, Effort::Whole);
        let errors = lowered
            .diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error);
        let Some(app) = lowered.app.filter(|_| !errors) else {
            return Err(Diagnostics::new(self.source.clone(), lowered.diagnostics));
        };
        let unsupported = Diagnostics::new(self.source.clone(), lowered.unsupported);
        Ok(Resolved {
            app,
            unsupported,
            merged: Arc::new(merged),
            layers: self.layers.clone(),
        })
    }

    fn lower(&self, merged: &Merged, environment: &Name, effort: Effort) -> Lowered {
        lower(merged, environment, self.root.table("environment"), effort)
    }

    /// The environment's tables over those at the top, what it extends between them.
    fn merged(&self, environment: &Name) -> Result<Merged, Box<Diagnostic>> {
        let known = self.root.table("environment");
        let mut merged = Merged::new(&self.root);
        let mut chain: Vec<Arc<Fields>> = Vec::new();
        let mut seen = vec![environment.as_str().to_owned()];
        let mut name = environment.as_str().to_owned();
        loop {
            let Some(fields) = known.and_then(|known| known.table(&name)) else {
                if name == LOCAL {
                    break;
                }
                return Err(Box::new(self.unknown_environment(&name)));
            };
            let fields = Arc::new(fields.clone());
            let extends = fields.field("extends").and_then(|field| {
                field
                    .node
                    .text()
                    .map(|name| (name.to_owned(), field.node.span.clone()))
            });
            chain.push(fields);
            let Some((next, span)) = extends else { break };
            if seen.contains(&next) {
                seen.push(next);
                let message = format!(
                    "environments extend each other in a circle: {}",
                    seen.join(" → ")
                );
                return Err(Box::new(Diagnostic::error(
                    "extends-circle",
                    span,
                    message,
                    "closes the circle",
                )));
            }
            if next != LOCAL && known.is_none_or(|known| !known.has(&next)) {
                let names = self.environments();
                let label = match suggest::nearest(&next, names.iter().map(Name::as_str)) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("the file has: {}", list(names.iter().map(Name::as_str))),
                };
                let message = "`extends` names an environment that doesn't exist";
                return Err(Box::new(Diagnostic::error(
                    "unknown-environment",
                    span,
                    message,
                    label,
                )));
            }
            if seen.len() == LONGEST_CHAIN {
                let message = format!("more than {LONGEST_CHAIN} environments extend each other");
                return Err(Box::new(Diagnostic::error(
                    "extends-circle",
                    span,
                    message,
                    "here it is too long",
                )));
            }
            seen.push(next.clone());
            name = next;
        }
        let last = chain.len().saturating_sub(1);
        for (at, fields) in chain.into_iter().rev().enumerate() {
            if at == last {
                merged.over(&fields);
            } else {
                merged.over(&Arc::new(inherited(&fields)));
            }
        }
        Ok(merged)
    }

    fn unknown_environment(&self, name: &str) -> Diagnostic {
        let names = self.environments();
        let span = self
            .root
            .field("environment")
            .map_or(0..0, |field| field.key.clone());
        let message = format!("there is no environment `{name}`");
        let mut diagnostic = Diagnostic::error("unknown-environment", span, message, "").help(
            format!("the file has: {}", list(names.iter().map(Name::as_str))),
        );
        if let Some(near) = suggest::nearest(name, names.iter().map(Name::as_str)) {
            diagnostic.label = format!("did you mean `{near}`?");
        }
        diagnostic
    }
}

/// Words in a message, not more than anyone reads.
pub(crate) fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    match words.len() {
        0 => "none".to_owned(),
        1..=12 => words.join(", "),
        more => format!("{}, and {} more", words[..12].join(", "), more - 12),
    }
}
