//! The Docker Engine beside a world: what a test made in it ends with the test.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// A name of an app that no other test, and no other run at the same time, has on this Engine.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "{name}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Runs the `docker` client and gives what it printed; fails the test where it fails.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .expect("the engine's tests need a docker client");
    assert!(
        output.status.success(),
        "docker {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The names of the containers of a state folder, those that don't run too.
#[track_caller]
pub fn containers(home: &Path) -> Vec<String> {
    let of = format!("label=landfall.home={}", home.display());
    words(&docker(&[
        "ps",
        "-a",
        "--filter",
        &of,
        "--format",
        "{{.Names}}",
    ]))
}

/// Removes containers, networks and volumes of a state folder, and the images that were built for an app
/// whose name is [`unique`].
pub fn sweep(home: &Path, app: Option<&str>) {
    // A volume or network in use can't be removed, so the containers come first; where the Engine is away
    // there is nothing to be done, and the test has failed for that already.
    let of = format!("label=landfall.home={}", home.display());
    remove(
        &["ps", "-aq", "--no-trunc", "--filter", &of],
        &["rm", "-f", "-v"],
    );
    remove(
        &["network", "ls", "-q", "--filter", &of],
        &["network", "rm"],
    );
    remove(
        &["volume", "ls", "-q", "--filter", &of],
        &["volume", "rm", "-f"],
    );
    let own = format!("-{}-", std::process::id());
    if let Some(app) = app.filter(|app| app.contains(&own)) {
        let of = format!("label=landfall.app={app}");
        remove(&["images", "-q", "--filter", &of], &["rmi", "-f"]);
    }
}

fn remove(list: &[&str], with: &[&str]) {
    let Ok(output) = Command::new("docker").args(list).output() else {
        return;
    };
    let mut found = words(&String::from_utf8_lossy(&output.stdout));
    found.sort();
    found.dedup();
    if !found.is_empty() {
        let _ = Command::new("docker").args(with).args(&found).output();
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
