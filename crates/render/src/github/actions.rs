//! The actions that workflows use, each pinned, and the steps that are the same everywhere.
//!
//! A pin is the commit that the tag behind it stood for when it was looked up in the action's own
//! repository. Newer ones come with newer versions of Landfall.

use landfall_yaml::{Map, Node};

use super::{Plan, words::literal};

/// Copies the repository to the runner.
pub const CHECKOUT: (&str, &str) = (
    "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
    "v7.0.1",
);
/// Gives Docker a builder that can attest and cache.
pub const BUILDER: (&str, &str) = (
    "docker/setup-buildx-action@37fe631027851001ddb9b187196cc803df7f5f0e",
    "v4.3.0",
);
/// Logs in to a registry, and out again.
pub const LOGIN: (&str, &str) = (
    "docker/login-action@dbcb813823bdd20940b903addbd779551569679f",
    "v4.6.0",
);
/// Builds an image and publishes it.
pub const BUILD: (&str, &str) = (
    "docker/build-push-action@53b7df96c91f9c12dcc8a07bcb9ccacbed38856a",
    "v7.3.0",
);
/// Signs where something comes from.
pub const ATTEST: (&str, &str) = (
    "actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6",
    "v4.2.2",
);
/// Landfall's own repository, the only place that says its name, and the folder of its action.
pub const LANDFALL: &str = "landfall-dev/landfall/.github/actions/install";

/// A step with a name.
pub fn step(name: impl Into<String>) -> Map {
    let mut step = Map::new();
    step.set("name", name.into());
    step
}

/// A step that uses an action.
pub fn uses(name: impl Into<String>, (action, version): (&str, &str)) -> Map {
    let mut step = step(name);
    step.set_noted("uses", action, version);
    step
}

/// A step that runs a script of ours. What it is about comes by `env`, never by an expression inside.
pub fn run(name: impl Into<String>, env: Map, script: impl Into<String>) -> Map {
    let mut step = step(name);
    if !env.is_empty() {
        step.set("env", env);
    }
    step.set("run", script_node(script.into()));
    step
}

/// A script as it reads best: a line with quotes and variables as a block, in which it stands as it is.
pub fn script_node(script: String) -> Node {
    match script.contains(['"', '\'', '$', '\\']) && !script.ends_with('\n') {
        true => Node::Block(script + "\n"),
        false => Node::Block(script),
    }
}

/// Copies the repository, or one commit of it, with all that a deployment refuses to go without; the token
/// doesn't stay behind on the runner's disk.
pub fn checkout(plan: &Plan<'_>, commit: Option<&str>) -> Node {
    let mut with = Map::new();
    with.set_some("ref", commit);
    if plan.project.has(".gitmodules") {
        with.set("submodules", "recursive");
    }
    let attributes = plan.project.text(".gitattributes");
    if attributes.is_some_and(|text| text.contains("filter=lfs")) {
        with.set("lfs", true);
    }
    with.set("persist-credentials", false);
    let mut step = uses("Check the repository out", CHECKOUT);
    step.set("with", with);
    step.into()
}

/// Installs the Landfall that wrote the workflow, so that it says there what it says here.
pub fn install(version: &str) -> Node {
    let mut step = step("Install Landfall");
    // Its own commit is what a program can't know of itself.
    step.set_noted(
        "uses",
        format!("{LANDFALL}@v{version}"),
        "zizmor: ignore[unpinned-uses] a release's tag doesn't move",
    );
    step.into()
}

/// Logs in to the registry of GitHub by the job's own token.
pub fn login_by_token(host: &str) -> Node {
    login(host, "${{ github.actor }}", "${{ secrets.GITHUB_TOKEN }}")
}

/// Logs in to a registry.
pub fn login(host: &str, username: &str, password: &str) -> Node {
    let mut with = Map::new();
    with.set("registry", literal(host))
        .set("username", username)
        .set("password", password);
    let mut step = uses(format!("Log in to {}", literal(host)), LOGIN);
    step.set("with", with);
    step.into()
}
