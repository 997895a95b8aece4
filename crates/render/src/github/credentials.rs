//! What a deployment needs to be let in, and to read secrets: by variables of the step that needs it alone.

use std::collections::BTreeSet;

use landfall_app::{
    App,
    model::{SecretsFrom, Target},
};
use landfall_yaml::{Map, Node};

use super::{Plan, actions};

/// All targets of an app in an environment.
pub fn targets(app: &App) -> impl Iterator<Item = &Target> {
    let of_services = app.services.values().map(|service| &service.target);
    let own = app.services.is_empty().then_some(&app.target);
    of_services.chain(own)
}

/// Whether all of it is at this machine: the runner's own.
pub fn is_here(app: &App) -> bool {
    targets(app).all(|target| *target == Target::Local)
}

/// Whether a target can take GitHub's word for who deploys (OIDC), in the place of a kept secret.
pub fn trusts_github(app: &App) -> bool {
    targets(app).any(|target| matches!(target, Target::Kubernetes { .. }))
}

/// Whether servers let it in by a key of SSH.
fn is_by_ssh(app: &App) -> bool {
    targets(app).any(|target| matches!(target, Target::Ssh(_) | Target::Dokku(_)))
}

/// The step that lets a deployment in by SSH. Hosts must be known before: a name alone proves nothing.
pub fn steps(app: &App) -> Option<Node> {
    if !is_by_ssh(app) {
        return None;
    }
    let mut env = Map::new();
    env.set("SSH_KEY", "${{ secrets.SSH_KEY }}")
        .set("SSH_KNOWN_HOSTS", "${{ vars.SSH_KNOWN_HOSTS }}");
    Some(
        actions::run(
            "Let it in by SSH",
            env,
            "umask 077\n\
             mkdir -p ~/.ssh\n\
             printf '%s\\n' \"$SSH_KEY\" > ~/.ssh/id_ed25519\n\
             printf '%s\\n' \"$SSH_KNOWN_HOSTS\" >> ~/.ssh/known_hosts\n",
        )
        .into(),
    )
}

/// The variables of the step that runs Landfall.
pub fn variables(plan: &Plan<'_>, app: &App) -> Map {
    let mut env = Map::new();
    let none = BTreeSet::new();
    let secrets = plan.secrets.get(app.environment.as_str()).unwrap_or(&none);
    match &app.secrets_from {
        SecretsFrom::File if !secrets.is_empty() => {
            env.set("LANDFALL_KEY", "${{ secrets.LANDFALL_KEY }}");
        }
        SecretsFrom::Env => {
            for name in secrets {
                env.set(name.as_str(), format!("${{{{ secrets.{name} }}}}"));
            }
        }
        SecretsFrom::File | SecretsFrom::Command(_) => {}
    }
    let mut tokens = BTreeSet::new();
    for target in targets(app) {
        match target {
            Target::Netlify(_) => tokens.insert("NETLIFY_AUTH_TOKEN"),
            Target::HuggingFace(_) => tokens.insert("HF_TOKEN"),
            _ => false,
        };
    }
    for token in tokens.into_iter().filter(|token| !secrets.contains(*token)) {
        env.set(token, format!("${{{{ secrets.{token} }}}}"));
    }
    env
}

/// The names of all secrets that an app uses, sorted.
pub fn secrets(app: &App) -> BTreeSet<String> {
    let services = app.services.values();
    let mut names: BTreeSet<String> = services
        .flat_map(|service| service.secrets.keys().cloned())
        .collect();
    // A reference can stand in any value.
    let text = serde_json::to_string(app).unwrap_or_default();
    for part in text.split("${secret.").skip(1) {
        names.extend(part.split_once('}').map(|(name, _)| name.to_owned()));
    }
    names
}
