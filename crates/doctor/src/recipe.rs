//! What an image is made by: stages and their steps, read from a Dockerfile or from an image's history.

use std::{collections::BTreeMap, ops::Range};

use parse_dockerfile::{Command as Parsed, HealthcheckArguments, Instruction, Source};

/// A Dockerfile that is larger is none that a person wrote.
pub const LARGEST: usize = 1 << 20;

/// Why a Dockerfile can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct BadDockerfile {
    /// The line, counted from 1; 0 where it is none in particular.
    pub line: usize,
    /// What is wrong there.
    pub said: String,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// Stages in their order; the last one is the image.
    pub stages: Vec<Stage>,
}

/// A stage: from one `FROM` to the next.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The image that it begins with, variables filled in as far as they are known.
    pub base: String,
    /// The line of its `FROM`.
    pub line: usize,
    /// Where the image's name stands in the text.
    pub base_span: Range<usize>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// An instruction.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its line in the Dockerfile; 0 where there is none.
    pub line: usize,
    /// Its bytes in the text; empty where there is none.
    pub span: Range<usize>,
    /// The layer that it made, counted from 1, where it is of an image's history.
    pub layer: Option<usize>,
    /// What it does.
    pub action: Action,
}

/// What an instruction does.
#[derive(Debug, Clone)]
pub enum Action {
    /// `RUN`
    Run {
        /// What is run.
        command: Command,
        /// Its options: `--mount=…`.
        options: Vec<String>,
        /// Whether it is a here-document.
        here: bool,
    },
    /// `COPY` and `ADD`
    Copy {
        /// Whether it is `ADD`.
        add: bool,
        /// The stage or image that it takes from, instead of the context.
        from: Option<String>,
        /// All options.
        options: Vec<String>,
        /// What is copied.
        sources: Vec<String>,
        /// To where.
        to: String,
        /// The instruction's first word.
        keyword: Range<usize>,
    },
    /// `ENV`: names and values.
    Environment(Vec<(String, String)>),
    /// `ARG`: names and defaults.
    Argument(Vec<(String, Option<String>)>),
    /// `USER`
    User(String),
    /// `WORKDIR`, and where the path stands.
    Directory(String, Range<usize>),
    /// `EXPOSE`, and where its ports stand.
    Expose(Vec<String>),
    /// `CMD`
    Start(Command),
    /// `ENTRYPOINT`
    Entry(Command),
    /// `HEALTHCHECK`; none: switched off.
    Health(Option<Command>),
    /// `SHELL`
    Shell,
    /// Anything else.
    Other,
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Words: no shell.
    Words(Vec<String>),
    /// A line for the shell, and where it stands in the text.
    Line(String, Range<usize>),
}

impl Command {
    /// The line for a shell, if it is one.
    pub fn line(&self) -> Option<&str> {
        match self {
            Self::Line(line, _) => Some(line),
            Self::Words(_) => None,
        }
    }

    /// All of it as one text, to be looked at.
    pub fn text(&self) -> String {
        match self {
            Self::Line(line, _) => line.clone(),
            Self::Words(words) => words.join(" "),
        }
    }
}

impl Recipe {
    /// Reads a Dockerfile.
    pub fn read(text: &str) -> Result<Self, BadDockerfile> {
        let bad = |line, said: &str| BadDockerfile {
            line,
            said: said.to_owned(),
        };
        if text.len() > LARGEST {
            return Err(bad(0, "is larger than 1 MiB, which no Dockerfile is"));
        }
        let parsed = parse_dockerfile::parse(text).map_err(|error| {
            let said = format!("{error:#}");
            bad(error.line(), &said)
        })?;
        let lines = Lines::of(text);
        let mut variables = BTreeMap::new();
        let mut recipe = Self::default();
        for instruction in &parsed.instructions {
            if let Instruction::From(from) = instruction {
                let name = from.as_.as_ref().map(|(_, name)| name.value.to_string());
                recipe.stages.push(Stage {
                    name,
                    base: filled(&from.image.value, &variables),
                    line: lines.at(from.from.span.start),
                    base_span: from.image.span.clone(),
                    steps: Vec::new(),
                });
                continue;
            }
            let (action, start, end) = understood(instruction, text);
            match recipe.stages.last_mut() {
                Some(stage) => stage.steps.push(Step {
                    line: lines.at(start),
                    span: start..end,
                    layer: None,
                    action,
                }),
                // Only ARG may stand before the first FROM.
                None => {
                    if let Action::Argument(pairs) = action {
                        for (name, value) in pairs {
                            variables.insert(name, value.unwrap_or_default());
                        }
                    }
                }
            }
        }
        match recipe.stages.is_empty() {
            true => Err(bad(1, "has no FROM")),
            false => Ok(recipe),
        }
    }

    /// The last stage.
    pub fn last(&self) -> Option<&Stage> {
        self.stages.last()
    }

    /// The steps whose layers are in the image: the last stage's, and before them those of the stages
    /// that it begins with.
    pub fn lineage(&self) -> Vec<&Step> {
        let mut chain = Vec::new();
        let mut index = self.stages.len().checked_sub(1);
        while let Some(at) = index {
            let stage = &self.stages[at];
            chain.push(stage);
            // A stage begins with an earlier one only, so this ends.
            index = self.stages[..at].iter().rposition(|other| {
                other
                    .name
                    .as_deref()
                    .is_some_and(|name| name.eq_ignore_ascii_case(&stage.base))
            });
        }
        chain.iter().rev().flat_map(|stage| &stage.steps).collect()
    }

    /// The image that the last stage begins with in the end.
    pub fn root(&self) -> Option<&Stage> {
        let mut at = self.stages.len().checked_sub(1)?;
        while let Some(before) = self.stages[..at].iter().rposition(|other| {
            let name = other.name.as_deref();
            name.is_some_and(|name| name.eq_ignore_ascii_case(&self.stages[at].base))
        }) {
            at = before;
        }
        self.stages.get(at)
    }
}

/// An instruction, and where it begins and ends.
fn understood(instruction: &Instruction<'_>, text: &str) -> (Action, usize, usize) {
    let command = |parsed: &Parsed<'_>| match parsed {
        Parsed::Exec(words) => {
            let list = words.value.iter().map(|word| word.value.to_string());
            (Command::Words(list.collect()), words.span.end)
        }
        Parsed::Shell(line) => {
            let end = line.span.start + line.value.trim_end().len();
            let span = line.span.start..end;
            (Command::Line(text[span.clone()].to_owned(), span), end)
        }
        // The parser may learn more forms; there are two so far.
        _ => (Command::Words(Vec::new()), text.len()),
    };
    match instruction {
        Instruction::Run(run) => {
            let (command, mut end) = command(&run.arguments);
            if let Some(here) = run.here_docs.last() {
                end = end.max(here.span.end);
            }
            let options = run.options.iter().map(|flag| text[flag.span()].to_owned());
            let action = Action::Run {
                command,
                options: options.collect(),
                here: !run.here_docs.is_empty(),
            };
            (action, run.run.span.start, end)
        }
        Instruction::Copy(copy) => copied(
            false,
            &copy.copy.span,
            copy.options
                .iter()
                .map(|flag| text[flag.span()].to_owned())
                .collect(),
            &copy.src,
            &copy.dest,
        ),
        Instruction::Add(add) => copied(
            true,
            &add.add.span,
            add.options
                .iter()
                .map(|flag| text[flag.span()].to_owned())
                .collect(),
            &add.src,
            &add.dest,
        ),
        Instruction::Env(env) => {
            let pairs = pairs(&env.arguments.value);
            let end = env.arguments.span.end;
            (Action::Environment(pairs), env.env.span.start, end)
        }
        Instruction::Arg(arg) => {
            let pairs = arguments(&arg.arguments.value);
            (
                Action::Argument(pairs),
                arg.arg.span.start,
                arg.arguments.span.end,
            )
        }
        Instruction::User(user) => {
            let name = user.arguments.value.trim().to_owned();
            (
                Action::User(name),
                user.user.span.start,
                user.arguments.span.end,
            )
        }
        Instruction::Workdir(workdir) => {
            let span = workdir.arguments.span.clone();
            let path = workdir.arguments.value.trim();
            let path = path.trim_matches(['"', '\'']).to_owned();
            let end = span.end;
            (
                Action::Directory(path, span),
                workdir.workdir.span.start,
                end,
            )
        }
        Instruction::Expose(expose) => {
            let ports: Vec<_> = expose
                .arguments
                .iter()
                .map(|port| port.value.to_string())
                .collect();
            let last = expose
                .arguments
                .last()
                .map_or(expose.expose.span.end, |port| port.span.end);
            (Action::Expose(ports), expose.expose.span.start, last)
        }
        Instruction::Cmd(cmd) => {
            let (command, end) = command(&cmd.arguments);
            (Action::Start(command), cmd.cmd.span.start, end)
        }
        Instruction::Entrypoint(entry) => {
            let (command, end) = command(&entry.arguments);
            (Action::Entry(command), entry.entrypoint.span.start, end)
        }
        Instruction::Healthcheck(check) => {
            let start = check.healthcheck.span.start;
            match &check.arguments {
                HealthcheckArguments::Cmd { arguments, .. } => {
                    let (command, end) = command(arguments);
                    (Action::Health(Some(command)), start, end)
                }
                _ => (Action::Health(None), start, check.healthcheck.span.end),
            }
        }
        Instruction::Shell(shell) => (Action::Shell, shell.shell.span.start, shell.shell.span.end),
        Instruction::Label(label) => (
            Action::Other,
            label.label.span.start,
            label.arguments.span.end,
        ),
        _ => (Action::Other, 0, 0),
    }
}

fn copied(
    add: bool,
    keyword: &Range<usize>,
    options: Vec<String>,
    sources: &[Source<'_>],
    to: &parse_dockerfile::UnescapedString<'_>,
) -> (Action, usize, usize) {
    let mut end = to.span.end;
    let mut paths = Vec::new();
    for source in sources {
        match source {
            Source::Path(path) => paths.push(path.value.to_string()),
            Source::HereDoc(here) => end = end.max(here.span.end),
            _ => {}
        }
    }
    let from = options
        .iter()
        .find_map(|option| option.strip_prefix("--from="));
    let action = Action::Copy {
        add,
        from: from.map(str::to_owned),
        options: options.clone(),
        sources: paths,
        to: to.value.to_string(),
        keyword: keyword.clone(),
    };
    (action, keyword.start, end)
}

/// `A=1 B="2 3"`, and the old form `A 1 2`.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let words = crate::shell::words(text);
    match words.first() {
        Some(first) if first.contains('=') => words
            .iter()
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        Some(first) => {
            let value = text.trim().strip_prefix(first.as_str()).unwrap_or_default();
            vec![(first.clone(), value.trim().to_owned())]
        }
        None => Vec::new(),
    }
}

pub(crate) fn arguments(text: &str) -> Vec<(String, Option<String>)> {
    let words = crate::shell::words(text).into_iter();
    words
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        })
        .collect()
}

/// Fills `$NAME`, `${NAME}` and `${NAME:-default}` in; what isn't known stays as it stands.
pub(crate) fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (whole, name, default) = match after.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end) => {
                    let inside = &inner[..end];
                    let (name, default) = match inside.split_once(":-") {
                        Some((name, default)) => (name, Some(default)),
                        None => (inside, None),
                    };
                    (end + 3, name, default)
                }
                None => (1, "", None),
            },
            None => {
                let end = after
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(after.len());
                (end + 1, &after[..end], None)
            }
        };
        let whole = whole.min(rest.len() - at);
        match variables.get(name).filter(|value| !value.is_empty()) {
            Some(value) => out.push_str(value),
            None => out.push_str(default.unwrap_or(&rest[at..at + whole])),
        }
        rest = &rest[at + whole..];
    }
    out.push_str(rest);
    out
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(ends.map(|(at, _)| at + 1).collect())
    }

    /// The line of a byte, counted from 1.
    fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte) + 1
    }
}
