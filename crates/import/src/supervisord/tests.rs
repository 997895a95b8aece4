//! What each trap of the format becomes.

use std::collections::BTreeMap;

use super::import;
use crate::{Imported, Input, Refusal, RemarkKind};

fn read(files: &[(&str, &str)]) -> Result<Imported, Refusal> {
    let source: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect();
    import(&Input {
        files: &[files[0].0.to_owned()],
        source: &source,
        variables: &BTreeMap::new(),
        profiles: &[],
        name: "shop",
    })
}

fn text(conf: &str) -> String {
    read(&[("supervisord.conf", conf), ("requirements.txt", "")])
        .unwrap()
        .text
}

#[test]
fn programs_are_processes_in_their_order() {
    let conf = "[supervisord]\nnodaemon=true\nenvironment=LOG_LEVEL=\"info\"\n\n\
        [program:agent]\ncommand=python -m agent ; the second\npriority=200\nautorestart=false\nstartsecs=5\n\n\
        [program:API_server]\ncommand=uvicorn app.main:app\n  --port %(ENV_PORT)s\npriority=100\nstopsignal=INT\n\
        stopwaitsecs=30\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n\
        environment=A=\"b, c\",DB_PASSWORD=\"hunter2\",PATH=\"/x:%(ENV_PATH)s\"\n";
    let imported = read(&[
        ("supervisord.conf", conf),
        ("Dockerfile", "FROM x\nWORKDIR /app\nEXPOSE 8080\n"),
    ])
    .unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From supervisord.conf. `landfall check` reads it, `landfall config` shows it with every default.
    app = "shop"

    [service.shop]
    build   = "Dockerfile"
    port    = 8080  # as its command says; $PORT says it too
    stop    = { signal = "SIGINT", grace = "30s" }
    env     = { LOG_LEVEL = "info" }
    secrets = ["DB_PASSWORD"]

    [service.shop.process.api-server]
    command = ["sh", "-c", 'PATH="/x:${PATH}" exec uvicorn app.main:app --port "${PORT}"']
    env     = { A = "b, c" }

    [service.shop.process.agent]
    command  = "python -m agent"
    after    = "api-server"  # as their priorities say; started once that is ready
    health   = { up = "5s" }
    required = false
    "#);
    assert_eq!(imported.secrets, ["DB_PASSWORD"]);
    assert!(!imported.text.contains("hunter2"));
    assert!(
        imported
            .remarks
            .iter()
            .all(|remark| !remark.said.contains("hunter2"))
    );
}

#[test]
fn one_program_is_the_command() {
    insta::assert_snapshot!(text("[program:web]\ncommand=gunicorn -b 0.0.0.0:9000 app:app\nenvironment=A=\"b\"\n"), @r#"
    # From supervisord.conf. `landfall check` reads it, `landfall config` shows it with every default.
    app = "shop"

    [service.shop]
    command = "gunicorn -b 0.0.0.0:$PORT app:app"
    port    = 9000  # as its command says; $PORT says it too
    env     = { A = "b" }
    "#);
}

#[test]
fn no_shell_stands_between() {
    let command = |line: &str| {
        let text = text(&format!("[program:web]\ncommand={line}\n"));
        text.lines()
            .find(|line| line.starts_with("command"))
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(command("a && b"), "command = [\"a\", \"&&\", \"b\"]");
    assert_eq!(command("a $B"), "command = [\"a\", \"$B\"]");
    assert_eq!(command("bash -c \"exec a b\""), "command = \"a b\"");
    assert_eq!(
        command("bash -c \"a && b\""),
        "command = [\"bash\", \"-c\", \"a && b\"]"
    );
    assert_eq!(
        command("a %(ENV_B)s"),
        "command = [\"sh\", \"-c\", 'exec a \"${B}\"']"
    );
    assert_eq!(command("a 100%%"), "command = \"a 100%\"");
}

#[test]
fn several_of_a_program_are_several_processes() {
    let text = text(
        "[program:w]\ncommand=w --id %(process_num)d\nprocess_name=%(program_name)s_%(process_num)02d\nnumprocs=2\n",
    );
    assert!(
        text.contains("[service.shop.process.w-0]\ncommand = \"w --id 0\""),
        "{text}"
    );
    assert!(
        text.contains("[service.shop.process.w-1]\ncommand = \"w --id 1\""),
        "{text}"
    );
}

#[test]
fn what_runs_once_comes_first() {
    let text = text(
        "[program:prepare]\ncommand=bin/prepare\nautorestart=false\nstartsecs=0\npriority=1\n[program:web]\ncommand=bin/web\n",
    );
    assert!(
        text.contains("[service.shop.process.prepare]\nrun = \"bin/prepare\""),
        "{text}"
    );
}

#[test]
fn a_folder_is_gone_to() {
    let text = text(
        "[program:a]\ncommand=bin/a\ndirectory=/srv/my app\n[program:b]\ncommand=bin/b\ndirectory=%(here)s\n",
    );
    assert!(
        text.contains("\"cd '/srv/my app' && exec bin/a\""),
        "{text}"
    );
    assert!(text.contains("command = \"bin/b\""), "{text}");
}

#[test]
fn included_files_are_read_where_they_are_named() {
    let found = read(&[
        (
            "conf/supervisord.conf",
            "[include]\nfiles = more.conf other/*.conf\n",
        ),
        ("conf/more.conf", "[program:web]\ncommand=bin/web\n"),
    ])
    .unwrap();
    assert!(found.text.contains("bin/web"));
    assert_eq!(
        (found.remarks[0].kind, found.remarks[0].line),
        (RemarkKind::Lost, 2)
    );
}

#[test]
fn what_has_no_equal_is_said_with_its_line() {
    let found = read(&[(
        "supervisord.conf",
        "[inet_http_server]\nport=*:9001\npassword=hunter2\n[eventlistener:x]\ncommand=y\nevents=TICK_60\n[program:web]\ncommand=z\nuser=www-data\nexitcodes=0,2\nserverurl=AUTO\n",
    )])
    .unwrap();
    let said: Vec<_> = found
        .remarks
        .iter()
        .map(|remark| (remark.line, remark.kind))
        .collect();
    let lost = RemarkKind::Lost;
    assert_eq!(
        said,
        [
            (1, lost),
            (3, RemarkKind::PlainSecret),
            (4, lost),
            (9, lost),
            (10, RemarkKind::Changed),
            (11, lost)
        ]
    );
    assert!(!found.clean());
}

#[test]
fn what_supervisord_refuses_is_refused() {
    for conf in ["", "[supervisord]\n", "[program:x]\nwhat\n", "command=x\n"] {
        let refusal = read(&[("supervisord.conf", conf)]).unwrap_err();
        assert_eq!(refusal.name, "bad-import", "{conf}");
    }
}

#[test]
fn what_landfall_writes_comes_back() {
    let conf = "[supervisord]\nenvironment=PORT=\"8000\"\n[program:api]\ncommand=uvicorn app.main:app --port 8000\npriority=10\nstartretries=1000000\n\
        [program:agent]\ncommand=nice -n 15 python3 %(here)s/supervisord-after.py http 8000 /health '' '' 1 5 -- python -m agent\npriority=20\nstartretries=1000000\n";
    let found = read(&[("supervisord.conf", conf), ("requirements.txt", "")]).unwrap();
    assert!(found.clean(), "{:?}", found.remarks);
    insta::assert_snapshot!(found.text, @r#"
    # From supervisord.conf. `landfall check` reads it, `landfall config` shows it with every default.
    app = "shop"

    [service.shop]
    port = 8000  # as its command says; $PORT says it too

    [service.shop.process.api]
    command = "uvicorn app.main:app --port $PORT"

    [service.shop.process.agent]
    command  = "python -m agent"
    after    = "api"  # as their priorities say; started once that is ready
    priority = "low"
    "#);
}
