//! Workflows of GitHub Actions: linted by actionlint and zizmor, and run on this machine by `act` with
//! stand-ins of the actions that they use (`tests/actions`). The registry that images are published to is a
//! real one, the Engine that builds them too, and Landfall is the one that was built.

#![cfg(feature = "formats")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use landfall_tests::{
    Ran, World,
    engine::unique,
    registry::{DOCKERFILE, PASSWORD, Registry, USER},
    tools::{run, run_tool, tool, workspace},
    world::{example, program},
};
use serde_json::{Value, json};

/// An app with all that workflows are written from.
const EVERYTHING: &str = r#"
app = "everything"

[service.site]
root   = "frontend"
build  = { run = "npm ci && npm run build" }
static = "build"

[service.api]
root    = "backend"
build   = { dockerfile = "Dockerfile", args = { TEXT = "it's" }, secrets = ["NPM_TOKEN"] }
push    = "ghcr.io/acme/api"
port    = 7860
domains = ["api.example.com"]
secrets = ["OPENAI_API_KEY"]

[service.worker]
build = "Dockerfile"
push  = "registry.example.com/acme/worker"
port  = 7861

[pipeline]
tests    = [{ run = "ruff check . && echo \"${{ github.token }}\"", root = "backend" },
            { run = ["pytest", "-k", "not slow"], root = "backend", report = "coverage.xml" }]
timeout  = "10m"

[environment.staging]
branch = "staging/next"
target = "ssh://deploy@203.0.113.8"

[environment.production]
branch      = "main"
verified-in = "staging"
target      = { kubernetes = "prod" }

[environment.box]
secrets-from = "env"

[environment.preview]
per     = "pull-request"
expires = "7d"
target  = { dokku = "dokku@paas.example.com" }
service.site.target = { netlify = "textbook" }
"#;

/// How this repository wants its YAML.
const YAMLLINT: &str = "extends: default\nrules:\n  document-start: disable\n  comments-indentation: disable\n  \
                        comments: {min-spaces-from-content: 1}\n  line-length: {max: 200}\n  \
                        truthy: {check-keys: false}\n";

/// Folders of workflows: of an app that has everything, and of this repository's examples.
fn folders() -> (World, Vec<PathBuf>) {
    let world = World::new();
    let mut folders = vec![world.app()];
    world.write("landfall.toml", EVERYTHING);
    world.write("backend/Dockerfile", DOCKERFILE);
    world.write("Dockerfile", DOCKERFILE);
    world.landfall(&["render", "github"]).ok();
    for name in ["marketplace", "spec-editor", "static-site", "union-action"] {
        let folder = world.folder().join(name);
        landfall_tests::world::copy(&example(name), &folder);
        let _ = fs::remove_dir_all(folder.join(".github"));
        let file = folder.join("landfall.toml");
        world
            .landfall(&["--file", text(&file), "render", "github"])
            .ok();
        folders.push(folder);
    }
    for folder in &folders {
        world.git(&["-C", text(folder), "init", "-q"]);
    }
    (world, folders)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}

/// The workflows in a folder, sorted.
fn workflows(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join(".github/workflows"))
        .expect("workflows were written")
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    files.sort();
    files
}

#[test]
fn with_actionlint_nothing_is_found() {
    let (_world, folders) = folders();
    for folder in folders.into_iter().chain([workspace()]) {
        let bin = tool("actionlint").parent().expect("a folder").to_owned();
        // shellcheck, where it lies beside it, looks at the scripts.
        let path = format!("{}:{}", bin.display(), env_path());
        let ran = run(Command::new(tool("actionlint"))
            .current_dir(&folder)
            .env("PATH", path)
            .args(workflows(&folder)));
        assert_eq!(ran.ok().all(), "", "{}", folder.display());
    }
}

#[test]
fn with_actionlint_a_mistake_is_found() {
    let (_world, folders) = folders();
    let file = folders[0].join(".github/workflows/ci.yml");
    let broken = fs::read_to_string(&file)
        .expect("it was written")
        .replace("github.event_name", "github.event_nam");
    fs::write(&file, broken).expect("it can be changed");
    run_tool("actionlint", &folders[0], &[&file])
        .exits(1)
        .says(&["event_nam"]);
}

#[test]
fn with_zizmor_no_persona_finds_anything() {
    let (_world, folders) = folders();
    for folder in folders.into_iter().chain([workspace()]) {
        for persona in ["regular", "pedantic", "auditor"] {
            let arguments = ["--offline", "--no-config", "--persona", persona, ".github"];
            run_tool("zizmor", &folder, &arguments)
                .ok()
                .says(&["no findings to report"]);
        }
    }
}

#[test]
fn with_jsonschema_the_schema_of_workflows_accepts_them() {
    let (_world, folders) = folders();
    for folder in folders {
        let mut arguments = vec![
            "--builtin-schema".to_owned(),
            "vendor.github-workflows".to_owned(),
        ];
        arguments.extend(workflows(&folder).iter().map(|file| text(file).to_owned()));
        run_tool("check-jsonschema", &folder, &arguments).ok();
    }
    let action = [
        "--builtin-schema",
        "vendor.github-actions",
        ".github/actions/install/action.yml",
    ];
    run_tool("check-jsonschema", &workspace(), &action).ok();
}

#[test]
fn with_yamllint_nothing_is_found() {
    let (_world, folders) = folders();
    for folder in folders.into_iter().chain([workspace()]) {
        let arguments = ["--strict", "-d", YAMLLINT, ".github"];
        assert_eq!(run_tool("yamllint", &folder, &arguments).ok().all(), "");
    }
}

#[test]
fn what_is_marked_as_refused_is_refused() {
    let (world, folders) = folders();
    world.git(&["add", "-A"]);
    world.git(&["commit", "-q", "-m", "a commit"]);
    for environment in ["staging", "production", "box", "preview"] {
        let marked = workflows(&folders[0]).into_iter().any(|file| {
            let text = fs::read_to_string(&file).expect("a workflow can be read");
            text.contains("NOT YET") && text.contains(&format!("landfall deploy {environment} "))
        });
        assert!(marked, "{environment}");
        world
            .landfall(&["deploy", environment])
            .exits(6)
            .says(&["not-built-yet"]);
    }
}

/// An app in a repository whose workflows are run.
struct Repository {
    world: World,
    registry: Option<Registry>,
    name: String,
}

impl Repository {
    /// One whose image is published to a registry of the test's own.
    fn published(tests: &str) -> Self {
        let world = World::new();
        let registry = Registry::start(&world);
        let name = unique("workflow");
        let image = format!("{}/acme/{name}", registry.host);
        world.write(
            "landfall.toml",
            &format!(
                "app = \"{name}\"\n\n[service.web]\nroot = \"backend\"\nbuild = \"Dockerfile\"\npush = \"{image}\"\n\
                 port = 8000\n\n[pipeline]\ntests = [{{ run = {tests:?} }}]\n"
            ),
        );
        world.write("backend/Dockerfile", DOCKERFILE);
        world.write("backend/page", "one");
        let repository = Self {
            world,
            registry: Some(registry),
            name: format!("acme/{name}"),
        };
        repository.render();
        repository
    }

    /// One whose image is deployed to an environment that another one verifies for; a stand-in for Landfall
    /// writes down what it is told.
    fn promoted(tests: &str) -> Self {
        let repository = Self::published(tests);
        let world = &repository.world;
        let file = world.read("landfall.toml");
        let environments = "[environment.staging]\nbranch = \"main\"\n\n[environment.production]\n\
                            verified-in = \"staging\"\n\n[environment.preview]\nper = \"pull-request\"\n";
        world.write("landfall.toml", &format!("{file}\n{environments}"));
        fs::remove_dir_all(world.app().join(".github")).expect("they are written anew");
        repository.render();
        world.git(&["remote", "add", "origin", "https://github.com/acme/shop"]);
        repository.program(
            "landfall",
            "echo \"$(git rev-parse HEAD) $*\" >> \"$HOME/told\"",
        );
        repository
    }

    /// A program that comes first on the path.
    fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.world.folder().join("programs");
        fs::create_dir_all(&folder).expect("a folder can be made");
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh -e\n{script}\n")).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// What Landfall's stand-in was told, and forgets.
    fn told(&self) -> Vec<String> {
        let path = self.world.user().join("told");
        let told = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        told.lines().map(str::to_owned).collect()
    }

    /// One of this repository's examples, as it stands.
    fn example(name: &str) -> Self {
        let world = World::new();
        landfall_tests::world::copy(&example(name), &world.app());
        world.git(&["init", "-q"]);
        Self {
            world,
            registry: None,
            name: String::new(),
        }
    }

    /// One that is deployed to the machine that it runs on.
    fn deployed() -> Self {
        let world = World::with_web("\n[environment.box]\n");
        let repository = Self {
            world,
            registry: None,
            name: String::new(),
        };
        repository.render();
        repository
    }

    fn render(&self) {
        self.world.git(&["init", "-q"]);
        self.world.landfall(&["render", "github"]).ok();
        self.commit();
    }

    fn commit(&self) {
        self.world.git(&["add", "-A"]);
        self.world.git(&["commit", "-q", "-m", "a commit"]);
    }

    /// The commit, as tags have it.
    fn short(&self) -> String {
        self.world.git(&["rev-parse", "HEAD"])[..7].to_owned()
    }

    fn act(&self, event: &str, workflow: &str) -> Ran {
        self.act_with(event, workflow, json!({}))
    }

    /// Runs a workflow after an event that says this too.
    fn act_with(&self, event: &str, workflow: &str, more: Value) -> Ran {
        let branch = self.world.git(&["symbolic-ref", "HEAD"]);
        let payload = self.world.folder().join("event.json");
        let mut content = json!({
            "ref": branch,
            "repository": { "default_branch": "main", "private": false },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            content[key] = value.clone();
        }
        fs::write(&payload, content.to_string()).expect("a file can be written");
        let mut act = self.world.command(&tool("act"));
        act.arg(event)
            .args(["-W", &format!(".github/workflows/{workflow}.yml")])
            .args(["-P", "ubuntu-latest=-self-hosted"])
            .args(["-P", "self-hosted=-self-hosted"])
            .args(["--no-skip-checkout", "--no-cache-server", "--actor", USER])
            .args(["--defaultbranch", "main", "-e", text(&payload)])
            .args(["--var", &format!("REGISTRY_USERNAME={USER}")])
            .args(["-s", &format!("REGISTRY_PASSWORD={PASSWORD}")])
            .args(["-s", "GITHUB_TOKEN=token-of-the-job"])
            .args([
                "--env",
                &format!("STAND_IN_REPOSITORY={}", text(&self.world.app())),
            ])
            .env("XDG_CACHE_HOME", self.world.folder().join("cache"));
        for (action, folder) in stand_ins(&self.world) {
            act.arg("--local-repository")
                .arg(format!("{action}={}", folder.display()));
        }
        // A runner gives steps its own environment; `act` wants to be told.
        for name in [
            "HOME",
            "LANDFALL_HOME",
            "LANDFALL_PORTS",
            "LANDFALL_HTTP_PORT",
        ] {
            let value = act.get_envs().find(|(key, _)| *key == name);
            let value = value.and_then(|(_, value)| Some(value?.to_str()?.to_owned()));
            if let Some(value) = value {
                act.arg("--env").arg(format!("{name}={value}"));
            }
        }
        let beside = program("landfall").parent().expect("a folder").to_owned();
        let first = self.world.folder().join("programs");
        let path = format!("{}:{}:{}", first.display(), beside.display(), env_path());
        run(act.env("PATH", path))
    }

    /// The tags that the registry has of the image, sorted.
    fn tags(&self) -> Vec<String> {
        let registry = self.registry.as_ref().expect("it has one");
        let url = format!("http://{}/v2/{}/tags/list", registry.host, self.name);
        let ran = run(Command::new("curl").args([
            "--silent",
            "--user",
            &format!("{USER}:{PASSWORD}"),
            &url,
        ]));
        let answer: Value = serde_json::from_str(&ran.ok().stdout).expect("JSON");
        let mut tags: Vec<String> = answer["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tag| Some(tag.as_str()?.to_owned()))
            .collect();
        tags.sort();
        tags
    }
}

impl Drop for Repository {
    /// What was tagged for its registry, so that no run leaves names of it behind.
    fn drop(&mut self) {
        let Some(registry) = &self.registry else {
            return;
        };
        let of = format!("reference={}/{}", registry.host, self.name);
        let form = "{{.Repository}}:{{.Tag}}";
        let listed = Command::new("docker")
            .args(["images", "--filter", &of, "--format", form])
            .output();
        let names = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        for name in names.unwrap_or_default().lines() {
            let _ = Command::new("docker").args(["rmi", name]).output();
        }
    }
}

fn env_path() -> String {
    std::env::var("PATH").expect("there is a path")
}

/// What stands in for each action that the workflows of an app use, and those that these use. Landfall's
/// own is the real one, and takes the programs that were built already.
fn stand_ins(world: &World) -> Vec<(String, PathBuf)> {
    let own = world.folder().join("landfall-repository");
    let install = ".github/actions/install/action.yml";
    let action = fs::read_to_string(workspace().join(install)).expect("the action is there");
    let put = |path: &str, text: &str| {
        let path = own.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(&path, text).expect("a file can be written");
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    };
    put(install, &action);
    for path in ["Cargo.toml", "Cargo.lock", "crates/README"] {
        put(path, "");
    }
    put("scripts/install-tools", "#!/bin/sh\n");
    let programs = program("landfall");
    let programs = programs.parent().expect("a folder");
    put(
        "scripts/install",
        &format!(
            "#!/bin/sh -e\nmkdir -p \"$1/bin\"\nfor program in landfall landfall-supervise; do\n  \
             ln -s '{}'/$program \"$1/bin/$program\"\ndone\n",
            programs.display()
        ),
    );
    let mut found = Vec::new();
    let files = workflows(&world.app())
        .into_iter()
        .map(|file| fs::read_to_string(file).expect("a workflow can be read"));
    for text in files.chain([action]) {
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("- ").unwrap_or(line);
            let Some(action) = line.strip_prefix("uses: ") else {
                continue;
            };
            let action = action.split_whitespace().next().unwrap_or_default();
            let (path, reference) = action.split_once('@').expect("it is pinned");
            let mut parts = path.split('/');
            let (owner, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let folder = match owner {
                "landfall-dev" => own.clone(),
                _ => fs::canonicalize(workspace().join("tests/actions").join(name))
                    .unwrap_or_else(|_| panic!("{action} has no stand-in")),
            };
            found.push((format!("{owner}/{name}@{reference}"), folder));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn with_act_and_engine_and_registry_a_push_publishes_latest_and_the_commit() {
    // What looks like an expression of GitHub's is the user's own text.
    let repository = Repository::published(
        "test -f backend/page && echo '${{ github.ref_name }}' | grep -q ref_name",
    );
    let ran = repository.act("push", "publish-web").ok();
    let commit = format!("main-{}", repository.short());
    assert_eq!(repository.tags(), ["latest".to_owned(), commit]);
    ran.says(&["attested"]).hides(PASSWORD);
}

#[test]
fn with_act_and_engine_and_registry_a_branch_with_a_slash_gives_a_tag_and_not_latest() {
    let repository = Repository::published("true");
    repository
        .world
        .git(&["checkout", "-q", "-b", "feature/a+b"]);
    repository.act("workflow_dispatch", "publish-web").ok();
    let commit = format!("feature-a-b-{}", repository.short());
    assert_eq!(repository.tags(), [commit]);
}

#[test]
fn with_act_and_engine_and_registry_a_test_that_fails_stops_the_image() {
    let repository = Repository::published("test -f not-there");
    repository.act("push", "publish-web").exits(1);
    assert!(repository.tags().is_empty(), "{:?}", repository.tags());
}

#[test]
fn with_act_and_engine_and_registry_a_branch_of_shell_code_does_nothing() {
    let repository = Repository::published("true");
    let marker = repository.world.folder().join("marker");
    let branch = format!(
        "a$(touch${{IFS}}{})\";touch${{IFS}}{};\"",
        text(&marker),
        text(&marker)
    );
    repository.world.git(&["checkout", "-q", "-b", &branch]);
    repository.act("workflow_dispatch", "publish-web").ok();
    assert!(!marker.exists(), "the branch's name was executed");
    let tags = repository.tags();
    assert_eq!(tags.len(), 1, "{tags:?}");
    assert!(tags[0].starts_with("a--touch--IFS-"), "{tags:?}");
    assert!(tags[0].ends_with(&repository.short()), "{tags:?}");
}

#[test]
fn with_act_the_checks_run_by_landfall_itself() {
    let repository = Repository::deployed();
    repository.act("pull_request", "ci").ok();
    // What is stale fails there, as at the desk.
    let file = repository.world.read("landfall.toml");
    repository.world.write(
        "landfall.toml",
        &file.replace("environment.box", "environment.server"),
    );
    repository.commit();
    repository
        .act("pull_request", "ci")
        .exits(1)
        .says(&["stale-files"]);
}

#[test]
fn with_act_a_deployment_and_the_way_back_run_by_landfall_itself() {
    let repository = Repository::deployed();
    let world = &repository.world;
    let version = || {
        let status = world.landfall(&["status", "-e", "box", "--json"]).data();
        status["live"].as_u64()
    };
    repository.act("workflow_dispatch", "deploy-box").ok();
    assert_eq!(version(), Some(1));
    world.write("version", "two");
    repository.commit();
    repository.act("workflow_dispatch", "deploy-box").ok();
    assert_eq!(version(), Some(2));
    repository.act("workflow_dispatch", "rollback-box").ok();
    assert_eq!(version(), Some(1));
    let back = json!({ "inputs": { "release": "2" } });
    repository
        .act_with("workflow_dispatch", "rollback-box", back)
        .ok();
    assert_eq!(version(), Some(2));

    // An input of shell code is a release that there isn't.
    let marker = world.folder().join("marker");
    for release in [
        format!("1; touch {}", text(&marker)),
        format!("$(touch {})", text(&marker)),
        format!("\"; touch {}; \"", text(&marker)),
        "--keep-secrets".to_owned(),
    ] {
        let inputs = json!({ "inputs": { "release": release } });
        repository
            .act_with("workflow_dispatch", "rollback-box", inputs)
            .exits(1);
        assert!(!marker.exists(), "{release} was executed");
        assert_eq!(version(), Some(2), "{release}");
    }
}

#[test]
fn with_act_and_engine_and_registry_what_was_verified_is_promoted_by_its_digest() {
    let repository = Repository::promoted("true");
    let world = &repository.world;
    let commit = world.git(&["rev-parse", "HEAD"]);
    repository.act("push", "deploy-staging").ok();
    let told = repository.told();
    let [deployed] = told.as_slice() else {
        panic!("{told:?}")
    };
    let image = deployed
        .strip_prefix(&format!("{commit} deploy staging --image web="))
        .unwrap_or_else(|| panic!("{deployed}"));
    let registry = repository.registry.as_ref().expect("it has one");
    let digest = image
        .strip_prefix(&format!("{}/{}@sha256:", registry.host, repository.name))
        .unwrap_or_else(|| panic!("{image}"));
    assert_eq!(digest.len(), 64, "{image}");

    // Nothing was verified yet; then that commit was, and a newer one was deployed and failed.
    repository.program("gh", "true");
    repository
        .act("workflow_dispatch", "promote-production")
        .exits(1)
        .says(&["has not verified any commit"]);
    assert!(repository.told().is_empty());
    world.write("backend/page", "two");
    repository.commit();
    let newer = world.git(&["rev-parse", "HEAD"]);
    repository.program(
        "gh",
        &format!(
            "case \"$*\" in\n*deployments/2/statuses*) echo false ;;\n*deployments/1/statuses*) echo true ;;\n\
             *environment=staging*) printf '2\\t{newer}\\tmain\\n1\\t{commit}\\tmain\\n' ;;\nesac"
        ),
    );
    let promoted = format!("{commit} deploy production --image web={image}");
    repository
        .act("workflow_dispatch", "promote-production")
        .ok();
    assert_eq!(repository.told(), [promoted.as_str()]);
    let named = json!({ "inputs": { "commit": &commit[..9] } });
    repository
        .act_with("workflow_dispatch", "promote-production", named)
        .ok();
    assert_eq!(repository.told(), [promoted.as_str()]);

    // What failed there, and what is no commit, goes no further.
    let marker = world.folder().join("marker");
    for commit in [newer, format!("$(touch {})", text(&marker)), "*".to_owned()] {
        let wanted = json!({ "inputs": { "commit": commit } });
        repository
            .act_with("workflow_dispatch", "promote-production", wanted)
            .exits(1);
        assert!(repository.told().is_empty(), "{commit}");
        assert!(!marker.exists(), "{commit} was executed");
    }
}

#[test]
fn with_act_and_engine_and_registry_a_test_that_fails_stops_a_deployment() {
    let repository = Repository::promoted("false");
    repository.act("push", "deploy-staging").exits(1);
    assert!(repository.told().is_empty());
    assert!(repository.tags().is_empty());
}

#[test]
fn with_act_and_engine_and_registry_another_branch_is_not_deployed() {
    let repository = Repository::promoted("true");
    repository.world.git(&["checkout", "-q", "-b", "feature"]);
    repository.act("workflow_dispatch", "deploy-staging").ok();
    assert!(repository.told().is_empty());
    assert!(repository.tags().is_empty());
}

#[test]
fn with_act_and_engine_and_registry_a_pull_request_has_an_environment_until_it_is_closed() {
    let repository = Repository::promoted("true");
    let event = |action: &str, from: &str| {
        json!({
            "action": action,
            "number": 7,
            "pull_request": { "number": 7, "head": { "ref": "feature", "repo": { "full_name": from } } },
        })
    };
    let told = |action: &str, from: &str| {
        repository
            .act_with("pull_request", "preview-preview", event(action, from))
            .ok();
        repository.told()
    };
    let opened = told("opened", "acme/shop");
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!(
        opened[0].contains(" deploy preview --image web="),
        "{opened:?}"
    );
    let closed = told("closed", "acme/shop");
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert!(
        closed[0].ends_with(" down -e preview --purge --yes"),
        "{closed:?}"
    );
    // Somebody else's repository gets nothing.
    assert!(told("opened", "mallory/shop").is_empty());
    assert!(told("closed", "mallory/shop").is_empty());
}

#[test]
fn with_act_the_checks_of_the_examples_hold() {
    for name in ["marketplace", "spec-editor"] {
        let repository = Repository::example(name);
        repository.commit();
        repository.act("pull_request", "ci").ok();
    }
}

#[test]
fn with_act_and_engine_and_registry_the_spec_editor_is_published() {
    let mut repository = Repository::example("spec-editor");
    let registry = Registry::start(&repository.world);
    let file = repository.world.read("landfall.toml");
    let there = format!("{}/trakrf/spec-editor", registry.host);
    repository.world.write(
        "landfall.toml",
        &file.replace("ghcr.io/trakrf/spec-editor", &there),
    );
    repository.registry = Some(registry);
    "trakrf/spec-editor".clone_into(&mut repository.name);
    repository.render();
    repository.act("push", "publish-spec-editor").ok();
    let commit = format!("main-{}", repository.short());
    assert_eq!(repository.tags(), ["latest".to_owned(), commit]);
}
