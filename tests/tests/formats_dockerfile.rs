//! Rendered Dockerfiles, judged by hadolint and by the Engine: what they build is small, is nobody's user's,
//! serves at once, says how it is, ends when it is asked to, and changes in its last layers alone.

#![cfg(feature = "formats")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use landfall_tests::{
    Ran, World,
    engine::{docker, unique},
    get, request,
    tools::{run, run_tool, workspace},
    wait,
    world::{copy, example, program},
};
use serde_json::Value;

/// A client that builds with BuildKit: not every one on a PATH has it.
fn builder() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let works = |client: &Path| {
            let child = Command::new(client)
                .args(["build", "-q", "-"])
                .env("DOCKER_BUILDKIT", "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut child) = child else {
                return false;
            };
            let text = "FROM scratch\nLABEL landfall.test=builder\n";
            let written = child
                .stdin
                .take()
                .map(|mut input| input.write_all(text.as_bytes()));
            written.is_some() && child.wait().is_ok_and(|status| status.success())
        };
        ["docker", "/usr/bin/docker"]
            .into_iter()
            .map(PathBuf::from)
            .find(|client| works(client))
            .expect("no docker client here builds with BuildKit")
    })
}

/// The bases that these need; those that the Engine has stay.
fn bases(names: &[&str]) {
    let ran = run(Command::new(workspace().join("scripts/base-images")).args(names));
    ran.ok();
}

/// A project whose Dockerfiles are written anew, in a world of its own.
struct Project {
    world: World,
    /// Images and containers, removed in the end.
    image: String,
    containers: Vec<String>,
}

impl Project {
    fn of(folder: &Path) -> Self {
        let world = World::new();
        copy(folder, &world.app());
        world.landfall(&["render", "dockerfile", "--force"]).ok();
        let again = world.landfall(&["render", "dockerfile", "--check"]);
        again.ok();
        Self {
            world,
            image: unique("rendered"),
            containers: Vec::new(),
        }
    }

    fn named(name: &str) -> Self {
        Self::of(&workspace().join("tests/projects").join(name))
    }

    fn lint(&self, dockerfile: &str) {
        let ran = run_tool("hadolint", &self.world.app(), &[dockerfile]);
        assert_eq!((ran.code, ran.all().as_str()), (0, ""), "{ran}");
    }

    fn build(&self, context: &str, dockerfile: &str) -> Built {
        let begun = Instant::now();
        let app = self.world.app();
        let ran: Ran = run(Command::new(builder())
            .env("DOCKER_BUILDKIT", "1")
            .args(["build", "--network", "host", "-t", &self.image, "-f"])
            .arg(app.join(dockerfile))
            .arg(app.join(context)));
        ran.ok();
        let text = docker(&["image", "inspect", &self.image]);
        let facts: Value = serde_json::from_str(&text).expect("docker inspect gives JSON");
        Built {
            facts: facts[0].clone(),
            took: begun.elapsed(),
        }
    }

    /// Starts the image and waits until it answers; gives its address and how long that took.
    fn start(&mut self, port: u16, path: &str, variables: &[&str]) -> (String, Duration) {
        let name = unique("rendered");
        let publish = format!("127.0.0.1::{port}");
        let mut arguments = vec![
            "run",
            "-d",
            "--name",
            &name,
            "-p",
            &publish,
            "--health-interval",
            "500ms",
            "--cap-drop",
            "ALL",
            "--read-only",
            "--tmpfs",
            "/tmp",
        ];
        for variable in variables {
            arguments.extend(["-e", variable]);
        }
        arguments.push(&self.image);
        let begun = Instant::now();
        docker(&arguments);
        self.containers.push(name.clone());
        let address = docker(&["port", &name, &port.to_string()]);
        let address = address.lines().next().unwrap_or_default().to_owned();
        let url = format!("http://{address}");
        wait(
            &format!("{path} answers 200: {}", docker(&["logs", &name])),
            || {
                get(&format!("{url}{path}"))
                    .ok()
                    .filter(|answer| answer.status == 200)
            },
        );
        (url, begun.elapsed())
    }

    fn container(&self) -> &str {
        self.containers.last().expect("one was started")
    }

    fn becomes_healthy(&self) {
        let format = "{{.State.Health.Status}}";
        let healthy = || docker(&["inspect", "-f", format, self.container()]);
        wait("the Engine finds it healthy", || {
            (healthy() == "healthy").then_some(())
        });
    }

    /// Asks it to end, and gives its exit code and how long that took.
    fn stop(&self) -> (i32, Duration) {
        let begun = Instant::now();
        docker(&["stop", "-t", "20", self.container()]);
        let took = begun.elapsed();
        let code = docker(&["inspect", "-f", "{{.State.ExitCode}}", self.container()]);
        (code.parse().expect("an exit code is a number"), took)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for name in &self.containers {
            let _ = Command::new("docker").args(["rm", "-f", name]).output();
        }
        let _ = Command::new("docker")
            .args(["rmi", "-f", &self.image])
            .output();
    }
}

/// An image as the Engine describes it.
struct Built {
    facts: Value,
    took: Duration,
}

impl Built {
    fn layers(&self) -> Vec<String> {
        let layers = self.facts["RootFS"]["Layers"]
            .as_array()
            .into_iter()
            .flatten();
        layers
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    /// In megabytes, uncompressed, base included.
    fn size(&self) -> f64 {
        self.facts["Size"].as_f64().unwrap_or_default() / 1e6
    }

    /// How many of its last layers are not those of another.
    fn changed(&self, other: &Self) -> usize {
        let (ours, theirs) = (self.layers(), other.layers());
        let same = ours
            .iter()
            .zip(&theirs)
            .take_while(|(one, two)| one == two)
            .count();
        ours.len() - same
    }
}

fn base_size(name: &str) -> f64 {
    let size = docker(&["image", "inspect", "-f", "{{.Size}}", name]);
    size.parse::<f64>().expect("a size is a number") / 1e6
}

/// What is proven of each kind of project.
struct Proof<'a> {
    name: &'a str,
    bases: &'a [&'a str],
    port: u16,
    health: &'a str,
    /// The file that is changed, and the line that is added.
    change: (&'a str, &'a str),
    /// What the image may add to its base, in megabytes.
    most: f64,
    /// Layers that a changed line may change.
    layers: usize,
}

fn proves(proof: &Proof<'_>) -> Project {
    bases(proof.bases);
    let mut project = Project::named(proof.name);
    project.lint("Dockerfile");
    let built = project.build(".", "Dockerfile");
    let user = &built.facts["Config"]["User"];
    assert_eq!(user, "1000:1000");
    let added = built.size() - base_size(proof.bases[0]);
    let (url, served) = project.start(proof.port, proof.health, &[]);
    assert!(
        served < Duration::from_secs(10),
        "it served after {served:?}"
    );
    let answer = get(&format!("{url}{}", proof.health)).expect("it answers");
    if answer.body.contains("user") {
        assert_eq!(answer.json()["user"], 1000);
    }
    project.becomes_healthy();
    let (code, ended) = project.stop();
    assert!([0, 143].contains(&code), "it ended with {code}");
    assert!(ended < Duration::from_secs(5), "it ended after {ended:?}");

    let (file, line) = proof.change;
    let text = project.world.read(file);
    project.world.write(file, &format!("{text}\n{line}\n"));
    let again = project.build(".", "Dockerfile");
    let changed = again.changed(&built);
    assert!(
        (1..=proof.layers).contains(&changed),
        "{changed} layers changed of {}",
        again.layers().len()
    );
    println!(
        "figures: {} | {:.1} MB + {added:.1} MB | built {:.1} s, again {:.1} s | {changed} of {} layers | served {:.2} s | ended {:.2} s",
        proof.name,
        base_size(proof.bases[0]),
        built.took.as_secs_f64(),
        again.took.as_secs_f64(),
        again.layers().len(),
        served.as_secs_f64(),
        ended.as_secs_f64(),
    );
    assert!(added < proof.most, "it adds {added:.1} MB to its base");
    project
}

const PYTHON: &[&str] = &["python:3.13-slim"];
const NODE: &[&str] = &["node:22-alpine"];

#[test]
fn with_hadolint_and_engine_pip_is_small_nobodys_users_and_changes_in_its_last_layer() {
    let project = proves(&Proof {
        name: "pip",
        bases: PYTHON,
        port: 8000,
        health: "/health",
        change: ("app/main.py", "# another line"),
        // A backend has 200 MB, and the real base about 125.
        most: 70.0,
        layers: 1,
    });
    // What tests and tools need stays outside.
    let inside = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "ls",
        &project.image,
        "-A",
        "/app",
    ]);
    assert_eq!(
        inside.split_whitespace().collect::<Vec<_>>(),
        [".python-version", "app", "requirements.txt"]
    );
}

#[test]
fn with_hadolint_and_engine_uv_installs_by_its_lock_and_the_project_apart() {
    proves(&Proof {
        name: "uv",
        bases: PYTHON,
        port: 8000,
        health: "/health",
        change: ("src/shop/__init__.py", "# another line"),
        most: 70.0,
        // The project itself, and its files.
        layers: 2,
    });
}

#[test]
fn with_hadolint_and_engine_poetry_installs_by_its_lock() {
    proves(&Proof {
        name: "poetry",
        bases: PYTHON,
        port: 8000,
        health: "/health",
        change: ("shop/__init__.py", "# another line"),
        most: 70.0,
        layers: 1,
    });
}

#[test]
fn with_hadolint_and_engine_npm_leaves_what_is_for_development_behind() {
    let project = proves(&Proof {
        name: "npm",
        bases: NODE,
        port: 3000,
        health: "/health",
        change: ("server.js", "// another line"),
        most: 20.0,
        layers: 1,
    });
    let modules = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "ls",
        &project.image,
        "node_modules",
    ]);
    assert!(
        modules.contains("express") && !modules.contains("prettier"),
        "{modules}"
    );
}

#[test]
fn with_hadolint_and_engine_pnpm_leaves_what_is_for_development_behind() {
    let project = proves(&Proof {
        name: "pnpm",
        bases: NODE,
        port: 3000,
        health: "/health",
        change: ("server.js", "// another line"),
        most: 20.0,
        layers: 1,
    });
    let modules = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "ls",
        &project.image,
        "node_modules",
    ]);
    assert!(
        modules.contains("express") && !modules.contains("prettier"),
        "{modules}"
    );
}

#[test]
fn with_hadolint_and_engine_next_runs_by_its_standalone_output() {
    let mut project = proves(&Proof {
        name: "next",
        bases: NODE,
        port: 3000,
        health: "/api/health",
        change: ("app/page.js", "// another line"),
        most: 60.0,
        layers: 2,
    });
    let (url, _) = project.start(3000, "/", &[]);
    let page = get(&url).expect("the page answers").body;
    assert!(page.contains("Hello from the frontend"), "{page}");
    assert_eq!(
        get(&format!("{url}/robots.txt"))
            .expect("public files are there")
            .status,
        200
    );
}

#[test]
fn with_hadolint_and_engine_pages_made_by_a_build_are_served_with_redirects_and_headers() {
    let mut project = proves(&Proof {
        name: "vite",
        bases: &["nginx:1.29-alpine-slim", "node:22-alpine"],
        port: 8080,
        health: "/",
        change: ("index.html", "<p>another line</p>"),
        most: 1.0,
        layers: 1,
    });
    let (url, _) = project.start(8080, "/", &["PORT=8080"]);
    let answer = get(&url).expect("the page answers");
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert!(answer.body.contains("Hello from the pages"));
    let moved = get(&format!("{url}/old/a/b")).expect("redirects answer");
    assert_eq!(
        (moved.status, moved.header("Location")),
        (301, Some("/a/b"))
    );
    assert_eq!(
        get(&format!("{url}/missing")).expect("it answers").status,
        404
    );
}

#[test]
fn with_hadolint_and_engine_pages_alone_are_served_as_the_edge_serves_them() {
    bases(&["nginx:1.29-alpine-slim"]);
    let mut project = Project::of(&example("static-site"));
    project.lint("Dockerfile");
    project.build(".", "Dockerfile");
    let (url, _) = project.start(8080, "/", &[]);
    project.becomes_healthy();
    let moved = get(&format!("{url}/home")).expect("redirects answer");
    assert_eq!((moved.status, moved.header("Location")), (301, Some("/")));
    let missing = get(&format!("{url}/missing")).expect("it answers");
    let page =
        fs::read_to_string(example("static-site").join("public/404.html")).expect("it is there");
    assert_eq!((missing.status, missing.body), (404, page));
    let (code, _) = project.stop();
    assert_eq!(code, 0);
}

#[test]
fn with_hadolint_and_engine_go_is_one_program_upon_alpine() {
    proves(&Proof {
        name: "go",
        bases: &["alpine:3.22", "golang:1.24-alpine"],
        port: 8080,
        health: "/health",
        change: ("main.go", "var another = 1"),
        most: 10.0,
        layers: 1,
    });
}

#[test]
fn with_hadolint_and_engine_rust_is_one_program_upon_debian() {
    proves(&Proof {
        name: "rust",
        bases: &["debian:13-slim", "rust:1.85-slim-trixie"],
        port: 8080,
        health: "/health",
        change: (
            "src/main.rs",
            "#[allow(dead_code)]\nfn another() -> u32 { println!(); 1 }\n#[used]\nstatic USED: fn() -> u32 = another;",
        ),
        most: 10.0,
        layers: 1,
    });
}

#[test]
fn with_hadolint_and_engine_several_processes_run_under_our_supervisor() {
    bases(PYTHON);
    let mut project = Project::of(&example("union-action"));
    project.lint("Dockerfile");
    let text = project.world.read("Dockerfile");
    // The very line that the Dockerfile gives, where `make install` has put the program by its name.
    let import = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("#   tar ")
                .map(|rest| format!("tar {rest}"))
        })
        .expect("it says how the supervisor's image is made");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let installed = folder.path().join("landfall-supervise");
    fs::copy(program("landfall-supervise-static"), &installed)
        .expect("scripts/build-supervise --beside has put it there");
    let path = std::env::var("PATH").unwrap_or_default();
    run(Command::new("bash")
        .args(["-euo", "pipefail", "-c", &import])
        .env("PATH", format!("{}:{path}", folder.path().display())))
    .ok()
    .says(&["sha256:"]);
    // It reads the file that stands beside, and waits for folders that only the image has.
    let file = project.world.app().join("union-action.supervise.json");
    let accepted = run(Command::new("timeout")
        .args(["--preserve-status", "2"])
        .arg(&installed)
        .args(["run", "--inherit"])
        .arg(&file));
    accepted
        .says(&["api started", "asked to stop"])
        .hides("unknown field");
    let built = project.build(".", "Dockerfile");
    assert_eq!(built.facts["Config"]["User"], "1000:1000");
    let (url, served) = project.start(
        8000,
        "/health",
        &["LOG_LEVEL=warning", "GREETING=from outside"],
    );
    assert!(served < Duration::from_secs(10), "{served:?}");
    project.becomes_healthy();
    assert_eq!(get(&format!("{url}/docs")).expect("it answers").status, 200);
    // Both run, and both have what the container was given.
    let given = "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -qx 'GREETING=from outside' && tr '\\0' ' ' <$p/cmdline && echo; done; true";
    let ran = docker(&["exec", project.container(), "sh", "-c", given]);
    assert!(ran.contains("uvicorn") && ran.contains("-m agent"), "{ran}");
    let (code, ended) = project.stop();
    assert_eq!(code, 0);
    assert!(ended < Duration::from_secs(8), "{ended:?}");
    println!(
        "figures: union-action | {:.1} MB | served {:.2} s | ended {:.2} s",
        built.size(),
        served.as_secs_f64(),
        ended.as_secs_f64()
    );
}

#[test]
fn with_hadolint_and_engine_the_spec_editors_image_is_as_good_as_the_one_written_by_hand() {
    bases(PYTHON);
    let mut project = Project::of(&example("spec-editor"));
    project.lint("backend/Dockerfile");
    let built = project.build("backend", "backend/Dockerfile");
    assert!(built.size() < 500.0, "{:.1} MB", built.size());
    assert_eq!(built.facts["Config"]["User"], "1000:1000");
    let (url, served) = project.start(
        5000,
        "/health",
        &[
            "GH_TOKEN=none",
            "GH_REPO=a/b",
            "GITHUB_API_URL=http://127.0.0.1:9",
        ],
    );
    assert!(served < Duration::from_secs(10), "{served:?}");
    project.becomes_healthy();
    let answer = request("GET", &format!("{url}/health"), &[], "").expect("it answers");
    assert_eq!(answer.status, 200);
    let (code, ended) = project.stop();
    assert_eq!(code, 0);
    println!(
        "figures: spec-editor | {:.1} MB | served {:.2} s | ended {:.2} s",
        built.size(),
        served.as_secs_f64(),
        ended.as_secs_f64()
    );
}

#[test]
fn with_hadolint_and_engine_the_marketplaces_image_has_its_migrations() {
    bases(PYTHON);
    let project = Project::of(&example("marketplace"));
    for dockerfile in ["Dockerfile", "telegram-stand-in/Dockerfile"] {
        project.lint(dockerfile);
    }
    let built = project.build(".", "Dockerfile");
    assert!(built.size() < 200.0, "{:.1} MB", built.size());
    let inside = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "ls",
        &project.image,
        "-A",
        "/app",
    ]);
    let inside: Vec<&str> = inside.split_whitespace().collect();
    for name in ["alembic.ini", "migrations", "app", "bin"] {
        assert!(inside.contains(&name), "{inside:?}");
    }
    // Another service's folder isn't this one's.
    assert!(!inside.contains(&"telegram-stand-in"), "{inside:?}");
    let ran = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "alembic",
        &project.image,
        "heads",
    ]);
    assert!(ran.contains("0001"), "{ran}");
    println!("figures: marketplace | {:.1} MB", built.size());
}

#[test]
fn with_engine_a_secret_of_the_build_is_in_no_layer_and_a_base_is_pinned_in_its_place() {
    bases(PYTHON);
    let mut project = Project::named("pip");
    let file = project.world.read("landfall.toml");
    project.world.write(
        "landfall.toml",
        &format!("{file}build = {{ secrets = [\"INDEX_TOKEN\"], env = {{ LABEL = \"a \\\"b\\\" $c\" }}, run = \"printf %s \\\"$LABEL\\\" > label; test ${{#INDEX_TOKEN}} = 8\" }}\n"),
    );
    project.world.landfall(&["render", "dockerfile"]).ok();
    let text = project.world.read("Dockerfile");
    assert!(!text.contains("f00dcafe"));
    let pinned = text.replace(
        "# landfall:keep python\n",
        "# landfall:keep python\nARG PYTHON=landfall-pinned:test\n",
    );
    assert_ne!(pinned, text);
    project.world.write("Dockerfile", &pinned);
    project
        .world
        .landfall(&["render", "dockerfile", "--check"])
        .ok();
    docker(&["tag", "python:3.13-slim", "landfall-pinned:test"]);
    let secret = project.world.folder().join("secret");
    fs::write(&secret, "f00dcafe").expect("a temporary folder");
    let app = project.world.app();
    let ran = run(Command::new(builder())
        .env("DOCKER_BUILDKIT", "1")
        .args([
            "build",
            "--progress=plain",
            "--network",
            "host",
            "-t",
            &project.image,
            "--secret",
        ])
        .arg(format!("id=INDEX_TOKEN,src={}", secret.display()))
        .arg(&app));
    let ran = ran.ok().says(&["landfall-pinned:test"]);
    assert!(!ran.all().contains("f00dcafe"), "{ran}");
    let history = docker(&[
        "history",
        "--no-trunc",
        "--format",
        "{{.CreatedBy}}",
        &project.image,
    ]);
    assert!(!history.contains("f00dcafe"), "{history}");
    project.start(8000, "/health", &[]);
    let label = docker(&["exec", project.container(), "cat", "/app/label"]);
    assert_eq!(label, "a \"b\" $c");
    docker(&["rmi", "landfall-pinned:test"]);
}
