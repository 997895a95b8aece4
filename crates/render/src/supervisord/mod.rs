//! A `supervisord.conf` for each service of several processes, and what stands beside it.
//!
//! It is written for a container, whose environment has the service's variables: only what a process sets
//! for itself stands in the file, so that what is configured outside counts.

mod file;
mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use landfall_app::{
    App, Name,
    model::{ProcessKind, Service},
};

use crate::{Comment, Extent, Input, Note, Refusal, Rendered, Written, shell};

/// Waits until a sibling is ready; supervisord itself only starts in order.
const AFTER: &str = include_str!("after.py");

/// Where the files of a service stand.
pub(crate) struct Place {
    /// `backend/supervisord.conf`
    pub conf: String,
    /// `backend/supervisord-after.py`
    pub after: String,
    /// `backend/supervisord-start`
    pub start: String,
}

/// Renders the files.
///
/// # Errors
/// Where no service has several processes.
pub fn render(input: &Input<'_>) -> Result<Rendered, Refusal> {
    let services: Vec<(&Name, &Service)> = input
        .app
        .services
        .iter()
        .filter(|(_, service)| several(service))
        .collect();
    if services.is_empty() {
        return Err(Refusal {
            name: "nothing-to-render",
            message: format!(
                "no service of {} has several processes, which supervisord is for",
                input.app.app
            ),
            mend: Some("landfall render systemd has units for single processes too".to_owned()),
        });
    }
    let mut rendered = Rendered::default();
    let roots = roots(input.app);
    for (name, service) in services {
        let place = place(&roots, name, service);
        let file = file::write(name, service, &place, &mut rendered.notes);
        rendered
            .files
            .push(written(&place.conf, file, Comment::Semicolon));
        if service.processes.iter().any(|one| !one.after.is_empty()) {
            rendered
                .files
                .push(written(&place.after, AFTER.to_owned(), Comment::Hash));
        }
        if let Some(text) = start(service) {
            rendered.files.push(Written {
                executable: true,
                ..written(&place.start, text, Comment::Hash)
            });
        }
    }
    // Two services of one folder share the program that waits.
    let mut seen = std::collections::BTreeSet::new();
    rendered.files.retain(|file| seen.insert(file.path.clone()));
    Ok(rendered)
}

/// Whether a service has several processes.
pub(crate) fn several(service: &Service) -> bool {
    service.processes.len() > 1
}

/// How many services of several processes each folder has.
pub(crate) fn roots(app: &App) -> BTreeMap<&str, u32> {
    let mut roots = BTreeMap::new();
    for service in app.services.values().filter(|service| several(service)) {
        *roots.entry(service.root.as_str()).or_default() += 1;
    }
    roots
}

/// Where the files of a service stand: in its folder, and named after it where another one shares that.
pub(crate) fn place(roots: &BTreeMap<&str, u32>, name: &Name, service: &Service) -> Place {
    let sharing = roots.get(service.root.as_str()).copied().unwrap_or(0);
    let folder = match service.root.trim_start_matches("./").trim_end_matches('/') {
        "" | "." => String::new(),
        root => format!("{root}/"),
    };
    let own = match sharing > 1 {
        true => format!(".{name}"),
        false => String::new(),
    };
    Place {
        conf: format!("{folder}supervisord{own}.conf"),
        after: format!("{folder}supervisord-after.py"),
        start: format!("{folder}supervisord-start{own}"),
    }
}

fn written(path: &str, text: String, comment: Comment) -> Written {
    Written {
        path: path.to_owned(),
        text,
        extent: Extent::Whole,
        comment,
        executable: false,
    }
}

/// The last part of a path.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What runs once and ends comes before supervisord, which can't wait for an end.
fn start(service: &Service) -> Option<String> {
    let runs: Vec<String> = in_order(service)
        .filter_map(|process| match &process.kind {
            ProcessKind::Ends(run) => Some(shell::line(run.arguments())),
            ProcessKind::Stays(_) => None,
        })
        .collect();
    (!runs.is_empty()).then(|| {
        format!(
            "#!/bin/sh\nset -eu\n# Once, and each must end well; supervisord then takes the place of this shell.\n{}\n\
             exec supervisord --configuration \"$1\"\n",
            runs.join("\n")
        )
    })
}

/// The processes, each behind those that it is `after`.
fn in_order(service: &Service) -> impl Iterator<Item = &landfall_app::model::Process> {
    let mut depth: BTreeMap<&Name, usize> = BTreeMap::new();
    // The app file's reader refuses circles, so this ends after as many rounds as there are processes.
    for _ in 0..service.processes.len() {
        let mut moved = false;
        for process in &service.processes {
            let below = process
                .after
                .iter()
                .map(|name| depth.get(name).copied().unwrap_or(0) + 1);
            let wanted = below.max().unwrap_or(0);
            moved |= depth.insert(&process.name, wanted) != Some(wanted);
        }
        if !moved {
            break;
        }
    }
    let mut processes: Vec<_> = service.processes.iter().collect();
    processes.sort_by_key(|process| depth.get(&process.name).copied());
    processes.into_iter()
}

fn note(notes: &mut Vec<Note>, setting: String, said: impl Into<String>) {
    notes.push(Note {
        setting,
        said: said.into(),
    });
}
