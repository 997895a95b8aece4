//! `app.json`, a Procfile and the commands that set a Dokku server up. Each service is a Dokku app of its own:
//! Dokku deploys, checks and switches an app as one, so a worker beside the web process of one app could fail
//! after the new web containers were in place already, and leave the proxy pointing at the old ones.

mod app_json;
mod data;
mod procfile;
mod setup;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use landfall_app::{
    App, Name, Reference,
    model::{Service, Source},
};

use crate::{
    Comment, Extent, Input, Note, Refusal, Rendered, Written, supervisord,
    variables::{self, Variables, part},
};

/// Renders the files.
///
/// # Errors
/// Where no service can be a Dokku app.
pub fn render(input: &Input<'_>) -> Result<Rendered, Refusal> {
    let mut rendered = Rendered::default();
    let mut places = Vec::new();
    let roots = supervisord::roots(input.app);
    for (name, service) in &input.app.services {
        match Place::of(input, name, service, &roots) {
            Ok(place) => places.push(place),
            Err(said) => note(&mut rendered.notes, format!("service.{name}"), said),
        }
    }
    if places.is_empty() {
        return Err(Refusal {
            name: "nothing-to-render",
            message: format!("no service of {} can be an app of Dokku", input.app.app),
            mend: rendered.notes.first().map(|note| note.said.clone()),
        });
    }
    // Two of one folder can't both have the names that Dokku looks for.
    let mut folders: BTreeMap<String, u32> = BTreeMap::new();
    for place in &places {
        *folders.entry(place.folder.clone()).or_default() += 1;
    }
    for place in &mut places {
        place.shared = folders.get(&place.folder).is_some_and(|count| *count > 1);
    }
    for place in &places {
        files(place, &mut rendered);
    }
    let script = setup::script(input.app, &places, &mut rendered.notes);
    rendered.files.push(Written {
        executable: true,
        ..written("dokku/setup.sh".to_owned(), script, Comment::Hash)
    });
    let said = [
        "max-body", "headers", "domains", "live", "switched", "after", "before",
    ];
    rendered.notes.extend(variables::unsaid(input.app, &said));
    variables::once(&mut rendered.notes);
    Ok(rendered)
}

/// A service as a Dokku app.
struct Place<'a> {
    app: &'a App,
    name: &'a Name,
    service: &'a Service,
    /// Its name at Dokku.
    dokku: String,
    /// What is built, relative to the app file; empty for its folder.
    folder: String,
    /// The Dockerfile, relative to that.
    dockerfile: String,
    /// What stands in it, where it is there.
    recipe: Option<String>,
    /// Whether another service is built from the same folder.
    shared: bool,
    /// Where its supervisord.conf stands.
    beside: supervisord::Place,
}

impl<'a> Place<'a> {
    fn of(
        input: &Input<'a>,
        name: &'a Name,
        service: &'a Service,
        roots: &BTreeMap<&str, u32>,
    ) -> Result<Self, String> {
        let app = input.app;
        let beside = supervisord::place(roots, name, service);
        let mut source = service;
        if let Source::SameAs(other) = &service.source
            && let Some(other) = app.services.get(other)
        {
            source = other;
        }
        let build = match &source.source {
            Source::Build(build) => build,
            Source::Image(_) => {
                // An app.json is only read from within an image that is deployed as one. A Dockerfile of a
                // single line makes the image an app like the others, with checks.
                return Ok(Self {
                    app,
                    name,
                    service,
                    dokku: named(app, name),
                    folder: format!("dokku/{name}"),
                    dockerfile: "Dockerfile".to_owned(),
                    recipe: None,
                    shared: false,
                    beside,
                });
            }
            Source::SameAs(_) => return Err("is made of something that isn't built".to_owned()),
        };
        let folder = below(&source.root, build.context.as_deref().unwrap_or("."))
            .ok_or("is built from outside of the app file's folder, which isn't in the push")?;
        let recipe = below(
            &source.root,
            build.dockerfile.as_deref().unwrap_or("Dockerfile"),
        )
        .ok_or("has its Dockerfile outside of the app file's folder")?;
        let dockerfile = match folder.as_str() {
            "" => recipe.clone(),
            folder => recipe
                .strip_prefix(&format!("{folder}/"))
                .ok_or("has its Dockerfile outside of what is built, where Dokku doesn't find it")?
                .to_owned(),
        };
        Ok(Self {
            app,
            name,
            service,
            dokku: named(app, name),
            folder,
            dockerfile,
            recipe: input.project.text(&recipe),
            shared: false,
            beside,
        })
    }

    /// The name of the process that all of it runs as.
    fn process(&self) -> &'static str {
        // What has no port gets no traffic, and Dokku's `web` is what gets it.
        match self.service.port {
            Some(_) => "web",
            None => "worker",
        }
    }

    /// `app.json`, or `shop-web.app.json` where the folder has several; relative to the folder.
    fn own(&self, file: &str) -> String {
        match self.shared {
            true => format!("{}.{file}", self.dokku),
            false => file.to_owned(),
        }
    }

    fn path(&self, file: &str) -> String {
        match self.folder.as_str() {
            "" => file.to_owned(),
            folder => format!("{folder}/{file}"),
        }
    }

    fn setting(&self, key: &str) -> String {
        format!("service.{}.{key}", self.name)
    }

    /// What a reference is in a container of Dokku's. Apps reach one another by a network that they share.
    fn address(&self, reference: &Reference) -> Option<String> {
        match reference {
            Reference::Process(_, field) => part("127.0.0.1", self.service.port?, *field),
            Reference::Service(name, field) => {
                let other = self.app.services.get(name)?;
                part(
                    &format!("{}.web", named(self.app, name)),
                    other.port?,
                    *field,
                )
            }
            _ => None,
        }
    }

    fn variables(&self) -> Variables {
        // What one process of one sets is set for the app.
        let env = match self.service.processes.as_slice() {
            [one] => &one.env,
            _ => &self.service.env,
        };
        variables::variables(self.service, env, |reference| self.address(reference))
    }

    /// Whether its image starts its processes by our own supervisor.
    fn supervised(&self) -> bool {
        self.recipe
            .as_ref()
            .is_some_and(|text| text.contains("landfall-supervise"))
    }
}

/// An app's name at Dokku.
fn named(app: &App, service: &Name) -> String {
    match app.services.len() == 1 || app.app == *service {
        true => app.app.to_string(),
        false => format!("{}-{service}", app.app),
    }
}

/// A path below a folder of the repository, without dots in it; none where it leads out.
fn below(root: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in root.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn files(place: &Place<'_>, rendered: &mut Rendered) {
    let notes = &mut rendered.notes;
    if let Source::Image(image) = &place.service.source {
        let text = format!("FROM {image}\n");
        rendered
            .files
            .push(written(place.path("Dockerfile"), text, Comment::Hash));
    } else if place.recipe.is_none() {
        let said = format!(
            "there is no {}: Dokku would look for a buildpack; landfall render dockerfile writes one",
            place.path(&place.dockerfile)
        );
        note(notes, place.setting("build"), said);
    }
    let lines = procfile::write(place, notes);
    let json = app_json::write(place, lines.is_some(), notes);
    rendered.files.push(written(
        place.path(&place.own("app.json")),
        json,
        Comment::None,
    ));
    if let Some(lines) = lines {
        rendered.files.push(written(
            place.path(&place.own("Procfile")),
            lines,
            Comment::Hash,
        ));
    }
}

fn written(path: String, text: String, comment: Comment) -> Written {
    Written {
        path,
        text,
        extent: Extent::Whole,
        comment,
        executable: false,
    }
}

fn note(notes: &mut Vec<Note>, setting: String, said: impl Into<String>) {
    let said = said.into();
    notes.push(Note { setting, said });
}
