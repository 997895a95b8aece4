//! Every value of a resolved file with where it comes from, for `landfall config`.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    file::{Origin, Resolved},
    grammar::{APP, Shape, Table},
    lower::variables,
    merge::{Merged, environment_table},
    model::{App, Probe, ProcessKind, Runtime, Target},
    name::Name,
    node::{Fields, Node, quoted_key},
    source::Source,
};

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// Where it stands: `service.web.health.retries`.
    pub path: String,
    /// The value as TOML.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// How many parts of the path are the table's name, for the text.
    #[serde(skip)]
    pub(crate) table: usize,
    /// The path's parts, quoted where needed.
    #[serde(skip)]
    pub(crate) parts: Vec<String>,
}

/// All values in the order of the grammar.
pub(crate) fn settings(
    source: &Source,
    layers: &[Arc<str>],
    merged: &Merged,
    app: &App,
) -> Vec<Setting> {
    let mut writer = Writer {
        source,
        layers,
        merged,
        app,
        path: Vec::new(),
        table: 0,
        all: Vec::new(),
    };
    writer.table(&APP, Some(&merged.root));
    writer.path.push(app.environment.as_str().to_owned());
    writer.path.insert(0, "environment".to_owned());
    writer.table = 2;
    let environment = environment_table();
    for key in environment
        .keys
        .iter()
        .filter(|key| APP.key(key.name).is_none())
    {
        writer.key(environment, key.name, merged.environment.get(key.name));
    }
    writer.all
}

struct Writer<'a> {
    source: &'a Source,
    layers: &'a [Arc<str>],
    merged: &'a Merged,
    app: &'a App,
    path: Vec<String>,
    table: usize,
    all: Vec<Setting>,
}

impl Writer<'_> {
    fn origin(&self, node: &Node) -> Origin {
        let at = node.span.start;
        let layer = usize::try_from(node.layer)
            .ok()
            .and_then(|layer| layer.checked_sub(1));
        let table = layer
            .and_then(|layer| self.layers.get(layer))
            .map(|name| format!("environment.{name}"));
        Origin::File {
            line: self.source.line(at),
            column: self.source.column(at),
            table: table.unwrap_or_default(),
        }
    }

    fn put(&mut self, value: String, origin: Origin) {
        let path = self.path.join(".");
        let parts = self.path.iter().map(|part| quoted_key(part)).collect();
        self.all.push(Setting {
            path,
            value,
            origin,
            table: self.table,
            parts,
        });
    }

    /// The keys of a table, also those that the file doesn't name.
    fn table(&mut self, table: &'static Table, fields: Option<&Fields>) {
        let (values, tables): (Vec<_>, Vec<_>) =
            table.keys.iter().partition(|key| !is_heading(&key.shape));
        for key in values.into_iter().chain(tables) {
            if table.name == "app-file" && matches!(key.name, "environment" | "env") {
                continue;
            }
            self.key(
                table,
                key.name,
                fields.and_then(|fields| fields.get(key.name)),
            );
        }
    }

    fn key(&mut self, table: &'static Table, name: &'static str, node: Option<&Node>) {
        let Some(key) = table.key(name) else { return };
        self.path.push(name.to_owned());
        match name {
            "env" if matches!(table.name, "service" | "process") => self.variables(table.name),
            "health" if matches!(table.name, "service" | "process") => {
                self.health(key.shape.as_table(), node)
            }
            "runtime" | "target" if node.is_none() && table.name == "service" => self.derived(name),
            _ => self.value(&key.shape, key.default, node),
        }
        self.path.pop();
    }

    fn value(&mut self, shape: &'static Shape, default: &str, node: Option<&Node>) {
        if let Some(node) = node {
            if let (Some(table), Some(fields)) = (shape.as_table(), node.table()) {
                return self.table(table, Some(fields));
            }
            if let (Some((_, inner)), Some(fields)) = (shape.as_map(), node.table()) {
                return self.map(inner, fields);
            }
            self.put(node.to_toml(), self.origin(node));
            // Beside a short form stand the defaults of the long one.
            if let Shape::Either(_) = shape
                && let Some(table) = shape.as_table().filter(|table| table.always)
            {
                self.table(table, None);
            }
        } else if !default.is_empty() {
            self.put(default.to_owned(), Origin::Default);
        } else if let Some(table) = shape.as_table().filter(|table| table.always) {
            self.table(table, None);
        }
    }

    fn map(&mut self, inner: &'static Shape, fields: &Fields) {
        let headings = has_heading(inner);
        for (name, field) in fields.iter() {
            let before = self.table;
            self.path.push(name.to_owned());
            if headings {
                self.table = self.path.len();
            }
            self.value(inner, "", Some(&field.node));
            self.path.pop();
            self.table = before;
        }
    }

    /// The merged variables of the service or process that the path names.
    fn variables(&mut self, table: &str) {
        let service = self.path.get(1).cloned().unwrap_or_default();
        let process = self.path.get(3).cloned().filter(|_| table == "process");
        let merged = self.merged;
        for (name, field) in variables(merged, &service, process.as_deref()) {
            self.path.push(name.to_owned());
            self.put(field.node.to_toml(), self.origin(&field.node));
            self.path.pop();
        }
    }

    /// The probes as they are: of the process in front the service's stand under its own.
    fn health(&mut self, table: Option<&'static Table>, node: Option<&Node>) {
        let parts = |at: usize| self.path.get(at).map_or("", String::as_str);
        let (name, process) = (parts(1).to_owned(), parts(3).to_owned());
        let Some(service) = self.app.services.get(name.as_str()) else {
            return;
        };
        let own = service
            .processes
            .iter()
            .find(|known| known.name.as_str() == process && self.path.len() > 3);
        if own.is_some_and(|own| matches!(own.kind, ProcessKind::Ends(_))) {
            return;
        }
        let health = own.map_or(&service.health, |own| &own.health);
        let fields = node.and_then(Node::table);
        if let Some(node) = node.filter(|node| node.text().is_some()) {
            self.put(node.to_toml(), self.origin(node));
        }
        for key in table.into_iter().flat_map(|table| table.keys) {
            if let Some(node) = fields.and_then(|fields| fields.get(key.name)) {
                self.path.push(key.name.to_owned());
                self.value(&key.shape, "", Some(node));
                self.path.pop();
            }
        }
        let merged = self.merged;
        let above = merged
            .root
            .table("service")
            .and_then(|services| services.table(&name)?.get("health"));
        let above =
            above.filter(|_| own.is_some_and(|own| own.front || service.processes.len() == 1));
        let said = |key: &str| fields.is_some_and(|fields| fields.has(key));
        let from = |key: &str| {
            above
                .and_then(Node::table)
                .and_then(|table| table.get(key))
                .or(above.filter(|_| key == "ready"))
        };
        let mut rest = Vec::new();
        let ready = node.is_some_and(|node| node.text().is_some())
            || ["ready", "tcp", "run"].into_iter().any(said);
        match &health.ready {
            Some(Probe::Http { path, .. }) if !ready => rest.push((
                "ready",
                toml::Value::from(path.as_str()).to_string(),
                from("ready"),
            )),
            Some(Probe::Tcp { port: None }) if !ready => {
                rest.push(("tcp", "true".to_owned(), from("tcp")))
            }
            Some(Probe::Tcp { port: Some(port) }) if !ready => {
                rest.push(("tcp", port.to_string(), from("tcp")))
            }
            None if !said("up") => rest.push(("up", format!("\"{}\"", health.up), from("up"))),
            _ => {}
        }
        for (key, value) in [
            ("start", health.start),
            ("interval", health.interval),
            ("timeout", health.timeout),
        ] {
            rest.push((key, format!("\"{value}\""), from(key)));
        }
        rest.push(("retries", health.retries.to_string(), from("retries")));
        for (key, value, node) in rest.into_iter().filter(|(key, ..)| !said(key)) {
            self.path.push(key.to_owned());
            let origin = node.map_or(Origin::Default, |node| self.origin(node));
            self.put(value, origin);
            self.path.pop();
        }
    }

    /// What follows from the environment, or from what a service is made of.
    fn derived(&mut self, name: &str) {
        let Some(service) = self.path.get(1).and_then(|name| name.parse::<Name>().ok()) else {
            return;
        };
        let Some(service) = self.app.services.get(&service) else {
            return;
        };
        let said = self.merged.environment.get(name);
        if name == "runtime" {
            let runtime = if service.runtime == Runtime::Process {
                "process"
            } else {
                "container"
            };
            let origin = match said.filter(|node| node.text() == Some(runtime)) {
                Some(node) => self.origin(node),
                None if service.runtime == Runtime::Container => Origin::Derived {
                    from: "a Dockerfile or an image is named".to_owned(),
                },
                None => Origin::Default,
            };
            self.put(format!("\"{runtime}\""), origin);
        } else {
            let (value, origin) = match said {
                Some(node) => (node.to_toml(), self.origin(node)),
                None => ("\"local\"".to_owned(), Origin::Default),
            };
            debug_assert!(said.is_some() || service.target == Target::Local);
            self.put(value, origin);
        }
    }
}

/// Tables that get a heading of their own.
fn has_heading(shape: &Shape) -> bool {
    shape
        .as_table()
        .is_some_and(|table| matches!(table.name, "service" | "process" | "backing" | "job"))
}

/// Whether a key is a table of tables, which stands behind the plain keys.
fn is_heading(shape: &Shape) -> bool {
    matches!(shape, Shape::Map(_, inner) if has_heading(inner))
}

/// The resolved file as text: each value with where it comes from. Secrets stand there as names.
pub fn config_text(resolved: &Resolved, file: &str) -> String {
    let mut text = String::new();
    let mut heading: Vec<String> = Vec::new();
    let mut lines: Vec<(String, String)> = Vec::new();
    for setting in &resolved.settings() {
        let (table, key) = setting.parts.split_at(setting.table);
        if table != heading {
            aligned(&mut text, &mut lines);
            heading = table.to_vec();
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("[{}]\n", heading.join(".")));
        }
        let from = match &setting.origin {
            Origin::Default => "default".to_owned(),
            Origin::Derived { from } => from.clone(),
            Origin::File { line, table, .. } if table.is_empty() => format!("{file}:{line}"),
            Origin::File { line, table, .. } => format!("{file}:{line}, {table}"),
        };
        lines.push((format!("{} = {}", key.join("."), setting.value), from));
    }
    aligned(&mut text, &mut lines);
    text
}

/// Writes lines with their comments below each other.
fn aligned(text: &mut String, lines: &mut Vec<(String, String)>) {
    let widest = lines
        .iter()
        .map(|(line, _)| line.chars().count())
        .filter(|width| *width <= 60)
        .max()
        .unwrap_or(0);
    for (line, from) in lines.drain(..) {
        text.push_str(&format!("{line:widest$}  # {from}\n"));
    }
}
