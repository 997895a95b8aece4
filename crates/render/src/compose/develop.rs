//! Development: what is edited is mounted where the image has it, and a change starts the service again,
//! or builds it anew where a command of its Dockerfile ran over it. By `docker compose up --watch`.

use landfall_yaml::Map;

use super::{build::shown, image::below, service::Facts};

/// The section `develop`, where something can be watched.
pub fn watch(facts: &Facts<'_>) -> Option<Map> {
    let (_, context, file) = facts.build.as_ref()?;
    let mut rules = Vec::new();
    let mut rule = |path: &str, action: &str| {
        let mut rule = Map::new();
        rule.set("action", action).set("path", shown(path));
        rules.push(rule);
    };
    for (path, _) in &facts.image.live {
        rule(&below(context, path), "restart");
    }
    let whole =
        facts.image.built.iter().any(|path| path == ".") || facts.image == Default::default();
    if whole {
        rule(context, "rebuild");
    } else {
        for path in &facts.image.built {
            rule(&below(context, path), "rebuild");
        }
        rule(file, "rebuild");
    }
    let mut develop = Map::new();
    develop.set("watch", rules);
    Some(develop)
}
