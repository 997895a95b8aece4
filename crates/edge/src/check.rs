//! Whether routes make sense, by themselves and beside those of the other apps. Pure.

use std::collections::{HashMap, HashSet};

use crate::routes::{AppRoutes, Refused, ServiceRoutes, Upstream};

/// A refusal.
pub(crate) fn refused(error: &str, message: impl Into<String>) -> Refused {
    Refused {
        error: error.to_owned(),
        message: message.into(),
        generation: None,
    }
}

fn bad(service: &ServiceRoutes, message: impl std::fmt::Display) -> Refused {
    refused(
        "bad-routes",
        format!("service {:?}: {message}", service.service),
    )
}

/// Checks `new` by itself, and that nothing of it belongs to another app already.
pub(crate) fn check(new: &AppRoutes, others: &[&AppRoutes]) -> Result<(), Refused> {
    let mut names = HashSet::new();
    for service in &new.services {
        if !names.insert(&service.service) {
            return Err(bad(service, "stands twice"));
        }
        check_service(service)?;
    }
    let mut taken = HashMap::new();
    for app in others.iter().copied().chain([new]) {
        for service in &app.services {
            for (what, port) in claims(service) {
                let Some((other, other_service)) =
                    taken.insert(what.clone(), (app, &service.service))
                else {
                    continue;
                };
                if !std::ptr::eq(app, new) {
                    continue;
                }
                let error = match (std::ptr::eq(other, new), port) {
                    (true, _) => "bad-routes",
                    (false, true) => "port-taken",
                    (false, false) => "route-taken",
                };
                let whose = format!("{}/{}/{other_service}", other.app, other.environment);
                return Err(refused(error, format!("{what} belongs to {whose} already")));
            }
        }
    }
    Ok(())
}

/// What only one service can have, in words, and whether it is an address.
fn claims(service: &ServiceRoutes) -> impl Iterator<Item = (String, bool)> {
    let ports = service
        .listeners
        .iter()
        .map(|address| (address.to_string(), true));
    let routes = service.hosts.iter().map(|route| {
        let host = route.host.as_deref().unwrap_or("any host");
        (
            format!("the route {host}{}/", route.path.trim_end_matches('/')),
            false,
        )
    });
    ports.chain(routes)
}

fn check_service(service: &ServiceRoutes) -> Result<(), Refused> {
    for address in &service.listeners {
        if address.port() == 0 {
            return Err(bad(service, format_args!("listener {address} has no port")));
        }
    }
    for route in &service.hosts {
        if !route.path.starts_with('/') {
            return Err(bad(
                service,
                format_args!("path {:?} doesn't begin with a slash", route.path),
            ));
        }
        for host in route
            .host
            .iter()
            .map(|host| host.strip_prefix("*.").unwrap_or(host))
            .chain(route.redirect.as_deref())
        {
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c);
            if host.is_empty() || !host.chars().all(plain) {
                return Err(bad(
                    service,
                    format_args!("{host:?} isn't a host in lower case"),
                ));
            }
        }
    }
    for redirect in &service.redirects {
        if ![301, 302, 307, 308].contains(&redirect.status) {
            return Err(bad(
                service,
                format_args!("{} isn't a redirect's status", redirect.status),
            ));
        }
        if !redirect.from.starts_with('/') || redirect.from.trim_end_matches('*').contains('*') {
            return Err(bad(
                service,
                format_args!(
                    "{:?} isn't a path, with `*` at its end at most",
                    redirect.from
                ),
            ));
        }
        if redirect.to.is_empty() || !redirect.to.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad(
                service,
                format_args!("{:?} is nowhere to redirect to", redirect.to),
            ));
        }
    }
    for name in service.headers.keys() {
        // They say how the answer is carried, which isn't the app file's to say.
        if [
            "connection",
            "content-length",
            "transfer-encoding",
            "upgrade",
        ]
        .contains(&name.to_ascii_lowercase().as_str())
        {
            return Err(bad(
                service,
                format_args!("the header {name:?} can't be set"),
            ));
        }
    }
    match &service.upstream {
        Upstream::Instances(instances) if instances.is_empty() => {
            return Err(bad(service, "has no instance: say why, as `nothing`"));
        }
        Upstream::Files { folder } if !folder.is_dir() => {
            return Err(bad(
                service,
                format_args!("{} isn't a folder", folder.display()),
            ));
        }
        _ => {}
    }
    if service.limits.timeout == 0 {
        return Err(bad(service, "a timeout of 0 leaves no time to answer"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        routes::{HostRoute, Redirect},
        testing::{app, service},
    };

    fn nothing(name: &str) -> ServiceRoutes {
        service(
            name,
            1,
            Upstream::Nothing {
                reason: "stopped".into(),
            },
        )
    }

    #[test]
    fn what_belongs_to_another_app_is_refused_by_name() {
        let route = |path: &str| HostRoute {
            host: Some("a.example".into()),
            path: path.into(),
            strip: false,
            redirect: None,
        };
        let mut one = app(1, vec![nothing("web")]);
        one.services[0]
            .listeners
            .push(([127, 0, 0, 1], 20_000).into());
        one.services[0].hosts.push(route("/x"));
        let mut two = one.clone();
        two.app = "other".into();
        let error = check(&two, &[&one]).unwrap_err();
        assert_eq!(
            (error.error.as_str(), error.message.as_str()),
            (
                "port-taken",
                "127.0.0.1:20000 belongs to shop/local/web already"
            )
        );
        two.services[0].listeners.clear();
        two.services[0].hosts[0].path = "/x/".into();
        assert_eq!(check(&two, &[&one]).unwrap_err().error, "route-taken");
        two.services[0].hosts[0].path = "/y".into();
        check(&two, &[&one]).unwrap();
        two.services[0].hosts.push(route("/y"));
        assert_eq!(check(&two, &[&one]).unwrap_err().error, "bad-routes");
    }

    #[test]
    fn nonsense_is_refused() {
        let break_it: [fn(&mut ServiceRoutes); 7] = [
            |s| s.listeners.push(([127, 0, 0, 1], 0).into()),
            |s| {
                s.hosts.push(HostRoute {
                    host: Some("A.example".into()),
                    path: "/".into(),
                    strip: false,
                    redirect: None,
                })
            },
            |s| {
                s.hosts.push(HostRoute {
                    host: None,
                    path: "x".into(),
                    strip: false,
                    redirect: None,
                })
            },
            |s| {
                s.redirects.push(Redirect {
                    from: "/a".into(),
                    to: "/b".into(),
                    status: 200,
                })
            },
            |s| {
                s.redirects.push(Redirect {
                    from: "/a".into(),
                    to: "/b\r\nX: y".into(),
                    status: 301,
                })
            },
            |s| s.upstream = Upstream::Instances(vec![]),
            |s| {
                s.upstream = Upstream::Files {
                    folder: "/nowhere/at/all".into(),
                }
            },
        ];
        for change in break_it {
            let mut one = nothing("web");
            check(&app(1, vec![one.clone()]), &[]).unwrap();
            change(&mut one);
            assert_eq!(
                check(&app(1, vec![one]), &[]).unwrap_err().error,
                "bad-routes"
            );
        }
        let twice = app(1, vec![nothing("web"), nothing("web")]);
        assert_eq!(check(&twice, &[]).unwrap_err().error, "bad-routes");
    }
}
