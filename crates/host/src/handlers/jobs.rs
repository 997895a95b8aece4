//! What is asked about jobs.

use std::sync::Arc;

use hyper::{Method, Request, body::Incoming};
use landfall_api::wire::job::{RunQuery, RunRequest};
use landfall_app::Name;
use landfall_release::Failure;

use super::name;
use crate::{
    host::{Host, refuse_unknown},
    jobs,
    server::{Answer, body, json, query},
};

/// `…/jobs/…`
pub async fn answer(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    rest: &[&str],
    request: Request<Incoming>,
) -> Answer {
    refuse_unknown(host, app, environment)?;
    match (request.method().clone(), rest) {
        (Method::GET, []) => json(&jobs::status(host, app, environment)?),
        (Method::POST, [job, "run"]) => {
            let job = name(job)?;
            let asked: RunRequest = body(request).await?;
            json(&jobs::by_hand(host, app, environment, &job, asked.by)?)
        }
        (Method::GET, [job, "runs"]) => {
            let asked: RunQuery = query(&request)?;
            json(&jobs::history(
                host,
                app,
                environment,
                &name(job)?,
                asked.last,
            )?)
        }
        (Method::GET, [_, "runs", number]) => {
            let asked: RunQuery = query(&request)?;
            let number = number
                .parse()
                .map_err(|_| Failure::new("bad-request", "a run has a number"))?;
            json(&jobs::wait(host, app, environment, number, asked.wait).await?)
        }
        (method, _) => Err(super::unknown_path(&method, request.uri().path())),
    }
}
