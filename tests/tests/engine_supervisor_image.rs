//! A rendered Dockerfile of several processes builds upon an image of our supervisor, which a deployment
//! makes itself and no registry is asked for.

#![cfg(feature = "engine")]

use std::process::Command;

use landfall_tests::{
    World,
    engine::{containers, docker, unique},
    get,
    registry::{PASSWORD, Registry},
    wait,
    world::kill,
};
use serde_json::Value;

#[track_caller]
fn page(world: &World, path: &str) -> String {
    let url = format!("{}{path}", world.url("web"));
    let answer = get(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!(answer.status, 200, "{url}: {answer:?}");
    answer.body
}

/// Two processes that a rendered Dockerfile's image runs, upon what the Engine's tests have.
fn two_processes() -> (World, String, String) {
    let world = World::new();
    let app = unique("several");
    world.write(
        "landfall.toml",
        &format!(
            "app = \"{app}\"\n\n[service.web]\nbuild = \"Dockerfile\"\nport = 8000\n\
             restart = {{ delay = \"100ms\" }}\n\n\
             [service.web.process.api]\ncommand = [\"httpd\", \"-f\", \"-p\", \"8000\"]\n\
             health = {{ ready = \"/page\", interval = \"200ms\" }}\n\n\
             [service.web.process.agent]\ncommand = [\"sleep\", \"1000000\"]\nafter = \"api\"\n"
        ),
    );
    world.write("requirements.txt", "");
    world.write("page", &app);
    world.landfall(&["render", "dockerfile"]).ok();
    let rendered = world.read("Dockerfile");
    let line = |start: &str| {
        let mut lines = rendered.lines();
        lines
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("it has no {start}: {rendered}"))
            .to_owned()
    };
    // Its own lines about the supervisor, without the language that no registry gives these tests.
    let text = format!(
        "{}\nFROM ${{SUPERVISE}} AS supervise\nFROM busybox:test\nWORKDIR /app\nCOPY page /app/page\n{}\n{}\n{}\n",
        line("ARG SUPERVISE="),
        line("COPY --from=supervise"),
        rendered
            .lines()
            .find(|line| line.starts_with("COPY ") && line.contains("supervise.json"))
            .expect("it copies the supervisor's file"),
        line("CMD "),
    );
    world.write("Dockerfile", &text);
    let image = line("ARG SUPERVISE=").replace("ARG SUPERVISE=", "");
    (world, app, image)
}

fn pids(world: &World) -> Vec<(String, u32)> {
    let mut found = world.processes();
    found.sort();
    found
}

#[test]
fn a_registry_is_not_asked_for_the_supervisor_of_a_rendered_dockerfile() {
    let (world, app, image) = two_processes();
    // What another test left of it is no reason for this one to pass.
    let _ = Command::new("docker").args(["rmi", "-f", &image]).output();
    world
        .landfall(&["deploy", "local"])
        .ok()
        .says(&[&format!("{image} imported")]);
    assert_eq!(page(&world, "/page"), app);
    let labels = docker(&["inspect", "--format", "{{json .Config.Labels}}", &image]);
    let labels: Value = serde_json::from_str(&labels).expect("docker prints JSON");
    assert_eq!(
        labels["org.opencontainers.image.title"],
        "landfall-supervise"
    );
    assert!(labels["landfall.artifact"].is_string(), "{labels}");

    let before = pids(&world);
    let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["agent", "api"]);
    let container = &containers(&world.home())[0];
    let running = docker(&["top", container, "-eo", "pid,args"]);
    let agent = running
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .find(|(_, words)| words.trim().starts_with("sleep 1000000"))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("the agent runs: {running}"));
    kill(agent);
    wait("the killed process is back", || {
        let now = pids(&world);
        let of = |all: &[(String, u32)], name: &str| {
            let mut all = all.iter();
            all.find(|one| one.0 == name).map(|one| one.1)
        };
        let is_new = of(&now, "agent").is_some() && of(&now, "agent") != of(&before, "agent");
        (is_new && of(&now, "api") == of(&before, "api")).then_some(())
    });
    wait("web answers again", || {
        let answer = get(&format!("{}/page", world.url("web"))).ok()?;
        (answer.status == 200 && answer.body == app).then_some(())
    });

    // There now, so not made again; and with --pull no registry is asked for it, but for the others.
    world.write("page", "two");
    let again = world.landfall(&["deploy", "local"]).ok();
    again.hides("imported");
    assert_eq!(page(&world, "/page"), "two");
    let registry = Registry::start(&world);
    let short = format!("{app}:base");
    let base = format!("{}/{short}", registry.host);
    let file = world.read("landfall.toml");
    world.write(
        "landfall.toml",
        &format!("{file}{}", registry.login(PASSWORD)),
    );
    let text = world.read("Dockerfile").replace("busybox:test", &base);
    let text = text.replace("COPY page", "RUN cp /www/index.html /app/base\nCOPY page");
    world.write("Dockerfile", &text);
    for of_base in ["first", "second"] {
        registry.publish(&world, &short, of_base);
        world.landfall(&["deploy", "local", "--pull"]).ok();
        assert_eq!(page(&world, "/base"), of_base);
    }
}
