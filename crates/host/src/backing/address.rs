//! Where a backing service is and how an app logs in: what `uses` and `${backing.X.…}` give.

use std::net::{Ipv4Addr, SocketAddr};

use landfall_app::{Field, Name, model::BackingKind};
use landfall_ledger::BackingRow;
use landfall_redact::Secret;
use landfall_release::Failure;

/// Where a backing service is.
#[derive(Debug, Clone)]
pub struct BackingAddress {
    /// The whole URL, password included.
    pub url: Secret,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user; empty where there is none.
    pub user: String,
    /// The password; empty where there is none.
    pub password: Secret,
    /// The database's name; empty where there is none.
    pub name: String,
}

impl BackingAddress {
    /// One of its parts, and whether it is secret.
    pub fn part(&self, field: Field) -> (String, bool) {
        match field {
            Field::Url => (self.url.expose().to_owned(), !self.password.is_empty()),
            Field::Host => (self.host.clone(), false),
            Field::Port => (self.port.to_string(), false),
            Field::User => (self.user.clone(), false),
            Field::Password => (self.password.expose().to_owned(), !self.password.is_empty()),
            Field::Name => (self.name.clone(), false),
        }
    }

    /// The variables of `uses`: the URL, and its parts with the same beginning.
    pub fn variables(&self, variable: &str) -> Vec<(String, String, bool)> {
        let prefix = variable.strip_suffix("_URL").unwrap_or(variable);
        let fields = [
            ("HOST", Field::Host),
            ("PORT", Field::Port),
            ("USER", Field::User),
            ("PASSWORD", Field::Password),
            ("NAME", Field::Name),
        ];
        let (url, secret) = self.part(Field::Url);
        let mut all = vec![(variable.to_owned(), url, secret)];
        for (suffix, field) in fields {
            let (text, secret) = self.part(field);
            if !text.is_empty() {
                all.push((format!("{prefix}_{suffix}"), text, secret));
            }
        }
        all
    }

    /// That of one that this host keeps.
    pub fn own(row: &BackingRow, password: Secret) -> Self {
        let body = &row.body;
        let (host, port) = (body.address, body.port);
        let word = password.expose();
        let url = match body.wanted.kind {
            BackingKind::Postgres => format!(
                "postgresql://{}:{word}@{host}:{port}/{}",
                body.user, body.database
            ),
            BackingKind::Redis => format!(
                "redis://{}:{word}@{host}:{port}/{}",
                body.user, body.database
            ),
            BackingKind::Image(_) => format!("tcp://{host}:{port}"),
        };
        let password = match body.wanted.kind {
            BackingKind::Image(_) => Secret::default(),
            _ => password,
        };
        Self {
            url: Secret::new(url),
            host: host.to_string(),
            port,
            user: body.user.clone(),
            password,
            name: body.database.clone(),
        }
    }

    /// Somebody else's, by its URL, which may not be shown.
    pub fn external(name: &Name, kind: &BackingKind, url: &str) -> Result<Self, Failure> {
        parse(kind, url).ok_or_else(|| {
            let scheme = match kind {
                BackingKind::Redis => "redis://:password@host:6379/0",
                _ => "postgresql://user:password@host:5432/name",
            };
            Failure::new(
                "backing-unreachable",
                format!("the URL of {name} can't be read; it isn't shown, since it is secret"),
            )
            .with("mend", format!("it looks like {scheme}"))
        })
    }
}

fn parse(kind: &BackingKind, url: &str) -> Option<BackingAddress> {
    let (scheme, rest) = url.split_once("://")?;
    let default = match (kind, scheme.split('+').next()?) {
        (BackingKind::Postgres, "postgres" | "postgresql") => 5432,
        (BackingKind::Redis, "redis" | "rediss") => 6379,
        _ => return None,
    };
    let (authority, path) = match rest.find(['/', '?']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (login, place),
        None => ("", authority),
    };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return None;
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None => default,
    };
    let name = path.split('?').next().unwrap_or_default();
    Some(BackingAddress {
        url: Secret::new(url.to_owned()),
        host: host.to_owned(),
        port,
        user: decoded(user)?,
        password: Secret::new(decoded(password)?),
        name: decoded(name.trim_start_matches('/'))?,
    })
}

/// A part of a URL without its escapes.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Where one that this host keeps accepts connections.
pub fn socket(row: &BackingRow) -> SocketAddr {
    (row.body.address, row.body.port).into()
}

/// The address of plain processes.
pub const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url() {
        let url = "postgresql+asyncpg://ada:p%40ss@db.example.com/shop?sslmode=require";
        let address = parse(&BackingKind::Postgres, url).unwrap();
        assert_eq!(
            (address.host.as_str(), address.port),
            ("db.example.com", 5432)
        );
        assert_eq!(address.user, "ada");
        assert_eq!(address.password.expose(), "p@ss");
        assert_eq!(address.name, "shop");
        let address = parse(&BackingKind::Redis, "rediss://:word@[::1]:6380/2").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 6380));
        assert_eq!((address.user.as_str(), address.name.as_str()), ("", "2"));
    }

    #[test]
    fn what_is_no_url_of_its_kind() {
        for url in [
            "",
            "db.example.com",
            "mysql://a@b/c",
            "postgres://",
            "postgres://a:b@c:0/d",
            "postgres://a%4@c/d",
        ] {
            assert!(parse(&BackingKind::Postgres, url).is_none(), "{url}");
        }
        let name = "postgres".parse().unwrap();
        let failure = BackingAddress::external(&name, &BackingKind::Postgres, "mysql://a:hidden@b")
            .unwrap_err();
        assert!(!format!("{failure:?}").contains("hidden"));
    }

    #[test]
    fn variables_begin_as_the_url_does() {
        let address = parse(&BackingKind::Postgres, "postgres://ada:word@db:6543/shop").unwrap();
        let variables: Vec<_> = address
            .variables("DATABASE_URL")
            .into_iter()
            .map(|(name, text, secret)| {
                format!("{name}={text}{}", if secret { " secret" } else { "" })
            })
            .collect();
        assert_eq!(
            variables,
            [
                "DATABASE_URL=postgres://ada:word@db:6543/shop secret",
                "DATABASE_HOST=db",
                "DATABASE_PORT=6543",
                "DATABASE_USER=ada",
                "DATABASE_PASSWORD=word secret",
                "DATABASE_NAME=shop",
            ]
        );
    }
}
