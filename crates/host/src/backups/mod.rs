//! Backups of backing services and volumes: made on schedule and by hand, each restored into a scratch
//! instance and compared before it counts, and put back.
//!
//! The stores are the truth: a manifest there makes a backup. The ledger only knows what this host has
//! seen of them, so that the status needs no store.

mod database;
mod make;
mod means;
mod news;
mod restore;
mod unfinished;
mod view;

use landfall_app::Name;
use landfall_release::Failure;

use crate::host::{Host, ledger_failed};

pub use database::put_back;
pub use make::{check, make};
pub use means::unknown;
pub use news::Kept;
pub use restore::{begin as restore, look};
pub use unfinished::{ended, start_behind, undo, waits_for_start};
pub use view::{all, status};

/// Keeps the public keys of those who can read an app's secrets: they can read its backups too.
pub fn keep_recipients(
    host: &Host,
    app: &Name,
    environment: &Name,
    recipients: &[String],
) -> Result<(), Failure> {
    host.ledger
        .set_setting(&recipients_key(app, environment), &recipients.join(" "))
        .map_err(ledger_failed)
}

/// Those public keys.
fn people(host: &Host, app: &Name, environment: &Name) -> Result<Vec<String>, Failure> {
    let kept = host.ledger.setting(&recipients_key(app, environment));
    let kept = kept.map_err(ledger_failed)?.unwrap_or_default();
    Ok(kept.split_whitespace().map(str::to_owned).collect())
}

fn recipients_key(app: &Name, environment: &Name) -> String {
    format!("recipients:{app}:{environment}")
}
