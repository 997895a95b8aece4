//! What advice is asked about: a Dockerfile with its context, or an image.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use landfall_app::{
    Value,
    model::{Build, Runtime, Service, Source},
};

use crate::{
    app_file::{self, shown},
    arguments::ImageAdvise,
    context::Context,
    report::{Error, Result},
};

/// What advice is asked about.
#[derive(Debug)]
pub enum Subject {
    Dockerfile(Box<Recipe>),
    Image(String),
}

/// A Dockerfile, and how it is built.
#[derive(Debug)]
pub struct Recipe {
    /// The Dockerfile.
    pub path: PathBuf,
    /// The folder that is sent.
    pub folder: PathBuf,
    pub stage: Option<String>,
    pub arguments: BTreeMap<String, String>,
    /// The app file's port of the service.
    pub port: Option<u16>,
}

/// All that is meant.
pub fn find(context: &Context, arguments: &ImageAdvise) -> Result<Vec<Subject>> {
    let given = given(&arguments.arguments)?;
    let mut found = match &arguments.subject {
        None => named(context)?,
        Some(subject) => {
            let path = Path::new(subject);
            let path = match path.is_dir() {
                true => path.join("Dockerfile"),
                false => path.to_owned(),
            };
            if !path.is_file() {
                if subject.starts_with(['.', '/']) || subject.ends_with("Dockerfile") {
                    return Err(Error::new(
                        "no-dockerfile",
                        format!("there is no {}", path.display()),
                    )
                    .mend("name a Dockerfile, a folder that has one, or an image"));
                }
                return Ok(vec![Subject::Image(subject.clone())]);
            }
            let path = real(&path)?;
            // The app file may say how it is built.
            let known = of_app_file(context).unwrap_or_default();
            let known = known.into_iter().find(|recipe| recipe.path == path);
            vec![known.map_or_else(|| alone(path), Ok)?]
        }
    };
    for recipe in &mut found {
        if let Some(folder) = &arguments.context {
            recipe.folder = real(folder)?;
        }
        recipe.arguments.extend(given.clone());
    }
    Ok(found
        .into_iter()
        .map(|recipe| Subject::Dockerfile(Box::new(recipe)))
        .collect())
}

fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .map_err(|error| Error::file(path, "can't find", &error))
}

fn given(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    pairs
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Error::new(
                "bad-arguments",
                format!("--build-arg {pair} is no NAME=VALUE"),
            )),
        })
        .collect()
}

/// A Dockerfile that no app file knows.
fn alone(path: PathBuf) -> Result<Recipe> {
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Recipe {
        path,
        folder,
        stage: None,
        arguments: BTreeMap::new(),
        port: None,
    })
}

/// The app file's, or where there is none the one that lies here.
fn named(context: &Context) -> Result<Vec<Recipe>> {
    let here = Path::new("Dockerfile");
    match app_file::find(context) {
        Ok(_) => {
            let found = of_app_file(context)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(error) if context.global.file.is_some() => return Err(error),
        Err(_) => {}
    }
    match here.is_file() {
        true => Ok(vec![alone(real(here)?)?]),
        false => Err(Error::new("no-dockerfile", "there is no Dockerfile here, and no service of an app file has one")
            .mend("name one, or an image: landfall image advise DOCKERFILE|IMAGE; landfall render dockerfile writes one")),
    }
}

fn of_app_file(context: &Context) -> Result<Vec<Recipe>> {
    let app_file = app_file::read(context)?;
    let environment = app_file
        .named(context.global.environment.as_deref())?
        .unwrap_or_else(app_file::local);
    let app = app_file.resolve(context, &environment)?.app;
    let mut found: Vec<Recipe> = Vec::new();
    for service in app.services.values() {
        if let Source::Build(build) = &service.source
            && let Some(recipe) = of_service(&app_file.folder, service, build)
            && !found.iter().any(|known| known.path == recipe.path)
        {
            found.push(recipe);
        }
    }
    Ok(found)
}

fn of_service(folder: &Path, service: &Service, build: &Build) -> Option<Recipe> {
    if service.runtime == Runtime::Process && build.dockerfile.is_none() {
        return None;
    }
    let root = folder.join(&service.root);
    let context = match &build.context {
        Some(context) => root.join(context),
        None => root.clone(),
    };
    let name = build.dockerfile.as_deref().unwrap_or("Dockerfile");
    let path = [root.join(name), context.join(name)]
        .into_iter()
        .find(|path| path.is_file())?;
    // What has no value before a deployment is left out.
    let arguments = build.args.iter().filter_map(|(name, value)| match value {
        Value::Text(text) => Some((
            name.clone(),
            text.render(|_| None::<String>.ok_or(())).ok()?,
        )),
        Value::Generate(_) => None,
    });
    Some(Recipe {
        path: path.canonicalize().ok()?,
        folder: context.canonicalize().ok()?,
        stage: build.stage.clone(),
        arguments: arguments.collect(),
        port: service.port,
    })
}

impl Recipe {
    /// As people know it.
    pub fn name(&self) -> String {
        shown(&self.path)
    }

    /// The Dockerfile's text.
    pub fn text(&self) -> Result<String> {
        let bytes =
            fs::read(&self.path).map_err(|error| Error::file(&self.path, "can't read", &error))?;
        String::from_utf8(bytes)
            .map_err(|_| Error::new("bad-dockerfile", format!("{} is no text", self.name())))
    }

    /// The ignore file that docker heeds: the Dockerfile's own, or the context's.
    pub fn ignore_path(&self) -> PathBuf {
        let mut own = self.path.clone().into_os_string();
        own.push(".dockerignore");
        let own = PathBuf::from(own);
        match own.is_file() {
            true => own,
            false => self.folder.join(".dockerignore"),
        }
    }

    /// The ignore file's text, where there is one.
    pub fn ignore(&self) -> Result<Option<String>> {
        let path = self.ignore_path();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(&path, "can't read", &error)),
        }
    }
}
