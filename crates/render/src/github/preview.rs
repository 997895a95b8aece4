//! An environment for each pull request, which ends with it.

use landfall_app::App;
use landfall_yaml::{Map, Node};

use super::{
    Plan, actions, credentials,
    deploy::{self, before, deployed, marked, permissions, protected, runner},
    images,
    workflow::{Job, Workflow},
};

/// Pull requests from elsewhere get no secrets, so that they could deploy nothing.
const OWN: &str = "github.event.pull_request.head.repo.full_name == github.repository";

/// `preview-ENVIRONMENT.yml`
pub fn workflow(plan: &Plan<'_>, app: &App) -> Workflow {
    let environment = app.environment.as_str();
    let mut types = Map::new();
    types.set(
        "types",
        Node::Flow(
            ["opened", "reopened", "synchronize", "closed"]
                .map(Node::from)
                .to_vec(),
        ),
    );
    let mut on = Map::new();
    on.set("pull_request", types);
    let images = deployed(app);
    let mut jobs: Vec<Job> = images
        .iter()
        .map(|image| images::job(plan, *image, Vec::new()))
        .collect();
    let mut job = deploy::job(plan, app, &images, false);
    job.needs = jobs.iter().map(|job| job.id.clone()).collect();
    jobs.push(job);
    for job in jobs.iter_mut().filter(|job| job.needs.is_empty()) {
        job.condition = Some(format!("github.event.action != 'closed' && {OWN}"));
    }
    jobs.push(end(plan, app));
    Workflow {
        file: format!("preview-{environment}"),
        name: format!("Preview in {environment}"),
        about: marked(
            plan,
            app,
            "One environment for each pull request of this repository; closing it takes it away."
                .to_owned(),
        ),
        on,
        group: format!("{environment}-${{{{ github.event.number }}}}"),
        cancel: None,
        jobs,
    }
}

/// The job that takes it away.
fn end(plan: &Plan<'_>, app: &App) -> Job {
    let environment = app.environment.as_str();
    let mut job = Job::new("end", "Take it away");
    job.condition = Some(format!("github.event.action == 'closed' && {OWN}"));
    job.runner = runner(app);
    job.environment = Some(protected(app));
    permissions(app, &mut job);
    job.steps = before(plan, app, None);
    job.steps.push(
        actions::run(
            "Take it away",
            credentials::variables(plan, app),
            format!("landfall down -e {environment} --purge --yes"),
        )
        .into(),
    );
    job
}
