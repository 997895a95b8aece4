//! A file is checked within a second, however large. Times hold for a release build; a debug build
//! gets many times as long and says how long it took.

#![expect(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use landfall_app::read;

fn services(count: usize) -> String {
    let mut text = "app = \"shop\"\n".to_owned();
    for number in 0..count {
        let (port, other) = (1024 + number % 60_000, number * 7 % count);
        write!(
            text,
            "[service.s{number}]\nbuild = {{ run = \"make\", output = \"dist\" }}\nport = {port}\nhealth = \"/health\"\nenv = {{ A = \"b\", KEY = \"${{secret.X}}\", URL = \"${{service.s{other}.url}}\" }}\nsecrets = [\"X\"]\n[service.s{number}.process.api]\ncommand = \"bin/api --port $PORT\"\n[service.s{number}.process.agent]\ncommand = [\"bin/agent\"]\nafter = \"api\"\n"
        )
        .unwrap();
    }
    text
}

/// Reads a text and says how long it took; fails when that is far beyond what is promised.
fn timed(what: &str, text: &str, promised: Duration) -> landfall_app::Diagnostics {
    let start = Instant::now();
    let (_, diagnostics) = read(text.as_bytes(), "landfall.toml");
    let _ = diagnostics.render(false);
    let took = start.elapsed();
    println!(
        "{what}: {} KiB in {took:?}, promised {promised:?}",
        text.len() >> 10
    );
    // Other tests run at the same time, and a debug build is some ten times slower.
    let allowed = if cfg!(debug_assertions) {
        promised * 40
    } else {
        promised * 4
    };
    assert!(took < allowed, "{what} took {took:?}");
    diagnostics
}

#[test]
fn many_services() {
    let second = Duration::from_secs(1);
    assert!(
        timed(
            "1,000 services",
            &services(1000),
            Duration::from_millis(100)
        )
        .is_empty()
    );
    assert!(timed("10,000 services", &services(10_000), second).is_empty());
}

#[test]
fn large_and_hostile_files() {
    let second = Duration::from_secs(1);
    let keys: String = (0..300_000)
        .map(|number| format!("key{number} = \"x\" # some more text\n"))
        .collect();
    assert!(timed("unknown keys", &keys, second).has_errors());
    assert!(timed("rubbish", &" ]]} = \"x\n".repeat(1_000_000), second).has_errors());
    assert!(
        timed(
            "one line",
            &format!("app = \"{}\"\n", "x".repeat(10_000_000)),
            second
        )
        .has_errors()
    );
    assert!(
        timed(
            "brackets",
            &format!("app = {}", "[".repeat(5_000_000)),
            second
        )
        .has_errors()
    );
}

#[test]
fn long_chains_and_many_names() {
    let second = Duration::from_secs(1);
    let mut chain = "app = \"shop\"\n[service.web]\n".to_owned();
    let mut environments = services(100);
    let mut secrets =
        "app = \"shop\"\n[service.web]\ncommand = \"web\"\n[service.web.env]\n".to_owned();
    for number in 0..50_000 {
        writeln!(
            chain,
            "[service.web.process.p{number}]\ncommand = \"x\"\nafter = \"p{}\"",
            (number + 1) % 50_000
        )
        .unwrap();
        writeln!(
            environments,
            "[environment.e{number}]\nextends = \"e{}\"",
            number + 1
        )
        .unwrap();
        writeln!(secrets, "E{number} = \"${{secret.S{number}}}\"").unwrap();
    }
    let circle = timed("a circle of 50,000", &chain, second);
    assert_eq!(
        circle
            .list()
            .iter()
            .map(|found| found.code)
            .collect::<Vec<_>>(),
        ["after-circle"]
    );
    assert!(timed("a chain of environments", &environments, second).has_errors());
    assert!(timed("unknown secrets", &secrets, second).has_errors());
}
