//! The data of backing services in containers, which lies where volumes lie and is none: it is shown
//! with them, and nobody takes it from under a server.

use std::{path::Path, sync::Arc};

use landfall_api::wire::volume::{BackingData, VolumeRemoved};
use landfall_ledger::BackingRow;
use landfall_release::Failure;

use super::{Place, erase, forget};
use crate::{
    host::{Host, ledger_failed},
    lease::refuse_busy,
};

/// What a folder is of a backing service; none where it is a volume of a service.
pub fn owned(rows: &[BackingRow], folder: &Path) -> Option<BackingData> {
    let beside = |other: &Path| other.parent() == folder.parent();
    let name = folder.file_name()?.to_str()?;
    // Used by one comes first: an upgrade that is under way names the same kept data as its
    // predecessor does.
    if rows.iter().any(|row| row.body.data == folder) {
        return Some(BackingData::Used);
    }
    let mut all = rows.iter().flat_map(|row| &row.body.kept);
    if let Some(kept) = all.find(|kept| kept.folder == folder) {
        let version = kept.version.clone();
        return Some(BackingData::Kept { version });
    }
    // What is made beside data for a while: its next version, a look at a backup.
    let passing = name == "scratch" || name == "data" || name.starts_with("data-");
    let near = rows.iter().any(|row| {
        let kept = row.body.kept.iter().map(|kept| kept.folder.as_path());
        kept.chain([row.body.data.as_path()]).any(beside)
    });
    (passing && near).then_some(BackingData::Used)
}

fn refused(place: &Place, mend: String) -> Result<(), Failure> {
    let what = match &place.backing {
        None => return Ok(()),
        Some(BackingData::Used) => "is the data".to_owned(),
        Some(BackingData::Kept { version }) => format!("is the data of {version}"),
    };
    let Place { service, name, .. } = place;
    let message = format!("{service}.{name} {what} of the backing service {service}, no volume");
    Err(Failure::new("volume-used", message).with("mend", mend))
}

/// Data under a server is no whole copy of anything; what an upgrade kept is at rest.
pub fn refuse_export(place: &Place) -> Result<(), Failure> {
    match place.backing {
        Some(BackingData::Used) => refused(
            place,
            format!("landfall backup now {} makes a whole copy", place.service),
        ),
        _ => Ok(()),
    }
}

/// What a server has written isn't exchanged under it.
pub fn refuse_import(place: &Place) -> Result<(), Failure> {
    refused(
        place,
        "landfall backup restore puts a backup in its place, and landfall psql what a dump says"
            .to_owned(),
    )
}

/// Where a backing service has its data is in its row.
pub fn refuse_move(place: &Place) -> Result<(), Failure> {
    refused(
        place,
        "data of backing services stays in the state folder: LANDFALL_HOME names another one"
            .to_owned(),
    )
}

/// Removes what an upgrade kept; nothing else of a backing service.
pub async fn remove(host: &Arc<Host>, place: &Place) -> Result<VolumeRemoved, Failure> {
    if !matches!(place.backing, Some(BackingData::Kept { .. })) {
        refused(
            place,
            "landfall down --purge removes an app with all its data".to_owned(),
        )?;
    }
    refuse_busy(host, &place.app, &place.environment)?;
    let Place {
        app,
        environment,
        service,
        ..
    } = place;
    let _changing = host.change_backing(app, environment, service).await;
    let folder = place.path(host);
    let rows = host.ledger.backings_of(app, environment);
    let mut rows = rows.map_err(ledger_failed)?;
    // As it is now that nothing else changes it.
    if !matches!(owned(&rows, &folder), Some(BackingData::Kept { .. })) {
        let used = Place {
            backing: Some(BackingData::Used),
            ..place.clone()
        };
        refused(&used, "landfall backing says what it is now".to_owned())?;
    }
    let freed = erase(host, place).await?;
    forget(host, place).await;
    for row in &mut rows {
        let before = row.body.kept.len();
        row.body.kept.retain(|kept| kept.folder != folder);
        if row.body.kept.len() != before {
            host.put_backing(row)?;
        }
    }
    Ok(VolumeRemoved { freed })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bed, app, name};
    use landfall_ledger::{BackingBody, KeptData};

    const FILE: &str = "[service.web]\ncommand = \"bin/web\"\n[backing.postgres]";

    #[tokio::test]
    async fn a_database_is_no_volume_and_what_an_upgrade_kept_can_go() {
        let bed = Bed::new();
        bed.release(FILE, &[]);
        let (host, shop, local) = (&bed.host, name("shop"), name("local"));
        let place = |folder: &str| host.home.volume(&shop, &local, &name("postgres"), folder);
        let volume = host.home.volume(&shop, &local, &name("web"), "data");
        for folder in [
            &place("data"),
            &place("data-16-1"),
            &place("files"),
            &volume,
        ] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("file"), "facts").unwrap();
        }
        let wanted = app(FILE).backing["postgres"].clone();
        let body = BackingBody {
            release: landfall_release::ReleaseNumber(1),
            version: "16".to_owned(),
            runtime: wanted.runtime,
            image: None,
            address: std::net::Ipv4Addr::LOCALHOST,
            port: 1,
            data: place("data-16-1"),
            user: "shop".to_owned(),
            database: "shop".to_owned(),
            digest: String::new(),
            initialized: true,
            kept: vec![KeptData {
                version: "15".to_owned(),
                folder: place("data"),
                at: 1,
            }],
            upgrade_of: None,
            previous: None,
            scripts: Default::default(),
            set_aside: None,
            wanted,
        };
        host.ledger
            .put_backing(&shop, &local, &name("postgres"), false, &body)
            .unwrap();
        let find = |text: &str| super::super::find(host, &shop, &local, text);
        assert_eq!(find("data").unwrap().service, name("web"));
        assert_eq!(find("postgres.files").unwrap().backing, None);

        let used = find("postgres.data-16-1").unwrap();
        let refused = super::super::remove(host, &used).await.unwrap_err();
        assert_eq!(refused.name, "volume-used", "{refused}");
        let refused = super::super::relocate(host, &used, None, "ada").await;
        assert_eq!(refused.unwrap_err().name, "volume-used");
        let refused = super::super::import(host, &used, "ada", std::io::empty()).await;
        assert_eq!(refused.unwrap_err().name, "volume-used");
        assert!(super::super::exportable(host, &used).is_err());
        assert!(place("data-16-1").join("file").exists());

        let kept = find("postgres.data").unwrap();
        super::super::remove(host, &kept).await.unwrap();
        assert!(!place("data").exists());
        let row = host.ledger.backing(&shop, &local, &name("postgres"));
        assert_eq!(row.unwrap().unwrap().body.kept, []);
    }
}
