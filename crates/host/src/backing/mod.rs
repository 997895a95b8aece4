//! Backing services: databases and caches that an app uses, brought up and kept by this host.
//!
//! One is an instance as every other: a folder with a supervisor in it, as a plain process of this
//! machine's packages or as process 1 of its image. It belongs to an environment and to no release:
//! no deployment makes it anew, and nothing but `down --purge` removes its data.

mod address;
mod databases;
mod difference;
mod disk;
mod external;
mod hold;
mod image;
mod initial;
mod left;
mod mover;
mod packages;
mod place;
mod prepare;
mod recipe;
mod resp;
mod scram;
mod scratch;
mod server;
mod sql;
mod status;
mod upgrade;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use landfall_app::{App, Name, model::Backing};
use landfall_ledger::{BackingBody, BackingRow};
use landfall_redact::Secret;
use landfall_release::{Content, Failure, Purpose, Release, Rollout, Step};
use tokio::{sync::OwnedMutexGuard, task::JoinSet, time::timeout};

use crate::host::{Host, ledger_failed};

pub use address::BackingAddress;
pub use disk::{Disks, look as look_at_disks};
pub use hold::{hold, note_set_aside, resume};
pub use prepare::{look, reference as image_reference, rendered};
pub use scratch::{Source, own_files, sweep as sweep_scratch};
pub use server::id;
pub use status::{client, healthy, statuses};
pub use upgrade::upgrade;
pub use watch::{Returns, hear, recover};

/// What a host holds of its backing services beside the ledger.
#[derive(Default)]
pub struct Kept {
    /// One change of each at a time.
    changing: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// What they take of the disk.
    pub disks: Disks,
    /// When they were brought back.
    pub returns: Returns,
}

/// What changing one takes: nothing else does it meanwhile.
pub type Changing = OwnedMutexGuard<()>;

/// Brings an environment's own backing services up, and waits until they are ready.
pub async fn provision(host: &Arc<Host>, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let mut all = JoinSet::new();
    for (name, backing) in own(&release.content.app) {
        let (host, release, name) = (host.clone(), release.clone(), name.clone());
        let (rollout, backing) = (rollout.clone(), backing.clone());
        all.spawn(async move {
            let told = |said: String| host.progress(&rollout, Step::Provision, said);
            one(&host, &release, rollout.purpose, &name, &backing, &told).await
        });
    }
    let (mut said, mut failed) = (Vec::new(), None);
    // Each to its end, so that none is left half made by the failure of another.
    while let Some(result) = all.join_next().await {
        let result = result.map_err(|error| Failure::new("host-failed", error.to_string()));
        match result.and_then(|result| result) {
            Ok(one) => said.push(one),
            Err(failure) => {
                failed.get_or_insert(failure);
            }
        }
    }
    said.sort();
    failed.map_or(Ok(said.join("; ")), Err)
}

/// Those that are ours to provision.
fn own(app: &App) -> impl Iterator<Item = (&Name, &Backing)> {
    app.backing.iter().filter(|(_, backing)| backing.own())
}

/// Brings one up as the release says; what was done, in a few words.
async fn one(
    host: &Arc<Host>,
    release: &Release,
    purpose: Purpose,
    name: &Name,
    wanted: &Backing,
    told: &(impl Fn(String) -> Result<(), Failure> + Sync),
) -> Result<String, Failure> {
    let app = &release.content.app;
    let _changing = host.change_backing(&app.app, &app.environment, name).await;
    let before = host
        .ledger
        .backing(&app.app, &app.environment, name)
        .map_err(ledger_failed)?;
    let wanted = &prepare::settled(purpose, wanted, before.as_ref().map(|row| &row.body));
    prepare::refuse(name, wanted, before.as_ref().map(|row| &row.body))?;
    let mut row = prepare::row(host, release, name, wanted, before.as_ref()).await?;
    if !row.body.initialized {
        told(format!("making {name}"))?;
    }
    host.put_backing(&row)?;
    let started = up(host, &mut row, before.as_ref(), told).await;
    let said = match (started, before) {
        (Ok(said), _) => said,
        (Err(failure), Some(before)) if before.running && before.body.initialized => {
            return Err(back(host, &last_good(before), failure).await);
        }
        (Err(failure), _) => {
            // What never ran has nothing to serve, and needn't be tried for ever.
            let grace = Duration::from_secs(10);
            host.ledger
                .set_backing_running(&row.app, &row.environment, &row.name, false)
                .map_err(ledger_failed)?;
            server::stop(host, &row, grace).await?;
            return Err(failure);
        }
    };
    initial::settle(host, release, &mut row).await?;
    row.body.previous = None;
    host.put_backing(&row)?;
    Ok(said)
}

/// As it last ran well: not as a host left it that was killed while it changed it.
fn last_good(mut row: BackingRow) -> BackingRow {
    if let Some(previous) = row.body.previous.take() {
        row.body = *previous;
    }
    row
}

/// Starts one or finds it running as it should; starts it again where it should run otherwise.
async fn up(
    host: &Arc<Host>,
    row: &mut BackingRow,
    before: Option<&BackingRow>,
    told: &(impl Fn(String) -> Result<(), Failure> + Sync),
) -> Result<String, Failure> {
    prepare::data(host, row).await?;
    server::readdress(host, row).await?;
    let plan = server::plan(host, row)?;
    let other = before.is_some_and(|before| before.body.digest != plan.digest);
    let runs = server::runs(host, row).await;
    let name = &row.name;
    if runs && other {
        told(format!("restarting {name} for its new settings"))?;
        let why = before.map(|before| difference::difference(&before.body, &row.body));
        server::stop(host, row, plan.grace).await?;
        row.body.digest.clone_from(&plan.digest);
        host.put_backing(row)?;
        let instance = server::start(host, row, &plan).await?;
        server::ready(row, &instance).await?;
        let why = why.unwrap_or_default();
        return Ok(match why.is_empty() {
            true => format!("{name} restarted"),
            false => format!("{name} restarted: {why}"),
        });
    }
    row.body.digest.clone_from(&plan.digest);
    host.put_backing(row)?;
    let instance = server::start(host, row, &plan).await?;
    server::ready(row, &instance).await?;
    let said = match (runs, row.body.initialized) {
        (true, true) => format!("{name} runs"),
        (false, true) => format!("{name} started"),
        (_, false) => format!("{name} made"),
    };
    Ok(match server::keeps_nothing(row) {
        true => {
            format!("{said}, which keeps nothing: its image has no VOLUME, and the file no data")
        }
        false => said,
    })
}

/// Puts one back as it was, since it doesn't start as it should be.
async fn back(host: &Arc<Host>, before: &BackingRow, failure: Failure) -> Failure {
    match as_before(host, before).await {
        Ok(()) => failure.with("now", format!("{} runs as before", before.name)),
        Err(worse) => failure.with("now", format!("{} doesn't run: {worse}", before.name)),
    }
}

/// Starts one as it was, and notes that it is that.
async fn as_before(host: &Arc<Host>, before: &BackingRow) -> Result<(), Failure> {
    let grace = Duration::from_secs(10);
    server::stop(host, before, grace).await?;
    host.put_backing(before)?;
    let plan = server::plan(host, before)?;
    let instance = server::start(host, before, &plan).await?;
    server::ready(before, &instance).await
}

/// Puts those back that a rollout was still changing when it was turned around, by a host that was
/// killed for one. It keeps nothing from its end: what doesn't start is brought back later.
pub async fn take_back(host: &Arc<Host>, rollout: &Rollout) {
    let (app, environment) = (&rollout.app, &rollout.environment);
    let rows = host.ledger.backings_of(app, environment);
    for row in rows.unwrap_or_default() {
        if row.body.previous.is_none() {
            continue;
        }
        let _changing = host.change_backing(app, environment, &row.name).await;
        let again = async {
            let row = last_good(known(host, app, environment, &row.name)?);
            as_before(host, &row).await
        };
        if let Err(failure) = again.await {
            crate::report::remark(&format!("{} isn't as before: {failure}", row.name));
        }
    }
}

/// Stops those that the live release doesn't name any more. Their data stays.
pub async fn retire(host: &Arc<Host>, release: &Release) -> Result<Vec<String>, Failure> {
    let app = &release.content.app;
    let mut said = Vec::new();
    for row in host
        .ledger
        .backings_of(&app.app, &app.environment)
        .map_err(ledger_failed)?
    {
        let named = own(app).any(|(name, _)| *name == row.name);
        if row.running && !named {
            stop_one(host, &row).await?;
            said.push(format!("{} stopped, its data is kept", row.name));
        }
    }
    Ok(said)
}

/// Stops one by purpose.
async fn stop_one(host: &Arc<Host>, row: &BackingRow) -> Result<(), Failure> {
    let _changing = host
        .change_backing(&row.app, &row.environment, &row.name)
        .await;
    host.ledger
        .set_backing_running(&row.app, &row.environment, &row.name, false)
        .map_err(ledger_failed)?;
    server::stop(host, row, server::GRACE).await
}

/// Stops all of an environment; how many ran.
pub async fn stop(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<u32, Failure> {
    let mut count = 0;
    for row in host
        .ledger
        .backings_of(app, environment)
        .map_err(ledger_failed)?
    {
        if row.running {
            count += 1;
        }
        stop_one(host, &row).await?;
    }
    Ok(count)
}

/// Stops all of the host with it. They are started again with the next one.
pub async fn stop_with_host(host: &Arc<Host>) -> Result<(), Failure> {
    let mut all = JoinSet::new();
    for row in host.ledger.backings().map_err(ledger_failed)? {
        if row.running {
            let host = host.clone();
            all.spawn(async move { server::stop(&host, &row, server::GRACE).await });
        }
    }
    while let Some(stopped) = all.join_next().await {
        stopped.map_err(|error| Failure::new("host-failed", error.to_string()))??;
    }
    Ok(())
}

/// Removes all of an environment with their data; how many bytes that were.
pub async fn purge(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<u64, Failure> {
    stop(host, app, environment).await?;
    let mut freed = 0;
    for row in host
        .ledger
        .backings_of(app, environment)
        .map_err(ledger_failed)?
    {
        freed += prepare::remove(host, &row).await?;
        host.ledger
            .remove_backing(app, environment, &row.name)
            .map_err(ledger_failed)?;
    }
    Ok(freed)
}

/// Starts one again by hand.
pub async fn restart(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    name: &Name,
) -> Result<(), Failure> {
    let _changing = host.change_backing(app, environment, name).await;
    let mut row = known(host, app, environment, name)?;
    server::readdress(host, &mut row).await?;
    let plan = server::plan(host, &row)?;
    server::stop(host, &row, plan.grace).await?;
    row.running = true;
    row.body.digest.clone_from(&plan.digest);
    host.put_backing(&row)?;
    let instance = server::start(host, &row, &plan).await?;
    server::ready(&row, &instance).await
}

/// One by its name, or the failure that names those that are there.
pub fn known(
    host: &Host,
    app: &Name,
    environment: &Name,
    name: &Name,
) -> Result<BackingRow, Failure> {
    let found = host
        .ledger
        .backing(app, environment, name)
        .map_err(ledger_failed)?;
    if let Some(found) = found {
        return Ok(found);
    }
    let rows = host
        .ledger
        .backings_of(app, environment)
        .map_err(ledger_failed)?;
    let names: Vec<_> = rows.iter().map(|row| row.name.to_string()).collect();
    let failure = Failure::new(
        "unknown-backing",
        format!("{app} has no backing service {name} of its own in {environment}"),
    );
    Err(match names.is_empty() {
        true => failure,
        false => failure.with("known", names.join(", ")),
    })
}

impl Host {
    /// Waits until nothing else changes a backing service.
    pub async fn change_backing(&self, app: &Name, environment: &Name, name: &Name) -> Changing {
        let lock = {
            let mut changing = self
                .backing
                .changing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            changing
                .entry(id(app, environment, name))
                .or_default()
                .clone()
        };
        lock.lock_owned().await
    }

    /// Keeps a backing service.
    pub fn put_backing(&self, row: &BackingRow) -> Result<(), Failure> {
        self.ledger
            .put_backing(
                &row.app,
                &row.environment,
                &row.name,
                row.running,
                &row.body,
            )
            .map_err(ledger_failed)
    }

    /// The passwords of a backing service, made now where there are none yet.
    pub fn backing_passwords(
        &self,
        app: &Name,
        environment: &Name,
        name: &Name,
    ) -> Result<server::Passwords, Failure> {
        let made = |of: &str| self.made_up(app, environment, &format!("{of}:{name}"), 24);
        Ok(server::Passwords {
            app: made("backing")?,
            superuser: made("backing-superuser")?,
        })
    }

    /// Where each backing service of a release is. Those of this host that were never brought up
    /// are not among them.
    pub fn backing_addresses(
        &self,
        content: &Content,
    ) -> Result<BTreeMap<Name, BackingAddress>, Failure> {
        let app = &content.app;
        let mut all = BTreeMap::new();
        let mut secrets: Option<BTreeMap<String, Secret>> = None;
        for (name, backing) in &app.backing {
            let address = match &backing.url {
                Some(url) => {
                    let secrets = match &secrets {
                        Some(secrets) => secrets,
                        None => secrets.insert(self.secrets(content)?),
                    };
                    let url = rendered(name, url, secrets, app)?;
                    BackingAddress::external(name, &backing.kind, &url)?
                }
                None => {
                    let row = self
                        .ledger
                        .backing(&app.app, &app.environment, name)
                        .map_err(ledger_failed)?;
                    let Some(row) = row else { continue };
                    let passwords = self.backing_passwords(&app.app, &app.environment, name)?;
                    BackingAddress::own(&row, passwords.app)
                }
            };
            all.insert(name.clone(), address);
        }
        Ok(all)
    }
}

/// Waits for something, but not for ever.
async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> Option<T> {
    timeout(limit, what).await.ok()
}

/// What is kept of one that is new.
type Body = BackingBody;
