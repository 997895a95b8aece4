//! From a release to what a supervisor is told: pure, given ports and the values of secrets.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use landfall_app::{
    App, Field, Name, Reference, Template, Value,
    model::{self, Priority, ProcessKind, Run, Service},
};
use landfall_redact::Secret;
use landfall_release::{Artifact, Failure, ImageConfig, ReleaseNumber};
use landfall_supervise::specification::{
    GiveUp, Health, Logs, Probe, Process, Restart, Sensitive, Specification, Stop, VERSION,
};

use crate::{backing::BackingAddress, runtime};

/// A segment of a service's log is closed at this size.
pub const SEGMENT: u64 = 8 << 20;

/// Everything that the environment of a service's processes is made from.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The app.
    pub app: &'a App,
    /// The service.
    pub service: &'a Service,
    /// Its name.
    pub name: &'a Name,
    /// The release.
    pub release: ReleaseNumber,
    /// What was built for it.
    pub artifact: &'a Artifact,
    /// The instance.
    pub instance: &'a str,
    /// The replica's number, from 1.
    pub replica: u32,
    /// `$PORT`.
    pub port: Option<u16>,
    /// The stable loopback port of each service.
    pub stable_ports: &'a BTreeMap<Name, u16>,
    /// The values of the release's secrets.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// Generated values by variable.
    pub generated: &'a BTreeMap<String, Secret>,
    /// `$HOME`; a container has its image's.
    pub home: &'a Path,
    /// This machine's address as containers of the app see it.
    pub gateway: Option<Ipv4Addr>,
    /// Where the backing services are.
    pub backing: &'a BTreeMap<Name, BackingAddress>,
}

/// An environment, what is secret in it apart.
#[derive(Default)]
pub struct Environment {
    /// Plain values.
    pub plain: BTreeMap<String, String>,
    /// Values with a secret in them.
    pub secret: BTreeMap<String, String>,
}

impl Environment {
    /// All of it.
    pub fn whole(&self) -> BTreeMap<String, String> {
        let mut whole = self.plain.clone();
        whole.extend(self.secret.clone());
        whole
    }
}

/// The variables of a service whose values the host makes and keeps, with their lengths in bytes.
pub fn generated_variables(service: &Service) -> BTreeMap<String, u32> {
    let own = service.env.iter();
    let processes = service.processes.iter().flat_map(|process| &process.env);
    own.chain(processes)
        .filter_map(|(variable, value)| match value {
            Value::Generate(bytes) => Some((variable.clone(), *bytes)),
            Value::Text(_) => None,
        })
        .collect()
}

impl Surroundings<'_> {
    /// What is masked in the lines of this service.
    pub fn mask(&self) -> BTreeMap<String, String> {
        let used = self
            .service
            .secrets
            .keys()
            .filter_map(|name| Some((name, self.secrets.get(name)?)));
        let all = used.chain(self.generated);
        let mut mask: BTreeMap<_, _> = all
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect();
        // A secret may also come by way of a template, without being listed.
        for (name, value) in self.secrets {
            mask.entry(name.clone())
                .or_insert_with(|| value.expose().to_owned());
        }
        for (name, address) in self.backing {
            if !address.password.is_empty() {
                let password = address.password.expose().to_owned();
                mask.entry(format!("password of {name}"))
                    .or_insert(password);
            }
        }
        mask
    }

    /// What its image's author set, where it runs in a container.
    fn image(&self) -> Option<&ImageConfig> {
        let image = self.artifact.image.as_ref();
        image
            .filter(|_| runtime::contained(self.service))
            .map(|image| &image.config)
    }

    /// What stands in the environment of every program of this machine.
    fn of_machine(&self) -> BTreeMap<String, String> {
        let folders = self
            .artifact
            .path
            .iter()
            .map(|folder| self.artifact.folder.join(folder).display().to_string());
        let system = [
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ];
        let path: Vec<_> = folders.chain(system.map(str::to_owned)).collect();
        let home = self.home.display().to_string();
        [("PATH", path.join(":")), ("HOME", home)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    /// The environment of a process, or of a command that runs beside them.
    pub fn environment(&self, process: Option<&model::Process>) -> Result<Environment, Failure> {
        let mut environment = Environment::default();
        let plain = &mut environment.plain;
        plain.insert("LANG".to_owned(), "C.UTF-8".to_owned());
        plain.extend(match self.image() {
            Some(config) => runtime::image_environment(config),
            None => self.of_machine(),
        });
        plain.extend(self.artifact.environment.clone());
        plain.insert("LANDFALL_APP".to_owned(), self.app.app.to_string());
        plain.insert(
            "LANDFALL_ENVIRONMENT".to_owned(),
            self.app.environment.to_string(),
        );
        plain.insert("LANDFALL_SERVICE".to_owned(), self.name.to_string());
        plain.insert("LANDFALL_RELEASE".to_owned(), self.release.to_string());
        plain.insert("LANDFALL_REPLICA".to_owned(), self.replica.to_string());
        if let Some(port) = self.port {
            plain.insert("PORT".to_owned(), port.to_string());
        }
        for name in self.service.secrets.keys() {
            if let Some(value) = self.secrets.get(name) {
                environment
                    .secret
                    .insert(name.clone(), value.expose().to_owned());
            }
        }
        for (name, variable) in &self.service.uses {
            for (variable, text, secret) in self.backing(name)?.variables(variable) {
                let values = match secret {
                    true => &mut environment.secret,
                    false => &mut environment.plain,
                };
                values.insert(variable, text);
            }
        }
        // The process's own holds the service's already.
        for (variable, value) in process.map_or(&self.service.env, |process| &process.env) {
            let (text, secret) = match value {
                Value::Text(template) => self.render(template)?,
                Value::Generate(_) => (self.generated_value(variable)?, true),
            };
            // One place for each variable, whatever gave it first.
            environment.plain.remove(variable);
            environment.secret.remove(variable);
            let values = if secret {
                &mut environment.secret
            } else {
                &mut environment.plain
            };
            values.insert(variable.clone(), text);
        }
        Ok(environment)
    }

    fn generated_value(&self, variable: &str) -> Result<String, Failure> {
        let value = self
            .generated
            .get(variable)
            .map(|value| value.expose().to_owned());
        value.ok_or_else(|| {
            Failure::new(
                "host-failed",
                format!("no value was generated for {variable}"),
            )
        })
    }

    fn backing(&self, name: &Name) -> Result<&BackingAddress, Failure> {
        self.backing.get(name).ok_or_else(|| {
            let message = format!("the backing service {name} isn't there");
            Failure::new("backing-failed", message).with("mend", "landfall deploy brings it up")
        })
    }

    fn render(&self, template: &Template) -> Result<(String, bool), Failure> {
        let mut secret = false;
        let text = template.render(|reference| {
            if let Reference::Backing(name, field) = reference {
                let (text, hidden) = self.backing(name)?.part(*field);
                secret |= hidden;
                return Ok(text);
            }
            if let Reference::Secret(name) = reference {
                secret = true;
                let value = self
                    .secrets
                    .get(name)
                    .map(|value| value.expose().to_owned());
                return value.ok_or_else(|| missing_secret(name, self.app));
            }
            self.address(reference)
        })?;
        Ok((text, secret))
    }

    fn address(&self, reference: &Reference) -> Result<String, Failure> {
        let own = Ipv4Addr::LOCALHOST;
        let (host, port, field) = match reference {
            Reference::Service(name, field) => {
                let host = match (self.image(), self.gateway) {
                    (None, _) => own,
                    (Some(_), Some(gateway)) => gateway,
                    (Some(_), None) => return Err(no_network(self.app)),
                };
                (host, self.stable_ports.get(name).copied(), *field)
            }
            // Siblings share `$PORT`: it belongs to the front process, and only that one listens.
            Reference::Process(_, field) => (own, self.port, *field),
            Reference::Backing(name, field) => return Ok(self.backing(name)?.part(*field).0),
            Reference::Secret(name) => return Err(missing_secret(name, self.app)),
        };
        let port = port.ok_or_else(|| {
            Failure::new("bad-reference", format!("`${{{reference}}}` has no port"))
        })?;
        Ok(match field {
            Field::Url => format!("http://{host}:{port}"),
            Field::Host => host.to_string(),
            Field::Port => port.to_string(),
            Field::User | Field::Password | Field::Name => String::new(),
        })
    }

    /// What the supervisor of this instance is told.
    pub fn specify(&self, logs: PathBuf) -> Result<(Specification, Sensitive), Failure> {
        let mut sensitive = Sensitive {
            mask: self.mask(),
            ..Sensitive::default()
        };
        let mut processes = Vec::new();
        for process in &self.service.processes {
            let environment = self.environment(Some(process))?;
            processes.push(self.process(process, &environment)?);
            sensitive
                .environment
                .insert(process.name.to_string(), environment.secret);
        }
        let outside = self.image().is_none();
        let stop = &self.service.stop;
        let restart = &self.service.restart;
        let specification = Specification {
            version: VERSION,
            instance: self.instance.to_owned(),
            directory: match self.image() {
                Some(config) => runtime::directory(config).into(),
                None => self.artifact.folder.clone(),
            },
            port: self.port,
            processes,
            stop: Stop {
                signal: stop.signal.clone(),
                grace: stop.grace.as_millis(),
            },
            restart: Restart {
                delay: restart.delay.as_millis(),
                max_delay: restart.max_delay.as_millis(),
                reset: restart.reset.as_millis(),
                attempts: match restart.give_up {
                    model::GiveUp::Never => 0,
                    _ => restart.attempts,
                },
                give_up: match restart.give_up {
                    model::GiveUp::Stay => GiveUp::Stay,
                    _ => GiveUp::Exit,
                },
            },
            logs: Logs::Segments {
                folder: logs,
                segment: SEGMENT,
                keep: self.app.logs.max.bytes(),
            },
            sockets: Vec::new(),
            health: None,
            // A container's limits are its own.
            memory: outside
                .then(|| Some(self.service.memory?.limit?.bytes()))
                .flatten(),
            cpu: outside
                .then(|| Some(self.service.cpu?.limit?.thousandths()))
                .flatten(),
            shared: false,
        };
        Ok((specification, sensitive))
    }

    fn process(
        &self,
        process: &model::Process,
        environment: &Environment,
    ) -> Result<Process, Failure> {
        let (command, ends) = match &process.kind {
            ProcessKind::Ends(run) => (words(run), true),
            ProcessKind::Stays(command) => {
                let own = self.expanded(command, process, environment)?;
                let words = match self.image() {
                    Some(config) => runtime::with_entry_point(config, own, process.name.as_str())?,
                    None => own,
                };
                (words, false)
            }
        };
        let health = &process.health;
        let probe = |probe: &model::Probe| self.probe(probe, process);
        Ok(Process {
            name: process.name.to_string(),
            command,
            ends,
            directory: None,
            environment: environment.plain.clone(),
            after: process.after.iter().map(Name::to_string).collect(),
            required: process.required,
            front: process.front && self.port.is_some(),
            health: Health {
                ready: health.ready.as_ref().map(probe).transpose()?,
                live: health.live.as_ref().map(probe).transpose()?,
                start: health.start.as_millis(),
                interval: health.interval.as_millis(),
                timeout: health.timeout.as_millis(),
                retries: health.retries,
                up: health.up.as_millis(),
            },
            nice: match process.priority {
                Priority::High => -5,
                Priority::Normal => 0,
                Priority::Low => 10,
            },
            memory: process.memory.map(|memory| memory.bytes()),
            cpu: process.cpu.map(|cpu| cpu.thousandths()),
            // A container is its user's as a whole.
            user: self.service.user.filter(|_| self.image().is_none()),
        })
    }

    /// A command's words. None of them may be secret: everybody on the machine may read arguments,
    /// and the specification keeps them.
    fn expanded(
        &self,
        command: &model::Command,
        process: &model::Process,
        environment: &Environment,
    ) -> Result<Vec<String>, Failure> {
        let bad = |what: String| {
            let place = format!("the command of {}.{}", self.name, process.name);
            Failure::new("bad-command", format!("{place}: {what}"))
        };
        let named = command.variables();
        if let Some(name) = named
            .iter()
            .find(|name| environment.secret.contains_key(*name))
        {
            let what = format!("it names `${name}`, which is a secret");
            return Err(bad(what).with(
                "mend",
                format!("let the app read the variable {name} itself; its environment has it"),
            ));
        }
        command
            .expand(|name| environment.plain.get(name).cloned())
            .map_err(|missing| bad(missing.to_string()))
    }

    fn probe(&self, probe: &model::Probe, process: &model::Process) -> Result<Probe, Failure> {
        let address = |port: Option<u16>| {
            let port = port.or(self.port).ok_or_else(|| {
                let message = format!(
                    "the health of {}.{} asks a port, and the service has none",
                    self.name, process.name
                );
                Failure::new("bad-reference", message)
            })?;
            Ok::<_, Failure>(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        };
        Ok(match probe {
            model::Probe::Http { path, status, body } => Probe::Http {
                address: address(None)?,
                path: path.clone(),
                status: *status,
                body: body.clone(),
            },
            model::Probe::Tcp { port } => Probe::Tcp {
                address: address(*port)?,
            },
            model::Probe::Run(run) => Probe::Run {
                command: words(run),
            },
        })
    }
}

/// What is executed for a `run`: a string goes verbatim to the shell, a list is exact.
pub fn words(run: &Run) -> Vec<String> {
    match run {
        Run::Shell(text) => ["/bin/sh", "-eu", "-c", text].map(str::to_owned).to_vec(),
        Run::Exact(words) => words.clone(),
    }
}

/// Without its network a container has nobody to ask.
fn no_network(app: &App) -> Failure {
    let message = format!("the network of {} isn't there yet", app.app);
    Failure::new("host-failed", message).with("mend", "landfall deploy makes it")
}

/// A secret without a value.
pub fn missing_secret(name: &str, app: &App) -> Failure {
    let environment = &app.environment;
    Failure::new(
        "missing-secret",
        format!("{name} has no value for {environment}"),
    )
    .with(
        "mend",
        format!("landfall secrets set {name} -e {environment}"),
    )
}

#[cfg(test)]
mod tests {
    use landfall_app::model::Command;

    use super::*;
    use crate::testing::{Bed, name};

    /// What the supervisor is told where the command has these words.
    fn specified(words: &[&str]) -> Result<(Specification, Sensitive), Failure> {
        let text = "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"TOKEN\"]\n\
            env = { URL = \"tcp://${secret.TOKEN}@db\", KEY = { generate = 32 }, PLAIN = \"plain\" }";
        let bed = Bed::new();
        let mut release = bed.release(text, &[("TOKEN", "secret-value")]);
        let service = release.content.app.services.get_mut("web").unwrap();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        service.processes[0].kind = ProcessKind::Stays(Command::Words(words));
        bed.host
            .with_surroundings(&release, &name("web"), "i", 1, None, |surroundings| {
                surroundings.specify("logs".into())
            })
    }

    #[test]
    fn a_command_with_a_secret_in_it_is_refused() {
        for variable in ["TOKEN", "URL", "KEY"] {
            for word in [format!("--x=${variable}"), format!("${{{variable}}}")] {
                let failure = specified(&["bin/web", "$PLAIN", &word]).unwrap_err();
                assert_eq!(failure.name, "bad-command", "{word}");
                let said = serde_json::to_string(&failure).unwrap();
                assert!(said.contains(variable), "{said}");
                assert!(!said.contains("secret-value"), "{said}");
            }
        }
    }

    #[test]
    fn nothing_secret_stands_in_a_specification() {
        let (specification, sensitive) = specified(&["bin/web", "$PLAIN", "$$TOKEN"]).unwrap();
        assert_eq!(
            specification.processes[0].command,
            ["bin/web", "plain", "$TOKEN"]
        );
        let written = serde_json::to_string(&specification).unwrap();
        let secret = &sensitive.environment["web"];
        let names: Vec<_> = secret.keys().map(String::as_str).collect();
        assert_eq!(names, ["KEY", "TOKEN", "URL"]);
        for value in secret.values() {
            assert!(!written.contains(value.as_str()), "{written}");
        }
    }
}
