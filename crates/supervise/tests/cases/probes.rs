//! What probes see, and what they don't believe.

use std::net::TcpListener;

use landfall_supervise::state::{Cause, ProcessPhase};
use serde_json::json;

use crate::{
    fixture,
    support::{Bench, Server, process, shell, with},
};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn the_front_process_is_ready_when_its_own_tree_listens() {
    let port = free_port();
    let mut bench = Bench::new(
        &[with(
            fixture::process("web", &format!("listen {port}")),
            // There is no waiting for this one.
            json!({ "front": true, "health": { "up": 600_000 } }),
        )],
        json!({ "port": port }),
    );
    bench.run();
    let state = bench.until_ready();
    assert!(state.ready);
    assert_eq!(
        process(&state, "web").last_probe.as_ref().unwrap().said,
        "listens"
    );
}

#[test]
fn another_process_on_the_port_is_not_believed() {
    let server = Server::start(200);
    let mut bench = Bench::new(
        &[with(
            shell("web", "exec sleep 1000"),
            json!({ "front": true, "health": { "ready": server.probe() } }),
        )],
        json!({ "port": server.port }),
    );
    bench.run();
    let state = bench.until("the probe has spoken", |state| {
        process(state, "web").last_probe.is_some()
    });
    assert_eq!(
        process(&state, "web").last_probe.as_ref().unwrap().said,
        "another process answers"
    );
    server.until_asked(3);
    assert!(!bench.state().ready);
}

#[test]
fn a_wrong_port_is_found_out() {
    let (wanted, other) = (free_port(), free_port());
    let probe = json!({ "http": { "address": format!("127.0.0.1:{wanted}"), "path": "/" } });
    let mut bench = Bench::new(
        &[with(
            fixture::process("web", &format!("listen {other}")),
            json!({ "front": true, "health": { "ready": probe, "start": 700 } }),
        )],
        json!({ "port": wanted }),
    );
    bench.run();
    let state = bench.until("never ready", |state| {
        process(state, "web").last_exit.is_some()
    });
    let web = process(&state, "web");
    assert_eq!(
        web.last_exit.as_ref().unwrap().cause,
        Some(Cause::NeverReady)
    );
    assert_eq!(web.last_probe.as_ref().unwrap().said, "connection refused");
    assert_eq!(web.listening, [other]);
    assert_eq!(web.addresses, [([127, 0, 0, 1], other).into()]);
    assert!(web.only_loopback(other) && !web.only_loopback(wanted));
}

#[test]
fn readiness_comes_and_goes_without_a_restart() {
    let server = Server::start(200);
    let mut bench = Bench::new(
        &[with(
            shell("web", "exec sleep 1000"),
            json!({ "health": { "ready": server.probe(), "interval": 20, "retries": 2 } }),
        )],
        json!({}),
    );
    bench.run();
    bench.until_ready();
    server.set(503);
    let state = bench.until("not ready", |state| !state.healthy);
    assert_eq!(process(&state, "web").phase, ProcessPhase::NotReady);
    assert_eq!(state.reason.as_deref(), Some("web not ready"));
    server.set(204);
    let state = bench.until_ready();
    assert_eq!(process(&state, "web").restarts, 0);
}

#[test]
fn expected_status_and_body() {
    let server = Server::start(401);
    let probe = with(
        server.probe(),
        json!({ "http": { "status": 401, "body": "hello" } }),
    );
    let wrong = with(
        server.probe(),
        json!({ "http": { "status": 401, "body": "good-bye" } }),
    );
    let mut bench = Bench::new(
        &[
            with(
                shell("right", "exec sleep 1000"),
                json!({ "health": { "ready": probe } }),
            ),
            with(
                shell("wrong", "exec sleep 1000"),
                json!({ "health": { "ready": wrong } }),
            ),
        ],
        json!({}),
    );
    bench.run();
    let state = bench.until("both have spoken", |state| {
        process(state, "right").phase == ProcessPhase::Ready
            && process(state, "wrong").last_probe.is_some()
    });
    assert_eq!(
        process(&state, "wrong").last_probe.as_ref().unwrap().said,
        "401, without \"good-bye\""
    );
}
