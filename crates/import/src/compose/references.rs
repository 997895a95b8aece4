//! Addresses of other services in the values of variables, and what refers to them here.

use std::collections::BTreeSet;

use super::{
    context::{Context, Role},
    interpolate::Piece,
    secret::{password_in_url, variable_name},
    tree::{At, Scalar},
};
use crate::RemarkKind;

/// Hosts of a value, with their ports: of its URL, or of all of it as `host:port`.
pub(super) fn addresses(text: &str) -> Vec<(&str, Option<u16>)> {
    let mut found = Vec::new();
    for part in text.split([',', ' ', ';', '|']) {
        let (rest, whole) = match part.split_once("://") {
            Some((scheme, rest)) if !scheme.is_empty() => (rest, false),
            _ => (part, true),
        };
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let place = authority
            .rsplit_once('@')
            .map_or(authority, |(_, place)| place);
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (place, None),
        };
        if !host.is_empty() && (!whole || port.is_some() || part == text) {
            found.push((host, port));
        }
    }
    found
}

impl Context<'_> {
    /// The backing service whose URL a value is, where `uses` would give the same.
    pub(super) fn whole_url(&self, text: &str) -> Option<usize> {
        let (scheme, rest) = text.split_once("://")?;
        let [(host, port)] = addresses(text)[..] else {
            return None;
        };
        let other = *self.hosts.get(host)?;
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        match self.services[other].role {
            Role::Postgres(_)
                if matches!(scheme, "postgres" | "postgresql")
                    && matches!(port, None | Some(5432))
                    && !rest.contains(['?', '#']) =>
            {
                Some(other)
            }
            Role::Redis
                if scheme == "redis"
                    && matches!(port, None | Some(6379))
                    && matches!(path, "" | "0") =>
            {
                Some(other)
            }
            _ => None,
        }
    }

    /// The databases that Landfall provides and a service names by their hosts.
    pub(super) fn databases_of(&self, at: usize) -> BTreeSet<usize> {
        let variables = self.services[at].variables.values();
        variables
            .filter_map(|(_, value)| {
                let value = value.as_ref()?;
                let [(host, _)] = addresses(&value.text)[..] else {
                    return None;
                };
                let other = *self.hosts.get(host)?;
                self.services[other].role.is_provided().then_some(other)
            })
            .collect()
    }

    /// A user, a password, a database's name, a host or a port of a database that Landfall provides.
    pub(super) fn part_of_backing(
        &self,
        near: &BTreeSet<usize>,
        name: &str,
        text: &str,
    ) -> Option<String> {
        let upper = name.to_ascii_uppercase();
        for &other in near {
            let service = &self.services[other];
            let backing = &service.name;
            let own = |names: &[&str]| {
                names.iter().find_map(|name| {
                    service
                        .variables
                        .get(*name)?
                        .1
                        .as_ref()
                        .map(|value| value.text.as_str())
                })
            };
            let ends = |ends: &[&str]| {
                ends.iter().any(|end| {
                    upper == *end
                        || upper.ends_with(&format!("_{end}"))
                        || upper.ends_with(end) && upper.starts_with("PG")
                })
            };
            let reference = |field: &str| Some(format!("${{backing.{backing}.{field}}}"));
            let port = match service.role {
                Role::Postgres(_) => "5432",
                _ => "6379",
            };
            if self.hosts.get(text) == Some(&other)
                && !upper.ends_with("USER")
                && !upper.ends_with("NAME")
                && !upper.ends_with("DB")
            {
                return reference("host");
            }
            if text == port && ends(&["PORT"]) {
                return reference("port");
            }
            if let Role::Postgres(_) = service.role {
                let user = own(&["POSTGRES_USER"]).unwrap_or("postgres");
                let database = own(&["POSTGRES_DB"]).unwrap_or(user);
                let password = own(&["POSTGRES_PASSWORD"]);
                if text == user && ends(&["USER", "USERNAME"]) {
                    return reference("user");
                }
                if Some(text) == password && ends(&["PASSWORD", "PASS", "PASSWD"]) {
                    return reference("password");
                }
                if text == database && ends(&["DB", "NAME", "DATABASE", "DBNAME"]) {
                    return reference("name");
                }
            } else if text == "default" && ends(&["USER", "USERNAME"]) {
                return reference("user");
            } else if text == "0" && upper.contains("REDIS") && ends(&["NAME", "DB"]) {
                return reference("name");
            } else if ends(&["PASSWORD", "PASS"]) && upper.contains("REDIS") {
                return reference("password");
            }
        }
        None
    }

    /// A value with the addresses of other services in it replaced; nothing where it has none.
    pub(super) fn with_references(
        &mut self,
        at: usize,
        name: &str,
        value: &Scalar,
        place: &At,
    ) -> Option<String> {
        let text = value.text.clone();
        let found: Vec<(String, Option<u16>, usize)> = addresses(&text)
            .into_iter()
            .filter_map(|(host, port)| Some((host.to_owned(), port, *self.hosts.get(host)?)))
            .collect();
        if found.is_empty() || text.contains("${") {
            return None;
        }
        // A word that only happens to be a service's name.
        let upper = name.to_ascii_uppercase();
        let alone = found.len() == 1 && found[0].0 == text;
        let like_host = [
            "HOST", "HOSTNAME", "SERVER", "ADDR", "ADDRESS", "ENDPOINT", "SERVICE", "UPSTREAM",
        ]
        .iter()
        .any(|end| upper.ends_with(end));
        if alone && !like_host {
            return None;
        }
        let mut out = text.clone();
        let mut changed = false;
        for (host, port, other) in found {
            let service = &self.services[other];
            let (given, role, listens) = (service.name.clone(), service.role.clone(), service.port);
            let whole = match port {
                Some(port) => format!("{host}:{port}"),
                None => host.clone(),
            };
            match role {
                Role::Postgres(_) | Role::Redis => {
                    let reference = |field: &str| format!("${{backing.{given}.{field}}}");
                    let Some((scheme, rest)) = out
                        .split_once("://")
                        .map(|(scheme, rest)| (scheme.to_owned(), rest.to_owned()))
                    else {
                        let to = if port.is_some() {
                            format!("{}:{}", reference("host"), reference("port"))
                        } else {
                            reference("host")
                        };
                        out = out.replacen(&whole, &to, 1);
                        changed = true;
                        continue;
                    };
                    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                    let (authority, tail) = rest.split_at(end);
                    let login = authority.contains('@');
                    let place_of = format!("{}:{}", reference("host"), reference("port"));
                    let login = if login {
                        format!("{}:{}@", reference("user"), reference("password"))
                    } else {
                        String::new()
                    };
                    let tail = match (&role, tail.strip_prefix('/')) {
                        (Role::Postgres(_), Some(path)) => {
                            let end = path.find(['?', '#']).unwrap_or(path.len());
                            format!("/{}{}", reference("name"), &path[end..])
                        }
                        _ => tail.to_owned(),
                    };
                    let login = if matches!(role, Role::Redis) && !scheme.starts_with("http") {
                        format!("{}:{}@", reference("user"), reference("password"))
                    } else {
                        login
                    };
                    out = format!("{scheme}://{login}{place_of}{tail}");
                    changed = true;
                }
                Role::Store(own, _) => {
                    // Found by its name; unless that is another one here.
                    if host != given {
                        out = out.replacen(&whole, &whole.replacen(&host, &given, 1), 1);
                        changed = true;
                    }
                    let _ = own;
                }
                Role::Service if other != at => {
                    let fits = match port {
                        Some(port) => listens == Some(port),
                        None => listens.is_some(),
                    };
                    if !fits {
                        let said = match listens {
                            Some(listens) => format!(
                                "asks {whole}, and only the port {listens} of `{given}` is reached by other services"
                            ),
                            None => format!(
                                "asks {whole}, and `{given}` says nowhere at which port it listens: give it a `port`"
                            ),
                        };
                        self.remark(
                            at,
                            RemarkKind::Changed,
                            place,
                            &format!("environment.{name}"),
                            said,
                        );
                        continue;
                    }
                    let url = format!("http://{whole}");
                    if out.contains(&url) {
                        out = out.replacen(&url, &format!("${{service.{given}.url}}"), 1);
                    } else if port.is_some() {
                        out = out.replacen(
                            &whole,
                            &format!("${{service.{given}.host}}:${{service.{given}.port}}"),
                            1,
                        );
                    } else {
                        out = out.replacen(&whole, &format!("${{service.{given}.host}}"), 1);
                        if !out.contains("://") {
                            let said = format!(
                                "other services are reached through the edge, at another port than {}: use ${{service.{given}.url}} or .port for it",
                                listens.unwrap_or_default()
                            );
                            self.remark(
                                at,
                                RemarkKind::Changed,
                                place,
                                &format!("environment.{name}"),
                                said,
                            );
                        }
                    }
                    changed = true;
                }
                _ => {}
            }
        }
        if !changed {
            return None;
        }
        // Secrets that stood in it aren't given away by what is left of it.
        if let Some(pieces) = &value.pieces {
            for piece in pieces.iter() {
                if let Piece::Secret {
                    name: secret,
                    value: text,
                    plain,
                } = piece
                    && text.len() > 2
                    && out.contains(text.as_str())
                {
                    out = out.replace(text.as_str(), &format!("${{secret.{secret}}}"));
                    self.secrets.note(secret);
                    if *plain {
                        self.plain_secret(at, place, &format!("environment.{name}"), secret);
                    }
                }
            }
        }
        if let Some(password) = password_in_url(&out)
            .filter(|password| !password.starts_with("${"))
            .map(str::to_owned)
        {
            let secret = self
                .secrets
                .by_value
                .get(&password)
                .cloned()
                .unwrap_or_else(|| format!("{}_PASSWORD", variable_name(name)));
            out = out.replacen(&password, &format!("${{secret.{secret}}}"), 1);
            self.plain_secret(at, place, &format!("environment.{name}"), &secret);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn hosts_are_found_in_values() {
        for (text, expected) in [
            ("http://api:8000/x", vec![("api", Some(8000))]),
            ("postgres://a:b@db/x?y", vec![("db", None)]),
            ("api:80", vec![("api", Some(80))]),
            ("api", vec![("api", None)]),
            (
                "kafka-1:9092,kafka-2:9092",
                vec![("kafka-1", Some(9092)), ("kafka-2", Some(9092))],
            ),
            ("some words here", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(addresses(text), expected, "{text}");
        }
    }
}
