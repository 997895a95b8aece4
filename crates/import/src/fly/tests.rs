//! What the parts of fly.toml become.

use std::collections::BTreeMap;

use super::import;
use crate::{Imported, Input, Refusal, RemarkKind};

fn read(text: &str) -> Result<Imported, Refusal> {
    let source = BTreeMap::from([
        ("fly.toml".to_owned(), text.as_bytes().to_vec()),
        ("Dockerfile".to_owned(), b"FROM scratch\n".to_vec()),
    ]);
    import(&Input {
        files: &["fly.toml".to_owned()],
        source: &source,
        variables: &BTreeMap::new(),
        profiles: &[],
        name: "folder",
    })
}

#[test]
fn what_fly_launch_writes_is_a_service() {
    let imported = read("app = \"restless-fire-6276\"\nprimary_region = 'ord'\nkill_signal = \"SIGTERM\"\nkill_timeout = 120\n\n[build]\n\n[env]\n  LOG_LEVEL = \"debug\"\n  PORT = 8080\n  API_KEY = \"hunter2\"\n\n[deploy]\n  release_command = \"bin/rails db:prepare\"\n  strategy = \"bluegreen\"\n\n[http_service]\n  internal_port = 8080\n  force_https = true\n  auto_stop_machines = \"stop\"\n  min_machines_running = 2\n  processes = [\"app\"]\n  [[http_service.checks]]\n    interval = \"30s\"\n    timeout = 5000\n    grace_period = \"10s\"\n    method = \"GET\"\n    path = \"/health\"\n\n[[vm]]\n  size = \"shared-cpu-2x\"\n").unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From fly.toml. `landfall check` reads it, `landfall config` shows it with every default.
    app = "restless-fire-6276"
    env = { LOG_LEVEL = "debug" }

    [service.restless-fire-6276]
    build    = "Dockerfile"
    port     = 8080
    health   = { ready = "/health", interval = "30s", timeout = "5s" }
    migrate  = "bin/rails db:prepare"
    replicas = 2
    stop     = { signal = "SIGTERM", grace = "2m" }
    memory   = "512MiB"
    cpu      = 2
    secrets  = ["API_KEY"]
    "#);
    assert_eq!(imported.secrets, ["API_KEY"]);
}

#[test]
fn groups_of_processes_are_services_of_one_build() {
    let imported = read("app = \"shop\"\n[processes]\nweb = \"bin/web --all '$X'\"\nworker = \"bin/worker\"\n[http_service]\nprocesses = [\"web\"]\ninternal_port = 3000\n[[mounts]]\nsource = \"data_1\"\ndestination = \"/data\"\nprocesses = [\"worker\"]\ninitial_size = \"10gb\"\n[[vm]]\nmemory = \"1gb\"\ncpus = 1\nprocesses = [\"worker\"]\n[build]\nbuild-target = \"run\"\n[build.args]\nA = \"b\"\n[[files]]\nguest_path = \"/x\"\nlocal_path = \"./conf/x\"\n[env]\nA = \"b\"\n").unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From fly.toml. `landfall check` reads it, `landfall config` shows it with every default.
    app = "shop"
    env = { A = "b" }

    [service.web]
    build   = { dockerfile = "Dockerfile", stage = "run", args = { A = "b" } }
    command = ["bin/web", "--all", "$X"]
    port    = 3000
    files   = { "/x" = "conf/x" }

    [service.worker]
    build    = { same-as = "web" }
    command  = "bin/worker"
    strategy = "recreate"  # a volume belongs to one release at a time, as at fly.io
    memory   = "1GiB"
    cpu      = 1
    volumes  = { data-1 = "/data" }
    files    = { "/x" = "conf/x" }
    "#);
}

#[test]
fn older_services_and_other_ports() {
    let imported = read("app = \"tcp\"\n[[services]]\ninternal_port = 6000\nprotocol = \"tcp\"\n[[services.ports]]\nport = 10000\n[[services.tcp_checks]]\ninterval = \"15s\"\n[[services]]\ninternal_port = 53\nprotocol = \"udp\"\n[checks.alive]\ntype = \"http\"\nport = 9000\npath = \"/up\"\n").unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From fly.toml. `landfall check` reads it, `landfall config` shows it with every default.
    app = "tcp"

    [service.tcp]
    build   = "Dockerfile"
    port    = 6000
    publish = 10000
    health  = { interval = "15s" }
    "#);
    let lost: Vec<_> = imported.remarks.iter().map(|remark| remark.line).collect();
    assert!(lost.contains(&9), "{lost:?}");
}

#[test]
fn keys_without_an_equal_are_said_with_their_lines() {
    let imported = read("app = \"a\"\nswap_size_mb = 512\nnonsense = 1\n[[statics]]\nguest_path = \"/x\"\nurl_prefix = \"/y\"\n[build]\nbuilder = \"paketo\"\n").unwrap();
    let lost: Vec<_> = imported
        .remarks
        .iter()
        .map(|remark| (remark.line, remark.key.as_str()))
        .collect();
    assert_eq!(
        lost[..3],
        [(8, "build.builder"), (2, "swap_size_mb"), (3, "nonsense")]
    );
}

#[test]
fn what_is_about_the_place_alone_is_lost_to_nobody() {
    let imported = read("app = \"a\"\nprimary_region = \"ord\"\n[[services]]\ninternal_port = 8080\nauto_stop_machines = \"stop\"\nauto_start_machines = true\n[[services.http_checks]]\npath = \"/up\"\n[[services.tcp_checks]]\ninterval = \"15s\"\n[[mounts]]\nsource = \"data\"\ndestination = \"/data\"\ninitial_size = \"10gb\"\nauto_extend_size_limit = \"20gb\"\n").unwrap();
    assert!(imported.clean(), "{:?}", imported.remarks);
    let said: Vec<_> = imported
        .remarks
        .iter()
        .map(|remark| (remark.line, remark.key.as_str()))
        .collect();
    for expected in [
        (5, "services.auto_stop_machines"),
        (14, "mounts.initial_size"),
        (15, "mounts.auto_extend_size_limit"),
        (9, "services.tcp_checks"),
    ] {
        assert!(said.contains(&expected), "{expected:?}: {said:?}");
    }
    // The page is the question still.
    assert!(imported.text.contains("\"/up\""), "{}", imported.text);
}

#[test]
fn a_second_check_of_another_kind_is_lost() {
    let imported = read("app = \"a\"\n[[services]]\ninternal_port = 8080\n[[services.http_checks]]\npath = \"/up\"\n[checks.other]\ntype = \"http\"\npath = \"/other\"\n").unwrap();
    assert!(
        imported
            .remarks
            .iter()
            .any(|remark| remark.kind == RemarkKind::Lost && remark.key == "checks.other"),
        "{:?}",
        imported.remarks
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let refusal = read("app = \"a\"\nthis is nothing\n").unwrap_err();
    assert_eq!((refusal.name, refusal.line), ("bad-import", 2));
}
