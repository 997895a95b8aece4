//! The values that aren't tables or lists: what each expects, and why a text isn't one.

use crate::{
    command,
    units::{Cpu, Share, Size, Time},
};

use super::text::{
    check, cron, factor_tenths, http_path, is_absolute, is_destination, is_host, is_origin,
    is_word, is_zone, name, parsed, path, rate_per_second, secret, space, target, template,
    variable, version, word,
};

/// A value that is neither a table nor a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub kind: Kind,
}

/// Kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// One word, which no program takes for an option.
    Filled,
    /// Text with `${…}`.
    Template,
    Boolean,
    /// Only `true`.
    True,
    Count {
        least: i64,
        most: i64,
    },
    Port,
    Status,
    RedirectStatus,
    Time,
    Size,
    Cpu,
    Share,
    /// The name of a service, a process, …
    Name(&'static str),
    Word(&'static [&'static str]),
    /// A path in the repository.
    Path,
    /// A path in the service's container or on its machine.
    AbsolutePath,
    HttpPath,
    Host,
    Origin,
    Cron,
    Zone,
    /// A command of words.
    Words,
    /// A command for the shell.
    Shell,
    Variable,
    Secret,
    Signal,
    Version,
    /// `2x`
    Factor,
    /// `50/s`
    Rate,
    /// `local` or `ssh://…`
    Target,
    /// `user@host`
    Destination,
    /// `owner/name`
    Space,
}

/// Why a value isn't what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub code: &'static str,
    pub label: String,
    pub help: Option<String>,
}

impl Problem {
    pub fn new(code: &'static str, label: impl Into<String>) -> Self {
        Self {
            code,
            label: label.into(),
            help: None,
        }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Signals that a process can be asked to end with.
pub(crate) const SIGNALS: &[&str] = &[
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGKILL",
];

impl Scalar {
    pub const fn new(kind: Kind) -> Self {
        Self { kind }
    }

    /// What is expected, with an example.
    pub fn expected(&self) -> &'static str {
        match self.kind {
            Kind::Filled => "a word without spaces",
            Kind::Text => "a text \"…\"",
            Kind::Template => "a text \"…\", which may hold ${…}",
            Kind::Boolean => "true or false",
            Kind::True => "true",
            Kind::Count { .. } => "a whole number such as 2",
            Kind::Port => "a port such as 8000",
            Kind::Status => "a status such as 200",
            Kind::RedirectStatus => "301, 302, 307 or 308",
            Kind::Time => "a time such as \"30s\", \"2m\" or \"7d\"",
            Kind::Size => "a size such as \"512MiB\" or \"1GiB\"",
            Kind::Cpu => "cores such as 0.5 or \"500m\"",
            Kind::Share => "a share such as \"70%\"",
            Kind::Name(_) => "a name such as \"web\"",
            Kind::Word(_) => "one of its words",
            Kind::Path => "a path in the repository such as \"backend\"",
            Kind::AbsolutePath => "an absolute path such as \"/var/lib/shop\"",
            Kind::HttpPath => "a path such as \"/health\"",
            Kind::Host => "a host name such as \"shop.example.com\"",
            Kind::Origin => "an origin such as \"https://shop.example.com\"",
            Kind::Cron => "a cron line such as \"30 2 * * *\"",
            Kind::Zone => "a time zone such as \"Europe/Berlin\"",
            Kind::Words => "a command such as \"bin/web --port $PORT\"",
            Kind::Shell => "a shell command such as \"make && make install\"",
            Kind::Variable => "a variable such as \"DATABASE_URL\"",
            Kind::Secret => "a secret's name such as \"OPENAI_API_KEY\"",
            Kind::Signal => "a signal such as \"SIGTERM\"",
            Kind::Version => "a version such as \"0.4\"",
            Kind::Factor => "a factor such as \"2x\"",
            Kind::Rate => "a rate such as \"50/s\"",
            Kind::Target => "a target such as \"ssh://deploy@203.0.113.7\"",
            Kind::Destination => "an SSH destination such as \"dokku@paas.example.com\"",
            Kind::Space => "an owner and a name such as \"acme/textbook\"",
        }
    }

    pub fn takes_text(&self) -> bool {
        !self.takes_integer() || self.kind == Kind::Cpu
    }

    pub fn takes_integer(&self) -> bool {
        matches!(
            self.kind,
            Kind::Count { .. } | Kind::Port | Kind::Status | Kind::RedirectStatus | Kind::Cpu
        ) || self.takes_boolean()
    }

    pub fn takes_float(&self) -> bool {
        self.kind == Kind::Cpu
    }

    pub fn takes_boolean(&self) -> bool {
        matches!(self.kind, Kind::Boolean | Kind::True)
    }

    pub fn check_boolean(&self, value: bool) -> Result<(), Problem> {
        match (self.kind, value) {
            (Kind::True, false) => Err(Problem::new(
                "bad-value",
                "can only be true; leave the key out instead",
            )),
            _ => Ok(()),
        }
    }

    pub fn check_integer(&self, value: i64) -> Result<(), Problem> {
        let between = |least: i64, most: i64, code: &'static str| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(Problem::new(
                    code,
                    format!("expected a whole number from {least} to {most}"),
                ))
            }
        };
        match self.kind {
            Kind::Port if !(1..=65535).contains(&value) => Err(Problem::new(
                "bad-port",
                "a port is a whole number from 1 to 65535",
            )),
            Kind::Status => between(100, 599, "bad-value"),
            Kind::RedirectStatus if ![301, 302, 307, 308].contains(&value) => {
                Err(Problem::new("bad-value", "expected 301, 302, 307 or 308"))
            }
            Kind::Count { least, most } => between(least, most, "bad-value"),
            Kind::Cpu => self.check_text(&value.to_string()),
            _ => Ok(()),
        }
    }

    /// Whether a text that isn't a template means to be one.
    fn holds_reference(&self, text: &str) -> bool {
        let known = ["${secret.", "${service.", "${process.", "${backing."];
        let nowhere = matches!(self.kind, Kind::Filled | Kind::Path | Kind::AbsolutePath)
            && text.contains("${");
        nowhere || text.contains("${") && known.iter().any(|form| text.contains(form))
    }

    pub fn check_text(&self, text: &str) -> Result<(), Problem> {
        if self.kind != Kind::Template && self.kind != Kind::Words && self.holds_reference(text) {
            let problem = Problem::new("bad-reference", "`${…}` is not resolved here");
            return Err(problem
                .help("it stands in the values of `env`; a command names the variable, $NAME"));
        }
        match self.kind {
            Kind::Time => parsed::<Time, _>(text),
            Kind::Size => parsed::<Size, _>(text),
            Kind::Cpu => parsed::<Cpu, _>(text),
            Kind::Share => parsed::<Share, _>(text),
            Kind::Name(what) => name(what, text),
            Kind::Template => template(text),
            Kind::Word(words) => word(words, text),
            Kind::Signal => word(SIGNALS, text),
            Kind::Words => command::split(text).map(|_| ()),
            Kind::Shell if text.trim().is_empty() => {
                Err(Problem::new("bad-value", "the command is empty"))
            }
            Kind::Text | Kind::Shell if text.contains('\0') => {
                Err(Problem::new("bad-value", "holds a NUL character"))
            }
            Kind::Filled => check(
                is_word(text),
                "bad-value",
                "one word, without spaces, that doesn't begin with `-`",
            ),
            Kind::Destination => check(is_destination(text), "bad-target", self.expected()),
            Kind::Variable => variable(text),
            Kind::Secret => secret(text),
            Kind::Path => path(text),
            Kind::AbsolutePath => check(is_absolute(text), "bad-path", self.expected()),
            Kind::HttpPath => http_path(text),
            Kind::Host => check(is_host(text), "bad-host", self.expected()),
            Kind::Origin => check(is_origin(text), "bad-value", self.expected()),
            Kind::Cron => cron(text),
            Kind::Zone => check(is_zone(text), "bad-time-zone", self.expected()),
            Kind::Version => check(version(text).is_some(), "bad-value", self.expected()),
            Kind::Factor => check(factor_tenths(text).is_some(), "bad-value", self.expected()),
            Kind::Rate => check(
                rate_per_second(text).is_some(),
                "bad-value",
                self.expected(),
            ),
            Kind::Target => target(text),
            Kind::Space => space(text),
            _ => Ok(()),
        }
    }

    /// The pattern that texts of this kind match, for the schema.
    pub fn pattern(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Time => Some("^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$"),
            Kind::Size => Some("^[0-9]+(\\.[0-9]+)?(B|[KMGT](i|iB)?)$"),
            Kind::Cpu => Some("^([0-9]+m|[0-9]+(\\.[0-9]+)?)$"),
            Kind::Share => Some("^[0-9]+(\\.[0-9]+)?%$"),
            Kind::Name(_) => Some(NAME_PATTERN),
            Kind::Variable | Kind::Secret => Some(VARIABLE_PATTERN),
            Kind::HttpPath | Kind::AbsolutePath => Some("^/"),
            Kind::Factor => Some("^[0-9]+(\\.[0-9])?x$"),
            Kind::Rate => Some("^[0-9]+/s$"),
            Kind::Version => Some("^[0-9]+(\\.[0-9]+){0,2}$"),
            Kind::Target => Some("^(local$|ssh://)"),
            Kind::Space => Some("^[^/]+/[^/]+$"),
            _ => None,
        }
    }
}

/// The grammar of names, for the schema.
pub(crate) const NAME_PATTERN: &str = "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$";
/// The grammar of variables, for the schema.
pub(crate) const VARIABLE_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
