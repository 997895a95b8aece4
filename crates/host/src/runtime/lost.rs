//! Why an instance that should live doesn't, as far as somebody knows.

use std::{path::Path, time::Duration};

use landfall_containers::Engine;
use landfall_supervise::state::Ended;

use super::container::{Marker, how_it_ended, marker};
use crate::{host::Host, instance::last_state};

/// The exit code of what was ended by SIGKILL.
const KILLED: i64 = 137;

/// Why an instance whose control socket has ended did so, in a few words.
pub async fn how_it_was_lost(host: &Host, folder: &Path) -> String {
    let Some(marker) = marker(folder) else {
        return "its supervisor died".to_owned();
    };
    let asked = last_state(folder).is_some_and(|state| state.ended == Some(Ended::Stopped));
    let away = match asked {
        true => "the Docker Engine stopped its container and is away",
        false => "its container ended and the Docker Engine is away",
    };
    match host.engine().await {
        Ok(engine) => of_container(&engine, &marker, asked)
            .await
            .unwrap_or_else(|| away.to_owned()),
        Err(_) => away.to_owned(),
    }
}

async fn of_container(engine: &Engine, marker: &Marker, asked: bool) -> Option<String> {
    let name = marker.container.as_deref().unwrap_or(&marker.name);
    let mut said = "its supervisor doesn't answer any more".to_owned();
    // The Engine hears of the end a moment later, and removing one by force is killing it first.
    for _ in 0..8 {
        let Some(found) = engine.container(name).await.ok()? else {
            return Some("somebody removed its container".to_owned());
        };
        if !found.running {
            if found.oom_killed || found.exit_code != Some(KILLED) {
                return Some(match asked && !found.oom_killed {
                    true => "its container was stopped, by hand or by the Docker Engine".to_owned(),
                    false => how_it_ended(&found),
                });
            }
            said = "its container was killed".to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some(said)
}
