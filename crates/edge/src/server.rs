//! The control socket: HTTP/1.1 with JSON, for processes of the same user.

use std::{
    convert::Infallible, io, os::unix::net::UnixListener as StdListener, sync::Arc, time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{net::UnixListener, time::sleep};

use crate::{
    check::refused,
    control::{Control, NotChanged},
    report::remark,
    routes::{AppRoutes, Drained, Refused},
};

/// The largest routes of one app.
const BODY: usize = 64 << 20;

/// Serves the control socket until it is dropped.
pub(crate) async fn serve(listener: StdListener, control: Arc<Control>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let us = rustix::process::geteuid().as_raw();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                remark(&format!("can't accept at the control socket: {error}"));
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // The file's mode keeps others out already; this holds where it was changed.
        if !stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == us || peer.uid() == 0)
        {
            continue;
        }
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&control), request));
            // A client that goes away concerns itself alone.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    control: Arc<Control>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let path: Vec<&str> = uri.path().split('/').skip(1).collect();
    Ok(match (method, path.as_slice()) {
        (Method::GET, ["v1", "state"]) => json(StatusCode::OK, &control.state().await),
        (Method::PUT, ["v1", "apps", app, environment]) => {
            put(&control, request, app, environment).await
        }
        (Method::DELETE, ["v1", "apps", app, environment]) => {
            let generation = uri
                .query()
                .and_then(|query| query.strip_prefix("generation=")?.parse().ok());
            match generation {
                Some(generation) => outcome(
                    control
                        .delete((app.to_string(), environment.to_string()), generation)
                        .await,
                ),
                None => bad("`?generation=N` is missing"),
            }
        }
        (Method::GET, ["v1", "drained", app, environment, service, release]) => {
            match release.parse() {
                Ok(release) => {
                    let closed = control.drained(app, environment, service, release).await;
                    json(StatusCode::OK, &Drained { closed })
                }
                Err(_) => bad("the release isn't a number"),
            }
        }
        _ => json(
            StatusCode::NOT_FOUND,
            &refused("not-found", format!("{} isn't served here", uri.path())),
        ),
    })
}

async fn put(
    control: &Arc<Control>,
    request: Request<Incoming>,
    app: &str,
    environment: &str,
) -> Response<Full<Bytes>> {
    let body = match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return bad(&format!("the routes can't be read: {error}")),
    };
    match serde_json::from_slice::<AppRoutes>(&body) {
        Ok(routes) if routes.app != app || routes.environment != environment => {
            bad("the routes are another app's than the path says")
        }
        Ok(routes) => outcome(control.put(routes).await),
        Err(error) => bad(&format!("the routes can't be understood: {error}")),
    }
}

fn outcome(result: Result<(), NotChanged>) -> Response<Full<Bytes>> {
    match result {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({})),
        Err(NotChanged::Refused(refused)) => refuse(&refused),
        Err(NotChanged::Failed(error)) => json(
            StatusCode::INTERNAL_SERVER_ERROR,
            &refused("edge-failed", error.to_string()),
        ),
    }
}

fn refuse(refused: &Refused) -> Response<Full<Bytes>> {
    json(
        if refused.error == "bad-routes" {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::CONFLICT
        },
        refused,
    )
}

fn bad(words: &str) -> Response<Full<Bytes>> {
    refuse(&refused("bad-routes", words))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let text = serde_json::to_vec(body).unwrap_or_else(|error| error.to_string().into_bytes());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
