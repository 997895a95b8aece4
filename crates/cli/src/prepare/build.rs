//! Building every service, with news while it goes on, and Ctrl-C heeded.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use landfall_api::wire::Prepared;
use landfall_app::{
    App, Field, Name, Reference, Value,
    model::{Build, Service, Source},
};
use landfall_build::{BuildError, BuildRequest, Progress, tool_environment};
use landfall_host::Home;
use landfall_redact::Secret;
use landfall_release::Artifact;
use tokio::sync::mpsc;

use crate::{
    context::Context,
    prepare::{
        Built, Sources,
        images::{self, Images},
    },
    report::{Error, Result},
    view::steps::Steps,
};

/// Builds every service in turn.
pub fn all(
    context: &Context,
    sources: &Sources,
    addresses: &BTreeMap<Name, String>,
    steps: &mut Steps<'_>,
) -> Result<Built> {
    let app = &sources.resolved.app;
    let mut all = All {
        several: app
            .services
            .values()
            .filter(|service| !matches!(service.source, Source::SameAs(_)))
            .count()
            > 1,
        built: Built {
            artifacts: BTreeMap::new(),
            steps: Vec::new(),
        },
    };
    let needs_engine = app.services.values().any(images::is_image)
        || app.backing.values().any(images::is_container);
    let images = match needs_engine {
        true => Some(Images::new(context, sources)?),
        false => None,
    };
    if let Some(images) = &images {
        all.take_backing(images, app, steps)?;
    }
    for (name, service) in &app.services {
        let artifact = match (&service.source, &images) {
            (Source::SameAs(_), _) => continue,
            (source, Some(images)) if images::is_image(service) => {
                let arguments = match source {
                    Source::Build(build) => arguments(name, build, addresses)?,
                    _ => BTreeMap::new(),
                };
                let (made, step, took) = images.make(name, service, &arguments, steps)?;
                all.done(step, name, &made.said, took, steps);
                if let Some((said, took)) = images.scan(name, service, &made, steps)? {
                    all.done("scan", name, &said, took, steps);
                }
                made.artifact
            }
            (Source::Build(build), _) => {
                let began = Instant::now();
                let environment =
                    resolved("build", name, &build.env, Some(&sources.secrets), addresses)?;
                steps.begin("build", name.as_str());
                let artifact = one(context, sources, name, service, build, &environment, steps);
                let took = milliseconds(began);
                let artifact = artifact.inspect_err(|_| {
                    steps.failed("build", name.as_str(), took);
                })?;
                all.done("build", name, &artifact.said, took, steps);
                // Whether this command had to build it is no part of a release.
                let said = artifact.said.trim_end_matches(", cached").to_owned();
                Artifact { said, ..artifact }
            }
            (Source::Image(_), _) => continue,
        };
        all.built.artifacts.insert(name.clone(), artifact);
    }
    if let Some(images) = &images {
        publish(images, app, &mut all, steps)?;
    }
    for (name, service) in &app.services {
        if let Source::SameAs(other) = &service.source
            && let Some(artifact) = all.built.artifacts.get(other).cloned()
        {
            all.built.artifacts.insert(name.clone(), artifact);
        }
    }
    if let Some(images) = &images {
        for (name, service) in &app.services {
            if let Some(artifact) = all.built.artifacts.remove(name) {
                let artifact = images.put_files(service, artifact)?;
                all.built.artifacts.insert(name.clone(), artifact);
            }
        }
    }
    Ok(all.built)
}

/// Takes the images of backing services, and builds nothing.
pub fn backing(context: &Context, sources: &Sources, steps: &mut Steps<'_>) -> Result<Built> {
    let app = &sources.resolved.app;
    let mut all = All {
        several: app.backing.len() > 1,
        built: Built {
            artifacts: BTreeMap::new(),
            steps: Vec::new(),
        },
    };
    if app.backing.values().any(images::is_container) {
        all.take_backing(&Images::new(context, sources)?, app, steps)?;
    }
    Ok(all.built)
}

/// What was built so far.
struct All {
    several: bool,
    built: Built,
}

impl All {
    /// Takes the images of backing services that run as containers.
    fn take_backing(&mut self, images: &Images<'_>, app: &App, steps: &mut Steps<'_>) -> Result {
        let backing = app.backing.iter();
        for (name, backing) in backing.filter(|(_, backing)| images::is_container(backing)) {
            if let Some((said, took)) = images.backing(name, backing, steps)? {
                self.done("pull", name, &said, took, steps);
            }
        }
        Ok(())
    }

    /// A step was done for a service: it is shown, and recorded for the release.
    fn done(&mut self, step: &str, name: &Name, said: &str, took: u64, steps: &mut Steps<'_>) {
        let said = match self.several {
            true => format!("{name}: {said}"),
            false => said.to_owned(),
        };
        steps.prepared(step, &said, took);
        self.built.steps.push(Prepared {
            step: step.to_owned(),
            took,
            said,
        });
    }
}

/// Publishes what was built, once all of it was.
fn publish(images: &Images<'_>, app: &App, all: &mut All, steps: &mut Steps<'_>) -> Result {
    for (name, service) in &app.services {
        let Some(to) = service
            .push
            .as_deref()
            .filter(|_| images.publishes() && matches!(service.source, Source::Build(_)))
        else {
            continue;
        };
        let artifact = all.built.artifacts.get(name);
        let Some(image) = artifact.and_then(|artifact| artifact.image.clone()) else {
            continue;
        };
        let (said, digest, took) = images.publish(name, &image, to, steps)?;
        all.done("push", name, &said, took, steps);
        if let Some(digest) = digest
            && let Some(artifact) = all.built.artifacts.get_mut(name)
            && let Some(image) = &mut artifact.image
        {
            image.digest = Some(digest);
        }
    }
    Ok(())
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The folder of an app's artifacts, made where there is none.
pub fn artifacts_folder(context: &Context, sources: &Sources) -> Result<PathBuf> {
    let home = &context.environment.home;
    let places = Home::open(home).map_err(|error| Error::file(home, "can't make", &error))?;
    let artifacts = places.artifacts(&sources.resolved.app.app);
    std::fs::create_dir_all(&artifacts)
        .map_err(|error| Error::file(&artifacts, "can't make", &error))?;
    Ok(artifacts)
}

fn one(
    context: &Context,
    sources: &Sources,
    name: &Name,
    service: &Service,
    build: &Build,
    environment: &BTreeMap<String, String>,
    steps: &mut Steps<'_>,
) -> Result<Artifact> {
    let app = &sources.resolved.app.app;
    let artifacts = artifacts_folder(context, sources)?;
    let cache = context.environment.home.join("cache");
    std::fs::create_dir_all(&cache).map_err(|error| Error::file(&cache, "can't make", &error))?;
    let secrets: BTreeMap<String, Secret> = build
        .secrets
        .iter()
        .filter_map(|name| Some((name.clone(), sources.secrets.get(name)?.clone())))
        .collect();
    let tools = tool_environment(std::env::vars_os());
    watched(context, name, steps, |cancelled, tell| {
        let request = BuildRequest {
            app: app.as_str(),
            service: name.as_str(),
            snapshot: &sources.snapshot,
            root: &service.root,
            build,
            static_files: service.static_files.as_deref(),
            artifacts: &artifacts,
            cache: &cache,
            environment,
            secrets: &secrets,
            tools: &tools,
            cancelled,
        };
        landfall_build::build(&request, tell)
    })
}

/// Does something that takes its time in a thread of its own, shows its news, and stops it at Ctrl-C.
pub fn watched<T: Send>(
    context: &Context,
    name: &Name,
    steps: &mut Steps<'_>,
    work: impl FnOnce(&AtomicBool, &dyn Fn(Progress)) -> std::result::Result<T, BuildError> + Send,
) -> Result<T> {
    let cancelled = AtomicBool::new(false);
    let (sender, mut news) = mpsc::unbounded_channel();
    std::thread::scope(|scope| {
        let stop = &cancelled;
        let working = scope.spawn(move || {
            let tell = sender;
            // Nobody listening any more is no reason to stop.
            work(stop, &|progress| drop(tell.send(progress)))
        });
        let watched = context.block_on(async {
            let mut interrupt = context.interrupt()?;
            loop {
                tokio::select! {
                    progress = news.recv() => match progress {
                        Some(progress) => show(name, progress, steps),
                        // It ended, one way or the other.
                        None => return Ok(()),
                    },
                    _ = interrupt.recv() => {
                        cancelled.store(true, Ordering::Relaxed);
                        steps.progress("stopping the build");
                    }
                }
            }
        });
        if watched.is_err() {
            cancelled.store(true, Ordering::Relaxed);
        }
        let result = working.join().unwrap_or(Err(BuildError::Cancelled));
        watched?;
        Ok(result?)
    })
}

fn show(name: &Name, progress: Progress, steps: &mut Steps<'_>) {
    match progress {
        Progress::Said(said) => steps.progress(&format!("{name}: {said}")),
        Progress::Command(command) => steps.progress(&format!("{name}: {}", first_line(&command))),
        Progress::Line(line) => steps.progress(&format!("{name}: {}", first_line(&line))),
        Progress::Warning(warning) => steps.remark(&warning),
    }
}

/// As much as fits beside a spinner.
fn first_line(text: &str) -> String {
    let line = crate::report::clean(text.lines().next().unwrap_or_default());
    line.chars().take(60).collect()
}

/// `build.args` with every reference resolved. What is secret doesn't belong there.
fn arguments(
    name: &Name,
    build: &Build,
    addresses: &BTreeMap<Name, String>,
) -> Result<BTreeMap<String, String>> {
    for (argument, value) in &build.args {
        let Value::Text(template) = value else {
            continue;
        };
        let secret = template.references().find_map(|reference| match reference {
            Reference::Secret(secret) => Some(secret),
            _ => None,
        });
        if let Some(secret) = secret {
            return Err(Error::new(
                "secret-in-build-argument",
                format!("the build argument {argument} of {name} holds the secret {secret}, and would stand in the image's history"),
            )
            .mend(format!(
                "secrets = [\"{secret}\"] in its `build`, and in the Dockerfile: RUN --mount=type=secret,id={secret} …"
            )));
        }
    }
    resolved("build", name, &build.args, None, addresses)
}

/// Values of a build with every reference resolved.
fn resolved(
    of: &str,
    name: &Name,
    values: &BTreeMap<String, Value>,
    secrets: Option<&BTreeMap<String, Secret>>,
    addresses: &BTreeMap<Name, String>,
) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (variable, value) in values {
        let Value::Text(template) = value else {
            return Err(Error::new(
                "bad-reference",
                format!(
                    "{variable} of {name}'s {of} can't be generated: a build is the same each time"
                ),
            ));
        };
        let text = template.render(|reference| {
            let found = match reference {
                Reference::Secret(secret) => secrets.and_then(|secrets| secrets.get(secret)).map(|value| value.expose().to_owned()),
                Reference::Service(service, field) => addresses.get(service).and_then(|url| part(url, *field)),
                Reference::Process(..) | Reference::Backing(..) => None,
            };
            found.ok_or_else(|| {
                Error::new("bad-reference", format!("${{{reference}}} in {variable} of {name}'s {of} has no value yet"))
                    .mend("a service's address is known from its first deployment on; let the app ask for it when it runs")
            })
        })?;
        all.insert(variable.clone(), text);
    }
    Ok(all)
}

/// A part of `http://127.0.0.1:20001`.
fn part(url: &str, field: Field) -> Option<String> {
    let rest = url.split_once("://")?.1.trim_end_matches('/');
    let (host, port) = rest.rsplit_once(':')?;
    match field {
        Field::Url => Some(url.to_owned()),
        Field::Host => Some(host.to_owned()),
        Field::Port => Some(port.to_owned()),
        Field::User | Field::Password | Field::Name => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address() {
        let url = "http://127.0.0.1:20001";
        assert_eq!(part(url, Field::Url).as_deref(), Some(url));
        assert_eq!(part(url, Field::Host).as_deref(), Some("127.0.0.1"));
        assert_eq!(part(url, Field::Port).as_deref(), Some("20001"));
        assert_eq!(part(url, Field::User), None);
    }
}
