//! Units for who wants no host: a target for the app, a unit for each process, job and migration, a
//! `docker run` for what is a container.
//!
//! The code of a service that runs as processes is expected in `/opt/APP/SERVICE`, as built there; its secrets
//! in `/etc/APP/SERVICE.env`, mode 0600, in the form that `landfall secrets export` writes.

mod calendar;
mod container;
mod process;
mod ready;
#[cfg(test)]
mod tests;
mod unit;
mod words;

use std::collections::BTreeMap;

use landfall_app::{
    App, Name, Reference,
    model::{BackingKind, Job, Replicas, Run, Runtime, Service, StartOrder, Strategy},
};

use crate::{
    Comment, Extent, Input, Note, Refusal, Rendered, Written, keep,
    variables::{self, Variables, part},
};
use unit::Unit;

/// Renders the units.
///
/// # Errors
/// Where nothing of the app runs.
pub fn render(input: &Input<'_>) -> Result<Rendered, Refusal> {
    let app = input.app;
    let runs = |service: &Service| !pages(service);
    if !app.services.values().any(runs) {
        return Err(Refusal {
            name: "nothing-to-render",
            message: format!("nothing of {} runs: it is made of pages alone", app.app),
            mend: None,
        });
    }
    let mut units = Units::new(app);
    for (name, service) in &app.services {
        match pages(service) {
            true => units.note(
                format!("service.{name}.static"),
                "pages have no unit: let the web server of the machine serve them",
            ),
            false => units.service(name, service),
        }
    }
    for (name, job) in &app.jobs {
        units.job(name, job);
    }
    units.finish()
}

/// Whether a service is made of pages alone.
fn pages(service: &Service) -> bool {
    service.static_files.is_some() && service.processes.is_empty()
}

/// What is being written.
struct Units<'a> {
    app: &'a App,
    /// The first port of each service on this machine.
    ports: BTreeMap<&'a Name, u16>,
    files: Vec<(String, String)>,
    /// What the target starts.
    wanted: Vec<String>,
    notes: Vec<Note>,
}

impl<'a> Units<'a> {
    fn new(app: &'a App) -> Self {
        let mut ports: BTreeMap<&Name, u16> = BTreeMap::new();
        let mut taken = std::collections::BTreeSet::new();
        // Where the search for a port goes on, for services that all want the same.
        let mut next: BTreeMap<u16, u16> = BTreeMap::new();
        // What is published keeps its port; the others take what is left.
        let mut services: Vec<_> = app.services.iter().collect();
        services.sort_by_key(|(_, service)| service.publish.is_none());
        for (name, service) in services {
            let Some(wanted) = service.publish.or(service.port) else {
                continue;
            };
            let count = count(service).min(1000) as u16;
            let free = |first: u16, taken: &std::collections::BTreeSet<u16>| {
                first
                    .checked_add(count - 1)
                    .is_some_and(|last| (first..=last).all(|port| !taken.contains(&port)))
            };
            let from = next.get(&wanted).copied().unwrap_or(wanted);
            let first = (from..=u16::MAX)
                .find(|first| free(*first, &taken))
                .unwrap_or(wanted);
            taken.extend(first..=first.saturating_add(count - 1));
            next.insert(wanted, first);
            ports.insert(name, first);
        }
        Self {
            app,
            ports,
            files: Vec::new(),
            wanted: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn note(&mut self, setting: String, said: impl Into<String>) {
        let said = said.into();
        self.notes.push(Note { setting, said });
    }

    /// `shop-web`, and of a process of several `shop-web.agent`. Names have no dots, so no two become one.
    fn name(&self, service: &Name, process: Option<&Name>) -> String {
        let name = match self.app.app == *service {
            true => service.to_string(),
            false => format!("{}-{service}", self.app.app),
        };
        match process {
            Some(process) if process != service => format!("{name}.{process}"),
            _ => name,
        }
    }

    /// The target's file.
    fn target(&self) -> String {
        format!("{}.target", self.app.app)
    }

    /// What a reference is on this machine.
    fn address(&self, reference: &Reference, service: &Name) -> Option<String> {
        let (name, field) = match reference {
            Reference::Service(name, field) => (name, field),
            Reference::Process(_, field) => (service, field),
            _ => return None,
        };
        let inside = self.app.services.get(service)?.runtime == Runtime::Container;
        let other = self.app.services.get(name)?;
        match (inside, other.runtime) {
            // Containers of the app share a network, in which each has its name and its own port.
            (true, Runtime::Container) => part(name.as_str(), other.port?, *field),
            // What is a process listens on the machine, which a container reaches by this name.
            (true, Runtime::Process) => {
                part("host.docker.internal", *self.ports.get(name)?, *field)
            }
            (false, _) => part("127.0.0.1", *self.ports.get(name)?, *field),
        }
    }

    /// The variables of a process, or of a command beside them; what can't be known is noted once.
    fn variables(
        &mut self,
        name: &Name,
        service: &Service,
        env: &BTreeMap<String, landfall_app::Value>,
    ) -> Variables {
        let found = variables::variables(service, env, |reference| self.address(reference, name));
        for (variable, of) in &found.apart {
            let said = format!(
                "isn't known here ({of}): write it into /etc/{}/{name}.env",
                self.app.app
            );
            self.note(format!("service.{name}.env.{variable}"), said);
        }
        found
    }

    fn service(&mut self, name: &'a Name, service: &'a Service) {
        let of = |setting: &str| format!("service.{name}.{setting}");
        if let Some(port) = self.ports.get(name)
            && Some(*port) != service.publish.or(service.port)
        {
            let said = format!("listens on {port}: another service has its port on this machine");
            self.note(of("port"), said);
        }
        if let Replicas::Scaled { min, .. } = service.replicas {
            let said = format!("{min} run, whatever the load is");
            self.note(of("replicas"), said);
        }
        if count(service) > 1 {
            self.note(
                of("replicas"),
                "each replica has a port of its own: a proxy in front must spread requests over them",
            );
            if service.start == StartOrder::OneFirst {
                self.note(of("start"), "all replicas are started at once");
            }
        }
        if service.strategy != Strategy::Recreate {
            self.note(
                of("strategy"),
                "a new release is a restart, with a short gap",
            );
        }
        for (backing, variable) in &service.uses {
            self.uses(name, backing, variable);
        }
        match service.runtime {
            Runtime::Process => self.processes(name, service),
            Runtime::Container => self.container(name, service),
        }
    }

    /// A backing service's address has a password in it, which only this machine knows.
    fn uses(&mut self, service: &Name, backing: &Name, variable: &str) {
        let Some(facts) = self.app.backing.get(backing) else {
            return;
        };
        let names = variables::of_backing(&facts.kind, variable);
        let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        let said = format!(
            "no unit provides it; write {} into /etc/{}/{service}.env",
            names.join(", "),
            self.app.app
        );
        self.note(format!("service.{service}.uses.{backing}"), said);
    }

    /// Units of backing services that a service starts after, where the machine's own packages have them.
    fn before(&self, service: &Service) -> Vec<&'static str> {
        let kinds = service
            .uses
            .keys()
            .filter_map(|name| self.app.backing.get(name))
            .filter(|backing| backing.own());
        kinds
            .filter_map(|backing| match backing.kind {
                BackingKind::Postgres => Some("postgresql.service"),
                BackingKind::Redis => Some("redis-server.service"),
                BackingKind::Image(_) => None,
            })
            .collect()
    }

    /// A unit that comes before all processes of a service, once for each start of the app.
    fn migrate(&mut self, name: &'a Name, service: &'a Service) -> Option<String> {
        let run = service.migrate.as_ref()?;
        let file = format!("{}.migrate.{name}.service", self.app.app);
        let mut unit = self.begun(
            &format!("migrations of {name} of {}", self.app.app),
            service,
        );
        unit.section("Service");
        unit.set("Type", "oneshot");
        unit.comment("Done once until the app is restarted as a whole.");
        unit.set("RemainAfterExit", "yes");
        self.command(&mut unit, name, service, run, &file);
        self.add(file.clone(), unit, "service");
        Some(file)
    }

    fn job(&mut self, name: &'a Name, job: &'a Job) {
        let app = &self.app.app;
        let Some((service_name, service)) = self.app.services.get_key_value(&job.service) else {
            return;
        };
        let base = format!("{app}.job.{name}");
        let Some(events) = calendar::events(&job.schedule, &self.app.timezone) else {
            self.note(
                format!("job.{name}.schedule"),
                "can't be said as a calendar event: this job has no unit",
            );
            return;
        };
        let mut unit = self.begun(&format!("job {name} of {app}"), service);
        unit.section("Service");
        unit.set("Type", "oneshot");
        if let Some(timeout) = job.timeout {
            unit.set("TimeoutStartSec", &unit::seconds(timeout));
        }
        let file = format!("{base}.service");
        self.command(&mut unit, service_name, service, &job.run, &file);
        self.add(file, unit, "service");
        let mut timer = Unit::new(&format!("when job {name} of {app} runs"));
        timer.set("PartOf", &self.target());
        timer.section("Timer");
        for event in events {
            timer.set("OnCalendar", &event);
        }
        timer.comment(
            "To the second, and what was missed while the machine was down isn't caught up.",
        );
        timer.set("AccuracySec", "1s");
        timer.set("Persistent", "no");
        let file = format!("{base}.timer");
        self.wanted.push(file.clone());
        self.add(file, timer, "timer");
    }

    /// A command that ends, in the way in which its service runs.
    fn command(
        &mut self,
        unit: &mut Unit,
        name: &'a Name,
        service: &'a Service,
        run: &Run,
        file: &str,
    ) {
        match service.runtime {
            Runtime::Process => self.plain(unit, name, service, run),
            Runtime::Container => self.contained(unit, name, service, run, file),
        }
    }

    /// The beginning of a unit of a service.
    fn begun(&self, description: &str, service: &Service) -> Unit {
        let mut unit = Unit::new(description);
        unit.set("PartOf", &self.target());
        let mut after = vec!["network-online.target"];
        unit.set("Wants", "network-online.target");
        after.extend(self.before(service));
        unit.set("After", &after.join(" "));
        if service.runtime == Runtime::Container {
            unit.set("Requires", "docker.service");
            unit.set("After", "docker.service");
        }
        unit
    }

    fn add(&mut self, file: String, unit: Unit, place: &str) {
        let text = format!("{}\n{}", unit.text(), keep(place, 0, Comment::Hash));
        self.files.push((format!("systemd/{file}"), text));
    }

    fn finish(mut self) -> Result<Rendered, Refusal> {
        let app = &self.app.app;
        let mut target = Unit::new(&format!("{app}, all of it"));
        for wanted in &self.wanted {
            target.set("Wants", wanted);
        }
        target.section("Install");
        target.set("WantedBy", "multi-user.target");
        let text = format!(
            "# To set {app} up: copy these units to /etc/systemd/system, then\n\
             #   systemctl daemon-reload && systemctl enable --now {app}.target\n\
             # A new release: put its code in place, then `systemctl restart {app}.target`.\n{}\n{}",
            target.text(),
            keep("target", 0, Comment::Hash)
        );
        self.files
            .insert(0, (format!("systemd/{app}.target"), text));
        // Limits of bodies, times and headers are a proxy's, and so is what the app file says of them.
        self.notes.extend(variables::unsaid(self.app, &["live"]));
        variables::once(&mut self.notes);
        Ok(Rendered {
            files: self
                .files
                .into_iter()
                .map(|(path, text)| Written {
                    path,
                    text,
                    extent: Extent::Whole,
                    comment: Comment::Hash,
                    executable: false,
                })
                .collect(),
            notes: self.notes,
        })
    }
}

/// How many of a service run.
fn count(service: &Service) -> u32 {
    service.replicas.initial().max(1)
}
