//! From a folder to a checked app file.

use landfall_tests::{World, world::web_file};

#[test]
fn a_python_folder_gets_a_file_that_passes_check() {
    let world = World::new();
    world.write("requirements.txt", "fastapi\nuvicorn\n");
    world.write("main.py", "from fastapi import FastAPI\napp = FastAPI()\n\n@app.get('/health')\ndef health():\n    return {}\n");
    world.landfall(&["init"]).ok().says(&["landfall.toml"]);
    assert!(
        world.read("landfall.toml").contains("[service."),
        "{}",
        world.read("landfall.toml")
    );
    world.landfall(&["check"]).ok();
    // A second time it must not overwrite what the user may have changed.
    world.write("landfall.toml", "app = \"mine\"\n");
    assert_ne!(world.landfall(&["init"]).code, 0);
    assert_eq!(world.read("landfall.toml"), "app = \"mine\"\n");
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::new();
    world.write("requirements.txt", "fastapi\n");
    world
        .landfall(&["init", "--dry-run"])
        .ok()
        .says(&["[service."]);
    assert!(!world.app().join("landfall.toml").exists());
}

#[test]
fn every_error_of_a_file_comes_at_once_with_its_line() {
    let world = World::new();
    world.write(
        "landfall.toml",
        "app = \"shop\"\n\n[service.web]\ncomand = \"run\"\nport = 70000\n\n[service.web.process.agent]\ncommand = \"x\"\nafter = \"apy\"\n",
    );
    let ran = world.landfall(&["check"]).exits(2);
    ran.says(&[
        "unknown-key",
        "did you mean `command`",
        "landfall.toml:4",
        "70000",
        "landfall.toml:5",
        "apy",
        "landfall.toml:9",
    ]);
}

#[test]
fn a_bad_file_changes_nothing() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.write("landfall.toml", &web_file("replicas = \"many\""));
    world
        .landfall(&["deploy"])
        .exits(2)
        .says(&["landfall.toml"]);
    assert_eq!((world.live(), world.version()), (1, "one".to_owned()));
}

#[test]
fn config_shows_defaults_and_never_the_value_of_a_secret() {
    let world = World::with_web("secrets = [\"TOKEN\"]");
    world.write(".env", "TOKEN=not-to-be-seen\n");
    world
        .landfall(&["config"])
        .ok()
        .says(&["interval", "TOKEN"])
        .hides("not-to-be-seen");
    let schema = world.landfall(&["config", "--schema"]).ok();
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert!(schema["properties"]["service"].is_object());
}

#[test]
fn without_an_app_file_it_says_what_to_do() {
    let world = World::new();
    for command in ["check", "deploy", "rollback"] {
        world
            .landfall(&[command])
            .exits(2)
            .says(&["landfall.toml", "landfall init"]);
    }
}

#[test]
fn habits_from_other_tools_work() {
    let world = World::with_web("");
    world.landfall(&["validate"]).ok();
    assert_eq!(
        world.landfall(&["ps", "--json"]).code,
        world.landfall(&["status", "--json"]).code
    );
    world.landfall(&["deploi"]).exits(2).says(&["deploy"]);
}

#[test]
fn the_version_is_printed_in_every_usual_way() {
    let world = World::new();
    for arguments in [&["--version"], &["-V"], &["version"]] {
        world
            .landfall(arguments)
            .ok()
            .says(&["landfall", env!("CARGO_PKG_VERSION")]);
    }
}
