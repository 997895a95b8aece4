//! What this version's `landfall deploy` refuses, so that no workflow pretends otherwise.

use landfall_app::{App, model::Target};

use super::credentials::targets;

/// Why a deployment to an environment is refused today; nothing where it isn't. A list of what
/// `docs/limits.md` names of environments.
pub fn here(app: &App) -> Option<String> {
    let mut why = Vec::new();
    if targets(app).any(|target| *target != Target::Local) {
        why.push("it deploys to its own machine only");
    }
    let settings = [
        (app.branch.is_some(), "branch"),
        (app.verified_in.is_some(), "verified-in"),
        (app.approvals > 0, "approvals"),
        (app.per_pull_request, "per"),
        (app.expires.is_some(), "expires"),
        (app.pipeline.is_some(), "pipeline"),
    ];
    let named: Vec<String> = settings
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    let said;
    if !named.is_empty() {
        said = format!("it can't do {} yet", named.join(", "));
        why.push(&said);
    }
    (!why.is_empty()).then(|| why.join(", and "))
}
