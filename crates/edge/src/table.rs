//! The routes made ready for use: which service a request belongs to. Built whole from all apps'
//! routes, never changed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use hyper::header::{HeaderName, HeaderValue};

use crate::{
    check::refused,
    health::Health,
    routes::{AppRoutes, Instance, Limits, Redirect, Refused, ServiceRoutes, Upstream},
    traffic::{Key, Label, Traffic},
};

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Entrance {
    /// The shared HTTP listener: host and path decide.
    Shared,
    /// A service's own address.
    Own(SocketAddr),
}

/// All routes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub services: Vec<Service>,
    exact: HashMap<String, Vec<Route>>,
    /// By what follows the `*.`.
    wildcard: HashMap<String, Vec<Route>>,
    any: Vec<Route>,
    listeners: HashMap<SocketAddr, Route>,
}

/// One service.
#[derive(Debug)]
pub(crate) struct Service {
    pub target: Target,
    pub health_path: Option<String>,
    pub limits: Limits,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub redirects: Vec<Redirect>,
    /// What concerns no instance.
    pub traffic: Arc<Traffic>,
}

/// Where a service's requests go.
#[derive(Debug)]
pub(crate) enum Target {
    Instances(Vec<Backend>),
    Files(PathBuf),
    Nothing(String),
}

/// One instance.
#[derive(Debug)]
pub(crate) struct Backend {
    pub address: SocketAddr,
    pub health: Arc<Health>,
    pub traffic: Arc<Traffic>,
}

/// Where a host and path lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub service: usize,
    /// Without a slash at its end; empty for all.
    path: String,
    strip: bool,
    pub redirect: Option<String>,
}

impl Route {
    /// The beginning of the path that is taken off.
    pub(crate) fn stripped(&self) -> Option<&str> {
        (self.strip && !self.path.is_empty()).then_some(&self.path)
    }

    fn leads(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Where the living parts of a [`Table`] come from.
pub(crate) trait Living {
    /// The same traffic for the same key as long as it is routed.
    fn traffic(&mut self, key: Key) -> Arc<Traffic>;
    /// The health of an instance.
    fn health(&mut self, instance: &Instance) -> Arc<Health>;
}

impl Table {
    /// Builds the table of all apps, or says why their routes don't fit together.
    pub(crate) fn build(apps: &[AppRoutes], living: &mut impl Living) -> Result<Self, Refused> {
        let mut table = Self::default();
        for app in apps {
            for routes in &app.services {
                let service = Service::build(app, routes, living)?;
                table.services.push(service);
                table.lead(routes);
            }
        }
        for routes in table
            .exact
            .values_mut()
            .chain(table.wildcard.values_mut())
            .chain([&mut table.any])
        {
            routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        }
        Ok(table)
    }

    /// Leads addresses, hosts and paths to the last service.
    fn lead(&mut self, routes: &ServiceRoutes) {
        let service = self.services.len() - 1;
        for address in &routes.listeners {
            let route = Route {
                service,
                path: String::new(),
                strip: false,
                redirect: None,
            };
            self.listeners.insert(*address, route);
        }
        for host in &routes.hosts {
            let route = Route {
                service,
                path: host.path.trim_end_matches('/').to_owned(),
                strip: host.strip,
                redirect: host.redirect.clone(),
            };
            match host.host.as_deref() {
                None => self.any.push(route),
                Some(name) => match name.strip_prefix("*.") {
                    Some(rest) => self
                        .wildcard
                        .entry(rest.to_owned())
                        .or_default()
                        .push(route),
                    None => self.exact.entry(name.to_owned()).or_default().push(route),
                },
            }
        }
    }

    /// Where a request leads. `host` is in lower case and without port.
    pub(crate) fn find(&self, entrance: Entrance, host: &str, path: &str) -> Option<&Route> {
        let listed = match entrance {
            Entrance::Own(address) => return self.listeners.get(&address),
            Entrance::Shared => [
                self.exact.get(host),
                host.split_once('.')
                    .and_then(|(_, rest)| self.wildcard.get(rest)),
                Some(&self.any),
            ],
        };
        listed
            .into_iter()
            .flatten()
            .flatten()
            .find(|route| route.leads(path))
    }

    /// Addresses opened for one service alone.
    pub(crate) fn listeners(&self) -> BTreeSet<SocketAddr> {
        self.listeners.keys().copied().collect()
    }

    /// Addresses of instances.
    pub(crate) fn addresses(&self) -> HashSet<SocketAddr> {
        self.backends().map(|backend| backend.address).collect()
    }

    /// Ids of all traffic that can begin by this table.
    pub(crate) fn traffics(&self) -> HashSet<u64> {
        let own = self.services.iter().map(|service| service.traffic.id);
        own.chain(self.backends().map(|backend| backend.traffic.id))
            .collect()
    }

    fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.services
            .iter()
            .flat_map(|service| match &service.target {
                Target::Instances(backends) => backends.as_slice(),
                _ => &[],
            })
    }
}

impl Service {
    fn build(
        app: &AppRoutes,
        routes: &ServiceRoutes,
        living: &mut impl Living,
    ) -> Result<Self, Refused> {
        let label = Label {
            app: app.app.clone(),
            environment: app.environment.clone(),
            service: routes.service.clone(),
            release: routes.release,
        };
        let target = match &routes.upstream {
            Upstream::Instances(instances) => {
                let backend = |instance: &Instance| Backend {
                    address: instance.address,
                    health: living.health(instance),
                    traffic: living
                        .traffic((label.clone(), Some((instance.id.clone(), instance.address)))),
                };
                Target::Instances(instances.iter().map(backend).collect())
            }
            Upstream::Files { folder } => Target::Files(folder.clone()),
            Upstream::Nothing { reason } => Target::Nothing(reason.clone()),
        };
        let headers = routes.headers.iter().map(|(name, value)| {
            let header = name
                .parse::<HeaderName>()
                .ok()
                .zip(value.parse::<HeaderValue>().ok());
            header.ok_or_else(|| {
                refused(
                    "bad-routes",
                    format!("{}: {name:?} isn't a header", routes.service),
                )
            })
        });
        Ok(Self {
            target,
            health_path: routes.health_path.clone(),
            limits: routes.limits.clone(),
            headers: headers.collect::<Result<_, _>>()?,
            redirects: routes.redirects.clone(),
            traffic: living.traffic((label, None)),
        })
    }
}

/// Where a redirect of the list sends this path.
pub(crate) fn redirect<'a>(
    redirects: &'a [Redirect],
    path: &str,
) -> Option<(&'a Redirect, String)> {
    redirects.iter().find_map(|redirect| {
        let splat = match redirect.from.strip_suffix('*') {
            Some(start) => path.strip_prefix(start)?,
            None if redirect.from == path => "",
            None => return None,
        };
        // `//host` would lead to another host of the client's choice.
        let splat = match redirect.to.split_once(":splat") {
            Some((before, _)) if before.ends_with('/') => splat.trim_start_matches(['/', '\\']),
            _ => splat,
        };
        Some((redirect, redirect.to.replace(":splat", splat)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        routes::HostRoute,
        testing::{NoLife, app, service},
    };

    fn host(host: Option<&str>, path: &str) -> HostRoute {
        HostRoute {
            host: host.map(str::to_owned),
            path: path.to_owned(),
            strip: true,
            redirect: None,
        }
    }

    #[test]
    fn the_most_exact_host_wins_then_the_longest_path() {
        let lists = [
            vec![host(None, "/")],
            vec![host(Some("*.example.com"), "/")],
            vec![host(Some("a.example.com"), "/")],
            vec![host(Some("a.example.com"), "/api/")],
            vec![host(Some("b.example.com"), "/only")],
        ];
        let services = lists.into_iter().enumerate().map(|(number, hosts)| {
            let mut service = service(
                &format!("s{number}"),
                1,
                Upstream::Nothing {
                    reason: String::new(),
                },
            );
            service.hosts = hosts;
            service
        });
        let table = Table::build(&[app(1, services.collect())], &mut NoLife).unwrap();
        let find = |host: &str, path: &str| {
            table
                .find(Entrance::Shared, host, path)
                .map(|route| route.service)
        };
        assert_eq!(find("a.example.com", "/api"), Some(3));
        assert_eq!(find("a.example.com", "/api/x"), Some(3));
        assert_eq!(find("a.example.com", "/apis"), Some(2));
        assert_eq!(find("c.example.com", "/api"), Some(1));
        assert_eq!(find("d.c.example.com", "/"), Some(0), "one label only");
        assert_eq!(find("b.example.com", "/only"), Some(4));
        assert_eq!(
            find("b.example.com", "/other"),
            Some(1),
            "the next less exact host"
        );
        assert_eq!(find("", "/"), Some(0));
        assert_eq!(
            table.find(
                Entrance::Own(([127, 0, 0, 1], 1).into()),
                "a.example.com",
                "/"
            ),
            None
        );
    }

    #[test]
    fn redirects_take_what_the_star_matched_and_never_leave_the_host() {
        let list = |from: &str, to: &str| {
            vec![Redirect {
                from: from.into(),
                to: to.into(),
                status: 301,
            }]
        };
        let to = |list: &[Redirect], path: &str| redirect(list, path).map(|(_, to)| to);
        assert_eq!(to(&list("/old", "/new"), "/old").as_deref(), Some("/new"));
        assert_eq!(to(&list("/old", "/new"), "/old/x"), None);
        let splat = list("/old/*", "/:splat");
        assert_eq!(to(&splat, "/old/a/b").as_deref(), Some("/a/b"));
        assert_eq!(
            to(&splat, "/old//evil.example").as_deref(),
            Some("/evil.example")
        );
        assert_eq!(
            to(&splat, "/old/\\evil.example").as_deref(),
            Some("/evil.example")
        );
        assert_eq!(
            to(&list("/*", "https://b.example/:splat"), "/x").as_deref(),
            Some("https://b.example/x")
        );
    }
}
