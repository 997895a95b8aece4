//! Other tools' files become an app file: written once, never over another, with everything said that has
//! no equal.

use landfall_tests::World;

const PROCFILE: &str = "release: python manage.py migrate\nweb: gunicorn shop.wsgi --bind 0.0.0.0:$PORT\nworker: celery -A shop worker | tee log\n";

const SUPERVISORD: &str = "[supervisord]\nnodaemon=true\n\n[program:api]\ncommand=uvicorn app.main:app --port %(ENV_PORT)s\npriority=10\n\n[program:agent]\ncommand=python -m agent ; talks to it\npriority=20\nuser=nobody\nenvironment=API_TOKEN=\"hunter2\",MODE=\"fast\"\n";

const FLY: &str = "app = \"shop\"\nprimary_region = \"fra\"\nswap_size_mb = 512\n\n[build]\ndockerfile = \"Dockerfile\"\n\n[env]\nLOG_LEVEL = \"info\"\n\n[http_service]\ninternal_port = 8080\n[[http_service.checks]]\npath = \"/health\"\n";

const KAMAL: &str = "service: shop\nimage: acme/shop\nservers:\n  web:\n    - 203.0.113.7\nproxy:\n  host: shop.example.com\n  app_port: 3000\nenv:\n  clear:\n    LOG_LEVEL: info\n  secret:\n    - RAILS_MASTER_KEY\naccessories:\n  db:\n    image: postgres:16\n    directories:\n      - data:/var/lib/postgresql/data\n";

const HEROKU: &str = "{ \"name\": \"Shop\", \"env\": { \"SECRET\": { \"generator\": \"secret\" } }, \"addons\": [\"heroku-postgresql:mini\", \"papertrail\"] }\n";

#[test]
fn each_format_becomes_a_file_that_passes_check() {
    for (format, file, text, holds) in [
        (
            "procfile",
            "Procfile",
            PROCFILE,
            "migrate = \"python manage.py migrate\"",
        ),
        (
            "supervisord",
            "supervisord.conf",
            SUPERVISORD,
            "[service.app.process.agent]",
        ),
        ("fly", "fly.toml", FLY, "health = \"/health\""),
        (
            "kamal",
            "config/deploy.yml",
            KAMAL,
            "domains = [\"shop.example.com\"]",
        ),
        ("heroku", "app.json", HEROKU, "[backing.postgres]"),
    ] {
        let world = World::new();
        world.write("requirements.txt", "x\n");
        world.write("Dockerfile", "FROM python:3.13-slim\n");
        world.write("Procfile", PROCFILE);
        world.write(file, text);
        world.landfall(&["import", format]).ok().says(&[
            "Wrote  landfall.toml",
            "taken over",
            "Next",
        ]);
        let written = world.read("landfall.toml");
        assert!(written.contains(holds), "{written}");
        world.landfall(&["check"]).ok();
        // What a user may have changed since stays.
        world
            .landfall(&["import", format])
            .exits(6)
            .says(&["file-exists"]);
        assert_eq!(world.read("landfall.toml"), written);
    }
}

#[test]
fn what_has_no_equal_is_said_with_its_line_and_counted() {
    let world = World::new();
    world.write("fly.toml", FLY);
    world.landfall(&["import", "fly"]).ok().says(&[
        "Without an equal, left out:",
        "fly.toml:3",
        "swap_size_mb",
        "1 has no equal",
    ]);
}

#[test]
fn a_secret_in_plain_text_is_named_and_never_shown() {
    let world = World::new();
    world.write("supervisord.conf", SUPERVISORD);
    world
        .landfall(&["import", "supervisord"])
        .ok()
        .says(&[
            "supervisord.conf:12",
            "API_TOKEN",
            "landfall secrets set API_TOKEN",
        ])
        .hides("hunter2");
    let written = world.read("landfall.toml");
    assert!(
        written.contains("secrets = [\"API_TOKEN\"]") && !written.contains("hunter2"),
        "{written}"
    );
}

#[test]
fn a_dry_run_prints_and_writes_nothing() {
    let world = World::new();
    world.write("Procfile", PROCFILE);
    world
        .landfall(&["import", "procfile", "--dry-run"])
        .ok()
        .says(&["app = ", "gunicorn shop.wsgi"]);
    assert!(!world.app().join("landfall.toml").exists());
}

#[test]
fn json_says_the_same_for_programs() {
    let world = World::new();
    world.write("fly.toml", FLY);
    let ran = world.landfall(&["import", "fly", "--json"]).ok();
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let data = &said["data"];
    assert_eq!(
        (said["kind"].as_str(), data["written"].as_bool()),
        (Some("import"), Some(true))
    );
    let lost = data["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|remark| remark["key"] == "swap_size_mb")
        .unwrap();
    assert_eq!(
        (lost["kind"].as_str(), lost["line"].as_u64()),
        (Some("lost"), Some(3))
    );
    assert_eq!(
        data["text"].as_str(),
        Some(world.read("landfall.toml").as_str())
    );
}

#[test]
fn what_cant_be_read_is_refused_and_nothing_is_written() {
    for (format, file, text, says) in [
        (
            "procfile",
            "Procfile",
            b"nothing here\n".as_slice(),
            "names no process",
        ),
        (
            "supervisord",
            "supervisord.conf",
            b"[program:x]\nwhat\n",
            "supervisord.conf:2",
        ),
        ("fly", "fly.toml", b"app = \"x\"\nwhat\n", "fly.toml:2"),
        (
            "kamal",
            "config/deploy.yml",
            b"a: b\n",
            "no file of Kamal's",
        ),
        (
            "heroku",
            "app.json",
            b"{ \"expo\": {} }",
            "nothing of an app for Heroku",
        ),
        ("procfile", "Procfile", b"web: \xff\n", "no UTF-8"),
        ("fly", "fly.toml", b"app = \"\0\"", "NUL"),
    ] {
        let world = World::new();
        std::fs::create_dir_all(world.app().join("config")).unwrap();
        std::fs::write(world.app().join(file), text).unwrap();
        world
            .landfall(&["import", format])
            .exits(2)
            .says(&["bad-import", says]);
        assert!(!world.app().join("landfall.toml").exists());
    }
    let world = World::new();
    world
        .landfall(&["import", "fly"])
        .exits(2)
        .says(&["no-such-file", "fly.toml"]);
    world
        .landfall(&["import", "procfile", "not/there"])
        .exits(2)
        .says(&["no-such-file", "not/there"]);
    world
        .landfall(&["import", "nonsense"])
        .exits(2)
        .says(&["possible values"]);
}

#[test]
fn a_file_of_100_mib_is_refused_before_it_is_read() {
    let world = World::new();
    let file = std::fs::File::create(world.app().join("Procfile")).unwrap();
    file.set_len(100 << 20).unwrap();
    world
        .landfall(&["import", "procfile"])
        .exits(2)
        .says(&["bad-import", "100 MiB"]);
}

#[test]
fn files_outside_are_read_only_where_they_are_named() {
    let world = World::new();
    let outside = world.app().parent().unwrap().join("outside.conf");
    std::fs::write(&outside, "[program:other]\ncommand=bin/other\n").unwrap();
    world.write(
        "supervisord.conf",
        "[include]\nfiles=../outside.conf\n[program:web]\ncommand=bin/web\n",
    );
    world
        .landfall(&["import", "supervisord", "--dry-run"])
        .ok()
        .says(&["bin/web", "outside.conf is not read"])
        .hides("bin/other");
    world
        .landfall(&[
            "import",
            "supervisord",
            "supervisord.conf",
            "../outside.conf",
        ])
        .ok();
    assert!(world.read("landfall.toml").contains("bin/other"));
}

#[test]
fn init_imports_the_strongest_file_that_it_finds() {
    let world = World::new();
    world.write("Dockerfile", "FROM python:3.13-slim\n");
    world.write("fly.toml", FLY);
    world.write("Procfile", PROCFILE);
    world
        .landfall(&["init"])
        .ok()
        .says(&["fly.toml: imported", "swap_size_mb"]);
    assert!(
        world.read("landfall.toml").contains("port   = 8080"),
        "{}",
        world.read("landfall.toml")
    );
    world.landfall(&["check"]).ok();
}

#[test]
fn init_looks_at_the_folder_where_another_file_says_nothing() {
    let world = World::new();
    world.write("requirements.txt", "fastapi\nuvicorn\n");
    world.write("main.py", "from fastapi import FastAPI\napp = FastAPI()\n");
    world.write("app.json", "{ \"expo\": {} }");
    world
        .landfall(&["init"])
        .ok()
        .says(&["app.json", "not used", "main.py"]);
    world.landfall(&["check"]).ok();
}
