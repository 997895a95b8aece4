//! What the host does by itself for its backing services: it hears of each change, and brings back
//! what should run and doesn't.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use landfall_ledger::BackingRow;
use landfall_release::{EventKind, Failure};
use landfall_supervise::state::Ended;
use tokio::task::JoinSet;

use super::{server, within};
use crate::{
    host::{Host, ledger_failed},
    instance::{Notice, View},
    report::remark,
    runtime, watcher,
};

/// At its start a host waits so long for them, so that the apps find them there.
const PATIENCE: Duration = Duration::from_secs(8);

/// The longest pause before one is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// One that lives so long has come back well.
const WELL: Duration = Duration::from_secs(60);

/// When each was brought back last, by its id: one that dies at once whenever it is started isn't
/// started without a pause.
#[derive(Default)]
pub struct Returns(Mutex<BTreeMap<String, Return>>);

/// When one is back, and the how manieth time in a row this is.
#[derive(Clone, Copy)]
struct Return {
    at: Instant,
    count: u32,
}

impl Returns {
    /// How long to wait before one is brought back that was lost `now`.
    fn pause(&self, id: &str, now: Instant, failed: bool) -> Duration {
        let mut returns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match returns.get(id) {
            Some(before) if now.saturating_duration_since(before.at) < WELL => before.count + 1,
            _ => u32::from(failed),
        };
        let pause = match count {
            0 => Duration::ZERO,
            count => Duration::from_secs(1 << (count - 1).min(10)).min(LONGEST_PAUSE),
        };
        let at = now + pause;
        returns.insert(id.to_owned(), Return { at, count });
        pause
    }
}

/// Hears news of an instance; whether it was that of a backing service.
pub fn hear(host: &Arc<Host>, notice: &Notice) -> Result<bool, Failure> {
    let rows = host.ledger.backings().map_err(ledger_failed)?;
    let found = rows
        .into_iter()
        .find(|row| server::id(&row.app, &row.environment, &row.name) == notice.id);
    let Some(row) = found else {
        return Ok(false);
    };
    watcher::tell(host, &row.app, &row.environment, &row.name, notice)?;
    if !matches!(notice.after, View::Gone(_)) {
        return Ok(true);
    }
    host.forget(&notice.id);
    if !row.running {
        return Ok(true);
    }
    // Whoever stops one by purpose says so first, or changes it; a signal from outside, or an Engine
    // that ends, is nobody's purpose.
    let ended = notice.after.state().and_then(|state| state.ended.clone());
    let failed = matches!(ended, Some(Ended::GaveUp { .. }));
    let (host, id) = (host.clone(), notice.id.clone());
    tokio::spawn(async move {
        if ended.is_some() && !is_missed(&host, &row).await {
            return;
        }
        if let Err(failure) = lost(&host, &row).await {
            remark(&format!("{}: {failure}", row.name));
        }
        let pause = host.backing.returns.pause(&id, Instant::now(), failed);
        tokio::time::sleep(pause).await;
        bring_back_behind(&host, row);
    });
    Ok(true)
}

/// Whether one should run and doesn't, once nobody changes it any more.
async fn is_missed(host: &Arc<Host>, row: &BackingRow) -> bool {
    let _changing = host
        .change_backing(&row.app, &row.environment, &row.name)
        .await;
    let now = host.ledger.backing(&row.app, &row.environment, &row.name);
    let wanted = matches!(now, Ok(Some(row)) if row.running);
    let ending = host.ending.load(std::sync::atomic::Ordering::Relaxed);
    wanted && !ending && !server::runs(host, row).await
}

/// Writes down that one was lost, and why.
async fn lost(host: &Host, row: &BackingRow) -> Result<(), Failure> {
    let own = server::instance_row(host, row);
    let kind = EventKind::InstanceLost {
        service: row.name.clone(),
        said: runtime::how_it_was_lost(host, &own.folder).await,
        instance: own.id,
    };
    host.ledger
        .append_event(Some(&row.app), Some(&row.environment), None, kind)
        .map(drop)
        .map_err(ledger_failed)
}

/// Brings one back until it is there or shouldn't be any more.
fn bring_back_behind(host: &Arc<Host>, row: BackingRow) {
    let host = host.clone();
    tokio::spawn(async move {
        let mut pause = watcher::Pause::default();
        while let Err(failure) = bring_back(&host, &row).await {
            remark(&format!(
                "{} of {} is not back yet: {failure}",
                row.name, row.app
            ));
            pause.shorten(&failure);
            pause.wait().await;
        }
    });
}

/// Starts one in its own place; nothing where it runs or shouldn't.
async fn bring_back(host: &Arc<Host>, row: &BackingRow) -> Result<bool, Failure> {
    let _changing = host
        .change_backing(&row.app, &row.environment, &row.name)
        .await;
    let now = host
        .ledger
        .backing(&row.app, &row.environment, &row.name)
        .map_err(ledger_failed)?;
    let Some(mut row) = now.filter(|row| row.running) else {
        return Ok(false);
    };
    if host.ending.load(std::sync::atomic::Ordering::Relaxed) || server::runs(host, &row).await {
        return Ok(false);
    }
    server::readdress(host, &mut row).await?;
    let plan = server::plan(host, &row)?;
    server::start(host, &row, &plan).await?;
    Ok(true)
}

/// Adopts those that live and starts those that should, and waits a while until they are ready;
/// how many of each.
pub async fn recover(host: &Arc<Host>) -> Result<(u32, u32), Failure> {
    let (mut adopted, mut started) = (0, 0);
    let mut all = JoinSet::new();
    let rows = host.ledger.backings().map_err(ledger_failed)?;
    for row in &rows {
        let host = host.clone();
        let next = rows.iter().find(|other| {
            other.body.upgrade_of.as_ref() == Some(&row.name)
                && (&other.app, &other.environment) == (&row.app, &row.environment)
        });
        match (&row.body.upgrade_of, next) {
            // With the one that it is the next version of.
            (Some(_), _) => {}
            (None, Some(next)) => {
                let behind = tokio::spawn(undo_behind(host, row.clone(), next.clone()));
                // The apps come next, whatever becomes of it.
                all.spawn(async move {
                    match within(PATIENCE, behind).await {
                        Some(Ok(found)) => Ok(found),
                        _ => Ok(None),
                    }
                });
            }
            (None, None) => {
                let row = row.clone();
                all.spawn(async move { recover_one(&host, row).await });
            }
        }
    }
    while let Some(result) = all.join_next().await {
        match result.map_err(|error| Failure::new("host-failed", error.to_string()))? {
            Ok(Some(true)) => adopted += 1,
            Ok(Some(false)) => started += 1,
            Ok(None) => {}
            Err(failure) => remark(&failure.to_string()),
        }
    }
    Ok((adopted, started))
}

/// Undoes an upgrade that was cut off, until it is undone, and then recovers what was upgraded.
async fn undo_behind(host: Arc<Host>, row: BackingRow, next: BackingRow) -> Option<bool> {
    let mut pause = watcher::Pause::default();
    while let Err(failure) = undo(&host, &row, &next).await {
        remark(&format!(
            "the upgrade of {} isn't undone yet: {failure}",
            row.name
        ));
        pause.shorten(&failure);
        pause.wait().await;
    }
    let now = host.ledger.backing(&row.app, &row.environment, &row.name);
    let recovered = match now.map_err(ledger_failed) {
        Ok(Some(row)) => recover_one(&host, row).await,
        Ok(None) => Ok(None),
        Err(failure) => Err(failure),
    };
    recovered.unwrap_or_else(|failure| {
        remark(&failure.to_string());
        None
    })
}

/// Undoes an upgrade unless somebody else did.
async fn undo(host: &Arc<Host>, row: &BackingRow, next: &BackingRow) -> Result<(), Failure> {
    let (app, environment) = (&row.app, &row.environment);
    let _changing = host.change_backing(app, environment, &row.name).await;
    if host.ending.load(std::sync::atomic::Ordering::Relaxed) {
        return Ok(());
    }
    let next = host.ledger.backing(app, environment, &next.name);
    match next.map_err(ledger_failed)? {
        Some(next) => super::upgrade::undo(host, &next).await,
        None => Ok(()),
    }
}

/// Adopts or starts one that should run, and ends one that shouldn't; whether it was found running.
async fn recover_one(host: &Arc<Host>, mut row: BackingRow) -> Result<Option<bool>, Failure> {
    super::hold::put_back(host, &mut row).await?;
    if !row.running || !should_run(host, &row)? {
        // One that lives on after a host that died while it stopped it.
        if server::runs(host, &row).await {
            server::stop(host, &row, server::GRACE).await?;
        }
        return Ok(None);
    }
    let found = server::runs(host, &row).await;
    let begun = match found {
        true => Ok(true),
        false => bring_back(host, &row).await,
    };
    if let Err(failure) = begun {
        remark(&format!(
            "{} of {} is not back yet: {failure}",
            row.name, row.app
        ));
        bring_back_behind(host, row);
        return Ok(None);
    }
    let id = server::id(&row.app, &row.environment, &row.name);
    if let (false, Some(instance)) = (found, host.instance(&id)) {
        // Ready or not, the apps come next.
        let _ = within(PATIENCE, server::ready(&row, &instance)).await;
    }
    Ok(Some(found))
}

/// Whether its environment runs; one whose first deployment is under way has none yet.
fn should_run(host: &Host, row: &BackingRow) -> Result<bool, Failure> {
    let state = host
        .ledger
        .environment(&row.app, &row.environment)
        .map_err(ledger_failed)?;
    Ok(state.is_some_and(|state| state.live.is_none() || state.running))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_dies_at_once_is_brought_back_ever_later() {
        let returns = Returns::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let pause = returns.pause("postgres", now, false);
            pauses.push(pause.as_secs());
            now += pause + Duration::from_millis(100);
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(returns.pause("redis", now, false), Duration::ZERO);
        assert_eq!(returns.pause("other", now, true), Duration::from_secs(1));
        now += WELL;
        assert_eq!(returns.pause("postgres", now, false), Duration::ZERO);
    }
}
