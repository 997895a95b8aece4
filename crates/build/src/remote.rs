//! The address of a remote repository, as it may be published.

/// An address that anyone may see: without user and password, `git@host:path` as `https://host/path`.
/// None of what is no address: a folder of this machine.
pub fn address(remote: &str) -> Option<String> {
    let remote = remote.trim().trim_end_matches('/');
    let remote = remote.strip_suffix(".git").unwrap_or(remote);
    let (scheme, rest) = match remote.split_once("://") {
        Some((scheme, rest)) => (scheme, rest.to_owned()),
        None => {
            let (host, path) = remote
                .split_once(':')
                .filter(|(host, _)| !host.contains('/'))?;
            ("ssh", format!("{host}/{}", path.trim_start_matches('/')))
        }
    };
    let (host, path) = rest.split_once('/')?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    match scheme {
        "http" | "https" => Some(format!("{scheme}://{host}/{path}")),
        // The port is that of ssh.
        "ssh" | "git" => {
            let host = host.split(':').next().unwrap_or(host);
            Some(format!("https://{host}/{path}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_names_no_user() {
        for (remote, published) in [
            (
                "https://github.com/acme/shop.git",
                Some("https://github.com/acme/shop"),
            ),
            (
                "https://ada:hunter2@github.com/acme/shop",
                Some("https://github.com/acme/shop"),
            ),
            (
                "git@github.com:acme/shop.git",
                Some("https://github.com/acme/shop"),
            ),
            (
                "ssh://git@host:2222/acme/shop/",
                Some("https://host/acme/shop"),
            ),
            ("/srv/git/shop.git", None),
            ("../shop", None),
            ("file:///srv/git/shop.git", None),
        ] {
            assert_eq!(address(remote).as_deref(), published, "{remote}");
        }
    }
}
