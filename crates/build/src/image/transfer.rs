//! Pulling and pushing: how far it is, and what went wrong, told apart by what docker says.

use std::collections::BTreeMap;

use super::{error::ImageError, reference::registry};

/// What docker prints while layers go one way or the other.
#[derive(Debug, Default)]
pub struct Transfer {
    /// Layers, and whether each is done.
    layers: BTreeMap<String, bool>,
    /// How many of them were there already.
    there: usize,
    /// The registry's digest.
    pub digest: Option<String>,
    /// What docker complains of.
    complaint: String,
}

impl Transfer {
    /// Takes a line in; what it tells about how far it is.
    pub fn line(&mut self, line: &str) -> Option<String> {
        // `latest: digest: sha256:… size: 528` of a push, `Digest: sha256:…` of a pull.
        if let Some((_, rest)) = line.split_once("igest: ") {
            let digest = rest.split_whitespace().next().unwrap_or_default();
            self.digest = digest.starts_with("sha256:").then(|| digest.to_owned());
            return None;
        }
        let (layer, said) = line.split_once(": ").unwrap_or((line, ""));
        let is_layer = layer.len() == 12 && layer.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_layer {
            // The last words of docker are its reason.
            self.complaint = line.to_owned();
            return None;
        }
        let there = ["Already exists", "Layer already exists"].contains(&said);
        let done = there
            || ["Pull complete", "Pushed"].contains(&said)
            || said.starts_with("Mounted from");
        let before = self.layers.insert(layer.to_owned(), done);
        self.there += usize::from(there && before != Some(true));
        let finished = self.layers.values().filter(|done| **done).count();
        Some(format!("{finished} of {} layers", self.layers.len()))
    }

    /// In a few words: `7 layers, 3 of them there already`.
    pub fn said(&self) -> String {
        let count = self.layers.len();
        let layers = format!("{count} layer{}", if count == 1 { "" } else { "s" });
        match (count, self.there) {
            (0, _) => String::new(),
            (_, 0) => layers,
            (_, there) if there == count => format!("{layers}, all there already"),
            (_, there) => format!("{layers}, {there} of them there already"),
        }
    }

    /// What went wrong.
    pub fn error(&self, doing: &'static str, reference: &str, fallback: &str) -> ImageError {
        let said = match self.complaint.is_empty() {
            true => fallback,
            false => &self.complaint,
        };
        error(doing, reference, said)
    }
}

/// What docker's words about an image mean.
pub fn error(doing: &'static str, reference: &str, said: &str) -> ImageError {
    let said = said.trim();
    let said = [
        "Error response from daemon: ",
        "ERROR: ",
        "failed to solve: ",
    ]
    .iter()
    .fold(said, |said, before| {
        said.strip_prefix(before).unwrap_or(said)
    });
    let (reference, registry) = (reference.to_owned(), registry(reference).to_owned());
    let said = said.to_owned();
    match kind(&said) {
        Kind::DiskFull => ImageError::DiskFull { doing, said },
        Kind::Architecture => ImageError::Architecture { reference, said },
        Kind::Denied => ImageError::Denied {
            doing,
            reference,
            registry,
            said,
        },
        Kind::Unknown => ImageError::Unknown { reference, said },
        Kind::Unreachable => ImageError::Unreachable { registry, said },
        Kind::Other => ImageError::Transfer {
            doing,
            reference,
            said,
        },
    }
}

/// Whether the words are about a registry at all, so that a build that ended with them failed there.
pub fn is_about_a_registry(said: &str) -> bool {
    kind(said) != Kind::Other
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    DiskFull,
    Architecture,
    Denied,
    Unknown,
    Unreachable,
    Other,
}

/// In this order: what a registry says of permission comes in words that also say "not found".
const WORDS: [(Kind, &[&str]); 5] = [
    (
        Kind::DiskFull,
        &["no space left on device", "disk quota exceeded"],
    ),
    (
        Kind::Architecture,
        &["no matching manifest for", "no match for platform"],
    ),
    (
        Kind::Denied,
        &[
            "unauthorized",
            "authentication required",
            "access denied",
            "access to the resource is denied",
            "insufficient_scope",
            "no basic auth credentials",
            "incorrect username or password",
            "authorization failed",
            "error getting credentials",
            "403 forbidden",
            "401 unauthorized",
            "denied: ",
        ],
    ),
    (
        Kind::Unknown,
        &[
            "manifest unknown",
            "name unknown",
            "repository name not known",
            "not found",
            "invalid reference format",
        ],
    ),
    (
        Kind::Unreachable,
        &[
            "no such host",
            "connection refused",
            "i/o timeout",
            "handshake timeout",
            "network is unreachable",
            "no route to host",
            "name resolution",
            "deadline exceeded",
            "client.timeout",
            "connection reset",
            "http response to https client",
            "x509:",
            "unexpected eof",
            "502 bad gateway",
            "503 service unavailable",
            "500 internal server error",
            "toomanyrequests",
        ],
    ),
];

fn kind(said: &str) -> Kind {
    let said = said.to_lowercase();
    let found = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| said.contains(word)));
    // A host that isn't found is no image that isn't found.
    match found.map(|(kind, _)| *kind) {
        Some(Kind::Unknown) if said.contains("executable file not found") => Kind::Other,
        Some(kind) => kind,
        None => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_counted() {
        let mut transfer = Transfer::default();
        let lines = [
            "latest: Pulling from acme/shop",
            "a1b2c3d4e5f6: Pulling fs layer",
            "b1b2c3d4e5f6: Already exists",
            "a1b2c3d4e5f6: Download complete",
            "a1b2c3d4e5f6: Pull complete",
            "Digest: sha256:0123",
            "Status: Downloaded newer image for ghcr.io/acme/shop:latest",
        ];
        let news: Vec<_> = lines
            .iter()
            .filter_map(|line| transfer.line(line))
            .collect();
        assert_eq!(
            news,
            [
                "0 of 1 layers",
                "1 of 2 layers",
                "1 of 2 layers",
                "2 of 2 layers"
            ]
        );
        assert_eq!(transfer.digest.as_deref(), Some("sha256:0123"));
        assert_eq!(transfer.said(), "2 layers, 1 of them there already");
        let mut push = Transfer::default();
        push.line("latest: digest: sha256:4567 size: 528");
        assert_eq!(push.digest.as_deref(), Some("sha256:4567"));
    }

    #[test]
    fn what_went_wrong_is_told_apart() {
        for (said, name) in [
            (
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 127.0.0.53:53: no such host",
                "registry-unreachable",
            ),
            (
                "Error response from daemon: Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
                "registry-unreachable",
            ),
            (
                "Error response from daemon: pull access denied for nosuch, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                "registry-denied",
            ),
            (
                "Error response from daemon: Head \"http://127.0.0.1:5000/v2/x/manifests/1\": no basic auth credentials",
                "registry-denied",
            ),
            ("unauthorized: authentication required", "registry-denied"),
            (
                "Error response from daemon: manifest for 127.0.0.1:5000/x:2 not found: manifest unknown: manifest unknown",
                "unknown-image",
            ),
            ("docker.io/library/nosuch:x: not found", "unknown-image"),
            (
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                "wrong-architecture",
            ),
            (
                "write /var/lib/docker/tmp/x: no space left on device",
                "disk-full",
            ),
            ("something else", "image-failed"),
        ] {
            assert_eq!(
                error("pulled", "127.0.0.1:5000/x:1", said).name(),
                name,
                "{said}"
            );
        }
        assert!(!is_about_a_registry("exit code: 1"));
    }
}
