//! What workflows can't say, or say otherwise.

use std::collections::BTreeMap;

use landfall_app::model::SecretsFrom;

use super::{
    DEFAULT_BRANCH, Plan,
    credentials::{is_here, trusts_github},
    images::{self, Published},
    refused,
};
use crate::Note;

/// All of them, in the order of the app file.
pub fn notes(plan: &Plan<'_>, images: &BTreeMap<&str, Published<'_>>) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |setting: String, said: String| notes.push(Note { setting, said });
    let root = plan.project.list(".");
    if !root.iter().any(|name| name == ".git/" || name == ".git") {
        note(
            "app".to_owned(),
            "GitHub reads workflows at a repository's root only, and here is none".to_owned(),
        );
    }
    if !images.is_empty() {
        note(
            "push".to_owned(),
            format!(
                "the repository's default branch is taken to be `{DEFAULT_BRANCH}`; another one can be added in the places `branches`"
            ),
        );
    }
    for image in images.values() {
        of_image(plan, image, &mut note);
    }
    if plan
        .pipeline
        .is_some_and(|pipeline| !pipeline.tests.is_empty())
    {
        note(
            "pipeline.tests".to_owned(),
            "what they need beside a runner's own programs is installed by steps of your own, in the places `test-setup`".to_owned(),
        );
    }
    if let Some(pipeline) = plan.pipeline
        && (pipeline.coverage.is_some() || pipeline.tests.iter().any(|test| test.report.is_some()))
    {
        note(
            "pipeline.coverage".to_owned(),
            format!(
                "no job reads the reports: landfall {} can't judge coverage yet",
                plan.version
            ),
        );
    }
    for app in &plan.environments {
        let of = |setting: &str| match setting {
            "" => format!("environment.{}", app.environment),
            setting => format!("environment.{}.{setting}", app.environment),
        };
        if let Some(why) = refused::here(app) {
            note(
                of(""),
                format!(
                    "its workflow is written, and landfall {} refuses what it runs: {why}",
                    plan.version
                ),
            );
        }
        if is_here(app) {
            note(
                of("target"),
                "it runs on a runner of your own: on the machine that is deployed to, where landfall is installed".to_owned(),
            );
        }
        if app.approvals > 0 {
            note(
                of("approvals"),
                format!(
                    "GitHub asks for reviews where the settings of its environment {} say so, a workflow can't",
                    app.environment
                ),
            );
        }
        if app.expires.is_some() {
            note(
                of("expires"),
                "it ends when its pull request is closed, no earlier".to_owned(),
            );
        }
        if trusts_github(app) {
            note(
                of("target"),
                "how your cloud takes GitHub's word (OIDC) is a step of your own, in the place `login`".to_owned(),
            );
        }
        if let SecretsFrom::Command(_) = app.secrets_from {
            note(
                of("secrets-from"),
                "what its command needs is a step of your own, in the place `login`".to_owned(),
            );
        }
        if app.secrets_from == SecretsFrom::Env {
            let secrets = plan.secrets.get(app.environment.as_str());
            let secrets = secrets.into_iter().flatten();
            for name in secrets.filter(|name| name.starts_with("GITHUB_")) {
                note(
                    of("secrets-from"),
                    format!("GitHub keeps no secret whose name begins with GITHUB_: {name}"),
                );
            }
        }
    }
    notes
}

fn of_image(plan: &Plan<'_>, image: &Published<'_>, note: &mut impl FnMut(String, String)) {
    let of = |setting: &str| format!("service.{}.{setting}", image.service);
    let dockerfile = image.dockerfile(plan);
    if !plan.project.has(&dockerfile) {
        note(
            of("build"),
            format!(
                "its image is built from {dockerfile}, which `landfall render dockerfile` writes"
            ),
        );
    }
    let (_, unknown) = image.arguments();
    if !unknown.is_empty() {
        note(
            of("build.args"),
            format!(
                "known to landfall alone, and left out where GitHub builds: {}",
                unknown.join(", ")
            ),
        );
    }
    if !image.build.secrets.is_empty() {
        note(
            of("build.secrets"),
            format!(
                "set {} as secrets in GitHub's environment {}",
                image.build.secrets.join(", "),
                images::SECRETS
            ),
        );
    }
    let host = image.host();
    let login = plan.registries.get(host);
    if host == "ghcr.io" {
        if login.is_some() {
            note(
                format!("registry.\"{host}\""),
                "images are published by the workflow's own token instead".to_owned(),
            );
        }
        return;
    }
    let (username, password) = login.map_or((None, None), images::credentials);
    let mut missing = Vec::new();
    if username.is_none() {
        missing.push("the variable REGISTRY_USERNAME");
    }
    if password.is_none() {
        missing.push("the secret REGISTRY_PASSWORD");
    }
    if !missing.is_empty() {
        note(
            format!("registry.\"{host}\""),
            format!(
                "set {} in GitHub's environment {}",
                missing.join(" and "),
                images::SECRETS
            ),
        );
    }
}
