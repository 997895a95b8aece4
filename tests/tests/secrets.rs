//! Secrets from the desk to the process, and nowhere else.

use std::fs;

use landfall_tests::{World, wait};

const VALUE: &str = "correct-horse-battery-staple";

fn files_with(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            found.extend(files_with(&path, text));
        } else if kind.is_file()
            && fs::read(&path).is_ok_and(|bytes| {
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            })
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_reaches_its_process_and_is_masked_everywhere_else() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world
        .landfall_with(&["secrets", "set", "TOKEN"], &[], VALUE)
        .ok()
        .hides(VALUE);
    assert!(world.read("landfall.secrets.toml").contains("TOKEN"));
    world.landfall(&["deploy"]).ok().hides(VALUE);
    assert_eq!(world.get("/env").json()["TOKEN"], VALUE);

    world.get(&format!("/log?text=leak-{VALUE}&count=1"));
    let line = wait("the line", || {
        let ran = world.landfall(&["logs", "--grep", "leak-"]).ok();
        (!ran.stdout.is_empty()).then_some(ran)
    });
    line.hides(VALUE);

    let seen = files_with(world.folder(), VALUE);
    assert!(seen.is_empty(), "{VALUE} stands in {seen:?}");
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&arguments).contains(VALUE),
            "{:?}",
            process.path()
        );
    }
    for arguments in [
        &["status", "--json"],
        &["config", "--json"],
        &["deployments", "1"],
        &["events", "--all"],
    ] {
        world.landfall(arguments).hides(VALUE);
    }
    world
        .landfall(&["secrets", "list"])
        .ok()
        .says(&["TOKEN"])
        .hides(VALUE);
}

#[test]
fn setting_a_secret_makes_a_release_that_can_be_rolled_back() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world
        .landfall_with(&["secrets", "set", "TOKEN"], &[], "the-first-value")
        .ok();
    world.landfall(&["deploy"]).ok();
    world
        .landfall_with(&["secrets", "set", "TOKEN"], &[], "the-second-value")
        .ok();
    assert_eq!(world.get("/env").json()["TOKEN"], "the-second-value");
    assert_eq!(world.live(), 2);
    world.landfall(&["rollback"]).ok();
    assert_eq!(world.get("/env").json()["TOKEN"], "the-first-value");
}

#[test]
fn missing_secrets_are_named_together_before_anything_starts() {
    let world =
        World::with_web("secrets = [\"TOKEN\", \"OTHER\", { name = \"SPARE\", optional = true }]");
    let ran = world.landfall(&["deploy"]).exits(6).says(&[
        "missing-secret",
        "TOKEN",
        "OTHER",
        "landfall secrets set",
    ]);
    ran.hides("SPARE");
    assert_eq!(world.fixtures(), 0);
}

#[test]
fn a_dotenv_file_is_imported_without_printing_values() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world.write(".env", &format!("# a comment\nexport TOKEN=\"{VALUE}\"\n"));
    world
        .landfall(&["secrets", "import", ".env"])
        .ok()
        .says(&["TOKEN"])
        .hides(VALUE);
    fs::remove_file(world.app().join(".env")).unwrap();
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.get("/env").json()["TOKEN"], VALUE);
    world
        .landfall(&["secrets", "unset", "TOKEN", "--no-deploy"])
        .ok();
    world
        .landfall(&["deploy"])
        .exits(6)
        .says(&["missing-secret"]);
}

#[test]
fn a_teammate_joins_and_can_deploy() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world
        .landfall_with(&["secrets", "set", "TOKEN"], &[], VALUE)
        .ok();
    let key = world.folder().join("their-key");
    let key = key.to_str().unwrap();
    let made = world.landfall(&["secrets", "keygen", "--output", key]).ok();
    let all = made.all();
    let public = all
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| word.starts_with("age1"))
        .expect("a public key");
    let stranger = [("LANDFALL_KEY_FILE", key)];
    assert_ne!(world.landfall_with(&["deploy"], &stranger, "").code, 0);
    world
        .landfall(&["secrets", "recipients", "add", "ben", public])
        .ok();
    world
        .landfall(&["secrets", "recipients", "list"])
        .ok()
        .says(&["ben", public]);
    world.landfall_with(&["deploy"], &stranger, "").ok();
    assert_eq!(world.get("/env").json()["TOKEN"], VALUE);
}

#[test]
fn a_reboot_needs_no_desk() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world
        .landfall_with(&["secrets", "set", "TOKEN"], &[], VALUE)
        .ok();
    world.landfall(&["deploy"]).ok();
    world.cut_power();
    fs::remove_dir_all(world.user()).unwrap();
    world.landfall(&["host", "start"]).ok();
    wait("it serves again", || {
        (world.status()["condition"] == "healthy").then_some(())
    });
    assert_eq!(world.get("/env").json()["TOKEN"], VALUE);
}
