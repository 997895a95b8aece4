//! Rendered compose files as a user meets them. What Compose says of them is in `formats_compose`.

use landfall_tests::{
    World,
    world::{copy, example},
};

/// An app that runs on a server too.
const SHOP: &str = "app = \"shop\"\n[service.web]\nimage = \"nginx:1-alpine\"\nport = 80\npublish = 8080\nhealth = \"/\"\n\
     secrets = [\"TOKEN\"]\n[environment.production]\nservice.web.domains = [\"shop.example.com\"]\n";

#[test]
fn the_examples_carry_their_compose_files_as_they_are_rendered() {
    for name in ["spec-editor", "marketplace"] {
        let world = World::new();
        copy(&example(name), &world.app());
        world
            .landfall(&["render", "compose", "--check"])
            .ok()
            .says(&[
                "compose.local.yaml: as it is",
                ".env.local.example: as it is",
            ]);
    }
}

#[test]
fn what_is_written_is_told_with_what_it_does_not_say() {
    let world = World::new();
    world.write("landfall.toml", SHOP);
    world.write(".gitignore", "target\n");
    let render = ["render", "compose", "-e", "production"];
    world.landfall(&render).ok().says(&[
        "compose.yaml: written",
        ".env.example: written",
        "note: service.web.domains: needs a reverse proxy in front",
    ]);
    assert_eq!(world.read(".gitignore"), "target\n/.env\n");
    assert!(
        world
            .read("compose.yaml")
            .contains("TOKEN: \"${TOKEN:?set it in .env}\"")
    );
    assert!(world.read(".env.example").contains("\nTOKEN=\n"));
}

#[test]
fn what_a_user_added_in_his_places_stays_and_anything_else_is_not_overwritten() {
    let world = World::new();
    world.write("landfall.toml", SHOP);
    let render = ["render", "compose", "-e", "production"];
    world.landfall(&render).ok();
    let mark = "  # landfall:keep services\n";
    let added = format!("{mark}  mine:\n    image: busybox:1\n");
    let mine = world.read("compose.yaml").replace(mark, &added);
    world.write("compose.yaml", &mine);
    world.write("landfall.toml", &SHOP.replace("8080", "9090"));
    world.landfall(&render).ok();
    let anew = world.read("compose.yaml");
    assert!(
        anew.contains(&added) && anew.contains("WEB_PORT:-9090"),
        "{anew}"
    );

    world.write("compose.yaml", &anew.replace("nginx:1", "nginx:2"));
    world
        .landfall(&render)
        .exits(6)
        .says(&["foreign-file", "changed by hand"]);
    // Theirs, which Compose puts over ours, is none of our business.
    world.write("compose.yaml", &anew);
    world.write("compose.override.yaml", "services: {}\n");
    world
        .landfall(&["render", "compose", "-e", "production", "--check"])
        .ok();
}
