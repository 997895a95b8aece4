//! The variables of a compose file: what a user may set in `.env`, and how a value names them.
//!
//! Compose interpolates every value of the file, so a dollar of ours is doubled; keys it leaves alone.

use std::collections::{BTreeMap, BTreeSet};

use landfall_app::{
    App,
    model::{Process, Service},
    template::{Part, Value},
};

/// A text as Compose must be told it, so that no dollar in it begins a variable.
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A variable that the file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What counts where nothing is set; none: it must be set.
    pub default: Option<String>,
    /// Whether the file can do without it.
    pub optional: bool,
    /// What it is, as a sentence without its full stop.
    pub said: String,
    /// Whose it is: two purposes never share a name.
    purpose: String,
}

/// All of them by name.
#[derive(Debug, Default)]
pub struct Variables {
    all: BTreeMap<String, Variable>,
    /// Values of variables that services have by name, where they have no references.
    values: BTreeMap<String, BTreeSet<String>>,
}

/// Names that a shell has already: its own value would win over what `.env` says.
const TAKEN: [&str; 24] = [
    "CI",
    "DEBUG",
    "DISPLAY",
    "EDITOR",
    "HOME",
    "HOST",
    "HOSTNAME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "MAIL",
    "NODE_ENV",
    "PATH",
    "PORT",
    "PWD",
    "PYTHONPATH",
    "SHELL",
    "SHLVL",
    "TAG",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
];
/// How names begin that Docker or a shell reads itself.
const TAKEN_BEGINNINGS: [&str; 5] = ["BUILDKIT_", "COMPOSE_", "DOCKER_", "LC_", "XDG_"];

impl Variables {
    /// Those of an app; secrets have their own names.
    pub fn of(app: &App) -> Self {
        let mut variables = Self::default();
        for service in app.services.values() {
            for (name, value) in environments(service).flatten() {
                if let Some(text) = plain(value) {
                    let values = variables.values.entry(name.clone()).or_default();
                    // Two are as many as any number.
                    if values.len() < 2 {
                        values.insert(text);
                    }
                }
            }
        }
        for service in app.services.values() {
            for (name, secret) in &service.secrets {
                variables.claim(
                    name,
                    &secret_purpose(name),
                    &secret_said(name),
                    None,
                    secret.optional,
                );
            }
        }
        variables
    }

    /// A value that must be set: `${NAME:?…}`.
    pub fn required(&mut self, name: &str, purpose: &str, said: &str) -> String {
        let name = self.claim(name, purpose, said, None, false);
        format!("${{{name}:?set it in .env}}")
    }

    /// A secret of the app.
    pub fn secret(&mut self, name: &str) -> String {
        self.required(name, &secret_purpose(name), &secret_said(name))
    }

    /// A value that may be set: `${NAME:-default}`; as it stands where Compose couldn't read it as a default.
    pub fn defaulted(&mut self, name: &str, purpose: &str, default: &str, said: &str) -> String {
        if default.contains(['$', '{', '}', '\\', '\n', '\r']) {
            return literal(default);
        }
        let name = self.claim(name, purpose, said, Some(default), true);
        format!("${{{name}:-{default}}}")
    }

    /// A variable of a service's environment that may be set. It has its own name where that means the same
    /// to every service, and else the service's name before it.
    pub fn of_service(&mut self, service: &str, variable: &str, value: &str) -> String {
        let same = self
            .values
            .get(variable)
            .is_none_or(|values| values.len() < 2);
        let purpose = format!("environment {variable} {value}");
        let free = self
            .all
            .get(variable)
            .is_none_or(|known| known.purpose == purpose);
        let said = format!("`{variable}` of {service}");
        match same && free && !taken(variable) {
            true => self.defaulted(variable, &purpose, value, &said),
            false => {
                let name = format!("{}_{variable}", upper(service));
                self.defaulted(&name, &format!("{service} {purpose}"), value, &said)
            }
        }
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Variable)> {
        self.all.iter()
    }

    /// Takes a name for a purpose, another one where it is taken for something else.
    fn claim(
        &mut self,
        wanted: &str,
        purpose: &str,
        said: &str,
        default: Option<&str>,
        optional: bool,
    ) -> String {
        let mut name = wanted.to_owned();
        let mut count = 1;
        while self
            .all
            .get(&name)
            .is_some_and(|known| known.purpose != purpose)
        {
            count += 1;
            name = format!("{wanted}_{count}");
        }
        let variable = self.all.entry(name.clone()).or_insert_with(|| Variable {
            default: default.map(str::to_owned),
            optional,
            said: said.to_owned(),
            purpose: purpose.to_owned(),
        });
        // One service's need is enough.
        variable.optional &= optional;
        name
    }
}

fn secret_said(name: &str) -> String {
    format!("the secret {name}")
}

fn secret_purpose(name: &str) -> String {
    format!("secret {name}")
}

/// The environments of a service: its own, and those of its processes.
pub fn environments(service: &Service) -> impl Iterator<Item = &BTreeMap<String, Value>> {
    let processes = service
        .processes
        .iter()
        .map(|process: &Process| &process.env);
    std::iter::once(&service.env).chain(processes)
}

/// A value without references.
pub fn plain(value: &Value) -> Option<String> {
    let Value::Text(template) = value else {
        return None;
    };
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Reference(_) => return None,
        }
    }
    Some(text)
}

fn taken(name: &str) -> bool {
    TAKEN.contains(&name)
        || TAKEN_BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
}

/// A name as the beginning of a variable's.
pub fn upper(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_purposes_never_share_a_name() {
        let mut variables = Variables::default();
        assert_eq!(
            variables.required("WEB_PORT", "a", "x"),
            "${WEB_PORT:?set it in .env}"
        );
        assert_eq!(
            variables.defaulted("WEB_PORT", "b", "80", "y"),
            "${WEB_PORT_2:-80}"
        );
        assert_eq!(
            variables.defaulted("WEB_PORT", "b", "80", "y"),
            "${WEB_PORT_2:-80}"
        );
        assert_eq!(variables.iter().count(), 2);
    }

    #[test]
    fn what_no_default_can_say_stands_as_it_is() {
        let mut variables = Variables::default();
        assert_eq!(variables.defaulted("A", "a", "a}b", ""), "a}b");
        assert_eq!(variables.defaulted("A", "a", "$HOME", ""), "$$HOME");
        assert_eq!(variables.iter().count(), 0);
    }

    #[test]
    fn what_a_shell_has_already_is_asked_for_by_another_name() {
        let mut variables = Variables::default();
        assert_eq!(variables.of_service("web", "TZ", "UTC"), "${WEB_TZ:-UTC}");
        assert_eq!(
            variables.of_service("web", "LEVEL", "info"),
            "${LEVEL:-info}"
        );
        assert_eq!(
            variables.of_service("web", "DOCKER_X", "1"),
            "${WEB_DOCKER_X:-1}"
        );
    }
}
