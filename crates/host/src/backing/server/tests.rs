use super::*;
use landfall_release::{ImageArtifact, ImageConfig};

#[test]
fn all_that_an_image_keeps_has_a_folder_and_what_restarts_it_is_what_the_file_says() {
    let text = "[service.web]\ncommand = \"bin/web\"\n[backing.queue]\nimage = \"queue:1\"\n\
        port = 7000\ndata = \"/data/\"";
    let wanted = crate::testing::app(text).backing["queue"].clone();
    let mut row = BackingRow {
        app: "shop".parse().unwrap(),
        environment: "local".parse().unwrap(),
        name: "queue".parse().unwrap(),
        created_at: 0,
        changed_at: 0,
        running: true,
        body: serde_json::from_value(serde_json::json!({
            "wanted": wanted, "release": 1, "version": "1", "runtime": wanted.runtime,
            "address": "172.20.0.2", "port": 7000, "data": "/volumes/data",
            "user": "", "database": "",
        }))
        .unwrap(),
    };
    row.body.image = Some(ImageArtifact {
        reference: "queue:1".to_owned(),
        id: "sha256:1".to_owned(),
        digest: None,
        config: ImageConfig {
            volumes: vec!["/data".to_owned(), "/var/log".to_owned()],
            ..ImageConfig::default()
        },
    });
    let kept = volumes(&row).into_iter();
    let kept: Vec<_> = kept.map(|kept| (kept.target, kept.folder)).collect();
    let folder = |name: &str| PathBuf::from("/volumes/data").join(name);
    assert_eq!(
        kept,
        [
            ("/data".to_owned(), folder("data")),
            ("/var/log".to_owned(), folder("var-log"))
        ]
    );
    let before = digest(&row);
    row.body.version = "2".to_owned();
    row.body.address = [172, 21, 0, 2].into();
    assert_eq!(digest(&row), before);
    row.body.wanted.settings.insert("a".into(), "b".into());
    assert_ne!(digest(&row), before);
}
