//! What compose files hold that is easily misread.

use landfall_import::RemarkKind;

use super::{one, refused, said, value, web, with};

#[test]
fn the_variables_of_env_feed_interpolation_only() {
    let imported = with(&[
        ("compose.yaml", "services: {web: {image: \"x:${TAG}\"}}\n"),
        (".env", "TAG=2\nOTHER=x\n"),
    ]);
    assert_eq!(value(&imported, "service/web/image"), "\"x:2\"");
    assert!(!imported.text.contains("OTHER"));
}

#[test]
fn environment_beats_env_file_even_when_empty_and_the_last_file_wins() {
    let compose = "services:\n  web:\n    image: x:1\n    env_file: [a.env, {path: b.env, required: false}, {path: none.env, required: false}]\n    environment: {A: \"\", E: e}\n";
    let imported = with(&[
        ("compose.yaml", compose),
        ("a.env", "A=1\nB=1\nC=1\n"),
        ("b.env", "B=2\n"),
    ]);
    for (name, expected) in [
        ("A", "\"\""),
        ("B", "\"2\""),
        ("C", "\"1\""),
        ("E", "\"e\""),
    ] {
        assert_eq!(
            value(&imported, &format!("service/web/env/{name}")),
            expected,
            "{name}"
        );
    }
    assert!(imported.clean(), "{:?}", imported.remarks);
}

#[test]
fn a_bare_name_takes_the_projects_value_or_vanishes() {
    let compose = "services:\n  web:\n    image: x:1\n    env_file: a.env\n    environment:\n      - HAS\n      - HAS_NOT\n      - FROM_FILE\n";
    let imported = with(&[
        ("compose.yaml", compose),
        (".env", "HAS=v\n"),
        ("a.env", "FROM_FILE=x\n"),
    ]);
    assert_eq!(value(&imported, "service/web/env/HAS"), "\"v\"");
    assert_eq!(value(&imported, "service/web/env/HAS_NOT"), "-");
    assert_eq!(value(&imported, "service/web/env/FROM_FILE"), "-");
    said(
        &imported,
        RemarkKind::Note,
        "services.web.environment.HAS_NOT",
    );
}

#[test]
fn a_missing_env_file_is_told_and_changes_nothing_else() {
    let imported = web("env_file: none.env\nenvironment: {A: a}");
    assert!(
        said(&imported, RemarkKind::Changed, "services.web.env_file")
            .contains("none.env isn't here")
    );
    assert_eq!(value(&imported, "service/web/env/A"), "\"a\"");
}

#[test]
fn short_depends_on_is_no_readiness_and_the_long_one_is_said() {
    let imported = one(
        "services:\n  a: {image: \"x:1\"}\n  b: {image: \"x:1\", depends_on: [a]}\n  c: {image: \"x:1\", depends_on: {a: {condition: service_healthy}}}\n",
    );
    said(&imported, RemarkKind::Note, "services.b.depends_on.a");
    assert!(
        said(&imported, RemarkKind::Changed, "services.c.depends_on.a").contains("start together")
    );
    assert!(
        refused("services: {a: {image: x, depends_on: [none]}}")
            .message
            .contains("there is no service `none`")
    );
    assert!(
        refused("services: {a: {image: x}, b: {image: x, depends_on: {a: {condition: ready}}}}")
            .message
            .contains("`ready` is none of")
    );
}

#[test]
fn one_that_ends_before_another_of_the_same_build_is_its_migration() {
    let imported = one(
        "services:\n  web: {build: ., depends_on: {setup: {condition: service_completed_successfully}}}\n  setup: {build: {context: ./}, command: bin/setup --all}\n",
    );
    assert_eq!(
        value(&imported, "service/web/migrate"),
        "\"bin/setup --all\""
    );
    assert_eq!(value(&imported, "service/setup"), "-");
}

#[test]
fn health_checks_in_all_their_forms() {
    for (check, path, expected) in [
        // Asked of its own port: a page.
        (
            "test: [CMD, curl, -f, \"http://localhost:80/up\"]",
            "health",
            "\"/up\"",
        ),
        (
            "test: curl -fsS http://127.0.0.1:80/up || exit 1",
            "health",
            "\"/up\"",
        ),
        (
            "test: [CMD-SHELL, \"wget -qO- http://localhost/up > /dev/null 2>&1 || exit 1\"]",
            "health",
            "\"/up\"",
        ),
        // Anything else stays a command; a text is for the shell.
        (
            "test: bin/ok && bin/fine",
            "health/run",
            "\"bin/ok && bin/fine\"",
        ),
        (
            "test: [CMD-SHELL, bin/ok $$HOME]",
            "health/run",
            "\"bin/ok $HOME\"",
        ),
        (
            "test: [CMD, bin/ok, \"a b\"]",
            "health/run",
            "[\"bin/ok\", \"a b\"]",
        ),
        (
            "test: [CMD, curl, -f, \"http://localhost:81/up\"]",
            "health/run",
            "[\"curl\", \"-f\", \"http://localhost:81/up\"]",
        ),
        (
            "test: [CMD, curl, -f, \"https://localhost:80/up\"]",
            "health/run",
            "[\"curl\", \"-f\", \"https://localhost:80/up\"]",
        ),
        // Off, so that the image's own counts for nothing.
        ("test: [NONE]", "health/tcp", "true"),
        ("disable: true", "health/tcp", "true"),
        // Times.
        (
            "test: /bin/x\n  interval: 1m30s\n  timeout: 10s\n  retries: 5\n  start_period: 1m",
            "health/start",
            "\"1m\"",
        ),
        (
            "test: /bin/x\n  interval: 1m30s\n  timeout: 10s\n  retries: 5\n  start_period: 1m",
            "health/retries",
            "5",
        ),
        (
            "test: /bin/x\n  interval: 30s\n  start_period: 10s",
            "health/start",
            "\"100s\"",
        ),
    ] {
        let imported = web(&format!("ports: ['8080:80']\nhealthcheck:\n  {check}"));
        assert_eq!(
            value(&imported, &format!("service/web/{path}")),
            expected,
            "{check}\n{}",
            imported.text
        );
    }
    for (check, expected) in [
        ("test: [bin/x]", "a list begins with CMD"),
        ("test: [CMD, x]\n      interval: 10", "`10` is no time"),
        ("test: [CMD, x]\n      retries: 0", "whole number"),
    ] {
        let refusal = refused(format!(
            "services:\n  a:\n    image: x\n    healthcheck:\n      {check}\n"
        ));
        assert!(refusal.message.contains(expected), "{refusal}");
    }
}

#[test]
fn restart_without_quotes_is_a_truth_value_and_means_no() {
    for text in ["no", "\"no\"", "false"] {
        assert!(
            said(
                &web(&format!("restart: {text}")),
                RemarkKind::Changed,
                "services.web.restart"
            )
            .contains("stayed ended")
        );
    }
    for text in ["always", "unless-stopped"] {
        assert!(web(&format!("restart: {text}")).remarks.is_empty());
    }
    let imported = web("restart: on-failure:3");
    assert_eq!(
        value(&imported, "service/web/restart"),
        "{ give-up = \"exit\", attempts = 3 }"
    );
    assert!(
        refused("services: {a: {image: x, restart: sometimes}}")
            .message
            .contains("`sometimes` is none of")
    );
}

#[test]
fn the_policy_of_deploy_beats_restart() {
    let imported = web(
        "restart: 'no'\ndeploy: {restart_policy: {condition: any, delay: 5s, max_attempts: 3, window: 2m}}",
    );
    let table = value(&imported, "service/web/restart");
    for part in [
        "delay = \"5s\"",
        "attempts = 3",
        "reset = \"2m\"",
        "give-up = \"exit\"",
    ] {
        assert!(table.contains(part), "{table}");
    }
    assert!(imported.remarks.is_empty(), "{:?}", imported.remarks);
}

#[test]
fn two_limits_that_differ_are_refused_and_the_same_twice_is_one() {
    let refusal = refused(
        "services:\n  a:\n    image: x\n    mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}\n",
    );
    assert!(
        refusal.message.contains("says 1GiB") && refusal.message.contains("says 2GiB"),
        "{refusal}"
    );
    assert_eq!(refusal.line, 4);
    let imported = web(
        "mem_limit: 1g\ncpus: 0.5\npids_limit: 100\ndeploy: {replicas: 2, resources: {limits: {memory: 1024m, cpus: '0.50'}, reservations: {memory: 256m}}}",
    );
    assert_eq!(
        value(&imported, "service/web/memory"),
        "{ request = \"256MiB\", limit = \"1GiB\" }"
    );
    assert_eq!(value(&imported, "service/web/cpu"), "0.5");
    assert_eq!(
        (
            value(&imported, "service/web/pids"),
            value(&imported, "service/web/replicas")
        ),
        ("100".to_owned(), "2".to_owned())
    );
}

#[test]
fn ports_in_all_their_forms() {
    for (ports, port, publish) in [
        ("['8080:80']", "80", "8080"),
        ("[8080:80]", "80", "8080"),
        ("['80']", "80", "-"),
        ("[80]", "80", "-"),
        ("['0.0.0.0:8080:80/tcp']", "80", "8080"),
        (
            "[{target: 80, published: '8080', protocol: tcp, mode: host}]",
            "80",
            "8080",
        ),
        ("['[::]:8080:80']", "80", "8080"),
    ] {
        let imported = web(&format!("ports: {ports}"));
        assert_eq!(
            (
                value(&imported, "service/web/port"),
                value(&imported, "service/web/publish")
            ),
            (port.to_owned(), publish.to_owned()),
            "{ports}"
        );
    }
    assert_eq!(value(&web("expose: ['3000']"), "service/web/port"), "3000");
    // Only one port, TCP, on all addresses: the rest is said.
    let imported = web("ports: ['80:80', '443:443', '53:53/udp', '127.0.0.1:81:80']");
    assert_eq!(
        imported
            .remarks
            .iter()
            .filter(|remark| remark.kind == RemarkKind::Lost && remark.key == "services.web.ports")
            .count(),
        3
    );
    assert!(
        said(
            &web("ports: ['127.0.0.1:80:80']"),
            RemarkKind::Changed,
            "services.web.ports"
        )
        .contains("127.0.0.1 alone")
    );
    // 22:22 is sixty-based for some readers.
    assert_eq!(
        value(&web("ports:\n  - 22:22"), "service/web/publish"),
        "22"
    );
    assert!(
        refused("services: {a: {image: x, ports: ['80:x']}}")
            .message
            .contains("is no port")
    );
}

#[test]
fn unknown_keys_are_named_with_their_place_and_the_nearest() {
    let imported =
        web("enviroment: {A: a}\nx-mine: 1\nbuildx: 1\nhealthcheck: {test: [NONE], intervall: 1s}");
    let lost = said(&imported, RemarkKind::Lost, "services.web.enviroment");
    assert!(lost.contains("did you mean `environment`"), "{lost}");
    assert!(
        said(
            &imported,
            RemarkKind::Lost,
            "services.web.healthcheck.intervall"
        )
        .contains("`interval`")
    );
    let place = imported
        .remarks
        .iter()
        .find(|remark| remark.key == "services.web.enviroment")
        .unwrap();
    assert_eq!((place.file.as_str(), place.line), ("compose.yaml", 5));
    assert!(
        !imported
            .remarks
            .iter()
            .any(|remark| remark.key.contains("x-mine"))
    );
    said(
        &one("services: {a: {image: x}}\nservice: {}\n"),
        RemarkKind::Lost,
        "service",
    );
}

#[test]
fn unknown_keys_deeper_down_and_undeclared_volumes_are_named_too() {
    let imported = web(
        "ports: [{target: 80, publish: 81}]\nvolumes: [{type: volume, source: data, target: /d, content: x}]\ndepends_on: {}\ndeploy: {resources: {limits: {mem: 1g}}}",
    );
    assert!(
        said(&imported, RemarkKind::Lost, "services.web.ports.publish").contains("`published`")
    );
    said(&imported, RemarkKind::Lost, "services.web.volumes.content");
    said(
        &imported,
        RemarkKind::Lost,
        "services.web.deploy.resources.limits.mem",
    );
    assert!(
        said(&imported, RemarkKind::Note, "services.web.volumes").contains("which Compose refuses")
    );
}

#[test]
fn every_key_of_the_specification_is_taken_over_or_said() {
    let values = [
        ("annotations", "{a: b}"),
        ("blkio_config", "{weight: 1}"),
        ("cap_add", "[SYS_TIME]"),
        ("cgroup", "host"),
        ("cgroup_parent", "x"),
        ("command", "a"),
        ("configs", "[c]"),
        ("container_name", "n"),
        ("cpu_count", "1"),
        ("cpu_percent", "1"),
        ("cpu_quota", "50000"),
        ("cpu_rt_period", "1"),
        ("cpu_rt_runtime", "1"),
        ("cpu_shares", "1"),
        ("cpus", "1"),
        ("cpuset", "'0'"),
        ("credential_spec", "{file: x}"),
        ("deploy", "{replicas: 2}"),
        ("develop", "{watch: []}"),
        ("device_cgroup_rules", "[a]"),
        ("devices", "[/dev/a]"),
        ("dns", "1.1.1.1"),
        ("dns_opt", "[a]"),
        ("dns_search", "a"),
        ("domainname", "a"),
        ("entrypoint", "a"),
        ("environment", "{A: a}"),
        ("expose", "[80]"),
        ("external_links", "[a]"),
        ("extra_hosts", "[a:1.1.1.1]"),
        ("gpus", "all"),
        ("group_add", "[a]"),
        ("healthcheck", "{test: a}"),
        ("hostname", "h"),
        ("init", "true"),
        ("ipc", "host"),
        ("isolation", "a"),
        ("labels", "{a: b}"),
        ("logging", "{driver: syslog}"),
        ("mac_address", "a"),
        ("mem_limit", "1g"),
        ("mem_reservation", "1g"),
        ("mem_swappiness", "1"),
        ("memswap_limit", "1g"),
        ("models", "[a]"),
        ("network_mode", "host"),
        ("oom_kill_disable", "true"),
        ("oom_score_adj", "1"),
        ("pid", "host"),
        ("pids_limit", "1"),
        ("platform", "a"),
        ("ports", "['80:80']"),
        ("post_start", "[{command: a}]"),
        ("pre_stop", "[{command: a}]"),
        ("pre_start", "[{command: a}]"),
        ("privileged", "true"),
        ("pull_policy", "always"),
        ("read_only", "true"),
        ("restart", "'no'"),
        ("runtime", "a"),
        ("scale", "2"),
        ("secrets", "[a]"),
        ("security_opt", "[a]"),
        ("shm_size", "1g"),
        ("stdin_open", "true"),
        ("stop_grace_period", "1m"),
        ("stop_signal", "SIGINT"),
        ("storage_opt", "{size: 1g}"),
        ("sysctls", "{a: 1}"),
        ("tmpfs", "/a"),
        ("tty", "true"),
        ("ulimits", "{nofile: 1}"),
        ("use_api_socket", "true"),
        ("user", "'2'"),
        ("userns_mode", "host"),
        ("uts", "host"),
        ("volumes", "[aa:/a]"),
        ("volumes_from", "[a]"),
        ("working_dir", "/a"),
        ("label_file", "a"),
        ("attach", "true"),
        ("provider", "{type: a}"),
        ("pull_refresh_after", "1d"),
    ];
    let plain = one("services:\n  web:\n    image: x:1\n");
    for (key, written) in values {
        let imported = one(&format!(
            "services:\n  web:\n    image: x:1\n    {key}: {written}\n  other: {{image: \"x:1\"}}\n"
        ));
        let before = plain.text.lines().count();
        let taken = imported
            .text
            .split("[service.other]")
            .next()
            .unwrap()
            .trim_end()
            .lines()
            .ne(plain.text.trim_end().lines());
        let told = imported
            .remarks
            .iter()
            .any(|remark| remark.key.starts_with(&format!("services.web.{key}")));
        assert!(
            taken || told,
            "{key}: nothing said\n{}{before}",
            imported.text
        );
        assert!(
            !imported
                .remarks
                .iter()
                .any(|remark| remark.said.contains("doesn't know")),
            "{key}"
        );
    }
    println!(
        "{} keys of a service, each taken over or said",
        values.len()
    );
}
