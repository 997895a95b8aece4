//! Requests on their way to an app and back.

mod support;

use landfall_edge::routes::{HostRoute, Upstream};
use support::*;

#[test]
fn a_request_reaches_the_app_with_what_the_edge_knows() {
    let app = App::echo();
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let answer = send(
        stage.http(),
        "POST /a/b?c=d HTTP/1.1\r\nHost: App.Example:80\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-Id: mine-1\r\n\
         Content-Length: 5\r\nConnection: close, X-Drop\r\nX-Drop: 1\r\n\r\nhello",
    );
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.starts_with("POST /a/b?c=d HTTP/1.1\n"), "{text}");
    for line in [
        "host: App.Example:80",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: App.Example:80",
        "x-request-id: mine-1",
        "content-length: 5",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    assert!(
        !text.contains("6.6.6.6") && !text.contains("x-drop") && !text.contains("\nconnection"),
        "{text}"
    );
    assert!(text.ends_with("\n\nhello"), "{text}");
    assert_eq!(answer.get("x-request-id"), Some("mine-1"));
    let line = &stage.log(1)[0];
    assert_eq!(
        (
            line["app"].as_str(),
            line["path"].as_str(),
            line["status"].as_u64(),
            line["release"].as_u64()
        ),
        (Some("shop"), Some("/a/b"), Some(200), Some(1))
    );
    let counters = &stage.state().counters[0];
    assert_eq!(
        (counters.requests, counters.errors, counters.failed),
        (1, 0, 0)
    );
}

#[test]
fn a_services_own_address_serves_it_and_is_closed_with_it() {
    let app = App::saying("own");
    let stage = Stage::new();
    let port = free_address();
    let mut service = web(1, instances(&[app.address]));
    service.hosts = vec![HostRoute {
        host: Some("x.example".into()),
        path: "/".into(),
        strip: false,
        redirect: None,
    }];
    service.listeners = vec![port];
    stage.serve(1, service.clone());
    assert_eq!(get(port, "/").text(), "own");
    assert_eq!(stage.get("/").status, 404, "another host");
    service.listeners.clear();
    stage.serve(2, service);
    eventually("the port is closed", || {
        std::net::TcpStream::connect(port).is_err().then_some(())
    });
}

#[test]
fn an_app_that_is_stopped_says_so() {
    let stage = Stage::new();
    stage.serve(
        1,
        web(
            1,
            Upstream::Nothing {
                reason: "stopped by hand".into(),
            },
        ),
    );
    let answer = stage.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("stopped by hand") && answer.get("retry-after").is_some());
}

#[test]
fn answers_without_a_body_leave_the_connections_usable() {
    let app = App::start(|head, stream| {
        use std::io::Write;
        let answer = match head.path() {
            "/none" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/same" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            "/empty" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "/hints" => {
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
            }
            _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        };
        stream.get_mut().write_all(answer.as_bytes()).is_ok()
    });
    let stage = Stage::with(|settings| settings.threads = 1);
    stage.serve(1, web(1, instances(&[app.address])));
    let mut connection = Connection::open(stage.http());
    for (path, status) in [
        ("/none", 204),
        ("/same", 304),
        ("/empty", 200),
        ("/chunks", 200),
        ("/hints", 200),
    ]
    .repeat(3)
    {
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(connection.answer().unwrap().status, status, "{path}");
    }
    assert_eq!(app.connections(), 1);
}

#[test]
fn a_head_request_gets_the_length_and_no_body() {
    let app = App::start(|head, stream| {
        use std::io::Write;
        assert!(head.first.starts_with("HEAD "));
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
            .is_ok()
    });
    let stage = Stage::new();
    stage.serve(1, web(1, instances(&[app.address])));
    let answer = send(
        stage.http(),
        "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(
        (answer.status, answer.get("content-length")),
        (200, Some("1234"))
    );
}
