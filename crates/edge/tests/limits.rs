//! Clients that take too long or send too much.

mod support;

use std::{
    io::{Read, Write},
    time::Duration,
};

use landfall_edge::routes::Limits;
use support::*;

fn impatient() -> Stage {
    Stage::with(|settings| {
        settings.timeouts.head = Duration::from_millis(300);
        settings.timeouts.idle = Duration::from_millis(1500);
        settings.timeouts.write = Duration::from_millis(500);
    })
}

#[test]
fn a_head_that_never_ends_is_cut_however_it_trickles() {
    let app = App::saying("hello");
    let stage = impatient();
    stage.serve(1, web(1, instances(&[app.address])));
    for first in ["", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut connection = Connection::open(stage.http());
        connection.send(first);
        if !first.is_empty() {
            assert_eq!(connection.answer().unwrap().status, 200);
        }
        let mut writer = connection.0.get_ref().try_clone().unwrap();
        let trickle = std::thread::spawn(move || {
            let mut text = "GET / HTTP/1.1\r\nX: "
                .bytes()
                .chain(std::iter::repeat(b'x'));
            while writer.write_all(&[text.next().unwrap()]).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        assert!(connection.is_ended());
        trickle.join().unwrap();
    }
}

#[test]
fn an_idle_connection_ends_and_one_that_waits_for_the_app_does_not() {
    let app = App::start(|head, stream| {
        if head.path() == "/slow" {
            std::thread::sleep(Duration::from_millis(2500));
        }
        reply(stream, "hello")
    });
    let stage = impatient();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.answer().unwrap().text(), "hello");
    assert!(connection.is_ended());
}

#[test]
fn a_client_that_reads_nothing_is_cut() {
    let app = App::start(|_, stream| {
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            .unwrap();
        while stream.get_mut().write_all(&[0; 65_536]).is_ok() {}
        false
    });
    let stage = impatient();
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request is over", || {
        let counters = stage.state().counters;
        counters
            .iter()
            .any(|one| one.requests == 1 && one.in_flight == 0)
            .then_some(())
    });
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let app = App::saying("hello");
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let with = |headers: &str| {
        send(
            stage.http(),
            &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n"),
        )
        .status
    };
    assert_eq!(with(&format!("X: {}\r\n", "x".repeat(30_000))), 200);
    assert_eq!(with(&format!("X: {}\r\n", "x".repeat(70_000))), 431);
    assert_eq!(with(&"X: y\r\n".repeat(500)), 431);
}

#[test]
fn bodies_that_are_too_large_are_refused_by_length_and_by_count() {
    let app = App::echo();
    let stage = Stage::new();
    let mut service = web(1, instances(&[app.address]));
    service.limits = Limits {
        max_body: Some(1000),
        ..Limits::default()
    };
    stage.serve(1, service);
    let length = |size: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{}",
            "x".repeat(size)
        )
    };
    assert_eq!(send(stage.http(), &length(1000)).status, 200);
    assert_eq!(send(stage.http(), &length(1001)).status, 413);
    assert_eq!(
        send(stage.http(), &length(900_000)).status,
        413,
        "the answer arrives though the body isn't read"
    );
    let chunked = |size: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(size)
        )
    };
    assert_eq!(send(stage.http(), &chunked(1000)).status, 200);
    assert_eq!(send(stage.http(), &chunked(1001)).status, 413);
}

#[test]
fn an_app_that_takes_too_long_is_a_504_and_a_client_that_does_a_408() {
    let app = App::start(|head, stream| {
        if head.body(stream, false).is_err() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(if head.path() == "/slow" {
            5000
        } else {
            0
        }));
        reply(stream, "done")
    });
    let stage = Stage::new();
    let mut service = web(1, instances(&[app.address]));
    service.limits = Limits {
        timeout: 600,
        ..Limits::default()
    };
    stage.serve(1, service);
    assert_eq!(stage.get("/slow").status, 504);
    // A slow upload that goes on is no reason to end it, though it takes longer than the limit.
    let mut connection = Connection::open(stage.http());
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(120));
        connection.send("x");
    }
    assert_eq!(connection.answer().unwrap().text(), "done");
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nxx");
    assert_eq!(connection.answer().unwrap().status, 408);
    let counters = &stage.state().counters[0];
    assert_eq!((counters.failed, counters.errors), (1, 0));
}

#[test]
fn a_refused_upload_is_read_on_for_a_moment_so_that_the_answer_is_not_reset() {
    let app = App::echo();
    let stage = Stage::new();
    let mut service = web(1, instances(&[app.address]));
    service.limits.max_body = Some(1000);
    stage.serve(1, service);
    let mut connection = Connection::open(stage.http());
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
    let answer = connection.answer().unwrap();
    assert_eq!(
        (answer.status, answer.get("connection")),
        (413, Some("close"))
    );
    let mut rest = Vec::new();
    assert_eq!(
        connection.0.read_to_end(&mut rest).unwrap(),
        0,
        "its end is there"
    );
    // A connection that were closed would answer the first of these with a reset.
    for _ in 0..20 {
        connection.send([0; 1000]);
        std::thread::sleep(Duration::from_millis(5));
    }
}
