//! Everything one test has for itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Answer, Events, Ran, Running, http,
    ports::Ports,
    sweep::{self, adopt_orphans},
    wait,
};

/// A state folder, a range of ports and a folder with an app. All of it ends with the test.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    ports: Ports,
    variables: Vec<(String, String)>,
}

impl World {
    /// A fresh one.
    #[expect(
        clippy::new_without_default,
        reason = "a new world takes ports and folders, which is no default"
    )]
    pub fn new() -> Self {
        adopt_orphans();
        let folder = TempDir::with_prefix("landfall-").expect("a temporary folder can be made");
        let ports = Ports::take(folder.path());
        for part in ["app", "user", "home"] {
            fs::create_dir(folder.path().join(part)).expect("a fresh folder is empty");
        }
        Self {
            folder,
            ports,
            variables: Vec::new(),
        }
    }

    /// A world with the fixture as service `web`; `extra` is put into `[service.web]`.
    pub fn with_web(extra: &str) -> Self {
        let world = Self::new();
        world.web("one", extra);
        world
    }

    /// Writes an app file with the fixture as service `web`, and the version that it answers.
    pub fn web(&self, version: &str, extra: &str) {
        self.write("version", version);
        self.write("landfall.toml", &web_file(extra));
    }

    /// Sets a variable for each command from now on.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder of the app.
    pub fn app(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    /// The state folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The user's own folder: keys and configuration.
    pub fn user(&self) -> PathBuf {
        self.folder.path().join("user")
    }

    /// The folder around all of them.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The range of ports: `LANDFALL_PORTS`.
    pub fn ports(&self) -> (u16, u16) {
        (self.ports.first, self.ports.last)
    }

    /// Writes a file into the app's folder.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.app().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a folder of the app can be made");
        }
        fs::write(path, text).expect("a file of the app can be written");
    }

    /// Reads a file of the app's folder.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.app().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Runs `landfall` to its end.
    pub fn landfall(&self, arguments: &[&str]) -> Ran {
        self.landfall_with(arguments, &[], "")
    }

    /// Runs `landfall` with further variables and with text on standard input.
    pub fn landfall_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        input: &str,
    ) -> Ran {
        use std::io::Write as _;
        let mut running = self.spawn(arguments, variables);
        if let Some(to) = running.input() {
            // It may end without reading; then its exit is what the test looks at.
            let _ = to.write_all(input.as_bytes());
        }
        running.end()
    }

    /// Starts `landfall`, and gives it back while it runs.
    pub fn spawn(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let child = self
            .command(&program("landfall"))
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("landfall is there and can be executed");
        Running::new(format!("landfall {}", arguments.join(" ")), child)
    }

    /// A program in the app's folder, with this world's environment and nothing else.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.app())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.user())
            .env("USER", "tester")
            .env("NO_COLOR", "1")
            .env("LANDFALL_HOME", self.home())
            .env(
                "LANDFALL_PORTS",
                format!("{}-{}", self.ports.first, self.ports.last),
            )
            .env("LANDFALL_HTTP_PORT", "0")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs git in the app's folder, as an author that the test needn't configure.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self
            .command(Path::new("git"))
            .args([
                "-c",
                "user.name=tester",
                "-c",
                "user.email=tester@example.com",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .output()
            .expect("git is there");
        Ran::new(format!("git {}", arguments.join(" ")), &output)
            .ok()
            .stdout
            .trim()
            .to_owned()
    }

    /// Follows the events of all apps.
    pub fn events(&self) -> Events {
        Events::new(self.spawn(&["events", "--all", "--follow", "--json"], &[]))
    }

    /// `landfall status --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.landfall(&["status", "--json"]).data()
    }

    /// The live release's number; 0 for none.
    #[track_caller]
    pub fn live(&self) -> u64 {
        self.status()
            .get("live")
            .and_then(Value::as_u64)
            .unwrap_or(0)
    }

    /// A service's stable address.
    #[track_caller]
    pub fn url(&self, service: &str) -> String {
        let status = self.status();
        let url = services(&status)
            .find(|one| one["service"] == service)
            .and_then(|one| {
                one["urls"][0]
                    .as_str()
                    .map(|url| url.trim_end_matches('/').to_owned())
            });
        url.unwrap_or_else(|| panic!("no address of {service} in {status}"))
    }

    /// GET from `web` through the edge.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.url("web"));
        http::get(&url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The version that `web` answers with.
    #[track_caller]
    pub fn version(&self) -> String {
        let answer = self.get("/");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["version"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The supervisors of the live instances, by service.
    pub fn supervisors(&self) -> Vec<u32> {
        let status = self.status();
        services(&status)
            .filter_map(|service| service["instances"].as_array().cloned())
            .flatten()
            .filter_map(|instance| u32::try_from(instance["state"]["supervisor"].as_u64()?).ok())
            .collect()
    }

    /// Process ids of the live instances' processes, by name: `[("web", 71)]`.
    pub fn processes(&self) -> Vec<(String, u32)> {
        let status = self.status();
        services(&status)
            .filter_map(|service| service["instances"].as_array().cloned())
            .flatten()
            .filter_map(|instance| instance["state"]["processes"].as_array().cloned())
            .flatten()
            .filter_map(|process| {
                Some((
                    process["name"].as_str()?.to_owned(),
                    u32::try_from(process["pid"].as_u64()?).ok()?,
                ))
            })
            .collect()
    }

    /// The host's process, where one runs.
    pub fn host_process(&self) -> Option<u32> {
        let ran = self.landfall(&["host", "status", "--json"]);
        if ran.code != 0 {
            return None;
        }
        u32::try_from(ran.data()["process"].as_u64()?).ok()
    }

    /// Kills the host with SIGKILL and waits until it is gone.
    #[track_caller]
    pub fn kill_host(&self) {
        let process = self.host_process().expect("a host runs");
        kill(process);
    }

    /// Everything of this world that runs.
    pub fn running(&self) -> Vec<u32> {
        sweep::processes_of(self.folder.path())
    }

    /// How many processes of the fixture run as services of this world.
    pub fn fixtures(&self) -> usize {
        let fixture = program("fixture");
        self.running()
            .into_iter()
            .filter(|process| {
                fs::read_link(format!("/proc/{process}/exe")).is_ok_and(|exe| exe == fixture)
            })
            .count()
    }

    /// Ends everything at once with SIGKILL, as a power cut does.
    pub fn cut_power(&self) -> usize {
        sweep::sweep(self.folder.path())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        sweep::sweep(self.folder.path());
        #[cfg(feature = "engine")]
        crate::engine::sweep(&self.home(), self.app_name().as_deref());
    }
}

impl World {
    /// The name in the app file, where there is one.
    #[cfg(feature = "engine")]
    fn app_name(&self) -> Option<String> {
        let file = fs::read_to_string(self.app().join("landfall.toml")).ok()?;
        let line = file
            .lines()
            .find(|line| line.split('=').next().map(str::trim) == Some("app"))?;
        line.split('"').nth(1).map(str::to_owned)
    }

    /// What helps to understand a failed test.
    fn tell(&self) {
        for file in ["home/host.log", "home/edge/logs/edge.log"] {
            if let Ok(text) = fs::read_to_string(self.folder.path().join(file)) {
                let lines: Vec<&str> = text.lines().collect();
                let last = lines.len().saturating_sub(40);
                eprintln!("--- {file}\n{}", lines[last..].join("\n"));
            }
        }
    }
}

/// The app file of a world with the fixture as `web`.
pub fn web_file(extra: &str) -> String {
    format!(
        "app = \"shop\"\n\n[service.web]\ncommand = [\"{}\", \"serve\"]\nport = 3000\ndrain = \"2s\"\n\
         health = {{ ready = \"/health\", interval = \"200ms\", start = \"10s\" }}\n{extra}\n",
        program("fixture").display()
    )
}

/// The folder of one of the repository's examples; of all of them for an empty name.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a temporary folder");
    for entry in fs::read_dir(from)
        .expect("an example is a folder")
        .flatten()
    {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("an entry has a kind").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a file can be copied")),
        }
    }
}

/// The services of a status.
pub fn services(status: &Value) -> impl Iterator<Item = &Value> {
    status["services"].as_array().into_iter().flatten()
}

/// Kills a process with SIGKILL and waits until it is gone.
#[track_caller]
pub fn kill(process: u32) {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
    let id = i32::try_from(process)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    kill_process(id, Signal::KILL)
        .unwrap_or_else(|error| panic!("{process} can't be killed: {error}"));
    wait(&format!("the end of {process}"), || {
        // Where it has become our child it stays a zombie until we reap it.
        let _ = waitpid(Some(id), WaitOptions::NOHANG);
        (!alive(process)).then_some(())
    });
}

/// Whether a process runs; a zombie doesn't.
pub fn alive(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(')')
                .map(|(_, rest)| !rest.trim_start().starts_with('Z'))
        })
        .unwrap_or(false)
}

/// A program of this build: beside the tests, or in `LANDFALL_TEST_PROGRAMS`.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("LANDFALL_TEST_PROGRAMS")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            let own = std::env::current_exe().expect("a test knows its own program");
            let deps = own.parent().unwrap_or(Path::new("."));
            deps.parent().unwrap_or(deps).to_owned()
        });
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: `cargo build -p landfall-cli -p landfall-supervise -p landfall-tests` makes it",
        path.display()
    );
    path
}
