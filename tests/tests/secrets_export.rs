//! Secrets handed over to another tool: right in every letter, and seen by nobody else.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use landfall_tests::{World, world::program};

const TOKEN: &str = "correct-horse-battery-staple";
const KEY: &str =
    "-----BEGIN KEY-----\nab+/=\n\"it's\" $HOME `x` \\n # no comment\n-----END KEY-----\n";

/// An app whose service uses TOKEN and KEY; SPARE is kept and used by nobody.
fn world() -> World {
    let world = World::with_web(
        "secrets = [\"TOKEN\", \"KEY\", { name = \"ABSENT\", optional = true }]\n\
         [service.other]\ncommand = [\"true\"]\nsecrets = [\"TOKEN\"]",
    );
    world.write("key.pem", KEY);
    for (name, value) in [("TOKEN", TOKEN), ("SPARE", "kept for later")] {
        world
            .landfall_with(&["secrets", "set", name, "--no-deploy"], &[], value)
            .ok();
    }
    world
        .landfall(&[
            "secrets",
            "set",
            "KEY",
            "--from-file",
            "key.pem",
            "--no-deploy",
        ])
        .ok();
    world
}

#[test]
fn a_file_of_them_is_its_owners_alone_and_reads_back_the_same() {
    let world = world();
    world
        .landfall(&["secrets", "export", "--out", "handed-over.env"])
        .ok()
        .says(&["3 values", "KEY, SPARE, TOKEN", "handed-over.env"])
        .hides(TOKEN);
    let path = world.app().join("handed-over.env");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Read back by the way that they came in.
    let fresh = World::with_web("secrets = [\"TOKEN\", \"KEY\", \"SPARE\"]");
    fresh.write(".env", &fs::read_to_string(&path).unwrap());
    fresh.landfall(&["secrets", "import", ".env"]).ok();
    let again = fresh
        .landfall(&["secrets", "export", "--format", "json"])
        .ok();
    let values: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(values["TOKEN"], TOKEN);
    assert_eq!(values["KEY"], KEY);
    assert_eq!(values["SPARE"], "kept for later");
}

#[test]
fn a_pipe_gets_one_object_or_lines() {
    let world = world();
    let object = world
        .landfall(&["secrets", "export", "--format", "json"])
        .ok();
    let values: serde_json::Value = serde_json::from_str(&object.stdout).unwrap();
    assert_eq!(values["KEY"], KEY);
    assert_eq!(values.as_object().unwrap().len(), 3);
    let lines = world.landfall(&["secrets", "export"]).ok();
    assert!(
        lines.stdout.contains(&format!("\nTOKEN={TOKEN}\n")),
        "{lines}"
    );
    assert!(lines.stdout.starts_with("# Secrets of shop in local"));
    let enveloped = world.landfall(&["secrets", "export", "--json"]).ok();
    assert_eq!(enveloped.data()["values"]["TOKEN"], TOKEN);
}

#[test]
fn one_service_gets_only_its_own() {
    let world = world();
    let of = |service: &str| world.landfall(&["secrets", "export", "--service", service]);
    of("other")
        .ok()
        .says(&["TOKEN="])
        .hides("KEY")
        .hides("SPARE");
    of("web").ok().says(&["TOKEN=", "KEY="]).hides("SPARE");
    of("wep").exits(2).says(&["unknown-service", "other, web"]);
}

#[test]
fn a_file_that_is_there_is_left_as_it_is() {
    let world = world();
    world.write("there.env", "mine\n");
    world
        .landfall(&["secrets", "export", "--out", "there.env"])
        .exits(6)
        .says(&["file-exists", "there.env"])
        .hides(TOKEN);
    assert_eq!(world.read("there.env"), "mine\n");
    // Nor is a link followed to somewhere else.
    std::os::unix::fs::symlink("elsewhere", world.app().join("link.env")).unwrap();
    world
        .landfall(&["secrets", "export", "--out", "link.env"])
        .exits(6)
        .says(&["file-exists"]);
    assert!(!world.app().join("elsewhere").exists());
}

#[test]
fn what_git_would_take_along_is_said() {
    let world = world();
    world.git(&["init", "-q"]);
    world.write(".gitignore", "ignored.env\n");
    world
        .landfall(&["secrets", "export", "--out", "seen.env"])
        .ok()
        .says(&["isn't ignored by git"]);
    world
        .landfall(&["secrets", "export", "--out", "ignored.env"])
        .ok()
        .hides("ignored by git");
}

#[test]
fn a_terminal_shows_none_of_them_without_being_asked_to() {
    if !Path::new("/usr/bin/script").is_file() {
        eprintln!("skipped: no /usr/bin/script here, which makes a terminal");
        return;
    }
    let world = world();
    let on_terminal = |arguments: &str| {
        let line = format!(
            "'{}' secrets export {arguments}",
            program("landfall").display()
        );
        let output = world
            .command(Path::new("/usr/bin/script"))
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, said) = on_terminal("");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("secrets-on-a-terminal"), "{said}");
    assert!(!said.contains(TOKEN), "{said}");
    let (code, said) = on_terminal("--show");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(TOKEN), "{said}");
}

#[test]
fn what_is_missing_is_named_and_nothing_is_written() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world
        .landfall(&["secrets", "export", "--out", "none.env"])
        .exits(6)
        .says(&["missing-secret", "TOKEN"]);
    assert!(!world.app().join("none.env").exists());
}
