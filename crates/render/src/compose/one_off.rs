//! Commands that run once in a service's image and environment: migrations, processes that end, jobs, hooks.

use landfall_app::model::{HookPoint, ProcessKind, Run};
use landfall_yaml::{Map, Node};

use super::{
    build, limits,
    service::{self, Facts},
    value::Writer,
    variables::literal,
};

/// A command that runs once, as a service of the file. One with a profile is only run when asked for.
pub fn write(
    writer: &mut Writer<'_>,
    facts: &Facts<'_>,
    run: &Run,
    profile: Option<&str>,
    waits: &[(String, &'static str)],
) -> Map {
    let mut map = Map::new();
    map.set_some(
        "profiles",
        profile.map(|profile| Node::Flow(vec![profile.into()])),
    );
    // The image is its service's, and built there.
    let of = Facts {
        build: None,
        image: facts.image.clone(),
        ..*facts
    };
    build::made_of(writer, &of, &mut map);
    // It is executed as it stands: an entry point of the image's is left out.
    let words = run
        .arguments()
        .iter()
        .map(|word| literal(word).into())
        .collect();
    map.set("entrypoint", Node::Flow(words))
        .set("init", true)
        .set("restart", "no");
    service::depends(&mut map, waits);
    let environment = writer.environment(facts.name, facts.service, false);
    if !environment.is_empty() {
        map.set("environment", environment);
    }
    let mounts = service::mounts(facts, writer.local);
    if !mounts.is_empty() {
        map.set("volumes", mounts);
    }
    let mut none = Map::new();
    none.set("disable", true);
    map.set("healthcheck", none);
    service::hardened(facts.service, &mut map);
    limits::resources(writer, &of, false, &mut map);
    map.set("logging", service::logging(writer.app));
    map
}

/// What must have ended well before a service starts: its migration, and processes that end, in the order in
/// which they run. Processes of several that stay are all its image's own.
pub fn before<'a>(facts: &Facts<'a>) -> Vec<(String, &'a Run)> {
    let service = facts.service;
    let mut all: Vec<(String, &Run)> = Vec::new();
    if let Some(run) = &service.migrate {
        all.push((format!("{}-migrate", facts.name), run));
    }
    let stay = service
        .processes
        .iter()
        .filter(|process| matches!(process.kind, ProcessKind::Stays(_)))
        .count();
    if stay < 2 {
        all.extend(
            service
                .processes
                .iter()
                .filter_map(|process| match &process.kind {
                    ProcessKind::Ends(run) => {
                        Some((format!("{}-{}", facts.name, process.name), run))
                    }
                    ProcessKind::Stays(_) => None,
                }),
        );
    }
    all
}

/// When a hook is run, for who has to do that now.
pub fn moment(point: HookPoint) -> &'static str {
    match point {
        HookPoint::Before => "before docker compose up",
        HookPoint::Verified | HookPoint::Switched | HookPoint::After => {
            "after docker compose up --wait"
        }
        HookPoint::Failed => "where docker compose up --wait fails",
    }
}

/// A hook's point, as the app file calls it.
pub fn point(point: HookPoint) -> &'static str {
    match point {
        HookPoint::Before => "before",
        HookPoint::Verified => "verified",
        HookPoint::Switched => "switched",
        HookPoint::After => "after",
        HookPoint::Failed => "failed",
    }
}
