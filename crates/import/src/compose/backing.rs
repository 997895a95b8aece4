//! Databases, caches and queues: provided by Landfall where it knows them, else by their image.

use super::{
    context::{Context, Role},
    health::{self, Check},
    images, load, paths,
    secret::{is_harmless, is_secret_name, looks_secret},
    tree::{At, Item},
    volumes::{self, Kind},
};
use crate::{
    RemarkKind,
    draft::{self, Draft, Table, Value},
};
use landfall_app::model::BackingKind;

/// Whether the app file refuses a setting.
fn refused(kind: &BackingKind, setting: &str, value: &str) -> bool {
    kind.refuses_setting(setting, value).is_some()
}

/// Keys that a backing service has no place for, and what they would have done.
const NOT_HERE: [(&str, &str); 12] = [
    ("user", "would have set the user that it runs as"),
    ("read_only", "would have made its file system read-only"),
    ("tmpfs", "would have put folders into its memory"),
    ("cap_add", "would have given it rights"),
    ("privileged", "would have given it the whole machine"),
    ("pids_limit", "would have limited its processes"),
    ("network_mode", "would have chosen its network"),
    (
        "entrypoint",
        "would have taken the place of the image's ENTRYPOINT",
    ),
    ("configs", "would have put files into it"),
    (
        "scale",
        "would have run several; a backing service runs once",
    ),
    ("gpus", "would have given it graphics processors"),
    ("runtime", "would have chosen what runs its container"),
];

impl Context<'_> {
    pub(super) fn write_backing(&mut self, at: usize, draft: &mut Draft) -> load::Result<()> {
        let (name, place, role) = (
            self.services[at].name.clone(),
            self.services[at].at.clone(),
            self.services[at].role.clone(),
        );
        let item = std::rc::Rc::clone(&self.services[at].item);
        let mut table = Table::new();
        table.from(&place.file, place.line);
        for (key, said) in NOT_HERE {
            let usual = key == "cap_add"
                && item
                    .get(key)
                    .map(Item::texts)
                    .unwrap_or_default()
                    .iter()
                    .all(|item| {
                        item.text()
                            .is_some_and(|name| super::service::USUAL.contains(&name))
                    });
            if usual || (key == "configs" && self.services[at].role == Role::Redis) {
                continue;
            }
            if let Some(value) = item
                .get(key)
                .filter(|value| !value.is_null() && value.flag() != Some(false))
            {
                self.remark(
                    at,
                    RemarkKind::Lost,
                    &value.at,
                    key,
                    format!("{said}; a backing service has no place for it"),
                );
            }
        }
        if self.services[at]
            .ports
            .iter()
            .any(|(_, port)| port.published.is_some() && port.host.as_deref() != Some("127.0.0.1"))
        {
            let place = self.services[at].ports[0].0.clone();
            self.remark(
                at,
                RemarkKind::Lost,
                &place,
                "ports",
                "isn't opened on the machine: only the app's services reach a backing service",
            );
        } else if let Some((place, _)) = self.services[at].ports.first().cloned() {
            self.remark(
                at,
                RemarkKind::Note,
                &place,
                "ports",
                "isn't opened on the machine: only the app's services reach a backing service",
            );
        }
        match &role {
            Role::Postgres(extensions) => {
                self.provided(at, "postgres", &mut table);
                if !extensions.is_empty() {
                    table.set("extensions", extensions.to_vec());
                }
                self.postgres(at, &mut table)?;
            }
            Role::Redis => {
                self.provided(at, "redis", &mut table);
                self.redis(at, &mut table)?;
            }
            Role::Store(port, data) => self.store(at, *port, data, &mut table)?,
            _ => {}
        }
        self.write_limits(at, &mut table, true)?;
        let depends = super::context::dependencies(&item);
        if let Some((_, place, _)) = depends.first() {
            self.remark(
                at,
                RemarkKind::Note,
                place,
                "depends_on",
                "backing services start before the services, none of them after another",
            );
        }
        *draft.backing(&name) = table;
        Ok(())
    }

    /// What Landfall provides itself: the version of the image counts, its password is Landfall's own.
    fn provided(&mut self, at: usize, kind: &str, table: &mut Table) {
        let item = std::rc::Rc::clone(&self.services[at].item);
        if self.services[at].name != kind {
            table.set("kind", kind);
        }
        let Some(image) = item.get("image") else {
            return;
        };
        let (_, tag) = images::parts(image.text().unwrap_or_default());
        let (version, rest) = tag.map_or((None, ""), images::version);
        if let Some(version) = version {
            table
                .set("version", version)
                .from(&image.at.file, image.at.line);
        }
        if !rest.is_empty() {
            self.remark(
                at,
                RemarkKind::Note,
                &image.at,
                "image",
                format!("`{rest}` isn't kept: Landfall provides {kind} itself"),
            );
        }
    }

    fn postgres(&mut self, at: usize, table: &mut Table) -> load::Result<()> {
        let variables = self.services[at].variables.clone();
        let mut told = false;
        for (name, (place, value)) in &variables {
            match name.as_str() {
                "POSTGRES_PASSWORD" => {
                    let plain = value.as_ref().is_some_and(|value| value.pieces.is_none() && !value.text.is_empty());
                    if plain && *place.file == *self.services[at].at.file {
                        let said = "a secret stands here in plain text; it isn't taken over, since Landfall makes a password of its own and gives it by `uses`; change it where it is in use";
                        self.remark(at, RemarkKind::PlainSecret, place, &format!("environment.{name}"), said);
                    }
                }
                "POSTGRES_USER" | "POSTGRES_DB" => {
                    if !told {
                        told = true;
                        self.remark(at, RemarkKind::Note, place, &format!("environment.{name}"), "Landfall names the user and the database itself, and gives them by `uses`; dump the old database and restore it into the new one");
                    }
                }
                "POSTGRES_PASSWORD_FILE" | "POSTGRES_USER_FILE" | "POSTGRES_DB_FILE" | "PGDATA" | "TZ" | "PGTZ" | "POSTGRES_HOST_AUTH_METHOD" | "PGUSER" | "PGPASSWORD" | "PGDATABASE" => {}
                _ => self.remark(at, RemarkKind::Lost, place, &format!("environment.{name}"), "is a variable of the image, and Landfall provides PostgreSQL itself; `settings` are passed on"),
            }
        }
        let item = std::rc::Rc::clone(&self.services[at].item);
        for entry in item.get("volumes").map(Item::texts).unwrap_or_default() {
            let mount = volumes::mount(entry)
                .map_err(|message| self.wrong(at, &entry.at, "volumes", &message))?;
            self.backing_volume(at, &entry.at, &mount, "/var/lib/postgresql", table);
        }
        let Some(command) = item.get("command").filter(|command| !command.is_null()) else {
            return Ok(());
        };
        let words = self.command_words(at, command, "command")?;
        let mut words = words
            .iter()
            .map(String::as_str)
            .skip_while(|word| matches!(*word, "postgres" | "docker-entrypoint.sh"))
            .peekable();
        let (mut lost, mut own) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            let setting = match word {
                "-c" => words.next(),
                word => word.strip_prefix("--").or(word.strip_prefix("-c")),
            };
            match setting.and_then(|setting| setting.split_once('=')) {
                Some((key, value)) if refused(&BackingKind::Postgres, key, value) => own.push(key),
                Some((key, value)) if !key.is_empty() => {
                    table.table("settings").set(&key.replace('-', "_"), value);
                }
                _ => lost.push(word),
            }
        }
        if !own.is_empty() {
            let said = format!("`{}` is Landfall's own to set", own.join("`, `"));
            self.remark(at, RemarkKind::Note, &command.at, "command", said);
        }
        if !lost.is_empty() {
            self.remark(
                at,
                RemarkKind::Lost,
                &command.at,
                "command",
                format!("`{}` is no setting", lost.join(" ")),
            );
        }
        Ok(())
    }

    fn redis(&mut self, at: usize, table: &mut Table) -> load::Result<()> {
        let variables = self.services[at].variables.clone();
        for (name, (place, _)) in &variables {
            if !name.contains("PASSWORD") && !matches!(name.as_str(), "TZ" | "REDISCLI_AUTH") {
                self.remark(at, RemarkKind::Lost, place, &format!("environment.{name}"), "is a variable of the image, and Landfall provides Redis itself; `settings` are passed on");
            }
        }
        let item = std::rc::Rc::clone(&self.services[at].item);
        for entry in item.get("volumes").map(Item::texts).unwrap_or_default() {
            let mount = volumes::mount(entry)
                .map_err(|message| self.wrong(at, &entry.at, "volumes", &message))?;
            self.backing_volume(at, &entry.at, &mount, "/data", table);
        }
        let Some(command) = item.get("command").filter(|command| !command.is_null()) else {
            return Ok(());
        };
        let mut words = self.command_words(at, command, "command")?;
        // A line for the shell, mostly to put the password in.
        if let [shell, flag, line] = words.as_slice()
            && shell.ends_with("sh")
            && flag == "-c"
            && let Some(inner) = super::units::words(line)
        {
            words = inner
                .into_iter()
                .skip_while(|word| word == "exec")
                .collect();
        }
        let mut rest = words
            .iter()
            .map(String::as_str)
            .skip_while(|word| word.ends_with("redis-server"))
            .peekable();
        while let Some(word) = rest.next() {
            let Some(key) = word.strip_prefix("--") else {
                if self.redis_file(at, &item, word, table) {
                    continue;
                }
                self.remark(
                    at,
                    RemarkKind::Lost,
                    &command.at,
                    "command",
                    format!("`{word}` is no setting"),
                );
                continue;
            };
            let mut values = Vec::new();
            while let Some(value) = rest.next_if(|next| !next.starts_with("--")) {
                values.push(value);
            }
            match key {
                "requirepass" => {
                    let value = values.first().copied().unwrap_or_default();
                    let from_outside = command_names_secret(command);
                    if !value.is_empty() && !value.starts_with('$') && !from_outside {
                        self.remark(at, RemarkKind::PlainSecret, &command.at, "command", "a password stands here in plain text; it isn't taken over, since Landfall makes one of its own and gives it by `uses`; change it where it is in use");
                    }
                }
                "save" => match values.as_slice() {
                    [""] => {}
                    [all] if all.contains(' ') => {
                        let numbers: Vec<&str> = all.split_whitespace().collect();
                        for pair in numbers.chunks(2) {
                            table.push("save", pair.join(" "));
                        }
                    }
                    values => {
                        for pair in values.chunks(2) {
                            table.push("save", pair.join(" "));
                        }
                    }
                },
                "maxmemory" => {
                    let most = values.first().copied().unwrap_or_default();
                    self.redis_memory(at, &command.at, most, table);
                }
                key if refused(&BackingKind::Redis, key, &values.join(" ")) => {
                    self.remark(
                        at,
                        RemarkKind::Note,
                        &command.at,
                        "command",
                        format!("`--{key}` is Landfall's own to set"),
                    );
                }
                key => {
                    table.table("settings").set(key, values.join(" "));
                }
            }
        }
        Ok(())
    }

    /// The settings of a file that a config of the compose file holds; whether there is one.
    fn redis_file(&mut self, at: usize, item: &Item, path: &str, table: &mut Table) -> bool {
        let model = std::rc::Rc::clone(&self.model);
        let configs = item.get("configs").map(Item::texts).unwrap_or_default();
        let source = configs.iter().find_map(|config| {
            let target = config.get("target").and_then(Item::text)?;
            (target == path).then(|| config.get("source").and_then(Item::text))?
        });
        let Some(content) =
            source.and_then(|source| model.get("configs")?.get(source)?.get("content")?.text())
        else {
            return false;
        };
        for line in content.lines().map(str::trim) {
            let Some((key, value)) = line.split_once(' ') else {
                continue;
            };
            match (key, value.trim()) {
                // A password of Landfall's own, and what Redis does anyway.
                ("requirepass" | "#", _)
                | ("appendonly", "no")
                | ("maxmemory-policy", "noeviction")
                | ("save", "\"\"") => {}
                ("save", value) => {
                    table.push("save", value);
                }
                // What a host sets by `memory`, and what it refuses.
                ("maxmemory", value) => self.redis_memory(at, &item.at, value, table),
                (key, value) if refused(&BackingKind::Redis, key, value) => {}
                (key, value) => {
                    table.table("settings").set(key, value);
                }
            }
        }
        true
    }

    /// A volume of what Landfall provides: its data has a volume anyway, scripts of the first start stay.
    fn backing_volume(
        &mut self,
        at: usize,
        place: &At,
        mount: &volumes::Mount,
        data: &str,
        table: &mut Table,
    ) {
        if mount.target.starts_with("/docker-entrypoint-initdb.d") {
            match &mount.kind {
                Kind::Bind(source) => {
                    let path = paths::clean(source);
                    let is_file = matches!(self.loader.input.source.read(&path), Ok(Some(_)));
                    if (is_file || path.ends_with(".sql") || path.ends_with(".sh"))
                        && !paths::leads_out(&path)
                    {
                        table
                            .push("init", path.as_str())
                            .from(&place.file, place.line);
                    } else {
                        self.remark(at, RemarkKind::Lost, place, "volumes", format!("the scripts in {source} run at the first start; name each in `init`"));
                    }
                }
                _ => self.remark(
                    at,
                    RemarkKind::Lost,
                    place,
                    "volumes",
                    "would have brought scripts for the first start; name them in `init`",
                ),
            }
        } else if mount.target.starts_with(data) {
            if let Kind::Bind(source) = &mount.kind {
                self.remark(at, RemarkKind::Note, place, "volumes", format!("its data is kept by Landfall in the place of {source}; dump the old one and restore it into the new one"));
            }
        } else {
            self.remark(
                at,
                RemarkKind::Lost,
                place,
                "volumes",
                format!(
                    "would have put something at {}; `settings` are passed on",
                    mount.target
                ),
            );
        }
    }

    /// A backing service by its image.
    fn store(&mut self, at: usize, port: u16, data: &str, table: &mut Table) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let image = item.get("image").and_then(Item::text).unwrap_or_default();
        table.set("image", image);
        table.set("port", self.services[at].port.unwrap_or(port));
        if let Some(command) = item.get("command").filter(|command| !command.is_null()) {
            let words = self.command_words(at, command, "command")?;
            if words.iter().any(|word| looks_secret(word)) || command_names_secret(command) {
                self.remark(at, RemarkKind::PlainSecret, &command.at, "command", "holds a secret among its arguments, which everybody on the machine may read; the command isn't taken over");
            } else if !words.is_empty() {
                table
                    .set("command", draft::words(&words))
                    .from(&command.at.file, command.at.line);
            }
        }
        match health::check(&item)
            .map_err(|message| self.wrong(at, &item.at, "healthcheck.test", &message))?
        {
            Some(Check::Words(words)) => {
                table.set("health", words);
            }
            Some(Check::Line(line)) => {
                table.set("health", line.as_str());
            }
            // A page or a port: a connection to its port says as much.
            _ => {}
        }
        let mut kept = None;
        for entry in item.get("volumes").map(Item::texts).unwrap_or_default() {
            let mount = volumes::mount(entry)
                .map_err(|message| self.wrong(at, &entry.at, "volumes", &message))?;
            let is_data = !data.is_empty()
                && (mount.target == data
                    || mount.target.starts_with(data)
                    || data.starts_with(&mount.target));
            match &mount.kind {
                Kind::Named(_) | Kind::Anonymous if kept.is_none() => kept = Some(mount.target.clone()),
                Kind::Bind(_) if is_data && kept.is_none() => {
                    kept = Some(mount.target.clone());
                    self.remark(at, RemarkKind::Changed, &entry.at, "volumes", "its data is kept in a volume of Landfall; what is there must be copied once");
                }
                _ => self.remark(at, RemarkKind::Lost, &entry.at, "volumes", format!("would have put something at {}; a backing service has one folder, in which it keeps its data", mount.target)),
            }
        }
        if let Some(kept) = kept {
            table.set("data", kept);
        }
        let variables = self.services[at].variables.clone();
        for (name, (place, value)) in &variables {
            let key = format!("environment.{name}");
            let value: Value = match value {
                None => format!("${{secret.{name}}}").into(),
                Some(value) => match value.pieces.as_deref() {
                    Some(pieces) => {
                        let mut out = String::new();
                        for piece in pieces {
                            match piece {
                                super::interpolate::Piece::Text(text) => out.push_str(text),
                                super::interpolate::Piece::Secret {
                                    name: secret,
                                    value,
                                    plain,
                                } => {
                                    if *plain {
                                        self.plain(at, place, &key, secret);
                                    } else if !value.is_empty() {
                                        self.secrets.note(secret);
                                    }
                                    out.push_str(&format!("${{secret.{secret}}}"));
                                }
                            }
                        }
                        out.into()
                    }
                    None if (is_secret_name(name) && !is_harmless(&value.text))
                        || looks_secret(&value.text) =>
                    {
                        self.plain(at, place, &key, name);
                        format!("${{secret.{name}}}").into()
                    }
                    None if value.text.contains("${") => {
                        self.remark(
                            at,
                            RemarkKind::Lost,
                            place,
                            &key,
                            "holds `${`, which is Landfall's own in values, so it is left out",
                        );
                        continue;
                    }
                    None => value.text.as_str().into(),
                },
            };
            table
                .table("env")
                .set(name, value)
                .from(&place.file, place.line);
        }
        for entry in item.get("secrets").map(Item::texts).unwrap_or_default() {
            self.remark(at, RemarkKind::Lost, &entry.at, "secrets", "would have been a file in it; give it as a variable: env = { X = \"${secret.X}\" }");
        }
        Ok(())
    }

    fn plain(&mut self, at: usize, place: &At, key: &str, name: &str) {
        self.secrets.note(name);
        let said = format!(
            "a secret stands here in plain text; only its name was taken over. Mend the file: {name}: ${{{name}}}. Set its value by `landfall secrets set {name}`, and change it where it is in use, since the file's history keeps it"
        );
        self.remark(at, RemarkKind::PlainSecret, place, key, said);
    }
}

/// Whether a command takes a secret from outside.
fn command_names_secret(command: &Item) -> bool {
    let own = |item: &Item| item.scalar().is_some_and(|scalar| scalar.pieces.is_some());
    own(command) || command.list().is_some_and(|items| items.iter().any(own))
}
