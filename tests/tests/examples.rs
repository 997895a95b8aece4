//! The examples of the repository: checked, and where no network is needed deployed.

use std::fs;

use landfall_tests::{
    World, request,
    world::{copy, example},
};

#[test]
fn every_example_passes_check_without_a_warning() {
    for entry in fs::read_dir(example("")).unwrap().flatten() {
        let world = World::new();
        copy(&entry.path(), &world.app());
        let ran = world.landfall(&["check"]).ok();
        assert!(!ran.all().contains("warning"), "{ran}");
        world.landfall(&["config"]).ok();
    }
}

#[test]
fn the_static_site_is_served_with_its_headers_and_redirects() {
    let world = World::new();
    copy(&example("static-site"), &world.app());
    world
        .landfall(&["deploy"])
        .ok()
        .says(&["smoke", "/about.html"]);
    let url = world.url("site");
    let front = request("GET", &format!("{url}/"), &[], "").unwrap();
    assert_eq!(front.status, 200);
    assert!(front.body.contains("A folder of files"));
    assert_eq!(
        front.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(front.header("x-content-type-options"), Some("nosniff"));
    let home = request("GET", &format!("{url}/home"), &[], "").unwrap();
    assert_eq!((home.status, home.header("location")), (301, Some("/")));
    assert_eq!(
        request("GET", &format!("{url}/nothing"), &[], "")
            .unwrap()
            .status,
        404
    );
}
