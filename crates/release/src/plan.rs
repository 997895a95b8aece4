//! Plans: what a deployment would change, and why. Pure: the same input gives the same plan.

mod backing;
mod difference;
mod environment;

use std::collections::BTreeMap;

use landfall_app::{
    App, Name,
    model::{Replicas, Service, Source},
};
use serde::{Deserialize, Serialize};

use crate::release::{Content, Release, ReleaseNumber, SourceVersion};

/// What shall be live.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Where the code comes from.
    pub source: SourceVersion,
    /// The resolved app.
    pub app: App,
    /// Digests of what would be built, by service; of those that are known.
    pub artifacts: BTreeMap<Name, String>,
    /// Versions of the secrets; none where nobody could say.
    pub secrets: Option<BTreeMap<String, u32>>,
}

impl From<&Content> for Desired {
    fn from(content: &Content) -> Self {
        Self {
            source: content.source.clone(),
            app: content.app.clone(),
            artifacts: content
                .artifacts
                .iter()
                .map(|(service, artifact)| (service.clone(), artifact.digest.clone()))
                .collect(),
            secrets: Some(content.secrets.clone()),
        }
    }
}

/// What a deployment would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// The release that is live.
    pub from: Option<ReleaseNumber>,
    lines: Vec<PlanLine>,
}

/// One thing that a deployment would change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlanLine {
    /// Of what kind it is.
    pub kind: PlanKind,
    /// What is meant: a variable, a secret, a service, a key of the app file. Empty for the code.
    pub subject: String,
    /// As it is; none where it comes new, or isn't shown.
    pub from: Option<String>,
    /// As it would be; none where it is taken away, or isn't shown.
    pub to: Option<String>,
    /// Why, where that isn't plain.
    pub why: Option<String>,
}

/// Kinds of changes, in the order of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanKind {
    /// Other sources.
    Code,
    /// Something is built.
    Build,
    /// An image was given in place of what a service is made of.
    Image,
    /// A service comes or goes.
    Service,
    /// An environment variable.
    Env,
    /// A secret's version.
    Secrets,
    /// A number of replicas.
    Replicas,
    /// Any other key of the app file.
    Setting,
}

impl PlanKind {
    /// Its word in a printed plan.
    pub fn word(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Build => "build",
            Self::Image => "image",
            Self::Service => "service",
            Self::Env => "env",
            Self::Secrets => "secrets",
            Self::Replicas => "replicas",
            Self::Setting => "setting",
        }
    }
}

impl Plan {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Says more of the change of code than the plan can know: what lies between the commits.
    pub fn describe_code(&mut self, why: impl Into<String>) {
        let mut lines = self.lines.iter_mut();
        if let Some(line) = lines.find(|line| line.kind == PlanKind::Code) {
            let why = why.into();
            line.why = Some(match line.why.take() {
                Some(before) => format!("{why}, {before}"),
                None => why,
            });
        }
    }

    /// Says that a service's image was given by hand, where that isn't what is live already: one line
    /// in the place of those that say how the app file reads otherwise.
    pub fn give_image(&mut self, service: &str, reference: &str, live: Option<&Release>) {
        let given = Source::Image(reference.to_owned());
        let before = live.and_then(|live| {
            let mut services = live.content.app.services.iter();
            services.find(|(name, _)| name.as_str() == service)
        });
        let before = before.map(|(_, service)| &service.source);
        if before == Some(&given) {
            return;
        }
        let (build, image) = (format!("{service}.build"), format!("{service}.image"));
        self.lines.retain(|line| {
            let of_build = line.subject == build || line.subject.starts_with(&format!("{build}."));
            line.kind != PlanKind::Setting || !(of_build || line.subject == image)
        });
        let from = match before {
            Some(Source::Image(reference)) => Some(reference.clone()),
            _ => None,
        };
        let line = PlanLine::new(PlanKind::Image, service, from, Some(reference.to_owned()));
        self.lines.push(line.because("given"));
        self.lines.sort();
    }

    /// What would change, by kind and subject.
    pub fn lines(&self) -> &[PlanLine] {
        &self.lines
    }
}

impl PlanLine {
    fn new(
        kind: PlanKind,
        subject: impl Into<String>,
        from: Option<String>,
        to: Option<String>,
    ) -> Self {
        Self {
            kind,
            subject: subject.into(),
            from,
            to,
            why: None,
        }
    }

    fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
}

/// What it takes to get from the live release to what is desired. `scaled` are the numbers of
/// replicas that were set by hand since the app file was last deployed.
pub fn plan(desired: &Desired, observed: Option<&Release>, scaled: &BTreeMap<Name, u32>) -> Plan {
    let live = observed.map(|release| &release.content);
    let mut lines = Vec::new();
    lines.extend(code(&desired.source, live.map(|live| &live.source)));
    builds(desired, live, &mut lines);
    secrets(desired, live, &mut lines);
    let none = BTreeMap::new();
    let services = live.map_or(&none, |live| &live.app.services);
    let (app, is_first) = (&desired.app, live.is_none());
    for (name, service) in &app.services {
        match services.get(name) {
            None => lines.push(PlanLine::new(
                PlanKind::Service,
                name.as_str(),
                None,
                Some(described(service)),
            )),
            Some(before) => lines.extend(replicas(name, before, service, scaled)),
        }
    }
    for (name, service) in services {
        if !app.services.contains_key(name) {
            let line = PlanLine::new(
                PlanKind::Service,
                name.as_str(),
                Some(described(service)),
                None,
            );
            lines.push(line.because("the app file doesn't name it any more"));
        }
    }
    if !is_first && let Some(live) = live {
        environment::changes(&live.app, app, &mut lines);
        difference::settings(&live.app, app, &mut lines);
        backing::consequences(&live.app, app, &mut lines);
    }
    lines.sort();
    Plan {
        app: app.app.clone(),
        environment: app.environment.clone(),
        from: observed.map(|release| release.number),
        lines,
    }
}

fn code(desired: &SourceVersion, live: Option<&SourceVersion>) -> Option<PlanLine> {
    let line = PlanLine::new(
        PlanKind::Code,
        "",
        live.map(|live| live.short().to_owned()),
        Some(desired.short().to_owned()),
    );
    match live {
        Some(live) if live == desired => None,
        Some(live)
            if live.tree == desired.tree
                && live.commit == desired.commit
                && live.dirty == desired.dirty =>
        {
            None
        }
        Some(live) if live.tree == desired.tree => Some(line.because("the same files")),
        _ if desired.dirty => Some(line.because("uncommitted changes")),
        _ => Some(line),
    }
}

fn builds(desired: &Desired, live: Option<&Content>, lines: &mut Vec<PlanLine>) {
    for (name, service) in &desired.app.services {
        if !matches!(service.source, Source::Build(_)) {
            continue;
        }
        let known = desired.artifacts.get(name);
        let before = live.and_then(|live| live.artifacts.get(name));
        let why = match (known, before) {
            (Some(digest), Some(artifact)) if *digest == artifact.digest => continue,
            (_, None) => "it was never built here",
            (Some(_), Some(_)) => "what goes into it changed",
            (None, Some(_)) => {
                let service_before = live.and_then(|live| live.app.services.get(name));
                let same_source = live.is_some_and(|live| live.source.tree == desired.source.tree);
                match service_before {
                    Some(before)
                        if before.source != service.source || before.root != service.root =>
                    {
                        "it is built in another way"
                    }
                    _ if !same_source => "the source changed",
                    _ => continue,
                }
            }
        };
        let short = |digest: &str| digest.get(..7).unwrap_or(digest).to_owned();
        let line = PlanLine::new(
            PlanKind::Build,
            name.as_str(),
            before.map(|artifact| short(&artifact.digest)),
            known.map(|digest| short(digest)),
        );
        lines.push(line.because(why));
    }
}

fn secrets(desired: &Desired, live: Option<&Content>, lines: &mut Vec<PlanLine>) {
    let Some(wanted) = &desired.secrets else {
        return;
    };
    let none = BTreeMap::new();
    let live = live.map_or(&none, |live| &live.secrets);
    let version = |version: &u32| format!("version {version}");
    for (name, number) in wanted {
        if live.get(name) != Some(number) {
            lines.push(PlanLine::new(
                PlanKind::Secrets,
                name,
                live.get(name).map(version),
                Some(version(number)),
            ));
        }
    }
    for (name, number) in live.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        lines.push(PlanLine::new(
            PlanKind::Secrets,
            name,
            Some(version(number)),
            None,
        ));
    }
}

fn replicas(
    name: &Name,
    before: &Service,
    after: &Service,
    scaled: &BTreeMap<Name, u32>,
) -> Option<PlanLine> {
    let text = |replicas: &Replicas| match replicas {
        Replicas::Fixed(count) => count.to_string(),
        Replicas::Scaled { min, max, cpu } => format!("{min} to {max} at {cpu}"),
    };
    if before.replicas == after.replicas {
        return None;
    }
    let (from, to) = (text(&before.replicas), text(&after.replicas));
    let why = scaled
        .get(name)
        .map(|count| format!("scaled by hand to {count}, the file says {to}"));
    let mut line = PlanLine::new(PlanKind::Replicas, name.as_str(), Some(from), Some(to));
    line.why = why;
    Some(line)
}

/// A service in a few words.
fn described(service: &Service) -> String {
    let names: Vec<_> = service
        .processes
        .iter()
        .map(|process| process.name.as_str())
        .collect();
    match (&service.source, names.is_empty()) {
        (Source::Image(image), _) => format!("image {image}"),
        (_, true) if service.static_files.is_some() => "static files".to_owned(),
        (Source::SameAs(other), true) => format!("the image of {other}"),
        (_, true) => "what its image runs".to_owned(),
        (_, false) => names.join(", "),
    }
}
