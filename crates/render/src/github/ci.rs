//! Continuous integration: the tests of `[pipeline]`, and whether the app file and what is written from it
//! hold.

use landfall_app::model::Pipeline;
use landfall_yaml::{Map, Node};

use super::{
    Plan, actions,
    words::{below, literal, script, title},
    workflow::{Job, Workflow, place, push},
};

/// `ci.yml`
pub fn workflow(plan: &Plan<'_>) -> Workflow {
    let mut on = Map::new();
    let branches = plan.branches_without_deployment();
    if !branches.is_empty() {
        on.set("push", push(&branches, &[]));
    }
    on.set("pull_request", Map::new())
        .set("workflow_dispatch", Map::new());
    let mut check = Job::new("check", "The app file");
    check.steps = vec![
        actions::checkout(plan, None),
        actions::install(plan.version),
        line("Find every error of the app file", "landfall check"),
        line(
            "See whether what is written from it is fresh",
            "landfall render --check",
        ),
    ];
    let mut jobs = vec![check];
    jobs.extend(tests(plan));
    Workflow {
        file: "ci".to_owned(),
        name: "CI".to_owned(),
        about: "What must hold before anything is merged. Let the branch's protection require its jobs."
            .to_owned(),
        on,
        group: "ci-${{ github.ref }}".to_owned(),
        cancel: Some("${{ github.event_name == 'pull_request' }}"),
        jobs,
    }
}

/// The job that runs the tests, where there are some; others need it by its name `test`.
pub fn tests(plan: &Plan<'_>) -> Option<Job> {
    let pipeline = plan
        .pipeline
        .filter(|pipeline| !pipeline.tests.is_empty())?;
    let mut job = Job::new("test", "Tests");
    job.minutes = minutes(pipeline);
    job.steps = vec![actions::checkout(plan, None), place("test-setup")];
    job.steps.extend(pipeline.tests.iter().map(|test| {
        let mut step = actions::step(title(&test.run));
        let folder = below("", &test.root);
        if folder != "." {
            step.set("working-directory", literal(&folder));
        }
        let mut script = script(&test.run);
        if script.contains("${{") {
            // It is the user's text, not an expression; and none belongs into a script.
            let mut env = Map::new();
            env.set("SCRIPT", literal(&script));
            step.set("env", env);
            script = "eval \"$SCRIPT\"".to_owned();
        }
        step.set("shell", "sh")
            .set("run", actions::script_node(script));
        step.into()
    }));
    job.steps.push(place("test-results"));
    Some(job)
}

fn minutes(pipeline: &Pipeline) -> u64 {
    pipeline
        .timeout
        .map_or(30, |timeout| timeout.as_millis().div_ceil(60_000).max(1))
}

fn line(name: &str, command: &str) -> Node {
    actions::run(name, Map::new(), command).into()
}
