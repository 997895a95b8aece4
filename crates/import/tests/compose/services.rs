//! What a service is made of, and what it may do.

use landfall_import::RemarkKind;

use super::{one, refused, said, value, web, with};

#[test]
fn builds_in_their_forms() {
    for (build, root, expected) in [
        ("./app", "\"app\"", "\"Dockerfile\""),
        (".", "-", "\"Dockerfile\""),
        (
            "{context: app, dockerfile: docker/Dockerfile.prod}",
            "\"app\"",
            "\"docker/Dockerfile.prod\"",
        ),
        (
            "{context: ., dockerfile: app/Dockerfile, target: run}",
            "-",
            "{ stage = \"run\", dockerfile = \"app/Dockerfile\" }",
        ),
        (
            "{context: app, dockerfile: ../docker/Dockerfile}",
            "-",
            "{ context = \"app\", dockerfile = \"docker/Dockerfile\" }",
        ),
        (
            "{context: ., args: {A: 1}}",
            "-",
            "{ args = { A = \"1\" }, dockerfile = \"Dockerfile\" }",
        ),
    ] {
        let imported = one(&format!("services: {{web: {{build: {build}}}}}\n"));
        assert_eq!(
            (
                value(&imported, "service/web/root").as_str(),
                value(&imported, "service/web/build").as_str()
            ),
            (root, expected),
            "{build}"
        );
    }
    let imported = one(
        "services:\n  web: {build: ., image: \"ghcr.io/acme/web:latest\"}\n  worker: {image: \"ghcr.io/acme/web:latest\", command: bin/work}\n",
    );
    assert_eq!(value(&imported, "service/web/push"), "\"ghcr.io/acme/web\"");
    assert_eq!(
        value(&imported, "service/worker/build"),
        "{ same-as = \"web\" }"
    );
    said(
        &one("services: {a: {image: x}, web: {build: \"https://github.com/a/b.git\"}}"),
        RemarkKind::Lost,
        "services.web.build.context",
    );
    assert!(
        refused("services: {a: {command: x}}")
            .message
            .contains("neither `image` nor `build`")
    );
}

#[test]
fn an_entrypoint_stands_before_the_command_where_the_dockerfile_has_none() {
    let compose = "services: {web: {build: ., entrypoint: [bin/start, --fast], command: [web]}}\n";
    let plain = with(&[
        ("compose.yaml", compose),
        ("Dockerfile", "FROM python:3\nCMD [\"x\"]\nUSER 1000\n"),
    ]);
    assert_eq!(
        value(&plain, "service/web/command"),
        "\"bin/start --fast web\""
    );
    assert_eq!(value(&plain, "service/web/capabilities"), "-");
    let other = with(&[
        ("compose.yaml", compose),
        ("Dockerfile", "FROM python:3\nENTRYPOINT [\"x\"]\n"),
    ]);
    assert_eq!(value(&other, "service/web/command"), "\"web\"");
    said(&other, RemarkKind::Lost, "services.web.entrypoint");
}

#[test]
fn volumes_in_their_forms() {
    let imported = with(&[
        (
            "compose.yaml",
            "services:\n  web:\n    build: .\n    volumes:\n      - data:/data\n      - /cache\n      - ./x.conf:/etc/x.conf:ro\n      - ./uploads:/up\n      - .:/app\n      - /app/node_modules\n      - /var/run/docker.sock:/var/run/docker.sock\n      - {type: tmpfs, target: /t}\n      - {type: bind, source: ./y.conf, target: /y}\n",
        ),
        ("x.conf", "x"),
        ("y.conf", "y"),
    ]);
    assert_eq!(
        value(&imported, "service/web/volumes"),
        "{ data = \"/data\", cache = \"/cache\", uploads = \"/up\" }"
    );
    assert_eq!(
        value(&imported, "service/web/files"),
        "{ \"/etc/x.conf\" = \"x.conf\", \"/y\" = \"y.conf\" }"
    );
    assert_eq!(value(&imported, "service/web/tmpfs"), "[\"/t\"]");
    assert!(
        said(&imported, RemarkKind::Lost, "services.web.volumes").contains("the whole machine")
    );
}

#[test]
fn rights_are_those_that_the_container_had() {
    assert!(
        value(
            &one("services: {a: {image: \"x:1\"}}"),
            "service/a/capabilities"
        )
        .contains("SETUID")
    );
    assert_eq!(
        value(&web("read_only: true"), "service/web/capabilities"),
        "-"
    );
    assert_eq!(
        value(
            &one("services: {a: {image: \"x:1\", cap_drop: [ALL], cap_add: [NET_BIND_SERVICE]}}"),
            "service/a/capabilities"
        ),
        "[\"NET_BIND_SERVICE\"]"
    );
    assert!(
        !value(
            &one("services: {a: {image: \"x:1\", cap_drop: [chown]}}"),
            "service/a/capabilities"
        )
        .contains("\"CHOWN\"")
    );
}

#[test]
fn words_that_readers_take_differently_are_what_compose_takes_and_said() {
    let imported = web(
        "environment:\n  A: 012\n  B: yes\n  C: on\n  D: 12:30:45\n  E: 1.50\n  F: TRUE\n  G: '012'\n  H: 0x10",
    );
    for (name, expected) in [
        ("A", "10"),
        ("B", "yes"),
        ("C", "on"),
        ("D", "12:30:45"),
        ("E", "1.5"),
        ("F", "true"),
        ("G", "012"),
        ("H", "16"),
    ] {
        assert_eq!(
            value(&imported, &format!("service/web/env/{name}")),
            format!("\"{expected}\""),
            "{name}"
        );
    }
    assert!(
        said(&imported, RemarkKind::Note, "services.web.environment.A")
            .contains("`012` without quotes is read as 10")
    );
    assert!(imported.clean());
}

#[test]
fn names_that_do_not_fit_are_mended_and_said() {
    let long = "x".repeat(80);
    let imported = one(&format!(
        "name: My_App\nservices:\n  Web_App: {{image: \"x:1\"}}\n  web-app: {{image: \"x:1\"}}\n  {long}: {{image: \"x:1\"}}\n"
    ));
    assert_eq!(value(&imported, "app"), "\"my-app\"");
    for name in ["web-app", "web-app-2", &"x".repeat(63)] {
        assert_ne!(
            value(&imported, &format!("service/{name}")),
            "-",
            "{name}\n{}",
            imported.text
        );
    }
    said(&imported, RemarkKind::Changed, "name");
    assert!(
        said(&imported, RemarkKind::Changed, "services.web-app")
            .contains("called `web-app-2` here")
    );
    assert!(
        said(&imported, RemarkKind::Changed, &format!("services.{long}")).contains("63 characters")
    );
}

#[test]
fn the_variable_port_is_the_services_port_and_another_one_is_said() {
    let imported = web("environment: {PORT: 3000}");
    assert_eq!(value(&imported, "service/web/port"), "3000");
    assert_eq!(value(&imported, "service/web/env"), "-");
    let imported = web("ports: ['80:80']\nenvironment: {PORT: 3000}");
    assert!(
        said(
            &imported,
            RemarkKind::Changed,
            "services.web.environment.PORT"
        )
        .contains("here 80")
    );
}
