//! What is said of a Dockerfile without building it.

use landfall_tests::World;

const NAIVE: &str = "\
FROM python:3.13-slim
WORKDIR /app
COPY . .
RUN apt-get update
RUN apt-get install -y curl
RUN pip install -r requirements.txt
ENV API_KEY=correct-horse-battery
EXPOSE 8000
CMD python app.py
";

fn naive() -> World {
    let world = World::new();
    world.write("Dockerfile", NAIVE);
    world.write("app.py", "print()\n");
    world.write("requirements.txt", "flask\n");
    world.write(".env", "API_KEY=correct-horse-battery\n");
    world.write("node_modules/a/index.js", "x");
    world
}

#[test]
fn a_naive_dockerfile_gets_its_findings_and_the_mended_file() {
    let world = naive();
    world
        .landfall(&["image", "advise", "--no-build"])
        .ok()
        .says(&[
            "secret-in-environment  Dockerfile:7",
            "secret-copied  .env",
            "runs-as-root",
            "dependencies-after-sources  Dockerfile:6",
            "package-lists-left  Dockerfile:5",
            "shell-form  Dockerfile:9",
            "context-not-ignored",
            "-CMD python app.py",
            "+CMD [\"python\", \"app.py\"]",
            "+++ b/.dockerignore",
            "+**/node_modules",
            "not scanned",
        ])
        .hides("correct-horse-battery");
    assert_eq!(world.read("Dockerfile"), NAIVE, "nothing is written");
    assert!(!world.app().join(".dockerignore").exists());
}

#[test]
fn advice_as_json_has_names_places_and_what_mends() {
    let world = naive();
    let ran = world
        .landfall(&["image", "advise", "Dockerfile", "--no-build", "--json"])
        .ok()
        .hides("correct-horse-battery");
    let data = ran.data();
    let findings = data["findings"].as_array().expect("findings");
    assert!(findings.len() > 8, "{findings:?}");
    let root = findings
        .iter()
        .find(|finding| finding["name"] == "runs-as-root")
        .expect("it runs as root");
    assert_eq!(root["severity"], "high");
    assert_eq!(root["place"]["line"], 1);
    assert_eq!(root["mended"], true);
    assert_eq!(data["changes"].as_array().map(Vec::len), Some(2));
    assert!(data["as-it-stands"].is_null(), "nothing was measured");
}

#[test]
fn a_severity_that_isnt_allowed_ends_with_6() {
    let world = naive();
    let advise = ["image", "advise", "--no-build", "--fail-on"];
    let with = |severity| [advise.as_slice(), &[severity]].concat();
    world
        .landfall(&with("critical"))
        .exits(6)
        .says(&["advice-unheeded", "secret-in-environment"]);
    world.write(
        "Dockerfile",
        "FROM python:3.13-slim\nUSER 1000\nHEALTHCHECK NONE\nCMD [\"a\"]\n",
    );
    world.landfall(&with("medium")).ok();
    world
        .landfall(&with("low"))
        .exits(6)
        .says(&["unpinned-base"]);
}

#[test]
fn the_app_file_says_which_dockerfile_and_which_port() {
    let world = World::new();
    world.write(
        "landfall.toml",
        "app = \"shop\"\n\n[service.web]\nroot = \"web\"\nbuild = \"Dockerfile\"\nport = 9000\n",
    );
    world.write(
        "web/Dockerfile",
        "FROM python:3.13-slim\nCOPY . .\nEXPOSE 8000\nCMD [\"python\", \"a.py\"]\n",
    );
    world
        .landfall(&["image", "advise", "--no-build"])
        .ok()
        .says(&["web/Dockerfile", "port-mismatch", "9000"]);
}

#[test]
fn what_is_no_dockerfile_is_refused_with_its_line() {
    let world = World::new();
    world.write("Dockerfile", "FROM python\nRUNN pip\n");
    let advise = ["image", "advise", "--no-build"];
    world
        .landfall(&advise)
        .exits(2)
        .says(&["bad-dockerfile", "Dockerfile:2"]);
    std::fs::write(world.app().join("Dockerfile"), [0xff, 0xfe, 0]).expect("it can be written");
    world.landfall(&advise).exits(2).says(&["bad-dockerfile"]);
    std::fs::remove_file(world.app().join("Dockerfile")).expect("it is there");
    world
        .landfall(&advise)
        .exits(2)
        .says(&["no-dockerfile", "landfall render dockerfile"]);
    world
        .landfall(&["image", "advise", "web/Dockerfile", "--no-build"])
        .exits(2)
        .says(&["no-dockerfile"]);
}

#[test]
fn findings_are_explained_as_errors_are() {
    let world = World::new();
    for name in ["runs-as-root", "dependencies-after-sources", "signals-lost"] {
        world
            .landfall(&["explain", name])
            .ok()
            .says(&[name, "What to do."]);
    }
}

#[test]
fn only_what_was_built_can_be_fixed() {
    let world = naive();
    world
        .landfall(&["image", "advise", "--no-build", "--fix"])
        .exits(2);
    assert_eq!(world.read("Dockerfile"), NAIVE);
}
