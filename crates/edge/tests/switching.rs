//! From one release to the next: nothing fails, nothing is cut before its time, nothing is lost.

mod support;

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
};

use landfall_edge::{EdgeError, client::ClientError};
use support::*;

#[test]
fn no_request_fails_over_many_switches_under_load() {
    let stage = Stage::new();
    let first = App::saying("0");
    stage.serve(1, web(1, instances(&[first.address])));
    let over = Arc::<AtomicBool>::default();
    let http = stage.http();
    let answered = Arc::<AtomicUsize>::default();
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut connection = Connection::open(http);
                let mut failed = Vec::new();
                while !over.load(SeqCst) {
                    // Half of them keep their connection, half open one for each request.
                    if number % 2 == 0 {
                        connection = Connection::open(http);
                    }
                    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
                    match connection.answer() {
                        Some(answer) if answer.status == 200 => _ = answered.fetch_add(1, SeqCst),
                        other => failed.push(format!("{other:?}")),
                    }
                }
                failed
            })
        })
        .collect();
    for release in 2..=30 {
        // Each is gone for good once it has drained, as a real one would be.
        let (ended, app) = mortal();
        stage.serve(release, web(release, instances(&[app])));
        let before = answered.load(SeqCst);
        eventually("requests go on", || {
            (answered.load(SeqCst) > before + 20).then_some(())
        });
        let next = App::saying("between");
        stage.serve(release, web(1000 + release, instances(&[next.address])));
        assert_eq!(stage.drained(release), 0);
        ended.store(true, SeqCst);
    }
    over.store(true, SeqCst);
    for client in clients {
        assert_eq!(client.join().unwrap(), Vec::<String>::new());
    }
}

/// An app that resets everything once it is told that it has ended.
fn mortal() -> (Arc<AtomicBool>, std::net::SocketAddr) {
    let ended = Arc::<AtomicBool>::default();
    let end = Arc::clone(&ended);
    let app = App::start(move |head, stream| {
        let whole = head.body(stream, false).is_ok();
        !end.load(SeqCst) && whole && reply(stream, "mortal")
    });
    (ended, app.address)
}

#[test]
fn what_is_under_way_finishes_at_the_old_release_and_drained_waits_for_it() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let old = App::start(move |_, stream| {
        gate.lock().unwrap().recv().unwrap();
        reply(stream, "old")
    });
    let new = App::saying("new");
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[old.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is under way", || {
        (stage.state().counters[0].in_flight == 1).then_some(())
    });
    stage.serve(2, web(2, instances(&[new.address])));
    assert_eq!(stage.get("/").text(), "new");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime
                .block_on(stage.client.drained("shop", "local", "web", 1))
                .unwrap()
        });
        assert_eq!(stage.get("/").text(), "new");
        assert!(!waiting.is_finished());
        go.send(()).unwrap();
        assert_eq!(connection.answer().unwrap().text(), "old");
        assert_eq!(waiting.join().unwrap(), 0);
    });
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        connection.answer().unwrap().text(),
        "new",
        "the client's connection stays"
    );
    let counters = stage.state().counters;
    assert_eq!(
        counters
            .iter()
            .map(|one| (one.release, one.requests))
            .collect::<Vec<_>>(),
        [(1, 1), (2, 3)]
    );
}

#[test]
fn a_slow_upload_over_a_switch_is_answered() {
    let old = App::echo();
    let new = App::echo();
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[old.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    eventually("it is under way", || (old.connections() == 1).then_some(()));
    stage.serve(2, web(2, instances(&[new.address])));
    connection.send("def");
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.text().ends_with("abcdef"));
    assert_eq!(stage.drained(1), 0);
}

#[test]
fn replicas_that_stay_keep_their_connections_and_one_that_goes_drains() {
    let (one, two) = (App::saying("one"), App::saying("two"));
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[one.address, two.address])));
    let seen = |stage: &Stage| {
        (0..10)
            .map(|_| stage.get("/").text().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(seen(&stage).len(), 2);
    stage.serve(1, web(1, instances(&[two.address])));
    assert_eq!(stage.drained(1), 0);
    assert_eq!(seen(&stage).into_iter().collect::<Vec<_>>(), ["two"]);
    assert_eq!(
        stage.state().counters[0].requests,
        20,
        "one release, one count"
    );
}

#[test]
fn a_late_writer_is_refused_and_told_the_generation() {
    let app = App::saying("hello");
    let stage = Stage::new();
    stage.serve(5, web(5, instances(&[app.address])));
    for error in [
        stage.put(&support::app(4, vec![])).unwrap_err(),
        stage.delete(4).unwrap_err(),
    ] {
        let ClientError::Refused(refused) = error else {
            panic!("{error}")
        };
        assert_eq!(
            (refused.error.as_str(), refused.generation),
            ("stale-generation", Some(5))
        );
    }
    assert_eq!(stage.get("/").text(), "hello");
    stage.serve(5, web(5, instances(&[app.address])));
    stage.delete(5).unwrap();
    stage.delete(5).unwrap();
    assert_eq!(stage.get("/").status, 404);
}

#[test]
fn what_was_acknowledged_is_served_by_the_next_edge() {
    let app = App::saying("hello");
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    stage.serve(2, web(2, instances(&[app.address])));
    let (before, Stage { folder, edge, .. }) = (stage.state().apps, stage);
    edge.stop();
    let edge = landfall_edge::start(settings(&folder)).unwrap();
    assert_eq!(get(edge.http(), "/").text(), "hello");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let state = runtime
        .block_on(landfall_edge::client::Client::new(edge.control()).state())
        .unwrap();
    assert_eq!(state.apps, before);
    assert!(
        matches!(
            landfall_edge::start(settings(&folder)),
            Err(EdgeError::Running(_))
        ),
        "one edge for a folder"
    );
    edge.stop();
    std::fs::write(folder.path().join("routes.json"), "{").unwrap();
    let error = landfall_edge::start(settings(&folder))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("routes.json is damaged") && error.contains("routes.json.previous"),
        "{error}"
    );
}

#[test]
fn an_edge_that_ends_answers_what_is_under_way_and_what_comes_on_open_connections() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let app = App::start(move |head, stream| {
        if head.path() == "/slow" {
            stream
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
                .unwrap();
            gate.lock().unwrap().recv().unwrap();
            return stream.get_mut().write_all(b"slow").is_ok();
        }
        reply(stream, "quick")
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let http = stage.http();
    let mut slow = Connection::open(http);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is under way", || {
        (stage.state().counters[0].in_flight == 1).then_some(())
    });
    let mut idle = Connection::open(http);
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.answer().unwrap().text(), "quick");
    let Stage {
        folder: _folder,
        edge,
        ..
    } = stage;
    let ending = std::thread::spawn(move || edge.stop());
    eventually("nothing is accepted", || {
        std::net::TcpStream::connect(http).is_err().then_some(())
    });
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = idle.answer().unwrap();
    assert_eq!(
        (answer.text(), answer.get("connection")),
        ("quick", Some("close"))
    );
    assert!(idle.is_ended());
    assert!(!ending.is_finished());
    go.send(()).unwrap();
    assert_eq!(slow.answer().unwrap().text(), "slow");
    ending.join().unwrap();
}

#[test]
fn an_address_that_is_taken_at_the_start_costs_its_service_alone_and_is_opened_by_the_next_change()
{
    let app = App::saying("hello");
    let stage = Stage::new();
    let mut service = web(1, instances(&[app.address]));
    let own = free_address();
    service.listeners = vec![own];
    stage.serve(1, service.clone());
    let Stage { folder, edge, .. } = stage;
    edge.stop();
    let other = std::net::TcpListener::bind(own).unwrap();
    let edge = landfall_edge::start(settings(&folder)).unwrap();
    assert_eq!(get(edge.http(), "/").text(), "hello");
    drop(other);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = landfall_edge::client::Client::new(edge.control());
    runtime
        .block_on(client.put(&support::app(1, vec![service])))
        .unwrap();
    assert_eq!(get(own, "/").text(), "hello");
}

#[test]
fn once_a_change_is_acknowledged_no_request_goes_the_old_way() {
    let apps = [App::saying("even"), App::saying("odd")];
    let stage = Stage::with(|settings| settings.threads = 4);
    let mut connections: Vec<_> = (0..16).map(|_| Connection::open(stage.http())).collect();
    for release in 1..=40 {
        let turn = release as usize % 2;
        stage.serve(release, web(release, instances(&[apps[turn].address])));
        for connection in &mut connections {
            connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        for connection in &mut connections {
            assert_eq!(
                connection.answer().unwrap().text(),
                ["even", "odd"][turn],
                "{release}"
            );
        }
    }
}
