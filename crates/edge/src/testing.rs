//! What several unit tests build routes with.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    health::Health,
    routes::{AppRoutes, Instance, Limits, ServiceRoutes, Upstream},
    table::Living,
    traffic::{Key, Registry, Traffic},
};

pub(crate) fn app(generation: u64, services: Vec<ServiceRoutes>) -> AppRoutes {
    AppRoutes {
        app: "shop".into(),
        environment: "local".into(),
        generation,
        services,
    }
}

pub(crate) fn service(name: &str, release: u64, upstream: Upstream) -> ServiceRoutes {
    ServiceRoutes {
        service: name.into(),
        release,
        listeners: vec![],
        hosts: vec![],
        redirects: vec![],
        upstream,
        health_path: None,
        limits: Limits::default(),
        headers: BTreeMap::new(),
        drain: 30_000,
    }
}

/// Traffic that nobody adds up and health that never changes.
pub(crate) struct NoLife;

impl Living for NoLife {
    fn traffic(&mut self, key: Key) -> Arc<Traffic> {
        Registry::new(1).open(key)
    }

    fn health(&mut self, _: &Instance) -> Arc<Health> {
        Arc::default()
    }
}
