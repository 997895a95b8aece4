//! Environment variables: six places, weakest first, and for each environment that is extended three more.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    merge::Merged,
    model::{Runtime, SecretUse},
    node::{Field, Fields, Node},
    template::{Reference, Template, Value},
};

use super::{Known, Lower, Scope, process::command};

/// What every process has that the file doesn't give: by Landfall, by the builders. Without a `port`
/// there is no `PORT`, which is an error of its own.
const GIVEN: [&str; 12] = [
    "HOME",
    "LANDFALL_APP",
    "LANDFALL_ENVIRONMENT",
    "LANDFALL_RELEASE",
    "LANDFALL_REPLICA",
    "LANDFALL_SERVICE",
    "LANG",
    "NODE_ENV",
    "PATH",
    "PORT",
    "PYTHONUNBUFFERED",
    "VIRTUAL_ENV",
];

/// A variable of a service or process: its value as written, and the key's place.
pub(crate) type Variable<'a> = &'a Field;

/// The variables of a service, or of one of its processes.
pub(crate) fn variables<'a>(
    merged: &'a Merged,
    service: &str,
    process: Option<&str>,
) -> BTreeMap<&'a str, Variable<'a>> {
    let mut variables = BTreeMap::new();
    let image = merged
        .root
        .table("service")
        .and_then(|services| services.table(service))
        .is_some_and(|fields| fields.has("image"));
    for layer in &merged.layers {
        // The app's plain values never reach someone else's image.
        let plain = layer.table("env").filter(|_| !image);
        let own = layer
            .table("service")
            .and_then(|services| services.table(service));
        let process = own
            .and_then(|own| own.table("process"))
            .and_then(|processes| processes.table(process?));
        let strengths = [
            plain,
            own.and_then(|own| own.table("env")),
            process.and_then(|process| process.table("env")),
        ];
        for fields in strengths.into_iter().flatten() {
            variables.extend(fields.iter());
        }
    }
    variables
}

/// Whether a value is not for everybody's eyes.
fn is_secret(value: &Value) -> bool {
    match value {
        Value::Text(template) => template
            .references()
            .any(|reference| matches!(reference, Reference::Secret(_))),
        Value::Generate(_) => true,
    }
}

/// The value of a variable.
pub(super) fn value(node: &Node) -> Value {
    if let Some(bytes) = node
        .table()
        .and_then(|table| table.get("generate"))
        .and_then(Node::integer)
    {
        return Value::Generate(u32::try_from(bytes).unwrap_or(32));
    }
    Value::Text(
        node.text()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| Template::text("")),
    )
}

impl Lower<'_> {
    /// All variables of a service or process, in full.
    pub(super) fn environment_variables(
        &self,
        service: &str,
        process: Option<&str>,
    ) -> BTreeMap<String, Value> {
        if self.effort == super::Effort::Check {
            return BTreeMap::new();
        }
        let all = variables(self.merged, service, process);
        all.into_iter()
            .map(|(name, field)| (name.to_owned(), value(&field.node)))
            .collect()
    }

    /// `[env]` at the top and in the environment.
    pub(super) fn check_plain_variables(&mut self) {
        let merged = self.merged;
        for layer in &merged.layers {
            if let Some(fields) = layer.table("env") {
                self.check_variables(fields, Scope::PLAIN, &BTreeMap::new());
            }
        }
    }

    /// The variables that stand in one table: their references, and names that aren't the user's.
    pub(super) fn check_variables(
        &mut self,
        fields: &Fields,
        scope: Scope<'_>,
        given: &BTreeMap<&str, &str>,
    ) {
        for (name, field) in fields.iter() {
            if field.node.text().is_some() {
                self.template(&field.node, scope);
            }
            let by = match given.get(name) {
                Some(backing) => format!("`uses` gives it the address of `{backing}`"),
                None if name == "PORT" => {
                    "`port` says where the app listens, and Landfall gives `PORT`".to_owned()
                }
                None if name.starts_with("LANDFALL_") => {
                    "names that begin with LANDFALL_ are Landfall's own".to_owned()
                }
                None => continue,
            };
            self.error(
                "reserved-variable",
                &field.key,
                format!("`{name}` is set by Landfall"),
                by,
            )
            .help = Some("take it out here".to_owned());
        }
    }

    /// Commands that name a secret, whose value would stand among the arguments, which everybody on
    /// the machine may read; and commands that name what no process has.
    pub(super) fn check_commands(
        &mut self,
        known: &Known<'_>,
        secrets: &BTreeMap<String, SecretUse>,
        uses: &BTreeMap<&str, &str>,
        runtime: Runtime,
    ) {
        let named = known.fields.table("process");
        let named = named.into_iter().flat_map(Fields::iter);
        let mut commands: Vec<(Option<&str>, &Node)> = named
            .filter_map(|(name, field)| Some((Some(name), field.node.table()?.get("command")?)))
            .collect();
        commands.extend(known.fields.get("command").map(|node| (None, node)));
        for (process, node) in commands {
            let mut names = command(node).map_or_else(Vec::new, |command| command.variables());
            names.sort_unstable();
            names.dedup();
            if names.is_empty() {
                continue;
            }
            let plain = variables(self.merged, known.service, process);
            for name in names {
                let is_secret = match plain.get(name.as_str()) {
                    Some(field) => is_secret(&value(&field.node)),
                    None => secrets.contains_key(&name),
                };
                if is_secret {
                    self.secret_in_command(node, &name);
                    continue;
                }
                let has = plain.contains_key(name.as_str())
                    || uses.contains_key(name.as_str())
                    || GIVEN.contains(&name.as_str());
                // What else an image sets is not in the file.
                if !has && runtime == Runtime::Process {
                    let port = known.fields.has("port");
                    let given = GIVEN.iter().copied();
                    let given = given.filter(|name| *name != "PORT" || port);
                    let all: BTreeSet<&str> = plain
                        .keys()
                        .copied()
                        .chain(uses.keys().copied())
                        .chain(given)
                        .collect();
                    self.unknown(
                        "unknown-variable",
                        &node.span,
                        format!("the command names `${name}`, which has no value"),
                        &name,
                        all.iter().copied(),
                        "the process has",
                    );
                    if let Some(last) = self.diagnostics.last_mut() {
                        last.help = Some(format!(
                            "give `{name}` a value in `env`, for every environment; `$$` is a dollar itself"
                        ));
                    }
                }
            }
        }
    }

    fn secret_in_command(&mut self, node: &Node, name: &str) {
        self.error(
            "secret-in-command",
            &node.span,
            format!("the command names `${name}`, which is a secret"),
            "everybody on the machine may read its arguments",
        )
        .help = Some(format!(
            "let the app read the variable `{name}` itself; its environment has it"
        ));
    }
}
