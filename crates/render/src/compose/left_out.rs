//! What the app file says and a compose file can't: each a note, so that nothing goes missing in silence.

use landfall_app::{
    Name,
    model::{
        GiveUp, Priority, Process, ProcessKind, Public, Replicas, Runtime, SecretsFrom, Service,
        StartOrder, Strategy, Target,
    },
    units::Time,
};

use super::value::Writer;

const PROXY: &str = "needs a reverse proxy in front, for Compose has none";

/// Of the app as a whole.
pub fn of_app(writer: &mut Writer<'_>) {
    let app = writer.app;
    let mut note = |setting: &str, said: &str| writer.note(setting, said);
    note(
        "strategy",
        "docker compose up ends the old containers before it starts new ones: nobody answers in between, and a release that fails isn't undone",
    );
    note(
        "env",
        "LANDFALL_APP, LANDFALL_SERVICE and the like, and LANG, aren't set: compose.override.yaml can, for an app that reads them",
    );
    if app.target != Target::Local {
        note(
            "target",
            "run docker compose there, or from here by DOCKER_HOST=ssh://user@host",
        );
    }
    if app.basic_auth.is_some() {
        note("basic-auth", PROXY);
    }
    if !app.alerts.is_empty() {
        note("alerts", "nothing watches");
    }
    if !app.notify.is_empty() {
        note("notify", "nobody is told of a deployment");
    }
    if app.pipeline.is_some() {
        note(
            "pipeline",
            "its tests belong into what runs docker compose: landfall render github writes that",
        );
    }
    if app.branch.is_some() || app.verified_in.is_some() || app.approvals > 0 {
        note(
            "environment",
            "`branch`, `verified-in` and `approvals` belong into what runs docker compose",
        );
    }
    if app.per_pull_request || app.expires.is_some() {
        note(
            "environment",
            "`per-pull-request` and `expires`: run it by docker compose --project-name for each, and end it by down",
        );
    }
    if !app.registries.is_empty() {
        note("registry", "docker login, once on the machine that pulls");
    }
    if app.secrets_from != SecretsFrom::File {
        note(
            "secrets.from",
            "nothing asks there: what starts docker compose must write .env from it",
        );
    }
    if app
        .services
        .values()
        .any(|service| !service.secrets.is_empty())
    {
        note(
            "secrets",
            "they stand in .env, readable by whoever can read it, and in the containers' environment, which docker inspect shows",
        );
    }
    note("logs.keep", "the Engine keeps logs by size, not by age");
}

/// Of a service.
pub fn of_service(writer: &mut Writer<'_>, name: &Name, service: &Service) {
    let local = writer.local;
    let mut note = |key: &str, said: &str| writer.note(format!("service.{name}.{key}"), said);
    if !service.domains.is_empty() {
        note("domains", PROXY);
    }
    if !service.routes.is_empty() {
        note("routes", PROXY);
    }
    if service.public != Public::No && service.publish.is_none() {
        note("public", "say `publish`, or put a reverse proxy in front");
    }
    // What serves pages in their image does these.
    let site = service.static_files.is_some();
    if !service.redirects.is_empty() && !site {
        note("redirects", PROXY);
    }
    if service.cors.is_some() && !site {
        note(
            "cors",
            "answered by the edge, which isn't here: the app has to do it",
        );
    }
    let http = &service.http;
    let shaped = http.timeout != Time::from_secs(60)
        || http.max_body.is_some()
        || http.rate_per_second.is_some()
        || !http.headers.is_empty();
    if shaped && !site {
        note("http", PROXY);
    }
    if !service.smoke.is_empty() {
        note("smoke", "fetch these pages after docker compose up --wait");
    }
    if service.observe.is_some() {
        note(
            "observe",
            "nothing watches a release after its start, or rolls it back",
        );
    }
    match &service.strategy {
        Strategy::BlueGreen | Strategy::Recreate => {}
        Strategy::Rolling { .. } => note("strategy", "all containers are replaced at once"),
        Strategy::Canary { .. } => note(
            "strategy",
            "no part of the traffic can be led to a new release",
        ),
    }
    if let Replicas::Scaled { min, .. } = service.replicas {
        note(
            "replicas",
            &format!("{min} run: nothing scales them by load"),
        );
    }
    if service.start == StartOrder::OneFirst {
        note("start", "all replicas start at once");
    }
    if service.scan.is_some() {
        note(
            "scan",
            "scan its image before docker compose up, by trivy or grype",
        );
    }
    if let Some(disk) = service.disk {
        note(
            "disk",
            &format!("{disk} can be held by the Engine on XFS with quotas alone, so it isn't set"),
        );
    }
    let restart = &service.restart;
    let pauses = (restart.delay, restart.max_delay, restart.reset);
    let usual = [1, 60, 600].map(Time::from_secs);
    if restart.give_up != GiveUp::Never || pauses != (usual[0], usual[1], usual[2]) {
        note(
            "restart",
            "the Engine starts it again for ever, with pauses of its own",
        );
    }
    if service.runtime == Runtime::Process && service.static_files.is_none() {
        note("runtime", "it is a container here, built by its Dockerfile");
    }
    if service.health.live.is_some()
        || service
            .processes
            .iter()
            .any(|process| process.health.live.is_some())
    {
        note(
            "health.live",
            "a container that isn't healthy any more goes on: Compose starts none again for that",
        );
    }
    for (volume, facts) in &service.volumes {
        if facts.backup.is_some() {
            note(
                &format!("volumes.{volume}.backup"),
                "nothing backs it up here",
            );
        }
    }
    if !service.volumes.is_empty() {
        note(
            "volumes",
            "a new one belongs to whom the image gives that folder, to root where it has none: make it in the Dockerfile",
        );
    }
    let stays = |process: &&Process| matches!(process.kind, ProcessKind::Stays(_));
    let several = service.processes.iter().filter(stays).count() > 1;
    if !several
        && service
            .processes
            .iter()
            .any(|process| matches!(process.kind, ProcessKind::Ends(_)))
    {
        note(
            "process",
            "what runs before it does so in a container of its own: only volumes are common to both",
        );
    }
    for process in &service.processes {
        let key = format!("process.{}", process.name);
        if several && !process.front && process.health.ready.is_some() {
            note(
                &format!("{key}.health"),
                "a container has one health check, that of the process that listens",
            );
        }
        if process.memory.is_some() || process.cpu.is_some() || process.priority != Priority::Normal
        {
            note(
                &key,
                "a container's processes share its limits and its priority",
            );
        }
    }
    if !local && service.publish.is_some() {
        note(
            "publish",
            "the Engine opens it past the rules of ufw and its like",
        );
    }
    if local && service.publish.is_none() && service.port.is_some() {
        note(
            "port",
            "reached by the other services alone; `publish` opens it to this machine",
        );
    }
    if local && service.publish.is_some() {
        note(
            "publish",
            "opened to this machine alone, since this is for development",
        );
    }
}
