//! Values of the app file as values of the compose file: what is known stands there, what isn't is a
//! variable, and other services are called by their names on the app's network.

use std::collections::{BTreeMap, BTreeSet};

use landfall_app::{
    App, Field, Name, Reference, Template, Value,
    model::{BackingKind, Command, Service, Source},
};
use landfall_yaml::{Map, Node};

use super::{
    build::{context, folded},
    variables::{Variables, environments, literal, plain, upper},
};
use crate::{Note, Project};

/// Where a site of plain files listens, whose service says no port.
pub const SITE_PORT: u16 = 8080;

/// What the whole file is written with.
pub struct Writer<'a> {
    pub app: &'a App,
    pub project: &'a dyn Project,
    /// For development: built here, and what is edited is seen at once.
    pub local: bool,
    pub variables: Variables,
    pub notes: Vec<Note>,
    /// What backing services are called in the file.
    backing: BTreeMap<&'a Name, String>,
    taken: BTreeSet<String>,
    /// How many services without a Dockerfile of their own are built from a folder and a context.
    folders: BTreeMap<(String, String), u32>,
}

impl<'a> Writer<'a> {
    pub fn new(app: &'a App, project: &'a dyn Project) -> Self {
        let mut writer = Self {
            app,
            project,
            local: app.environment.as_str() == landfall_app::LOCAL,
            variables: Variables::of(app),
            notes: Vec::new(),
            backing: BTreeMap::new(),
            taken: app.services.keys().map(Name::to_string).collect(),
            folders: BTreeMap::new(),
        };
        for service in app.services.values() {
            if let Source::Build(build) = &service.source
                && build.dockerfile.is_none()
            {
                let root = folded("", &service.root);
                let context = context(&root, build);
                *writer.folders.entry((root, context)).or_default() += 1;
            }
        }
        for (name, backing) in &app.backing {
            if backing.own() {
                let own = writer.name(name.as_str(), "backing");
                writer.backing.insert(name, own);
            }
        }
        writer
    }

    /// A name that no other service of the file has; `kind` tells it from its namesake.
    pub fn name(&mut self, wanted: &str, kind: &str) -> String {
        let mut name = wanted.to_owned();
        let mut count = 1;
        while !self.taken.insert(name.clone()) {
            name = match count {
                1 => format!("{wanted}-{kind}"),
                count => format!("{wanted}-{kind}-{count}"),
            };
            count += 1;
        }
        name
    }

    /// Whether several services are built from a folder, so that their Dockerfiles need names.
    pub fn share_folder(&self, root: &str, context: &str) -> bool {
        self.folders
            .get(&(root.to_owned(), context.to_owned()))
            .is_some_and(|count| *count > 1)
    }

    /// What a backing service of the app's own is called in the file.
    pub fn backing_name(&self, name: &Name) -> Option<&str> {
        self.backing.get(name).map(String::as_str)
    }

    pub fn note(&mut self, setting: impl Into<String>, said: impl Into<String>) {
        self.notes.push(Note {
            setting: setting.into(),
            said: said.into(),
        });
    }

    /// A template, ready for Compose.
    pub fn template(&mut self, template: &Template) -> String {
        let mut text = String::new();
        for part in template.parts() {
            match part {
                landfall_app::template::Part::Text(part) => text.push_str(&literal(part)),
                landfall_app::template::Part::Reference(reference) => {
                    text.push_str(&self.reference(reference))
                }
            }
        }
        text
    }

    fn reference(&mut self, reference: &Reference) -> String {
        match reference {
            Reference::Secret(name) => self.variables.secret(name),
            Reference::Service(name, field) => {
                let port = self.app.services.get(name).map_or(SITE_PORT, port);
                address(name.as_str(), port, *field)
            }
            // All processes of a service share its container.
            Reference::Process(name, field) => {
                let of = |service: &&Service| {
                    service
                        .processes
                        .iter()
                        .any(|process| process.name == *name)
                };
                let port = self.app.services.values().find(of).map_or(SITE_PORT, port);
                address("127.0.0.1", port, *field)
            }
            Reference::Backing(name, field) => self.backing(name, *field).unwrap_or_default(),
        }
    }

    /// A part of how a backing service is reached; none where it has no such part, or somebody else's URL
    /// would have to be taken apart.
    pub fn backing(&mut self, name: &Name, field: Field) -> Option<String> {
        let backing = self.app.backing.get(name)?;
        if let Some(url) = &backing.url {
            return match (field, url) {
                (Field::Url, Value::Text(template)) => Some(self.template(template)),
                (Field::Url, Value::Generate(_)) => None,
                (field, _) => {
                    let variable =
                        format!("{}_{}", upper(name.as_str()), upper(&field.to_string()));
                    Some(self.variables.required(
                        &variable,
                        &variable,
                        &format!("the {field} of {name}, which is somebody else's"),
                    ))
                }
            };
        }
        let host = self.backing_name(name)?.to_owned();
        let (user, database, scheme, port) = match backing.kind {
            BackingKind::Postgres => {
                let user = database(self.app);
                (user.clone(), user, "postgresql", 5432)
            }
            BackingKind::Redis => ("default".to_owned(), "0".to_owned(), "redis", 6379),
            BackingKind::Image(_) => (String::new(), String::new(), "tcp", backing.port?),
        };
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        match field {
            Field::Host => Some(host),
            Field::Port => Some(port.to_string()),
            Field::User => some(user),
            Field::Name => some(database),
            Field::Password if user.is_empty() => None,
            Field::Password => Some(self.password(name)),
            Field::Url if user.is_empty() => Some(format!("{scheme}://{host}:{port}")),
            Field::Url => Some(format!(
                "{scheme}://{user}:{}@{host}:{port}/{database}",
                self.password(name)
            )),
        }
    }

    /// The password of a backing service of the app's own.
    pub fn password(&mut self, name: &Name) -> String {
        let variable = format!("{}_PASSWORD", upper(name.as_str()));
        self.variables.required(
            &variable,
            &format!("password of {name}"),
            &format!("the password of {name}, letters and digits: openssl rand -hex 32"),
        )
    }

    /// The environment of a service, or of a command that runs beside it.
    pub fn environment(&mut self, name: &Name, service: &Service, processes: bool) -> Map {
        let mut all: BTreeMap<String, Node> = BTreeMap::new();
        if let Some(port) = service.port {
            all.insert("PORT".to_owned(), port.to_string().into());
        }
        for (secret, facts) in &service.secrets {
            // Without a value a variable is passed on where it is set, and else isn't there.
            let value = match facts.optional {
                true => Node::Null,
                false => self.variables.secret(secret).into(),
            };
            all.insert(secret.clone(), value);
        }
        for (backing, variable) in &service.uses {
            self.uses(backing, variable, &mut all);
        }
        let sources: Vec<_> = match processes {
            true => environments(service).collect(),
            false => vec![&service.env],
        };
        let mut from: BTreeMap<&str, &Value> = BTreeMap::new();
        for (variable, value) in sources.into_iter().rev().flatten() {
            // Of one process alone its own counts, and it holds the service's.
            let other = from
                .insert(variable, value)
                .is_some_and(|other| other != value);
            if other && service.processes.len() > 1 {
                self.note(
                    format!("service.{name}.process"),
                    format!("`{variable}` isn't the same for all its processes, and is the service's here: the supervisor in its image must set it"),
                );
            }
        }
        if service.processes.len() == 1 && processes {
            from.extend(
                service.processes[0]
                    .env
                    .iter()
                    .map(|(variable, value)| (variable.as_str(), value)),
            );
        }
        for (variable, value) in from {
            let text = match (plain(value), value) {
                (Some(text), _) => self.variables.of_service(name.as_str(), variable, &text),
                (None, Value::Text(template)) => self.template(template),
                (None, Value::Generate(bytes)) => self.variables.required(
                    &format!("{}_{variable}", upper(name.as_str())),
                    &format!("generated {name} {variable}"),
                    &format!(
                        "`{variable}` of {name}, made once and kept: openssl rand -hex {bytes}"
                    ),
                ),
            };
            all.insert(variable.to_owned(), text.into());
        }
        let mut map = Map::new();
        for (variable, value) in all {
            map.set(variable, value);
        }
        map
    }

    /// The variables by which a service finds a backing service.
    fn uses(&mut self, backing: &Name, variable: &str, all: &mut BTreeMap<String, Node>) {
        let own = self
            .app
            .backing
            .get(backing)
            .is_some_and(landfall_app::model::Backing::own);
        if let Some(url) = self.backing(backing, Field::Url) {
            all.insert(variable.to_owned(), url.into());
        }
        let prefix = variable.strip_suffix("_URL").unwrap_or(variable);
        if !own {
            self.note(
                format!("backing.{backing}.url"),
                format!("{prefix}_HOST, {prefix}_PORT and the other parts of the URL aren't set: Compose can't take it apart"),
            );
            return;
        }
        for field in [
            Field::Host,
            Field::Port,
            Field::User,
            Field::Password,
            Field::Name,
        ] {
            if let Some(text) = self.backing(backing, field) {
                all.insert(
                    format!("{prefix}_{}", upper(&field.to_string())),
                    text.into(),
                );
            }
        }
    }

    /// The words of a command that stays, with the variables that it names.
    pub fn command(&mut self, command: &Command, environment: &Map) -> Vec<String> {
        let Command::Words(_) = command else {
            return command.words().iter().map(|word| literal(word)).collect();
        };
        // A text of ours can hold no such character, so it marks where a variable goes.
        let marked = command.expand(|name| Some(format!("\0{name}\0")));
        let words = marked.unwrap_or_default();
        let filled = |word: String| {
            let mut parts = word.split('\0');
            let mut text = literal(parts.next().unwrap_or_default());
            while let Some(name) = parts.next() {
                match environment.get(name) {
                    Some(Node::Text(value)) => text.push_str(value),
                    // Compose's own, where there is one.
                    _ => text.push_str(&format!("${{{name}:-}}")),
                }
                text.push_str(&literal(parts.next().unwrap_or_default()));
            }
            text
        };
        words.into_iter().map(filled).collect()
    }
}

/// The name of the app's database, and of its user.
pub fn database(app: &App) -> String {
    match app.app.as_str() {
        // The superuser's.
        "postgres" => "postgres-app".to_owned(),
        name => name.to_owned(),
    }
}

/// Where a service listens in its container.
pub fn port(service: &Service) -> u16 {
    service.port.unwrap_or(SITE_PORT)
}

fn address(host: &str, port: u16, field: Field) -> String {
    match field {
        Field::Host => host.to_owned(),
        Field::Port => port.to_string(),
        _ => format!("http://{host}:{port}"),
    }
}
