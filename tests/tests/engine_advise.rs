//! Advice on images: built as they stand and as mended, looked into, started and ended.

#![cfg(feature = "engine")]

use std::{
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use landfall_tests::{
    World,
    engine::{docker, unique},
};
use rustix::process::Signal;
use serde_json::Value;

const SERVER: &str = "\
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
import six
http.server.HTTPServer(('', 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
";

/// One test at a time: they measure times, and look at all that is left on the Engine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A base image that not every test needs.
fn base(image: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/base-images");
    let made = Command::new(script).arg(image).status();
    assert!(made.is_ok_and(|status| status.success()), "no {image}");
}

/// What was left on the Engine by a world's advice.
fn left(world: &World) -> Vec<String> {
    let scratch = world.home().join("scratch");
    let folders = std::fs::read_dir(scratch).into_iter().flatten().flatten();
    let mut left: Vec<String> = folders
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("advice-"))
        .collect();
    let said = docker(&[
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}}",
        "landfall-advice/*",
    ]);
    left.extend(said.lines().map(str::to_owned));
    let said = docker(&["ps", "-aq", "--filter", "label=landfall.advice"]);
    left.extend(said.lines().map(str::to_owned));
    left
}

/// Whether the step of a build that only sleeps is at it.
fn sleeps() -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| line.starts_with(b"sleep\x0029765"))
}

/// The findings by their names.
fn finding<'v>(data: &'v Value, name: &str) -> &'v Value {
    let all = data["findings"].as_array().expect("there are findings");
    all.iter()
        .find(|finding| finding["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {data:#}"))
}

fn mended(data: &Value) -> usize {
    let all = data["findings"].as_array().into_iter().flatten();
    all.filter(|finding| finding["mended"] == true).count()
}

#[test]
fn a_naive_python_image_is_measured_mended_and_runs_then() {
    let _alone = alone();
    let world = World::new();
    let naive = "FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nEXPOSE 8000\nCMD python server.py\n";
    world.write("Dockerfile", naive);
    world.write("server.py", SERVER);
    world.write("requirements.txt", "six\n");
    world.write(".git/objects/pack", &"x".repeat(300_000));
    let data = world.landfall(&["image", "advise", "--json"]).ok().data();
    let (stands, after) = (&data["as-it-stands"], &data["mended"]);
    assert!(mended(&data) >= 3, "{data:#}");
    assert!(
        after["bytes"].as_u64() < stands["bytes"].as_u64(),
        "{data:#}"
    );
    assert!(
        after["compressed"].as_u64() < after["bytes"].as_u64(),
        "{data:#}"
    );
    assert!(after["change"]["layers"].as_u64() < stands["change"]["layers"].as_u64());
    assert!(after["change"]["seconds"].as_f64() < stands["change"]["seconds"].as_f64());
    assert_eq!(stands["change"]["file"], "server.py");
    assert_eq!(
        (&stands["user"], &after["user"]),
        (&"root".into(), &"1000:1000".into())
    );
    assert_eq!(after["ran"]["listened"][0], 8000, "{data:#}");
    assert!(after["ran"]["term"].is_f64(), "{data:#}");
    let order = finding(&data, "dependencies-after-sources");
    assert!(order["effect"]["seconds"].is_f64(), "{order:#}");
    let context = finding(&data, "context-not-ignored");
    assert_eq!(context["effect"]["bytes"], 300_000);
    let scanned = data["vulnerabilities"].as_str().unwrap_or_default();
    assert!(
        scanned.contains("not scanned") || scanned.contains(" by "),
        "{scanned}"
    );
    assert_eq!(world.read("Dockerfile"), naive, "nothing is written");

    world
        .landfall(&["image", "advise", "--fix"])
        .ok()
        .says(&["Wrote Dockerfile and .dockerignore"]);
    assert!(world.read("Dockerfile").contains("USER 1000:1000"));
    assert!(world.read(".dockerignore").contains(".git"));
    let again = world.landfall(&["image", "advise", "--json"]).ok().data();
    assert_eq!(
        again["changes"].as_array().map(Vec::len),
        Some(0),
        "{again:#}"
    );
    assert_eq!(mended(&again), 0, "{again:#}");
    assert_eq!(left(&world), [""; 0]);
}

#[test]
fn a_naive_node_image_gets_its_signals_back() {
    let _alone = alone();
    base("node:22-alpine");
    let world = World::new();
    world.write(
        "Dockerfile",
        "FROM node:22-alpine\nWORKDIR /srv\nADD . .\nRUN npm install\nEXPOSE 3000\nCMD npm start\n",
    );
    world.write("server.js", "require('ms'); const s = require('http').createServer((q, a) => a.end('hello')).listen(3000); process.on('SIGTERM', () => s.close(() => process.exit(0)));\n");
    world.write("package.json", r#"{"name":"naive","version":"1.0.0","scripts":{"start":"node server.js"},"dependencies":{"ms":"2.1.3"},"devDependencies":{"inherits":"2.0.4"}}"#);
    let data = world.landfall(&["image", "advise", "--json"]).ok().data();
    let (stands, after) = (&data["as-it-stands"], &data["mended"]);
    assert!(mended(&data) >= 3, "{data:#}");
    for name in [
        "dependencies-after-sources",
        "development-dependencies",
        "add-for-copy",
        "shell-form",
    ] {
        assert_eq!(finding(&data, name)["mended"], true, "{name}");
    }
    assert_eq!(stands["ran"]["listened"][0], 3000, "{data:#}");
    assert_eq!(after["ran"]["listened"][0], 3000, "{data:#}");
    assert!(after["ran"]["term"].is_f64(), "{data:#}");
    assert!(after["change"]["layers"].as_u64() < stands["change"]["layers"].as_u64());
}

#[test]
fn an_image_alone_shows_what_its_layers_hide() {
    let _alone = alone();
    let world = World::new();
    let image = format!("{}:1", unique("advised"));
    world.write("key", "-----BEGIN PRIVATE KEY-----\nMIIB\n");
    world.write(
        "Dockerfile",
        "FROM busybox:test\nCMD [\"sh\"]\nRUN head -c 3000000 /dev/zero > /big\nCOPY key /app/server.key\nRUN rm /big /app/server.key\n\
         RUN echo a > /open && chmod 666 /open\nENV DATABASE_PASSWORD=correct-horse\nCMD sleep 1000\n",
    );
    let folder = world.app();
    let folder = folder.to_str().expect("it has a plain name");
    docker(&["build", "-q", "-t", &image, folder]);
    let ran = world.landfall(&["image", "advise", &image, "--json"]);
    docker(&["rmi", &image]);
    let data = ran.ok().hides("correct-horse").data();
    let deleted = finding(&data, "files-deleted-later");
    assert_eq!(deleted["effect"]["bytes"], 3_000_033, "{deleted:#}");
    let key = finding(&data, "secret-in-layer");
    assert!(
        key["said"]
            .as_str()
            .is_some_and(|said| said.contains("/app/server.key")),
        "{key:#}"
    );
    assert!(key["place"]["layer"].is_u64(), "{key:#}");
    finding(&data, "secret-in-environment");
    finding(&data, "world-writable");
    finding(&data, "runs-as-root");
    assert_eq!(data["as-it-stands"]["ran"]["stayed"], true, "{data:#}");
}

#[test]
fn a_mend_that_keeps_it_from_running_is_taken_back() {
    let _alone = alone();
    let world = World::new();
    world.write("page", "hello");
    world.write(
        "Dockerfile",
        "FROM busybox:test\nWORKDIR /srv\nCOPY . .\nEXPOSE 8000\nCMD touch /srv/pid && httpd -f -p 8000\n",
    );
    let data = world.landfall(&["image", "advise", "--json"]).ok().data();
    assert_eq!(finding(&data, "runs-as-root")["mended"], false, "{data:#}");
    assert_eq!(finding(&data, "shell-form")["mended"], true, "{data:#}");
    assert_eq!(data["mended"]["user"], "root");
    let remarks = data["remarks"].to_string();
    assert!(remarks.contains("less was mended"), "{remarks}");
    let diff = data["changes"][0]["diff"].as_str().unwrap_or_default();
    assert!(
        diff.contains("exec httpd") && !diff.contains("USER"),
        "{diff}"
    );
}

#[test]
fn a_scanner_that_is_there_is_asked() {
    use std::os::unix::fs::PermissionsExt as _;
    let _alone = alone();
    let world = World::new();
    world.write("id_rsa", "a key");
    world.write(".env", "A=b");
    world.write(
        "Dockerfile",
        "FROM busybox:test\nWORKDIR /srv\nCOPY . .\nCOPY .env /srv/\nCMD [\"sleep\", \"1000\"]\n",
    );
    world.write("programs/trivy", "#!/bin/sh\necho '{\"Results\":[{\"Target\":\"x\",\"Vulnerabilities\":[{\"VulnerabilityID\":\"CVE-1\",\"Severity\":\"HIGH\"}]}]}'\n");
    let programs = world.app().join("programs");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(programs.join("trivy"), mode).expect("it is ours");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", programs.display());
    let advise = ["image", "advise", "--json"];
    let data = world
        .landfall_with(&advise, &[("PATH", &path)], "")
        .ok()
        .data();
    let found = finding(&data, "vulnerable-packages");
    assert_eq!(found["severity"], "high");
    assert_eq!(data["vulnerabilities"], "1 high by trivy");
    // What the Dockerfile names itself can't be left out; what only lies there can.
    let all = data["findings"].as_array().expect("there are findings");
    let copied = |place: Value| {
        all.iter()
            .find(|finding| finding["name"] == "secret-copied" && finding["place"] == place)
            .map(|finding| finding["mended"].clone())
    };
    assert_eq!(
        copied(serde_json::json!({ "file": "id_rsa" })),
        Some(true.into()),
        "{data:#}"
    );
    assert_eq!(
        copied(serde_json::json!({ "line": 4 })),
        Some(false.into()),
        "{data:#}"
    );
}

#[test]
fn a_build_that_fails_still_shows_what_the_file_shows() {
    let _alone = alone();
    let world = World::new();
    world.write("Dockerfile", "FROM busybox:test\nRUN false\nCMD sh\n");
    world
        .landfall(&["image", "advise"])
        .exits(1)
        .says(&["build-failed", "RUN false", "runs-as-root", "shell-form"])
        .hides("mended:");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let _alone = alone();
    let world = World::new();
    world.write("Dockerfile", "FROM busybox:test\nRUN sleep 29765\nCMD sh\n");
    let running = world.spawn(&["image", "advise"], &[]);
    landfall_tests::wait("the build's sleep", || sleeps().then_some(()));
    running.signal(Signal::INT);
    let ran = running.end();
    assert_eq!(ran.code, 1, "{ran}");
    ran.says(&["cancelled"]);
    landfall_tests::wait("the end of the build's sleep", || (!sleeps()).then_some(()));
    assert_eq!(left(&world), [""; 0]);
}
