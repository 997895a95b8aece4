//! The processes of a service: which one listens, what they wait for, their probes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    command,
    model::{Command, Priority, Process, ProcessKind},
    name::Name,
    node::{Field, Fields, Node},
    units::Time,
};

use super::{
    Known, Lower, Scope,
    app::{run, texts},
    health::{Probes, health},
};

/// A command that stays.
pub(super) fn command(node: &Node) -> Option<Command> {
    match node.text() {
        Some(text) => command::split(text).ok().map(Command::Words),
        None => node.list().map(|items| Command::Exact(texts(items))),
    }
}

/// Whether a text names `$PORT`.
fn names_port(text: &str) -> bool {
    let after = |at: usize| text[at + "$PORT".len()..].chars().next();
    let plain = text
        .match_indices("$PORT")
        .any(|(at, _)| !after(at).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_'));
    plain || text.contains("${PORT}")
}

fn command_names_port(node: Option<&Node>) -> bool {
    let Some(node) = node else { return false };
    node.text().is_some_and(names_port)
        || node
            .list()
            .is_some_and(|items| items.iter().filter_map(Node::text).any(names_port))
}

/// The process that listens on `$PORT`: the one whose command names it, else the one whose `env`
/// does, else the one with an HTTP or TCP probe of its own, else the first that stays.
pub(super) fn front<'a>(service: &'a str, fields: &'a Fields) -> Option<&'a str> {
    let Some(processes) = fields.table("process") else {
        return fields.has("command").then_some(service);
    };
    let stays = || {
        processes.iter().filter_map(|(name, field)| {
            Some((
                name,
                field.node.table().filter(|table| table.has("command"))?,
            ))
        })
    };
    let by_command = stays().find(|(_, process)| command_names_port(process.get("command")));
    let by_env = || {
        stays().find(|(_, process)| {
            let env = process.table("env").into_iter().flat_map(Fields::iter);
            env.filter_map(|(_, field)| field.node.text())
                .any(names_port)
        })
    };
    let by_health = || {
        stays().find(|(_, process)| {
            let health = process.get("health");
            let long = health.and_then(Node::table);
            health.is_some_and(|node| node.text().is_some())
                || long.is_some_and(|long| {
                    long.has("ready") || long.get("tcp").is_some_and(|tcp| tcp.boolean().is_some())
                })
        })
    };
    by_command
        .or_else(by_env)
        .or_else(by_health)
        .or_else(|| stays().next())
        .map(|(name, _)| name)
}

impl Lower<'_> {
    /// The processes of a service in the order of the file.
    pub(super) fn processes(
        &mut self,
        known: &Known<'_>,
        given: &BTreeMap<&str, &str>,
    ) -> Vec<Process> {
        let (service, fields) = (known.service, known.fields);
        let Some(named) = fields.table("process") else {
            return self.only_process(service, fields).into_iter().collect();
        };
        let front = known.front;
        let stay = named
            .iter()
            .filter(|(_, field)| field.node.table().is_some_and(|table| table.has("command")))
            .count();
        let mut processes = Vec::new();
        let mut names_port_somewhere = false;
        for (name, field) in named.iter() {
            let Some(own) = field.node.table() else {
                continue;
            };
            let Ok(parsed) = name.parse::<Name>() else {
                continue;
            };
            let after = self.after(own, named);
            let Some(kind) = self.kind(name, own, field, named) else {
                continue;
            };
            names_port_somewhere |= command_names_port(own.get("command"));
            let is_front = fields.has("port") && front == Some(name);
            let only = stay == 1 && own.has("command");
            let merged = is_front || only && !fields.has("port");
            let probes = Probes {
                service: fields.get("health").filter(|_| merged),
                own: own.get("health"),
            };
            let probed = fields.has("port") || fields.has("health");
            let up = Time::from_secs(if probed && !is_front { 1 } else { 5 });
            let health = health(probes, is_front, up);
            if let Some(node) = own.field("health") {
                self.check_health(&node.node, &health, is_front, &node.key);
            }
            if let Some(env) = own.table("env") {
                self.check_variables(env, Scope::service(known), given);
            }
            processes.push(Process {
                kind,
                after,
                front: is_front,
                required: own.get("required").and_then(Node::boolean).unwrap_or(true),
                health,
                priority: match own.text("priority") {
                    Some("high") => Priority::High,
                    Some("low") => Priority::Low,
                    _ => Priority::Normal,
                },
                memory: own.parsed("memory"),
                cpu: own.parsed("cpu"),
                env: self.environment_variables(service, Some(name)),
                name: parsed,
            });
        }
        if stay > 1
            && !fields.has("port")
            && let Some(field) = fields.field("health")
        {
            let message = format!(
                "`health` of the service `{service}` could be that of any of its processes"
            );
            self.error(
                "ambiguous-health",
                &field.key,
                message,
                "it has no `port`, which would say which one is asked",
            )
            .help = Some(format!(
                "give it to a process: [service.{service}.process.NAME] health = …"
            ));
        }
        if names_port_somewhere && !fields.has("port") {
            self.missing_port(
                named
                    .iter()
                    .filter_map(|(_, field)| field.node.table()?.field("command")),
            );
        }
        if stay == 0 && !named.is_empty() {
            let first = named
                .iter()
                .next()
                .map(|(_, field)| field.key.clone())
                .unwrap_or_default();
            self.error(
                "missing-command",
                &first,
                format!("nothing stays in the service `{service}`"),
                "every process ends",
            )
            .help = Some(
                "a process that stays has `command`; what runs on a schedule is a [job.NAME]"
                    .to_owned(),
            );
        }
        self.circle(&processes, named);
        processes
    }

    fn missing_port<'f>(&mut self, commands: impl Iterator<Item = &'f Field>) {
        for field in commands.filter(|field| command_names_port(Some(&field.node))) {
            self.error(
                "missing-port",
                &field.node.span,
                "the command names `$PORT`, and the service has no `port`",
                "`$PORT` would be empty",
            )
            .help = Some("add port = 8000 to the service".to_owned());
        }
    }

    /// The process of a service that has `command`.
    fn only_process(&mut self, service: &str, fields: &Fields) -> Option<Process> {
        let field = fields.field("command")?;
        let kind = ProcessKind::Stays(command(&field.node)?);
        let front = fields.has("port");
        if !front {
            self.missing_port(std::iter::once(field));
        }
        Some(Process {
            name: service.parse().ok()?,
            kind,
            after: Vec::new(),
            front,
            required: true,
            health: health(
                Probes {
                    service: fields.get("health"),
                    own: None,
                },
                front,
                Time::from_secs(5),
            ),
            priority: Priority::Normal,
            memory: None,
            cpu: None,
            env: self.environment_variables(service, None),
        })
    }

    fn kind(
        &mut self,
        name: &str,
        own: &Fields,
        field: &Field,
        named: &Fields,
    ) -> Option<ProcessKind> {
        if let Some(node) = own.get("command") {
            return command(node).map(ProcessKind::Stays);
        }
        if let Some(node) = own.get("run") {
            return run(node).map(ProcessKind::Ends);
        }
        let others = named.iter().filter(|(_, field)| {
            field
                .node
                .table()
                .is_some_and(|table| table.has("command") || table.has("run"))
        });
        let near = crate::suggest::nearest(
            name,
            others.map(|(name, _)| name).filter(|other| *other != name),
        );
        let label = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "for example command = \"bin/worker\"".to_owned(),
        };
        self.error(
            "missing-command",
            &field.key,
            format!("the process `{name}` has no `command`"),
            label,
        )
        .help = Some("`command` stays; `run` happens once and ends".to_owned());
        None
    }

    fn after(&mut self, own: &Fields, named: &Fields) -> Vec<Name> {
        let Some(node) = own.get("after") else {
            return Vec::new();
        };
        let entries = node.list().unwrap_or(std::slice::from_ref(node));
        let mut after = Vec::new();
        let mut seen = BTreeSet::new();
        for entry in entries {
            let Some(name) = entry.text() else { continue };
            let Some(other) = named.get(name) else {
                let names = named.iter().map(|(name, _)| name);
                let names: BTreeSet<_> = names.collect();
                let message = "`after` names a process that doesn't exist".to_owned();
                self.unknown(
                    "unknown-process",
                    &entry.span,
                    message,
                    name,
                    names.iter().copied(),
                    "this service has",
                );
                continue;
            };
            if own.has("run") && other.table().is_some_and(|other| other.has("command")) {
                self.error(
                    "after-circle",
                    &entry.span,
                    format!("a process with `run` can't wait for `{name}`, which stays"),
                    "it must end before the others start",
                );
            }
            if seen.insert(name)
                && let Ok(name) = name.parse()
            {
                after.push(name);
            }
        }
        after
    }

    /// Takes away whatever waits for nothing, until only circles are left.
    fn circle(&mut self, processes: &[Process], named: &Fields) {
        let known: BTreeSet<_> = processes
            .iter()
            .map(|process| process.name.as_str())
            .collect();
        let mut waits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut waited: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for process in processes {
            let after: Vec<_> = process
                .after
                .iter()
                .map(Name::as_str)
                .filter(|name| known.contains(name))
                .collect();
            for name in &after {
                waited.entry(*name).or_default().push(process.name.as_str());
            }
            waits.insert(process.name.as_str(), after);
        }
        let mut left: BTreeMap<_, _> = waits
            .iter()
            .map(|(name, after)| (*name, after.len()))
            .collect();
        let mut free: Vec<_> = left
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(name, _)| *name)
            .collect();
        while let Some(name) = free.pop() {
            left.remove(name);
            for next in waited.get(name).into_iter().flatten() {
                if let Some(count) = left.get_mut(next) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(next);
                    }
                }
            }
        }
        // From any that is left, back along what it waits for, until a name comes again.
        let Some((mut name, _)) = left.first_key_value().map(|(name, count)| (*name, *count))
        else {
            return;
        };
        let mut path = Vec::new();
        let mut seen = BTreeSet::new();
        while seen.insert(name) {
            path.push(name);
            let Some(next) = waits[name].iter().find(|next| left.contains_key(**next)) else {
                return;
            };
            name = next;
        }
        let start = path.iter().position(|step| *step == name).unwrap_or(0);
        let mut circle = path.split_off(start);
        // The circle is told from the process that comes first in the file.
        let first = circle
            .iter()
            .enumerate()
            .min_by_key(|(_, name)| named.field(name).map_or(0, |field| field.key.start));
        let first = first.map_or(0, |(at, _)| at);
        circle.rotate_left(first);
        circle.push(circle[0]);
        let place = named.table(circle[0]).and_then(|own| own.get("after"));
        let span = place.map(|node| node.span.clone()).unwrap_or_default();
        let shown = if circle.len() > 12 {
            format!("{} → …", circle[..12].join(" → "))
        } else {
            circle.join(" → ")
        };
        self.error(
            "after-circle",
            &span,
            format!("processes wait for each other in a circle: {shown}"),
            "none of them could ever start",
        );
    }
}
