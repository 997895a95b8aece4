//! What people type.

use clap::Parser as _;

use super::*;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("landfall").chain(line.split_whitespace()))
}

fn command(line: &str) -> Command {
    parse(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .command
}

#[test]
fn every_command_of_the_book() {
    for line in [
        "init",
        "check",
        "validate",
        "config --schema",
        "config -e production --json",
        "plan",
        "plan staging",
        "up",
        "up -d",
        "deploy",
        "deploy production",
        "deploy -e staging --allow-dirty",
        "status",
        "ps",
        "releases",
        "deployments",
        "deployments 13",
        "events -f",
        "open",
        "logs",
        "logs web --process agent -f --since 2h --until 1h --grep X -n 5",
        "logs --tail 5",
        "rollback",
        "rollback 11 --keep-secrets",
        "restart",
        "stop",
        "start",
        "scale web=3 api=2",
        "run web -- echo -e hi",
        "run -- sh",
        "exec web --process agent -- env",
        "secrets set NAME",
        "secrets set NAME --from-file x --no-deploy",
        "secrets import",
        "secrets import .env",
        "secrets list",
        "secrets unset NAME",
        "secrets keygen",
        "secrets recipients add ann age1x",
        "secrets recipients list",
        "secrets recipients remove ann",
        "down",
        "down --purge --yes",
        "destroy",
        "host run",
        "host start",
        "host stop",
        "host stop --keep-apps",
        "host status",
        "host connect",
        "explain",
        "explain wrong-port",
        "completions bash",
        "man",
        "man dir",
        "version",
        "-e production status",
        "status --json -q",
        "edge --folder x --http 127.0.0.1:0 --threads 2 --supervisor y",
    ] {
        command(line);
    }
}

#[test]
fn mistakes_end_with_two() {
    for line in [
        "deplyo",
        "scale web",
        "scale web=many",
        "scale",
        "run web echo",
        "run web --",
        "rollback x",
        "deployments x",
        "host",
        "secrets",
        "host stop --keep-apps --stop-apps",
        "completions nosuchshell",
        "status --color sometimes",
        "config --schema -e x",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_is_a_command_too() {
    for line in ["help", "help deploy", "help secrets set", "secrets help"] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp, "{line}");
        assert_eq!(error.exit_code(), 0, "{line}");
    }
}

#[test]
fn numbers_are_asked_for_in_plain_words() {
    let error = parse("rollback abc").expect_err("no number").to_string();
    assert!(
        error.contains("a release is a number, such as 3"),
        "{error}"
    );
    let error = parse("deployments abc").expect_err("no number").to_string();
    assert!(
        error.contains("a deployment is a number, such as 3"),
        "{error}"
    );
}

#[test]
fn what_follows_the_dashes_is_the_command() {
    let Command::Run(run) = command("run web -- grep --json -e x") else {
        panic!("not run")
    };
    assert_eq!(run.service.as_deref(), Some("web"));
    assert_eq!(run.command, ["grep", "--json", "-e", "x"]);
    let arguments = parse("run web -- grep --json").unwrap();
    assert!(!arguments.global.json, "it is grep's");
}

#[test]
fn the_environment_may_stand_before_and_after() {
    assert_eq!(
        parse("-e a status").unwrap().global.environment.as_deref(),
        Some("a")
    );
    assert_eq!(
        parse("status --environment a")
            .unwrap()
            .global
            .environment
            .as_deref(),
        Some("a")
    );
}
