//! The values of a service that stand by themselves.

use crate::{
    grammar::{factor_tenths, rate_per_second},
    model::{
        Cors, Domain, GiveUp, Http, Limits, Observe, Public, Redirect, Restart, Route, Scan,
        Severity, Smoke, Stop,
    },
    node::{Fields, Node},
    units::Time,
};

use super::app::{text_map, texts};

pub(super) fn public(node: Option<&Node>) -> Public {
    match node.map(|node| (node.boolean(), node.text())) {
        Some((Some(true), _)) => Public::Yes,
        Some((_, Some("node-port"))) => Public::NodePort,
        Some((_, Some("load-balancer"))) => Public::LoadBalancer,
        _ => Public::No,
    }
}

pub(super) fn domain(node: &Node) -> Option<Domain> {
    let table = node.table();
    let host = node
        .text()
        .or_else(|| table.and_then(|table| table.text("host")))?;
    let redirect = table
        .and_then(|table| table.text("redirect"))
        .map(str::to_lowercase);
    Some(Domain {
        host: host.to_lowercase(),
        redirect,
    })
}

pub(super) fn route(fields: &Fields) -> Route {
    Route {
        host: fields.text("host").map(str::to_lowercase),
        path: fields.text("path").unwrap_or("/").to_owned(),
        strip: fields.get("strip").and_then(Node::boolean).unwrap_or(false),
    }
}

pub(super) fn smoke(node: &Node) -> Option<Smoke> {
    let table = node.table();
    Some(Smoke {
        path: node
            .text()
            .or_else(|| table.and_then(|table| table.text("path")))?
            .to_owned(),
        status: table.and_then(|table| table.parsed("status")),
        contains: table
            .and_then(|table| table.text("contains"))
            .map(str::to_owned),
        headers: text_map(table.and_then(|table| table.table("headers"))),
    })
}

/// One value is the limit.
pub(super) fn limits<T: std::str::FromStr>(node: Option<&Node>) -> Option<Limits<T>> {
    let node = node?;
    match node.table() {
        Some(table) => Some(Limits {
            request: table.parsed("request"),
            limit: table.parsed("limit"),
        }),
        None => Some(Limits {
            request: None,
            limit: node.scalar()?.parse().ok(),
        }),
    }
}

pub(super) fn cors(fields: &Fields) -> Cors {
    let methods = match fields.get("methods").and_then(Node::list) {
        Some(methods) => texts(methods),
        None => ["GET", "HEAD", "POST"].map(str::to_owned).to_vec(),
    };
    Cors {
        origins: texts(fields.list("origins")),
        methods,
        headers: texts(fields.list("headers")),
        credentials: fields
            .get("credentials")
            .and_then(Node::boolean)
            .unwrap_or(false),
    }
}

pub(super) fn scan(node: Option<&Node>) -> Option<Scan> {
    let node = node?;
    let table = node.table();
    let severity = node
        .text()
        .or_else(|| table.and_then(|table| table.text("severity")))?;
    Some(Scan {
        severity: match severity {
            "low" => Severity::Low,
            "medium" => Severity::Medium,
            "high" => Severity::High,
            _ => Severity::Critical,
        },
        required: table
            .and_then(|table| table.get("required"))
            .and_then(Node::boolean)
            .unwrap_or(false),
    })
}

pub(super) fn stop(fields: Option<&Fields>) -> Stop {
    Stop {
        signal: fields
            .and_then(|fields| fields.text("signal"))
            .unwrap_or("SIGTERM")
            .to_owned(),
        grace: fields
            .and_then(|fields| fields.parsed("grace"))
            .unwrap_or(Time::from_secs(10)),
    }
}

pub(super) fn observe(node: Option<&Node>) -> Option<Observe> {
    let node = node?;
    if let Some(text) = node.text() {
        return Some(Observe {
            window: text.parse().ok()?,
            errors: None,
            latency_tenths: None,
            restarts: None,
        });
    }
    let table = node.table()?;
    Some(Observe {
        window: table.parsed("for")?,
        errors: table.parsed("errors"),
        latency_tenths: table.text("latency").and_then(factor_tenths),
        restarts: table.parsed("restarts"),
    })
}

pub(super) fn http(fields: Option<&Fields>) -> Http {
    Http {
        max_body: fields.and_then(|fields| fields.parsed("max-body")),
        rate_per_second: fields
            .and_then(|fields| fields.text("rate"))
            .and_then(rate_per_second),
        timeout: fields
            .and_then(|fields| fields.parsed("timeout"))
            .unwrap_or(Time::from_secs(60)),
        headers: text_map(fields.and_then(|fields| fields.table("headers"))),
    }
}

pub(super) fn redirect(fields: &Fields) -> Redirect {
    Redirect {
        from: fields.text("from").unwrap_or_default().to_owned(),
        to: fields.text("to").unwrap_or_default().to_owned(),
        status: fields.parsed("status").unwrap_or(301),
    }
}

pub(super) fn restart(fields: Option<&Fields>) -> Restart {
    let time = |key: &str| fields.and_then(|fields| fields.parsed::<Time>(key));
    let give_up = match fields.and_then(|fields| fields.text("give-up")) {
        Some("exit") => GiveUp::Exit,
        Some("stay") => GiveUp::Stay,
        _ => GiveUp::Never,
    };
    let attempts = fields.and_then(|fields| fields.parsed("attempts"));
    let delay = time("delay").unwrap_or(Time::from_secs(1));
    Restart {
        delay,
        max_delay: time("max-delay").unwrap_or(Time::from_secs(60).max(delay)),
        reset: time("reset").unwrap_or(Time::from_secs(600)),
        give_up,
        attempts: if give_up == GiveUp::Never {
            0
        } else {
            attempts.unwrap_or(10)
        },
    }
}
