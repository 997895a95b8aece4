//! An Engine of a few answers: containers, images and networks to list and to remove, and a note of
//! what was.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::UnixListener, task::JoinHandle};

/// What it has, by kind (`containers`, `images`) and name, and what was asked of it.
#[derive(Default)]
struct State {
    objects: BTreeMap<(&'static str, String), Value>,
    removed: Vec<String>,
    refused: Vec<&'static str>,
}

pub struct FakeEngine {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl FakeEngine {
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let state = Arc::<Mutex<State>>::default();
        let own = state.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = own.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        let answered = answer(&state, &request);
                        async move { Ok::<_, Infallible>(answered) }
                    });
                    let serving = hyper::server::conn::http1::Builder::new();
                    let _ = serving.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self {
            socket,
            state,
            serving,
        }
    }

    pub fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// A container of an instance, with the host's labels.
    pub fn container(&self, id: &str, labels: &landfall_containers::Labels, running: bool) {
        let mut labels = labels.clone();
        labels.insert(
            landfall_containers::label::INSTANCE.to_owned(),
            id.to_owned(),
        );
        let status = if running { "running" } else { "exited" };
        let value = json!({
            "Id": id,
            "Name": format!("/landfall.{id}"),
            "Config": { "Labels": labels },
            "State": { "Status": status, "Running": running, "StartedAt": "2026-01-01T00:00:00Z" },
        });
        self.has("containers", id, value);
    }

    pub fn has(&self, kind: &'static str, name: &str, value: Value) {
        let mut state = self.state.lock().unwrap();
        state.objects.insert((kind, name.to_owned()), value);
    }

    /// Everything that is asked of these kinds fails.
    pub fn refuse(&self, kinds: &[&'static str]) {
        self.state.lock().unwrap().refused = kinds.to_vec();
    }

    /// What was removed, as it was named.
    pub fn removed(&self) -> Vec<String> {
        self.state.lock().unwrap().removed.clone()
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn answer(state: &Mutex<State>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut state = state.lock().unwrap();
    let (status, value) = state.answer(request.method(), request.uri().path());
    let body = match status {
        StatusCode::NO_CONTENT => Bytes::new(),
        _ => value.to_string().into(),
    };
    Response::builder()
        .status(status)
        .header("Content-Type", "application/json")
        .body(Full::new(body))
        .unwrap()
}

impl State {
    fn answer(&mut self, method: &Method, path: &str) -> (StatusCode, Value) {
        let path = path.replace("%3A", ":").replace("%2F", "/");
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if parts[0].starts_with("v1.") {
            parts.remove(0);
        }
        let kind = parts[0];
        if self.refused.contains(&kind) {
            let said = json!({ "message": "the disk is full" });
            return (StatusCode::INTERNAL_SERVER_ERROR, said);
        }
        let name = parts[1..].join("/");
        let missing = (
            StatusCode::NOT_FOUND,
            json!({ "message": format!("no such thing: {path}") }),
        );
        let key = |name: &str| {
            let known = ["containers", "images", "networks", "volumes"];
            let kind = known.into_iter().find(|known| *known == kind)?;
            Some((kind, name.to_owned()))
        };
        match (method, kind, name.as_str()) {
            (_, "version", _) => {
                let said = json!({ "Version": "27.0.0", "ApiVersion": "1.45" });
                (StatusCode::OK, said)
            }
            (_, "containers" | "images", "json") => (StatusCode::OK, self.all(kind)),
            (_, "networks", "") => (StatusCode::OK, self.all(kind)),
            (_, "volumes", "") => (StatusCode::OK, json!({ "Volumes": self.all(kind) })),
            (&Method::DELETE, _, name) => {
                let known = key(name).and_then(|key| self.objects.remove(&key));
                self.removed.push(name.to_owned());
                match (known, kind) {
                    (None, _) => missing,
                    (Some(_), "images") => (StatusCode::OK, json!([])),
                    (Some(_), _) => (StatusCode::NO_CONTENT, Value::Null),
                }
            }
            (&Method::GET, _, name) => {
                let name = name.strip_suffix("/json").unwrap_or(name);
                match key(name).and_then(|key| self.objects.get(&key)) {
                    Some(found) => (StatusCode::OK, found.clone()),
                    None => missing,
                }
            }
            _ => missing,
        }
    }

    fn all(&self, kind: &str) -> Value {
        let of_kind = self.objects.iter().filter(|((own, _), _)| *own == kind);
        let shown = |value: &Value| match kind {
            // Less of each than when it is looked at, and some of it otherwise.
            "containers" => json!({ "Id": value["Id"] }),
            "images" => json!({
                "Id": value["Id"],
                "ParentId": "",
                "RepoTags": value["RepoTags"],
                "RepoDigests": [],
                "Created": 0,
                "Size": 0,
                "SharedSize": 0,
                "Labels": {},
                "Containers": 0,
            }),
            _ => value.clone(),
        };
        of_kind.map(|(_, value)| shown(value)).collect()
    }
}
