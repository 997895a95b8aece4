//! What a service is made of: its image, and how that is built.

use landfall_app::{
    App, Name,
    model::{Build, Service, Source},
};
use landfall_yaml::Map;

use super::{
    service::Facts,
    value::Writer,
    variables::{literal, plain, upper},
};

/// The service whose artifact a service runs.
pub fn source<'a>(app: &'a App, name: &'a Name, service: &'a Service) -> (&'a Name, &'a Service) {
    match &service.source {
        Source::SameAs(other) => app.services.get_key_value(other).unwrap_or((name, service)),
        _ => (name, service),
    }
}

/// The context and the Dockerfile of a build, relative to the app file: as a build of ours finds them.
pub fn places(writer: &Writer<'_>, name: &Name, root: &str, build: &Build) -> (String, String) {
    let root = folded("", root);
    let context = context(&root, build);
    let places = match &build.dockerfile {
        Some(named) => [folded(&root, named), folded(&context, named)],
        // As what writes it calls it.
        None if writer.share_folder(&root, &context) => {
            [folded(&root, &format!("{name}.Dockerfile")), String::new()]
        }
        None => [folded(&context, "Dockerfile"), folded(&root, "Dockerfile")],
    };
    let found = places
        .iter()
        .find(|place| writer.project.has(place))
        .unwrap_or(&places[0]);
    (context, found.clone())
}

/// The context of a build; `root` is folded already.
pub fn context(root: &str, build: &Build) -> String {
    build
        .context
        .as_deref()
        .map_or(root.to_owned(), |context| folded(root, context))
}

/// A path that is said relative to a folder.
pub fn folded(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A path as the compose file says it.
pub fn shown(path: &str) -> String {
    match path {
        "" => ".".to_owned(),
        path => literal(&format!("./{path}")),
    }
}

/// The image, and how it is built.
pub fn made_of(writer: &mut Writer<'_>, facts: &Facts<'_>, map: &mut Map) {
    let (owner, made) = source(writer.app, facts.name, facts.service);
    let built = format!("{}-{owner}", writer.app.app);
    match (&made.source, &made.push) {
        (Source::Image(reference), _) => {
            map.set("image", literal(reference));
            return;
        }
        (_, Some(push)) if !writer.local => {
            let last = push.rsplit('/').next().unwrap_or_default();
            let tagged = last.contains([':', '@']);
            let image = match tagged {
                true => literal(push),
                false => {
                    let variable = format!("{}_TAG", upper(owner.as_str()));
                    let said = format!("which image of {owner} runs: latest, or <branch>-<commit>");
                    let tag = writer.variables.defaulted(
                        &variable,
                        &format!("tag of {owner}"),
                        "latest",
                        &said,
                    );
                    format!("{}:{tag}", literal(push))
                }
            };
            map.set("image", image);
        }
        // Built here and known nowhere else: never asked for at a registry, where anyone could own that name.
        _ => {
            map.set("image", built);
            map.set(
                "pull_policy",
                if facts.build.is_some() {
                    "build"
                } else {
                    "never"
                },
            );
        }
    }
    if let Some((build, context, file)) = &facts.build {
        let section = build_section(writer, facts, build, context, file);
        map.set("build", section);
    }
}

fn build_section(
    writer: &mut Writer<'_>,
    facts: &Facts<'_>,
    build: &Build,
    context: &str,
    file: &str,
) -> Map {
    let setting = format!("service.{}.build", facts.name);
    let mut section = Map::new();
    section.set("context", shown(context));
    // Relative to the context.
    let inside = match context {
        "" => Some(file),
        context => file
            .strip_prefix(context)
            .and_then(|rest| rest.strip_prefix('/')),
    };
    let relative = match inside {
        Some(inside) => inside.to_owned(),
        None => format!("{}{file}", "../".repeat(context.split('/').count())),
    };
    if relative != "Dockerfile" {
        section.set("dockerfile", literal(&relative));
    }
    if let Some(stage) = &build.stage {
        section.set("target", literal(stage));
    }
    let mut arguments = Map::new();
    for (name, value) in &build.args {
        match (plain(value), value) {
            (Some(text), _) => arguments.set(name.as_str(), literal(&text)),
            (None, landfall_app::Value::Text(template)) => {
                arguments.set(name.as_str(), writer.template(template))
            }
            (None, landfall_app::Value::Generate(_)) => continue,
        };
    }
    if !arguments.is_empty() {
        section.set("args", arguments);
    }
    if !build.secrets.is_empty() {
        section.set("secrets", build.secrets.clone());
        for secret in &build.secrets {
            writer.variables.secret(secret);
        }
    }
    let ignored = [format!("{file}.dockerignore"), ".dockerignore".to_owned()];
    let ignored = ignored.iter().find_map(|path| writer.project.text(path));
    if context.is_empty() && !ignored.is_some_and(|text| super::ignores_env(&text)) {
        writer.note(
            &setting,
            ".env is in what it is built from, and a COPY may take it into the image: put it into .dockerignore, as landfall render dockerfile does",
        );
    }
    if !writer.project.has(file) {
        writer.note(
            &setting,
            format!("there is no {file} yet: landfall render dockerfile writes one"),
        );
    }
    if build.run.is_some() {
        writer.note(
            setting,
            "its `run` is a step of the Dockerfile that landfall render dockerfile writes",
        );
    }
    section
}
