//! Workflows of GitHub Actions: tests, images, deployments, the way back, previews.
//!
//! What runs in them is Landfall's own commands wherever there is one, so that a runner does what the desk
//! does. What a runner needs beside is in actions pinned by their commit. Inputs, names of branches and
//! secrets reach a shell by its environment alone. Facts: GitHub's reference of the workflow syntax; the
//! rules of actionlint and zizmor.

mod actions;
mod ci;
mod credentials;
mod deploy;
mod images;
mod notes;
mod preview;
mod promote;
mod refused;
#[cfg(test)]
mod tests;
mod words;
mod workflow;

use std::collections::{BTreeMap, BTreeSet};

use landfall_app::{
    App, LOCAL,
    model::{Pipeline, RegistryLogin},
};

use crate::{Input, Project, Refusal, Rendered};
use images::Published;

/// The branch that most repositories begin with. Its real name is not in the app file; whoever has another
/// adds that in the place `branches`.
const DEFAULT_BRANCH: &str = "main";

/// What all workflows are written from.
struct Plan<'a> {
    /// The environments that are deployed to from GitHub: all but `local`.
    environments: Vec<&'a App>,
    /// The names of the secrets that each of them uses.
    secrets: BTreeMap<&'a str, BTreeSet<String>>,
    pipeline: Option<&'a Pipeline>,
    registries: &'a BTreeMap<String, RegistryLogin>,
    project: &'a dyn Project,
    version: &'a str,
}

impl Plan<'_> {
    /// The default branch, where no environment is deployed from it: a deployment tests what it deploys, and
    /// publishes its images itself.
    fn branches_without_deployment(&self) -> Vec<String> {
        let mut environments = self.environments.iter();
        match environments.any(|app| app.branch.as_deref() == Some(DEFAULT_BRANCH)) {
            true => Vec::new(),
            false => vec![DEFAULT_BRANCH.to_owned()],
        }
    }
}

/// Renders them.
///
/// # Errors
/// Where a branch has a name that a workflow can't hold.
pub fn render(input: &Input<'_>) -> Result<Rendered, Refusal> {
    let environments: Vec<&App> = input
        .environments
        .iter()
        .filter(|app| app.environment.as_str() != LOCAL)
        .collect();
    for app in &environments {
        writable(app)?;
    }
    let secrets = environments
        .iter()
        .map(|app| (app.environment.as_str(), credentials::secrets(app)));
    let plan = Plan {
        secrets: secrets.collect(),
        pipeline: input.app.pipeline.as_ref(),
        registries: &input.app.registries,
        project: input.project,
        version: input.version,
        environments,
    };
    let images = published(input, &plan);
    let mut workflows = vec![ci::workflow(&plan)];
    workflows.extend(images.values().map(|image| images::workflow(&plan, *image)));
    for app in &plan.environments {
        if app.per_pull_request {
            workflows.push(preview::workflow(&plan, app));
        } else {
            workflows.push(deploy::workflow(&plan, app));
            workflows.push(deploy::rollback(&plan, app));
        }
    }
    Ok(Rendered {
        files: workflows
            .into_iter()
            .map(workflow::Workflow::written)
            .collect(),
        notes: notes::notes(&plan, &images),
    })
}

/// The services whose images are published, as the first environment says that has them; `local` counts
/// where no other does.
fn published<'a>(input: &Input<'a>, plan: &Plan<'a>) -> BTreeMap<&'a str, Published<'a>> {
    let mut images = BTreeMap::new();
    for app in plan.environments.iter().copied().chain(input.environments) {
        for (name, service) in &app.services {
            if let Some(image) = Published::of(name.as_str(), service) {
                images.entry(name.as_str()).or_insert(image);
            }
        }
    }
    images
}

/// A branch stands in a condition, where GitHub knows no way to write every character.
fn writable(app: &App) -> Result<(), Refusal> {
    let Some(branch) = &app.branch else {
        return Ok(());
    };
    let bad = |letter: char| letter.is_control() || matches!(letter, '\'' | '{' | '}' | ' ');
    if !branch.contains(bad) {
        return Ok(());
    }
    Err(Refusal {
        name: "not-built-yet",
        message: format!(
            "the branch {branch:?} of {} has a character that can't stand in a workflow",
            app.environment
        ),
        mend: Some("name it without quotes and braces".to_owned()),
    })
}
