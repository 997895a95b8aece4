//! Ports in all their forms.

use super::tree::{Item, Value};

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// Where the program listens; the first of a range.
    pub target: u16,
    /// How many in a row.
    pub count: u16,
    /// Where the machine listens, none: anywhere.
    pub published: Option<(u16, u16)>,
    /// On which address of the machine.
    pub host: Option<String>,
    pub udp: bool,
}

/// What makes an item another one, for merging.
pub(super) fn identity(item: &Item) -> Option<String> {
    match &item.value {
        Value::Scalar(scalar) => Some(match parse(&scalar.text) {
            Ok(port) => identity_of(&port),
            Err(_) => scalar.text.clone(),
        }),
        _ => long(item).ok().map(|port| identity_of(&port)),
    }
}

fn identity_of(port: &Port) -> String {
    let host = port.host.as_deref().unwrap_or("0.0.0.0");
    format!(
        "{host}:{:?}:{}+{}/{}",
        port.published, port.target, port.count, port.udp
    )
}

/// A port in its short form, or in its long one.
pub(super) fn port(item: &Item) -> Result<Port, String> {
    match &item.value {
        Value::Scalar(scalar) => parse(&scalar.text),
        _ => long(item),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

/// `[[HOST:]PUBLISHED:]TARGET[/PROTOCOL]`, the ports also as ranges.
fn parse(text: &str) -> Result<Port, String> {
    let wrong = || format!("`{text}` is no port; expected for example \"8080:80\"");
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, target) = match rest.rsplit_once(':') {
        Some((rest, target)) => (Some(rest), target),
        None => (None, rest),
    };
    let (first, last) = range(target).ok_or_else(wrong)?;
    let (host, published) = match rest {
        None => (None, None),
        Some(rest) => {
            let (host, published) = match rest.strip_prefix('[') {
                Some(rest) => {
                    let (host, published) = rest.split_once(']').ok_or_else(wrong)?;
                    (Some(host), published.strip_prefix(':').unwrap_or(published))
                }
                None => match rest.rsplit_once(':') {
                    Some((host, published)) => (Some(host), published),
                    None if rest.contains('.') => (Some(rest), ""),
                    None => (None, rest),
                },
            };
            let published = match published {
                "" => None,
                published => Some(range(published).ok_or_else(wrong)?),
            };
            (
                host.filter(|host| !host.is_empty()).map(str::to_owned),
                published,
            )
        }
    };
    let count = last - first + 1;
    if let Some((from, to)) = published
        && count > 1
        && to - from + 1 != count
    {
        return Err(format!(
            "`{text}`: the two ranges are not of the same length"
        ));
    }
    if !matches!(protocol, "tcp" | "udp" | "sctp") {
        return Err(wrong());
    }
    Ok(Port {
        target: first,
        count,
        published,
        host,
        udp: protocol != "tcp",
    })
}

fn long(item: &Item) -> Result<Port, String> {
    let text = |key: &str| item.get(key).and_then(Item::text);
    let target = text("target").ok_or("a port without `target`")?;
    let (target, last) = range(target).ok_or_else(|| format!("`{target}` is no port"))?;
    let published = match text("published") {
        None | Some("" | "0") => None,
        Some(published) => {
            Some(range(published).ok_or_else(|| format!("`{published}` is no port"))?)
        }
    };
    Ok(Port {
        target,
        count: last - target + 1,
        published,
        host: text("host_ip").map(str::to_owned),
        udp: text("protocol").is_some_and(|protocol| protocol != "tcp"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_form_is_read() {
        let port = |target, count, published, host: Option<&str>, udp| Port {
            target,
            count,
            published,
            host: host.map(str::to_owned),
            udp,
        };
        for (text, expected) in [
            ("3000", port(3000, 1, None, None, false)),
            ("3000-3005", port(3000, 6, None, None, false)),
            ("8000:80", port(80, 1, Some((8000, 8000)), None, false)),
            (
                "9090-9091:8080-8081",
                port(8080, 2, Some((9090, 9091)), None, false),
            ),
            (
                "49100-49200:22",
                port(22, 1, Some((49100, 49200)), None, false),
            ),
            (
                "127.0.0.1:8001:8001",
                port(8001, 1, Some((8001, 8001)), Some("127.0.0.1"), false),
            ),
            ("127.0.0.1::80", port(80, 1, None, Some("127.0.0.1"), false)),
            ("127.0.0.1:80", port(80, 1, None, Some("127.0.0.1"), false)),
            (
                "[::1]:6001:6001",
                port(6001, 1, Some((6001, 6001)), Some("::1"), false),
            ),
            (
                "::1:6001:6001",
                port(6001, 1, Some((6001, 6001)), Some("::1"), false),
            ),
            (
                "6060:6060/udp",
                port(6060, 1, Some((6060, 6060)), None, true),
            ),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in [
            "", "x", "80:", "0:0", "1-2:1-3", "80/x", "70000", "5-3", "[::1:80",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
