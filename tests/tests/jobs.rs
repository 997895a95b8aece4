//! Jobs: run in their service's live release, never twice at once, ended where they must, and what
//! became of each is said. When they are due is tested where the clock is given, in the host.

use std::fs;

use landfall_tests::{World, wait, world::alive};
use serde_json::Value;

/// A world with these jobs; none of them is due before the year ends.
fn with_jobs(jobs: &str) -> World {
    let world = World::new();
    write(&world, "one", jobs);
    world.landfall(&["deploy"]).ok();
    world
}

fn write(world: &World, version: &str, jobs: &str) {
    world.web(version, jobs);
}

fn job(name: &str, run: &str, more: &str) -> String {
    format!("[job.{name}]\nrun = '''{run}'''\nschedule = \"0 0 1 1 *\"\n{more}\n")
}

/// A job's last run, as `landfall jobs --json` has it.
#[track_caller]
fn last(world: &World, name: &str) -> Value {
    let jobs = world.landfall(&["jobs", "--json"]).ok().data();
    let found = jobs
        .as_array()
        .and_then(|jobs| jobs.iter().find(|job| job["name"] == name));
    found.unwrap_or_else(|| panic!("no {name} in {jobs}"))["last"].clone()
}

/// Waits until a job wrote the number of its process, and gives it.
#[track_caller]
fn process(world: &World, file: &str) -> u32 {
    let path = world.app().join(file);
    wait("the job runs", || {
        fs::read_to_string(&path).ok()?.trim().parse().ok()
    })
}

/// A job that writes its process's number into a file of the app's folder and goes on for long.
fn long(world: &World, name: &str, more: &str) -> String {
    let file = world.app().join("process");
    let run = format!("echo began; echo $$ > {}; exec sleep 600", file.display());
    job(name, &run, more)
}

#[test]
fn a_job_runs_in_the_live_release_and_shows_what_it_writes() {
    let say = "echo version $(cat version) of release $LANDFALL_RELEASE; echo aside >&2";
    let jobs = job("report", say, "");
    let world = with_jobs(&jobs);
    let ran = world.landfall(&["jobs", "run", "report"]).ok();
    ran.says(&["version one of release 1", "aside", "report is done"]);
    write(&world, "two", &jobs);
    world.landfall(&["deploy"]).ok();
    let ran = world.landfall(&["jobs", "run", "report"]).ok();
    let ran = ran.says(&["version two of release 2"]);
    let ran = ran.hides("version one");
    // Each of its lines once, however quick it was.
    assert_eq!(ran.stdout.matches("version two").count(), 1, "{ran}");
    let lines = world.landfall(&["logs", "--process", "job-report"]).ok();
    assert_eq!(lines.stdout.matches("of release").count(), 2, "{lines}");
    let history = world.landfall(&["jobs", "history", "report"]).ok();
    history.says(&["done", "tester@"]);
    let listed = world.landfall(&["jobs"]).ok();
    listed.says(&["report", "0 0 1 1 *", "UTC", "done", "in "]);
    world
        .landfall(&["status"])
        .ok()
        .says(&["next: report in "])
        .hides("report done");
}

#[test]
fn a_job_that_fails_says_so_everywhere_and_the_app_runs_on() {
    let mut jobs = job("nightly", "echo $TOKEN no such table >&2; exit 3", "");
    jobs.insert_str(0, "secrets = [\"TOKEN\"]\n");
    let world = World::new();
    world.write(".env", "TOKEN=a-value-to-hide\n");
    write(&world, "one", &jobs);
    world.landfall(&["deploy"]).ok();
    let mut events = world.events();
    let ran = world.landfall(&["jobs", "run", "nightly"]).exits(1);
    ran.says(&["job-failed", "exit 3", "*** no such table"])
        .hides("a-value-to-hide");
    let event = events.until("the end of the run", |event| {
        !event["kind"]["run-ended"].is_null()
    });
    assert_eq!(event["kind"]["run-ended"]["outcome"], "failed", "{event}");
    let status = world.landfall(&["status"]).ok();
    status.says(&["healthy", "nightly failed", "exit 3"]);
    let history = world.landfall(&["jobs", "show", "nightly"]).ok();
    history.says(&["failed: exit 3", "no such table"]);
    let run = last(&world, "nightly");
    assert_eq!((&run["code"], &run["release"]), (&3.into(), &1.into()));
    assert_eq!(world.version(), "one");
}

#[test]
fn a_job_never_runs_twice_at_once() {
    let world = World::new();
    write(&world, "one", &long(&world, "import", ""));
    world.landfall(&["deploy"]).ok();
    let first = world.spawn(&["jobs", "run", "import"], &[]);
    let process = process(&world, "process");
    let second = world.landfall(&["jobs", "run", "import"]).exits(3);
    second.says(&["job-running", "landfall jobs"]);
    first.until_it_says("began");
    assert!(alive(process));
    world.landfall(&["jobs"]).ok().says(&["goes on"]);
}

#[test]
fn a_job_that_takes_too_long_is_ended() {
    let world = World::new();
    write(&world, "one", &long(&world, "import", "timeout = \"1s\""));
    world.landfall(&["deploy"]).ok();
    let ran = world.landfall(&["jobs", "run", "import"]).exits(1);
    ran.says(&["began", "job-failed", "longer than 1 s"]);
    let process = process(&world, "process");
    wait("the job's process is gone", || {
        (!alive(process)).then_some(())
    });
    assert_eq!(last(&world, "import")["outcome"], "timed-out");
}

#[test]
fn a_stopped_app_runs_no_jobs_and_ends_those_under_way() {
    let world = World::new();
    write(&world, "one", &long(&world, "import", ""));
    world.landfall(&["deploy"]).ok();
    let detached = world.landfall(&["jobs", "run", "--detach", "import"]);
    detached.ok().says(&["goes on"]);
    let process = process(&world, "process");
    world.landfall(&["stop"]).ok();
    assert!(!alive(process), "it goes on after the stop");
    assert_eq!(last(&world, "import")["outcome"], "stopped");
    let refused = world.landfall(&["jobs", "run", "import"]).exits(6);
    refused.says(&["not-running", "landfall start"]);
}

#[test]
fn a_host_that_comes_after_a_killed_one_ends_the_jobs_that_it_finds() {
    let world = World::new();
    write(&world, "one", &long(&world, "import", ""));
    world.landfall(&["deploy"]).ok();
    world.landfall(&["jobs", "run", "--detach", "import"]).ok();
    let process = process(&world, "process");
    world.kill_host();
    assert!(alive(process), "it outlives its host");
    world.landfall(&["host", "start"]).ok();
    wait("the job's process is gone", || {
        (!alive(process)).then_some(())
    });
    let run = last(&world, "import");
    assert_eq!(run["outcome"], "cut-off", "{run}");
    assert_eq!(world.version(), "one");
    fs::remove_file(world.app().join("process")).expect("the job wrote it");
    world.landfall(&["jobs", "run", "--detach", "import"]).ok();
}

#[test]
fn what_cannot_be_run_is_refused_with_what_can() {
    let world = with_jobs(&job("report", "true", ""));
    let unknown = world.landfall(&["jobs", "run", "reprot"]).exits(2);
    unknown.says(&["unknown-job", "report"]);
    world
        .landfall(&["jobs", "history", "reprot"])
        .exits(2)
        .says(&["unknown-job"]);
    world
        .landfall(&["jobs", "history", "report"])
        .ok()
        .says(&["never ran"]);
    write(
        &world,
        "two",
        "[job.never]\nrun = \"true\"\nschedule = \"0 0 30 2 *\"\n",
    );
    world
        .landfall(&["deploy"])
        .exits(2)
        .says(&["bad-schedule", "never comes"]);
    assert_eq!(world.live(), 1);
}

#[test]
fn the_hook_of_a_failed_deployment_runs_in_the_release_that_failed() {
    let hook = "[hook]\nfailed = \"echo $LANDFALL_FAILURE $LANDFALL_DEPLOYMENT $(cat version)\"\n";
    let world = World::with_web(hook);
    world.landfall(&["deploy"]).ok().hides("hook");
    world.web("two", &format!("migrate = \"exit 4\"\n{hook}"));
    let failed = world.landfall(&["deploy"]).exits(1);
    failed.says(&["migration-failed", "hook `failed`"]);
    let lines = world.landfall(&["logs", "--process", "hook-failed"]).ok();
    lines.says(&["migration-failed 2 two"]);
    // What the hook does changes nothing of how the deployment ended.
    let hook = "[hook]\nfailed = \"echo no webhook >&2; exit 5\"\n";
    world.web("two", &format!("migrate = \"exit 4\"\n{hook}"));
    let failed = world.landfall(&["deploy"]).exits(1);
    failed.says(&["migration-failed", "hook-failed", "exit 5"]);
    assert_eq!(world.version(), "one");
}
