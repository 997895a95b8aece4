//! From a request to its answer.

use std::{convert::Infallible, sync::Arc};

use hyper::{
    Method, Request, Response, StatusCode, Uri, Version,
    body::Incoming,
    header::{CONNECTION, HOST, HeaderMap, HeaderValue},
};

use crate::{
    answer::{self, Body, plain},
    conn::Fate,
    exchange::Exchange,
    files,
    forward::{self, REQUEST_ID},
    head::Flaw,
    instances,
    table::{self, Backend, Route, Service, Target},
    traffic::Origin,
    tunnel,
    worker::{Local, Visit},
};

/// Answers one request.
pub(crate) async fn answer(
    visit: Arc<Visit>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let conn = Arc::clone(&visit.conn);
    let name = visit.worker.ids.name(request.headers());
    let exchange = Exchange::new(
        visit,
        request.method().clone(),
        request.uri().clone(),
        name.clone(),
    );
    let mut exchange = Box::new(exchange);
    let mut response = match conn.next_request() {
        Err(flaw) => refuse(flaw),
        Ok(()) => route(&mut exchange, request).await,
    };
    let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    conn.answered(upgraded);
    response.headers_mut().insert(REQUEST_ID, name);
    *response.version_mut() = Version::HTTP_11;
    if conn.fate() != Fate::Stays && !upgraded {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    match response.extensions_mut().remove::<tunnel::Ends>() {
        Some(ends) => ends.join(exchange),
        None => response.body_mut().belongs_to(exchange),
    }
    Ok(response)
}

fn refuse(flaw: Flaw) -> Response<Body> {
    close(plain(StatusCode::BAD_REQUEST, flaw.words()))
}

/// Ends the client's connection with this answer.
pub(crate) fn close(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The host that a request is for, as it stands there. That of an absolute target counts more.
fn host<'a>(
    uri: &'a Uri,
    headers: &'a HeaderMap,
    version: Version,
) -> Result<&'a str, &'static str> {
    let mut all = headers.get_all(HOST).iter();
    let given = match (all.next(), all.next()) {
        (Some(_), Some(_)) => return Err("Host stands more than once"),
        (Some(host), None) => host.to_str().map_err(|_| "Host can't be read")?,
        (None, _) if version == Version::HTTP_11 => return Err("Host is missing"),
        (None, _) => "",
    };
    let host = uri
        .authority()
        .map_or(given, |authority| authority.as_str());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]%".contains(&byte);
    if host.bytes().all(plain) {
        Ok(host)
    } else {
        Err("Host isn't the name of one")
    }
}

async fn route(exchange: &mut Exchange, request: Request<Incoming>) -> Response<Body> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return close(plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "this method isn't served",
        ));
    }
    let host = match host(request.uri(), request.headers(), request.version()) {
        Ok(host) => host,
        Err(words) => return close(plain(StatusCode::BAD_REQUEST, words)),
    };
    let path = request.uri().path();
    if !path.starts_with('/') && path != "*" {
        return close(plain(
            StatusCode::BAD_REQUEST,
            "the path doesn't begin with a slash",
        ));
    }
    let local = exchange.visit.worker.local();
    let plain_host = forward::plain_host(host);
    let Some(found) = local.table.find(exchange.visit.entrance, &plain_host, path) else {
        return plain(
            StatusCode::NOT_FOUND,
            "no app is served at this host and path",
        );
    };
    if let Some(to) = &found.redirect {
        return to_host(exchange, &local, found, host, to, request.uri());
    }
    let mut response = within(exchange, &local, found, &plain_host, request).await;
    for (name, value) in &local.table.services[found.service].headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// An answer of the service that a request belongs to.
async fn within(
    exchange: &mut Exchange,
    local: &Arc<Local>,
    found: &Route,
    host: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let path = request.uri().path();
    let service = &local.table.services[found.service];
    if let Some((redirect, to)) = table::redirect(&service.redirects, path) {
        let to = match request.uri().query() {
            Some(query) if !to.contains('?') => format!("{to}?{query}"),
            _ => to,
        };
        return own(
            exchange,
            local,
            found.service,
            answer::redirect(redirect.status, &to),
            Origin::App,
        );
    }
    match &service.target {
        Target::Nothing(reason) => own(
            exchange,
            local,
            found.service,
            answer::unavailable(reason),
            Origin::Edge,
        ),
        Target::Files(folder) => {
            exchange.enter(local, found.service, None);
            let path = forward::target(request.uri(), found.stripped());
            let response = files::serve(folder, &request, path.path()).await;
            exchange.answered(response.status(), Origin::App);
            response
        }
        Target::Instances(backends) => match health(service, backends, path) {
            Some(unhealthy) => own(exchange, local, found.service, unhealthy, Origin::Edge),
            None => instances::ask(exchange, local, found, host, request).await,
        },
    }
}

/// An answer that concerns no instance.
pub(crate) fn own(
    exchange: &mut Exchange,
    local: &Arc<Local>,
    service: usize,
    response: Response<Body>,
    origin: Origin,
) -> Response<Body> {
    exchange.enter(local, service, None);
    exchange.answered(response.status(), origin);
    response
}

/// To another host: the same scheme, port, path and query.
fn to_host(
    exchange: &mut Exchange,
    local: &Arc<Local>,
    found: &Route,
    host: &str,
    to: &str,
    uri: &Uri,
) -> Response<Body> {
    let port = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') && !to.contains(':') => &host[colon..],
        _ => "",
    };
    let rest = uri.path_and_query().map_or("/", |path| path.as_str());
    let response = answer::redirect(308, &format!("//{to}{port}{rest}"));
    own(exchange, local, found.service, response, Origin::App)
}

/// The answer on the service's health path, where it isn't the app's own. One instance that is
/// healthy is enough: to the outside the service is.
fn health(service: &Service, backends: &[Backend], path: &str) -> Option<Response<Body>> {
    if service.health_path.as_deref() != Some(path)
        || backends.iter().any(|backend| backend.health.is_healthy())
    {
        return None;
    }
    let reason = backends.first().map(|backend| backend.health.reason());
    Some(answer::unhealthy(&reason.unwrap_or_default()))
}
