//! What each service of the model becomes, and what services know of each other.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use super::{
    environment,
    images::{self, Known},
    load::{self, Environment, Loader, refusal},
    merge::names,
    ports::{self, Port},
    source,
    tree::{At, Item, Map, Scalar},
    variables::Secrets,
    volumes,
};
use crate::{
    RemarkKind,
    draft::{self, Draft, Names},
};

/// What a service becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// A service of the app.
    Service,
    /// PostgreSQL that Landfall provides, with these extensions.
    Postgres(Vec<&'static str>),
    /// Redis that Landfall provides.
    Redis,
    /// A backing service by its image: its port, and where it keeps its data.
    Store(u16, &'static str),
    /// A command that runs once before another service starts: the other's `migrate`.
    Migration(usize),
}

impl Role {
    /// Whether Landfall knows how to log in there.
    pub fn is_provided(&self) -> bool {
        matches!(self, Self::Postgres(_) | Self::Redis)
    }

    pub fn is_backing(&self) -> bool {
        self.is_provided() || matches!(self, Self::Store(..))
    }
}

/// A service of the model.
pub(super) struct Service {
    /// Its name in the compose file.
    pub key: Rc<str>,
    /// Its name in the app file.
    pub name: String,
    pub at: At,
    pub item: Rc<Item>,
    pub role: Role,
    /// Where it listens.
    pub port: Option<u16>,
    pub ports: Vec<(At, Port)>,
    /// Its variables, those of its files among them.
    pub variables: BTreeMap<String, (At, Option<Scalar>)>,
}

/// Everything that is brought over.
pub(super) struct Context<'a> {
    pub loader: Loader<'a>,
    pub model: Rc<Item>,
    pub services: Vec<Service>,
    /// Services by the names under which others reach them.
    pub hosts: HashMap<String, usize>,
    pub secrets: Secrets,
    /// Services that build an image, by its name.
    pub builders: HashMap<String, usize>,
    /// Services that use a named volume.
    pub shared: HashMap<String, Vec<usize>>,
    /// What runs once before a service, and where it stands.
    pub migrations: Vec<(usize, draft::Value, At)>,
}

impl<'a> Context<'a> {
    pub fn new(mut loader: Loader<'a>, model: Item, known: Environment) -> load::Result<Self> {
        let mut active: BTreeSet<String> = loader.input.profiles.iter().cloned().collect();
        if let Some(profiles) = known.get("COMPOSE_PROFILES") {
            active.extend(profiles.split(',').map(|profile| profile.trim().to_owned()));
        }
        let mut given = Names::new();
        let mut services = Vec::new();
        let all = model
            .get("services")
            .and_then(Item::map)
            .cloned()
            .unwrap_or_default();
        for (key, at, item) in all {
            if key.starts_with("x-") {
                continue;
            }
            if item.map().is_none() {
                let message = format!(
                    "services.{key}: expected a mapping, and this is {}",
                    item.kind()
                );
                return Err(refusal(
                    &at,
                    message,
                    Some("expected for example `image:` or `build:` below it"),
                ));
            }
            if let Some(profiles) = item
                .get("profiles")
                .filter(|profiles| !profiles.texts().is_empty())
            {
                let wanted: Vec<&str> = profiles
                    .texts()
                    .iter()
                    .filter_map(|item| item.text())
                    .collect();
                if !wanted.is_empty()
                    && !active.contains("*")
                    && !wanted.iter().any(|profile| active.contains(*profile))
                {
                    let said = format!(
                        "is only started with the profile {}, which isn't asked for, and left out; `--profile {}` brings it in",
                        wanted.join(" or "),
                        wanted[0]
                    );
                    loader.remark(
                        RemarkKind::Note,
                        &profiles.at,
                        &format!("services.{key}.profiles"),
                        said,
                    );
                    continue;
                }
            }
            let name = given.give(&key, "service");
            if name.changed {
                let why = if key.len() > 63 {
                    "has at most 63 characters"
                } else {
                    "is a DNS label that no other service has"
                };
                let said = format!(
                    "a service's name {why}, so it is called `{}` here",
                    name.name
                );
                loader.remark(RemarkKind::Changed, &at, &format!("services.{key}"), said);
            }
            let variables = environment::of_service(&mut loader, &item, &known, &key)?;
            services.push(Service {
                name: name.name,
                role: Role::Service,
                port: None,
                ports: Vec::new(),
                variables,
                item: Rc::new(item),
                key,
                at,
            });
        }
        if services.is_empty() {
            let at = model.at.clone();
            return Err(refusal(
                &at,
                "every service belongs to a profile, and none is asked for",
                Some("name one: --profile NAME"),
            ));
        }
        let mut context = Self {
            loader,
            model: Rc::new(model),
            services,
            hosts: HashMap::new(),
            secrets: Secrets::default(),
            builders: HashMap::new(),
            shared: HashMap::new(),
            migrations: Vec::new(),
        };
        context.find_hosts();
        context.find_roles();
        context.find_builders();
        context.find_ports()?;
        context.secrets = Secrets::of(&context.services);
        Ok(context)
    }

    /// The service of that name in the compose file.
    pub fn find(&self, key: &str) -> Option<usize> {
        let at = *self.hosts.get(key)?;
        (*self.services[at].key == *key).then_some(at)
    }

    fn find_builders(&mut self) {
        for (at, service) in self.services.iter().enumerate() {
            let built = service
                .item
                .get("build")
                .is_some_and(|build| !build.is_null());
            if built && let Some(image) = service.item.get("image").and_then(Item::text) {
                self.builders.entry(image.to_owned()).or_insert(at);
            }
            for entry in service
                .item
                .get("volumes")
                .map(Item::texts)
                .unwrap_or_default()
            {
                if let Ok(mount) = volumes::mount(entry)
                    && let volumes::Kind::Named(name) = mount.kind
                {
                    self.shared.entry(name).or_default().push(at);
                }
            }
        }
    }

    /// Something to be said of a service's key.
    pub fn remark(
        &mut self,
        service: usize,
        kind: RemarkKind,
        at: &At,
        key: &str,
        said: impl Into<String>,
    ) {
        let key = match key {
            "" => format!("services.{}", self.services[service].key),
            key => format!("services.{}.{key}", self.services[service].key),
        };
        self.loader.remark(kind, at, &key, said);
    }

    /// A value that isn't what its key takes.
    pub fn wrong(&self, service: usize, at: &At, key: &str, message: &str) -> Box<crate::Refusal> {
        refusal(
            at,
            format!("services.{}.{key}: {message}", self.services[service].key),
            None,
        )
    }

    fn find_roles(&mut self) {
        for service in &mut self.services {
            let built = service
                .item
                .get("build")
                .is_some_and(|build| !build.is_null());
            let Some(image) = service.item.get("image").and_then(Item::text) else {
                continue;
            };
            service.role = match images::known(image) {
                _ if built => Role::Service,
                Known::Postgres(extensions) => Role::Postgres(extensions),
                Known::Redis => Role::Redis,
                Known::Store(port, data) => Role::Store(port, data),
                Known::Other => Role::Service,
            };
        }
        // One that is waited for until it has ended well, and is the same build as who waits.
        for waiting in 0..self.services.len() {
            for (name, _, condition) in dependencies(&self.services[waiting].item) {
                if condition != "service_completed_successfully"
                    || self.services[waiting].role != Role::Service
                {
                    continue;
                }
                let Some(other) = self.find(&name) else {
                    continue;
                };
                let same = source::same(&self.services[waiting].item, &self.services[other].item);
                let taken = self
                    .services
                    .iter()
                    .any(|service| service.role == Role::Migration(waiting));
                if same
                    && !taken
                    && other != waiting
                    && self.services[other].role == Role::Service
                    && ["command", "entrypoint"]
                        .iter()
                        .any(|key| self.services[other].item.get(key).is_some())
                {
                    self.services[other].role = Role::Migration(waiting);
                }
            }
        }
        if self
            .services
            .iter()
            .all(|service| service.role.is_backing())
        {
            // An app has services: what nothing else uses is one.
            for service in &mut self.services {
                service.role = Role::Service;
            }
        }
    }

    fn find_hosts(&mut self) {
        for (at, service) in self.services.iter().enumerate() {
            self.hosts.insert(service.key.to_string(), at);
        }
        for at in 0..self.services.len() {
            let item = Rc::clone(&self.services[at].item);
            let mut others: Vec<String> = ["container_name", "hostname"]
                .iter()
                .filter_map(|key| item.get(key).and_then(Item::text).map(str::to_owned))
                .collect();
            for (_, _, network) in item
                .get("networks")
                .and_then(Item::map)
                .into_iter()
                .flat_map(Map::iter)
            {
                let aliases = network.get("aliases").map(Item::texts).unwrap_or_default();
                others.extend(
                    aliases
                        .iter()
                        .filter_map(|alias| alias.text())
                        .map(str::to_owned),
                );
            }
            for other in others {
                self.hosts.entry(other).or_insert(at);
            }
            for link in item.get("links").map(Item::texts).unwrap_or_default() {
                if let Some((name, alias)) = link.text().and_then(|text| text.split_once(':'))
                    && let Some(to) = self.hosts.get(name).copied()
                {
                    self.hosts.entry(alias.to_owned()).or_insert(to);
                }
            }
        }
    }

    /// Where each service listens: what it publishes or exposes, the variable PORT, what others ask for.
    fn find_ports(&mut self) -> load::Result<()> {
        for at in 0..self.services.len() {
            let item = Rc::clone(&self.services[at].item);
            let mut all = Vec::new();
            for entry in item.get("ports").map(Item::texts).unwrap_or_default() {
                let port = ports::port(entry)
                    .map_err(|message| self.wrong(at, &entry.at, "ports", &message))?;
                all.push((entry.at.clone(), port));
            }
            let exposed = item.get("expose").map(Item::texts).unwrap_or_default();
            let exposed = exposed.iter().find_map(|entry| {
                let text = entry.text()?;
                let text = text.split_once('/').map_or(text, |(port, _)| port);
                text.split('-').next()?.parse().ok()
            });
            let told = self.services[at]
                .variables
                .get("PORT")
                .and_then(|(_, value)| value.as_ref()?.text.parse().ok());
            let checked = super::health::port_of(&item);
            let tcp: Vec<u16> = all
                .iter()
                .filter(|(_, port)| !port.udp)
                .map(|(_, port)| port.target)
                .collect();
            let service = &mut self.services[at];
            service.port = told
                .filter(|told| tcp.is_empty() || tcp.contains(told))
                .or(checked.filter(|checked| tcp.contains(checked)))
                .or(tcp.first().copied())
                .or(exposed)
                .or(checked);
            if service.role != Role::Service
                && let Role::Store(port, _) = service.role
                && service.port.is_none()
            {
                service.port = Some(port);
            }
            service.ports = all;
        }
        // `http://api:8000` in somebody else's variables says where `api` listens.
        let mut asked: Vec<(usize, u16)> = Vec::new();
        for service in &self.services {
            for (_, value) in service.variables.values() {
                let Some(value) = value else { continue };
                for (host, port) in super::references::addresses(&value.text) {
                    if let (Some(to), Some(port)) = (self.hosts.get(host), port) {
                        asked.push((*to, port));
                    }
                }
            }
        }
        for (to, port) in asked {
            let service = &mut self.services[to];
            if service.port.is_none() && service.role == Role::Service {
                service.port = Some(port);
            }
        }
        Ok(())
    }

    /// Everything as a draft.
    pub fn write(&mut self, draft: &mut Draft) -> load::Result<()> {
        self.volumes_and_networks();
        self.check_volumes();
        for at in 0..self.services.len() {
            self.check_keys(at);
            self.check_inside(at);
            match self.services[at].role.clone() {
                Role::Service => self.write_service(at, draft)?,
                Role::Migration(of) => self.write_migration(at, of)?,
                Role::Postgres(_) | Role::Redis | Role::Store(..) => {
                    self.write_backing(at, draft)?
                }
            }
        }
        for (of, command, place) in std::mem::take(&mut self.migrations) {
            let name = self.services[of].name.clone();
            if let Some(table) = draft.top.known_service(&name) {
                table.set("migrate", command).from(&place.file, place.line);
            }
        }
        Ok(())
    }
}

/// What a service waits for: its name, place and condition.
pub(super) fn dependencies(item: &Item) -> Vec<(String, At, String)> {
    let Some(depends) = item.get("depends_on") else {
        return Vec::new();
    };
    let map = names(depends.clone());
    map.map()
        .into_iter()
        .flat_map(Map::iter)
        .map(|(name, at, item)| {
            let condition = item
                .get("condition")
                .and_then(Item::text)
                .unwrap_or("service_started");
            (name.to_owned(), at.clone(), condition.to_owned())
        })
        .collect()
}
