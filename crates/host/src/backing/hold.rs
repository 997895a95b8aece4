//! A backing service out of service for a while, for its data to be exchanged under it.

use std::{path::Path, sync::Arc};

use landfall_ledger::BackingRow;
use landfall_release::Failure;

use super::server;
use crate::host::{Host, ledger_failed};

/// Stops one; nobody brings it back meanwhile.
pub async fn hold(host: &Arc<Host>, row: &BackingRow) -> Result<(), Failure> {
    host.ledger
        .set_backing_running(&row.app, &row.environment, &row.name, false)
        .map_err(ledger_failed)?;
    server::stop(host, row, server::GRACE).await
}

/// Notes where its data is put while another is tried: a host that is killed meanwhile finds it.
pub fn note_set_aside(host: &Host, row: &BackingRow, kept: &Path) -> Result<(), Failure> {
    let mut row = row.clone();
    row.running = false;
    row.body.set_aside = Some(kept.to_owned());
    host.put_backing(&row)
}

/// Puts its own data back where a host was killed while another was tried.
pub async fn put_back(host: &Arc<Host>, row: &mut BackingRow) -> Result<(), Failure> {
    let Some(kept) = row.body.set_aside.clone() else {
        return Ok(());
    };
    server::stop(host, row, server::GRACE).await?;
    let data = row.body.data.clone();
    let back = move || crate::backups::put_back(&data, &kept);
    tokio::task::spawn_blocking(back)
        .await
        .map_err(|error| Failure::new("host-failed", error.to_string()))??;
    row.body.set_aside = None;
    row.running = true;
    host.put_backing(row)
}

/// Starts one, as it is or with other settings for a while, and waits until it is ready.
pub async fn resume(
    host: &Arc<Host>,
    row: &BackingRow,
    settings: &[(&str, &str)],
) -> Result<(), Failure> {
    let mut row = row.clone();
    row.running = true;
    for (name, value) in settings {
        let settings = &mut row.body.wanted.settings;
        settings.insert((*name).to_owned(), (*value).to_owned());
    }
    let plan = server::plan(host, &row)?;
    let instance = server::start(host, &row, &plan).await?;
    server::ready(&row, &instance).await?;
    if settings.is_empty() {
        row.body.digest = plan.digest;
        host.put_backing(&row)?;
    }
    Ok(())
}
