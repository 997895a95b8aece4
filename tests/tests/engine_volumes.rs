//! Volumes of containers: kept, exported, replaced, moved to another folder and back, removed only
//! when asked. And jobs, which run in a container of their own beside their service's.
#![cfg(feature = "engine")]

use std::fs;

use landfall_tests::{World, engine, engine::unique, wait};
use serde_json::Value;

/// An app of one container with a volume, and jobs in it; deployed.
fn world(volumes: &str) -> (World, String) {
    let world = World::new();
    let app = unique("volumes");
    write(&world, &app, volumes);
    world.landfall(&["deploy"]).ok();
    (world, app)
}

fn write(world: &World, app: &str, volumes: &str) {
    world.write(
        "landfall.toml",
        &format!(
            "app = \"{app}\"\n[service.web]\nimage = \"busybox:test\"\n\
             command = [\"/bin/sh\", \"-c\", \"mkdir -p /www; echo ok > /www/index.html; exec httpd -f -p $PORT -h /www\"]\n\
             port = 8000\nhealth = \"/index.html\"\n{volumes}\n\
             [job.add]\nrun = \"echo line >> /data/file; wc -l < /data/file\"\nschedule = \"0 0 1 1 *\"\n\
             [job.long]\nrun = \"echo began; sleep 600\"\nschedule = \"0 0 1 1 *\"\n"
        ),
    );
}

/// How many lines the volume's file has after another one was added, in a job's container.
#[track_caller]
fn add(world: &World) -> String {
    let ran = world.landfall(&["jobs", "run", "add"]).ok();
    let mut said = ran.stdout.lines().filter(|line| line.contains("job-add"));
    let last = said.next_back().unwrap_or_default();
    last.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[track_caller]
fn volume(world: &World) -> Value {
    world.landfall(&["volumes", "--json"]).ok().data()[0].clone()
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("paths of tests are texts")
}

#[test]
fn a_volume_is_exported_replaced_and_moved_and_nothing_of_it_is_lost() {
    let (world, app) = world("volumes = { data = \"/data\" }");
    assert_eq!((add(&world).as_str(), add(&world).as_str()), ("1", "2"));
    let (archive, disk) = (world.folder().join("data.tar"), world.folder().join("disk"));
    world
        .landfall(&["volumes", "export", "data", text(&archive)])
        .ok();
    assert_eq!(add(&world), "3");

    fs::create_dir(&disk).expect("a fresh folder");
    let to = ["volumes", "move", "web.data", "--to", text(&disk)];
    world.landfall(&to).ok().says(&["compared", "stood still"]);
    let moved = volume(&world);
    assert_eq!(
        (&moved["moved"], &moved["path"]),
        (&true.into(), &"/data".into())
    );
    let data = disk.join(format!("{app}.local.web.data/data"));
    assert!(data.join("file").is_file(), "{moved}");
    assert_eq!(add(&world), "4");
    world.landfall(&to).exits(1).says(&["nothing-to-change"]);

    // What was exported comes back, there as well.
    let import = ["volumes", "import", "data", text(&archive), "--yes"];
    world.landfall(&import).ok().says(&["1 file"]);
    assert_eq!(add(&world), "3");
    // A part of an archive changes nothing.
    let whole = fs::read(&archive).expect("it was exported");
    fs::write(&archive, &whole[..whole.len() - 1024]).expect("a file of the test");
    world
        .landfall(&import)
        .exits(1)
        .says(&["volume-failed", "cut off"]);
    assert_eq!(add(&world), "4");

    world.landfall(&["volumes", "move", "data"]).ok();
    assert_eq!(volume(&world)["moved"], false);
    assert_eq!(fs::read_dir(&disk).expect("a folder").count(), 0);
    assert_eq!(add(&world), "5");
}

#[test]
fn a_volume_that_nobody_uses_any_more_stays_until_it_is_removed() {
    let (world, app) = world("volumes = { data = \"/data\" }");
    add(&world);
    let remove = ["volumes", "remove", "data", "--yes"];
    world.landfall(&remove).exits(6).says(&["volume-used"]);
    write(&world, &app, "tmpfs = [\"/data\"]");
    world.landfall(&["deploy"]).ok();
    world.landfall(&["volumes"]).ok().says(&["unused, kept"]);
    let folder = volume(&world)["folder"].as_str().map(str::to_owned);
    let folder = folder.expect("it has a folder");
    assert!(std::path::Path::new(&folder).join("file").is_file());
    let unsure = ["volumes", "remove", "data"];
    world.landfall(&unsure).exits(6).says(&["not-confirmed"]);
    world.landfall(&remove).ok().says(&["freed"]);
    assert!(!std::path::Path::new(&folder).exists());
    world.landfall(&["volumes"]).ok().says(&["no volumes"]);
}

#[test]
fn what_a_killed_host_left_of_a_job_is_removed_with_its_container() {
    let (world, _) = world("volumes = { data = \"/data\" }");
    world.landfall(&["jobs", "run", "--detach", "long"]).ok();
    let jobs = || {
        let containers = engine::containers(&world.home());
        containers
            .iter()
            .filter(|name| name.contains(".run-"))
            .count()
    };
    wait("the job's container is there", || {
        (jobs() == 1).then_some(())
    });
    world.kill_host();
    world.landfall(&["host", "start"]).ok();
    wait("it is gone", || (jobs() == 0).then_some(()));
    let listed = world.landfall(&["jobs", "--json"]).ok().data();
    let long = listed
        .as_array()
        .and_then(|jobs| jobs.iter().find(|job| job["name"] == "long"));
    assert_eq!(long.expect("it is a job")["last"]["outcome"], "cut-off");
}
