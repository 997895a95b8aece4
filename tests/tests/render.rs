//! `landfall render`, as a user meets it: what is written, kept, refused and found stale. No tools needed.

use std::{fs, os::unix::fs::PermissionsExt as _};

use landfall_tests::World;

/// Two processes, a job, a secret: every format has something to say of it.
const APP: &str = r#"app = "shop"

[service.web]
build   = "Dockerfile"
port    = 3000
health  = "/health"
secrets = [{ name = "TOKEN", optional = true }]
migrate = "bin/migrate"

[service.web.process.api]
command = "python -m api --port $PORT"

[service.web.process.agent]
command = "python -m agent"
after   = "api"

[job.nightly]
run      = "bin/report"
schedule = "30 2 * * *"

[environment.production]
"#;

/// Each format with a file of it.
const FORMATS: [(&str, &str); 6] = [
    ("dockerfile", "Dockerfile"),
    ("compose", "compose.local.yaml"),
    ("github", ".github/workflows/ci.yml"),
    ("dokku", "app.json"),
    ("systemd", "systemd/shop.target"),
    ("supervisord", "supervisord.conf"),
];

fn world() -> World {
    let world = World::new();
    world.write("landfall.toml", APP);
    world.write("requirements.txt", "");
    world.write("api.py", "");
    world
}

/// All that stands in the app's folder, by path.
fn files(world: &World) -> Vec<(String, String)> {
    fn of(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a file of the test").flatten() {
            match entry.file_type().expect("a file of the test").is_dir() {
                true => of(&entry.path(), found),
                false => found.push((
                    entry.path().display().to_string(),
                    fs::read_to_string(entry.path()).expect("a file of the test"),
                )),
            }
        }
    }
    let mut found = Vec::new();
    of(&world.app(), &mut found);
    found.sort();
    found
}

#[test]
fn each_format_is_written_once_and_then_as_it_is() {
    for (format, path) in FORMATS {
        let world = world();
        let written = world.landfall(&["render", format]).ok();
        assert!(
            written.stdout.contains(&format!("{path}: written (")),
            "{written}"
        );
        assert!(world.read(path).contains("landfall:digest "), "{format}");
        let before = files(&world);
        let again = world.landfall(&["render", format]).ok().hides(": written");
        assert!(
            again.stdout.contains(&format!("{path}: as it is")),
            "{again}"
        );
        assert_eq!(files(&world), before, "{format}");
        world.landfall(&["render", format, "--check"]).ok();
        world.landfall(&["render", "--check"]).ok().says(&[path]);
    }
}

#[test]
fn all_formats_can_be_asked_for_at_once() {
    let world = world();
    let names: Vec<&str> = FORMATS.iter().map(|(format, _)| *format).collect();
    let arguments = [&["render", "-e", "production"], names.as_slice()].concat();
    world.landfall(&arguments).ok();
    for (_, path) in FORMATS {
        let path = path.replace(".local", "");
        assert!(world.app().join(&path).is_file(), "{path}");
    }
    // What the first writes, the others saw already: nothing changes by the next time.
    world.landfall(&arguments).ok().hides(": written");
    world.landfall(&["render", "--check"]).ok().hides("stale");
}

#[test]
fn what_the_app_file_no_longer_says_is_stale() {
    for (format, path) in FORMATS {
        let world = world();
        world.landfall(&["render", format]).ok();
        let before = files(&world);
        let other = APP
            .replace("3000", "3001")
            .replace("-m api", "-m other")
            .replace("app = \"shop\"", "app = \"shop\" # changed");
        world.write("landfall.toml", &other);
        let other_is = match format {
            // Workflows run Landfall's commands, which say no port.
            "github" => continue,
            _ => path,
        };
        world
            .landfall(&["render", format, "--check"])
            .exits(1)
            .says(&["stale-files", "landfall render", "--diff"]);
        world.landfall(&["render", "--check"]).exits(1);
        let after: Vec<_> = files(&world);
        assert_eq!(
            before
                .iter()
                .filter(|(path, _)| !path.ends_with("landfall.toml"))
                .collect::<Vec<_>>(),
            after
                .iter()
                .filter(|(path, _)| !path.ends_with("landfall.toml"))
                .collect::<Vec<_>>(),
            "--check writes nothing"
        );
        world
            .landfall(&["render", format])
            .ok()
            .says(&["written anew"]);
        world
            .landfall(&["render", format, "--check"])
            .ok()
            .says(&[other_is]);
    }
}

#[test]
fn a_missing_file_is_stale_too() {
    let world = world();
    world
        .landfall(&["render", "supervisord", "--check"])
        .exits(1)
        .says(&["stale-files", "supervisord.conf", "is missing"]);
    assert!(!world.app().join("supervisord.conf").exists());
}

#[test]
fn a_diff_shows_lines_and_writes_nothing() {
    let world = world();
    let new = world.landfall(&["render", "supervisord", "--diff"]).ok();
    assert!(
        new.stdout
            .contains("--- /dev/null\n+++ b/supervisord.conf\n"),
        "{new}"
    );
    assert!(new.stdout.contains("\n+[program:api]\n"), "{new}");
    assert!(!world.app().join("supervisord.conf").exists());
    world.landfall(&["render", "supervisord"]).ok();
    world.write("landfall.toml", &APP.replace("3000", "3001"));
    let changed = world.landfall(&["render", "supervisord", "--diff"]).ok();
    assert!(
        changed
            .stdout
            .contains("-command=python -m api --port 3000\n+command=python -m api --port 3001\n"),
        "{changed}"
    );
    assert!(world.read("supervisord.conf").contains("--port 3000"));
}

#[test]
fn somebody_elses_file_stays_and_so_does_everything_else() {
    for (format, path) in FORMATS {
        if format == "dockerfile" {
            // A Dockerfile that is there is what the app file names; see formats_dockerfile.
            continue;
        }
        let world = world();
        world.write(path, "mine\n");
        let before = files(&world);
        world.landfall(&["render", format]).exits(6).says(&[
            "foreign-file",
            path,
            "--diff",
            "--force",
            "--out",
        ]);
        assert_eq!(files(&world), before, "{format}: nothing is half written");
        world.landfall(&["render", format, "--diff"]).ok();
        assert_eq!(files(&world), before);
        world.landfall(&["render", format, "--force"]).ok();
        assert!(world.read(path).contains("landfall:digest "), "{format}");
    }
}

#[test]
fn the_last_of_several_files_being_foreign_keeps_the_first_from_being_written() {
    let world = world();
    world.write("supervisord-after.py", "mine = True\n");
    world
        .landfall(&["render", "systemd", "supervisord"])
        .exits(6)
        .says(&["foreign-file", "supervisord-after.py"]);
    assert!(!world.app().join("supervisord.conf").exists());
    assert!(!world.app().join("systemd").exists());
}

#[test]
fn what_was_changed_by_hand_stays() {
    for (path, from, to) in [
        ("supervisord.conf", "stopwaitsecs=10", "stopwaitsecs=99"),
        ("app.json", "\"startup\"", "\"liveness\""),
        (
            "systemd/shop.target",
            "WantedBy=multi-user.target",
            "WantedBy=graphical.target",
        ),
    ] {
        let world = world();
        world
            .landfall(&["render", "supervisord", "dokku", "systemd"])
            .ok();
        let mine = world.read(path).replace(from, to);
        world.write(path, &mine);
        let format = FORMATS.iter().find(|(_, one)| *one == path).unwrap().0;
        world.landfall(&["render", format]).exits(6).says(&[
            "foreign-file",
            path,
            "changed by hand",
        ]);
        world.landfall(&["render", format, "--check"]).exits(6);
        assert_eq!(world.read(path), mine);
        world.landfall(&["render", format, "--force"]).ok();
        assert!(!world.read(path).contains(to));
    }
}

#[test]
fn what_stands_in_a_users_place_is_taken_over() {
    let world = world();
    world.landfall(&["render", "supervisord"]).ok();
    let place = "; landfall:keep programs\n";
    let own = format!("{place}[program:mine]\ncommand=true\n");
    let mine = world.read("supervisord.conf").replace(place, &own);
    world.write("supervisord.conf", &mine);
    world.landfall(&["render", "supervisord", "--check"]).ok();
    world.write("landfall.toml", &APP.replace("3000", "3001"));
    world.landfall(&["render", "supervisord"]).ok();
    let now = world.read("supervisord.conf");
    assert!(now.contains(&own) && now.contains("--port 3001"), "{now}");
    // A place without an end is told, and nothing is lost.
    let open = now.replace("; landfall:end\n", "");
    world.write("supervisord.conf", &open);
    world
        .landfall(&["render", "supervisord"])
        .exits(6)
        .says(&["landfall:keep programs", "landfall:end"]);
    assert_eq!(world.read("supervisord.conf"), open);
}

#[test]
fn another_folder_can_be_written_to() {
    let world = world();
    world
        .landfall(&["render", "systemd", "--out", "elsewhere/units"])
        .ok();
    assert!(
        world
            .app()
            .join("elsewhere/units/systemd/shop.target")
            .is_file()
    );
    assert!(!world.app().join("systemd").exists());
    world
        .landfall(&["render", "systemd", "--out", "elsewhere/units", "--check"])
        .ok();
    world.landfall(&["render", "systemd", "--check"]).exits(1);
}

#[test]
fn programs_see_the_same_as_json() {
    let world = world();
    let data = world
        .landfall(&["render", "supervisord", "--json"])
        .ok()
        .data();
    assert_eq!(data["files"][0]["path"], "supervisord.conf");
    assert_eq!(data["files"][0]["change"], "new");
    assert!(data["notes"].is_array());
    let again = world
        .landfall(&["render", "supervisord", "--json"])
        .ok()
        .data();
    assert_eq!(again["files"][0]["change"], "unchanged");
    world.write("landfall.toml", &APP.replace("3000", "3001"));
    let stale = world
        .landfall(&["render", "supervisord", "--check", "--json"])
        .exits(1);
    assert_eq!(stale.data()["files"][0]["change"], "changed");
    // One object on standard output, also with the lines that change.
    let diff = world
        .landfall(&["render", "supervisord", "--diff", "--json"])
        .ok();
    assert_eq!(diff.stdout.lines().count(), 1, "{diff}");
    assert!(
        diff.data()["files"][0]["diff"]
            .as_str()
            .unwrap()
            .contains("+command=python -m api --port 3001")
    );
}

#[test]
fn what_a_format_cant_say_is_noted() {
    let world = world();
    world
        .landfall(&["render", "systemd"])
        .ok()
        .says(&["note: service.web.strategy: a new release is a restart"]);
    let data = world.landfall(&["render", "systemd", "--json"]).ok().data();
    let settings: Vec<&str> = data["notes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["setting"].as_str().unwrap())
        .collect();
    assert!(settings.contains(&"service.web.strategy"), "{settings:?}");
}

#[test]
fn an_app_file_with_mistakes_writes_nothing() {
    let world = world();
    world.write(
        "landfall.toml",
        &APP.replace("port    = 3000", "prot = 3000"),
    );
    let before = files(&world);
    for (format, _) in FORMATS {
        world.landfall(&["render", format]).exits(2).says(&["prot"]);
    }
    assert_eq!(files(&world), before);
    world.write(
        "landfall.toml",
        &format!("{APP}\nservice.web.port = \"x\"\n"),
    );
    world.landfall(&["render", "systemd"]).exits(2);
}

#[test]
fn a_format_that_has_nothing_to_say_is_refused_by_name() {
    let world = World::new();
    world.write(
        "landfall.toml",
        "app = \"shop\"\n[service.web]\ncommand = \"web\"\nport = 3000\n",
    );
    world
        .landfall(&["render", "supervisord"])
        .exits(6)
        .says(&["nothing-to-render", "several processes"]);
    world.write(
        "landfall.toml",
        "app = \"shop\"\n[service.web]\nstatic = \"public\"\n",
    );
    world
        .landfall(&["render", "systemd"])
        .exits(6)
        .says(&["nothing-to-render"]);
    world
        .landfall(&["render", "--check"])
        .ok()
        .says(&["Nothing that landfall writes stands there"]);
}

#[test]
fn what_was_written_for_an_environment_is_checked_for_it() {
    let world = world();
    world.write("landfall.toml", &format!("{APP}service.web.port = 4000\n"));
    world
        .landfall(&["render", "supervisord", "-e", "production"])
        .ok();
    let text = world.read("supervisord.conf");
    assert!(
        text.contains("landfall render supervisord -e production"),
        "{text}"
    );
    assert!(text.contains("--port 4000"), "{text}");
    world.landfall(&["render", "--check"]).ok();
    world.landfall(&["render", "supervisord", "--check"]).ok();
    world
        .landfall(&["render", "supervisord", "--check", "-e", "local"])
        .exits(1);
    world
        .landfall(&["render", "supervisord", "-e", "staging"])
        .exits(2);
}

#[test]
fn programs_can_be_executed_and_modes_are_kept() {
    let world = world();
    world.landfall(&["render", "dokku", "supervisord"]).ok();
    let mode = |path: &str| {
        fs::metadata(world.app().join(path))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("dokku/setup.sh") & 0o111, 0o111);
    assert_eq!(mode("supervisord.conf") & 0o111, 0);
    fs::set_permissions(
        world.app().join("supervisord.conf"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    world.write("landfall.toml", &APP.replace("3000", "3001"));
    world.landfall(&["render", "supervisord"]).ok();
    assert_eq!(mode("supervisord.conf") & 0o777, 0o600);
    // Nothing half written is left beside it.
    let left: Vec<_> = files(&world)
        .into_iter()
        .filter(|(path, _)| path.contains(".landfall-"))
        .collect();
    assert_eq!(left, []);
}

#[test]
fn line_ends_of_another_system_change_nothing() {
    let world = world();
    world.landfall(&["render", "supervisord", "dokku"]).ok();
    for path in ["supervisord.conf", "app.json", "Procfile"] {
        let windows = world.read(path).replace('\n', "\r\n");
        world.write(path, &windows);
    }
    world.landfall(&["render", "--check"]).ok();
}

#[test]
fn values_of_secrets_stand_in_no_file() {
    let world = world();
    world
        .landfall_with(
            &["secrets", "set", "TOKEN", "--no-deploy"],
            &[],
            "correct-horse-battery",
        )
        .ok();
    let names: Vec<&str> = FORMATS.iter().map(|(format, _)| *format).collect();
    world
        .landfall(&[&["render"], names.as_slice()].concat())
        .ok();
    for (path, text) in files(&world) {
        assert!(!text.contains("correct-horse-battery"), "{path}");
    }
}
