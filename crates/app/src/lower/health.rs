//! Probes: short and long forms, the service's and a process's own.

use crate::{
    model::{Health, Probe},
    node::{Fields, Node},
    source::Span,
    units::Time,
};

use super::{Lower, app::run};

/// What the probes of one process are made of: the service's table and its own over it.
#[derive(Clone, Copy, Default)]
pub(super) struct Probes<'a> {
    pub service: Option<&'a Node>,
    pub own: Option<&'a Node>,
}

impl<'a> Probes<'a> {
    fn tables(self) -> impl Iterator<Item = &'a Node> {
        [self.own, self.service].into_iter().flatten()
    }

    /// A key of the stronger table that has it.
    fn get(self, key: &str) -> Option<&'a Node> {
        self.tables()
            .filter_map(Node::table)
            .find_map(|table| table.get(key))
    }

    /// How it is seen to be ready. The stronger table that says it decides alone.
    fn ready(self) -> Option<Probe> {
        self.tables().find_map(|node| {
            if let Some(path) = node.text() {
                return Some(http(path, None));
            }
            let table = node.table()?;
            if let Some(ready) = table.get("ready") {
                return probe(ready, Some(table));
            }
            if let Some(tcp) = table.get("tcp") {
                return Some(Probe::Tcp { port: port(tcp) });
            }
            table.get("run").and_then(run).map(Probe::Run)
        })
    }
}

fn port(node: &Node) -> Option<u16> {
    node.integer().and_then(|port| u16::try_from(port).ok())
}

fn http(path: &str, table: Option<&Fields>) -> Probe {
    Probe::Http {
        path: path.to_owned(),
        status: table.and_then(|table| table.parsed("status")),
        body: table
            .and_then(|table| table.text("body"))
            .map(str::to_owned),
    }
}

/// A probe; `around` is the table that may hold the status and body of a short form.
fn probe(node: &Node, around: Option<&Fields>) -> Option<Probe> {
    if let Some(path) = node.text() {
        return Some(http(path, around));
    }
    let table = node.table()?;
    if let Some(path) = table.text("path") {
        return Some(http(path, Some(table)));
    }
    if let Some(tcp) = table.get("tcp") {
        return Some(Probe::Tcp { port: port(tcp) });
    }
    table.get("run").and_then(run).map(Probe::Run)
}

/// The probes with every default. `connects`: without a probe of its own it is ready when it accepts
/// connections. `up`: ready without a probe after so long.
pub(super) fn health(probes: Probes<'_>, connects: bool, up: Time) -> Health {
    let time = |key: &str| {
        probes
            .get(key)
            .and_then(Node::text)
            .and_then(|text| text.parse().ok())
    };
    // Who says how long it must be up wants no probe.
    let connects = connects && probes.get("up").is_none();
    Health {
        ready: probes
            .ready()
            .or(connects.then_some(Probe::Tcp { port: None })),
        live: probes.get("live").and_then(|node| probe(node, None)),
        start: time("start").unwrap_or(Time::from_secs(30)),
        interval: time("interval").unwrap_or(Time::from_secs(1)),
        timeout: time("timeout").unwrap_or(Time::from_secs(5)),
        retries: probes
            .get("retries")
            .and_then(Node::scalar)
            .and_then(|text| text.parse().ok())
            .unwrap_or(3),
        up: time("up").unwrap_or(up),
    }
}

/// Whether a probe asks `$PORT`.
pub(super) fn asks_port(health: &Health) -> bool {
    let asks = |probe: &Option<Probe>| {
        matches!(probe, Some(Probe::Http { .. } | Probe::Tcp { port: None }))
    };
    asks(&health.ready) || asks(&health.live)
}

impl Lower<'_> {
    /// Probes that can't do what they say.
    pub(super) fn check_health(
        &mut self,
        node: &Node,
        health: &Health,
        listens: bool,
        span: &Span,
    ) {
        if !listens && asks_port(health) {
            self.error(
                "missing-port",
                span,
                "this probe asks `$PORT`, and nothing listens there",
                "needs `port` in the service",
            )
            .help =
                Some("without a port use health = { run = \"…\" } or { tcp = 6379 }".to_owned());
        }
        let Some(table) = node.table() else { return };
        for key in ["ready", "live"] {
            let empty = table
                .field(key)
                .filter(|field| field.node.table().is_some() && probe(&field.node, None).is_none());
            if let Some(field) = empty {
                self.error(
                    "missing-key",
                    &field.key,
                    format!("`{key}` says no probe"),
                    "expected `path`, `tcp` or `run`",
                );
            }
        }
        let around = ["status", "body"]
            .into_iter()
            .find_map(|key| table.field(key).map(|field| (key, field)));
        if let Some((key, field)) = around
            && table.text("ready").is_none()
        {
            self.error(
                "missing-key",
                &field.key,
                format!("`{key}` belongs to a `ready` that is a path"),
                "there is none here",
            )
            .help = Some("write health = { ready = \"/health\", … }".to_owned());
        }
        if health.timeout > health.start {
            let field = table.field("timeout").or(table.field("start"));
            let span = field.map_or(span, |field| &field.node.span);
            let message = format!(
                "one probe may take {}, the whole start only {}",
                health.timeout, health.start
            );
            self.error(
                "bad-times",
                span,
                message,
                "`timeout` must not be longer than `start`",
            );
        }
    }
}
