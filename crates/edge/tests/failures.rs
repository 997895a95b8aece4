//! Apps that don't answer as they should.

mod support;

use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use support::*;

#[test]
fn an_app_that_takes_no_connection_is_a_502_and_another_instance_is_asked_first() {
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[free_address()])));
    let answer = stage.get("/");
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains("doesn't take connections"),
        "{}",
        answer.text()
    );
    let counters = &stage.state().counters[0];
    assert_eq!(
        (
            counters.requests,
            counters.failed,
            counters.errors,
            counters.in_flight
        ),
        (1, 1, 0, 0)
    );
    let app = App::echo();
    stage.serve(
        2,
        web(2, instances(&[free_address(), app.address, free_address()])),
    );
    for _ in 0..10 {
        let answer = send(
            stage.http(),
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        );
        assert!(answer.status == 200 && answer.text().ends_with("abc"));
    }
}

#[test]
fn errors_of_the_app_are_its_own() {
    let app = App::start(|_, stream| {
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 503 Mine\r\nContent-Length: 4\r\nX-Mine: 1\r\n\r\nmine")
            .is_ok()
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let answer = stage.get("/");
    assert_eq!(
        (answer.status, answer.text(), answer.get("x-mine")),
        (503, "mine", Some("1"))
    );
    let counters = &stage.state().counters[0];
    assert_eq!(
        (counters.requests, counters.failed, counters.errors),
        (1, 0, 1)
    );
}

#[test]
fn a_kept_connection_that_the_app_closed_costs_no_request_that_may_be_repeated() {
    // Answers once on each connection and then closes it at the next request, unanswered.
    let requests = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&requests);
    let app = App::start(move |head, stream| {
        let Ok(_) = head.body(stream, false) else {
            return false;
        };
        count.fetch_add(1, SeqCst);
        reply(stream, "once");
        // The next request is read and dropped.
        Head::read(stream);
        false
    });
    let stage = Stage::with(|settings| settings.threads = 1);
    stage.serve(1, web(1, instances(&[app.address])));
    for _ in 0..20 {
        assert_eq!(stage.get("/").text(), "once");
    }
    assert_eq!(requests.load(SeqCst), 20, "none was answered twice");
    // One that may not be repeated isn't: the app may have begun with it.
    let post = || {
        send(
            stage.http(),
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        )
        .status
    };
    let (first, second) = (post(), post());
    assert!([first, second].contains(&502), "{first} {second}");
}

#[test]
fn an_app_that_speaks_nonsense_is_a_502() {
    for nonsense in [
        "",
        "hello\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    ] {
        let app = App::start(move |_, stream| {
            stream.get_mut().write_all(nonsense.as_bytes()).unwrap();
            false
        });
        let stage = Stage::new();
        stage.serve(1, web(1, instances(&[app.address])));
        assert_eq!(stage.get("/").status, 502, "{nonsense:?}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_passed_off_as_whole() {
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let app = App::start(move |_, stream| {
            let body = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n3\r\nabc\r\n");
            stream.get_mut().write_all(body.as_bytes()).unwrap();
            false
        });
        let stage = Stage::new();
        stage.serve(1, web(1, instances(&[app.address])));
        let mut connection = Connection::open(stage.http());
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(connection.answer().is_none(), "{head}");
    }
}

#[test]
fn an_answer_before_the_upload_is_over_arrives() {
    let app = App::start(|_, stream| {
        let answer = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno";
        let mut rest = Vec::new();
        stream.get_mut().write_all(answer).is_ok() && stream.read_to_end(&mut rest).is_ok()
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc");
    assert_eq!(connection.answer().unwrap().status, 403);
    // A connection with half a request on it isn't used for the next.
    assert_eq!(stage.get("/").status, 403);
    assert_eq!(app.connections(), 2);
}
