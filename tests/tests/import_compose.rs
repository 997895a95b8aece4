//! A compose file read by the command: what it writes, what it says, and what it leaves alone.

use landfall_tests::World;

const COMPOSE: &str = "services:
  web:
    image: mendhak/http-https-echo:25
    ports: [\"8080:8080\"]
    environment:
      HTTP_PORT: 8080
      GH_TOKEN: ghp_0123456789abcdefghij
      LEVEL: ${LEVEL:-info}
    privileged: true
";

#[test]
fn a_compose_file_becomes_an_app_file_that_passes_check() {
    let world = World::new();
    world.write("compose.yaml", COMPOSE);
    world.write(".env", "LEVEL=debug\n");
    let said = world.landfall(&["import", "compose", "compose.yaml"]).ok();
    said.says(&[
        "compose.yaml:9",
        "services.web.privileged",
        "compose.yaml:7",
        "GH_TOKEN",
    ]);
    let text = world.read("landfall.toml");
    assert!(
        text.contains("secrets") && text.contains("\"debug\""),
        "{text}"
    );
    assert!(!text.contains("ghp_"), "a secret was taken over:\n{text}");
    world.landfall(&["check"]).ok();
}

#[test]
fn what_is_no_compose_file_writes_nothing_and_says_where() {
    let world = World::new();
    for (text, says) in [
        (
            "services:\n  a: {image: x}\n  a: {image: y}\n",
            "compose.yaml:3",
        ),
        ("services:\n\ta: 1\n", "compose.yaml:2"),
        ("a: &a [*a]\n", "compose.yaml:1"),
        ("web: {image: x}\n", "first version"),
        (
            "services: {a: {image: \"${TAG:?say which}\"}}\n",
            "say which",
        ),
    ] {
        world.write("compose.yaml", text);
        let run = world.landfall(&["import", "compose", "compose.yaml"]);
        assert_ne!(run.code, 0, "{text}");
        run.says(&[says]);
        assert!(!world.app().join("landfall.toml").exists(), "{text}");
    }
}
