//! Commands that a user executes in a service: `landfall run` and `landfall exec`.

use std::sync::Arc;

use landfall_api::wire::container::{ContainerExecution, Execution, ExecutionRequest};
use landfall_app::Name;
use landfall_containers::Engine;
use landfall_ledger::InstanceState;
use landfall_release::{Failure, Release};
use landfall_supervise::specification;

use super::{Asked, execution};
use crate::{
    host::{Host, ledger_failed},
    identifier::InstanceId,
    instance::View,
    report::remark,
    rollouts, runtime,
};

/// Makes everything ready for a command.
pub async fn prepare(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    request: ExecutionRequest,
) -> Result<Execution, Failure> {
    let asked = Asked {
        service: Some(request.service.clone()),
        process: request.process.clone(),
        one_off: request.one_off,
        ..Asked::default()
    };
    let own = execution(host, app, environment, &asked)?;
    let release = rollouts::live(host, app, environment)?;
    let services = &release.content.app.services;
    let found = services.get_key_value(request.service.as_str());
    let Some((service, _)) = found.filter(|(_, service)| runtime::contained(service)) else {
        return Ok(Execution::Process(own));
    };
    let told = specification::Execution {
        environment: own.environment,
        directory: Some(own.directory),
        ..specification::Execution::default()
    };
    let engine = host.engine().await?;
    let arguments = match request.one_off {
        true => one_off(host, &engine, &release, service, &request, &told).await?,
        false => inside(host, &release, service, &request, &told)?,
    };
    Ok(Execution::Container(ContainerExecution {
        engine: engine.address().to_string(),
        arguments,
    }))
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new("host-failed", error.to_string())
}

/// In a container that runs.
fn inside(
    host: &Host,
    release: &Release,
    service: &Name,
    request: &ExecutionRequest,
    told: &specification::Execution,
) -> Result<Vec<String>, Failure> {
    let app = &release.content.app;
    let rows = host
        .ledger
        .instances_of(&app.app, &app.environment)
        .map_err(ledger_failed)?;
    let mut live: Vec<_> = rows
        .into_iter()
        .filter(|row| row.service == *service && row.state == InstanceState::Live)
        .filter_map(|row| match host.instance(&row.id)?.view() {
            View::Alive(state) => Some((!state.ready, row.replica, row)),
            View::Gone(_) => None,
        })
        .collect();
    live.sort_by_key(|(unready, replica, _)| (*unready, *replica));
    let found = live
        .into_iter()
        .find_map(|(.., row)| Some((runtime::marker(&row.folder)?, row)));
    let (marker, row) = found.ok_or_else(|| {
        Failure::new("not-running", format!("no container of {service} runs"))
            .with("mend", "landfall run executes a command in one of its own")
    })?;
    let file = runtime::execution_file(&row.folder, told).map_err(failed)?;
    let file = file.hand_out();
    let mut arguments = vec!["exec", "--interactive"];
    if request.terminal {
        arguments.push("--tty");
    }
    arguments.extend([&marker.name, runtime::SUPERVISOR, "exec", &file, "--"]);
    let own = arguments.into_iter().map(str::to_owned);
    Ok(own.chain(request.command.iter().cloned()).collect())
}

/// In a container of its own, which is made here, started by whoever asked, and removed at its end.
async fn one_off(
    host: &Arc<Host>,
    engine: &Engine,
    release: &Release,
    service: &Name,
    request: &ExecutionRequest,
    told: &specification::Execution,
) -> Result<Vec<String>, Failure> {
    let app = &release.content.app;
    let id = InstanceId {
        app: app.app.to_string(),
        environment: app.environment.to_string(),
        service: service.to_string(),
        release: release.number.0,
        replica: 0,
        incarnation: format!("{}{}", runtime::BY_HAND, host.ledger.now()),
    };
    let id = id.to_string();
    let folder = host.home.instance(&id);
    let mut container = runtime::prepare_one_off(host, release, service, &id, &folder).await?;
    let file = runtime::execution_file(&folder, told).map_err(failed)?;
    let file = file.hand_out();
    container.command = [runtime::SUPERVISOR, "exec", &file, "--"]
        .map(str::to_owned)
        .to_vec();
    container.command.extend(request.command.iter().cloned());
    container.input = true;
    container.terminal = request.terminal;
    container.remove_at_end = true;
    let made = runtime::create(host, engine, &container).await?;
    let (host, engine) = (host.clone(), engine.clone());
    tokio::spawn(async move {
        let unused = async {
            tokio::time::sleep(runtime::UNUSED).await;
            let looked = engine.container(&made).await;
            let created = |status: &str| status == "created";
            if !looked.is_ok_and(|found| found.is_some_and(|found| created(&found.status))) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = engine.removed(&made) => if let Err(error) = ended {
                remark(&format!("{id}: {error}"));
            },
            () = unused => {}
        }
        runtime::sweep(&host, &id, &folder).await;
        let _ = tokio::fs::remove_dir_all(&folder).await;
    });
    let arguments = ["start", "--attach", "--interactive", &container.name];
    Ok(arguments.map(str::to_owned).to_vec())
}
