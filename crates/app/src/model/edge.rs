//! What the world outside sees of a service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::{Size, Time};

/// Whether a service is open to the outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Public {
    /// Only by `domains` and `publish`.
    #[default]
    No,
    /// As the target does it best.
    Yes,
    /// By a port of the node.
    NodePort,
    /// By a load balancer.
    LoadBalancer,
}

/// A host name of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Domain {
    /// The host name.
    pub host: String,
    /// Answers with a redirect to this host instead.
    pub redirect: Option<String>,
}

/// A host and path that lead to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Route {
    /// The host name; any by default.
    pub host: Option<String>,
    /// The path's beginning, cut at slashes.
    pub path: String,
    /// Whether that beginning is taken off before the app sees it.
    pub strip: bool,
}

/// A page fetched after the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Smoke {
    /// Its path.
    pub path: String,
    /// The status expected; any 2xx by default.
    pub status: Option<u16>,
    /// A text that the body must contain.
    pub contains: Option<String>,
    /// Headers sent.
    pub headers: BTreeMap<String, String>,
}

/// Cross-origin answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cors {
    /// Origins that may read.
    pub origins: Vec<String>,
    /// Methods allowed.
    pub methods: Vec<String>,
    /// Request headers allowed.
    pub headers: Vec<String>,
    /// Whether credentials are allowed.
    pub credentials: bool,
}

/// Limits and headers of HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Http {
    /// Largest request body.
    pub max_body: Option<Size>,
    /// Requests per second and client: `50/s`.
    pub rate_per_second: Option<u32>,
    /// How long an answer's first byte may take.
    pub timeout: Time,
    /// Headers set on each answer.
    pub headers: BTreeMap<String, String>,
}

/// A redirect answered at the edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Redirect {
    /// A path, `*` at its end for anything.
    pub from: String,
    /// Where to; `:splat` is what `*` matched.
    pub to: String,
    /// 301, 302, 307 or 308.
    pub status: u16,
}
