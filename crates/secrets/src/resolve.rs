//! Finding the values that a deployment needs, from wherever the app file says they come.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use landfall_redact::Secret;

use crate::{dotenv::DotEnv, error::Error, file::SecretsFile, key::KeySource};

/// A secret that something needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Its name.
    pub name: String,
    /// A deployment goes on without it.
    pub optional: bool,
}

/// Where values come from (`secrets-from` of the app file).
#[derive(Debug, Clone)]
pub enum Source {
    /// The secrets file.
    File,
    /// The environment of the command, which the rim passes in.
    Environment(BTreeMap<String, Secret>),
    /// The standard output of a command, run once for each name without a shell.
    Command {
        /// Program and arguments; `{environment}` and `{name}` are put in.
        words: Vec<String>,
        /// Where it runs: the app file's folder.
        folder: PathBuf,
    },
}

/// Everything that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The environment.
    pub environment: &'a str,
    /// Where values come from.
    pub source: &'a Source,
    /// The secrets file.
    pub file: &'a SecretsFile,
    /// Where the key is; looked for only when something must be decrypted.
    pub key: &'a KeySource,
    /// The git-ignored `.env`, for `local` only: weaker than the source.
    pub dotenv: Option<&'a DotEnv>,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The secrets file.
    File,
    /// `.env`.
    DotEnv,
    /// The environment of the command.
    Environment,
    /// The command of `secrets-from`.
    Command,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// Values by name; optional ones that nobody has are absent.
    pub values: BTreeMap<String, Secret>,
    /// Where each came from.
    pub origins: BTreeMap<String, Origin>,
    /// What the user should know: whole sentences.
    pub notes: Vec<String>,
}

/// Finds the values; all that are missing are named together.
pub fn resolve(needed: &[Needed], sources: &Sources<'_>) -> Result<Resolved, Error> {
    let mut resolved = Resolved::default();
    match sources.source {
        Source::File => from_file(needed, sources, &mut resolved)?,
        Source::Environment(variables) => {
            for need in needed {
                if let Some(value) = variables.get(&need.name) {
                    resolved.put(&need.name, value.clone(), Origin::Environment);
                }
            }
        }
        Source::Command { words, folder } => {
            from_command(needed, sources.environment, words, folder, &mut resolved)?
        }
    }
    if let Some(dotenv) = sources.dotenv.filter(|_| sources.environment == "local") {
        for need in needed
            .iter()
            .filter(|need| dotenv.values.contains_key(&need.name))
        {
            match resolved.values.get(&need.name) {
                None => resolved.put(
                    &need.name,
                    dotenv.values[&need.name].clone(),
                    Origin::DotEnv,
                ),
                Some(value) if *value != dotenv.values[&need.name] => resolved.notes.push(format!(
                    "{} has another value in {}, which is weaker and not used.",
                    need.name,
                    dotenv.path.display()
                )),
                Some(_) => {}
            }
        }
    }
    let missing = needed
        .iter()
        .filter(|need| !need.optional && !resolved.values.contains_key(&need.name));
    let mut names: Vec<_> = missing.map(|need| need.name.clone()).collect();
    names.sort();
    names.dedup();
    match names.is_empty() {
        true => Ok(resolved),
        false => Err(Error::Missing {
            environment: sources.environment.to_owned(),
            names,
        }),
    }
}

impl Resolved {
    /// An empty value counts as none: that is what a template of a `.env` file leaves.
    fn put(&mut self, name: &str, value: Secret, origin: Origin) {
        if !value.is_empty() {
            self.values.insert(name.to_owned(), value);
            self.origins.insert(name.to_owned(), origin);
        }
    }
}

fn from_file(
    needed: &[Needed],
    sources: &Sources<'_>,
    resolved: &mut Resolved,
) -> Result<(), Error> {
    let mut key = None;
    for need in needed
        .iter()
        .filter(|need| sources.file.contains(sources.environment, &need.name))
    {
        let found = (|| {
            if key.is_none() {
                key = Some(sources.key.load()?);
            }
            match &key {
                Some(key) => sources
                    .file
                    .decrypt_one(sources.environment, &need.name, key),
                None => Err(Error::NoKey {
                    path: sources.key.file.clone(),
                }),
            }
        })();
        match found {
            Ok(value) => resolved.put(&need.name, value, Origin::File),
            // Someone new in the team runs the app with a `.env` until a key is added for them.
            Err(error @ (Error::NoKey { .. } | Error::NotARecipient { .. })) => {
                let other = sources.dotenv.filter(|_| sources.environment == "local");
                match other.and_then(|dotenv| Some((dotenv, dotenv.values.get(&need.name)?))) {
                    Some((dotenv, _)) => resolved.notes.push(format!(
                        "{} is taken from {}: {error}.",
                        need.name,
                        dotenv.path.display()
                    )),
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn from_command(
    needed: &[Needed],
    environment: &str,
    words: &[String],
    folder: &PathBuf,
    resolved: &mut Resolved,
) -> Result<(), Error> {
    // Each asks a server somewhere: together they take as long as the slowest.
    let answers: Vec<_> = thread::scope(|scope| {
        let ask = |need: &Needed| {
            let name = need.name.clone();
            scope.spawn(move || ask(words, environment, &name, folder))
        };
        let threads: Vec<_> = needed.iter().map(ask).collect();
        threads
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    for (need, answer) in needed.iter().zip(answers) {
        match answer
            .unwrap_or_else(|_| Err(failed(words, &need.name, "its thread ended".to_owned())))
        {
            Ok(value) => resolved.put(&need.name, value, Origin::Command),
            Err(error) if need.optional => resolved
                .notes
                .push(format!("{} is left out: {error}.", need.name)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn failed(words: &[String], name: &str, reason: String) -> Error {
    let program = words.first().cloned().unwrap_or_default();
    Error::CommandFailed {
        program,
        name: name.to_owned(),
        reason,
    }
}

fn ask(words: &[String], environment: &str, name: &str, folder: &PathBuf) -> Result<Secret, Error> {
    let mut put_in = words.iter().map(|word| {
        word.replace("{environment}", environment)
            .replace("{name}", name)
    });
    let program = put_in
        .next()
        .ok_or_else(|| failed(words, name, "the list is empty".to_owned()))?;
    let output = Command::new(&program)
        .args(put_in)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(words, name, error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<_> = said.lines().rev().take(3).collect();
        let last: Vec<_> = last.into_iter().rev().collect();
        return Err(failed(
            words,
            name,
            format!("{}; {}", output.status, last.join(" / ")),
        ));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| Error::NotText(name.to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(
        text.strip_suffix('\r').unwrap_or(text).to_owned(),
    ))
}
