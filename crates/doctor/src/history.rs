//! An image's configuration and history, as an archive of it has them, and what they say of how it was
//! made.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    recipe::{Action, Command, Recipe, Stage, Step, arguments, pairs},
    shell,
};

/// What an image's configuration file says.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Past {
    /// How its containers start.
    #[serde(default)]
    pub config: Configuration,
    /// What made it, from the base on.
    #[serde(default)]
    pub history: Vec<Event>,
}

/// How containers of an image start.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Configuration {
    /// The user; empty: root.
    pub user: String,
    /// Where they start.
    pub working_dir: String,
    /// Variables.
    pub env: Option<Vec<String>>,
    /// The entry point.
    pub entrypoint: Option<Vec<String>>,
    /// The command.
    pub cmd: Option<Vec<String>>,
    /// The health check.
    pub healthcheck: Option<Check>,
    /// Ports, as `8000/tcp`.
    pub exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
}

/// A health check.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Check {
    /// `CMD` or `CMD-SHELL`, and the words.
    pub test: Option<Vec<String>>,
}

/// One instruction of an image's history.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Event {
    /// The instruction, as the builder wrote it down.
    #[serde(default)]
    pub created_by: String,
    /// Whether it made no layer.
    #[serde(default)]
    pub empty_layer: bool,
}

impl Past {
    /// Reads the configuration file.
    pub fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// How many layers the base likely has: those before what follows a `CMD`, which base images end with.
    #[must_use]
    pub fn base_layers(&self) -> usize {
        let starts = |event: &Event| {
            let text = plain(&event.created_by);
            event.empty_layer && (text.starts_with("CMD") || text.starts_with("ENTRYPOINT"))
        };
        let last_layer = self.history.iter().rposition(|event| !event.empty_layer);
        let Some(last_layer) = last_layer else {
            return 0;
        };
        let begin = self.history[..last_layer].iter().rposition(starts);
        let base = &self.history[..begin.map_or(0, |at| at + 1)];
        base.iter().filter(|event| !event.empty_layer).count()
    }
}

/// An instruction without what builders write around it.
fn plain(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim();
    let text = match text.strip_prefix("/bin/sh -c #(nop)") {
        Some(rest) => rest.trim(),
        None => text,
    };
    match text.strip_prefix("/bin/sh -c ") {
        Some(command) => format!("RUN {command}"),
        None if text.starts_with('|') => format!("RUN {text}"),
        None => text.to_owned(),
    }
}

/// How an image was made, as far as its history says. The steps of its base are left out where it is
/// clear where that ends.
#[must_use]
pub fn recipe_of(past: &Past) -> Recipe {
    let base = past.base_layers();
    let mut stage = Stage::default();
    let mut layer = 0;
    for event in &past.history {
        if !event.empty_layer {
            layer += 1;
        }
        if layer <= base && (layer < base || !event.empty_layer || is_start(event)) {
            continue;
        }
        stage.steps.push(Step {
            line: 0,
            span: 0..0,
            layer: (!event.empty_layer).then_some(layer),
            action: action(&plain(&event.created_by)),
        });
    }
    // Where the history is nothing but a base, the configuration still says who it runs as.
    let user = past.config.user.clone();
    let says = stage
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::User(_)));
    if !says {
        stage.steps.push(Step {
            line: 0,
            span: 0..0,
            layer: None,
            action: Action::User(user),
        });
    }
    Recipe {
        stages: vec![stage],
    }
}

fn is_start(event: &Event) -> bool {
    let text = plain(&event.created_by);
    text.starts_with("CMD") || text.starts_with("ENTRYPOINT")
}

fn action(text: &str) -> Action {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    match word {
        "RUN" => {
            // `|1 TOKEN=x /bin/sh -c command`: arguments of the build, with their values.
            let (given, command) = match rest.split_once("/bin/sh -c ") {
                Some((before, command)) => (before, command),
                None => ("", rest),
            };
            let given = shell::words(given.trim_start_matches('|'));
            let given: Vec<String> = given
                .into_iter()
                .filter(|word| word.contains('='))
                .collect();
            let text = match given.is_empty() {
                true => command.to_owned(),
                false => format!("{} {command}", given.join(" ")),
            };
            Action::Run {
                command: Command::Line(text, 0..0),
                options: Vec::new(),
                here: false,
            }
        }
        "ENV" => Action::Environment(pairs(rest)),
        "ARG" => Action::Argument(arguments(rest)),
        "USER" => Action::User(rest.to_owned()),
        "COPY" | "ADD" => {
            let words = shell::words(rest);
            let (to, sources) = words
                .split_last()
                .map_or((String::new(), Vec::new()), |(to, sources)| {
                    (to.clone(), sources.to_vec())
                });
            Action::Copy {
                add: word == "ADD",
                from: None,
                options: Vec::new(),
                sources: sources
                    .into_iter()
                    .filter(|source| !source.contains(':'))
                    .collect(),
                to,
                keyword: 0..0,
            }
        }
        // Both forms are a list by now; which it was is seen by its beginning.
        "CMD" | "ENTRYPOINT" => {
            let shell = ["[\"/bin/sh\" \"-c\" ", "[\"/bin/sh\",\"-c\","];
            let line = shell.iter().find_map(|start| rest.strip_prefix(start));
            let line = line.filter(|line| !line.trim_start_matches('"').starts_with("exec "));
            let command = match line {
                Some(line) => Command::Line(
                    line.trim_end_matches(']').trim_matches('"').to_owned(),
                    0..0,
                ),
                None => Command::Words(vec![rest.to_owned()]),
            };
            match word {
                "CMD" => Action::Start(command),
                _ => Action::Entry(command),
            }
        }
        "HEALTHCHECK" => Action::Health(Some(Command::Words(vec![rest.to_owned()]))),
        _ => Action::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(events: &[(&str, bool)]) -> Past {
        let history = events.iter().map(|(text, empty)| Event {
            created_by: (*text).to_owned(),
            empty_layer: *empty,
        });
        Past {
            history: history.collect(),
            ..Past::default()
        }
    }

    #[test]
    fn the_base_ends_where_it_starts_something() {
        let past = past(&[
            ("/bin/sh -c #(nop) ADD file:1 in / ", false),
            ("/bin/sh -c apt-get install python3", false),
            ("/bin/sh -c #(nop)  CMD [\"python3\"]", true),
            ("WORKDIR /app", false),
            ("ENV API_KEY=abc", true),
            (
                "RUN |1 TOKEN=abcdef /bin/sh -c pip install -r requirements.txt # buildkit",
                false,
            ),
            ("CMD [\"/bin/sh\" \"-c\" \"python app.py\"]", true),
        ]);
        assert_eq!(past.base_layers(), 2);
        let recipe = recipe_of(&past);
        let steps = &recipe.stages[0].steps;
        assert!(matches!(&steps[0].action, Action::Other), "{steps:?}");
        assert_eq!(steps[0].layer, Some(3));
        let names: Vec<_> = crate::advise_history(&recipe, &crate::Project::default())
            .iter()
            .map(|finding| finding.name)
            .collect();
        for name in [
            "secret-in-environment",
            "secret-in-command",
            "package-cache-left",
            "shell-form",
            "runs-as-root",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
    }
}
