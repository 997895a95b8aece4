//! Variables of a service: plain values, secrets, and the addresses of others in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    context::{Context, Role, Service},
    interpolate::Piece,
    references::addresses,
    secret::{is_harmless, is_secret_name, looks_secret, password_in_url, variable_name},
    tree::{At, Item, Scalar},
};
use crate::{
    RemarkKind,
    draft::{Table, is_variable},
};

/// Secrets seen so far.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Values that stand in the files, with the name of the secret that has each first.
    pub by_value: BTreeMap<String, String>,
    /// The value of each name, where one stands in the files.
    values: BTreeMap<String, String>,
    in_files: BTreeSet<String>,
    /// What stands in the list of each service already.
    listed: BTreeSet<(usize, String)>,
}

impl Secrets {
    /// Values of variables that are called like secrets, so that they are known elsewhere: in a URL.
    pub fn of(services: &[Service]) -> Self {
        let mut secrets = Self::default();
        for service in services {
            for (name, (_, value)) in &service.variables {
                let Some(value) = value else { continue };
                if let Some([Piece::Secret { name, value, .. }]) = value.pieces.as_deref() {
                    secrets.known(name, value);
                } else if is_secret_name(name) && !is_harmless(&value.text) {
                    secrets.known(name, &value.text);
                }
            }
        }
        secrets
    }

    fn known(&mut self, name: &str, value: &str) {
        if value.len() >= 3 {
            self.by_value
                .entry(value.to_owned())
                .or_insert_with(|| name.to_owned());
        }
    }

    /// A secret whose value stands in a file.
    pub fn note(&mut self, name: &str) {
        self.in_files.insert(name.to_owned());
    }

    pub fn in_files(&self) -> Vec<String> {
        self.in_files.iter().cloned().collect()
    }

    /// The name for a value: the variable's own, or one of the service's where another value has it.
    fn name_for(&mut self, service: &str, name: &str, value: &str) -> String {
        if !value.is_empty() {
            match self.values.get(name) {
                Some(known) if known != value => {
                    let name = format!("{}_{name}", variable_name(service));
                    self.values.insert(name.clone(), value.to_owned());
                    return name;
                }
                _ => {
                    self.values.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        name.to_owned()
    }
}

/// What a variable becomes.
enum Outcome {
    /// A value, with `${…}` where something is referred to.
    Value(String),
    /// The URL of a backing service, which `uses` gives.
    Uses,
    /// A secret of this name; another name than the variable's is referred to.
    Secret(String),
    /// Nothing: somebody else gives it.
    Given,
}

impl Context<'_> {
    pub(super) fn add_secret(&mut self, at: usize, name: &str, table: &mut Table, place: &At) {
        if !is_variable(name) {
            self.remark(
                at,
                RemarkKind::Lost,
                place,
                "environment",
                format!("`{name}` can't be the name of a variable"),
            );
            return;
        }
        let known = !self.secrets.listed.insert((at, name.to_owned()));
        if !known {
            table.push("secrets", name).from(&place.file, place.line);
        }
    }

    /// All variables of a service, and with them what it uses.
    pub(super) fn write_variables(&mut self, at: usize, table: &mut Table) {
        let variables = self.services[at].variables.clone();
        let uses = self.find_uses(at);
        let near = self.databases_of(at);
        // What `uses` gives besides the URL.
        let given: BTreeSet<String> = uses
            .values()
            .flat_map(|variable| {
                let prefix = variable.strip_suffix("_URL").unwrap_or(variable);
                ["HOST", "PORT", "USER", "PASSWORD", "NAME"].map(|part| format!("{prefix}_{part}"))
            })
            .collect();
        for (name, (place, value)) in &variables {
            if name == "PORT"
                && let Some(port) = self.services[at].port
            {
                let told = value.as_ref().map_or("", |value| value.text.as_str());
                if told != port.to_string() {
                    self.remark(at, RemarkKind::Changed, place, "environment.PORT", format!("says `{told}`; Landfall gives PORT the port at which the service listens, here {port}"));
                }
                continue;
            }
            if !is_variable(name) {
                self.remark(
                    at,
                    RemarkKind::Lost,
                    place,
                    &format!("environment.{name}"),
                    "a variable is made of letters, digits and `_`",
                );
                continue;
            }
            let Some(value) = value else {
                // A bare name of a secret that has no value here.
                self.add_secret(at, name, table, place);
                continue;
            };
            if let Some(written) = &value.written {
                self.remark(
                    at,
                    RemarkKind::Note,
                    place,
                    &format!("environment.{name}"),
                    format!(
                        "`{written}` without quotes is read as {}, which is what the program gets",
                        value.text
                    ),
                );
            }
            match self.outcome(at, name, value, place, (&uses, &given, &near)) {
                Outcome::Given => {}
                Outcome::Uses => {}
                Outcome::Secret(secret) => {
                    if secret != *name {
                        table
                            .table("env")
                            .set(name, format!("${{secret.{secret}}}"))
                            .from(&place.file, place.line);
                    }
                    self.add_secret(at, &secret, table, place);
                }
                Outcome::Value(text) => {
                    let mut rest = text.as_str();
                    while let Some((_, after)) = rest.split_once("${secret.") {
                        let Some((secret, after)) = after.split_once('}') else {
                            break;
                        };
                        let secret = secret.to_owned();
                        self.add_secret(at, &secret, table, place);
                        rest = after;
                    }
                    table
                        .table("env")
                        .set(name, text)
                        .from(&place.file, place.line);
                }
            }
        }
        if !uses.is_empty() {
            let mut plain = Vec::new();
            let mut long = Table::new();
            for (other, variable) in &uses {
                let other = &self.services[*other];
                let usual = match other.role {
                    Role::Postgres(_) => "DATABASE_URL".to_owned(),
                    Role::Redis => "REDIS_URL".to_owned(),
                    _ => format!("{}_URL", other.name.to_uppercase().replace('-', "_")),
                };
                if *variable == usual {
                    plain.push(other.name.clone());
                }
                long.set(&other.name, variable.as_str());
            }
            if plain.len() == uses.len() {
                table.set("uses", plain);
            } else {
                table.set("uses", long);
            }
        }
    }

    /// The backing services that a service uses, and the variable for the URL of each: the one that
    /// carries it now, else one that nothing else has.
    fn find_uses(&mut self, at: usize) -> BTreeMap<usize, String> {
        let mut uses: BTreeMap<usize, String> = BTreeMap::new();
        let variables = self.services[at].variables.clone();
        for (name, (_, value)) in &variables {
            let Some(value) = value else { continue };
            if let Some(other) = self.whole_url(&value.text)
                && is_variable(name)
            {
                uses.entry(other).or_insert_with(|| name.clone());
            }
        }
        let item = std::rc::Rc::clone(&self.services[at].item);
        let mut wanted: Vec<usize> = Vec::new();
        for (_, value) in variables.values() {
            let Some(value) = value else { continue };
            for (host, _) in addresses(&value.text) {
                wanted.extend(self.hosts.get(host));
            }
        }
        let links = item.get("links").map(Item::texts).unwrap_or_default();
        let links = links
            .iter()
            .filter_map(|link| link.text())
            .map(|link| link.split(':').next().unwrap_or(link).to_owned());
        let names: Vec<String> = super::context::dependencies(&item)
            .into_iter()
            .map(|(name, _, _)| name)
            .chain(links)
            .collect();
        for name in names {
            wanted.extend(self.find(&name));
        }
        for other in wanted {
            if other == at || !self.services[other].role.is_backing() || uses.contains_key(&other) {
                continue;
            }
            let usual = match self.services[other].role {
                Role::Postgres(_) => "DATABASE_URL".to_owned(),
                Role::Redis => "REDIS_URL".to_owned(),
                _ => format!("{}_URL", variable_name(&self.services[other].name)),
            };
            let own = format!("{}_URL", variable_name(&self.services[other].name));
            let free = |name: &String| {
                !variables.contains_key(name) && !uses.values().any(|used| used == name)
            };
            let mut candidates = [usual, own]
                .into_iter()
                .chain((2..100).map(|number| format!("BACKING_{number}_URL")));
            if let Some(variable) = candidates.find(free) {
                uses.insert(other, variable);
            }
        }
        uses
    }

    fn outcome(
        &mut self,
        at: usize,
        name: &str,
        value: &Scalar,
        place: &At,
        (uses, given, near): (
            &BTreeMap<usize, String>,
            &BTreeSet<String>,
            &BTreeSet<usize>,
        ),
    ) -> Outcome {
        let key = format!("environment.{name}");
        if let Some(other) = self.whole_url(&value.text) {
            if uses.get(&other).map(String::as_str) == Some(name) {
                return Outcome::Uses;
            }
            return Outcome::Value(format!("${{backing.{}.url}}", self.services[other].name));
        }
        if let Some(text) = self.part_of_backing(near, name, &value.text) {
            return if given.contains(name)
                && uses.values().any(|url| {
                    url.strip_suffix("_URL") == name.rsplit_once('_').map(|(prefix, _)| prefix)
                }) {
                Outcome::Given
            } else {
                Outcome::Value(text)
            };
        }
        if let Some(text) = self.with_references(at, name, value, place) {
            return Outcome::Value(text);
        }
        // Exactly a variable of a secret.
        if let Some(
            [
                Piece::Secret {
                    name: secret,
                    value: text,
                    plain,
                },
            ],
        ) = value.pieces.as_deref()
        {
            if *plain {
                self.plain_secret(at, place, &key, name);
            }
            if !text.is_empty() {
                self.secrets.note(secret);
            }
            let secret = self
                .secrets
                .name_for(&self.services[at].key.clone(), secret, text);
            return Outcome::Secret(secret);
        }
        if let Some(pieces) = &value.pieces {
            let mut out = String::new();
            for piece in pieces.iter() {
                match piece {
                    Piece::Text(text) => out.push_str(text),
                    Piece::Secret {
                        name: secret,
                        value: text,
                        plain,
                    } => {
                        if *plain {
                            self.plain_secret(at, place, &key, secret);
                        }
                        if !text.is_empty() {
                            self.secrets.note(secret);
                        }
                        out.push_str(&format!("${{secret.{secret}}}"));
                    }
                }
            }
            return Outcome::Value(out);
        }
        if (is_secret_name(name) && !is_harmless(&value.text)) || looks_secret(&value.text) {
            // The password of a URL may be a secret that is known already.
            if let Some(password) = password_in_url(&value.text)
                && let Some(secret) = self.secrets.by_value.get(password).cloned()
                && let Some((before, after)) = value.text.split_once(password)
                && !value.text.contains("${")
            {
                self.plain_secret(at, place, &key, &secret);
                return Outcome::Value(format!("{before}${{secret.{secret}}}{after}"));
            }
            if let Some(known) = self
                .secrets
                .by_value
                .get(&value.text)
                .filter(|known| *known != name && *place.file == *self.services[at].at.file)
                .cloned()
            {
                self.plain_secret(at, place, &key, &known);
                return Outcome::Secret(known);
            }
            let from_file = *place.file != *self.services[at].at.file;
            let secret = self
                .secrets
                .name_for(&self.services[at].key.clone(), name, &value.text);
            self.secrets.note(&secret);
            if from_file {
                let said = format!(
                    "is a secret in a file of variables: `landfall secrets import {}` takes its value over",
                    place.file
                );
                self.remark(at, RemarkKind::Note, place, &key, said);
            } else {
                self.plain_secret(at, place, &key, &secret);
            }
            return Outcome::Secret(secret);
        }
        if value.text.contains("${") {
            self.remark(
                at,
                RemarkKind::Lost,
                place,
                &key,
                "holds `${`, which is Landfall's own in values, so it is left out",
            );
            return Outcome::Given;
        }
        Outcome::Value(value.text.clone())
    }

    pub(super) fn plain_secret(&mut self, at: usize, place: &At, key: &str, name: &str) {
        self.secrets.note(name);
        let variable = key.strip_prefix("environment.").unwrap_or(name);
        let said = format!(
            "a secret stands here in plain text; only its name was taken over. Mend the file: {variable}: ${{{name}}}. Set its value by `landfall secrets set {name}`, and change it where it is in use, since the file's history keeps it"
        );
        self.remark(at, RemarkKind::PlainSecret, place, key, said);
    }
}
