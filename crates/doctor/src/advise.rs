//! From a Dockerfile and what is known around it to findings, and to the mended file.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::{
    finding::{Effect, Finding, Place, sort},
    ignore::Ignore,
    recipe::{BadDockerfile, Recipe, Stage, Step},
    rules,
};
use landfall_app::model::Severity;

/// Mends that make others possible come round after round; so many rounds are never needed.
const ROUNDS: usize = 24;

/// What is known besides the Dockerfile.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// The files of the context with their sizes; ignored ones too.
    pub files: Vec<(String, u64)>,
    /// The ignore file's text.
    pub ignore: Option<String>,
    /// Texts of those files that say what is installed, by path.
    pub texts: BTreeMap<String, String>,
    /// The port that the app file gives the service.
    pub port: Option<u16>,
    /// Base images that the Engine has, by their names.
    pub bases: BTreeMap<String, Base>,
}

/// A base image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// The registry's digest: `sha256:…`.
    pub digest: Option<String>,
    /// Its working directory.
    pub directory: String,
    /// Its user.
    pub user: String,
    /// Whether it has a health check.
    pub health: bool,
}

impl Project {
    /// Whether the context has a file that the ignore file lets through.
    pub fn has(&self, path: &str) -> bool {
        let there = self
            .files
            .binary_search_by(|(file, _)| file.as_str().cmp(path))
            .is_ok();
        there && !Ignore::read(self.ignore.as_deref().unwrap_or_default()).leaves_out(path)
    }

    /// What is known of a base image, pinned or not.
    pub(crate) fn base(&self, reference: &str) -> Option<&Base> {
        let name = reference.split('@').next().unwrap_or(reference);
        self.bases.get(name)
    }

    /// Bytes of the context that are sent to the builder, and how many files they are.
    pub fn sent(&self) -> (u64, usize) {
        let ignore = Ignore::read(self.ignore.as_deref().unwrap_or_default());
        let sent = self
            .files
            .iter()
            .filter(|(path, _)| !ignore.leaves_out(path));
        sent.fold((0, 0), |(bytes, count), (_, size)| {
            (bytes + size, count + 1)
        })
    }
}

/// A change of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub range: Range<usize>,
    pub text: String,
}

/// A finding before it is known what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub finding: Finding,
    /// What mends it in the Dockerfile; none where a person must.
    pub edits: Vec<Edit>,
    /// What mends it in the ignore file.
    pub ignore: Vec<String>,
}

/// What rules look at, and what they find.
pub(crate) struct Look<'a> {
    pub text: &'a str,
    pub recipe: &'a Recipe,
    pub project: &'a Project,
    /// Whether the recipe is an image's history: layers in place of lines, and nothing to mend.
    pub history: bool,
    pub found: Vec<Found>,
}

impl<'a> Look<'a> {
    /// The last stage.
    pub fn last(&self) -> &'a Stage {
        self.recipe.last().expect("a recipe has a stage")
    }

    /// Where a step is.
    pub fn place(&self, step: &Step) -> Place {
        match (self.history, step.layer) {
            (true, Some(layer)) => Place::Layer(layer),
            (true, None) => Place::Image,
            (false, _) => Place::Line(step.line),
        }
    }

    /// Something a person must mend.
    pub fn say(
        &mut self,
        name: &'static str,
        severity: Severity,
        place: Place,
        said: impl Into<String>,
        mend: impl Into<String>,
    ) -> &mut Found {
        self.found.push(Found {
            finding: Finding {
                name,
                severity,
                place,
                said: said.into(),
                effect: Effect::default(),
                mend: mend.into(),
                mended: false,
            },
            edits: Vec::new(),
            ignore: Vec::new(),
        });
        self.found.last_mut().expect("it was just pushed")
    }
}

impl Found {
    /// With a change that mends it.
    pub fn edit(&mut self, range: Range<usize>, text: impl Into<String>) -> &mut Self {
        self.edits.push(Edit {
            range,
            text: text.into(),
        });
        self
    }
}

/// All that a Dockerfile shows without being built.
pub fn advise(text: &str, project: &Project) -> Result<Vec<Finding>, BadDockerfile> {
    let found = look(text, project)?;
    let mut findings: Vec<_> = found
        .into_iter()
        .map(|found| Finding {
            mended: !found.edits.is_empty() || !found.ignore.is_empty(),
            ..found.finding
        })
        .collect();
    sort(&mut findings);
    Ok(findings)
}

/// All that an image's history shows.
pub fn advise_history(recipe: &Recipe, project: &Project) -> Vec<Finding> {
    if recipe.stages.is_empty() {
        return Vec::new();
    }
    let mut look = Look {
        text: "",
        recipe,
        project,
        history: true,
        found: Vec::new(),
    };
    rules::all(&mut look);
    let mut findings: Vec<_> = look.found.into_iter().map(|found| found.finding).collect();
    sort(&mut findings);
    findings
}

fn look(text: &str, project: &Project) -> Result<Vec<Found>, BadDockerfile> {
    let recipe = Recipe::read(text)?;
    let mut look = Look {
        text,
        recipe: &recipe,
        project,
        history: false,
        found: Vec::new(),
    };
    rules::all(&mut look);
    Ok(look.found)
}

/// A Dockerfile and its ignore file, mended as far as that is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// The Dockerfile.
    pub dockerfile: String,
    /// The ignore file, where it must change.
    pub ignore: Option<String>,
    /// The rules that were mended.
    pub rules: BTreeSet<&'static str>,
}

/// Mends what can be mended without asking, but what is named in `without`. Mended again, nothing
/// changes any more.
pub fn mend(
    text: &str,
    project: &Project,
    without: &BTreeSet<&'static str>,
) -> Result<Mended, BadDockerfile> {
    let mut mended = Mended {
        dockerfile: text.to_owned(),
        ignore: None,
        rules: BTreeSet::new(),
    };
    let mut project = project.clone();
    for _ in 0..ROUNDS {
        let found = look(&mended.dockerfile, &project)?;
        let mut wanted: Vec<&Found> = found
            .iter()
            .filter(|found| !without.contains(found.finding.name))
            .filter(|found| !found.edits.is_empty() || !found.ignore.is_empty())
            .collect();
        if wanted.is_empty() {
            break;
        }
        let mut lines: Vec<&str> = Vec::new();
        for found in &wanted {
            for line in &found.ignore {
                if !lines.contains(&line.as_str()) {
                    lines.push(line);
                }
            }
        }
        if !lines.is_empty() {
            project.ignore = Some(with_lines(project.ignore.as_deref(), &lines));
            mended.ignore.clone_from(&project.ignore);
        }
        // One finding's edits are done together or not at all; what overlaps waits for the next round.
        let mut taken: Vec<&Edit> = Vec::new();
        wanted.retain(|found| {
            let clear = found
                .edits
                .iter()
                .all(|edit| taken.iter().all(|other| apart(edit, other)));
            if clear {
                taken.extend(&found.edits);
            }
            clear
        });
        let text = applied(&mended.dockerfile, &taken);
        // A mend that can't be read again is none.
        if Recipe::read(&text).is_err() {
            break;
        }
        mended
            .rules
            .extend(wanted.iter().map(|found| found.finding.name));
        mended.dockerfile = text;
    }
    Ok(mended)
}

/// Whether two changes don't touch each other; two at the same point would have no order.
fn apart(one: &Edit, other: &Edit) -> bool {
    one.range.end < other.range.start || other.range.end < one.range.start
}

fn applied(text: &str, edits: &[&Edit]) -> String {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for edit in edits {
        out.push_str(&text[at..edit.range.start]);
        out.push_str(&edit.text);
        at = edit.range.end;
    }
    out.push_str(&text[at..]);
    out
}

fn with_lines(ignore: Option<&str>, lines: &[&str]) -> String {
    let mut text = ignore.unwrap_or_default().to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}
