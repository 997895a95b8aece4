//! Rendered compose files, judged by Docker Compose itself: read by it, and by others.

#![cfg(feature = "formats")]

use std::collections::BTreeMap;

use landfall_tests::{composed::Composed, tools::run_tool, tricky};
use serde_json::{Value, json};

fn spec_editor(environment: &str) -> Composed {
    Composed::example("spec-editor", environment)
}

fn marketplace(environment: &str) -> Composed {
    Composed::example("marketplace", environment)
}

const BOT: &str = "BOT_TOKEN=4242:nobody-may-see\nPOSTGRES_PASSWORD=f00d\nREDIS_PASSWORD=cafe\n";

/// A service of every kind, with all that a compose file can say and much that it can't.
const WORST: &str = r##"
timezone = "Europe/Berlin"
[env]
LEVEL = "info"
[service.web]
root         = "web"
build        = { dockerfile = "docker/Web.Dockerfile", context = "src", stage = "runtime", args = { A = "$x", B = "a b" }, secrets = ["NPM_TOKEN"] }
push         = "localhost:5000/acme/web"
command      = "serve --port $PORT --level ${LEVEL} '$5' --url $DATABASE_URL"
port         = 8000
publish      = 8000
health       = { ready = { path = "/health?a=$b", status = 204, body = "it's \"ok\": $HOME" }, live = "/live", interval = "2s", start = "90s" }
memory       = { request = "128MiB", limit = "512MiB" }
cpu          = { request = 0.25, limit = 1.5 }
pids         = 100
gpu          = 1
read-only    = true
tmpfs        = ["/var/cache:size=16m"]
capabilities = ["NET_BIND_SERVICE"]
user         = 1000
stop         = { signal = "SIGINT", grace = "45s" }
domains      = ["shop.example.com"]
migrate      = "bin/migrate --price '$5' && echo ${HOME:-none}"
files        = { "/etc/web $1.toml" = "web.toml" }
volumes      = { data = "/var/lib/web" }
uses         = { postgres = "DATABASE_URL", redis = "REDIS_URL", search = "SEARCH_URL", neon = "NEON_URL" }
secrets      = ["NEON", "NPM_TOKEN", { name = "MAYBE", optional = true }]
[service.web.env]
OTHER   = "${service.worker.url}/x$$y"
KEY     = { generate = 32 }
PATH    = "/opt/bin:/bin"
COMPOSE_FILE = "x"
LEVEL   = "debug"
[service.worker]
build    = { same-as = "web" }
port     = 9000
replicas = 3
strategy = "rolling"
[service.worker.process.init]
run = "bin/init"
[service.worker.process.worker]
command = ["worker", "--dollar", "$HOME", ""]
after   = "init"
[service.several]
build = "Dockerfile"
port  = 7000
[service.several.process.api]
command = "api --port $PORT"
[service.several.process.agent]
command = "agent"
env     = { API = "${process.api.url}" }
[service.pages]
static  = "public"
publish = 8088
[service.a23456789-123456789-123456789-123456789-123456789-123456789-12]
image = "registry.example.com:5000/x/y@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
env   = { LEVEL = "warn" }
[service.web-migrate]
image = "acme/redis-page:1"
[backing.postgres]
version    = "17.2"
memory     = "1GiB"
settings   = { "shared_preload_libraries" = "pg_stat_statements", search_path = '"$user", public' }
extensions = ["pg_trgm", "pgvector"]
init       = ["db/it's 1.sql"]
[backing.redis]
version  = "7"
memory   = "128MiB"
save     = ["900 1"]
settings = { maxmemory-policy = "allkeys-lru" }
[backing.search]
image   = "opensearchproject/opensearch:2"
port    = 9200
data    = "/usr/share/opensearch/data"
health  = "curl -sf localhost:9200/_cluster/health?wait=$x"
env     = { discovery_type = "single-node", PASS = { generate = 16 } }
[backing.neon]
kind = "postgres"
url  = "${secret.NEON}"
[job.nightly]
run      = "bin/report > /tmp/$(date +%F)"
schedule = "30 2 * * *"
service  = "web"
timeout  = "1h"
[hook]
before   = { run = "bin/tell before", service = "worker" }
switched = { run = ["bin/tell", "$switched"], service = "web" }
"##;

#[test]
fn with_compose_the_examples_are_accepted_in_every_environment() {
    for composed in ["local", "production"]
        .into_iter()
        .flat_map(|environment| [spec_editor(environment), marketplace(environment)])
    {
        composed.variables(&format!("GH_TOKEN=x\n{BOT}"));
        composed
            .compose(&["--profile", "*", "config", "-q"])
            .ok()
            .hides("level=warning");
    }
}

fn worst() -> Composed {
    worst_in("production")
}

fn worst_in(environment: &str) -> Composed {
    let composed = Composed::app(WORST, environment);
    composed.variables("NEON=postgres://n\nNPM_TOKEN=t\nPOSTGRES_PASSWORD=pp\nREDIS_PASSWORD=rr\nSEARCH_PASS=s\nWEB_KEY=k\n");
    composed
}

#[test]
fn with_compose_a_worst_case_app_is_accepted_and_means_what_it_says() {
    let composed = worst_in("local");
    composed
        .compose(&["--profile", "*", "config", "-q"])
        .ok()
        .hides("level=warning");
    let composed = worst();
    composed
        .compose(&["--profile", "*", "config", "-q"])
        .ok()
        .hides("level=warning");
    let ran = composed
        .compose(&["--profile", "*", "config", "--format", "json"])
        .ok();
    let file: Value = serde_json::from_str(&ran.stdout).unwrap();
    let web = &file["services"]["web"];
    // As Compose prints them, dollars doubled again.
    assert_eq!(
        web["command"],
        json!([
            "serve",
            "--port",
            "8000",
            "--level",
            "debug",
            "$$5",
            "--url",
            "postgresql://APP:pp@postgres:5432/APP".replace("APP", &composed.name)
        ])
    );
    assert_eq!(web["environment"]["OTHER"], "http://worker:9000/x$$$$y");
    assert_eq!(web["environment"]["PATH"], "/opt/bin:/bin");
    assert_eq!(web["environment"]["KEY"], "k");
    assert_eq!(web["image"], "localhost:5000/acme/web:latest");
    assert_eq!(web["build"]["target"], "runtime");
    assert_eq!(web["build"]["args"], json!({ "A": "$$x", "B": "a b" }));
    assert_eq!(
        web["deploy"]["resources"]["limits"],
        json!({ "cpus": 1.5, "memory": "536870912", "pids": 100 })
    );
    assert_eq!(web["stop_grace_period"], "45s");
    assert_eq!(file["services"]["worker"]["deploy"]["replicas"], 3);
    assert_eq!(
        file["services"]["worker"]["command"],
        json!(["worker", "--dollar", "$$HOME", ""])
    );
    let migrate = &file["services"]["web-migrate-once"];
    assert_eq!(
        migrate["entrypoint"],
        json!([
            "sh",
            "-eu",
            "-c",
            "bin/migrate --price '$$5' && echo $${HOME:-none}"
        ])
    );
    let waits = &web["depends_on"];
    assert_eq!(
        waits["web-migrate-once"]["condition"],
        "service_completed_successfully"
    );
    assert_eq!(waits["postgres"]["condition"], "service_healthy");
    assert_eq!(waits["redis"]["condition"], "service_healthy");
    assert!(waits.get("neon").is_none());
}

#[test]
fn with_compose_each_missing_variable_is_named() {
    let composed = worst();
    let example = composed.world.read(".env.example");
    let filled = composed.world.read(".env");
    for line in filled.lines() {
        let name = line.split('=').next().unwrap();
        assert!(
            example.contains(&format!("\n{name}=\n")),
            "{name} is in:\n{example}"
        );
        composed.variables(&filled.replace(line, &format!("{name}=")));
        composed
            .compose(&["config", "-q"])
            .exits(1)
            .says(&[name, "set it in .env"]);
    }
}

#[test]
fn with_jsonschema_the_files_are_what_the_specification_says() {
    for composed in [worst(), marketplace("local"), spec_editor("production")] {
        run_tool(
            "check-jsonschema",
            &composed.world.app(),
            &["--builtin-schema", "vendor.compose-spec", &composed.file],
        )
        .ok();
    }
}

#[test]
fn with_yamllint_the_files_are_tidy() {
    for composed in [worst(), marketplace("local"), spec_editor("production")] {
        let rules = "{extends: default, rules: {line-length: disable, document-start: disable, comments-indentation: disable}}";
        run_tool(
            "yamllint",
            &composed.world.app(),
            &["-s", "-d", rules, &composed.file],
        )
        .ok();
    }
}

/// The tricky texts that a variable can have: Landfall's own `${` is another matter.
fn values() -> BTreeMap<String, String> {
    let fits = |text: &String| !text.contains("${");
    let texts = tricky::texts().into_iter().filter(fits).enumerate();
    texts
        .map(|(index, text)| (format!("V{index}"), text))
        .collect()
}

/// An app with these values; what TOML can't hold as it stands is escaped.
fn valued(values: &BTreeMap<String, String>) -> Composed {
    let mut text = "[service.web]\nimage = \"busybox:test\"\n[service.web.env]\n".to_owned();
    for (name, value) in values {
        let quoted = serde_json::to_string(value).expect("a text is JSON");
        let quoted: String = quoted
            .chars()
            .map(|c| match c.is_control() {
                true => format!("\\u{:04X}", u32::from(c)),
                false => c.to_string(),
            })
            .collect();
        text.push_str(&format!("{name} = {quoted}\n"));
    }
    Composed::app(&text, "production")
}

#[test]
fn with_compose_no_value_is_misread() {
    let values = values();
    let composed = valued(&values);
    let understood = composed.understood();
    let environment = &understood["services"]["web"]["environment"];
    for (name, value) in &values {
        assert_eq!(environment[name], value.replace('$', "$$"), "{name}");
    }
}

#[test]
fn with_pyyaml_no_value_is_misread() {
    let values = values();
    let composed = valued(&values);
    let program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open('compose.yaml', encoding='utf-8'))))";
    let ran = run_tool("python", &composed.world.app(), &["-c", program]).ok();
    let file: Value = serde_json::from_str(&ran.stdout).unwrap();
    let environment = &file["services"]["web"]["environment"];
    for (name, value) in &values {
        let doubled = value.replace('$', "$$");
        let read = environment[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} {value:?} is {}", environment[name]));
        assert!(
            read == doubled || read == format!("${{{name}:-{value}}}"),
            "{name}: {value:?} is {read:?}"
        );
    }
}
