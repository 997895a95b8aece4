//! Back to an earlier release, whole.

use landfall_tests::World;

#[test]
fn rolling_back_takes_code_configuration_and_secrets_back() {
    let world = World::with_web("secrets = [\"TOKEN\"]\nenv = { COLOUR = \"red\" }");
    world.write(".env", "TOKEN=first-secret-value\n");
    world.landfall(&["deploy"]).ok();
    world.web("two", "secrets = [\"TOKEN\"]\nenv = { COLOUR = \"blue\" }");
    world.write(".env", "TOKEN=second-secret-value\n");
    world.landfall(&["deploy"]).ok();
    let seen = |world: &World| {
        let variables = world.get("/env").json();
        let text = |name: &str| variables[name].as_str().unwrap_or_default().to_owned();
        (world.version(), text("COLOUR"), text("TOKEN"))
    };
    let first = (
        "one".to_owned(),
        "red".to_owned(),
        "first-secret-value".to_owned(),
    );
    let second = (
        "two".to_owned(),
        "blue".to_owned(),
        "second-secret-value".to_owned(),
    );
    assert_eq!(seen(&world), second);
    world
        .landfall(&["rollback"])
        .ok()
        .says(&["release 1", "COLOUR"])
        .hides("secret-value");
    assert_eq!(seen(&world), first);
    world.landfall(&["rollback", "2"]).ok();
    assert_eq!(seen(&world), second);
    world.landfall(&["rollback", "1", "--keep-secrets"]).ok();
    assert_eq!(seen(&world), (first.0, first.1, second.2));
}

#[test]
fn an_unknown_release_is_an_error_that_names_the_known_ones() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    let nothing_before = world.landfall(&["rollback"]);
    assert_ne!(nothing_before.code, 0, "{nothing_before}");
    world.web("two", "");
    world.landfall(&["deploy"]).ok();
    let ran = world
        .landfall(&["rollback", "77"])
        .says(&["unknown-release", "77", "1", "2"]);
    assert_ne!(ran.code, 0, "{ran}");
    assert_eq!(world.version(), "two");
}

#[test]
fn a_rollback_that_fails_leaves_what_served() {
    let world = World::with_web("");
    world.landfall(&["deploy"]).ok();
    world.web("two", "");
    world.landfall(&["deploy"]).ok();
    let ran = world.landfall_with(&["rollback"], &[], "");
    ran.ok();
    assert_eq!(world.version(), "one");
}
