//! How an app is, as recorded, and what is seen of it.

use serde_json::json;

use super::*;
use crate::{arguments::Global, output::Output};

const NOW: u64 = 1_700_000_000_000;

fn process(name: &str, phase: &str) -> serde_json::Value {
    json!({
        "name": name, "required": true, "phase": phase, "pid": 7, "started-at": NOW - 60_000,
        "ready-at": NOW - 50_000, "restarts": 0, "failures": 0, "next-start-at": null,
        "last-exit": null, "last-probe": null, "listening": [], "last-words": [],
    })
}

fn status() -> serde_json::Value {
    let mut api = process("api", "ready");
    api["last-probe"] = json!({ "at": NOW, "passed": true, "said": "200", "took": 12_400 });
    let mut agent = process("agent", "crash-loop");
    agent["restarts"] = json!(5);
    agent["next-start-at"] = json!(NOW + 8000);
    agent["last-exit"] = json!({ "at": NOW - 12_000, "code": 1, "signal": null, "cause": null });
    agent["last-words"] = json!([
        "Traceback",
        "openai.AuthenticationError: 401 invalid api key"
    ]);
    json!({
        "app": "union-action", "environment": "production", "condition": "degraded",
        "live": 11, "live-since": NOW - 180_000,
        "source": { "commit": "4f2c9ae0", "branch": null, "subject": null, "dirty": false, "tree": "x" },
        "last": null, "lock": null,
        "services": [{
            "service": "union-action", "urls": ["http://127.0.0.1:20001"], "replicas": 1, "static-files": false,
            "requests": 1000, "errors": 5, "requests-per-second": 24.04, "p95": 18,
            "instances": [{
                "id": "i", "replica": 1, "release": 11, "port": 21001, "health": null,
                "state": {
                    "version": 1, "sequence": 1, "instance": "i", "supervisor": 5, "started-at": NOW - 60_000,
                    "phase": "running", "ready": true, "healthy": false, "reason": "agent not ready",
                    "processes": [api, agent], "notes": [], "dropped": 0, "ended": null,
                },
                "usage": { "api": { "cpu": 3.2, "memory": 121u64 << 20 }, "agent": { "cpu": 0.0, "memory": 0 } },
                "memory-limit": 512u64 << 20, "memory-limits": { "agent": 128u64 << 20 },
            }],
        }],
        "next": ["landfall logs agent --since 5m"],
    })
}

fn seen(status: serde_json::Value) -> String {
    let status: AppStatus = serde_json::from_value(status).unwrap();
    render(&status, NOW, &Output::new(&Global::default(), None))
}

#[test]
fn a_crash_loop() {
    insta::assert_snapshot!(seen(status()));
}

#[test]
fn nothing_yet_and_locked() {
    let mut status = status();
    status["condition"] = json!("empty");
    status["live"] = json!(null);
    status["services"] = json!([]);
    status["next"] = json!([]);
    status["lock"] = json!({ "holder": "ann@desk", "reason": "deployment 1", "since": NOW - 5000, "deployment": 1 });
    insta::assert_snapshot!(seen(status));
}

#[test]
fn replicas_stand_below_their_service() {
    let mut status = status();
    let mut second = status["services"][0]["instances"][0].clone();
    second["replica"] = json!(2);
    second["port"] = json!(21_002);
    second["state"] = json!(null);
    status["services"][0]["replicas"] = json!(2);
    status["services"][0]["instances"]
        .as_array_mut()
        .unwrap()
        .push(second);
    insta::assert_snapshot!(seen(status));
}
