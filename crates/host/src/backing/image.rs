//! Which image may follow another on the same data.

use landfall_app::{
    Name,
    model::{Backing, BackingKind},
};
use landfall_release::Failure;

use super::{packages::major, prepare::reference};

/// Refuses an image that can't be known to understand the data of the one before: of another
/// repository, or of another major version.
pub fn refuse(name: &Name, before: &Backing, after: &Backing) -> Result<(), Failure> {
    let images = |backing: &Backing| matches!(backing.kind, BackingKind::Image(_));
    if !images(before) || !images(after) {
        return Ok(());
    }
    let (old, new) = (reference(before), reference(after));
    let ((from, earlier), (to, later)) = (parts(&old), parts(&new));
    let of_other_version = !major(earlier).is_empty() && major(earlier) != major(later);
    if old == new || (from == to && !of_other_version) {
        return Ok(());
    }
    Err(Failure::new(
        "major-version",
        format!("{name} has data of the image {old}, and the file makes it {new}"),
    )
    .with(
        "mend",
        "name a second backing service with the new image, and move the data",
    ))
}

/// The repository and the tag of a reference; no tag where it has none.
fn parts(reference: &str) -> (&str, &str) {
    let named = reference.split('@').next().unwrap_or_default();
    let (repository, tag) = match named.rsplit_once(':') {
        // Else it is the port of a registry.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (named, ""),
    };
    let repository = repository.strip_prefix("docker.io/").unwrap_or(repository);
    let repository = repository.strip_prefix("library/").unwrap_or(repository);
    (repository, tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(image: &str) -> Backing {
        let text = format!(
            "[service.web]\ncommand = \"bin/web\"\n[backing.mysql]\nimage = \"{image}\"\nport = 1"
        );
        crate::testing::app(&text).backing["mysql"].clone()
    }

    #[test]
    fn data_is_never_given_to_another_image() {
        let name = "mysql".parse().unwrap();
        let refused = |before: &str, after: &str| refuse(&name, &of(before), &of(after)).is_err();
        for (before, after) in [
            ("mysql:5.7", "mysql:8"),
            ("mysql:5.7", "mysql:latest"),
            ("mysql:8", "mariadb:8"),
        ] {
            assert!(refused(before, after), "{before} {after}");
        }
        for (before, after) in [
            ("mysql:8.0", "mysql:8.4"),
            ("mysql:8", "docker.io/library/mysql:8.1"),
            ("mysql", "mysql:8"),
            ("registry.example:5000/db", "registry.example:5000/db:2"),
        ] {
            assert!(!refused(before, after), "{before} {after}");
        }
    }
}
