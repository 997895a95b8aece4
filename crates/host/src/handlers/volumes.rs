//! What is asked about volumes.

use std::sync::Arc;

use hyper::{Method, Request, body::Incoming};
use landfall_api::wire::volume::{ImportVolume, MoveVolume};
use landfall_app::Name;

use crate::{
    host::{Host, refuse_unknown},
    server::{Answer, body, json, query, reader, written},
    volumes,
};

/// `…/volumes/…`
pub async fn answer(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    rest: &[&str],
    request: Request<Incoming>,
) -> Answer {
    refuse_unknown(host, app, environment)?;
    let find = |text: &str| volumes::find(host, app, environment, text);
    match (request.method().clone(), rest) {
        (Method::GET, []) => json(&volumes::list(host, app, environment).await?),
        (Method::GET, [volume, "export"]) => {
            let (host, place) = (host.clone(), find(volume)?);
            // What can be known before the answer begins is said instead of it.
            volumes::exportable(&host, &place)?;
            written(move |to| volumes::export(&host, &place, to))
        }
        (Method::POST, [volume, "import"]) => {
            let (asked, place): (ImportVolume, _) = (query(&request)?, find(volume)?);
            json(&volumes::import(host, &place, &asked.by, reader(request)).await?)
        }
        (Method::POST, [volume, "move"]) => {
            let place = find(volume)?;
            let asked: MoveVolume = body(request).await?;
            json(&volumes::relocate(host, &place, asked.to, &asked.by).await?)
        }
        (Method::DELETE, [volume]) => json(&volumes::remove(host, &find(volume)?).await?),
        (method, _) => Err(super::unknown_path(&method, request.uri().path())),
    }
}
