//! What a supervisor gives on of its own environment: in an image that runs without a host nobody else
//! gives its processes one.

use std::{fs, process::Command};

use serde_json::json;

use crate::support::PROGRAM;

fn told(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let specification = json!({
        // As in a file that was written into a repository.
        "landfall": "written by landfall",
        "version": 1,
        "instance": "test",
        "directory": folder.path(),
        "processes": [{
            "name": "web",
            "command": ["sh", "-c", format!("echo \"${{OUTER-none}} ${{BOTH-none}}\" > {}", said.display())],
            "ends": true,
            "environment": { "PATH": "/usr/bin:/bin", "BOTH": "its own" },
        }],
    });
    let file = folder.path().join("supervise.json");
    fs::write(&file, specification.to_string()).unwrap();
    let ended = Command::new(PROGRAM)
        .arg("run")
        .args(arguments)
        .arg(&file)
        .env("OUTER", "from outside")
        .env("BOTH", "from outside")
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    fs::read_to_string(said).unwrap()
}

#[test]
fn nothing_is_inherited_unless_it_is_asked_for() {
    assert_eq!(told(&[]), "none its own\n");
}

#[test]
fn what_is_inherited_is_weaker_than_what_the_file_says() {
    assert_eq!(told(&["--inherit"]), "from outside its own\n");
}
