//! The half of a deployment that runs where the command runs: resolve, snapshot, secrets, build.
//! Nothing that runs is touched by it.

mod backing;
pub mod build;
pub mod images;
mod logins;
pub mod secrets;

use std::{collections::BTreeMap, path::PathBuf};

use landfall_api::wire::{Prepared, Submission};
use landfall_app::{App, Name, Resolved, model::Target};
use landfall_build::{Snapshot, SnapshotRequest};
use landfall_host::Home;
use landfall_redact::Secret;
use landfall_release::{Artifact, Content, MadeBy};
use landfall_secrets::Needed;

use crate::{
    app_file::{self, AppFile},
    context::{Context, Place},
    prepare::images::ImageOptions,
    report::{Error, Result},
    view::steps::Steps,
};

/// What is known before anything is built.
pub struct Sources {
    pub resolved: Resolved,
    pub place: Place,
    pub folder: PathBuf,
    pub snapshot: Snapshot,
    pub secrets: BTreeMap<String, Secret>,
    /// Logins of image registries.
    pub logins: logins::Logins,
    /// What the command line says about images.
    pub images: ImageOptions,
    /// What the live release is made of, where that is known.
    pub live: BTreeMap<Name, Artifact>,
    /// Texts that travel with the release: scripts of backing services.
    pub files: BTreeMap<String, String>,
    /// The public keys of those who can read the secrets.
    pub recipients: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Everything that a submission needs.
pub struct Built {
    pub artifacts: BTreeMap<Name, Artifact>,
    pub steps: Vec<Prepared>,
}

/// Resolves the app and refuses what can't be deployed.
pub fn resolve(context: &Context, app_file: &AppFile, environment: &Name) -> Result<Resolved> {
    let resolved = app_file.resolve(context, environment)?;
    let app = &resolved.app;
    let targets = app
        .services
        .values()
        .map(|service| &service.target)
        .chain([&app.target]);
    if let Some(target) = targets.into_iter().find(|target| **target != Target::Local) {
        return Err(Error::new(
            "not-built-yet",
            format!(
                "this version deploys to this machine only; {environment} is at {}",
                said(target)
            ),
        )
        .mend("landfall deploy local, or landfall up"));
    }
    let refused: Vec<_> = resolved
        .unsupported
        .list()
        .iter()
        .filter(|one| one.matters)
        .collect();
    if let Some(first) = refused.first() {
        let mut error = Error::new(
            "not-built-yet",
            match refused.len() {
                1 => format!(
                    "{}; a deployment without it would be another one than the file says",
                    first.message
                ),
                count => format!("the file says {count} things that this version can't do yet"),
            },
        );
        if !context.output.json() {
            error.text = Some(resolved.unsupported.render(context.output.error_colour()));
        }
        return Err(error.mend(format!(
            "take them out, or set them otherwise in [environment.{environment}]"
        )));
    }
    Ok(resolved)
}

/// A target as people write it.
pub fn said(target: &Target) -> String {
    match target {
        Target::Local => "this machine".to_owned(),
        Target::Ssh(address) => address.clone(),
        Target::Dokku(address) => format!("dokku {address}"),
        Target::Kubernetes { .. } => "kubernetes".to_owned(),
        Target::Netlify(site) => format!("netlify {site}"),
        Target::HuggingFace(space) => format!("huggingface {space}"),
    }
}

/// Looks at the sources and the secrets; everything that is missing is said before anything starts.
pub fn sources(
    context: &Context,
    app_file: &AppFile,
    environment: &Name,
    allow_dirty: bool,
    images: ImageOptions,
) -> Result<Sources> {
    let needed = secrets::needed;
    sources_with(context, app_file, environment, allow_dirty, images, needed)
}

/// The same where only backing services shall be there: nothing of the services is needed, and
/// nothing of them released.
pub fn sources_of_data(
    context: &Context,
    app_file: &AppFile,
    environment: &Name,
) -> Result<Sources> {
    let needed = secrets::needed_by_data;
    let images = ImageOptions::default();
    sources_with(context, app_file, environment, true, images, needed)
}

fn sources_with(
    context: &Context,
    app_file: &AppFile,
    environment: &Name,
    allow_dirty: bool,
    images: ImageOptions,
    needed: fn(&App) -> Vec<Needed>,
) -> Result<Sources> {
    let mut resolved = resolve(context, app_file, environment)?;
    images::give(&mut resolved.app, &images.given)?;
    let snapshot = snapshot(context, app_file)?;
    if snapshot.version.dirty && !allow_dirty && *environment != app_file::local() {
        return Err(Error::new(
            "dirty-tree",
            format!("{} has uncommitted changes", app_file.folder.display()),
        )
        .mend("commit them, or say --allow-dirty"));
    }
    let mut notes = snapshot.warnings.clone();
    let mut found =
        secrets::resolve_named(context, app_file, &resolved.app, &needed(&resolved.app))?;
    let logins = logins::take(&resolved.app, &mut found.values);
    notes.extend(found.notes);
    let place = Place {
        app: resolved.app.app.clone(),
        environment: environment.clone(),
    };
    let folder = app_file.folder.clone();
    let files = backing::scripts(&resolved.app, &snapshot)?;
    let sources = Sources {
        resolved,
        place,
        folder,
        snapshot,
        secrets: found.values,
        logins,
        images,
        live: BTreeMap::new(),
        files,
        recipients: secrets::recipients(app_file)?,
        notes,
    };
    images::check(&sources)?;
    Ok(sources)
}

/// Takes a snapshot of the sources.
pub fn snapshot(context: &Context, app_file: &AppFile) -> Result<Snapshot> {
    let home = &context.environment.home;
    let scratch = home.join("scratch");
    Home::open(home)
        .and_then(|_| std::fs::create_dir_all(&scratch))
        .map_err(|error| Error::file(&scratch, "can't make", &error))?;
    let exclude = [home.clone()];
    Ok(Snapshot::take(&SnapshotRequest {
        folder: &app_file.folder,
        scratch: &scratch,
        exclude: &exclude,
    })?)
}

/// Builds every service. `addresses` are the URLs of services that are known already.
pub fn build(
    context: &Context,
    sources: &Sources,
    addresses: &BTreeMap<Name, String>,
    steps: &mut Steps<'_>,
) -> Result<Built> {
    for note in &sources.notes {
        steps.remark(note);
    }
    build::all(context, sources, addresses, steps)
}

/// Takes what its backing services are made of; no service is built.
pub fn backing_images(
    context: &Context,
    sources: &Sources,
    steps: &mut Steps<'_>,
) -> Result<Built> {
    for note in &sources.notes {
        steps.remark(note);
    }
    build::backing(context, sources, steps)
}

impl Sources {
    /// What is submitted to the host.
    pub fn submission(self, built: Built, by: String, attached: bool) -> Submission {
        Submission {
            content: Content {
                source: self.snapshot.version.clone(),
                app: self.resolved.app,
                artifacts: built.artifacts,
                secrets: BTreeMap::new(),
                files: self.files,
                made_by: MadeBy::Deploy,
            },
            // To the host's own socket, whose peer is this user.
            secrets: self
                .secrets
                .into_iter()
                .map(|(name, value)| (name, value.expose().to_owned()))
                .collect(),
            by,
            folder: self.folder,
            prepared: built.steps,
            attached,
            recipients: self.recipients,
            provision_only: false,
        }
    }

    /// What is submitted where only its backing services shall be there.
    pub fn provisioning(self, built: Built, by: String) -> Submission {
        Submission {
            provision_only: true,
            ..self.submission(built, by, false)
        }
    }
}
