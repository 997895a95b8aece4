//! From a release and its instances to what the edge serves. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use landfall_app::{
    App, Name,
    model::{Probe, Service},
};
use landfall_edge::routes::{
    AppRoutes, HostRoute, Instance, Limits, Redirect, ServiceRoutes, Upstream,
};
use landfall_ledger::InstanceRow;
use landfall_release::{Generation, Release};
use landfall_supervise::specification::files;

/// What requests find while nothing serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving<'a> {
    /// The instances of the release.
    Instances,
    /// The instances, but for these services: nothing, for this reason.
    Except(&'a BTreeSet<Name>, &'a str),
    /// Nothing, for this reason.
    Nothing(&'a str),
}

/// The routes of an environment's release. `gateway`: this machine's address on the network of its
/// containers, where it has any.
pub fn routes(
    release: &Release,
    generation: Generation,
    ports: &BTreeMap<Name, u16>,
    gateway: Option<Ipv4Addr>,
    rows: &[InstanceRow],
    serving: Serving<'_>,
) -> AppRoutes {
    let content = &release.content;
    let app = &content.app;
    let services = app.services.iter().filter_map(|(name, service)| {
        let port = *ports.get(name)?;
        let nothing = match serving {
            Serving::Nothing(reason) => Some(reason),
            Serving::Except(services, reason) if services.contains(name) => Some(reason),
            _ => None,
        };
        let upstream = match (nothing, &service.static_files) {
            (Some(reason), _) => Upstream::Nothing {
                reason: reason.to_owned(),
            },
            (None, Some(folder)) => {
                // Without a build of it nothing was ever deployed.
                let artifact = content.artifacts.get(name)?;
                Upstream::Files {
                    folder: artifact.folder.join(folder),
                }
            }
            (None, None) => match instances(name, rows) {
                instances if instances.is_empty() => Upstream::Nothing {
                    reason: format!("no instance of {name} runs"),
                },
                instances => Upstream::Instances(instances),
            },
        };
        Some(ServiceRoutes {
            service: name.to_string(),
            release: release.number.0,
            listeners: listeners(service, port, gateway),
            hosts: hosts(app, name, service),
            redirects: redirects(service),
            upstream,
            health_path: health_path(service),
            limits: Limits {
                timeout: service.http.timeout.as_millis(),
                max_body: service.http.max_body.map(|size| size.bytes()),
            },
            headers: service.http.headers.clone(),
            drain: service.drain.as_millis(),
        })
    });
    AppRoutes {
        app: app.app.to_string(),
        environment: app.environment.to_string(),
        generation: generation.0,
        services: services.collect(),
    }
}

fn instances(service: &Name, rows: &[InstanceRow]) -> Vec<Instance> {
    let own = rows.iter().filter(|row| row.service == *service);
    let instance = |row: &InstanceRow| {
        Some(Instance {
            id: row.id.clone(),
            address: SocketAddr::from((row.address.unwrap_or(Ipv4Addr::LOCALHOST), row.port?)),
            control: Some(row.folder.join(files::CONTROL)),
        })
    };
    own.filter_map(instance).collect()
}

fn listeners(service: &Service, port: u16, gateway: Option<Ipv4Addr>) -> Vec<SocketAddr> {
    // Containers of the app reach each other's services by this machine's address on their network.
    let stable = [Some(Ipv4Addr::LOCALHOST), gateway];
    let stable = stable
        .into_iter()
        .flatten()
        .map(|address| SocketAddr::from((address, port)));
    let published = service
        .publish
        .map(|port| SocketAddr::from((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)));
    stable.chain(published).collect()
}

/// Host names that every service has without asking. Browsers and curl resolve them to this machine.
pub fn own_hosts(app: &App, name: &Name) -> Vec<String> {
    let place = match app.environment.as_str() {
        "local" => format!("{}.localhost", app.app),
        environment => format!("{environment}.{}.localhost", app.app),
    };
    let mut hosts = vec![format!("{name}.{place}")];
    if main_service(app) == Some(name) {
        hosts.insert(0, place);
    }
    hosts
}

/// The service that answers for the app as a whole: of its name, else the first static one, else
/// the first with a port.
pub fn main_service(app: &App) -> Option<&Name> {
    let reachable = || {
        app.services
            .iter()
            .filter(|(_, service)| service.port.is_some() || service.static_files.is_some())
    };
    let named = reachable().find(|(name, _)| **name == app.app);
    let fixed = || reachable().find(|(_, service)| service.static_files.is_some());
    named
        .or_else(fixed)
        .or_else(|| reachable().next())
        .map(|(name, _)| name)
}

fn hosts(app: &App, name: &Name, service: &Service) -> Vec<HostRoute> {
    let whole = |host: String| HostRoute {
        host: Some(host),
        path: "/".to_owned(),
        strip: false,
        redirect: None,
    };
    let own = own_hosts(app, name).into_iter().map(whole);
    let domains = service.domains.iter().map(|domain| HostRoute {
        redirect: domain.redirect.clone(),
        ..whole(domain.host.to_ascii_lowercase())
    });
    let routes = service.routes.iter().map(|route| HostRoute {
        host: route.host.as_ref().map(|host| host.to_ascii_lowercase()),
        path: route.path.clone(),
        strip: route.strip,
        redirect: None,
    });
    own.chain(domains).chain(routes).collect()
}

fn redirects(service: &Service) -> Vec<Redirect> {
    let redirect = |redirect: &landfall_app::model::Redirect| Redirect {
        from: redirect.from.clone(),
        to: redirect.to.clone(),
        status: redirect.status,
    };
    service.redirects.iter().map(redirect).collect()
}

/// The path of the front process's HTTP health check.
pub fn health_path(service: &Service) -> Option<String> {
    match &service.front()?.health.ready {
        Some(Probe::Http { path, .. }) => Some(path.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use landfall_ledger::InstanceState;
    use landfall_release::{Content, MadeBy, ReleaseNumber, SourceVersion};

    use super::*;

    fn release(file: &str, environment: &str) -> Release {
        let (file, diagnostics) = landfall_app::read(file.as_bytes(), "landfall.toml");
        let environment: Name = environment.parse().unwrap();
        let app = file
            .unwrap_or_else(|| panic!("{diagnostics:?}"))
            .resolve(&environment)
            .unwrap()
            .app;
        let artifacts = app.services.keys().map(|name| {
            let artifact = landfall_release::Artifact {
                digest: "0".repeat(64),
                folder: format!("/artifacts/{name}").into(),
                path: Vec::new(),
                environment: BTreeMap::new(),
                builder: "none".to_owned(),
                said: String::new(),
                size: 0,
                image: None,
            };
            (name.clone(), artifact)
        });
        let content = Content {
            source: SourceVersion::default(),
            artifacts: artifacts.collect(),
            app,
            secrets: BTreeMap::new(),
            files: BTreeMap::new(),
            made_by: MadeBy::Deploy,
        };
        content.seal(ReleaseNumber(3), 0)
    }

    fn row(service: &str, port: u16) -> InstanceRow {
        InstanceRow {
            id: format!("shop.local.{service}.3.1.9"),
            app: "shop".parse().unwrap(),
            environment: "local".parse().unwrap(),
            release: ReleaseNumber(3),
            service: service.parse().unwrap(),
            replica: 1,
            port: Some(port),
            address: None,
            folder: "/instances/one".into(),
            boot_id: String::new(),
            state: InstanceState::Live,
            created_at: 0,
        }
    }

    const SHOP: &str = r#"
        app = "shop"
        [service.api]
        port = 8000
        health = "/health"
        command = "serve $PORT"
        domains = ["API.example.com", { host = "old.example.com", redirect = "api.example.com" }]
        publish = 9000
        [service.site]
        build = { run = "true" }
        static = "public"
        [service.worker]
        command = "work"
        [environment.staging]
        extends = "local"
    "#;

    fn ports() -> BTreeMap<Name, u16> {
        [("api", 20_001), ("site", 20_002)]
            .map(|(name, port)| (name.parse().unwrap(), port))
            .into()
    }

    #[test]
    fn instances_files_and_what_has_no_port() {
        let rows = [row("api", 21_007), row("worker", 1)];
        let table = routes(
            &release(SHOP, "local"),
            Generation(5),
            &ports(),
            None,
            &rows,
            Serving::Instances,
        );
        assert_eq!((table.generation, table.services.len()), (5, 2));
        let api = &table.services[0];
        assert_eq!(
            api.listeners,
            [
                "127.0.0.1:20001".parse().unwrap(),
                "0.0.0.0:9000".parse().unwrap()
            ]
        );
        assert_eq!(api.health_path.as_deref(), Some("/health"));
        let Upstream::Instances(instances) = &api.upstream else {
            panic!()
        };
        assert_eq!(instances[0].address, "127.0.0.1:21007".parse().unwrap());
        let hosts: Vec<_> = api
            .hosts
            .iter()
            .filter_map(|route| route.host.as_deref())
            .collect();
        assert_eq!(
            hosts,
            ["api.shop.localhost", "api.example.com", "old.example.com"]
        );
        assert_eq!(api.hosts[2].redirect.as_deref(), Some("api.example.com"));
        assert_eq!(
            table.services[1].upstream,
            Upstream::Files {
                folder: "/artifacts/site/public".into()
            }
        );
    }

    #[test]
    fn the_app_s_own_name_leads_to_its_main_service() {
        let local = release(SHOP, "local");
        let site: Name = "site".parse().unwrap();
        assert_eq!(
            own_hosts(&local.content.app, &site),
            ["shop.localhost", "site.shop.localhost"]
        );
        let staging = release(SHOP, "staging");
        assert_eq!(
            own_hosts(&staging.content.app, &site)[0],
            "staging.shop.localhost"
        );
    }

    #[test]
    fn one_service_stops_and_the_others_serve_on() {
        let rows = [row("api", 21_007)];
        let stopped = BTreeSet::from(["api".parse().unwrap()]);
        let serving = Serving::Except(&stopped, "one moment");
        let table = routes(
            &release(SHOP, "local"),
            Generation(5),
            &ports(),
            None,
            &rows,
            serving,
        );
        assert_eq!(
            table.services[0].upstream,
            Upstream::Nothing {
                reason: "one moment".to_owned()
            }
        );
        assert!(matches!(table.services[1].upstream, Upstream::Files { .. }));
        let table = routes(
            &release(SHOP, "local"),
            Generation(5),
            &ports(),
            None,
            &[],
            Serving::Instances,
        );
        assert!(
            matches!(&table.services[0].upstream, Upstream::Nothing { reason } if reason.contains("api"))
        );
    }

    #[test]
    fn nothing_serves_with_its_reason() {
        let table = routes(
            &release(SHOP, "local"),
            Generation(5),
            &ports(),
            None,
            &[],
            Serving::Nothing("stopped"),
        );
        for service in table.services {
            assert_eq!(
                service.upstream,
                Upstream::Nothing {
                    reason: "stopped".to_owned()
                }
            );
        }
    }
}
