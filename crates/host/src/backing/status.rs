//! How backing services are: views of the ledger, of supervisors and of the servers themselves.

use std::{sync::Arc, time::Duration};

use landfall_api::wire::{
    Usage,
    backing::{BackingClient, BackingStatus, Kept, UseOf},
};
use landfall_app::{
    Name,
    model::{BackingKind, Runtime},
};
use landfall_ledger::BackingRow;
use landfall_release::{Failure, Release};
use landfall_supervise::{specification::Execution, state::State};
use tokio::task::JoinSet;

use super::{
    databases::{self, Use},
    disk, packages, server,
};
use crate::{
    host::{Host, ledger_failed},
    instance::View,
    runtime::{self, Processes},
};

/// A status waits so long for what a server says of itself.
const PATIENCE: Duration = Duration::from_millis(700);

/// What it is, in a word.
pub fn kind(kind: &BackingKind) -> String {
    match kind {
        BackingKind::Postgres => "postgres".to_owned(),
        BackingKind::Redis => "redis".to_owned(),
        BackingKind::Image(image) => image.clone(),
    }
}

/// All of an environment: its own, kept ones that no file names any more, and others' that it uses.
pub async fn statuses(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    release: Option<&Release>,
) -> Result<Vec<BackingStatus>, Failure> {
    let rows = host
        .ledger
        .backings_of(app, environment)
        .map_err(ledger_failed)?;
    let mut asking = JoinSet::new();
    for row in rows.into_iter().filter(|row| row.body.upgrade_of.is_none()) {
        let named = release.is_none_or(|release| {
            let backing = release.content.app.backing.get(&row.name);
            backing.is_some_and(|backing| backing.own())
        });
        let host = host.clone();
        asking.spawn(async move { own(&host, row, named).await });
    }
    let mut all = Vec::new();
    while let Some(status) = asking.join_next().await {
        all.push(status.map_err(|error| Failure::new("host-failed", error.to_string()))??);
    }
    if let Some(release) = release {
        all.extend(others(host, release));
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

async fn own(host: &Arc<Host>, row: BackingRow, named: bool) -> Result<BackingStatus, Failure> {
    let passwords = host.backing_passwords(&row.app, &row.environment, &row.name)?;
    let state = state(host, &row);
    let ready = row.running && state.as_ref().is_some_and(|state| state.healthy);
    let said = match ready {
        true => databases::ask(&row, &passwords, PATIENCE).await,
        false => databases::Said::default(),
    };
    let disk = match disk::measure(host, &row).await {
        None => said.size,
        used => used,
    };
    let limit = row.body.wanted.disk.map(|size| size.bytes());
    let full = disk::is_full(disk, limit);
    let process = state.as_ref().and_then(|state| state.processes.first());
    let id = server::id(&row.app, &row.environment, &row.name);
    let processes = Processes::of(&host.home.instance(&id));
    let outside = process
        .and_then(|process| process.pid)
        .and_then(|pid| processes.outside(pid));
    let mut usage = outside.map_or(Usage::default(), |pid| {
        host.samples.take(&id, row.name.as_str(), pid)
    });
    if process.is_some() && row.body.runtime == Runtime::Container {
        let whole = of_container(host, &id, outside).await;
        usage.memory = whole.unwrap_or(usage.memory);
    }
    let reason = match (&state, ready, full) {
        _ if !row.running => Some("stopped".to_owned()),
        (None, ..) => Some("its supervisor doesn't answer".to_owned()),
        (Some(state), false, _) => state.reason.clone().or(Some("not ready".to_owned())),
        (_, true, true) => Some(format!("over {} % of its disk", disk::FULL)),
        (_, true, false) => None,
    };
    let use_of = |of: Option<Use>| {
        of.map(|of| UseOf {
            used: of.used,
            limit: of.limit,
        })
    };
    let last_words = process.filter(|_| row.running && !ready);
    Ok(BackingStatus {
        kind: kind(&row.body.wanted.kind),
        version: said.version.or_else(|| Some(row.body.version.clone())),
        runtime: Some(row.body.runtime),
        image: row.body.image.as_ref().map(|image| image.reference.clone()),
        address: format!("{}:{}", row.body.address, row.body.port),
        wanted: row.running,
        named,
        healthy: ready && !full,
        reason,
        phase: process.map(|process| process.phase),
        started_at: process.and_then(|process| process.started_at),
        restarts: process.map_or(0, |process| process.restarts),
        usage,
        memory_limit: row.body.wanted.memory.map(|memory| memory.bytes()),
        disk,
        disk_limit: limit,
        connections: use_of(said.connections),
        data_memory: use_of(said.data_memory),
        database: Some(row.body.database.clone()).filter(|name| !name.is_empty()),
        kept: row
            .body
            .kept
            .iter()
            .map(|kept| Kept {
                version: kept.version.clone(),
                folder: kept.folder.clone(),
                at: kept.at,
            })
            .collect(),
        last_words: last_words.map_or_else(Vec::new, |process| process.last_words.clone()),
        name: row.name,
    })
}

/// The memory that the container of one takes, as its limit counts it: what its processes share is
/// nobody's else there, and is most of what a PostgreSQL has.
async fn of_container(host: &Host, id: &str, process: Option<u32>) -> Option<u64> {
    if let Some(whole) = process.and_then(landfall_containers::Usage::of_pid) {
        return Some(whole.memory);
    }
    let name = runtime::container_name(id);
    let asked = super::within(PATIENCE, async {
        let engine = host.engine().await.ok()?;
        engine.usage(&name).await.ok()?
    });
    asked.await.flatten().map(|whole| whole.memory)
}

/// Those of others: where they are. Whether they answer was seen by the last deployment, and is
/// theirs to say.
fn others(host: &Host, release: &Release) -> Vec<BackingStatus> {
    let addresses = host.backing_addresses(&release.content).unwrap_or_default();
    let app = &release.content.app;
    let external = app.backing.iter().filter(|(_, backing)| !backing.own());
    external
        .map(|(name, backing)| {
            let address = addresses.get(name);
            BackingStatus {
                name: name.clone(),
                kind: kind(&backing.kind),
                version: None,
                runtime: None,
                image: None,
                address: address.map_or_else(String::new, |address| {
                    format!("{}:{}", address.host, address.port)
                }),
                wanted: true,
                named: true,
                healthy: true,
                reason: None,
                phase: None,
                started_at: None,
                restarts: 0,
                usage: Usage::default(),
                memory_limit: None,
                disk: None,
                disk_limit: None,
                connections: None,
                data_memory: None,
                database: address
                    .map(|address| address.name.clone())
                    .filter(|name| !name.is_empty()),
                kept: Vec::new(),
                last_words: Vec::new(),
            }
        })
        .collect()
}

fn state(host: &Host, row: &BackingRow) -> Option<State> {
    let id = server::id(&row.app, &row.environment, &row.name);
    match host.instance(&id)?.view() {
        View::Alive(state) => Some(*state),
        View::Gone(_) => None,
    }
}

/// Whether every backing service that a release names is well, as far as it is known now.
pub fn healthy(host: &Host, release: &Release) -> Result<bool, Failure> {
    let app = &release.content.app;
    for (name, backing) in super::own(app) {
        let row = host
            .ledger
            .backing(&app.app, &app.environment, name)
            .map_err(ledger_failed)?;
        let Some(row) = row else { return Ok(false) };
        let ready = state(host, &row).is_some_and(|state| state.healthy);
        let used = host
            .backing
            .disks
            .used(&server::id(&app.app, &app.environment, name));
        if !ready || disk::is_full(used, backing.disk.map(|size| size.bytes())) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a client of one is executed with.
pub fn client(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    name: &Name,
    execute: bool,
) -> Result<BackingClient, Failure> {
    let row = super::known(host, app, environment, name);
    let row = match row {
        Ok(row) => row,
        Err(failure) => match host
            .ledger
            .live_release(app, environment)
            .map_err(ledger_failed)?
        {
            Some(release) => return others_client(host, &release, name, failure),
            None => return Err(failure),
        },
    };
    if !state(host, &row).is_some_and(|state| state.healthy) {
        let message = format!("{name} doesn't take connections now");
        return Err(Failure::new("not-running", message).with("mend", "landfall status says why"));
    }
    let passwords = host.backing_passwords(app, environment, name)?;
    let body = &row.body;
    let own = server::instance_row(host, &row);
    let contained = body.runtime == Runtime::Container;
    let programs = match body.runtime {
        Runtime::Process => Some(
            packages::find(
                name.as_str(),
                &body.wanted.kind,
                Some(packages::major(&body.version)),
            )?
            .folder,
        ),
        Runtime::Container => None,
    };
    let address = super::BackingAddress::own(&row, passwords.app);
    // In its container it is at home.
    let host_inside = if contained {
        "127.0.0.1"
    } else {
        &address.host
    };
    let environment = login(&body.wanted.kind, host_inside, &address);
    let mut execution = Vec::new();
    if contained && execute {
        let mut whole = body
            .image
            .as_ref()
            .map(|image| image.config.environment.clone())
            .unwrap_or_default();
        whole.extend(environment.clone());
        whole.entry("HOME".to_owned()).or_insert("/tmp".to_owned());
        let file = runtime::execution_file(
            &own.folder,
            &Execution {
                environment: whole,
                ..Execution::default()
            },
        )
        .map_err(|error| Failure::new("host-failed", error.to_string()))?;
        execution = [runtime::SUPERVISOR, "exec", &file.hand_out(), "--"]
            .map(str::to_owned)
            .to_vec();
    }
    Ok(BackingClient {
        kind: kind(&body.wanted.kind),
        host: address.host.clone(),
        port: address.port,
        user: address.user.clone(),
        password: address.password.expose().to_owned(),
        database: address.name.clone(),
        url: address.url.expose().to_owned(),
        programs,
        container: contained.then(|| runtime::container_name(&own.id)),
        execution,
        environment,
    })
}

fn others_client(
    host: &Host,
    release: &Release,
    name: &Name,
    unknown: Failure,
) -> Result<BackingClient, Failure> {
    let mut addresses = host.backing_addresses(&release.content)?;
    let (Some(address), Some(backing)) = (
        addresses.remove(name),
        release.content.app.backing.get(name),
    ) else {
        return Err(unknown);
    };
    Ok(BackingClient {
        kind: kind(&backing.kind),
        environment: login(&backing.kind, &address.host, &address),
        host: address.host,
        port: address.port,
        user: address.user,
        password: address.password.expose().to_owned(),
        database: address.name,
        url: address.url.expose().to_owned(),
        programs: None,
        container: None,
        execution: Vec::new(),
    })
}

/// What the programs of a kind log in with.
fn login(
    kind: &BackingKind,
    host: &str,
    address: &super::BackingAddress,
) -> std::collections::BTreeMap<String, String> {
    let pairs = match kind {
        BackingKind::Postgres => vec![
            ("PGHOST", host.to_owned()),
            ("PGPORT", address.port.to_string()),
            ("PGUSER", address.user.clone()),
            ("PGPASSWORD", address.password.expose().to_owned()),
            ("PGDATABASE", address.name.clone()),
        ],
        BackingKind::Redis => vec![("REDISCLI_AUTH", address.password.expose().to_owned())],
        BackingKind::Image(_) => Vec::new(),
    };
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
