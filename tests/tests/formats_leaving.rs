//! docs/leaving.md and docs/deploy-guide.md, typed line by line: two examples leave, and nothing of theirs is
//! lost; a third is deployed by Compose.

#![cfg(feature = "formats")]

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use landfall_tests::{
    Ran, World,
    engine::docker,
    get,
    tools::{run, tool, workspace},
    wait,
    world::{copy, example, program},
};

/// The commands below a heading of docs/leaving.md.
fn typed(heading: &str) -> Vec<String> {
    typed_of("leaving.md", heading)
}

/// The commands below a heading of a page, those of several lines as one.
fn typed_of(page: &str, heading: &str) -> Vec<String> {
    let page = fs::read_to_string(workspace().join("docs").join(page))
        .unwrap_or_else(|error| panic!("{page}: {error}"));
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap_or_else(|| panic!("no `{heading}`"));
    let mut commands: Vec<String> = Vec::new();
    for line in section.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else if let (Some(more), Some(last)) = (line.strip_prefix("> "), commands.last_mut()) {
            last.push('\n');
            last.push_str(more);
        }
    }
    assert!(commands.len() > 2, "{commands:?}");
    commands
}

/// Somebody with a shell in the app's folder, who has landfall and Docker with Compose.
struct Stranger {
    world: World,
    /// What is taken away in the end, by its names at the Engine.
    container: Option<&'static str>,
}

impl Stranger {
    fn with(name: &str) -> Self {
        let world = World::new();
        copy(&example(name), &world.app());
        let plugins = world.user().join(".docker/cli-plugins");
        fs::create_dir_all(&plugins).expect("a temporary folder");
        symlink(tool("docker-compose"), plugins.join("docker-compose")).expect("a fresh folder");
        Self {
            world,
            container: None,
        }
    }

    fn sh(&self, command: &str) -> Ran {
        let landfall = program("landfall");
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", landfall.parent().expect("a folder").display());
        run(self
            .world
            .command("/bin/sh".as_ref())
            .args(["-eu", "-c", command])
            .env("PATH", path)
            .stdin(Stdio::null()))
    }

    /// Appends to the app file.
    fn adds(&self, text: &str) {
        let file = self.world.read("landfall.toml");
        self.world
            .write("landfall.toml", &format!("{file}\n{text}"));
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.sh(
            "[ ! -e compose.yaml ] || docker compose --profile '*' down -v --remove-orphans -t 1",
        );
        if let Some(container) = self.container {
            let _ = self.sh(&format!("docker rm -f {container}"));
        }
        // What the pages name; all of it was built here.
        for image in [
            "marketplace-backend",
            "marketplace-telegram",
            "union-action-all",
            "union-action",
            "ghcr.io/trakrf/spec-editor:latest",
        ] {
            let _ = self.sh(&format!("docker rmi {image}"));
        }
    }
}

#[test]
fn with_compose_and_engine_the_marketplace_leaves_with_all_that_it_has() {
    const TOKEN: &str = "4242:it's \"so\" $secret";
    let stranger = Stranger::with("marketplace");
    let world = &stranger.world;
    let port = world.ports().1;
    stranger.adds(&format!(
        "[environment.production.service.backend]\nvolumes = {{ pictures = \"/var/lib/pictures\" }}\n\
         env = {{ TELEGRAM_API_URL = \"${{service.telegram.url}}\", PUBLIC_URL = \"${{service.backend.url}}\" }}\n\
         [environment.production.service.telegram]\nroot = \"telegram-stand-in\"\nbuild = \"Dockerfile\"\nport = 8081\npublish = {port}\nhealth = \"/\"\n"
    ));
    world.git(&["init", "-q"]);
    world.git(&["add", "-A"]);
    world.git(&["commit", "-qm", "all of it"]);
    // A token that Telegram would take; another secret beside it has every letter that could go wrong.
    for (name, value) in [("BOT_TOKEN", "4242:nobody-may-see"), ("ODD", TOKEN)] {
        world
            .landfall_with(
                &["secrets", "set", name, "-e", "production", "--no-deploy"],
                &[],
                value,
            )
            .ok();
    }
    world
        .landfall(&["deploy", "production", "--allow-dirty"])
        .ok();

    // Something to lose: rows, a key of Redis, a file.
    let sql = |text: &str| {
        world
            .landfall(&["psql", "-e", "production", "--", "-qAtc", text])
            .ok()
            .stdout
    };
    sql("CREATE TABLE kept (id bigserial primary key, text text, at timestamptz default now())");
    sql(
        "INSERT INTO kept (text) SELECT 'row ' || n || ' it''s \\ ä' FROM generate_series(1, 5000) n",
    );
    const SUM: &str = "SELECT count(*), md5(string_agg(kept::text, '|' ORDER BY id)) FROM kept";
    const NEXT: &str = "SELECT last_value FROM kept_id_seq";
    let (before, next) = (sql(SUM), sql(NEXT));
    world
        .landfall(&[
            "redis-cli",
            "-e",
            "production",
            "--",
            "SET",
            "greeting",
            "it's kept",
        ])
        .ok();
    world
        .landfall(&[
            "exec",
            "backend",
            "-e",
            "production",
            "--",
            "python",
            "-c",
            "open('/var/lib/pictures/one','w').write('a picture')",
        ])
        .ok();

    for command in typed("A database and a kept folder") {
        if command.starts_with("rm ") {
            // Up to here it can be undone; before what can't be, look at what came along.
            let psql = |text: &str| {
                stranger
                    .sh(&format!("docker compose exec -T postgres psql -qAt -U marketplace marketplace -c \"{text}\""))
                    .ok()
                    .stdout
            };
            assert_eq!(psql(SUM), before);
            assert_eq!(psql(NEXT), next);
            psql("INSERT INTO kept (text) VALUES ('and one more')");
            stranger
                .sh("docker compose exec -T redis redis-cli GET greeting")
                .ok()
                .says(&["it's kept"]);
            stranger
                .sh("docker compose exec -T backend cat /var/lib/pictures/one")
                .ok()
                .says(&["a picture"]);
            stranger
                .sh("docker compose exec -T backend sh -c 'echo more >>/var/lib/pictures/one'")
                .ok();
            let answer = wait("the bot's stand-in answers", || {
                get(&format!("http://127.0.0.1:{port}/")).ok()
            });
            assert_eq!(answer.status, 200);
            let environment = stranger
                .sh("docker compose exec -T backend printenv BOT_TOKEN")
                .ok();
            assert_eq!(environment.stdout, "4242:nobody-may-see\n");
            for command in typed("Going back") {
                stranger.sh(&command).ok();
            }
            assert_eq!(sql(SUM), before, "what was there before is there still");
            sql("INSERT INTO kept (text) VALUES ('written in the old place')");
            stranger
                .sh("landfall down -e production --yes && docker compose up -d --wait")
                .ok();
        }
        let ran = stranger.sh(&command).ok();
        assert!(
            !ran.all().contains("nobody-may-see"),
            "a secret is told: {ran}"
        );
    }
    // It runs on without anything of Landfall.
    stranger
        .sh("docker compose ps --format json")
        .ok()
        .says(&["healthy"]);
    let left = docker(&[
        "ps",
        "-aq",
        "--filter",
        &format!("label=landfall.home={}", world.home().display()),
    ]);
    assert_eq!(left.trim(), "");
    // And Compose reads the odd secret as it was meant.
    world.write(
        "odd.yaml",
        "name: odd\nservices:\n  odd:\n    image: x\n    environment:\n      ODD: \"${ODD}\"\n",
    );
    let read = stranger
        .sh("docker compose -f odd.yaml config --format json")
        .ok();
    let read: serde_json::Value = serde_json::from_str(&read.stdout).unwrap();
    assert_eq!(
        read["services"]["odd"]["environment"]["ODD"]
            .as_str()
            .unwrap()
            .replace("$$", "$"),
        TOKEN
    );
}

#[test]
fn with_engine_the_union_action_leaves_with_both_its_processes() {
    let mut stranger = Stranger::with("union-action");
    stranger.container = Some("union-action");
    stranger.adds("[environment.production]\n");
    let world = &stranger.world;
    world.git(&["init", "-q"]);
    world.git(&["add", "-A"]);
    world.git(&["commit", "-qm", "all of it"]);
    const KEY: &str = "sk-it's \"so\" $HOME";
    world
        .landfall_with(
            &[
                "secrets",
                "set",
                "OPENAI_API_KEY",
                "-e",
                "production",
                "--no-deploy",
            ],
            &[],
            KEY,
        )
        .ok();
    world
        .landfall(&["deploy", "production", "--allow-dirty"])
        .ok();
    let port = world.ports().1;
    for command in typed("Two processes in one container") {
        // Another test, or this machine, may have that port.
        let command = command.replace("-p 8000:8000", &format!("-p {port}:8000"));
        if command.contains("supervisorctl") {
            wait("both processes run", || {
                (stranger.sh(&command).code == 0).then_some(())
            });
        }
        stranger.sh(&command).ok();
    }
    let answer = wait("the api answers", || {
        get(&format!("http://127.0.0.1:{port}/health")).ok()
    });
    assert_eq!(answer.status, 200);
    let key = stranger
        .sh("docker exec union-action printenv OPENAI_API_KEY")
        .ok();
    assert_eq!(key.stdout, format!("{KEY}\n"));
    wait("the agent has asked its api", || {
        let ran = stranger.sh("docker logs union-action");
        (ran.all().contains("agent") || ran.all().contains("GET /")).then_some(())
    });
    // Killed from inside, each is started again.
    stranger.sh("docker exec union-action sh -c 'kill -9 $(supervisorctl --configuration supervisord.conf pid agent)'").ok();
    wait("both run again", || {
        (stranger
            .sh("docker exec union-action supervisorctl --configuration supervisord.conf status")
            .code
            == 0)
            .then_some(())
    });
    let stopped = Command::new("docker")
        .args(["stop", "-t", "20", "union-action"])
        .status()
        .unwrap();
    assert!(stopped.success());
    let state = docker(&["inspect", "-f", "{{.State.ExitCode}}", "union-action"]);
    assert_eq!(state.trim(), "0", "it ends when it is asked to");
}

#[test]
fn with_compose_and_engine_the_spec_editor_is_deployed_as_the_guide_says() {
    let stranger = Stranger::with("spec-editor");
    let world = &stranger.world;
    let (editor, echo) = (world.ports().1, world.ports().1 - 1);
    let own = |command: &str| {
        command
            .replace("localhost:5000", &format!("localhost:{editor}"))
            // The test's own commit, which nobody published.
            .replace("main-1a2b3c4", "latest")
    };
    for section in ["On a server", "Monitoring"] {
        for command in typed_of("deploy-guide.md", section) {
            match command.split(' ').next().unwrap_or_default() {
                // There is no other machine, and no editor to fill the file in with.
                "ssh" | "scp" => {}
                "${EDITOR:-nano}" => {
                    stranger
                        .sh("docker compose up -d --wait")
                        .exits(1)
                        .says(&["GH_TOKEN", "set it in .env"]);
                    let text = world
                        .read(".env")
                        .replace("GH_TOKEN=\n", "GH_TOKEN=good-token-that-nobody-may-see\n");
                    world.write(
                        ".env",
                        &format!("{text}SPEC_EDITOR_PORT={editor}\nDEMO_APP_PORT={echo}\n"),
                    );
                }
                _ => drop(stranger.sh(&own(&command)).ok().hides("good-token")),
            }
        }
    }
    // An update: what was built counts as pulled, and the tag can be named.
    for command in typed_of("deploy-guide.md", "Updates").iter().skip(1) {
        stranger.sh(&own(command)).ok();
    }
    wait("the editor answers", || {
        get(&format!("http://127.0.0.1:{editor}/health"))
            .ok()
            .filter(|answer| answer.status == 200)
    });
}
