//! Units and supervisord.conf, judged by systemd's own tool and run by supervisord itself.

#![cfg(feature = "formats")]

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
};

use landfall_tests::{
    World, get,
    tools::{run, run_tool, tool},
    wait,
    world::{alive, kill, program},
};

/// A service of everything that a unit can say, with letters in it that mean something to systemd.
fn units(more: &str) -> World {
    let world = World::new();
    let fixture = program("fixture");
    world.write(
        "landfall.toml",
        &format!(
            r##"app = "shop"
timezone = "UTC"
runtime = "process"
[service.web]
port     = 3000
health   = {{ ready = "/up?a=%25&b=$c", status = 204 }}
migrate  = "test -n \"$HOME\" && echo 100% ';' '#'"
secrets  = ["TOKEN"]
replicas = 2
memory   = {{ request = "64MiB", limit = "512MiB" }}
cpu      = 0.5
env      = {{ PERCENT = "100%", QUOTED = "it's \"so\" \\ $HOME", LINES = "one\ntwo" }}
[service.web.process.prepare]
run = ["{fixture}", "exit", "0"]
[service.web.process.api]
command  = "{fixture} serve --port=$PORT '100% $5' \"it's\" ';'"
after    = "prepare"
priority = "high"
[service.web.process.agent]
command  = ["{fixture}", "worker", "; rm", "", "tab\tline\nend\\"]
after    = "api"
memory   = "64MiB"
[service.low]
command  = "{fixture} serve"
port     = 80
restart  = {{ give-up = "exit", attempts = 3 }}
stop     = {{ signal = "SIGINT", grace = "1500ms" }}
health   = {{ tcp = true }}
[service.box]
image    = "acme/box:1"
runtime  = "container"
port     = 3000
publish  = 3000
volumes  = {{ data = "/var/lib/with space" }}
read-only = true
user     = 1000
{more}
"##,
            fixture = fixture.display(),
        )
        .replace(
            "runtime = \"process\"\n[service.web]",
            "[service.web]\nruntime = \"process\"",
        )
        .replace("[service.low]", "[service.low]\nruntime = \"process\""),
    );
    world.landfall(&["render", "systemd"]).ok();
    world
}

#[test]
fn with_systemd_every_unit_is_accepted_without_a_word() {
    let world = units(
        "[job.nightly]\nrun = \"true\"\nservice = \"low\"\nschedule = \"*/20 4 1,15 * mon-fri\"\n",
    );
    // The Engine's own unit isn't on every machine that has its tool.
    world.write("systemd/docker.service", "[Service]\nExecStart=/bin/true\n");
    let folder = world.app().join("systemd");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let name = format!("./{}", entry.file_name().into_string().unwrap());
        let ran = run(Command::new("systemd-analyze")
            .current_dir(&folder)
            .args(["verify", "--man=no", &name]))
        .ok();
        // Programs of the Engine may be elsewhere here, and units of the machine itself have their own faults.
        let told: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| {
                line.contains("shop") && !line.contains("/usr/bin/docker is not executable")
            })
            .collect();
        assert_eq!(told, Vec::<&str>::new(), "{name}: {ran}");
        count += 1;
    }
    assert!(count >= 9, "only {count} units");
}

#[test]
fn with_systemd_what_a_process_is_exposed_to_is_little() {
    let world = units("");
    for unit in ["shop-web.api@.service", "shop-low.service"] {
        let path = world.app().join("systemd").join(unit);
        // 2.0 of 10 is what systemd calls OK.
        let arguments = ["security", "--offline=true", "--threshold=20"];
        run(Command::new("systemd-analyze").args(arguments).arg(path)).ok();
    }
}

#[test]
fn with_systemd_events_come_when_the_cron_line_says() {
    let cases: [(&str, &[&str]); 5] = [
        ("30 2 * * *", &["2026-01-01 02:30", "2026-01-02 02:30"]),
        (
            "*/20 9-10 * * mon",
            &[
                "2026-01-05 09:00",
                "2026-01-05 09:20",
                "2026-01-05 09:40",
                "2026-01-05 10:00",
            ],
        ),
        // Either of them, as cron has it.
        (
            "0 4 13 * fri",
            &["2026-01-02 04:00", "2026-01-09 04:00", "2026-01-13 04:00"],
        ),
        ("0 0 29 feb *", &["2028-02-29 00:00"]),
        (
            "15 0-23/6 * 1 7",
            &["2026-01-04 00:15", "2026-01-04 06:15", "2026-01-04 12:15"],
        ),
    ];
    for (schedule, expected) in cases {
        let world = units(&format!(
            "[job.j]\nrun = \"true\"\nservice = \"low\"\nschedule = \"{schedule}\"\n"
        ));
        let timer = world.read("systemd/shop.job.j.timer");
        let mut times = BTreeSet::new();
        for event in timer
            .lines()
            .filter_map(|line| line.strip_prefix("OnCalendar="))
        {
            let ran = run(Command::new("systemd-analyze").env("TZ", "UTC").args([
                "calendar",
                "--base-time=2025-12-31 23:59:59 UTC",
                "--iterations=6",
                event,
            ]))
            .ok();
            for line in ran
                .stdout
                .lines()
                .filter(|line| line.contains("Next elapse:") || line.contains("Iter. #"))
            {
                // `Iter. #2: Fri 2026-01-02 02:30:00 UTC`
                let words: Vec<&str> = line.split_whitespace().collect();
                let date = words
                    .iter()
                    .position(|word| word.len() == 10 && word.contains('-'))
                    .unwrap();
                times.insert(format!("{} {}", words[date], &words[date + 1][..5]));
            }
        }
        let found: Vec<&str> = times
            .iter()
            .map(String::as_str)
            .take(expected.len())
            .collect();
        assert_eq!(found, *expected, "{schedule}: {timer}");
    }
}

/// supervisord, which ends with the test.
struct Supervised {
    child: Child,
    world: World,
    port: u16,
}

impl Supervised {
    fn start(processes: &str, environment: &[(&str, &str)]) -> Self {
        let world = World::new();
        let port = world.ports().1;
        world.write(
            "landfall.toml",
            &format!(
                "app = \"shop\"\n[service.web]\nruntime = \"process\"\nport = {port}\nhealth = {{ ready = \"/health\", interval = \"100ms\" }}\n{}",
                processes.replace("FIXTURE", &program("fixture").display().to_string())
            ),
        );
        world.landfall(&["render", "supervisord"]).ok();
        // Each test has files of its own where all containers have the same.
        let folder = world.app().display().to_string();
        let conf = world
            .read("supervisord.conf")
            .replace("=/tmp/", &format!("={folder}/"))
            .replace("unix:///tmp/", &format!("unix://{folder}/"));
        world.write("supervisord.conf", &conf);
        let log = fs::File::create(world.app().join("log")).expect("a file in a temporary folder");
        let child = world
            .command(&tool("supervisord"))
            .args(["--configuration", "supervisord.conf"])
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().expect("supervisord is there")))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("supervisord is there");
        Self { child, world, port }
    }

    fn get(&self, path: &str) -> Option<landfall_tests::Answer> {
        get(&format!("http://127.0.0.1:{}{path}", self.port)).ok()
    }

    /// What `supervisorctl status` says, and its exit code.
    fn status(&self) -> (i32, String) {
        let ran = run_tool(
            "supervisorctl",
            &self.world.app(),
            &["-c", "supervisord.conf", "status"],
        );
        (ran.code, ran.stdout)
    }

    fn process(&self, name: &str) -> Option<u32> {
        let ran = run_tool(
            "supervisorctl",
            &self.world.app(),
            &["-c", "supervisord.conf", "pid", name],
        );
        ran.stdout
            .trim()
            .parse()
            .ok()
            .filter(|process| *process > 0)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{}\n{}",
                self.world.read("supervisord.conf"),
                self.world.read("log")
            );
        }
        let _ = run(Command::new("kill").arg(self.child.id().to_string()));
        let _ = self.child.wait();
    }
}

#[test]
fn with_supervisor_an_agent_starts_once_its_api_answers() {
    let supervised = Supervised::start(
        "[service.web.process.api]\ncommand = \"sh -c 'while [ ! -e go ]; do sleep 0.1; done; exec FIXTURE serve'\"\n\
         env = { FIXTURE_PORT = \"0\" }\n\
         [service.web.process.agent]\ncommand = [\"sh\", \"-c\", \"touch started; exec sleep 1000\"]\nafter = \"api\"\nenv = { API_URL = \"${process.api.url}\" }\n"
            .replace("env = { FIXTURE_PORT = \"0\" }\n", "")
            .as_str(),
        &[],
    );
    let folder = supervised.world.app();
    wait("both run as far as supervisord knows", || {
        (supervised.status().0 == 0).then_some(())
    });
    assert!(
        !folder.join("started").exists(),
        "the agent waits for its api"
    );
    fs::write(folder.join("go"), "").unwrap();
    wait("the api answers", || {
        supervised
            .get("/health")
            .filter(|answer| answer.status == 200)
    });
    wait("the agent is started", || {
        folder.join("started").exists().then_some(())
    });

    // One that is killed is started again, and its sibling stays.
    let (api, agent) = (
        supervised.process("api").unwrap(),
        supervised.process("agent").unwrap(),
    );
    kill(api);
    wait("another api", || {
        supervised.process("api").filter(|process| *process != api)
    });
    wait("it answers", || {
        supervised
            .get("/health")
            .filter(|answer| answer.status == 200)
    });
    assert_eq!(supervised.process("agent"), Some(agent));

    // Asked to end it ends all of them.
    run(Command::new("kill").arg(supervised.child.id().to_string())).ok();
    wait("the agent's end", || (!alive(agent)).then_some(()));
}

#[test]
fn with_supervisor_the_environment_and_arguments_are_what_was_meant() {
    let odd = [
        ("PERCENT", "100%"),
        ("HERE", "%(here)s %(ENV_PATH)s"),
        ("COMMENT", "a ;b #c ; # d"),
        ("QUOTES", "it's \"so\" 'x'"),
        ("BACKSLASH", "C:\\new\\"),
        ("COMMA", "a,B=c, D=\"e\""),
        ("SPACES", " around "),
        ("LINES", "one\ntwo\r\n three\n"),
        ("DOLLAR", "$HOME $PATH $(id) `id`"),
        ("LETTERS", "ä€𝄞"),
        ("EMPTY", ""),
    ];
    let toml = |text: &str| serde_json::to_string(text).unwrap();
    let env: Vec<String> = odd
        .iter()
        .map(|(name, value)| format!("{name} = {}", toml(value)))
        .collect();
    let words: Vec<String> = odd.iter().map(|(_, value)| toml(value)).collect();
    let supervised = Supervised::start(
        &format!(
            "[service.web.process.api]\ncommand = \"FIXTURE serve\"\n[service.web.process.agent]\n\
             command = [\"sh\", \"-c\", \"printf '%s\\\\0' \\\"$@\\\" >words; env -0 >env; exec sleep 1000\", \"sh\", {}]\nenv = {{ {} }}\n",
            words.join(", "),
            env.join(", ")
        ),
        &[("FROM_OUTSIDE", "kept")],
    );
    let folder = supervised.world.app();
    wait("the agent wrote its environment", || {
        folder.join("env").exists().then_some(())
    });
    wait("it is whole", || {
        fs::read_to_string(folder.join("env"))
            .ok()
            .filter(|text| text.contains("SUPERVISOR_PROCESS_NAME"))
    });
    let written = fs::read_to_string(folder.join("env")).unwrap();
    let found: Vec<&str> = written.split('\0').collect();
    for (name, value) in odd {
        assert!(
            found.contains(&format!("{name}={value}").as_str()),
            "{name}: {found:?}"
        );
    }
    assert!(found.contains(&"FROM_OUTSIDE=kept"));
    assert!(found.contains(&format!("PORT={}", supervised.port).as_str()));
    let words = fs::read_to_string(folder.join("words")).unwrap();
    let words: Vec<&str> = words.split_terminator('\0').collect();
    assert_eq!(words, odd.map(|(_, value)| value));
}

#[test]
fn with_supervisor_all_of_it_ends_where_one_has_failed_for_good() {
    let mut supervised = Supervised::start(
        "restart = { give-up = \"exit\", attempts = 1 }\n[service.web.process.api]\ncommand = \"FIXTURE serve\"\n\
         [service.web.process.agent]\ncommand = \"FIXTURE exit 1\"\n",
        &[],
    );
    wait("supervisord's end", || supervised.child.try_wait().unwrap());
    assert!(supervised.get("/health").is_none());
}

#[test]
fn with_supervisor_what_ends_runs_once_before_the_others() {
    let world = World::new();
    world.write(
        "landfall.toml",
        "app = \"shop\"\n[service.web]\nruntime = \"process\"\nport = 3000\n[service.web.process.first]\nrun = \"echo one >>order; test ! -e fails\"\n\
         [service.web.process.second]\nrun = [\"sh\", \"-c\", \"echo two >>order\"]\nafter = \"first\"\n[service.web.process.api]\ncommand = \"true\"\nafter = \"second\"\n",
    );
    world.landfall(&["render", "supervisord"]).ok();
    // In supervisord's place something that says when it came.
    world.write(
        "bin/supervisord",
        "#!/bin/sh\necho \"supervisord $*\" >>order\n",
    );
    let bin = world.app().join("bin");
    run(Command::new("chmod").arg("+x").arg(bin.join("supervisord"))).ok();
    let start = || {
        run(Command::new("./supervisord-start")
            .arg("supervisord.conf")
            .current_dir(world.app())
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display())))
    };
    start().ok();
    assert_eq!(
        world.read("order"),
        "one\ntwo\nsupervisord --configuration supervisord.conf\n"
    );
    world.write("order", "");
    world.write("fails", "");
    assert_ne!(start().code, 0);
    assert_eq!(world.read("order"), "one\n");
}

#[test]
fn with_shellcheck_the_scripts_that_are_written_have_no_findings() {
    let world = World::new();
    world.write(
        "landfall.toml",
        "app = \"shop\"\n[service.web]\nbuild = \"Dockerfile\"\nport = 3000\nsecrets = [\"TOKEN\"]\nuses = { postgres = \"DATABASE_URL\" }\n\
         env = { A = \"it's $HOME\", OTHER = \"${service.api.url}\" }\nvolumes = { data = \"/var/lib/shop\" }\ndomains = [\"shop.example.com\"]\n\
         [service.web.process.prepare]\nrun = \"make\"\n[service.web.process.api]\ncommand = \"api $PORT\"\nafter = \"prepare\"\n\
         [service.api]\nimage = \"acme/api:1\"\nport = 4000\n[backing.postgres]\nversion = \"15\"\n",
    );
    world.landfall(&["render", "dokku", "supervisord"]).ok();
    run_tool(
        "shellcheck",
        &world.app(),
        &["dokku/setup.sh", "supervisord-start"],
    )
    .ok();
}
