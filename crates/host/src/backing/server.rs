//! One backing service as it runs: started, waited for, stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use landfall_app::{
    Name, Reference, Value,
    model::{BackingKind, Runtime},
};
use landfall_containers::{ContainerSpecification, Mount};
use landfall_ledger::{BackingRow, InstanceRow, InstanceState};
use landfall_redact::Secret;
use landfall_release::{Failure, ReleaseNumber};
use landfall_supervise::{
    specification::{
        Health, Logs, Probe, Process, Restart, Sensitive, Specification, Stop, VERSION,
    },
    state::{Cause, ProcessPhase, ProcessState},
};
use sha2::{Digest as _, Sha256};

use super::{
    left,
    packages::{self, Programs},
    place,
    recipe::{Facts, Recipe, hexadecimal, recipe},
};
use crate::{
    diagnosis::ended,
    host::{Host, ledger_failed, not_adopted},
    identifier::InstanceId,
    instance::{AdoptError, Instance, View},
    runtime::{self, Launch},
    specification::SEGMENT,
};

/// A start may have to repair a large database first, and to end it then would begin it anew.
const LONGEST_START: u64 = 30 * 60 * 1000;
/// So many failures in a row at the start are no accident.
const FAILURES: u32 = 3;
/// Where a container of PostgreSQL finds its volume. Its data is a folder in it, for a volume may
/// have a `lost+found`.
const POSTGRES_VOLUME: &str = "/var/lib/backing";
/// Where a container of Redis finds its volume.
const REDIS_VOLUME: &str = "/data";
/// What the entry points of official images need: they begin as root, give their data to a user and
/// become that, whom the supervisor must be able to end.
const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "SETGID",
    "SETUID",
];

/// How long one may take to end where nobody says otherwise.
pub const GRACE: Duration = Duration::from_secs(60);

/// The passwords of a backing service.
#[derive(Clone)]
pub struct Passwords {
    /// That of apps.
    pub app: Secret,
    /// That of the superuser.
    pub superuser: Secret,
}

/// The id of its instance: one for all its life, so that there is never a second one.
pub fn id(app: &Name, environment: &Name, name: &Name) -> String {
    InstanceId {
        app: app.to_string(),
        environment: environment.to_string(),
        service: name.to_string(),
        release: 0,
        replica: 1,
        incarnation: "backing".to_owned(),
    }
    .to_string()
}

/// Its instance as those of releases are written down. It is in no table of these.
pub fn instance_row(host: &Host, row: &BackingRow) -> InstanceRow {
    let id = id(&row.app, &row.environment, &row.name);
    InstanceRow {
        folder: host.home.instance(&id),
        id,
        app: row.app.clone(),
        environment: row.environment.clone(),
        release: ReleaseNumber(0),
        service: row.name.clone(),
        replica: 1,
        port: Some(row.body.port),
        address: Some(row.body.address).filter(|address| !address.is_loopback()),
        boot_id: host.boot.clone(),
        state: InstanceState::Live,
        created_at: row.created_at,
    }
}

/// A folder of a container that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name on the Engine.
    pub name: String,
    /// Where it is in the container.
    pub target: String,
    /// Its folder on this machine: the one of the data, or one in that.
    pub folder: PathBuf,
}

/// What of its container is kept. An image has a folder in its data for each path, named by it, so
/// that another build of the image with other ones never finds the content of one in another.
pub fn volumes(row: &BackingRow) -> Vec<Volume> {
    let data = &row.body.data;
    let one = |target: &str| Volume {
        name: volume_name(row),
        target: target.to_owned(),
        folder: data.clone(),
    };
    let image = match row.body.wanted.kind {
        BackingKind::Postgres => return vec![one(POSTGRES_VOLUME)],
        BackingKind::Redis => return vec![one(REDIS_VOLUME)],
        BackingKind::Image(_) => row.body.image.as_ref(),
    };
    let own = image.map_or(&[][..], |image| &image.config.volumes);
    let wanted = row.body.wanted.data.iter();
    let paths: BTreeSet<_> = wanted.chain(own).map(|path| folded(path)).collect();
    let volumes = paths.into_iter().map(|target| {
        let folder = target.trim_matches('/').replace('/', "-");
        Volume {
            name: format!("{}.{folder}", volume_name(row)),
            folder: data.join(folder),
            target,
        }
    });
    volumes.collect()
}

/// A path without a slash at its end.
fn folded(path: &str) -> String {
    path.trim_end_matches('/').to_owned()
}

/// What is to be known of an image that keeps nothing.
pub fn keeps_nothing(row: &BackingRow) -> bool {
    row.body.runtime == Runtime::Container && volumes(row).is_empty()
}

/// The name of its volume: that of its data's folder, which another version has another of.
pub fn volume_name(row: &BackingRow) -> String {
    let folder = row.body.data.file_name().unwrap_or_default();
    format!(
        "landfall.{}.{}.{}.{}",
        row.app,
        row.environment,
        row.name,
        folder.to_string_lossy()
    )
}

/// Everything that it is started with.
pub struct Plan {
    /// What the supervisor is told.
    pub launch: Launch,
    /// Digest of all of it but passwords: with another one it has to be started again.
    pub digest: String,
    /// How long it may take to end.
    pub grace: Duration,
}

/// What it is started with.
pub fn plan(host: &Host, row: &BackingRow) -> Result<Plan, Failure> {
    let body = &row.body;
    let passwords = host.backing_passwords(&row.app, &row.environment, &row.name)?;
    let programs = match body.runtime {
        Runtime::Process => Some(packages::find(
            row.name.as_str(),
            &body.wanted.kind,
            Some(packages::major(&body.version)),
        )?),
        Runtime::Container => None,
    };
    let inside = match (body.runtime, &body.wanted.kind) {
        (Runtime::Process, _) => body.data.display().to_string(),
        (_, BackingKind::Postgres) => format!("{POSTGRES_VOLUME}/data"),
        (_, _) => volumes(row)
            .into_iter()
            .next()
            .map_or_else(String::new, |volume| volume.target),
    };
    let recipe = recipe(&Facts {
        wanted: &body.wanted,
        port: body.port,
        data: &inside,
        programs: programs.as_ref(),
        image: body.image.as_ref().map(|image| &image.config),
        password: &passwords.app,
        superuser: &passwords.superuser,
        env: image_environment(host, row)?,
    });
    let container = (body.runtime == Runtime::Container).then(|| container(host, row));
    let grace = Duration::from_secs(recipe.grace);
    let (specification, sensitive) =
        specify(host, row, recipe, &passwords, programs.as_ref(), &inside)?;
    let own = instance_row(host, row);
    Ok(Plan {
        digest: digest(row),
        launch: Launch {
            id: own.id,
            folder: own.folder,
            specification,
            sensitive,
            container,
        },
        grace,
    })
}

/// What a change of needs a restart: what the file says, and the image. Not what this program makes
/// of it, which another version of this program makes otherwise.
fn digest(row: &BackingRow) -> String {
    let wanted = &row.body.wanted;
    let image = row.body.image.as_ref().map(|image| image.id.as_str());
    let facts = serde_json::json!({
        "runtime": row.body.runtime,
        "image": image,
        "memory": wanted.memory,
        "cpu": wanted.cpu,
        "settings": wanted.settings,
        "save": wanted.save,
        "env": wanted.env,
        "command": wanted.command,
        "data": wanted.data,
        "health": wanted.health,
        "port": row.body.port,
    });
    hexadecimal(&Sha256::digest(facts.to_string()))
}

fn specify(
    host: &Host,
    row: &BackingRow,
    recipe: Recipe,
    passwords: &Passwords,
    programs: Option<&Programs>,
    inside: &str,
) -> Result<(Specification, Sensitive), Failure> {
    let wanted = &row.body.wanted;
    let plain = row.body.runtime == Runtime::Process;
    let name = row.name.to_string();
    let logs = host.log_folder(&row.app, &row.environment, &row.name)?;
    let ready = match recipe.ready {
        Some(command) => Probe::Run { command },
        None => Probe::Tcp {
            address: (super::address::LOOPBACK, row.body.port).into(),
        },
    };
    let account = programs.and_then(|_| place::account(&wanted.kind));
    let process = Process {
        name: name.clone(),
        command: recipe.command,
        ends: false,
        directory: None,
        environment: recipe.plain,
        after: Vec::new(),
        required: true,
        front: false,
        health: Health {
            ready: Some(ready),
            live: None,
            start: LONGEST_START,
            interval: 5000,
            timeout: 5000,
            retries: 2,
            up: 0,
        },
        nice: 0,
        memory: None,
        cpu: None,
        user: account.map(|account| account.user),
    };
    let image_directory = row.body.image.as_ref().map(|image| &image.config.directory);
    let directory = match (plain, image_directory) {
        // So that it is found by it, whatever became of its environment.
        (true, _) => PathBuf::from(inside),
        (false, Some(directory)) if !directory.is_empty() => directory.into(),
        (false, _) => "/".into(),
    };
    let specification = Specification {
        version: VERSION,
        instance: id(&row.app, &row.environment, &row.name),
        directory,
        port: None,
        processes: vec![process],
        stop: Stop {
            signal: recipe.signal,
            grace: recipe.grace * 1000,
        },
        restart: Restart {
            delay: 300,
            max_delay: 30_000,
            reset: 60_000,
            attempts: 0,
            ..Restart::default()
        },
        logs: Logs::Segments {
            folder: logs,
            segment: SEGMENT,
            keep: 256 << 20,
        },
        sockets: Vec::new(),
        health: None,
        memory: wanted.memory.filter(|_| plain).map(|memory| memory.bytes()),
        cpu: wanted.cpu.filter(|_| plain).map(|cpu| cpu.thousandths()),
        shared: false,
    };
    let mask = [
        (format!("{name} password"), &passwords.app),
        (format!("{name} superuser password"), &passwords.superuser),
    ];
    let mut mask: BTreeMap<_, _> = mask
        .into_iter()
        .map(|(name, value)| (name, value.expose().to_owned()))
        .collect();
    mask.extend(recipe.secret.clone());
    let sensitive = Sensitive {
        environment: BTreeMap::from([(name, recipe.secret)]),
        mask,
    };
    Ok((specification, sensitive))
}

/// The environment that the file gives an image: plain and secret values.
type Variables = BTreeMap<String, String>;
fn image_environment(host: &Host, row: &BackingRow) -> Result<(Variables, Variables), Failure> {
    let (mut plain, mut secret) = (Variables::new(), Variables::new());
    let env = &row.body.wanted.env;
    if env.is_empty() {
        return Ok((plain, secret));
    }
    let release = host.release(&row.app, &row.environment, row.body.release)?;
    let secrets = host.secrets(&release.content)?;
    for (variable, value) in env {
        let Value::Text(template) = value else {
            let key = format!("backing:{}.{variable}", row.name);
            let value = host.made_up(&row.app, &row.environment, &key, 32)?;
            secret.insert(variable.clone(), value.expose().to_owned());
            continue;
        };
        let mut hidden = false;
        let text = template.render(|reference| match reference {
            Reference::Secret(name) => {
                hidden = true;
                let value = secrets.get(name).map(|value| value.expose().to_owned());
                value
                    .ok_or_else(|| crate::specification::missing_secret(name, &release.content.app))
            }
            other => Err(Failure::new(
                "bad-reference",
                format!(
                    "`${{{other}}}` in the environment of {}, which starts first",
                    row.name
                ),
            )),
        })?;
        let values = if hidden { &mut secret } else { &mut plain };
        values.insert(variable.clone(), text);
    }
    Ok((plain, secret))
}

fn container(host: &Host, row: &BackingRow) -> ContainerSpecification {
    let id = id(&row.app, &row.environment, &row.name);
    let image = row.body.image.as_ref();
    let mut container = runtime::frame(
        host,
        runtime::Frame {
            app: &row.app,
            environment: &row.environment,
            service: &row.name,
            release: 0,
            id: &id,
            image: image.map_or("", |image| image.id.as_str()),
            aliases: vec![row.name.to_string()],
        },
    );
    if let Some(attachment) = &mut container.attachment {
        attachment.address = Some(row.body.address);
    }
    let volumes = volumes(row).into_iter().map(|volume| Mount::Volume {
        name: volume.name,
        target: volume.target,
    });
    container.mounts.extend(volumes);
    let wanted = &row.body.wanted;
    container.capabilities = CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    container.memory = wanted.memory.map(|memory| memory.bytes());
    container.cpu = wanted.cpu.map(|cpu| cpu.thousandths());
    if wanted.kind == BackingKind::Postgres {
        // Parallel queries share their memory there.
        let shared = wanted.memory.map_or(256 << 20, |memory| memory.bytes() / 4);
        container.shared_memory = Some(shared.max(64 << 20));
    }
    container
}

/// Whether its supervisor lives; adopted now where it does.
pub async fn runs(host: &Arc<Host>, row: &BackingRow) -> bool {
    let own = instance_row(host, row);
    match host.instance(&own.id).map(|instance| instance.view()) {
        Some(View::Alive(_)) => true,
        _ => host.adopt(&own).await.is_ok(),
    }
}

/// Gives it another address, which is kept, where its network was made anew with other ones. Nothing
/// of the old network is left then that could still use the old one.
pub async fn readdress(host: &Host, row: &mut BackingRow) -> Result<(), Failure> {
    if row.body.runtime != Runtime::Container {
        return Ok(());
    }
    let network = runtime::network(host, &row.app, &row.environment).await?;
    if network.subnet.contains(row.body.address) {
        return Ok(());
    }
    // One after the other, for all of an environment begin at once.
    let changing = host.backing.changing.lock();
    let _one = changing.unwrap_or_else(PoisonError::into_inner);
    let rows = host.ledger.backings_of(&row.app, &row.environment);
    let (own, others): (Vec<_>, Vec<_>) = rows
        .map_err(ledger_failed)?
        .into_iter()
        .partition(|other| other.name == row.name);
    let free = (0..)
        .map_while(|number| network.fixed_address(number))
        .find(|address| others.iter().all(|other| other.body.address != *address));
    row.body.address = free.ok_or_else(|| {
        let message = format!("no address is free for {} on its network", row.name);
        Failure::new("backing-failed", message)
    })?;
    for mut own in own {
        own.body.address = row.body.address;
        host.put_backing(&own)?;
    }
    Ok(())
}

/// Starts it, or adopts it where it runs already. Nothing is waited for.
pub async fn start(
    host: &Arc<Host>,
    row: &BackingRow,
    plan: &Plan,
) -> Result<Arc<Instance>, Failure> {
    let own = instance_row(host, row);
    match host
        .instance(&own.id)
        .map(|instance| (instance.view(), instance))
    {
        Some((View::Alive(_), instance)) => return Ok(instance),
        _ => match host.adopt(&own).await {
            Ok(instance) => return Ok(instance),
            Err(AdoptError::Gone { .. }) => {}
            Err(error) => return Err(not_adopted(error)),
        },
    }
    // A server without its supervisor is nobody's: never two on one folder of data.
    left::leave_nothing(host, row, plan.grace).await?;
    if row.body.runtime == Runtime::Container {
        runtime::network(host, &row.app, &row.environment).await?;
        let labels = runtime::labels(host, &row.app, &row.environment);
        for volume in volumes(row) {
            let folder = &volume.folder;
            place::open_folder(folder).map_err(|error| {
                let message = format!("{} can't be made: {error}", folder.display());
                Failure::new("backing-failed", message)
            })?;
            let engine = host.engine().await?;
            engine.ensure_volume(&volume.name, folder, &labels).await?;
        }
    }
    runtime::launch(host, &plan.launch).await?;
    host.adopt(&own).await.map_err(not_adopted)
}

/// Waits until it is ready, or until it is clear that it won't be.
pub async fn ready(row: &BackingRow, instance: &Instance) -> Result<(), Failure> {
    let mut view = instance.watch();
    loop {
        let now = view.borrow_and_update().clone();
        match &now {
            View::Alive(state) if state.healthy => return Ok(()),
            View::Alive(state) => {
                let failed = state.processes.iter().find(|process| {
                    process.phase == ProcessPhase::Failed
                        || process.failures >= FAILURES
                        || process
                            .last_exit
                            .as_ref()
                            .is_some_and(|exit| matches!(exit.cause, Some(Cause::NotExecuted(_))))
                });
                if let Some(process) = failed {
                    return Err(doesnt_start(row, process));
                }
            }
            View::Gone(state) => {
                let process = state.as_ref().and_then(|state| state.processes.first());
                return Err(match process {
                    Some(process) => doesnt_start(row, process),
                    None => Failure::new(
                        "backing-failed",
                        format!("the supervisor of {} ended", row.name),
                    ),
                });
            }
        }
        if view.changed().await.is_err() {
            let message = format!("nothing is known of {} any more", row.name);
            return Err(Failure::new("backing-failed", message));
        }
    }
}

fn doesnt_start(row: &BackingRow, process: &ProcessState) -> Failure {
    let how = match &process.last_exit {
        Some(exit) => ended(exit),
        None => "it is not ready".to_owned(),
    };
    let failure = Failure::new(
        "backing-failed",
        format!("{} doesn't start: {how}", row.name),
    );
    let words: Vec<&str> = process.last_words.iter().map(String::as_str).collect();
    match words.is_empty() {
        true => failure,
        false => failure.with("its last words", words.join("\n")),
    }
    .with(
        "mend",
        format!(
            "landfall logs {} says more; its data is untouched",
            row.name
        ),
    )
}

/// Stops it and waits for the end. Whoever calls this has noted that it shouldn't run.
pub async fn stop(host: &Arc<Host>, row: &BackingRow, grace: Duration) -> Result<(), Failure> {
    let own = instance_row(host, row);
    runtime::end(host, &own.id, &own.folder, grace).await;
    left::leave_nothing(host, row, Duration::from_secs(5)).await?;
    // Whoever stops it goes on to move its data, or to start another on it.
    let gone = async {
        while runtime::runs_on(&own.folder) {
            // A process that isn't our child tells nobody of its end; it was killed just now.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .map_err(|_| {
            let message = format!(
                "{} can't be ended: its container runs on, and the Docker Engine doesn't end it",
                row.name
            );
            Failure::new("backing-failed", message).with("mend", "docker ps; then again")
        })
}

#[cfg(test)]
mod tests;
