//! Bytes that pass as they come, and upgraded connections.

#![expect(clippy::unwrap_used, reason = "tests end where something goes wrong")]

mod support;

use std::{
    io::{Read, Write},
    sync::mpsc,
    time::Duration,
};

use support::*;

#[test]
fn an_answers_bytes_pass_at_once() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let app = App::start(move |_, stream| {
        let stream = stream.get_mut();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .unwrap();
        gate.lock().unwrap().recv().unwrap();
        stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").is_ok()
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        connection.head().unwrap().get("transfer-encoding"),
        Some("chunked")
    );
    let mut first = [0; 10];
    connection.0.read_exact(&mut first).unwrap();
    assert_eq!(
        &first, b"5\r\nfirst\r\n",
        "while the app still holds the rest"
    );
    go.send(()).unwrap();
    let mut last = [0; 14];
    connection.0.read_exact(&mut last).unwrap();
    assert_eq!(&last, b"4\r\nlast\r\n0\r\n\r\n");
}

#[test]
fn a_requests_bytes_pass_at_once() {
    let (got, bytes) = mpsc::channel();
    let app = App::start(move |_, stream| {
        let mut part = [0; 64];
        for _ in 0..2 {
            let read = stream.read(&mut part).unwrap();
            got.send(String::from_utf8_lossy(&part[..read]).into_owned())
                .unwrap();
        }
        reply(stream, "ok")
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    connection
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n");
    assert!(connection.head().unwrap().first.contains(" 100 "));
    connection.send("abc");
    assert_eq!(
        bytes.recv_timeout(PATIENCE).unwrap(),
        "abc",
        "while the client still holds the rest"
    );
    connection.send("def");
    assert_eq!(connection.answer().unwrap().text(), "ok");
}

#[test]
fn a_large_body_arrives_whole_both_ways() {
    let app = App::echo();
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let body: String = (0..300_000)
        .map(|number: u32| char::from(b'a' + (number % 23) as u8))
        .collect();
    let mut connection = Connection::open(stage.http());
    for _ in 0..3 {
        connection.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = connection.answer().unwrap();
        assert!(answer.text().ends_with(&body));
    }
    assert_eq!(app.connections(), 1, "the connection to the app is kept");
}

#[test]
fn a_connection_is_upgraded_after_ordinary_requests_and_refusals() {
    let app = shouting();
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    let refused = UPGRADE.replace("shout", "whisper");
    let ordinary = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    // All at once: what each turns into must not be mixed up with the others.
    connection.send(format!(
        "{ordinary}{refused}{ordinary}{UPGRADE}/HTTP/1.1\n\n"
    ));
    for _ in 0..3 {
        assert_eq!(connection.answer().unwrap().text(), "not upgraded");
    }
    assert_eq!(connection.answer().unwrap().status, 101);
    let mut back = [0; 17];
    connection.0.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"HELLO\n/HTTP/1.1\n\n");
    // No head is looked for in what follows.
    for _ in 0..3 {
        assert!(shouts(
            &mut connection,
            "get / http/1.1\ncontent-length: x\n\n"
        ));
    }
}

/// An app that upgrades to a protocol that sends each line back in capitals.
fn shouting() -> App {
    App::start(|head, stream| {
        if head.get("upgrade") != Some("shout") || head.get("connection") != Some("upgrade") {
            return reply(stream, "not upgraded");
        }
        stream.get_mut().write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\nX-Mine: 1\r\n\r\nHELLO\n").unwrap();
        let mut bytes = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            stream
                .get_mut()
                .write_all(&bytes[..read].to_ascii_uppercase())
                .unwrap();
        }
        false
    })
}

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: shout\r\n\r\n";

fn shouts(connection: &mut Connection, text: &str) -> bool {
    connection.send(text);
    let mut back = vec![0; text.len()];
    connection.0.read_exact(&mut back).is_ok() && back == text.to_ascii_uppercase().as_bytes()
}

#[test]
fn an_upgraded_connection_carries_anything_both_ways_and_is_counted() {
    let app = shouting();
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    // What is sent behind the request before its answer belongs to the new protocol.
    connection.send(format!("{UPGRADE}early\n"));
    let answer = connection.answer().unwrap();
    assert_eq!(
        (answer.status, answer.get("upgrade"), answer.get("x-mine")),
        (101, Some("shout"), Some("1"))
    );
    let mut hello = [0; 12];
    connection.0.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"HELLO\nEARLY\n");
    assert!(shouts(
        &mut connection,
        "get / http/1.1\ncontent-length: x\n\n"
    ));
    assert_eq!(stage.state().counters[0].in_flight, 1);
    drop(connection);
    eventually("it isn't counted any more", || {
        (stage.state().counters[0].in_flight == 0).then_some(())
    });
    let line = &stage.log(1)[0];
    assert_eq!(
        (line["status"].as_u64(), line["bytes"].as_u64()),
        (Some(101), Some(46))
    );
}

#[test]
fn a_request_to_upgrade_that_the_app_ignores_is_an_ordinary_one() {
    let app = App::saying("ordinary");
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    for _ in 0..3 {
        connection.send(UPGRADE);
        assert_eq!(connection.answer().unwrap().text(), "ordinary");
    }
}

#[test]
fn one_apps_switch_leaves_anothers_upgraded_connections_alone_and_its_own_get_their_time() {
    let app = shouting();
    let stage = Stage::new();
    let mut service = web(1, instances(&[app.address]));
    service.drain = 1500;
    stage.serve(1, service.clone());
    let mut other = app_routes_of_another(&app);
    stage.put(&other).unwrap();
    let open = |host: &str| {
        let mut connection = Connection::open(stage.http());
        connection.send(UPGRADE.replace("Host: a", &format!("Host: {host}")));
        assert_eq!(connection.answer().unwrap().status, 101);
        let mut hello = [0; 6];
        connection.0.read_exact(&mut hello).unwrap();
        connection
    };
    let (mut ours, mut theirs) = (open("a"), open("other.example"));
    let next = shouting();
    service.release = 2;
    service.upstream = instances(&[next.address]);
    stage.serve(2, service);
    assert!(shouts(&mut ours, "still there"), "it isn't cut at once");
    assert_eq!(stage.drained(1), 1, "it is closed when its time is over");
    assert!(ours.is_ended());
    assert!(shouts(&mut theirs, "as ever"));
    other.generation = 2;
    other.services[0].release = 2;
    stage.put(&other).unwrap();
    assert!(shouts(&mut theirs, "and again"));
    assert_eq!(stage.drained(1), 0, "drained for good");
}

fn app_routes_of_another(app: &App) -> landfall_edge::routes::AppRoutes {
    let mut service = web(1, instances(&[app.address]));
    service.hosts[0].host = Some("other.example".into());
    let mut routes = support::app(1, vec![service]);
    routes.app = "other".into();
    routes
}

#[test]
fn a_client_that_leaves_leaves_nothing_behind() {
    let (left, gone) = mpsc::channel();
    let app = App::start(move |_, stream| {
        let mut rest = Vec::new();
        stream.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        left.send(stream.read_to_end(&mut rest).is_ok()).unwrap();
        false
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is under way", || {
        (stage.state().counters[0].in_flight == 1).then_some(())
    });
    drop(connection);
    assert!(
        gone.recv_timeout(PATIENCE + Duration::from_secs(1))
            .unwrap(),
        "the app is told"
    );
    eventually("nothing is under way", || {
        (stage.state().counters[0].in_flight == 0).then_some(())
    });
    assert_eq!(stage.log(1)[0]["status"], 499);
}

#[test]
fn an_upload_that_breaks_off_is_not_the_apps_failure() {
    let app = App::echo();
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    eventually("the app has it", || (app.connections() == 1).then_some(()));
    drop(connection);
    eventually("it is over", || {
        (stage.log(1)[0]["app"] == "shop").then_some(())
    });
    let counters = &stage.state().counters[0];
    assert_eq!(
        (counters.failed, counters.errors, counters.in_flight),
        (0, 0, 0)
    );
}
