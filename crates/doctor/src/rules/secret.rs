//! Secrets that end in an image. Their values are never said.

use landfall_app::model::Severity;

use crate::{
    advise::Look,
    finding::Place,
    ignore::Ignore,
    recipe::{Action, Recipe},
    secrets, shell,
};

const MEND: &str = "take it out, give it when the container is started, and change it: whoever has the image has it";
const MOUNT: &str =
    "RUN --mount=type=secret,id=NAME …, with build.secrets in landfall.toml; and change it";

pub(super) fn look_at(look: &mut Look<'_>) {
    let recipe = look.recipe;
    let steps = recipe.stages.iter().enumerate().flat_map(|(index, stage)| {
        let last = index + 1 == recipe.stages.len();
        stage.steps.iter().map(move |step| (step, last))
    });
    for (step, _) in steps {
        let place = look.place(step);
        match &step.action {
            Action::Environment(pairs) => {
                for (name, _) in pairs
                    .iter()
                    .filter(|(name, value)| secrets::is_secret(name, value))
                {
                    look.say(
                        "secret-in-environment",
                        Severity::Critical,
                        place.clone(),
                        format!("ENV {name} has its value in the image"),
                        MEND,
                    );
                }
            }
            Action::Argument(pairs) => {
                for (name, value) in pairs {
                    let literal = value
                        .as_deref()
                        .is_some_and(|value| secrets::is_secret(name, value));
                    if literal || secrets::named_secret(name) {
                        let said = format!("what ARG {name} is given stays in the image's history");
                        let severity = if literal {
                            Severity::Critical
                        } else {
                            Severity::High
                        };
                        look.say("secret-in-argument", severity, place.clone(), said, MOUNT);
                    }
                }
            }
            Action::Copy {
                from: None,
                sources,
                ..
            } => {
                for source in sources {
                    if let Some(what) = secrets::file(source.trim_start_matches("./")) {
                        look.say(
                            "secret-copied",
                            Severity::Critical,
                            place.clone(),
                            format!("{source}, {what}, is copied into the image"),
                            MEND,
                        );
                    }
                }
            }
            Action::Run { command, .. } => {
                let text = command.text();
                let words = shell::words(&text);
                let bad = words.iter().any(|word| {
                    let (name, value) = word.split_once('=').unwrap_or(("", word));
                    let name = name.trim_start_matches('-').replace('-', "_");
                    secrets::is_secret(&name, value)
                });
                if bad {
                    look.say(
                        "secret-in-command",
                        Severity::Critical,
                        place,
                        "a secret stands in the command, and so in the history",
                        MOUNT,
                    );
                }
            }
            _ => {}
        }
    }
    if !look.history {
        copied_whole(look);
    }
}

/// `COPY . .` takes what nobody thinks of.
fn copied_whole(look: &mut Look<'_>) {
    let whole = look
        .recipe
        .stages
        .iter()
        .flat_map(|stage| &stage.steps)
        .find_map(|step| match &step.action {
            Action::Copy {
                from: None,
                sources,
                ..
            } => sources
                .iter()
                .any(|source| matches!(source.as_str(), "." | "./" | "/"))
                .then_some(step.line),
            _ => None,
        });
    let Some(line) = whole else { return };
    let ignore = Ignore::read(look.project.ignore.as_deref().unwrap_or_default());
    let files: Vec<(String, &str)> = look
        .project
        .files
        .iter()
        .filter(|(path, _)| !path.contains("node_modules/") && !ignore.leaves_out(path))
        .filter_map(|(path, _)| Some((path.clone(), secrets::file(path)?)))
        .take(20)
        .collect();
    for (path, what) in files {
        // A private registry's login may be needed to install; without it the build fails.
        let needed = path.ends_with(".npmrc") || path.ends_with(".yarnrc.yml");
        let named = names(look, &path);
        let said = format!("COPY in line {line} takes {path} along: {what}");
        let mend = "leave it out by .dockerignore, give the values when the container is started; change them if an image with them was published";
        let found = look.say(
            "secret-copied",
            Severity::Critical,
            Place::File(path.clone()),
            said,
            mend,
        );
        if !needed && !named {
            found.ignore.push(path);
        }
    }
}

/// Whether the Dockerfile names a file itself, so that the build fails without it.
pub(super) fn names(look: &Look<'_>, path: &str) -> bool {
    let steps = look.recipe.stages.iter().flat_map(|stage| &stage.steps);
    steps.into_iter().any(|step| match &step.action {
        Action::Copy {
            from: None,
            sources,
            ..
        } => sources.iter().any(|source| {
            let source = source.trim_start_matches("./").trim_end_matches('/');
            !source.is_empty()
                && source != "."
                && (path == source
                    || source.starts_with(&format!("{path}/"))
                    || path.starts_with(&format!("{source}/"))
                    || source.contains('*'))
        }),
        Action::Run { options, .. } => options
            .iter()
            .any(|option| option.contains("type=bind") && option.contains(path)),
        _ => false,
    })
}

/// The values of a Dockerfile that look like secrets, so that they can be masked where it is shown.
pub fn secret_values(text: &str) -> Vec<String> {
    let Ok(recipe) = Recipe::read(text) else {
        return Vec::new();
    };
    let mut values = Vec::new();
    let mut take = |name: &str, value: &str| {
        if secrets::is_secret(name, value) && value.len() > 3 {
            values.push(value.to_owned());
        }
    };
    for step in recipe.stages.iter().flat_map(|stage| &stage.steps) {
        match &step.action {
            Action::Environment(pairs) => pairs.iter().for_each(|(name, value)| take(name, value)),
            Action::Argument(pairs) => {
                for (name, value) in pairs {
                    take(name, value.as_deref().unwrap_or_default());
                }
            }
            Action::Run { command, .. } => {
                for word in shell::words(&command.text()) {
                    let (name, value) = word.split_once('=').unwrap_or(("", &word));
                    take(&name.trim_start_matches('-').replace('-', "_"), value);
                }
            }
            _ => {}
        }
    }
    // The longest first, so that none is left of which another is a part.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values
}
