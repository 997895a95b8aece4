//! The background start, the lock, the control socket, sockets handed over, health for platforms.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use landfall_supervise::{
    client::{self, Client},
    control::{Answer, Request},
    specification::Socket,
    state::{Ended, Phase},
    tree,
};
use serde_json::{Value, json};

use crate::support::{
    Bench, LONG, PROGRAM, eventually, lives, process, shell, until_it_rests, with,
};

fn web() -> Value {
    with(
        shell("web", "exec sleep 1000"),
        json!({ "health": { "up": 10 } }),
    )
}

/// A process's session as the kernel writes it: 0 where its leader is outside of what can be seen,
/// which the typed system call can't say.
fn session(pid: u32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = &text[text.rfind(')').unwrap() + 1..];
    fields
        .split_ascii_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn started_in_the_background_it_is_nobodys_child() {
    let mut bench = Bench::new(&[web()], json!({}));
    assert_eq!(bench.start(&json!({})), (Some(0), String::new()));
    // Listens already.
    let client = Client::connect(bench.folder()).unwrap();
    let supervisor = client.hello.supervisor;
    assert_eq!(client.hello.instance, bench.instance);
    assert!(!tree::children(std::process::id()).contains(&supervisor));
    assert_ne!(session(supervisor), session(std::process::id()));
    assert_eq!(
        fs::read_link(format!("/proc/{supervisor}/cwd"))
            .unwrap()
            .to_str(),
        Some("/")
    );
    assert!(
        fs::read(format!("/proc/{supervisor}/environ"))
            .unwrap()
            .is_empty()
    );
    assert!(client::lives(bench.folder()).unwrap());

    let (code, said) = bench.start(&json!({}));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("already runs"), "{said}");

    let state = bench.until_ready();
    assert_eq!(state.phase, Phase::Running);
    let pid = process(&state, "web").pid.unwrap();
    let stopped = Command::new(PROGRAM)
        .arg("stop")
        .arg(bench.folder())
        .status()
        .unwrap();
    assert!(stopped.success());
    assert!(!lives(pid));
    let state = bench.last_state();
    assert_eq!(
        (state.phase, state.ended),
        (Phase::Ended, Some(Ended::Stopped))
    );
    eventually("the lock is free", || {
        (!client::lives(bench.folder()).unwrap()).then_some(())
    });
}

#[test]
fn started_in_the_background_with_nowhere_to_write_it_listens_too() {
    let mut bench = Bench::new(&[web()], json!({ "logs": "output" }));
    assert_eq!(bench.start(&json!({})), (Some(0), String::new()));
    bench.until_ready();
}

#[test]
fn what_is_wrong_with_the_start_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let socket = json!({ "name": "http", "address": format!("127.0.0.1:{port}"), "count": 2 });
    let mut bench = Bench::new(&[web()], json!({ "sockets": [socket] }));
    let (code, said) = bench.start(&json!({}));
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("port {port} is taken")), "{said}");

    bench.write("specification.json", "{}");
    let (code, said) = bench.start(&json!({}));
    assert_eq!(code, Some(1));
    assert!(said.contains("specification.json: missing field"), "{said}");

    let (code, said) =
        Bench::new(&[web()], json!({})).start(&json!({ "mask": { "TOKEN": ["sesame"] } }));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("standard input") && !said.contains("sesame"),
        "{said}"
    );
    assert_eq!(bench.alive(), [0; 0]);
}

#[test]
fn a_folder_with_a_long_path() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a".repeat(100)).join("b".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let mut bench = Bench::within(tempfile::tempdir_in(&deep).unwrap(), &[web()], json!({}));
    assert_eq!(bench.start(&json!({})), (Some(0), String::new()));
    bench.until_ready();
}

#[test]
fn sockets_are_held_and_handed_over() {
    let socket = json!({ "name": "http", "address": "127.0.0.1:0", "count": 2 });
    let mut bench = Bench::new(&[web()], json!({ "sockets": [socket] }));
    bench.run();
    let port = |descriptor: &std::os::fd::OwnedFd| {
        TcpListener::from(descriptor.try_clone().unwrap())
            .local_addr()
            .unwrap()
            .port()
    };
    let (names, sockets) = bench.connect().sockets().unwrap();
    assert_eq!(names, ["http", "http"]);
    let first = port(&sockets[0]);
    assert_eq!(port(&sockets[1]), first);
    drop(sockets);
    // Nobody accepts, and yet nobody is refused.
    TcpStream::connect(("127.0.0.1", first)).unwrap();

    let mut client = bench.connect();
    let more = Socket {
        name: "stable".to_owned(),
        address: "127.0.0.1:0".parse().unwrap(),
        count: 1,
    };
    let (names, sockets) = client.listen(more.clone()).unwrap();
    assert_eq!(names, ["stable"]);
    let second = port(&sockets[0]);
    let (_, again) = client.listen(more).unwrap();
    assert_eq!(port(&again[0]), second);
    let taken = Socket {
        name: "other".to_owned(),
        address: format!("127.0.0.1:{second}").parse().unwrap(),
        count: 4,
    };
    assert!(
        client
            .listen(taken)
            .unwrap_err()
            .to_string()
            .contains(&second.to_string())
    );
    assert_eq!(
        bench.connect().sockets().unwrap().0,
        ["http", "http", "stable"]
    );
    drop((sockets, again));
    client
        .send(&Request::Close {
            name: "stable".to_owned(),
        })
        .unwrap();
    assert_eq!(client.receive().unwrap(), Some(Answer::Accepted));
    assert!(TcpStream::connect(("127.0.0.1", second)).is_err());
}

#[test]
fn many_sockets_come_in_parts() {
    let socket = json!({ "name": "http", "address": "127.0.0.1:0", "count": 450 });
    let mut bench = Bench::new(&[web()], json!({ "sockets": [socket] }));
    bench.run();
    let (names, sockets) = bench.connect().sockets().unwrap();
    assert_eq!((names.len(), sockets.len()), (450, 450));
}

#[test]
fn the_health_of_all_is_answered_over_http() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut bench = Bench::new(
        &[
            web(),
            with(
                shell("agent", "[ -e go ] && exec sleep 1000; exit 1"),
                json!({ "health": { "up": 10 } }),
            ),
        ],
        json!({ "health": format!("127.0.0.1:{port}") }),
    );
    bench.run();
    bench.connect();
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
            .write_all(b"GET /any HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    bench.until("agent alone fails", |state| {
        process(state, "agent").failures > 0 && process(state, "web").ready_at.is_some()
    });
    let answer = ask();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\"reason\":\"agent "), "{answer}");
    fs::write(bench.path("work/go"), "").unwrap();
    bench.until_ready();
    let answer = ask();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn a_slow_watcher_gets_the_newest_state_and_holds_up_nobody() {
    let mut bench = Bench::new(
        &[web(), shell("agent", "exit 1")],
        json!({ "restart": { "delay": 1, "max-delay": 1 } }),
    );
    bench.run();
    let mut slow = bench.connect();
    slow.send(&Request::Watch).unwrap();
    let late = bench.until("many changes", |state| {
        process(state, "agent").restarts > 30
    });
    slow.set_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut last = 0;
    loop {
        let Some(Answer::State(state)) = slow.receive().unwrap() else {
            panic!("no state")
        };
        assert!(
            state.sequence > last || last == 0,
            "{} after {last}",
            state.sequence
        );
        last = state.sequence;
        if last >= late.sequence {
            break;
        }
    }
}

#[test]
fn nonsense_is_refused_and_the_connection_stays() {
    let mut bench = Bench::new(&[web()], json!({}));
    bench.run();
    bench.connect();
    let mut stream = client::connect(bench.folder()).unwrap();
    client::receive_line(&stream).unwrap();
    for nonsense in [
        "{]",
        "\"dance\"",
        "{\"restart\":{\"process\":\"none\"}}",
        "",
    ] {
        writeln!(stream, "{nonsense}").unwrap();
        let (line, _) = client::receive_line(&stream).unwrap();
        assert!(line.starts_with("{\"refused\""), "{line}");
    }
    writeln!(stream, "\"state\"").unwrap();
    assert!(
        client::receive_line(&stream)
            .unwrap()
            .0
            .starts_with("{\"state\"")
    );
}

#[test]
fn an_idle_supervisor_sleeps() {
    let mut bench = Bench::new(&[web(), with(web(), json!({ "name": "agent" }))], json!({}));
    let pid = bench.run().id();
    bench.until_ready();
    until_it_rests(pid);
}

#[test]
fn the_front_process_tells_where_it_listens_once_it_is_ready() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut bench = Bench::new(
        &[with(
            crate::fixture::process("web", &format!("listen {port}")),
            json!({ "front": true }),
        )],
        json!({ "port": port }),
    );
    bench.run();
    let web = process(&bench.until_ready(), "web").clone();
    assert_eq!(web.addresses, [([127, 0, 0, 1], port).into()]);
    assert_eq!(web.listening, [port]);
}
