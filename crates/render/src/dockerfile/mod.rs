//! A Dockerfile and a `.dockerignore` for each service that is built, by what stands in its folder.
//!
//! All of them have the same shape: what is fetched comes before what is written here, so that a changed
//! line changes the last layers alone; what builds is left behind in stages of its own; what remains runs as
//! nobody's user, says how it is, and is executed without a shell where none is needed.

mod command;
mod existing;
mod go;
mod health;
mod ignore;
mod node;
mod pages;
mod python;
mod rust;
mod several;
mod stage;
mod subject;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Comment, Extent, Input, Note, Refusal, Rendered, Written};

use subject::{Kind, Subject};

/// Renders the Dockerfiles.
///
/// # Errors
/// Where nothing is built, or nothing is known of what is.
pub fn render(input: &Input<'_>) -> Result<Rendered, Refusal> {
    let mut rendered = Rendered::default();
    let subjects = subject::subjects(input, &mut rendered.notes)?;
    let mut ignored: BTreeMap<String, Vec<&Subject<'_>>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for subject in &subjects {
        let Some(kind) = subject.kind() else {
            unknown.insert(subject.name.to_string());
            rendered.notes.push(Note {
                setting: format!("service.{}.build", subject.name),
                said: format!(
                    "{} shows no project that is known here (Python, Node, Rust, Go, pages): its Dockerfile stays yours",
                    subject.shown_folder()
                ),
            });
            continue;
        };
        let mut made = Made::default();
        if subject.existing.runs {
            made.note(
                subject.setting("build"),
                format!(
                    "RUN steps of the {} that stands there aren't taken over: what this one needs of them belongs between landfall:keep and landfall:end",
                    subject.dockerfile
                ),
            );
        }
        match kind {
            Kind::Python => python::write(subject, &mut made),
            Kind::Node => node::write(subject, &mut made),
            Kind::Rust => rust::write(subject, &mut made),
            Kind::Go => go::write(subject, &mut made),
            Kind::Pages => pages::write(subject, &mut made),
        }
        rendered.files.push(written(
            &subject.dockerfile,
            made.text.finish(),
            Comment::Hash,
        ));
        rendered.files.extend(made.files);
        rendered.notes.extend(made.notes);
        ignored
            .entry(subject.context.clone())
            .or_default()
            .push(subject);
    }
    if rendered.files.is_empty() {
        return Err(Refusal {
            name: "nothing-to-render",
            message: match unknown.len() {
                0 => "no service is built from this repository, so there is no Dockerfile to write".to_owned(),
                _ => format!(
                    "no Dockerfile can be written for {}: no project that is known here stands in its folder",
                    few(unknown.into_iter())
                ),
            },
            mend: Some(
                "Python, Node, Rust, Go and folders of pages are known by their files (requirements.txt, pyproject.toml, package.json, Cargo.toml, go.mod, static = \"…\"); `root` of a service names its folder".to_owned(),
            ),
        });
    }
    for (context, of) in ignored {
        // What another service's hand-written Dockerfile takes from there isn't known.
        rendered.files.push(ignore::file(&context, &of, &subjects));
    }
    Ok(rendered)
}

/// What becomes of one service.
#[derive(Default)]
pub(super) struct Made {
    /// Its Dockerfile.
    pub text: text::Text,
    /// What must stand beside it.
    pub files: Vec<Written>,
    /// What it doesn't say.
    pub notes: Vec<Note>,
}

impl Made {
    fn note(&mut self, setting: String, said: impl Into<String>) {
        self.notes.push(Note {
            setting,
            said: said.into(),
        });
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

/// Names in a message, not more than anyone reads.
fn few<T: AsRef<str>>(names: impl ExactSizeIterator<Item = T>) -> String {
    const READ: usize = 12;
    let more = names.len().saturating_sub(READ);
    let mut shown: Vec<String> = names
        .take(READ)
        .map(|name| name.as_ref().to_owned())
        .collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}
