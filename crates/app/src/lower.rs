//! The merged tables as the model, with every default; what only shows when all is known together.

mod app;
mod check;
mod environment_variables;
mod health;
mod later;
mod platform;
mod process;
mod service;
mod service_values;

use std::collections::BTreeSet;

use crate::{
    diagnostic::Diagnostic,
    file::list,
    merge::Merged,
    model::App,
    name::Name,
    node::{Fields, Node},
    source::Span,
    suggest,
    template::{Reference, Template, Value},
};

pub(crate) use environment_variables::variables;

/// How much is worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Only what can be wrong: no environment variables in full.
    Check,
    Whole,
}

/// The app, unless too little of it is known, and what is wrong with it.
pub(crate) struct Lowered {
    pub app: Option<App>,
    pub diagnostics: Vec<Diagnostic>,
    pub unsupported: Vec<Diagnostic>,
}

/// Makes the model of one environment.
pub(crate) fn lower(
    merged: &Merged,
    environment: &Name,
    environments: Option<&Fields>,
    effort: Effort,
) -> Lowered {
    let mut lower = Lower {
        merged,
        effort,
        services: merged
            .root
            .table("service")
            .map(names)
            .unwrap_or_default()
            .into(),
        diagnostics: Vec::new(),
        unsupported: Vec::new(),
    };
    lower.later();
    lower.required();
    let app = lower.app(environment, environments);
    Lowered {
        app,
        diagnostics: lower.diagnostics,
        unsupported: lower.unsupported,
    }
}

fn names(fields: &Fields) -> BTreeSet<&str> {
    fields.iter().map(|(name, _)| name).collect()
}

struct Lower<'a> {
    merged: &'a Merged,
    effort: Effort,
    services: std::rc::Rc<BTreeSet<&'a str>>,
    diagnostics: Vec<Diagnostic>,
    unsupported: Vec<Diagnostic>,
}

/// What a service's own values may name, worked out once.
struct Known<'a> {
    service: &'a str,
    fields: &'a Fields,
    processes: BTreeSet<&'a str>,
    front: Option<&'a str>,
    secrets: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn new(service: &'a str, fields: &'a Fields) -> Self {
        let processes = match fields.table("process") {
            Some(processes) => names(processes),
            // One named after the service.
            None if fields.has("command") => BTreeSet::from([service]),
            None => BTreeSet::new(),
        };
        let secrets = fields
            .list("secrets")
            .iter()
            .filter_map(secret_name)
            .collect();
        Self {
            service,
            fields,
            processes,
            front: process::front(service, fields),
            secrets,
        }
    }
}

/// Where a template stands, which decides what it may name.
#[derive(Clone, Copy)]
struct Scope<'a> {
    service: Option<&'a Known<'a>>,
    /// Whether a secret must be in the service's list.
    listed: bool,
    /// Whether secrets may be named at all.
    secrets: bool,
}

impl<'a> Scope<'a> {
    /// Places of the app that are no service's.
    const APP: Self = Self {
        service: None,
        listed: false,
        secrets: true,
    };
    /// `[env]`.
    const PLAIN: Self = Self {
        service: None,
        listed: false,
        secrets: false,
    };

    fn service(known: &'a Known<'a>) -> Self {
        Self {
            service: Some(known),
            listed: true,
            secrets: true,
        }
    }
}

/// So many diagnostics are kept; see the reader's.
const MOST: usize = 10_000;
/// So many get a suggestion out of so many names, which costs time.
const SUGGESTED: usize = 100;
const COMPARED: usize = 1000;

impl<'a> Lower<'a> {
    fn error(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> &mut Diagnostic {
        self.diagnostics.truncate(MOST);
        self.diagnostics
            .push(Diagnostic::error(code, span.clone(), message, label));
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// A name that stands for nothing.
    fn unknown<'n>(
        &mut self,
        code: &'static str,
        span: &Span,
        message: String,
        wanted: &str,
        known: impl Iterator<Item = &'n str> + Clone,
        whole: &str,
    ) {
        let near = if self.diagnostics.len() < SUGGESTED {
            suggest::nearest(wanted, known.clone().take(COMPARED))
        } else {
            None
        };
        let label = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("{whole}: {}", list(known.take(COMPARED))),
        };
        self.error(code, span, message, label);
    }

    fn backing(&self) -> Option<&'a Fields> {
        let merged: &'a Merged = self.merged;
        merged.root.table("backing")
    }

    fn service_fields(&self, name: &str) -> Option<&'a Fields> {
        let merged: &'a Merged = self.merged;
        merged
            .root
            .table("service")
            .and_then(|services| services.table(name))
    }

    /// A reference to a service somewhere in the file.
    fn known_service(&mut self, node: &Node, what: &str) {
        let Some(name) = node.text() else { return };
        if !self.services.contains(name) {
            let services = self.services.clone();
            let message = format!("{what} names a service that doesn't exist");
            self.unknown(
                "unknown-service",
                &node.span,
                message,
                name,
                services.iter().copied(),
                "this file has",
            );
        }
    }

    /// A template; its references are checked.
    fn template(&mut self, node: &Node, scope: Scope<'_>) -> Value {
        let template: Template = node
            .text()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| Template::text(""));
        for reference in template.references() {
            self.reference(reference, &node.span, scope);
        }
        Value::Text(template)
    }

    /// A template that must say something.
    fn filled(&mut self, node: &Node) -> Value {
        if node.text() == Some("") {
            self.error(
                "bad-value",
                &node.span,
                "this value is empty",
                "expected a text that isn't empty",
            );
        }
        self.template(node, Scope::APP)
    }

    fn reference(&mut self, reference: &Reference, span: &Span, scope: Scope<'_>) {
        match reference {
            Reference::Secret(name) => self.secret_reference(name, span, scope),
            Reference::Service(name, _) => {
                let Some(fields) = self.service_fields(name.as_str()) else {
                    let services = self.services.clone();
                    let message = format!("`${{{reference}}}` names a service that doesn't exist");
                    return self.unknown(
                        "unknown-service",
                        span,
                        message,
                        name.as_str(),
                        services.iter().copied(),
                        "this file has",
                    );
                };
                if !fields.has("port") && !fields.has("static") {
                    let message =
                        format!("`${{{reference}}}` has no value: `{name}` has no `port`");
                    self.error(
                        "missing-port",
                        span,
                        message,
                        format!("`{name}` listens nowhere"),
                    );
                }
            }
            Reference::Backing(name, _) => {
                let known = self.backing();
                if known.is_none_or(|known| !known.has(name.as_str())) {
                    let message =
                        format!("`${{{reference}}}` names a backing service that doesn't exist");
                    let names = known
                        .into_iter()
                        .flat_map(Fields::iter)
                        .map(|(name, _)| name);
                    let names: Vec<_> = names.collect();
                    self.unknown(
                        "unknown-backing",
                        span,
                        message,
                        name.as_str(),
                        names.iter().copied(),
                        "this file has",
                    );
                }
            }
            Reference::Process(name, _) => self.process_reference(name, reference, span, scope),
        }
    }

    fn secret_reference(&mut self, name: &str, span: &Span, scope: Scope<'_>) {
        if !crate::grammar::is_variable(name) {
            self.error(
                "bad-secret-name",
                span,
                format!("`{name}` is no name of a secret"),
                "letters, digits and `_`",
            );
            return;
        }
        if !scope.secrets {
            self.error(
                "secret-in-env",
                span,
                "`[env]` holds plain values only",
                "a secret belongs to a service",
            )
            .help = Some(format!("name it in the service: secrets = [\"{name}\"]"));
            return;
        }
        let Some(known) = scope
            .service
            .filter(|known| scope.listed && !known.secrets.contains(name))
        else {
            return;
        };
        let message = format!(
            "`${{secret.{name}}}` is no secret of the service `{}`",
            known.service
        );
        self.unknown(
            "unknown-secret",
            span,
            message,
            name,
            known.secrets.iter().copied(),
            "its secrets are",
        );
        if let Some(last) = self.diagnostics.last_mut() {
            last.help = Some(format!(
                "a service names its secrets: secrets = [\"{name}\"]"
            ));
        }
    }

    fn process_reference(
        &mut self,
        name: &Name,
        reference: &Reference,
        span: &Span,
        scope: Scope<'_>,
    ) {
        let Some(known) = scope.service else {
            let message = format!("`${{{reference}}}` can't stand here");
            let label = "a process is known only inside of its service";
            self.error("unknown-process", span, message, label).help =
                Some("name the service instead: ${service.X.url}".to_owned());
            return;
        };
        if !known.processes.contains(name.as_str()) {
            let message = format!("`${{{reference}}}` names a process that doesn't exist");
            let names = known.processes.iter().copied();
            self.unknown(
                "unknown-process",
                span,
                message,
                name.as_str(),
                names,
                "this service has",
            );
        } else if !known.fields.has("port") {
            let message = format!(
                "`${{{reference}}}` has no value: the service `{}` has no `port`",
                known.service
            );
            self.error("missing-port", span, message, "nothing listens");
        } else if let Some(front) = known.front.filter(|front| *front != name.as_str()) {
            let message =
                format!("`${{{reference}}}` has no value: `{name}` doesn't listen on `$PORT`");
            self.error(
                "missing-port",
                span,
                message,
                format!("`{front}` listens there"),
            );
        }
    }
}

/// The name in an entry of `secrets`.
fn secret_name(node: &Node) -> Option<&str> {
    node.text()
        .or_else(|| node.table().and_then(|secret| secret.text("name")))
}
