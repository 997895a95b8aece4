//! References of images: which registry one means, and what it is without its tag.

use std::collections::BTreeSet;

/// The registry that is meant where none is named.
pub const DEFAULT: &str = "docker.io";

/// The registry's host, with its port: `ghcr.io` of `ghcr.io/acme/shop:1`.
pub fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => DEFAULT,
    }
}

/// The repository: without tag and digest.
pub fn repository(reference: &str) -> &str {
    let name = reference
        .split_once('@')
        .map_or(reference, |(name, _)| name);
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[start..].find(':') {
        Some(colon) => &name[..start + colon],
        None => name,
    }
}

/// The digest in a list of `repository@sha256:…` that belongs to this reference, as its registry has it.
pub fn digest_of<'d>(reference: &str, digests: &'d [String]) -> Option<&'d String> {
    let wanted = canonical(repository(reference));
    digests
        .iter()
        .find(|digest| canonical(repository(digest)) == wanted)
}

/// A repository's name with everything that may be left out.
fn canonical(repository: &str) -> String {
    let registry = registry(repository);
    let path = repository
        .strip_prefix(registry)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(repository);
    match registry {
        DEFAULT if !path.contains('/') => format!("{DEFAULT}/library/{path}"),
        registry => format!("{registry}/{path}"),
    }
}

/// A branch as part of a tag: what tags can't hold becomes `-`.
pub fn tag(branch: Option<&str>, commit: &str) -> String {
    let short = commit.get(..7).unwrap_or(commit);
    let Some(branch) = branch else {
        return short.to_owned();
    };
    let mut name: String = branch
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' => letter,
            _ => '-',
        })
        .take(100)
        .collect();
    // A tag doesn't begin so.
    while name.starts_with(['.', '-']) {
        name.remove(0);
    }
    match name.is_empty() {
        true => short.to_owned(),
        false => format!("{name}-{short}"),
    }
}

/// Whether a tag is one that publishing gives: `latest`, or one that [`tag`] makes.
fn is_published(tag: &str) -> bool {
    let short = tag.rsplit_once('-').map_or(tag, |(_, short)| short);
    let hexadecimal = |letter: char| letter.is_ascii_digit() || ('a'..='f').contains(&letter);
    tag == "latest" || short.len() == 7 && short.chars().all(hexadecimal)
}

/// How an image is called that was built for an app's service from what has this short digest.
pub fn built(app: &str, service: &str, digest: &str) -> String {
    format!("landfall/{app}-{service}:{digest}")
}

/// Whether a name of an image that was built for an app from what has this short digest is one that
/// was given here: the one that it was built under, or one that it was published under, to one of
/// these repositories. All others are somebody else's.
pub fn is_given(name: &str, app: &str, digest: &str, repositories: &BTreeSet<String>) -> bool {
    let repository = repository(name);
    let Some(tag) = name[repository.len()..].strip_prefix(':') else {
        return false;
    };
    let built = repository
        .strip_prefix("landfall/")
        .and_then(|rest| rest.strip_prefix(app))
        .is_some_and(|rest| rest.starts_with('-'));
    let published = || {
        let own = canonical(repository);
        repositories
            .iter()
            .any(|to| canonical(self::repository(to)) == own)
    };
    built && tag == digest || is_published(tag) && published()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_somebody_else_arent_taken_for_ours() {
        let published = ["ghcr.io/acme/shop".to_owned(), "acme/shop:x".to_owned()];
        let published = BTreeSet::from(published);
        let given = |name: &str| is_given(name, "shop", "0123456789ab", &published);
        for own in [
            "landfall/shop-web:0123456789ab",
            "ghcr.io/acme/shop:latest",
            "ghcr.io/acme/shop:4f2c9ae",
            "ghcr.io/acme/shop:feature-a-4f2c9ae",
            "acme/shop:main-4f2c9ae",
        ] {
            assert!(given(own), "{own}");
        }
        for other in [
            "landfall/shop-web:mine",
            "landfall/shop2-web:0123456789ab",
            "ghcr.io/acme/shop:v1.2",
            "ghcr.io/acme/other:latest",
            "ghcr.io/acme/shop",
            "keep:latest",
        ] {
            assert!(!given(other), "{other}");
        }
    }

    #[test]
    fn the_registry_is_what_looks_like_a_host() {
        for (reference, host) in [
            ("postgres:15", "docker.io"),
            ("mendhak/http-https-echo:25", "docker.io"),
            ("ghcr.io/acme/shop@sha256:abc", "ghcr.io"),
            ("127.0.0.1:5000/shop", "127.0.0.1:5000"),
            ("localhost/shop", "localhost"),
        ] {
            assert_eq!(registry(reference), host, "{reference}");
        }
    }

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(repository("127.0.0.1:5000/shop"), "127.0.0.1:5000/shop");
        assert_eq!(repository("127.0.0.1:5000/shop:1"), "127.0.0.1:5000/shop");
        assert_eq!(repository("shop:1@sha256:abc"), "shop");
    }

    #[test]
    fn a_digest_is_found_by_its_repository() {
        let digests = [
            "mirror.example.com/shop@sha256:1".to_owned(),
            "postgres@sha256:2".to_owned(),
        ];
        let found = |reference| digest_of(reference, &digests).map(String::as_str);
        assert_eq!(
            found("docker.io/library/postgres:15"),
            Some("postgres@sha256:2")
        );
        assert_eq!(
            found("mirror.example.com/shop:2"),
            Some("mirror.example.com/shop@sha256:1")
        );
        assert_eq!(found("shop:2"), None);
    }

    #[test]
    fn a_branch_becomes_part_of_a_tag() {
        let commit = "4f2c9ae1234";
        assert_eq!(tag(Some("main"), commit), "main-4f2c9ae");
        assert_eq!(tag(Some("-feature/a b"), commit), "feature-a-b-4f2c9ae");
        assert_eq!(tag(None, commit), "4f2c9ae");
    }
}
