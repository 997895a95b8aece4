//! Images: built from the sources, taken from a registry and published to one, scanned, pruned. The
//! registry is a real one, on this machine.

#![cfg(feature = "engine")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

use landfall_tests::{
    World,
    engine::{containers, docker, unique},
    get,
    registry::{DOCKERFILE, PASSWORD, Registry, USER},
    wait,
};
use rustix::process::Signal;
use serde_json::Value;

/// A world with a service `web` that is built from a Dockerfile; `extra` is put into `[service.web]`.
fn world(extra: &str) -> (World, String) {
    let world = World::new();
    let app = unique("images");
    world.write(
        "landfall.toml",
        &format!("app = \"{app}\"\n\n[service.web]\nbuild = \"Dockerfile\"\nport = 8000\n{extra}"),
    );
    world.write("Dockerfile", DOCKERFILE);
    world.write("page", "one");
    (world, app)
}

#[track_caller]
fn page(world: &World, path: &str) -> String {
    let url = format!("{}{path}", world.url("web"));
    let answer = get(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_eq!(answer.status, 200, "{url}: {answer:?}");
    answer.body
}

/// The images that the containers of a world are made from.
#[track_caller]
fn images(world: &World) -> Vec<String> {
    let all = containers(&world.home());
    let mut images: Vec<_> = all
        .iter()
        .map(|container| docker(&["inspect", "--format", "{{.Image}}", container]))
        .collect();
    images.sort();
    images.dedup();
    images
}

/// The image of an app that was built last.
#[track_caller]
fn built(app: &str) -> String {
    let all = docker(&[
        "images",
        "--no-trunc",
        "--format",
        "{{.ID}}",
        &format!("landfall/{app}-web"),
    ]);
    all.lines().next().expect("an image was built").to_owned()
}

#[test]
fn sources_become_an_image_once() {
    let (world, app) = world("");
    world.write(".dockerignore", "*.log\n");
    world.write("noise.log", "not in the image");
    world.write(
        "Dockerfile",
        &DOCKERFILE
            .replace("COPY", "RUN mkdir /made\nCOPY")
            .replace("CMD", "COPY . /www/all\nCMD"),
    );
    world.git(&["init", "-q"]);
    world.git(&["add", "-A"]);
    world.git(&["commit", "-q", "-m", "one"]);
    let commit = world.git(&["rev-parse", "HEAD"]);
    world
        .landfall(&["up", "--detach"])
        .ok()
        .says(&["build", "Dockerfile"]);
    assert_eq!(page(&world, "/"), "one");
    assert_eq!(page(&world, "/all/page"), "one");
    let url = world.url("web");
    for left_out in ["noise.log", "landfall.toml"] {
        let answer = get(&format!("{url}/all/{left_out}")).expect("web answers");
        assert_eq!(answer.status, 404, "{left_out}");
    }
    let image = built(&app);
    let labels = docker(&["inspect", "--format", "{{json .Config.Labels}}", &image]);
    let labels: Value = serde_json::from_str(&labels).expect("docker prints JSON");
    assert_eq!(labels["landfall.app"], app.as_str());
    assert_eq!(labels["org.opencontainers.image.revision"], commit.as_str());

    // Another setting, the same image: found, not built, and said at once.
    let file = world.read("landfall.toml");
    world.write("landfall.toml", &format!("{file}drain = \"1s\"\n"));
    let again = world.landfall(&["deploy", "local", "--json"]).ok();
    let build: Value = again
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["data"]["step"] == "build")
        .expect("the build is a step");
    assert_eq!(build["data"]["said"], "Dockerfile, unchanged");
    assert!(build["data"]["took"].as_u64() < Some(300), "{build}");
    assert_eq!(images(&world), std::slice::from_ref(&image));

    // What nobody built before, so that no cache has it.
    world.write("page", &app);
    world
        .landfall(&["deploy", "local"])
        .ok()
        .says(&["1 of 3 layers cached"]);
    assert_eq!(page(&world, "/"), app);
    assert_ne!(built(&app), image);
    // Its sources are no commit's.
    let labels = docker(&[
        "inspect",
        "--format",
        "{{json .Config.Labels}}",
        &built(&app),
    ]);
    assert!(!labels.contains("revision"), "{labels}");
}

#[test]
fn a_step_that_fails_is_named_with_its_line() {
    let (world, _) = world("");
    world.write(
        "Dockerfile",
        "FROM busybox:test\n# said\nRUN echo before && \\\n    echo the cause; exit 7\nCMD true\n",
    );
    world.landfall(&["deploy", "local"]).exits(1).says(&[
        "error[build-failed]",
        "`RUN echo before && echo the cause; exit 7` (Dockerfile:3) exited with 7",
        "the cause",
    ]);
    world.write("Dockerfile", "FROM busybox:test\nRUNN true\n");
    world.landfall(&["deploy", "local"]).exits(1).says(&[
        "error[build-failed]",
        "(Dockerfile:2)",
        "unknown instruction",
    ]);
    fs::remove_file(world.app().join("Dockerfile")).expect("it was written");
    for command in [["plan", "local"], ["deploy", "local"]] {
        world
            .landfall(&command)
            .exits(2)
            .says(&["error[no-dockerfile]"]);
    }
}

#[test]
fn a_build_that_is_interrupted_stops() {
    let (world, app) = world("");
    // The argument makes it a process that no other test has.
    world.write(
        "Dockerfile",
        &format!("FROM busybox:test\nRUN sh -c 'sleep 3600; true' {app}\n"),
    );
    let sleeping = || {
        let processes = fs::read_dir("/proc").expect("a system with processes");
        processes.flatten().any(|process| {
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            words.starts_with(b"sh\0")
                && words.windows(app.len()).any(|part| part == app.as_bytes())
        })
    };
    let running = world.spawn(&["deploy", "local", "--json"], &[]);
    wait("the step runs", || sleeping().then_some(()));
    running.signal(Signal::INT);
    running.end().says(&["cancelled"]);
    wait("the step is gone", || (!sleeping()).then_some(()));
    assert_eq!(
        docker(&["images", "-q", &format!("landfall/{app}-web")]),
        ""
    );
}

#[test]
fn a_secret_of_the_build_stays_in_the_build() {
    let secret = "hunter2-of-the-build";
    let (world, app) = world("");
    world.write(".env", &format!("TOKEN={secret}\n"));
    let file = world.read("landfall.toml");
    let build = "build = { dockerfile = \"Dockerfile\", secrets = [\"TOKEN\"] }";
    world.write(
        "landfall.toml",
        &file.replace("build = \"Dockerfile\"", build),
    );
    let step = "RUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN && wc -c < /run/secrets/TOKEN > /www/length\nCMD";
    world.write("Dockerfile", &DOCKERFILE.replace("CMD", step));
    world
        .landfall(&["deploy", "local", "--json"])
        .ok()
        .hides(secret);
    assert_eq!(page(&world, "/length").trim(), secret.len().to_string());
    let saved = world.folder().join("image.tar");
    let to = saved.to_str().expect("the folder has a plain name");
    docker(&["save", "-o", to, &built(&app)]);
    let content = fs::read(&saved).expect("docker saved it");
    let found = content
        .windows(secret.len())
        .any(|bytes| bytes == secret.as_bytes());
    assert!(!found, "the secret is in the image");
    let scratch = fs::read_dir(world.home().join("scratch")).expect("builds have scratch folders");
    let left: Vec<_> = scratch
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name != "images")
        .collect();
    assert!(left.is_empty(), "{left:?}");

    // As an argument it would stay, and so it is refused.
    let argument = "build = { dockerfile = \"Dockerfile\", args = { TOKEN = \"${secret.TOKEN}\" } }\nsecrets = [\"TOKEN\"]";
    world.write(
        "landfall.toml",
        &file.replace("build = \"Dockerfile\"", argument),
    );
    world
        .landfall(&["deploy", "local"])
        .exits(6)
        .says(&["error[secret-in-build-argument]"]);
}

#[test]
fn without_buildkit_the_builder_from_before_does_what_it_can() {
    let (world, app) = world("");
    // Of no other test, so that the Engine has nothing of it in its cache.
    world.write("page", &app);
    let programs = world.folder().join("programs");
    fs::create_dir(&programs).expect("the world's folder is fresh");
    let found = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
        files.find(|file| file.is_file()).expect("it is on PATH")
    };
    symlink(found("git"), programs.join("git")).expect("the folder is fresh");
    let docker = programs.join("docker");
    let script = format!(
        "#!/bin/sh\ncase $1 in --version) echo Docker version 28.2.2, build e6534b4 ;; buildx) exit 1 ;; *) exec {} \"$@\" ;; esac\n",
        found("docker").display()
    );
    fs::write(&docker, script).expect("a program can be written");
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = programs.to_str().expect("the folder has a plain name");
    let deploy = || world.landfall_with(&["deploy", "local"], &[("PATH", path)], "");
    deploy().ok().says(&["has BuildKit", "Dockerfile, 1 layer"]);
    assert_eq!(page(&world, "/"), app);
    world.write(
        "Dockerfile",
        &DOCKERFILE.replace("COPY", "RUN exit 7\nCOPY"),
    );
    deploy()
        .exits(1)
        .says(&["`RUN exit 7` (Dockerfile:2) exited with 7"]);
    let mount = "RUN --mount=type=cache,target=/c true\nCOPY";
    world.write("Dockerfile", &DOCKERFILE.replace("COPY", mount));
    deploy()
        .exits(6)
        .says(&["error[no-buildkit]", "RUN --mount (Dockerfile:2)"]);
}

#[test]
fn one_image_is_shared_and_files_are_put_in() {
    let (world, _) = world("files = { \"/www/put\" = \"conf/put\", \"/etc/other\" = \"page\" }\n");
    world.write("conf/put", "put in");
    let more = "\n[service.other]\nbuild = { same-as = \"web\" }\nport = 8000\n";
    let file = world.read("landfall.toml");
    world.write("landfall.toml", &format!("{file}{more}"));
    world.landfall(&["deploy", "local"]).ok();
    assert_eq!(images(&world).len(), 1, "both have the same");
    assert_eq!(page(&world, "/put"), "put in");
    let other = get(&format!("{}/put", world.url("other"))).expect("other answers");
    assert_eq!(other.status, 404, "it was put into web alone");
    // Another content is another release, from the same image.
    world.write("conf/put", "changed");
    world.write(".dockerignore", "conf\n");
    world.landfall(&["deploy", "local"]).ok();
    assert_eq!(page(&world, "/put"), "changed");
    fs::remove_file(world.app().join("conf/put")).expect("it was written");
    world
        .landfall(&["deploy", "local"])
        .exits(2)
        .says(&["error[no-such-file]", "conf/put"]);
}

#[test]
fn a_registry_gets_what_is_built() {
    let (world, _) = world("");
    let registry = Registry::start(&world);
    let name = format!("{}/acme/shop", registry.host);
    let file = format!("{}push = \"{name}\"\n", world.read("landfall.toml"));
    world.write(
        "landfall.toml",
        &format!("{file}{}", registry.login("wrong-password")),
    );
    world.git(&["init", "-q", "-b", "feature/a"]);
    world.git(&["add", "-A"]);
    world.git(&["commit", "-q", "-m", "one"]);

    // Not from `local`, unless it is said.
    world.landfall(&["deploy", "local"]).ok().hides("push");
    world
        .landfall(&["deploy", "local", "--push"])
        .exits(6)
        .says(&["error[registry-denied]", &registry.host, "docker login"])
        .hides("wrong-password");

    world.write(
        "landfall.toml",
        &format!("{file}{}", registry.login(PASSWORD)),
    );
    world
        .landfall(&["deploy", "local", "--push"])
        .ok()
        .says(&["not published: uncommitted changes"]);
    world.git(&["commit", "-q", "-am", "two"]);
    let commit = world.git(&["rev-parse", "--short=7", "HEAD"]);
    let tag = format!("{name}:feature-a-{commit}");
    world
        .landfall(&["deploy", "local", "--push"])
        .ok()
        .says(&["push", &tag, "latest"])
        .hides(PASSWORD);
    world
        .landfall(&["deploy", "local", "--push"])
        .ok()
        .says(&["published already"]);

    // Somebody else deploys it from there, by its digest.
    let digest = docker(&["inspect", "--format", "{{index .RepoDigests 0}}", &tag]);
    for name in [&tag, &format!("{name}:latest")] {
        docker(&["rmi", name]);
    }
    let given = format!("web={digest}");
    world
        .landfall(&["plan", "local", "--image", &given])
        .ok()
        .says(&["image", &digest, "given"]);
    world
        .landfall(&["deploy", "local", "--image", &given])
        .ok()
        .says(&["pull", &digest]);
    assert_eq!(page(&world, "/"), "one");
    docker(&["image", "inspect", &digest]);
}

#[test]
fn a_registry_s_image_is_pinned_until_a_newer_one_is_asked_for() {
    let (world, app) = world("");
    let registry = Registry::start(&world);
    let reference = format!("{}/{app}:live", registry.host);
    let short = format!("{app}:live");
    registry.publish(&world, &short, "first");
    let file = world.read("landfall.toml");
    let file = file.replace(
        "build = \"Dockerfile\"",
        &format!("image = \"{reference}\""),
    );

    // Without a login nobody gets it, and it is said how to log in.
    world.write("landfall.toml", &file);
    world.landfall(&["deploy", "local"]).exits(6).says(&[
        "error[registry-denied]",
        "docker login",
        &registry.host,
    ]);

    // A credential helper of the user's own is asked.
    let programs = world.folder().join("programs");
    fs::create_dir(&programs).expect("the world's folder is fresh");
    let helper = programs.join("docker-credential-tests");
    let script = format!(
        "#!/bin/sh\nread registry\necho \"{{\\\"ServerURL\\\":\\\"$registry\\\",\\\"Username\\\":\\\"{USER}\\\",\\\"Secret\\\":\\\"{PASSWORD}\\\"}}\"\n"
    );
    fs::write(&helper, script).expect("a program can be written");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let configuration = world.user().join(".docker");
    fs::create_dir(&configuration).expect("the user's folder is fresh");
    let config = format!("{{\"credHelpers\":{{\"{}\":\"tests\"}}}}", registry.host);
    fs::write(configuration.join("config.json"), config).expect("a file can be written");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", programs.display());
    let variables = [("PATH", path.as_str())];
    let deploy = |more: &[&str]| {
        let arguments: Vec<&str> = ["deploy", "local"].iter().chain(more).copied().collect();
        world.landfall_with(&arguments, &variables, "")
    };
    deploy(&[]).ok().says(&["pull", &reference]);
    assert_eq!(page(&world, "/"), "first");

    // The tag moves, in the registry and in the Engine: the release has its own.
    registry.publish(&world, &short, "second");
    let other = file.replace("port = 8000", "port = 8000\ndrain = \"1s\"");
    world.write("landfall.toml", &other);
    deploy(&[]).ok().says(&["there already"]);
    assert_eq!(page(&world, "/"), "first");
    deploy(&["--pull"])
        .ok()
        .says(&["another image than before"]);
    assert_eq!(page(&world, "/"), "second");
    deploy(&["--pull"]).ok().says(&["still the same"]);

    // Without the helper's help: the file's own login, which also wins over it.
    let wrong = format!("{file}{}", registry.login("wrong-password"));
    world.write("landfall.toml", &wrong);
    deploy(&["--pull"])
        .exits(6)
        .says(&["error[registry-denied]"]);
    world.write(
        "landfall.toml",
        &format!("{file}{}", registry.login(PASSWORD)),
    );
    deploy(&["--pull"]).ok();
    // A login whose secret has no value is left out, and that is said where it matters.
    let lacking = registry.login("${secret.REGISTRY_PASSWORD}");
    world.write("landfall.toml", &format!("{file}{lacking}"));
    world
        .landfall(&[
            "deploy",
            "local",
            "--pull",
            "--image",
            &format!("web={}/{app}:none", registry.host),
        ])
        .exits(6)
        .says(&["error[registry-denied]", "REGISTRY_PASSWORD"]);
}

#[test]
fn a_registry_that_refuses_is_told_from_one_that_is_away() {
    let (world, _) = world("");
    let registry = Registry::start(&world);
    let file = format!(
        "{}{}",
        world.read("landfall.toml"),
        registry.login(PASSWORD)
    );
    world.write("landfall.toml", &file);
    let deploy = |reference: &str| {
        world.landfall(&["deploy", "local", "--image", &format!("web={reference}")])
    };
    deploy(&format!("{}/nobody/has:1", registry.host))
        .exits(6)
        .says(&["error[unknown-image]"]);
    deploy("127.0.0.1:1/nobody:1")
        .exits(5)
        .says(&["error[registry-unreachable]", "127.0.0.1:1"]);
    world
        .landfall(&["deploy", "local", "--image", "wbe=busybox:test"])
        .exits(2)
        .says(&["error[unknown-service]"]);
    world
        .landfall(&["deploy", "local", "--image", "web"])
        .exits(2)
        .says(&["SERVICE=REFERENCE"]);
    // A base image, in the same words.
    world.write("Dockerfile", "FROM 127.0.0.1:1/nobody:1\n");
    world
        .landfall(&["deploy", "local"])
        .exits(5)
        .says(&["error[registry-unreachable]", "127.0.0.1:1"]);
}

#[test]
fn only_what_was_scanned_is_said_to_be_clean() {
    let (world, _) = world("scan = \"high\"\n");
    let programs = world.folder().join("programs");
    fs::create_dir(&programs).expect("the world's folder is fresh");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", programs.display());
    let variables = [("PATH", path.as_str())];
    let scanner = |script: &str| {
        let program = programs.join("trivy");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program can be written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    };
    let report = |severity: &str| {
        format!(
            "case \"$*\" in *--skip-db-update*json*) ;; *) exit 9 ;; esac\n\
             echo '{{\"SchemaVersion\":2,\"Results\":[{{\"Target\":\"web (debian 12)\",\"Class\":\"os-pkgs\",\"Vulnerabilities\":[\
             {{\"VulnerabilityID\":\"CVE-2024-1\",\"PkgName\":\"openssl\",\"InstalledVersion\":\"3.0.1\",\"FixedVersion\":\"3.0.2\",\"Severity\":\"{severity}\"}}]}}]}}'"
        )
    };
    let deploy = |content: &str| {
        world.write("page", content);
        world.landfall_with(&["deploy", "local"], &variables, "")
    };

    scanner(&report("CRITICAL"));
    deploy("1").exits(6).says(&[
        "error[vulnerable]",
        "1 critical",
        "CVE-2024-1 in openssl 3.0.1, fixed in 3.0.2",
    ]);
    scanner(&report("MEDIUM"));
    deploy("2").ok().says(&["scan", "1 medium by trivy"]);
    scanner(
        "echo 'FATAL DB error: --skip-db-update cannot be specified on the first run' >&2; exit 1",
    );
    deploy("3")
        .ok()
        .says(&["not scanned: trivy has no database"])
        .hides("none found");
    scanner("echo '{\"SchemaVersion\":2}'");
    deploy("4")
        .ok()
        .says(&["not scanned: trivy finds nothing"])
        .hides("none found");

    let file = world.read("landfall.toml");
    let required = "scan = { severity = \"high\", required = true }";
    world.write("landfall.toml", &file.replace("scan = \"high\"", required));
    deploy("5").exits(6).says(&["error[not-scanned]"]);
}

#[test]
fn images_go_with_their_releases() {
    let (world, app) = world("");
    let mut built_so_far = Vec::new();
    let mine = format!("{app}-mine:1");
    // The last five that served can be gone back to, and the live one is among them.
    for number in 1..=7 {
        world.write("page", &format!("page {number}"));
        world.landfall(&["deploy", "local"]).ok();
        let image = built(&app);
        if number == 2 {
            docker(&["tag", &image, &mine]);
        }
        built_so_far.push(image);
    }
    let there = |image: &String| {
        let output = Command::new("docker")
            .args(["image", "inspect", image])
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    let kept: Vec<bool> = built_so_far.iter().map(there).collect();
    // And what somebody has given a name of their own, by that alone.
    assert_eq!(kept, [false, true, true, true, true, true, true]);
    let tags = ["image", "inspect", "--format", "{{.RepoTags}}", &mine];
    assert_eq!(docker(&tags), format!("[{mine}]"));
    docker(&["image", "inspect", "busybox:test"]);
    world.landfall(&["rollback", "3"]).ok();
    assert_eq!(page(&world, "/"), "page 3");
    world
        .landfall(&["rollback", "1"])
        .exits(6)
        .says(&["error[release-pruned]"]);
    world.landfall(&["down", "--purge", "--yes"]).ok();
    let kept: Vec<bool> = built_so_far.iter().map(there).collect();
    assert_eq!(kept, [false, true, false, false, false, false, false]);
    docker(&["rmi", &mine]);
}
