//! Services that run as processes.

use landfall_app::{
    Name,
    model::{Command, GiveUp, Priority, Process, ProcessKind, Run, Service},
    units::{Cpu, Size},
};

use super::{
    Units, count, ready,
    unit::{Unit, seconds},
    words::{assignment, line, word, word_of},
};
use crate::variables::Variables;

/// What an app of its own needs of the machine, and nothing else. A just-in-time compiler writes what it
/// executes, so that stays allowed.
const HARDENED: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateUsers", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("RemoveIPC", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
    ("UMask", "0077"),
];

impl<'a> Units<'a> {
    /// Where the code of a service stands.
    fn folder(&self, name: &Name) -> String {
        format!("/opt/{}/{name}", self.app.app)
    }

    pub(super) fn processes(&mut self, name: &'a Name, service: &'a Service) {
        let migrate = self.migrate(name, service);
        let limited =
            service.processes.len() > 1 && (service.memory.is_some() || service.cpu.is_some());
        let slice = format!("{}.slice", self.name(name, None));
        if limited {
            let mut unit = Unit::new(&format!(
                "limits of all processes of {name} of {}",
                self.app.app
            ));
            unit.section("Slice");
            limits(
                &mut unit,
                service.memory.and_then(|it| it.request),
                service.memory.and_then(|it| it.limit),
                service.cpu.and_then(|it| it.limit),
                count(service),
            );
            if count(service) > 1 {
                self.note(
                    format!("service.{name}.memory"),
                    "the limit holds for the processes of all replicas together",
                );
            }
            self.add(slice.clone(), unit, "slice");
        }
        self.note(
            format!("service.{name}.build"),
            format!(
                "nothing is built: put what is built into {}",
                self.folder(name)
            ),
        );
        for process in &service.processes {
            let slice = limited.then_some(slice.as_str());
            self.process(name, service, process, migrate.as_deref(), slice);
        }
    }

    fn process(
        &mut self,
        name: &'a Name,
        service: &'a Service,
        process: &'a Process,
        migrate: Option<&str>,
        slice: Option<&str>,
    ) {
        let app = &self.app.app;
        let several = count(service) > 1;
        let at = if several { "@" } else { "" };
        // An instance of a template is named after its port, or counted where there is none.
        let own = if several { "@%i" } else { "" };
        let base = self.name(name, Some(&process.name));
        let said = match process.name == *name {
            true => format!("{name} of {app}"),
            false => format!("{} of {name} of {app}", process.name),
        };
        let mut unit = self.begun(&said, service);
        let mut first: Vec<String> = migrate.map(str::to_owned).into_iter().collect();
        for after in &process.after {
            first.push(format!("{}{own}.service", self.name(name, Some(after))));
        }
        for other in &first {
            unit.set("Requires", other);
            unit.set("After", other);
        }
        let stays = matches!(process.kind, ProcessKind::Stays(_));
        if stays {
            match service.restart.give_up {
                GiveUp::Never => unit.set("StartLimitIntervalSec", "0"),
                give_up => {
                    let attempts = service.restart.attempts.max(1);
                    unit.set("StartLimitIntervalSec", &seconds(service.restart.reset));
                    unit.set("StartLimitBurst", &attempts.to_string());
                    if give_up == GiveUp::Exit {
                        self.note(
                            format!("service.{name}.restart.give-up"),
                            "its siblings run on when a process has failed for good",
                        );
                    }
                }
            }
        }
        unit.section("Service");
        let variables = self.variables(name, service, &process.env);
        let port = match (self.ports.get(name), several) {
            (Some(_), true) => Some("%i".to_owned()),
            (Some(port), false) => Some(port.to_string()),
            (None, _) => None,
        };
        match &process.kind {
            ProcessKind::Ends(run) => {
                unit.set("Type", "oneshot");
                unit.set("RemainAfterExit", "yes");
                let words = self.placed(name, run.arguments());
                unit.set("ExecStart", &line(words));
            }
            ProcessKind::Stays(command) => {
                unit.set("Type", "exec");
                let line = self.started(name, command);
                unit.set("ExecStart", &line);
                self.ready(&mut unit, service, process, port.as_deref());
                unit.set("Restart", "always");
                unit.set("RestartSec", &seconds(service.restart.delay));
                if service.restart.max_delay > service.restart.delay {
                    unit.comment(&format!(
                        "From systemd 254 on: RestartSteps=6, RestartMaxDelaySec={}",
                        seconds(service.restart.max_delay)
                    ));
                }
            }
        }
        unit.set("KillSignal", &service.stop.signal);
        unit.comment("The process alone is asked to end; what it leaves behind is killed.");
        unit.set("KillMode", "mixed");
        unit.set("TimeoutStopSec", &seconds(service.stop.grace));
        match process.priority {
            Priority::High => unit.set("Nice", "-5"),
            Priority::Normal => {}
            Priority::Low => unit.set("Nice", "10"),
        }
        let (memory, cpu) = match slice {
            Some(slice) => {
                unit.set("Slice", slice);
                (process.memory, process.cpu)
            }
            None => (
                service.memory.and_then(|it| it.limit).or(process.memory),
                service.cpu.and_then(|it| it.limit).or(process.cpu),
            ),
        };
        let request = service.memory.and_then(|it| it.request);
        limits(
            &mut unit,
            request.filter(|_| slice.is_none()),
            memory,
            cpu,
            1,
        );
        if let Some(pids) = service.pids {
            unit.set("TasksMax", &pids.to_string());
        }
        self.surroundings(&mut unit, name, service, &variables, port.as_deref());
        if process.health.live.is_some() {
            self.note(
                format!("service.{name}.process.{}.health.live", process.name),
                "a process that runs and doesn't answer isn't started again",
            );
        }
        let file = format!("{base}{at}.service");
        if several {
            let first = self.ports.get(name).copied();
            for replica in 0..count(service) {
                let number = first.map_or(replica + 1, |port| u32::from(port) + replica);
                self.wanted.push(format!("{base}@{number}.service"));
            }
        } else {
            self.wanted.push(file.clone());
        }
        self.add(file, unit, "service");
    }

    /// What is ordered behind the unit waits for its last `ExecStartPost`.
    fn ready(&mut self, unit: &mut Unit, service: &Service, process: &Process, port: Option<&str>) {
        let health = &process.health;
        let waited_for = service
            .processes
            .iter()
            .any(|one| one.after.contains(&process.name));
        match &health.ready {
            Some(probe) => {
                let Some(line) = ready::waits(probe, port, health.interval, health.timeout) else {
                    return;
                };
                unit.set("ExecStartPost", &line);
                unit.set("TimeoutStartSec", &ready::start(health.start));
                if let landfall_app::model::Probe::Http { body: Some(_), .. } = probe {
                    self.note(
                        format!("process.{}.health.body", process.name),
                        "only the status of the answer is looked at",
                    );
                }
            }
            None if waited_for => {
                let up = format!("{}", health.up.duration().as_secs_f64());
                unit.set("ExecStartPost", &line(["/bin/sleep", &up]));
            }
            None => {}
        }
    }

    /// A command that ends, as a process of its own.
    pub(super) fn plain(
        &mut self,
        unit: &mut Unit,
        name: &'a Name,
        service: &'a Service,
        run: &Run,
    ) {
        let words = self.placed(name, run.arguments());
        unit.set("ExecStart", &line(words));
        let variables = self.variables(name, service, &service.env);
        let port = self.ports.get(name).map(u16::to_string);
        self.surroundings(unit, name, service, &variables, port.as_deref());
    }

    /// User, folder, environment and walls.
    fn surroundings(
        &mut self,
        unit: &mut Unit,
        name: &Name,
        service: &Service,
        variables: &Variables,
        port: Option<&str>,
    ) {
        let app = &self.app.app;
        let folder = self.folder(name);
        unit.set("WorkingDirectory", &folder);
        unit.set(
            "ExecSearchPath",
            &format!("{folder}/.venv/bin:{folder}/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"),
        );
        unit.set("Environment", "LANG=C.UTF-8");
        unit.comment("Its home, kept from start to start.");
        unit.set("StateDirectory", &format!("{app}/{name}"));
        unit.set("Environment", &format!("HOME=/var/lib/{app}/{name}"));
        if let Some(port) = port {
            unit.set("Environment", &format!("PORT={port}"));
        }
        for (variable, value) in &variables.plain {
            match assignment(variable, value) {
                Some(text) => unit.set("Environment", &text),
                None => self.notes.push(crate::Note {
                    setting: format!("service.{name}.env.{variable}"),
                    said: "has a control character in it, which a unit can't hold".to_owned(),
                }),
            }
        }
        self.secrets(unit, name, service, variables);
        unit.comment("A user that there is only while it runs.");
        unit.set("DynamicUser", "yes");
        let low = self.ports.get(name).is_some_and(|port| *port < 1024);
        let capabilities = if low { "CAP_NET_BIND_SERVICE" } else { "" };
        unit.set("CapabilityBoundingSet", capabilities);
        unit.set("AmbientCapabilities", capabilities);
        for (key, value) in HARDENED {
            match (*key, low) {
                // A user namespace of its own would take the low port away again.
                ("PrivateUsers", true) => {}
                (key, _) => unit.set(key, value),
            }
        }
    }

    /// The file with what is secret; it must be there where something in it is needed.
    pub(super) fn secrets(
        &self,
        unit: &mut Unit,
        name: &Name,
        service: &Service,
        variables: &Variables,
    ) {
        let app = &self.app.app;
        let needed = variables.secret.values().any(|optional| !optional)
            || !variables.apart.is_empty()
            || !service.uses.is_empty();
        if needed || !variables.secret.is_empty() {
            unit.comment(&format!(
                "landfall secrets export --service {name} --out {name}.env; then as root:"
            ));
            unit.comment(&format!(
                "install -D -m 0600 {name}.env /etc/{app}/{name}.env"
            ));
            let mark = if needed { "" } else { "-" };
            unit.set("EnvironmentFile", &format!("{mark}/etc/{app}/{name}.env"));
        }
    }

    /// Words whose program stands where systemd finds it: a path in the repository becomes a whole one.
    fn placed(&self, name: &Name, mut words: Vec<String>) -> Vec<String> {
        if let Some(first) = words.first_mut()
            && first.contains('/')
            && !first.starts_with('/')
        {
            *first = format!("{}/{}", self.folder(name), first.trim_start_matches("./"));
        }
        words
    }

    fn started(&self, name: &Name, command: &Command) -> String {
        let words = self.placed(name, command.words().to_vec());
        let Command::Words(_) = command else {
            return line(words);
        };
        let words: Vec<String> = words
            .into_iter()
            .enumerate()
            .map(|(at, one)| {
                let marked = Command::Words(vec![one.clone()])
                    .expand(|name| Some(format!("\0{name}\0")))
                    .ok()
                    .and_then(|words| words.into_iter().next());
                match marked {
                    // The program itself can't be a variable.
                    Some(marked) if at > 0 => {
                        let pieces: Vec<String> = marked.split('\0').map(str::to_owned).collect();
                        word_of(&pieces)
                    }
                    _ => word(&one),
                }
            })
            .collect();
        words.join(" ")
    }
}

fn limits(
    unit: &mut Unit,
    request: Option<Size>,
    memory: Option<Size>,
    cpu: Option<Cpu>,
    times: u32,
) {
    if let Some(request) = request {
        unit.set(
            "MemoryLow",
            &(request.bytes() * u64::from(times)).to_string(),
        );
    }
    if let Some(memory) = memory {
        unit.set(
            "MemoryMax",
            &(memory.bytes() * u64::from(times)).to_string(),
        );
        unit.comment("Without this the machine's swap is the rest of the limit.");
        unit.set("MemorySwapMax", "0");
    }
    if let Some(cpu) = cpu {
        let share = f64::from(cpu.thousandths() * times) / 10.0;
        unit.set("CPUQuota", &format!("{share}%"));
    }
}
