//! What a change of a backing service means for it: whether it is started again, kept, or refused.

use landfall_app::{
    App,
    model::{Backing, BackingKind},
};

use super::{PlanKind, PlanLine};

/// Says with each line about a backing service what comes of it.
pub(super) fn consequences(before: &App, after: &App, lines: &mut [PlanLine]) {
    for line in lines
        .iter_mut()
        .filter(|line| line.kind == PlanKind::Setting)
    {
        let parts: Vec<_> = line.subject.split('.').collect();
        let ["backing", name, key @ ..] = parts.as_slice() else {
            continue;
        };
        let (old, new) = (before.backing.get(*name), after.backing.get(*name));
        let why = match (old, new, key.first()) {
            (None, Some(new), _) => {
                line.to = Some(described(new));
                None
            }
            (Some(old), None, _) => {
                line.from = Some(described(old));
                old.own()
                    .then(|| "it is stopped, its data is kept".to_owned())
            }
            (Some(old), Some(new), Some(key)) if old.own() && new.own() => {
                consequence(name, key, old, new)
            }
            _ => None,
        };
        if let Some(why) = why {
            line.why = Some(match line.why.take() {
                Some(before) => format!("{before}; {why}"),
                None => why,
            });
        }
    }
}

fn consequence(name: &str, key: &str, old: &Backing, new: &Backing) -> Option<String> {
    let refused = format!("landfall backing upgrade {name} must move its data first");
    let major = |backing: &Backing| {
        let version = backing.version.as_deref().unwrap_or_default();
        let end = version.find(|c: char| !c.is_ascii_digit());
        version[..end.unwrap_or(version.len())].to_owned()
    };
    let image = |backing: &Backing| matches!(backing.kind, BackingKind::Image(_));
    if image(old) && image(new) && key == "version" && major(old) != major(new) {
        return (!major(old).is_empty()).then(|| {
            "refused: its data is another version's, which only that understands".to_owned()
        });
    }
    if image(old) && image(new) && key == "kind" {
        return Some("refused where the repository or the major version is another".to_owned());
    }
    let restarted = "it is started again: for a moment nobody can use it";
    match key {
        // A version that was never named may be any.
        "version" if [old, new].iter().any(|backing| major(backing).is_empty()) => {
            Some("what runs is compared with it".to_owned())
        }
        "version" if major(old) != major(new) => Some(refused),
        "runtime" | "kind" => Some(refused),
        "cpu" | "command" | "env" | "health" | "memory" | "port" | "save" | "settings"
        | "version" => Some(restarted.to_owned()),
        "data" => Some(format!(
            "{restarted}, and finds its data in the other folder"
        )),
        "init" => Some("scripts run at the first start alone".to_owned()),
        _ => None,
    }
}

/// One in a few words.
fn described(backing: &Backing) -> String {
    let kind = match &backing.kind {
        BackingKind::Postgres => "postgres",
        BackingKind::Redis => "redis",
        BackingKind::Image(image) => image,
    };
    match (&backing.url, &backing.version) {
        (Some(_), _) => format!("{kind} elsewhere"),
        (None, Some(version)) => format!("{kind} {version}"),
        (None, None) => kind.to_owned(),
    }
}
