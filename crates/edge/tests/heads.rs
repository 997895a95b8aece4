//! Requests that others may read differently than we do, and what they leave behind.

mod support;

use support::*;

/// An edge before an app that answers with what it got.
fn stage() -> (Stage, App) {
    let app = App::echo();
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    (stage, app)
}

/// Sends a request, with another one smuggled behind it.
fn refused(stage: &Stage, request: &str) -> u16 {
    let mut connection = Connection::open(stage.http());
    connection.send(request);
    let answer = connection
        .answer()
        .unwrap_or_else(|| panic!("no answer to {request:?}"));
    assert!(
        connection.answer().is_none(),
        "a second answer to {request:?}"
    );
    answer.status
}

#[test]
fn requests_of_ambiguous_length_are_refused_and_nothing_behind_them_is_read() {
    let (stage, app) = stage();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for headers in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "\u{0}X: y\r\n",
        ": y\r\n",
    ] {
        let request = format!("POST /a HTTP/1.1\r\nHost: a\r\n{headers}\r\n0\r\n\r\n{smuggled}");
        assert_eq!(refused(&stage, &request), 400, "{headers:?}");
    }
    for head in [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\nHost: a\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(
            refused(&stage, &format!("{head}\r\n{smuggled}")),
            400,
            "{head:?}"
        );
    }
    assert_eq!(app.connections(), 0, "the app must not see any of them");
}

#[test]
fn a_connect_or_trace_request_goes_nowhere() {
    let (stage, app) = stage();
    for head in [
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\n",
    ] {
        assert_eq!(refused(&stage, &format!("{head}\r\n")), 405, "{head:?}");
    }
    assert_eq!(app.connections(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order_whatever_their_bodies() {
    let (stage, _app) = stage();
    let mut connection = Connection::open(stage.http());
    let all = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
               POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
               POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\ndef\r\n0\r\n\r\n\
               \r\nGET /4 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\
               GET /5 HTTP/1.1\r\nHost: a\r\n\r\n";
    for step in [all.len(), 1, 7] {
        for part in all.as_bytes().chunks(step) {
            connection.send(part);
        }
        for (number, body) in [(1, ""), (2, "abc"), (3, "def"), (4, ""), (5, "")] {
            let answer = connection.answer().unwrap();
            assert_eq!(answer.status, 200);
            let path = format!("/{number} ");
            assert!(
                answer.text().lines().next().unwrap().contains(&path),
                "{}",
                answer.text()
            );
            assert!(
                answer.text().ends_with(&format!("\n\n{body}")),
                "{}",
                answer.text()
            );
        }
    }
    // The last of them poisons the connection, not those before it.
    connection.send("GET /6 HTTP/1.1\r\nHost: a\r\n\r\nGET /7 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(connection.answer().unwrap().status, 200);
    assert_eq!(connection.answer().unwrap().status, 400);
    assert!(connection.is_ended());
}

#[test]
fn a_body_whose_chunks_break_ends_the_connection() {
    let (stage, _app) = stage();
    for body in ["zz\r\nabc", "3\r\nabcd\r\n0\r\n\r\n", "3\nabc\n0\n\n"] {
        let mut connection = Connection::open(stage.http());
        connection.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        let answer = connection.answer();
        assert!(
            answer.as_ref().is_none_or(|answer| answer.status >= 400),
            "{body:?}: {answer:?}"
        );
        assert!(connection.is_ended(), "{body:?}");
    }
}

#[test]
fn the_host_of_an_absolute_target_counts() {
    let (stage, _app) = stage();
    let answer = send(
        stage.http(),
        "GET http://real.example/x HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
    );
    let text = answer.text();
    assert!(
        text.starts_with("GET /x HTTP/1.1\n") && text.contains("\nhost: real.example\n"),
        "{text}"
    );
}

#[test]
fn old_clients_need_no_host_and_get_no_chunks() {
    let app = App::start(|_, stream| {
        use std::io::Write;
        stream
            .get_mut()
            .write_all(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            )
            .is_ok()
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let answer = send(stage.http(), "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        (
            answer.status,
            answer.text(),
            answer.get("transfer-encoding")
        ),
        (200, "abc", None)
    );
}
