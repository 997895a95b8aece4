//! Two apps as workflows, and what must hold for every one.

use std::collections::BTreeMap;

use landfall_app::{App, read};
use landfall_yaml::read::Node;
use proptest::prelude::*;

use crate::{Format, Input, Rendered, render};

/// An app of two targets, three environments and a pipeline.
const TEXTBOOK: &str = r#"
app = "textbook"

[service.site]
root   = "frontend"
build  = { run = "npm ci && npm run build" }
static = "build"

[service.api]
root    = "backend"
build   = { dockerfile = "Dockerfile", args = { VERSION = "3" }, secrets = ["NPM_TOKEN"] }
push    = "ghcr.io/acme/textbook-api:latest"
port    = 7860
health  = "/health"
domains = ["api.example.com"]
secrets = ["OPENAI_API_KEY"]

[pipeline]
tests    = [{ run = "ruff check .", root = "backend" },
            { run = ["pytest", "-k", "not slow"], root = "backend", report = "coverage.xml" },
            { run = "test -n \"$HOME\"" }]
coverage = "70%"
timeout  = "10m"

[environment.staging]
branch = "staging/next"
target = "ssh://deploy@203.0.113.8"

[environment.production]
branch      = "main"
verified-in = "staging"
approvals   = 1
target      = { kubernetes = "prod" }

[environment.preview]
per     = "pull-request"
expires = "7d"
target  = "ssh://deploy@203.0.113.9"
service.site.target = { netlify = "textbook" }
"#;

/// An app of one service, whose image somebody else deploys, and one environment that is a machine.
const EDITOR: &str = r#"
app = "editor"

[service.editor]
root  = "backend"
build = "Dockerfile"
push  = "registry.example.com/acme/editor"
port  = 5000

[registry."registry.example.com"]
username = "bot"
password = "hunter2-in-plain-text"

[environment.box]
"#;

fn rendered(text: &str) -> Rendered {
    rendered_with(text, &[])
}

fn rendered_with(text: &str, more: &[(&str, &str)]) -> Rendered {
    let (file, diagnostics) = read(text.as_bytes(), "landfall.toml");
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
    let file = file.unwrap();
    let environments: Vec<App> = file
        .environments()
        .iter()
        .map(|name| file.resolve(name).ok().unwrap().app)
        .collect();
    let project: BTreeMap<String, Vec<u8>> = [("backend/Dockerfile", ""), (".git/HEAD", "")]
        .iter()
        .chain(more)
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let input = Input {
        app: &environments[0],
        environments: &environments,
        project: &project,
        version: "0.1.0",
    };
    render(Format::Github, &input).unwrap()
}

fn whole(rendered: &Rendered) -> String {
    let files = rendered.files.iter();
    let files: String = files
        .map(|file| format!("=== {}\n{}", file.path, file.text))
        .collect();
    let notes = rendered.notes.iter();
    let notes: String = notes
        .map(|note| format!("{}: {}\n", note.setting, note.said))
        .collect();
    format!("{files}=== notes\n{notes}")
}

#[test]
fn an_app_of_three_environments() {
    insta::assert_snapshot!("textbook", whole(&rendered(TEXTBOOK)));
}

#[test]
fn an_app_of_a_published_image() {
    insta::assert_snapshot!("editor", whole(&rendered(EDITOR)));
}

#[test]
fn a_password_in_the_app_file_is_in_no_workflow() {
    assert!(!whole(&rendered(EDITOR)).contains("hunter2"));
}

#[test]
fn the_same_app_is_written_the_same() {
    assert_eq!(rendered(TEXTBOOK), rendered(TEXTBOOK));
}

#[test]
fn every_action_of_others_is_pinned_by_its_commit() {
    let text = whole(&rendered(TEXTBOOK));
    let uses: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("uses: "))
        .map(|line| line.trim_matches('"'))
        .collect();
    assert!(uses.len() > 10, "{uses:?}");
    for action in uses {
        let (_, pin) = action.split_once('@').unwrap();
        let pinned = pin
            .split_once(" # v")
            .map(|(commit, _)| commit.trim_end_matches('"'))
            .is_some_and(|commit| {
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit())
            });
        assert!(
            pinned || action.starts_with(super::actions::LANDFALL),
            "{action}"
        );
    }
}

#[test]
fn a_script_holds_no_expression() {
    for text in [TEXTBOOK, EDITOR] {
        let mut block = None;
        for line in whole(&rendered(text)).lines() {
            let indent = line.len() - line.trim_start().len();
            if block.is_some_and(|at| indent <= at && !line.is_empty()) {
                block = None;
            }
            let script = line.trim_start().starts_with("run: ") || block.is_some();
            assert!(!script || !line.contains("${{"), "{line}");
            if line.trim_start().starts_with("run: |") {
                block = Some(indent);
            }
        }
    }
}

#[test]
fn an_expression_of_the_users_stays_text() {
    let text = "app = \"a\"\n[service.web]\ncommand = \"bin/web\"\n[pipeline]\ntests = [{ run = \"echo ${{ github.token }}\" }]\n";
    let ci = rendered(text).files[0].text.clone();
    assert!(!ci.contains("echo ${{ github.token"), "{ci}");
    assert!(ci.contains("echo ${{ '${{' }} github.token }}"), "{ci}");
    assert!(ci.contains("eval \"$SCRIPT\""), "{ci}");
}

#[test]
fn names_of_services_and_secrets_get_in_nobodys_way() {
    let service = |name: &str| {
        format!(
            "[service.{name}]\nbuild = \"Dockerfile\"\nport = 80\npush = \"ghcr.io/a/{name}\"\nsecrets = [\"IMAGE_API\", \"RELEASE\"]\n"
        )
    };
    let services: String = ["api", "api-tag", "commit"].map(service).concat();
    let text = format!(
        "app = \"a\"\nsecrets-from = \"env\"\n{services}[environment.staging]\n[environment.production]\nverified-in = \"staging\"\n"
    );
    for file in rendered(&text).files {
        let tree = landfall_yaml::read::read(file.text.as_bytes(), &Default::default());
        assert!(tree.is_ok(), "{}: {:?}", file.path, tree.err());
        let ids = file
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("        id: "));
        let mut ids: Vec<&str> = ids.collect();
        if file.path.contains("promote") {
            ids.sort_unstable();
            assert!(ids.windows(2).all(|two| two[0] != two[1]), "{ids:?}");
        }
    }
    let text = whole(&rendered(&text));
    assert!(
        text.contains("IMAGE_API: \"${{ secrets.IMAGE_API }}\""),
        "{text}"
    );
    assert!(text.contains("--image \"api=$IMAGE_API_\""), "{text}");
    assert!(text.contains("-- ${RELEASE_:+\"$RELEASE_\"}"), "{text}");
}

#[test]
fn submodules_and_large_files_are_checked_out_where_there_are_some() {
    assert!(!whole(&rendered(EDITOR)).contains("submodules"));
    let with = [
        (".gitmodules", ""),
        (".gitattributes", "*.bin filter=lfs diff=lfs"),
    ];
    let text = whole(&rendered_with(EDITOR, &with));
    assert!(
        text.contains("submodules: recursive\n          lfs: true\n"),
        "{text}"
    );
}

#[test]
fn a_branch_that_no_workflow_can_hold_is_refused() {
    let text =
        "app = \"a\"\n[service.web]\ncommand = \"bin/web\"\n[environment.box]\nbranch = \"it's\"\n";
    let (file, _) = read(text.as_bytes(), "landfall.toml");
    let file = file.unwrap();
    let app = file.resolve(&"box".parse().unwrap()).ok().unwrap().app;
    let project: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let input = Input {
        app: &app,
        environments: std::slice::from_ref(&app),
        project: &project,
        version: "0.1.0",
    };
    let refusal = render(Format::Github, &input).unwrap_err();
    assert!(refusal.message.contains("it's"), "{refusal}");
}

/// All values behind a key, wherever it stands.
fn values(node: &Node, key: &str, found: &mut Vec<String>) {
    for item in node.list().into_iter().flatten() {
        values(item, key, found);
    }
    for entry in node.map().into_iter().flat_map(|map| &map.entries) {
        if entry.key == key {
            found.extend(entry.value.text().map(str::to_owned));
        }
        values(&entry.value, key, found);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a test or an argument of a build says, it arrives as it stands, and is part of no expression.
    #[test]
    fn texts_of_the_user_arrive_as_they_stand(
        command in "([ -~]|\\$\\{\\{|\\}\\}|\n){1,30}",
        argument in "([ -#%-~]|[{][{]){0,20}",
    ) {
        let text = format!(
            "app = \"a\"\n[service.web]\nbuild = {{ dockerfile = \"Dockerfile\", args = {{ A = {argument:?} }} }}\nport = 80\n\
             push = \"ghcr.io/a/web\"\n[pipeline]\ntests = [{{ run = {command:?} }}]\n"
        );
        let (file, diagnostics) = read(text.as_bytes(), "landfall.toml");
        prop_assume!(!diagnostics.has_errors());
        let (Some(_), written) = (file, rendered(&text)) else { unreachable!() };
        for file in &written.files {
            let tree = landfall_yaml::read::read(file.text.as_bytes(), &Default::default()).unwrap();
            let found = |key: &str| {
                let mut found = Vec::new();
                values(&tree[0], key, &mut found);
                found
            };
            for script in found("run") {
                prop_assert!(!script.contains("${{"), "{}", script);
            }
            let arrived = |key: &str| -> Vec<String> {
                found(key).iter().map(|text| text.replace("${{ '${{' }}", "${{").trim_end().to_owned()).collect()
            };
            let wanted = command.trim_end();
            let mut scripts = arrived("run");
            scripts.extend(arrived("SCRIPT"));
            if file.path.ends_with("ci.yml") {
                prop_assert!(
                    scripts.iter().any(|script| script == wanted || *script == format!("set -u\n{wanted}")),
                    "{:?} in {:?}", wanted, scripts
                );
            } else {
                let arguments = arrived("build-args");
                prop_assert!(arguments.contains(&format!("A={argument}").trim_end().to_owned()), "{:?}", arguments);
            }
        }
    }
}
