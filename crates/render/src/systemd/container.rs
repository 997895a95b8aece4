//! Services that run as containers: `docker run` in the foreground, looked after by systemd.

use landfall_app::{
    Name,
    model::{Process, ProcessKind, Run, Service, Source},
};

use super::{
    Units, count, ready,
    unit::{Unit, seconds},
    words::{assignment, line, word},
};
use crate::variables::Variables;

const DOCKER: &str = "/usr/bin/docker";

impl<'a> Units<'a> {
    pub(super) fn container(&mut self, name: &'a Name, service: &'a Service) {
        let app = &self.app.app;
        let migrate = self.migrate(name, service);
        let several = count(service) > 1;
        let base = self.name(name, None);
        let container = if several {
            format!("{base}-%i")
        } else {
            base.clone()
        };
        let mut unit = self.begun(&format!("{name} of {app}"), service);
        if let Some(migrate) = &migrate {
            unit.set("Requires", migrate);
            unit.set("After", migrate);
        }
        unit.set("StartLimitIntervalSec", "0");
        unit.section("Service");
        unit.set("Type", "exec");
        let front = match service.processes.as_slice() {
            [] => None,
            [one] => Some(one),
            _ => {
                self.note(
                    format!("service.{name}.process"),
                    "its image starts all of its processes itself: landfall render supervisord, or dockerfile",
                );
                None
            }
        };
        let variables = self.variables(name, service, front.map_or(&service.env, |one| &one.env));
        let first = self.ports.get(name).copied();
        let outside = match (first, several) {
            (Some(_), true) => Some("%i".to_owned()),
            (Some(port), false) => Some(port.to_string()),
            (None, _) => None,
        };
        self.network(&mut unit);
        unit.set("ExecStartPre", &format!("-{DOCKER} rm --force {container}"));
        let mut words = vec![format!("{DOCKER} run --rm --name {container}")];
        words.push(format!("--network {app} --network-alias {name}"));
        if let (Some(outside), Some(inside)) = (&outside, service.port) {
            // Ports of containers pass by the machine's firewall: only what is published is open.
            let address = if service.publish.is_some() {
                ""
            } else {
                "127.0.0.1:"
            };
            words.push(format!("--publish {address}{outside}:{inside}"));
        }
        words.extend(options(
            service,
            &self.environment(name, service, &variables),
        ));
        for (volume, facts) in &service.volumes {
            words.push(word_of_two(
                "--volume",
                &format!("{app}-{name}-{volume}:{}", facts.path),
            ));
        }
        words.push(self.image(name, service));
        if let Some(Process {
            kind: ProcessKind::Stays(command),
            ..
        }) = front
        {
            let port = service.port.map(|port| port.to_string());
            let known = |variable: &str| match variable {
                "PORT" => port.clone(),
                other => variables.plain.get(other).cloned(),
            };
            match command.expand(known) {
                Ok(command) => words.push(line(command)),
                Err(missing) => self.note(
                    format!("service.{name}.command"),
                    format!(
                        "names `${}`, which only the container knows: the image's own command runs",
                        missing.0
                    ),
                ),
            }
        }
        unit.set("ExecStart", &words.join(" \\\n    "));
        let health = service.front().map_or(&service.health, |one| &one.health);
        if let Some(probe) = &health.ready
            && !matches!(probe, landfall_app::model::Probe::Run(_))
            && let Some(line) =
                ready::waits(probe, outside.as_deref(), health.interval, health.timeout)
        {
            unit.set("ExecStartPost", &line);
            unit.set("TimeoutStartSec", &ready::start(health.start));
        }
        let grace = service.stop.grace;
        unit.comment("Asked to end by its own signal; what is left after its time is killed.");
        unit.set(
            "ExecStop",
            &format!(
                "{DOCKER} stop --time {} {container}",
                grace.as_millis().div_ceil(1000)
            ),
        );
        unit.set(
            "TimeoutStopSec",
            &seconds(landfall_app::units::Time::from_millis(
                grace.as_millis() + 10_000,
            )),
        );
        unit.set("Restart", "always");
        unit.set("RestartSec", &seconds(service.restart.delay));
        self.settings(&mut unit, name, service, &variables);
        let at = if several { "@" } else { "" };
        let file = format!("{base}{at}.service");
        match several {
            true => {
                for replica in 0..count(service) {
                    let number = first.map_or(replica + 1, |port| u32::from(port) + replica);
                    self.wanted.push(format!("{base}@{number}.service"));
                }
            }
            false => self.wanted.push(file.clone()),
        }
        self.add(file, unit, "service");
    }

    /// A command that ends, in a container of its own.
    pub(super) fn contained(
        &mut self,
        unit: &mut Unit,
        name: &'a Name,
        service: &'a Service,
        run: &Run,
        file: &str,
    ) {
        let container = file.trim_end_matches(".service");
        let variables = self.variables(name, service, &service.env);
        self.network(unit);
        unit.set("ExecStartPre", &format!("-{DOCKER} rm --force {container}"));
        let mut words = vec![format!(
            "{DOCKER} run --rm --name {container} --network {}",
            self.app.app
        )];
        words.extend(options(
            service,
            &self.environment(name, service, &variables),
        ));
        for (volume, facts) in &service.volumes {
            let mount = format!("{}-{name}-{volume}:{}", self.app.app, facts.path);
            words.push(word_of_two("--volume", &mount));
        }
        let mut command = run.arguments().into_iter();
        // It is executed as it stands, whatever the image's entry point is.
        if let Some(program) = command.next() {
            words.push(word_of_two("--entrypoint", &program));
        }
        words.push(self.image(name, service));
        words.push(line(command));
        unit.set("ExecStart", &words.join(" \\\n    "));
        unit.set("ExecStopPost", &format!("-{DOCKER} rm --force {container}"));
        self.settings(unit, name, service, &variables);
    }

    fn network(&self, unit: &mut Unit) {
        unit.comment("There already, except the first time.");
        unit.set(
            "ExecStartPre",
            &format!("-{DOCKER} network create {}", self.app.app),
        );
    }

    /// Names that the client passes on from its own environment, so that no value stands in an argument.
    fn environment(&self, name: &Name, service: &Service, variables: &Variables) -> Vec<String> {
        let mut names: Vec<String> = variables.plain.keys().cloned().collect();
        names.extend(variables.secret.keys().cloned());
        names.extend(variables.apart.keys().cloned());
        for (backing, variable) in &service.uses {
            if let Some(backing) = self.app.backing.get(backing) {
                let all = crate::variables::of_backing(&backing.kind, variable);
                names.extend(all.into_iter().map(|(name, _)| name));
            }
        }
        if service.port.is_some() {
            names.push("PORT".to_owned());
        }
        names.sort();
        names.dedup();
        debug_assert!(self.app.services.contains_key(name));
        names
    }

    fn settings(&mut self, unit: &mut Unit, name: &Name, service: &Service, variables: &Variables) {
        if let Some(port) = service.port {
            unit.set("Environment", &format!("PORT={port}"));
        }
        for (variable, value) in &variables.plain {
            match assignment(variable, value) {
                Some(text) => unit.set("Environment", &text),
                None => self.note(
                    format!("service.{name}.env.{variable}"),
                    "has a control character in it, which a unit can't hold",
                ),
            }
        }
        self.secrets(unit, name, service, variables);
    }

    fn image(&mut self, name: &Name, service: &Service) -> String {
        let built = |name: &Name| format!("{}-{name}", self.app.app);
        let image = match &service.source {
            Source::Image(image) => image.clone(),
            Source::SameAs(other) => match self.app.services.get(other) {
                Some(facts) => facts
                    .push
                    .as_ref()
                    .map_or(built(other), |push| format!("{push}:latest")),
                None => built(other),
            },
            Source::Build(_) => match &service.push {
                Some(push) => format!("{push}:latest"),
                None => {
                    let image = built(name);
                    self.note(
                        format!("service.{name}.build"),
                        format!("nothing is built: docker build --tag {image} makes its image"),
                    );
                    image
                }
            },
        };
        word(&image)
    }
}

/// The limits and walls of a container.
fn options(service: &Service, environment: &[String]) -> Vec<String> {
    let mut words = vec![
        // What listens on the machine, such as its database, by a name.
        "--add-host host.docker.internal:host-gateway".to_owned(),
        // The journal has its output; the Engine's own copy would grow without an end.
        "--log-driver none".to_owned(),
    ];
    if let Some(memory) = service.memory.and_then(|it| it.limit) {
        // The same for memory and swap: no swap beside it.
        let bytes = memory.bytes();
        words.push(format!("--memory {bytes} --memory-swap {bytes}"));
    }
    if let Some(request) = service.memory.and_then(|it| it.request) {
        words.push(format!("--memory-reservation {}", request.bytes()));
    }
    if let Some(cpu) = service.cpu.and_then(|it| it.limit) {
        words.push(format!("--cpus {}", f64::from(cpu.thousandths()) / 1000.0));
    }
    words.push(format!("--pids-limit {}", service.pids.unwrap_or(4096)));
    words.push("--security-opt no-new-privileges --cap-drop ALL".to_owned());
    for capability in &service.capabilities {
        words.push(format!("--cap-add {capability}"));
    }
    if service.read_only {
        words.push("--read-only".to_owned());
    }
    for folder in &service.tmpfs {
        words.push(word_of_two("--tmpfs", folder));
    }
    if let Some(user) = service.user {
        words.push(format!("--user {user}"));
    }
    words.push(format!("--stop-signal {}", service.stop.signal));
    for name in environment {
        words.push(format!("--env {name}"));
    }
    words
}

fn word_of_two(option: &str, value: &str) -> String {
    format!("{option} {}", word(value))
}
