//! Deployments, and the way back: `landfall deploy` and `landfall rollback`, one environment a workflow.

use landfall_app::App;
use landfall_yaml::{Map, Node};

use super::{
    Plan, actions, ci,
    credentials::{self, is_here, trusts_github},
    images::{self, Published},
    promote, refused,
    words::literal,
    workflow::{Job, Runner, Workflow, place, push_to},
};

/// `deploy-ENVIRONMENT.yml`, or `promote-ENVIRONMENT.yml` for what only takes what another has verified.
pub fn workflow(plan: &Plan<'_>, app: &App) -> Workflow {
    let environment = app.environment.as_str();
    let source = promote::source(plan, app);
    let mut on = Map::new();
    if let Some(branch) = &app.branch {
        on.set("push", push_to(branch));
    }
    on.set(
        "workflow_dispatch",
        source.map_or_else(Map::new, promote::inputs),
    );
    let images = deployed(app);
    let mut jobs: Vec<Job> = Vec::new();
    match source {
        Some(source) => jobs.push(promote::job(plan, source, &images)),
        None => {
            jobs.extend(ci::tests(plan));
            let needs: Vec<String> = jobs.iter().map(|job| job.id.clone()).collect();
            for image in &images {
                jobs.push(images::job(plan, *image, needs.clone()));
            }
        }
    }
    let mut deploy = job(plan, app, &images, source.is_some());
    deploy.needs = jobs.iter().map(|job| job.id.clone()).collect();
    jobs.push(deploy);
    // From another branch it is started by hand at most, and then does nothing.
    if let Some(branch) = &app.branch {
        for job in jobs.iter_mut().filter(|job| job.needs.is_empty()) {
            job.condition = Some(format!("github.ref == 'refs/heads/{branch}'"));
        }
    }
    let (file, name, about) = match source {
        Some(source) => (
            format!("promote-{environment}"),
            format!("Promote {} to {environment}", source.environment),
            format!(
                "Deploys to {environment} what {} has verified: the same commit, the same images by their digest.",
                source.environment
            ),
        ),
        None => (
            format!("deploy-{environment}"),
            format!("Deploy to {environment}"),
            format!("Deploys to {environment} by `landfall deploy`, as one would at the desk."),
        ),
    };
    Workflow {
        file,
        name,
        about: marked(plan, app, about),
        on,
        group: format!("deploy-{environment}"),
        cancel: None,
        jobs,
    }
}

/// Says at the top what this version refuses.
pub fn marked(plan: &Plan<'_>, app: &App, about: String) -> String {
    match refused::here(app) {
        Some(why) => format!(
            "{about}\nNOT YET: landfall {} refuses this deployment: {why}.",
            plan.version
        ),
        None => about,
    }
}

/// The services that it takes as images.
pub fn deployed(app: &App) -> Vec<Published<'_>> {
    let services = app.services.iter();
    services
        .filter_map(|(name, service)| Published::deployed(name.as_str(), service))
        .collect()
}

/// Where it runs: on the machine itself, where that is the target.
pub fn runner(app: &App) -> Runner {
    match is_here(app) {
        true => Runner::Own,
        false => Runner::Hosted,
    }
}

/// The environment of GitHub, with the address that its page links to.
pub fn protected(app: &App) -> Map {
    let mut environment = Map::new();
    environment.set("name", app.environment.as_str());
    if app.per_pull_request {
        return environment;
    }
    let mut domains = app
        .services
        .values()
        .flat_map(|service| &service.domains)
        .filter(|domain| domain.redirect.is_none() && !domain.host.contains('*'));
    environment.set_some(
        "url",
        domains
            .next()
            .map(|domain| literal(&format!("https://{}", domain.host))),
    );
    environment
}

/// What comes before Landfall's command on a runner.
pub fn before(plan: &Plan<'_>, app: &App, commit: Option<&str>) -> Vec<Node> {
    let mut steps = vec![actions::checkout(plan, commit)];
    if runner(app) == Runner::Hosted {
        steps.push(actions::install(plan.version));
    }
    steps.extend(credentials::steps(app));
    steps.push(place("login"));
    steps
}

/// Permissions beside those of every job.
pub fn permissions(app: &App, job: &mut Job) {
    if trusts_github(app) {
        job.permissions.push((
            "id-token",
            "write",
            "the cluster's cloud can trust GitHub's word".to_owned(),
        ));
    }
}

/// The job that deploys.
pub fn job(plan: &Plan<'_>, app: &App, images: &[Published<'_>], promoted: bool) -> Job {
    let environment = app.environment.as_str();
    let mut job = Job::new("deploy", format!("Deploy to {environment}"));
    job.runner = runner(app);
    job.minutes = 60;
    job.environment = Some(protected(app));
    permissions(app, &mut job);
    let commit = promoted.then_some("${{ needs.verified.outputs.commit }}");
    job.steps = before(plan, app, commit);
    if images.iter().any(|image| image.host() == "ghcr.io")
        && !plan.registries.contains_key("ghcr.io")
    {
        job.permissions.push((
            "packages",
            "read",
            "takes the images from ghcr.io".to_owned(),
        ));
        job.steps.push(actions::login_by_token("ghcr.io"));
    }
    let mut env = credentials::variables(plan, app);
    let mut command = format!("landfall deploy {environment}");
    for image in images {
        let variable = unused(plan, app, image.variable());
        let digest = match promoted {
            true => format!("${{{{ needs.verified.outputs.{} }}}}", image.job()),
            false => format!("${{{{ needs.{}.outputs.digest }}}}", image.job()),
        };
        command.push_str(&format!(" --image \"{}=${variable}\"", image.service));
        env.set(variable, format!("{}@{digest}", literal(image.repository)));
    }
    job.steps.push(actions::run("Deploy", env, command).into());
    job.steps.push(place("deployed"));
    job
}

/// A variable's name that is no secret's.
fn unused(plan: &Plan<'_>, app: &App, mut name: String) -> String {
    let secrets = plan.secrets.get(app.environment.as_str());
    while secrets.is_some_and(|secrets| secrets.contains(&name)) {
        name.push('_');
    }
    name
}

/// `rollback-ENVIRONMENT.yml`
pub fn rollback(plan: &Plan<'_>, app: &App) -> Workflow {
    let environment = app.environment.as_str();
    let mut release = Map::new();
    release
        .set(
            "description",
            "The release; without one, that which was live before",
        )
        .set("type", "string")
        .set("required", false);
    let (mut inputs, mut dispatch, mut on) = (Map::new(), Map::new(), Map::new());
    inputs.set("release", release);
    dispatch.set("inputs", inputs);
    on.set("workflow_dispatch", dispatch);

    let mut job = Job::new("rollback", format!("Roll {environment} back"));
    job.runner = runner(app);
    job.environment = Some(protected(app));
    permissions(app, &mut job);
    if let Some(branch) = &app.branch {
        job.condition = Some(format!("github.ref == 'refs/heads/{branch}'"));
    }
    job.steps = before(plan, app, None);
    let mut env = credentials::variables(plan, app);
    let release = unused(plan, app, "RELEASE".to_owned());
    let command = format!("landfall rollback -e {environment} -- ${{{release}:+\"${release}\"}}");
    env.set(release, "${{ inputs.release }}");
    job.steps
        .push(actions::run("Roll back", env, command).into());
    Workflow {
        file: format!("rollback-{environment}"),
        name: format!("Roll {environment} back"),
        about: marked(
            plan,
            app,
            "Makes an earlier release live again, whole: code, configuration and secrets."
                .to_owned(),
        ),
        on,
        group: format!("deploy-{environment}"),
        cancel: None,
        jobs: vec![job],
    }
}
