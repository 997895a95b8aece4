//! Backing services, volumes, backups.

use std::collections::BTreeMap;

use crate::{
    model::{Backing, BackingKind, Backup, RefusedSetting, Runtime, Service, Volume},
    name::Name,
    node::{Fields, Node},
    template::Value,
    units::Time,
};

use super::{
    Lower, Scope,
    app::{run, text_map, texts},
    environment_variables::value,
    process::command,
};

/// A backup; its required keys were checked.
fn backup(fields: &Fields) -> Backup {
    let to = fields.text("to").unwrap_or_default();
    // A folder needs no key.
    let key = |name: &str, usual: &str| match fields.get(name) {
        Some(node) => Some(value(node)),
        None if to.starts_with("s3://") => usual.parse().ok().map(Value::Text),
        None => None,
    };
    Backup {
        schedule: fields.text("schedule").unwrap_or_default().to_owned(),
        keep: fields.parsed("keep").unwrap_or(Time::from_secs(7 * 86_400)),
        to: to.to_owned(),
        endpoint: fields.text("endpoint").map(str::to_owned),
        region: fields.text("region").map(str::to_owned),
        access_key: key("access-key", "${secret.AWS_ACCESS_KEY_ID}"),
        secret_key: key("secret-key", "${secret.AWS_SECRET_ACCESS_KEY}"),
        quiesce: fields.get("quiesce").and_then(run),
    }
}

/// The kept folders of a service.
pub(super) fn volumes(fields: Option<&Fields>) -> BTreeMap<Name, Volume> {
    let all = fields.into_iter().flat_map(Fields::iter);
    all.filter_map(|(name, field)| {
        let table = field.node.table();
        let path = field
            .node
            .text()
            .or_else(|| table.and_then(|table| table.text("path")))?;
        let backup = table.and_then(|table| table.table("backup")).map(backup);
        Some((
            name.parse().ok()?,
            Volume {
                path: path.to_owned(),
                backup,
            },
        ))
    })
    .collect()
}

/// The variable that carries a backing service's URL where `uses` is a list.
pub(super) fn usual_variable(name: &str, kind: Option<&str>) -> String {
    match kind.unwrap_or(name) {
        "postgres" => "DATABASE_URL".to_owned(),
        "redis" => "REDIS_URL".to_owned(),
        _ => format!("{}_URL", name.to_uppercase().replace('-', "_")),
    }
}

impl Lower<'_> {
    /// Names under which something else would be found.
    fn check_backing_name(
        &mut self,
        name: &str,
        key: &crate::source::Span,
        services: &BTreeMap<Name, Service>,
    ) {
        if services.contains_key(name) {
            self.error(
                "same-name",
                key,
                format!("a service is called `{name}` too"),
                "one of them needs another name",
            );
        }
        if name.ends_with("-scratch") || name.ends_with("-upgrade") {
            self.error(
                "reserved-backing",
                key,
                format!("`{name}` is a name of Landfall's own"),
                "expected one that doesn't end so",
            );
        }
    }

    /// As its own table says, else the environment, else as what uses it.
    fn backing_runtime(
        &self,
        name: &str,
        fields: &Fields,
        services: &BTreeMap<Name, Service>,
    ) -> Runtime {
        let environment = self.merged.environment.text("runtime");
        match fields.text("runtime").or(environment) {
            _ if fields.has("image") => Runtime::Container,
            Some("process") => Runtime::Process,
            Some(_) => Runtime::Container,
            None => {
                let used = services
                    .values()
                    .any(|service| service.uses.contains_key(name));
                let contained = services.values().any(|service| {
                    service.runtime == Runtime::Container
                        && (!used || service.uses.contains_key(name))
                });
                if contained {
                    Runtime::Container
                } else {
                    Runtime::Process
                }
            }
        }
    }

    pub(super) fn backings(
        &mut self,
        services: &BTreeMap<Name, Service>,
    ) -> BTreeMap<Name, Backing> {
        let mut all = BTreeMap::new();
        for (name, field) in self.backing().into_iter().flat_map(Fields::iter) {
            let Some(fields) = field.node.table() else {
                continue;
            };
            let kind = match (fields.text("image"), fields.text("kind").unwrap_or(name)) {
                (Some(image), _) => BackingKind::Image(image.to_owned()),
                (None, "postgres") => BackingKind::Postgres,
                (None, "redis") => BackingKind::Redis,
                (None, _) => {
                    let label = match crate::suggest::nearest(name, ["postgres", "redis"]) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "expected kind = \"postgres\", kind = \"redis\" or image = \"…\""
                            .to_owned(),
                    };
                    self.error(
                        "unknown-kind",
                        &field.key,
                        format!("what is the backing service `{name}`?"),
                        label,
                    )
                    .help = Some(
                        "the kind defaults to the name; anything else needs `kind` or `image`"
                            .to_owned(),
                    );
                    continue;
                }
            };
            self.check_backing_name(name, &field.key, services);
            if !matches!(kind, BackingKind::Image(_)) {
                for key in ["env", "port", "command", "data", "health"] {
                    if let Some(field) = fields.field(key) {
                        self.error(
                            "conflicting-keys",
                            &field.key,
                            format!("`{key}` is for an image"),
                            format!("`{name}` is none"),
                        );
                    }
                }
            }
            for (key, only, kind_of) in [
                ("save", BackingKind::Redis, "redis"),
                ("extensions", BackingKind::Postgres, "postgres"),
            ] {
                if let Some(field) = fields.field(key)
                    && kind != only
                {
                    self.error(
                        "conflicting-keys",
                        &field.key,
                        format!("`{key}` is for {kind_of}"),
                        format!("`{name}` is none"),
                    );
                }
            }
            self.check_settings(name, &kind, fields);
            let env = fields.table("env");
            if let Some(env) = env {
                self.check_variables(env, Scope::APP, &BTreeMap::new());
            }
            let env = env
                .into_iter()
                .flat_map(Fields::iter)
                .map(|(name, field)| (name.to_owned(), value(&field.node)));
            let backing = Backing {
                kind,
                version: fields.text("version").map(str::to_owned),
                url: fields.get("url").map(|node| self.filled(node)),
                memory: fields.parsed("memory"),
                disk: fields.parsed("disk"),
                backup: fields.table("backup").map(backup),
                save: texts(fields.list("save")),
                settings: text_map(fields.table("settings")),
                extensions: texts(fields.list("extensions")),
                init: texts(fields.list("init")),
                env: env.collect(),
                port: fields
                    .get("port")
                    .and_then(Node::integer)
                    .and_then(|port| u16::try_from(port).ok()),
                runtime: self.backing_runtime(name, fields, services),
                cpu: fields.parsed("cpu"),
                command: fields.get("command").and_then(command),
                data: fields.text("data").map(str::to_owned),
                health: fields.get("health").and_then(run),
            };
            if let Ok(name) = name.parse() {
                all.insert(name, backing);
            }
        }
        all
    }

    /// Settings that a server would refuse, or that would part it from who uses it.
    fn check_settings(&mut self, name: &str, kind: &BackingKind, fields: &Fields) {
        let settings = fields.table("settings").into_iter().flat_map(Fields::iter);
        for (setting, field) in settings {
            let value = field.node.text().unwrap_or_default();
            match kind.refuses_setting(setting, value) {
                None => {}
                Some(RefusedSetting::Own) => {
                    let help = match setting.to_ascii_lowercase().as_str() {
                        "maxmemory" => "say `memory`: it leaves Redis as much as fits",
                        "save" => "say `save = [\"900 1\"]` beside `settings`",
                        _ => "take it out",
                    };
                    let message = format!("`settings.{setting}` of {name} is set by Landfall");
                    self.error("conflicting-keys", &field.key, message, "not to be set")
                        .help = Some(help.to_owned());
                }
                Some(RefusedSetting::NotOne) => {
                    let message =
                        format!("`settings.{setting}` of {name} is not one setting with its value");
                    self.error("bad-value", &field.key, message, "not one setting")
                        .help = Some(
                        "each setting by its name in the server's manual, with its value alone"
                            .to_owned(),
                    );
                }
            }
        }
    }

    /// The backing services that a service uses, each with its variable.
    pub(super) fn uses(&mut self, fields: &Fields) -> BTreeMap<Name, String> {
        let mut uses = BTreeMap::new();
        let Some(node) = fields.get("uses") else {
            return uses;
        };
        let known = self.backing();
        let kind = |name: &str| {
            known
                .and_then(|known| known.table(name))
                .and_then(|backing| backing.text("kind"))
        };
        let mut entries: Vec<(String, String, crate::source::Span)> = Vec::new();
        for entry in node.list().unwrap_or_default() {
            if let Some(name) = entry.text() {
                entries.push((
                    name.to_owned(),
                    usual_variable(name, kind(name)),
                    entry.span.clone(),
                ));
            }
        }
        for (name, field) in node.table().into_iter().flat_map(Fields::iter) {
            entries.push((
                name.to_owned(),
                field.node.text().unwrap_or_default().to_owned(),
                field.key.clone(),
            ));
        }
        let mut variables = std::collections::BTreeSet::new();
        for (name, variable, span) in entries {
            if known.is_none_or(|known| !known.has(&name)) {
                let names: Vec<_> = known
                    .into_iter()
                    .flat_map(Fields::iter)
                    .map(|(name, _)| name)
                    .collect();
                let message = "`uses` names a backing service that doesn't exist".to_owned();
                self.unknown(
                    "unknown-backing",
                    &span,
                    message,
                    &name,
                    names.iter().copied(),
                    "this file has",
                );
                if let Some(last) = self.diagnostics.last_mut() {
                    last.help = Some(format!("add [backing.{name}]"));
                }
            }
            if !variables.insert(variable.clone()) {
                self.error(
                    "reserved-variable",
                    &span,
                    format!("two backing services in one variable `{variable}`"),
                    "the second",
                );
            }
            if let Ok(name) = name.parse() {
                uses.insert(name, variable);
            }
        }
        uses
    }
}
