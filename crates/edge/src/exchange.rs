//! One request and its answer: counted from when it is known where it goes until the last byte of
//! the answer is handed over, then logged.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::{Method, StatusCode, Uri, header::HeaderValue};

use crate::{
    log::Line,
    table::Target,
    traffic::{Origin, Traffic},
    worker::{Local, Visit},
};

/// Logged where the client left before it was answered.
const CLIENT_LEFT: u16 = 499;

/// One request and its answer. It is over when this is dropped.
pub(crate) struct Exchange {
    pub visit: Arc<Visit>,
    pub method: Method,
    pub uri: Uri,
    pub request: HeaderValue,
    pub bytes: u64,
    status: u16,
    started: Instant,
    /// Whose it is: a service, and one of its instances.
    whose: Option<(Arc<Local>, usize, Option<usize>)>,
}

impl Exchange {
    pub(crate) fn new(visit: Arc<Visit>, method: Method, uri: Uri, request: HeaderValue) -> Self {
        Self {
            visit,
            method,
            uri,
            request,
            bytes: 0,
            status: CLIENT_LEFT,
            started: Instant::now(),
            whose: None,
        }
    }

    /// From now on it counts as under way at that service and instance, and nowhere else. Must
    /// follow the choice without anything awaited between them: who waits for an instance to drain
    /// relies on it.
    pub(crate) fn enter(&mut self, local: &Arc<Local>, service: usize, backend: Option<usize>) {
        let worker = self.visit.worker.index;
        let before = self.whose.replace((Arc::clone(local), service, backend));
        let id = match self.traffic() {
            Some(traffic) => {
                traffic.enter(worker);
                traffic.id
            }
            None => 0,
        };
        self.visit.conn.serve(id);
        if let Some((local, service, backend)) = &before {
            traffic(local, *service, *backend).leave(worker);
        }
    }

    fn traffic(&self) -> Option<&Traffic> {
        self.whose
            .as_ref()
            .map(|(local, service, backend)| traffic(local, *service, *backend))
    }

    /// The answer's head is there.
    pub(crate) fn answered(&mut self, status: StatusCode, origin: Origin) {
        self.status = status.as_u16();
        if let Some(traffic) = self.traffic() {
            traffic.answered(self.visit.worker.index, self.status, origin, self.took());
        }
    }

    fn took(&self) -> Duration {
        self.started.elapsed()
    }
}

fn traffic(local: &Local, service: usize, backend: Option<usize>) -> &Traffic {
    let service = &local.table.services[service];
    match (&service.target, backend) {
        (Target::Instances(backends), Some(backend)) => &backends[backend].traffic,
        _ => &service.traffic,
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let worker = &self.visit.worker;
        if !worker.log.is_off() {
            worker.log_line(&Line {
                whose: self.traffic().map(|traffic| &traffic.label),
                method: self.method.as_str(),
                // Without the query: tokens stand in it.
                path: self.uri.path(),
                status: self.status,
                took: self.took(),
                bytes: self.bytes,
                client: self.visit.conn.client.ip().to_canonical(),
                request: self.request.to_str().unwrap_or_default(),
            });
        }
        self.visit.conn.serve(0);
        if let Some(traffic) = self.traffic() {
            traffic.leave(worker.index);
        }
    }
}
