//! An image made from one static program, and what the Engine says of it.

use crate::support::{self, words};
use bollard::{Docker, query_parameters::ImportImageOptionsBuilder};
use futures_util::StreamExt as _;
use landfall_containers::{Engine, Labels, Removal};
use sha2::{Digest as _, Sha256};
use std::path::Path;

const APPLETS: [&str; 16] = [
    "cat", "chown", "dd", "echo", "grep", "head", "id", "ls", "nc", "nslookup", "sh", "sleep",
    "tail", "touch", "true", "wc",
];

/// The same every time, so the Engine keeps one of it however often tests run.
pub async fn made(engine: &Engine, busybox: &Path) -> String {
    let layer = layer(&std::fs::read(busybox).unwrap());
    load(engine, "landfall-test-busybox:kept", "kept", &layer).await
}

async fn load(engine: &Engine, tag: &str, label: &str, layer: &[u8]) -> String {
    let digest = Sha256::digest(layer);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux","created":"2026-01-01T00:00:00Z",
        "config":{{"Env":["PATH=/bin","OPTIONS=a=b"],"User":"1234:5678","WorkingDir":"/data",
        "Entrypoint":["/bin/echo"],"Cmd":["as","the","image","says"],"StopSignal":"SIGINT",
        "ExposedPorts":{{"8080/tcp":{{}},"53/udp":{{}}}},"Labels":{{"landfall.test":"{label}"}},
        "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":5000000000,"Retries":2}}}},
        "rootfs":{{"type":"layers","diff_ids":["sha256:{hex}"]}}}}"#
    );
    let manifest =
        format!(r#"[{{"Config":"config.json","RepoTags":["{tag}"],"Layers":["layer.tar"]}}]"#);
    let mut archive = Vec::new();
    for (name, content) in [
        ("manifest.json", manifest.as_bytes()),
        ("config.json", config.as_bytes()),
        ("layer.tar", layer),
    ] {
        entry(&mut archive, name, b'0', "", (0o644, 0), content);
    }
    archive.extend([0; 1024]);
    let socket = support::address().socket().to_str().unwrap().to_owned();
    let docker = Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION).unwrap();
    let docker = docker.negotiate_version().await.unwrap();
    let options = ImportImageOptionsBuilder::new().build();
    let body = bollard::body_full(archive.into());
    let mut loading = docker.import_image(options, body, None);
    while let Some(said) = loading.next().await {
        said.unwrap();
    }
    engine.image(tag).await.unwrap().unwrap().id
}

fn layer(program: &[u8]) -> Vec<u8> {
    let mut layer = Vec::new();
    for (folder, mode, owner) in [
        ("bin/", 0o755, 0),
        ("tmp/", 0o1777, 0),
        ("data/", 0o750, 1234),
    ] {
        entry(&mut layer, folder, b'5', "", (mode, owner), b"");
    }
    entry(&mut layer, "bin/busybox", b'0', "", (0o755, 0), program);
    for applet in APPLETS {
        let name = format!("bin/{applet}");
        entry(&mut layer, &name, b'2', "busybox", (0o777, 0), b"");
    }
    entry(&mut layer, "data/seed", b'0', "", (0o640, 1234), b"seeded");
    layer.extend([0; 1024]);
    layer
}

/// Appends an entry to a tar archive. `kind`: `0` a file, `2` a link, `5` a folder.
fn entry(
    tar: &mut Vec<u8>,
    name: &str,
    kind: u8,
    link: &str,
    (mode, owner): (u32, u32),
    content: &[u8],
) {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, format!("{owner:07o}").as_bytes());
    put(116, format!("{owner:07o}").as_bytes());
    put(124, format!("{:011o}", content.len()).as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend(header);
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

#[test]
fn what_an_image_says_is_read() {
    support::with("image", async |place| {
        let image = place.engine.image(&place.image).await.unwrap().unwrap();
        assert_eq!(image.id, place.image);
        assert!(
            image
                .tags
                .contains(&"landfall-test-busybox:kept".to_owned())
        );
        assert_eq!(image.labels["landfall.test"], "kept");
        assert!(image.size > 500_000, "{}", image.size);
        let config = image.config;
        assert_eq!(config.entrypoint, ["/bin/echo"]);
        assert_eq!(config.command, ["as", "the", "image", "says"]);
        assert_eq!(config.environment["OPTIONS"], "a=b");
        assert_eq!(
            (config.user.as_str(), config.directory.as_str()),
            ("1234:5678", "/data")
        );
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(config.ports, [8080]);
        let check = config.health_check.unwrap();
        assert_eq!(check.command, ["/bin/sh", "-c", "true"]);
        assert_eq!((check.interval, check.retries), (5000, 2));

        let labels = Labels::from([("landfall.test".to_owned(), "kept".to_owned())]);
        let listed = place.engine.images(&labels).await.unwrap();
        assert!(listed.iter().any(|found| found.id == place.image));
        assert_eq!(
            place.engine.image("landfall-test/none").await.unwrap(),
            None
        );
        let space = place.engine.image_space().await.unwrap();
        assert!(space.images > 0 && space.bytes >= image.size);
    });
}

#[test]
fn an_image_in_use_stays() {
    support::with("image-used", async |place| {
        let tag = format!("landfall-test-used:{}", std::process::id());
        let mut other = Vec::new();
        entry(&mut other, "nothing", b'0', "", (0o644, 0), tag.as_bytes());
        other.extend([0; 1024]);
        let id = load(&place.engine, &tag, "used", &other).await;
        let mut unused = place.shell("user", "true");
        unused.image = id.clone();
        unused.command = words(&["/nothing"]);
        place.engine.create(&unused).await.unwrap();
        let kept = place.engine.remove_image(&tag).await.unwrap();
        assert!(matches!(kept, Removal::InUse(_)), "{kept:?}");
        place.engine.remove(&unused.name, false).await.unwrap();
        assert_eq!(
            place.engine.remove_image(&tag).await.unwrap(),
            Removal::Done
        );
        assert_eq!(
            place.engine.remove_image(&tag).await.unwrap(),
            Removal::Missing
        );
        assert_eq!(place.engine.image(&id).await.unwrap(), None);
    });
}

#[test]
fn the_engine_says_what_it_is() {
    support::with("information", async |place| {
        let known = place.engine.information().await.unwrap();
        assert_eq!(known.version, place.engine.version());
        assert!(known.cpus > 0 && known.memory > 1 << 20);
        assert!(!known.storage_driver.is_empty() && !known.operating_system.is_empty());
        assert!(known.api.starts_with("1."), "{}", known.api);
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        assert_eq!(known.cgroup_version, if unified { 2 } else { 1 });
    });
}
