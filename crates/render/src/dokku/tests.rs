use serde_json::Value;

use crate::{
    Format, Rendered,
    testing::{app, app_in, example, rendered, text},
};

fn dokku(text: &str, files: &[(&str, &str)]) -> Rendered {
    rendered(Format::Dokku, &app(text), files).unwrap()
}

fn json(rendered: &Rendered, path: &str) -> Value {
    serde_json::from_str(text(rendered, path)).unwrap()
}

fn all(rendered: &Rendered) -> String {
    let files = rendered.files.iter();
    let files: Vec<_> = files
        .map(|file| format!("==> {} <==\n{}", file.path, file.text))
        .collect();
    let notes = rendered.notes.iter();
    let notes: Vec<_> = notes
        .map(|note| format!("{}: {}", note.setting, note.said))
        .collect();
    format!(
        "{}\n==> notes <==\n{}\n",
        files.join("\n"),
        notes.join("\n")
    )
}

fn of_example(name: &str, files: &[(&str, &str)]) -> Rendered {
    let text = format!("{}\n[environment.production]\n", example(name));
    rendered(Format::Dokku, &app_in(&text, "production"), files).unwrap()
}

#[test]
fn an_api_and_its_agent_share_a_container() {
    let files = [("Dockerfile", "FROM python\nCMD [\"uvicorn\"]\n")];
    insta::assert_snapshot!(all(&of_example("union-action", &files)));
}

#[test]
fn a_database_is_linked_and_migrations_come_first() {
    let files = [(
        "Dockerfile",
        "FROM python\nCMD [\"python\", \"-m\", \"app\"]\n",
    )];
    insta::assert_snapshot!(all(&of_example("marketplace", &files)));
}

#[test]
fn several_services_are_several_apps() {
    let rendered = of_example("spec-editor", &[("backend/Dockerfile", "FROM python\n")]);
    let paths: Vec<_> = rendered
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "dokku/demo-app/Dockerfile",
            "dokku/demo-app/app.json",
            "backend/app.json",
            "dokku/setup.sh"
        ]
    );
    assert_eq!(
        text(&rendered, "dokku/demo-app/Dockerfile"),
        "FROM mendhak/http-https-echo:25\n"
    );
    let script = text(&rendered, "dokku/setup.sh");
    assert!(
        script.contains("dokku builder:set spec-editor build-dir backend\n"),
        "{script}"
    );
    assert!(
        script.contains("dokku ports:set spec-editor-demo-app http:8080:8080\n"),
        "{script}"
    );
}

#[test]
fn every_check_has_the_type_that_gates() {
    for health in [
        "\"/up\"",
        "{ ready = \"/up\", body = \"ok\", start = \"2m\", interval = \"5s\" }",
        "{ run = \"bin/ok\" }",
        "{ tcp = true }",
    ] {
        let rendered = dokku(
            &format!(
                "app = \"shop\"\n[service.web]\nbuild = \"Dockerfile\"\nport = 3000\nhealth = {health}\ncommand = \"web $PORT\"\n"
            ),
            &[],
        );
        let json = json(&rendered, "app.json");
        let checks = json["healthchecks"]["web"].as_array().unwrap();
        assert!(!checks.is_empty());
        for check in checks {
            assert_eq!(check["type"], "startup", "{check}");
            let kinds = ["path", "command", "listening", "uptime"];
            let count = kinds
                .iter()
                .filter(|kind| check.get(**kind).is_some())
                .count();
            assert_eq!(count, 1, "exactly one of {kinds:?} in {check}");
        }
        if health.contains("2m") {
            assert_eq!(checks[0]["attempts"], 24);
            assert_eq!(checks[0]["content"], "ok");
        }
    }
}

#[test]
fn a_worker_is_no_web_process() {
    let rendered = dokku(
        "app = \"shop\"\n[service.mail]\nbuild = \"Dockerfile\"\ncommand = \"bin/mail\"\nreplicas = 2\n",
        &[],
    );
    assert_eq!(text(&rendered, "Procfile"), "worker: bin/mail\n");
    let json = json(&rendered, "app.json");
    assert_eq!(json["formation"]["worker"]["quantity"], 2);
    assert_eq!(json["formation"]["web"]["quantity"], 0);
    assert_eq!(json["healthchecks"]["worker"][0]["uptime"], 5);
    assert!(!text(&rendered, "dokku/setup.sh").contains("ports:set"));
}

#[test]
fn a_procfile_without_a_web_process_would_keep_it_from_starting() {
    let rendered = dokku(
        "app = \"shop\"\n[service.web]\nbuild = \"Dockerfile\"\nport = 3000\nmigrate = \"bin/migrate && echo done\"\n",
        &[],
    );
    assert!(!rendered.files.iter().any(|file| file.path == "Procfile"));
    let json = json(&rendered, "app.json");
    assert_eq!(
        json["scripts"]["dokku"]["predeploy"],
        "sh -eu -c 'bin/migrate && echo done'"
    );
}

/// What Dokku makes of a Procfile's line: comments off, variables in, split into words by xargs.
fn words(procfile: &str, name: &str) -> Vec<String> {
    use std::io::Write as _;
    let line = procfile
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")))
        .unwrap();
    let mut text = line.to_owned();
    for mark in [" #", " //"] {
        if let Some(at) = text.rfind(mark) {
            text.truncate(at);
        }
    }
    let text = text.replace("$PORT", "3000");
    assert!(!text.contains('$'), "{text}");
    let mut child = std::process::Command::new("xargs")
        .args(["-r", "printf", "%s\\0"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn dokku_reads_the_words_that_were_meant() {
    let of = |command: &str| {
        let rendered = dokku(
            &format!(
                "app = \"shop\"\n[service.web]\nbuild = \"Dockerfile\"\nport = 3000\ncommand = {command}\nmigrate = [\"echo\", \"$HOME\", \"a # b\", \"it's\"]\n"
            ),
            &[],
        );
        text(&rendered, "Procfile").to_owned()
    };
    assert!(of("\"web --port $PORT\"").contains("web: web --port $PORT\n"));
    assert_eq!(
        words(&of("\"web --port=$PORT 'a b'\""), "web"),
        ["web", "--port=3000", "a b"]
    );
    assert_eq!(
        words(&of("[\"web\", \"it's\", \"\", \"\\\"x\\\"\"]"), "web"),
        ["web", "it's", "", "\"x\""]
    );
    // An empty word at the end would be lost.
    assert_eq!(words(&of("[\"web\", \"\"]"), "web")[..2], ["sh", "-c"]);
    // A dollar, a comment's mark or a line end would be lost on the way.
    for command in [
        "[\"printf\", \"%s|\", \"$HOME\", \"a # b\", \"c // d\", \"e\\nf\"]",
        "\"printf %s| '$HOME' 'a # b' 'c // d' $PORT\"",
    ] {
        let procfile = of(command.replace("%s|", "%s,").as_str());
        let words = words(&procfile, "web");
        assert_eq!(words[..2], ["sh", "-c"], "{procfile}");
        let folder = tempfile(&words[2]);
        let output = std::process::Command::new("sh")
            .args(["-c", &folder])
            .env("PORT", "3000")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("$HOME,a # b,c // d,"), "{said}");
        assert!(said.ends_with("e\nf,") || said.ends_with("3000,"), "{said}");
    }
    let release = words(&of("\"web\""), "release");
    assert_eq!(release[..2], ["sh", "-c"]);
}

/// The same, in a file of this test's own.
fn tempfile(script: &str) -> String {
    let path = std::env::temp_dir().join(format!("landfall-command-{}", std::process::id()));
    script.replace("/tmp/command", path.to_str().unwrap())
}

#[test]
fn the_script_is_one_and_holds_no_values_of_secrets() {
    let rendered = dokku(
        "app = \"shop\"\n[service.web]\nbuild = \"Dockerfile\"\nport = 3000\nsecrets = [\"TOKEN\"]\ncommand = \"web\"\n\
         env = { QUOTED = \"it's $HOME `x`\\nJSON\\n\" }\nvolumes = { data = \"/var/lib/shop\", odd = \"/with space\" }\n\
         domains = [\"shop.example.com\"]\n",
        &[],
    );
    let script = text(&rendered, "dokku/setup.sh");
    let output = std::process::Command::new("sh")
        .args(["-n", "-c", script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        script.contains("values=$(secrets web)\nprintf '%s' \"$values\" | tell config:import"),
        "{script}"
    );
    assert!(
        script.contains("\"QUOTED\": \"it's $HOME `x`\\nJSON\\n\"\n}\nJSON\n"),
        "{script}"
    );
    assert!(!script.contains("with space"), "{script}");
    let noted = rendered
        .notes
        .iter()
        .any(|note| note.setting == "service.web.volumes.odd");
    assert!(noted, "{:?}", rendered.notes);
}

#[test]
fn what_is_done_by_hand_names_the_plugin_and_its_database() {
    let text = "app = \"shop\"\n[service.web]\nbuild = \"Dockerfile\"\nport = 80\nuses = [\"redis\"]\n[backing.redis]\nversion = \"7\"\nsettings = { maxmemory-policy = \"allkeys-lru\" }\n";
    let rendered = dokku(text, &[("Dockerfile", "FROM a:1")]);
    let notes = rendered.notes.iter();
    let said: Vec<_> = notes.map(|note| note.said.as_str()).collect();
    assert!(
        said.iter()
            .any(|said| said.contains("`dokku redis:connect shop-redis`")),
        "{said:?}"
    );
}

#[test]
fn pages_that_nothing_builds_are_said() {
    let rendered = dokku(
        "app = \"shop\"\n[service.web]\ncommand = \"web\"\nport = 3000\n",
        &[],
    );
    let noted = rendered
        .notes
        .iter()
        .any(|note| note.said.contains("landfall render dockerfile"));
    assert!(noted, "{:?}", rendered.notes);
}
