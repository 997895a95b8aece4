//! The steps of a rollout on a host.

use landfall_app::{
    App,
    model::{HookPoint, Strategy},
};

use crate::rollout::Step;

/// The steps that a rollout of processes has: only those that have something to do. `previous`
/// says whether a release is live. Whoever doesn't want migrations (a restart) leaves them out.
pub fn steps_for(app: &App, previous: bool) -> Vec<Step> {
    let services = || app.services.values();
    let hook = |point| app.hooks.contains_key(&point);
    let steps = [
        (Step::Preflight, true),
        (Step::Lock, true),
        (
            Step::Provision,
            app.backing.values().any(|backing| backing.url.is_none()),
        ),
        (Step::Before, hook(HookPoint::Before)),
        (
            Step::Migrate,
            services().any(|service| service.migrate.is_some()),
        ),
        (
            Step::StopOld,
            previous && services().any(|service| service.strategy == Strategy::Recreate),
        ),
        (Step::Start, true),
        (Step::Verify, true),
        (Step::Verified, hook(HookPoint::Verified)),
        (Step::Switch, true),
        (
            Step::Smoke,
            services().any(|service| !service.smoke.is_empty()),
        ),
        (Step::Switched, hook(HookPoint::Switched)),
        (
            Step::Observe,
            services().any(|service| service.observe.is_some()),
        ),
        (Step::Retire, previous),
        (Step::After, hook(HookPoint::After)),
        (Step::Unlock, true),
    ];
    steps
        .into_iter()
        .filter_map(|(step, has)| has.then_some(step))
        .collect()
}

/// The steps of a rollout that brings an app's backing services up and nothing else: no command of
/// the app runs, and no release goes live.
pub fn steps_to_provision(app: &App) -> Vec<Step> {
    let of_data = [Step::Preflight, Step::Lock, Step::Provision, Step::Unlock];
    let mut steps = steps_for(app, false);
    steps.retain(|step| of_data.contains(step));
    steps
}
