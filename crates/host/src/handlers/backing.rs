//! What is asked about backing services.

use std::sync::Arc;

use hyper::{Method, Request, body::Incoming};
use landfall_api::wire::backing::{BackingClientQuery, UpgradeBacking};
use landfall_app::Name;

use super::{name, unknown_path};
use crate::{
    backing,
    host::{Host, ledger_failed},
    lease::{Held, refuse_busy},
    server::{Answer, body, json, nothing, query},
};

/// `…/backing/…`
pub async fn answer(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    rest: &[&str],
    request: Request<Incoming>,
) -> Answer {
    match (request.method().clone(), rest) {
        (Method::GET, []) => {
            let release = host
                .ledger
                .live_release(app, environment)
                .map_err(ledger_failed)?;
            json(&backing::statuses(host, app, environment, release.as_ref()).await?)
        }
        (Method::GET, [of, "client"]) => {
            let asked: BackingClientQuery = query(&request)?;
            let client = backing::client(host, app, environment, &name(of)?, asked.execute)?;
            json(&client)
        }
        (Method::POST, [of, "restart"]) => {
            let of = name(of)?;
            refuse_busy(host, app, environment)?;
            let reason = format!("restart of {of}");
            let _lock = Held::take(host, app, environment, "this machine", &reason, None)?;
            backing::restart(host, app, environment, &of).await?;
            nothing()
        }
        (Method::POST, [of, "upgrade"]) => {
            let asked: UpgradeBacking = body(request).await?;
            let of = name(of)?;
            refuse_busy(host, app, environment)?;
            let reason = format!("upgrade of {of}");
            let _lock = Held::take(host, app, environment, &asked.by, &reason, None)?;
            json(&backing::upgrade(host, app, environment, &of, asked).await?)
        }
        (method, _) => Err(unknown_path(&method, request.uri().path())),
    }
}
