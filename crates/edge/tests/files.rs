//! A folder's files, redirects and headers.

#![expect(clippy::unwrap_used, reason = "tests end where something goes wrong")]

mod support;

use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use landfall_edge::routes::{HostRoute, Redirect, Upstream};
use support::*;
use tempfile::TempDir;

fn site() -> (TempDir, Stage) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    fs::create_dir_all(root.join("docs")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::create_dir_all(root.join(".well-known")).unwrap();
    for (name, text) in [
        ("index.html", "<h1>home"),
        ("docs/index.html", "<h1>docs"),
        ("404.html", "<h1>lost"),
        ("style.css", "0123456789"),
        (".env", "SECRET=1"),
        (".well-known/security.txt", "mail"),
        ("a b.txt", "spaced"),
        ("none.txt", ""),
        ("../outside.txt", "outside"),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    symlink("../outside.txt", root.join("leak.txt")).unwrap();
    symlink("style.css", root.join("inside.css")).unwrap();
    let stage = Stage::new();
    stage.serve(1, web(1, Upstream::Files { folder: root }));
    (folder, stage)
}

fn with(stage: &Stage, path: &str, headers: &str) -> Answer {
    send(
        stage.http(),
        &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n"),
    )
}

#[test]
fn files_are_served_by_their_paths() {
    let (_folder, stage) = site();
    for (path, status, text, kind) in [
        ("/", 200, "<h1>home", "text/html; charset=utf-8"),
        (
            "/index.html?x=y",
            200,
            "<h1>home",
            "text/html; charset=utf-8",
        ),
        ("/docs/", 200, "<h1>docs", "text/html; charset=utf-8"),
        ("/style.css", 200, "0123456789", "text/css; charset=utf-8"),
        ("/inside.css", 200, "0123456789", "text/css; charset=utf-8"),
        ("/a%20b.txt", 200, "spaced", "text/plain; charset=utf-8"),
        ("/none.txt", 200, "", "text/plain; charset=utf-8"),
        (
            "/.well-known/security.txt",
            200,
            "mail",
            "text/plain; charset=utf-8",
        ),
        ("/missing", 404, "<h1>lost", "text/html; charset=utf-8"),
        ("/empty/", 404, "<h1>lost", "text/html; charset=utf-8"),
        ("/style.css/", 404, "<h1>lost", "text/html; charset=utf-8"),
        ("/leak.txt", 404, "<h1>lost", "text/html; charset=utf-8"),
    ] {
        let answer = stage.get(path);
        assert_eq!(
            (answer.status, answer.text(), answer.get("content-type")),
            (status, text, Some(kind)),
            "{path}"
        );
    }
    for path in [
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/docs/..%2f../outside.txt",
        "/.env",
        "/%2eenv",
        "/docs/%00",
    ] {
        let answer = stage.get(path);
        assert!(
            answer.status == 404 && !answer.text().contains("outside"),
            "{path}: {}",
            answer.text()
        );
    }
    let moved = stage.get("/docs?x=y");
    assert_eq!(
        (moved.status, moved.get("location")),
        (308, Some("/docs/?x=y"))
    );
    assert_eq!(stage.get("//docs").get("location"), Some("/docs/"));
    assert_eq!(stage.get("/empty").status, 404);
    let post = send(
        stage.http(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((post.status, post.get("allow")), (405, Some("GET, HEAD")));
    let head = send(
        stage.http(),
        "HEAD /style.css HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(
        (head.status, head.get("content-length"), head.body.len()),
        (200, Some("10"), 0)
    );
}

#[test]
fn a_client_that_has_a_file_or_wants_a_part_gets_no_more() {
    let (_folder, stage) = site();
    let first = stage.get("/style.css");
    let (tag, date) = (
        first.get("etag").unwrap(),
        first.get("last-modified").unwrap(),
    );
    assert_eq!(first.get("cache-control"), Some("no-cache"));
    for headers in [
        format!("If-None-Match: \"x\", W/{tag}\r\n"),
        format!("If-Modified-Since: {date}\r\n"),
    ] {
        let answer = with(&stage, "/style.css", &headers);
        assert_eq!(
            (answer.status, answer.get("etag")),
            (304, Some(tag)),
            "{headers}"
        );
    }
    let other = with(
        &stage,
        "/style.css",
        &format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"),
    );
    assert_eq!(other.status, 200, "the tag counts more");
    for (range, status, text, part) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=-2", 206, "89", Some("bytes 8-9/10")),
        ("bytes=0-1,3-4", 200, "0123456789", None),
    ] {
        let answer = with(&stage, "/style.css", &format!("Range: {range}\r\n"));
        assert_eq!(
            (answer.status, answer.text(), answer.get("content-range")),
            (status, text, part),
            "{range}"
        );
    }
    let beyond = with(&stage, "/style.css", "Range: bytes=10-\r\n");
    assert_eq!(
        (beyond.status, beyond.get("content-range")),
        (416, Some("bytes */10"))
    );
    let changed = with(
        &stage,
        "/style.css",
        "Range: bytes=2-4\r\nIf-Range: \"x\"\r\n",
    );
    assert_eq!((changed.status, changed.text()), (200, "0123456789"));
}

#[test]
fn a_large_file_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..1_000_003_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    fs::write(folder.path().join("large.bin"), &bytes).unwrap();
    let stage = Stage::new();
    stage.serve(
        1,
        web(
            1,
            Upstream::Files {
                folder: folder.path().to_owned(),
            },
        ),
    );
    assert!(stage.get("/large.bin").body == bytes);
    let part = with(&stage, "/large.bin", "Range: bytes=100000-900000\r\n");
    assert!(part.body == bytes[100_000..=900_000]);
}

#[test]
fn redirects_headers_and_prefixes_are_as_the_routes_say() {
    let app = App::echo();
    let stage = Stage::new();
    let mut service = web(1, instances(&[app.address]));
    service.redirects = vec![
        Redirect {
            from: "/old/*".into(),
            to: "/new/:splat".into(),
            status: 301,
        },
        Redirect {
            from: "/away".into(),
            to: "https://b.example/".into(),
            status: 302,
        },
    ];
    service.headers = BTreeMap::from([("X-Frame-Options".into(), "DENY".into())]);
    service.hosts = vec![
        HostRoute {
            host: Some("a.example".into()),
            path: "/".into(),
            strip: false,
            redirect: None,
        },
        HostRoute {
            host: Some("a.example".into()),
            path: "/api".into(),
            strip: true,
            redirect: None,
        },
        HostRoute {
            host: Some("*.a.example".into()),
            path: "/".into(),
            strip: false,
            redirect: Some("a.example".into()),
        },
    ];
    stage.serve(1, service);
    let ask = |host: &str, path: &str| {
        send(
            stage.http(),
            &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
    };
    let location = |answer: &Answer| {
        (
            answer.status,
            answer.get("location").unwrap_or_default().to_owned(),
        )
    };
    let old = ask("a.example", "/old/x/y?z=1");
    assert_eq!(location(&old), (301, "/new/x/y?z=1".into()));
    assert_eq!(old.get("x-frame-options"), Some("DENY"));
    assert_eq!(
        location(&ask("a.example", "/away")),
        (302, "https://b.example/".into())
    );
    assert_eq!(
        location(&ask("www.a.example:8080", "/p?q")),
        (308, "//a.example:8080/p?q".into())
    );
    let api = ask("A.example:99", "/api/x?y=z");
    assert!(
        api.text().starts_with("GET /x?y=z HTTP/1.1\n")
            && api.text().contains("x-forwarded-prefix: /api"),
        "{}",
        api.text()
    );
    assert_eq!(api.get("x-frame-options"), Some("DENY"));
    assert!(ask("a.example", "/apix").text().starts_with("GET /apix "));
    let unknown = ask("b.example", "/");
    assert_eq!(unknown.status, 404);
    assert!(!unknown.text().contains("a.example"), "{}", unknown.text());
}
