//! Finding and reading the app file, and which environment is meant.

use std::path::{Path, PathBuf};

use landfall_app::{Diagnostics, File, Name, Resolved};

use crate::{
    context::{Context, Place},
    exit::Exit,
    report::{Error, Result},
};

/// The app file's name.
pub const NAME: &str = "landfall.toml";

/// An app file.
pub struct AppFile {
    pub path: PathBuf,
    /// Where it stands: the root of everything that it names.
    pub folder: PathBuf,
    /// What could be read of it; none where it is no text.
    pub file: Option<File>,
    pub diagnostics: Diagnostics,
}

/// Where the app file is: as `--file` says, else here or in the nearest folder above.
pub fn find(context: &Context) -> Result<PathBuf> {
    let here = std::env::current_dir()
        .map_err(|error| Error::file(Path::new("."), "can't find", &error))?;
    if let Some(path) = &context.global.file {
        let path = here.join(path);
        let path = if path.is_dir() { path.join(NAME) } else { path };
        return match path.is_file() {
            true => Ok(path),
            false => Err(Error::new(
                "no-app-file",
                format!("{} is not a file", path.display()),
            )),
        };
    }
    let found = here
        .ancestors()
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::new(
            "no-app-file",
            format!("no {NAME} in {} or in a folder above", here.display()),
        )
        .mend("landfall init writes one; --file names one elsewhere")
    })
}

/// Reads the app file, with everything that is wrong with it.
pub fn read(context: &Context) -> Result<AppFile> {
    let path = find(context)?;
    let text = std::fs::read(&path).map_err(|error| Error::file(&path, "can't read", &error))?;
    let (file, diagnostics) = landfall_app::read(&text, &shown(&path));
    let folder = path
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_owned);
    // Two ways to one folder must be the same folder to git and to the host.
    let folder = folder.canonicalize().unwrap_or(folder);
    Ok(AppFile {
        path,
        folder,
        file,
        diagnostics,
    })
}

/// The path as people know it: relative to where they are, where that is shorter.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    relative
        .unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
}

impl AppFile {
    /// The file, where nothing is wrong with it.
    pub fn good(&self, context: &Context) -> Result<&File> {
        match &self.file {
            Some(file) if !self.diagnostics.has_errors() => Ok(file),
            _ => Err(bad(&self.diagnostics, context)),
        }
    }

    /// The app in an environment.
    pub fn resolve(&self, context: &Context, environment: &Name) -> Result<Resolved> {
        let file = self.good(context)?;
        file.resolve(environment)
            .map_err(|diagnostics| bad(&diagnostics, context))
    }

    /// The environment that is meant, where one is named; it must exist.
    pub fn named(&self, named: Option<&str>) -> Result<Option<Name>> {
        let Some(named) = named else { return Ok(None) };
        let known = self.environments();
        match known.iter().find(|name| name.as_str() == named) {
            Some(name) => Ok(Some(name.clone())),
            None => Err(unknown_environment(&self.path, named, &known)),
        }
    }

    /// All environments, `local` first.
    pub fn environments(&self) -> Vec<Name> {
        self.file
            .as_ref()
            .map(File::environments)
            .unwrap_or_default()
    }

    /// The environment of a deployment: `local` where nothing else could be meant.
    pub fn meant(&self, context: &Context, positional: Option<&str>) -> Result<Name> {
        if let (Some(one), Some(other)) = (positional, context.global.environment.as_deref())
            && one != other
        {
            return Err(Error::new(
                "ambiguous-environment",
                format!("both {one} and {other} are named"),
            ));
        }
        if let Some(name) = self.named(positional.or(context.global.environment.as_deref()))? {
            return Ok(name);
        }
        let known = self.environments();
        match known.as_slice() {
            [] => Ok(local()),
            [only] => Ok(only.clone()),
            several => Err(Error::new(
                "ambiguous-environment",
                "the app file has several environments; which one is meant?",
            )
            .with("it has", listed(several))
            .mend(format!(
                "landfall deploy {}; on this machine: landfall deploy local",
                several[1]
            ))),
        }
    }
}

/// `local`, which is always there.
pub fn local() -> Name {
    "local".parse().expect("it is a name")
}

fn unknown_environment(path: &Path, named: &str, known: &[Name]) -> Error {
    let message = format!("{} has no environment `{named}`", shown(path));
    Error::new("unknown-environment", message)
        .with("it has", listed(known))
        .mend(format!(
            "take one of these, or add [environment.{named}] to it; what is different there stands below that line"
        ))
}

fn listed(names: &[Name]) -> String {
    crate::view::plain::names(names)
}

/// The app and the environment of a command that asks the host. Bare it means `local`.
pub fn place(context: &Context) -> Result<Place> {
    let app_file = read(context)?;
    let environment = app_file
        .named(context.global.environment.as_deref())?
        .unwrap_or_else(local);
    // A file with a mistake in it is no reason not to show how the app is.
    match app_file.file.as_ref().and_then(File::app) {
        Some(app) => Ok(Place { app, environment }),
        None => Err(bad(&app_file.diagnostics, context)),
    }
}

/// The file can't be used: everything that is wrong with it.
pub fn bad(diagnostics: &Diagnostics, context: &Context) -> Error {
    if context.output.json() {
        context.output.data("check", &summary(diagnostics));
        return Error::said(Exit::Usage);
    }
    let mut error = Error::said(Exit::Usage);
    error.text = Some(diagnostics.render(context.output.error_colour()));
    error.after = Some(counted(diagnostics));
    error
}

/// `2 errors, 0 warnings; nothing was changed. …`
pub fn counted(diagnostics: &Diagnostics) -> String {
    let first = diagnostics
        .list()
        .iter()
        .find(|one| one.severity == landfall_app::Severity::Error);
    let more = first
        .map(|one| format!(" `landfall explain {}` says more.", one.code))
        .unwrap_or_default();
    format!("{}; nothing was changed.{more}", diagnostics.summary())
}

/// What `--json` says of the file.
pub fn summary(diagnostics: &Diagnostics) -> serde_json::Value {
    serde_json::json!({
        "errors": diagnostics.errors(),
        "warnings": diagnostics.warnings(),
        "diagnostics": diagnostics.reports(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_that_there_isnt_comes_with_those_there_are_and_the_line_that_adds_it() {
        let error = unknown_environment(Path::new("landfall.toml"), "production", &[local()]);
        let failure = error.failure.expect("it has a name");
        let said = format!("{:?}", failure.details);
        for part in ["local", "[environment.production]"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
