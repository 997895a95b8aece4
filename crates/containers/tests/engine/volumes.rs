//! Volumes that are folders of this machine.

use crate::support;
use landfall_containers::{ContainerSpecification, Labels, Mount, Removal};
use std::os::unix::fs::MetadataExt as _;

#[test]
fn the_images_content_and_owner_are_taken_over_and_the_data_stays() {
    support::with("volume", async |place| {
        let device = place.folder.path().join("data");
        std::fs::create_dir(&device).unwrap();
        let name = place.name("data");
        let made = place
            .engine
            .ensure_volume(&name, &device, &place.labels())
            .await
            .unwrap();
        let again = place
            .engine
            .ensure_volume(&name, &device, &place.labels())
            .await
            .unwrap();
        assert_eq!(made, again);
        assert_eq!(made.device.as_deref(), Some(device.as_path()));
        let container = ContainerSpecification {
            mounts: vec![Mount::Volume {
                name: name.clone(),
                target: "/data".to_owned(),
            }],
            ..place.shell("first", "cat /data/seed; echo more > /data/more")
        };
        let (code, output) = place.ran(&container).await;
        assert_eq!((code, output.as_str()), (0, "seeded"));
        let found = std::fs::metadata(&device).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (1234, 0o750));
        assert_eq!(
            std::fs::read_to_string(device.join("more")).unwrap(),
            "more\n"
        );

        let other = place.folder.path().join("other");
        let error = place
            .engine
            .ensure_volume(&name, &other, &place.labels())
            .await
            .unwrap_err();
        assert_eq!(error.name(), "volume-exists");
        let others = Labels::from([("landfall.home".to_owned(), "/another".to_owned())]);
        let error = place
            .engine
            .ensure_volume(&name, &device, &others)
            .await
            .unwrap_err();
        assert_eq!(error.name(), "volume-exists");

        let listed = place.engine.volumes(&place.labels()).await.unwrap();
        assert_eq!(listed, [made]);
        assert_eq!(
            place.engine.remove_volume(&name).await.unwrap(),
            Removal::Done
        );
        assert_eq!(
            place.engine.remove_volume(&name).await.unwrap(),
            Removal::Missing
        );
        assert_eq!(
            std::fs::read_to_string(device.join("more")).unwrap(),
            "more\n"
        );
    });
}

#[test]
fn a_volume_in_use_stays() {
    support::with("volume-used", async |place| {
        let device = place.folder.path().join("data");
        std::fs::create_dir(&device).unwrap();
        let name = place.name("data");
        place
            .engine
            .ensure_volume(&name, &device, &place.labels())
            .await
            .unwrap();
        let container = ContainerSpecification {
            mounts: vec![Mount::Volume {
                name: name.clone(),
                target: "/data".to_owned(),
            }],
            ..place.shell("user", "exec sleep 1000")
        };
        place.started(&container).await;
        let kept = place.engine.remove_volume(&name).await.unwrap();
        assert!(matches!(kept, Removal::InUse(_)), "{kept:?}");
    });
}
