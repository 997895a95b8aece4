//! A service's instances: whose turn it is, and what to do where one doesn't answer.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    Request, Response, StatusCode, Version,
    body::{Body as _, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, UPGRADE},
    http::request::Parts,
    upgrade::OnUpgrade,
};
use tokio::time::timeout;

use crate::{
    answer::{self, Back, Body, Kind, plain},
    exchange::Exchange,
    forward, proxy,
    table::{Backend, Route, Service, Target},
    traffic::Origin,
    tunnel,
    upstream::{self, Outgoing, Sender, Upload},
    worker::Local,
};

/// Whose turn it is among those that are ready and weren't tried yet.
fn choose(local: &Local, service: usize, health: bool, tried: &[SocketAddr]) -> Option<usize> {
    let Target::Instances(backends) = &local.table.services[service].target else {
        return None;
    };
    let turn = local.turn(service);
    let fits = |backend: &Backend| {
        backend.health.is_ready()
            && (!health || backend.health.is_healthy())
            && !tried.contains(&backend.address)
    };
    (0..backends.len())
        .map(|step| (turn + step) % backends.len())
        .find(|&index| fits(&backends[index]))
}

/// Why an instance gave no answer.
enum Failure {
    /// Nothing was sent: another instance may have it.
    Unreachable(Box<Request<Outgoing>>),
    /// It may have been begun.
    Broken,
    TimedOut,
    TooLarge,
    ClientTooSlow,
    ClientBroken,
}

/// Asks the instances of a service until one answers.
pub(crate) async fn ask(
    exchange: &mut Exchange,
    local: &Arc<Local>,
    found: &Route,
    host: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let mut local = Arc::clone(local);
    let mut service = found.service;
    let asks_health = {
        let health_path = local.table.services[service].health_path.as_deref();
        health_path == Some(request.uri().path())
    };
    let limits = local.table.services[service].limits.clone();
    let (mut parts, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    if let (Some(most), Some(length)) = (limits.max_body, body.size_hint().exact())
        && length > most
    {
        return proxy::own(exchange, &local, service, too_large(), Origin::App);
    }
    let upgrade = forward::wants_upgrade(&parts.method, &parts.headers, has_body).then(|| {
        (
            parts.headers.get(UPGRADE).cloned(),
            parts.extensions.remove::<OnUpgrade>(),
        )
    });
    prepare(
        exchange,
        found,
        &mut parts,
        upgrade.as_ref().and_then(|(protocol, _)| protocol.as_ref()),
    );
    let repeatable = !has_body && parts.method.is_idempotent();
    let upload = has_body.then(Arc::<Upload>::default);
    let body = match &upload {
        None => Outgoing::None,
        Some(upload) => Outgoing::Stream {
            body,
            most: limits.max_body.unwrap_or(u64::MAX),
            upload: Arc::clone(upload),
        },
    };
    let mut request = Request::from_parts(parts, body);
    let mut tried = Vec::new();
    let limit = Duration::from_millis(limits.timeout);
    loop {
        let Some(index) = choose(&local, service, asks_health, &tried) else {
            return proxy::own(
                exchange,
                &local,
                service,
                nobody(&local.table.services[service], &tried),
                Origin::Edge,
            );
        };
        exchange.enter(&local, service, Some(index));
        let Target::Instances(backends) = &local.table.services[service].target else {
            continue;
        };
        let address = backends[index].address;
        match attempt(
            exchange,
            address,
            request,
            repeatable,
            upload.as_ref(),
            limit,
        )
        .await
        {
            Ok((response, sender)) => {
                let back = Back {
                    address,
                    sender,
                    upload,
                };
                return passed_on(
                    exchange,
                    response,
                    back,
                    upgrade.and_then(|(_, client)| client),
                );
            }
            Err(Failure::Unreachable(unsent)) => {
                request = *unsent;
                tried.push(address);
                // The routes may have changed since: an instance that was just replaced is no reason
                // to fail.
                local = exchange.visit.worker.local();
                match local
                    .table
                    .find(exchange.visit.entrance, host, exchange.uri.path())
                {
                    Some(found) => service = found.service,
                    None => return failure(exchange, StatusCode::BAD_GATEWAY, "the app is gone"),
                }
            }
            Err(Failure::Broken) => {
                return failure(
                    exchange,
                    StatusCode::BAD_GATEWAY,
                    "the app ended the connection without an answer",
                );
            }
            Err(Failure::TimedOut) => {
                return failure(
                    exchange,
                    StatusCode::GATEWAY_TIMEOUT,
                    "the app didn't answer in time",
                );
            }
            Err(Failure::TooLarge) => {
                exchange.answered(StatusCode::PAYLOAD_TOO_LARGE, Origin::App);
                return too_large();
            }
            Err(Failure::ClientBroken) => {
                exchange.answered(StatusCode::BAD_REQUEST, Origin::App);
                return proxy::close(plain(
                    StatusCode::BAD_REQUEST,
                    "the request's body breaks off",
                ));
            }
            Err(Failure::ClientTooSlow) => {
                exchange.answered(StatusCode::REQUEST_TIMEOUT, Origin::App);
                return proxy::close(plain(
                    StatusCode::REQUEST_TIMEOUT,
                    "the request's body didn't come in time",
                ));
            }
        }
    }
}

fn failure(exchange: &mut Exchange, status: StatusCode, words: &str) -> Response<Body> {
    exchange.answered(status, Origin::Edge);
    plain(status, words)
}

fn too_large() -> Response<Body> {
    proxy::close(plain(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the request's body is larger than this app takes",
    ))
}

/// Why no instance is left to ask.
fn nobody(service: &Service, tried: &[SocketAddr]) -> Response<Body> {
    let Target::Instances(backends) = &service.target else {
        return answer::unavailable("the app has been stopped");
    };
    match backends.iter().find(|backend| !backend.health.is_ready()) {
        Some(backend) => answer::unavailable(&format!(
            "the app isn't ready ({})",
            backend.health.reason()
        )),
        None if tried.is_empty() => answer::unavailable("the app isn't ready"),
        None => plain(StatusCode::BAD_GATEWAY, "the app doesn't take connections"),
    }
}

fn prepare(exchange: &Exchange, found: &Route, parts: &mut Parts, protocol: Option<&HeaderValue>) {
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(HOST, host);
    }
    let host = parts.headers.get(HOST).cloned();
    let client = forward::Client {
        address: &exchange.visit.client,
        host: host.as_ref(),
        request: &exchange.request,
        prefix: found.stripped(),
    };
    forward::request_headers(&mut parts.headers, &client);
    if host.is_none() {
        parts
            .headers
            .insert(HOST, HeaderValue::from_static("localhost"));
    }
    if let Some(protocol) = protocol {
        parts
            .headers
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, protocol.clone());
    }
    parts.uri = forward::target(&parts.uri, found.stripped());
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
}

/// Sends a request to one instance. A kept connection that turns out to be closed costs nothing
/// where the request may be repeated.
async fn attempt(
    exchange: &Exchange,
    address: SocketAddr,
    mut request: Request<Outgoing>,
    repeatable: bool,
    upload: Option<&Arc<Upload>>,
    limit: Duration,
) -> Result<(Response<Incoming>, Sender), Failure> {
    let pool = || {
        exchange
            .visit
            .worker
            .pool
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    let mut fresh = false;
    loop {
        let kept = if fresh {
            None
        } else {
            pool().take(address, repeatable)
        };
        let reused = kept.is_some();
        let mut sender = match kept {
            Some(sender) => sender,
            None => match upstream::connect(address).await {
                Ok(sender) => sender,
                Err(_) => return Err(Failure::Unreachable(Box::new(request))),
            },
        };
        if sender.ready().await.is_err() {
            if reused {
                fresh = true;
                continue;
            }
            return Err(Failure::Broken);
        }
        let spare = (reused && repeatable).then(|| copy(&request));
        let mut sending = pin!(sender.try_send_request(request));
        let result = loop {
            let before = upload.map(|upload| upload.sent());
            match timeout(limit, &mut sending).await {
                Ok(result) => break result,
                // The time for an answer begins when the request is there.
                Err(_) if upload.is_some_and(|upload| before != Some(upload.sent())) => {}
                Err(_) if upload.is_some_and(|upload| !upload.is_done()) => {
                    return Err(Failure::ClientTooSlow);
                }
                Err(_) => return Err(Failure::TimedOut),
            }
        };
        let mut error = match result {
            Ok(response) => return Ok((response, sender)),
            Err(error) => error,
        };
        if upload.is_some_and(|upload| upload.is_too_large()) {
            return Err(Failure::TooLarge);
        }
        if upload.is_some_and(|upload| upload.is_broken()) {
            return Err(Failure::ClientBroken);
        }
        if reused {
            pool().clear(address);
            fresh = true;
        }
        match (error.take_message(), spare) {
            (Some(unsent), _) if reused => request = unsent,
            (Some(unsent), _) => return Err(Failure::Unreachable(Box::new(unsent))),
            (None, Some(spare)) => request = spare,
            (None, None) => return Err(Failure::Broken),
        }
    }
}

/// The same request again; it has no body.
fn copy(request: &Request<Outgoing>) -> Request<Outgoing> {
    let mut copy = Request::new(Outgoing::None);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// An instance's answer, for the client.
fn passed_on(
    exchange: &mut Exchange,
    mut response: Response<Incoming>,
    back: Back,
    client: Option<OnUpgrade>,
) -> Response<Body> {
    exchange.answered(response.status(), Origin::App);
    let protocol = response.headers().get(UPGRADE).cloned();
    forward::strip_hop_by_hop(response.headers_mut());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return response.map(|body| {
            let mut body = Body::new(Kind::App(body));
            body.give_back(back);
            body
        });
    }
    let (Some(client), Some(protocol)) = (client, protocol) else {
        return plain(
            StatusCode::BAD_GATEWAY,
            "the app changes the protocol without being asked to",
        );
    };
    let app = hyper::upgrade::on(&mut response);
    let mut response = response.map(|_| Body::empty());
    response.headers_mut().remove(CONTENT_LENGTH);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, protocol);
    response
        .extensions_mut()
        .insert(tunnel::Ends::new(client, app));
    response
}
