//! The workflows of GitHub Actions, as files: fresh or stale, a user's own lines kept.

use landfall_tests::{World, world::example};

const STEP: &str =
    "      - name: Install what the tests need\n        run: pip install -r requirements.txt\n";

fn world() -> World {
    let world = World::with_web("\n[pipeline]\ntests = [{ run = \"pytest\" }]\n");
    world.landfall(&["render", "github"]).ok();
    world
}

#[test]
fn the_workflows_of_the_examples_are_fresh() {
    let world = World::new();
    for name in ["marketplace", "spec-editor"] {
        let file = example(name).join("landfall.toml");
        let file = file.to_str().expect("a plain name");
        world
            .landfall(&["--file", file, "render", "github", "--check"])
            .ok();
    }
}

#[test]
fn steps_of_the_user_stay_when_a_test_is_added() {
    let world = world();
    let path = ".github/workflows/ci.yml";
    let place = "      # landfall:keep test-setup\n";
    let own = world.read(path).replace(place, &format!("{place}{STEP}"));
    assert!(own.contains(STEP), "{own}");
    world.write(path, &own);
    world.landfall(&["render", "github", "--check"]).ok();
    let file = world.read("landfall.toml").replace(
        "{ run = \"pytest\" }",
        "{ run = \"pytest\" }, { run = \"ruff check\" }",
    );
    world.write("landfall.toml", &file);
    world
        .landfall(&["render", "github", "--check"])
        .exits(1)
        .says(&["stale-files", path]);
    world.landfall(&["render", "github"]).ok();
    let anew = world.read(path);
    assert!(
        anew.contains(STEP) && anew.contains("run: ruff check"),
        "{anew}"
    );
}

#[test]
fn a_workflow_of_somebody_else_stays() {
    let world = World::with_web("");
    world.write(".github/workflows/ci.yml", "name: mine\n");
    world
        .landfall(&["render", "github"])
        .exits(6)
        .says(&["foreign-file", "ci.yml"]);
    assert_eq!(world.read(".github/workflows/ci.yml"), "name: mine\n");
}

#[test]
fn what_a_deployment_would_refuse_is_said() {
    let world =
        World::with_web("\n[environment.production]\ntarget = \"ssh://deploy@203.0.113.7\"\n");
    world.landfall(&["render", "github"]).ok().says(&[
        "environment.production",
        "refuses",
        "its own machine only",
    ]);
    let text = world.read(".github/workflows/deploy-production.yml");
    assert!(text.contains("# NOT YET: "), "{text}");
}
