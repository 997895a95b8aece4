//! What the edge serves: the wire types of its control socket and of its state on disk.
//!
//! Each app and environment is replaced whole, with a generation that only grows, so that one
//! app's deployment never touches another's connections and a late writer is refused.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Everything served for one app in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AppRoutes {
    /// The app.
    pub app: String,
    /// The environment.
    pub environment: String,
    /// The live truth: a lower one than the stored is refused; the same one replaces (replicas change).
    pub generation: u64,
    /// Its services.
    pub services: Vec<ServiceRoutes>,
}

/// How one service is reached, and where requests for it go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceRoutes {
    /// The service.
    pub service: String,
    /// The release that answers; the name of a draining generation in counters and logs.
    pub release: u64,
    /// Addresses opened for this service alone: its stable loopback port, and `publish`.
    #[serde(default)]
    pub listeners: Vec<SocketAddr>,
    /// Hosts and paths that lead here on the shared HTTP listener.
    #[serde(default)]
    pub hosts: Vec<HostRoute>,
    /// Redirects answered before anything else.
    #[serde(default)]
    pub redirects: Vec<Redirect>,
    /// Where requests go.
    pub upstream: Upstream,
    /// On this path the app's own answer passes while all required processes are ready; else the
    /// edge answers 503 and names the one that is not.
    #[serde(default)]
    pub health_path: Option<String>,
    /// Limits of each request.
    #[serde(default)]
    pub limits: Limits,
    /// Headers set on each answer, replacing the app's.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Milliseconds that old connections live after a switch.
    #[serde(default = "thirty_seconds")]
    pub drain: u64,
}

fn thirty_seconds() -> u64 {
    30_000
}

/// A host and path. The most exact host wins, then the longest path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostRoute {
    /// The host without port, in lower case; none: any. `*.example.com` for one label.
    pub host: Option<String>,
    /// The beginning of the path, cut at slashes; `/` for all.
    #[serde(default = "slash")]
    pub path: String,
    /// Whether that beginning is taken off.
    #[serde(default)]
    pub strip: bool,
    /// Answers with a redirect (308) to this host instead.
    #[serde(default)]
    pub redirect: Option<String>,
}

fn slash() -> String {
    "/".to_owned()
}

/// A redirect.
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

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upstream {
    /// To instances.
    Instances(Vec<Instance>),
    /// To the files of a folder.
    Files {
        /// The folder.
        folder: PathBuf,
    },
    /// Nowhere: answered 503 with these words (stopped, being recreated).
    Nothing {
        /// What the client reads.
        reason: String,
    },
}

/// One running instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its supervisor's control socket, watched for readiness: an instance whose front process is
    /// not ready gets no requests while another is. When the watch ends it is used as long as it
    /// answers. None: always taken as ready.
    pub control: Option<PathBuf>,
}

/// Limits of each request. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Limits {
    /// Until the answer's head.
    pub timeout: u64,
    /// Bytes of a request's body.
    pub max_body: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: 60_000,
            max_body: None,
        }
    }
}

/// `GET /v1/state`: what the edge serves and how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EdgeState {
    /// Protocol version.
    pub version: u32,
    /// Its process.
    pub process: u32,
    /// The shared HTTP listener's address, read back.
    pub http: Option<SocketAddr>,
    /// What it serves.
    pub apps: Vec<AppRoutes>,
    /// Counters, for each service and release since the edge started.
    pub counters: Vec<Counters>,
}

/// How the requests of one service and release went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counters {
    /// The app.
    pub app: String,
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// The release.
    pub release: u64,
    /// Requests answered.
    pub requests: u64,
    /// Of those, answered 5xx by the app.
    pub errors: u64,
    /// Of those, answered by the edge because the app couldn't (502, 503, 504).
    pub failed: u64,
    /// Requests under way, upgraded connections included.
    pub in_flight: u64,
    /// Sum of times to the answer's head, in microseconds.
    pub microseconds: u64,
    /// Histogram of those times: counts by upper bound 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000,
    /// 2000, 5000 ms and above.
    pub histogram: [u64; 13],
}

/// The answer of the control socket where something can't be done (status 409 or 400).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refused {
    /// `stale-generation`, `port-taken`, `route-taken`, `bad-routes`; `edge-failed` where the disk or
    /// the supervisor fails it (500).
    pub error: String,
    /// What happened.
    pub message: String,
    /// The stored generation, for `stale-generation`.
    pub generation: Option<u64>,
}

/// `GET /v1/drained/…`: nothing of that release is under way any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drained {
    /// How many connections were closed since they were still there when the drain was over.
    pub closed: u64,
}
