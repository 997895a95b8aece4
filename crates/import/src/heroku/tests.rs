//! What the parts of app.json become.

use std::collections::BTreeMap;

use super::import;
use crate::{Imported, Input, Refusal};

fn read(json: &str, procfile: &str) -> Result<Imported, Refusal> {
    let mut source = BTreeMap::from([
        ("app.json".to_owned(), json.as_bytes().to_vec()),
        ("package.json".to_owned(), b"{}".to_vec()),
    ]);
    if !procfile.is_empty() {
        source.insert("Procfile".to_owned(), procfile.as_bytes().to_vec());
    }
    import(&Input {
        files: &["app.json".to_owned()],
        source: &source,
        variables: &BTreeMap::new(),
        profiles: &[],
        name: "folder",
    })
}

#[test]
fn an_app_of_heroku_with_all_its_parts() {
    let imported = read(
        r#"{
	"name": "Small Sharp Tool",
	"env": {
		"SECRET_TOKEN": { "generator": "secret", "description": "signs cookies" },
		"WEB_CONCURRENCY": { "value": "5" },
		"MAIL_KEY": { "description": "of the mailer.", "required": true },
		"SENTRY": { "required": false },
		"API_KEY": "hunter2"
	},
	"formation": { "web": { "quantity": 2, "size": "standard-1x" }, "worker": { "quantity": 1 } },
	"addons": ["heroku-postgresql:mini", { "plan": "heroku-redis", "as": "CACHE", "options": { "version": "7" } }, "papertrail"],
	"scripts": { "postdeploy": "npm run seed" },
	"buildpacks": [{ "url": "heroku/nodejs" }]
}"#,
        "web: node server.js\nworker: node worker.js $WEB_CONCURRENCY\nrelease: npm run migrate\n",
    )
    .unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From app.json. `landfall check` reads it, `landfall config` shows it with every default.
    app = "small-sharp-tool"

    [service.small-sharp-tool]
    port     = 8000               # a guess; $PORT says it to the app
    migrate  = "npm run migrate"  # once per deployment, before it gets traffic
    replicas = 2
    uses     = { postgres = "DATABASE_URL", redis = "CACHE_URL" }
    env      = { SECRET_TOKEN = { generate = 32 }, WEB_CONCURRENCY = "5" }
    secrets  = ["MAIL_KEY", { name = "SENTRY", optional = true }, "API_KEY"]

    [service.small-sharp-tool.process.web]
    command = "node server.js"
    memory  = "512MiB"

    [service.small-sharp-tool.process.worker]
    command = "node worker.js $WEB_CONCURRENCY"

    [backing.postgres]

    [backing.redis]
    version = "7"
    "#);
    assert_eq!(imported.secrets, ["API_KEY"]);
    let lost: Vec<_> = imported
        .remarks
        .iter()
        .filter(|remark| remark.kind == crate::RemarkKind::Lost)
        .map(|remark| remark.line)
        .collect();
    assert_eq!(lost, [11, 12]);
}

#[test]
fn what_dokku_adds_is_read_too() {
    let imported = read(
        r#"{ "scripts": { "dokku": { "predeploy": "./migrate", "postdeploy": "./tell" } },
  "healthchecks": { "web": [{ "type": "startup", "path": "/up", "attempts": 5, "timeout": 10 }] },
  "cron": [{ "command": "node report.js", "schedule": "@daily" }] }"#,
        "web: node server.js\n",
    )
    .unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From app.json. `landfall check` reads it, `landfall config` shows it with every default.
    app = "folder"

    [service.folder]
    command = "node server.js"
    port    = 8000  # a guess; $PORT says it to the app
    health  = { ready = "/up", timeout = "10s", retries = 5 }
    migrate = "./migrate"

    [job.node-report-js]
    run      = "node report.js"
    schedule = "0 0 * * *"

    [hook]
    switched = "./tell"
    "#);
    assert!(imported.clean(), "{:?}", imported.remarks);
}

#[test]
fn the_base_of_a_build_at_heroku_is_lost_to_nobody_and_another_ones_buildpack_is() {
    let imported = read(
        "{ \"image\": \"heroku/nodejs\", \"stack\": \"heroku-24\", \"env\": {} }",
        "web: node .",
    )
    .unwrap();
    assert!(imported.clean(), "{:?}", imported.remarks);
    assert!(imported.remarks.iter().any(|remark| remark.key == "image"));
    let imported = read(
        "{ \"buildpacks\": [{ \"url\": \"https://example.com/ffmpeg\" }] }",
        "web: node .",
    )
    .unwrap();
    assert!(!imported.clean());
}

#[test]
fn other_tools_files_of_that_name_are_refused() {
    for json in [
        "{ \"expo\": { \"name\": \"x\" } }",
        "{ \"pages\": [] }",
        "[]",
        "{",
        "{ \"a\": 1 ",
    ] {
        assert_eq!(read(json, "").unwrap_err().name, "bad-import", "{json}");
    }
    assert_eq!(read("{\n \"a\": x }", "").unwrap_err().line, 2);
}
