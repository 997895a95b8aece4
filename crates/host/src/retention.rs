//! What is removed with time: log segments by age and size, builds that nobody refers to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use landfall_app::Name;
use landfall_containers::{Labels, label};
use landfall_release::Failure;
use landfall_supervise::segment::{self, Segment};

use crate::{
    host::{Host, ledger_failed},
    logs,
    report::remark,
};

/// A build that no release refers to may be one that is about to be deployed.
const UNREFERENCED: Duration = Duration::from_secs(3600);

/// The images that releases of an app refer to which can be gone back to.
#[derive(Debug, Default)]
pub struct Images {
    ids: BTreeSet<String>,
    /// What they are published to.
    repositories: BTreeSet<String>,
}

impl Host {
    /// Removes the builds of an app but these.
    pub fn remove_builds_but(&self, app: &Name, kept: &BTreeSet<PathBuf>) -> Result<(), Failure> {
        let folder = self.home.artifacts(app);
        let removed = landfall_build::prune(&folder, kept, UNREFERENCED);
        removed.map(drop).map_err(|error| {
            Failure::new(
                "host-failed",
                format!("{} can't be pruned: {error}", folder.display()),
            )
        })
    }

    /// All images that releases of an app refer to which can be gone back to.
    pub fn images_of(&self, app: &Name) -> Result<Images, Failure> {
        let mut images = Images::default();
        for row in self.ledger.environments().map_err(ledger_failed)? {
            if row.app != *app {
                continue;
            }
            let releases = self.ledger.releases(&row.app, &row.environment);
            for release in releases.map_err(ledger_failed)? {
                if !release.pruned {
                    let release = self.release(&row.app, &row.environment, release.number)?;
                    let artifacts = release.content.artifacts.into_values();
                    let ids = artifacts.filter_map(|artifact| Some(artifact.image?.id));
                    images.ids.extend(ids);
                    let services = release.content.app.services.into_values();
                    let repositories = services.filter_map(|service| service.push);
                    images.repositories.extend(repositories);
                }
            }
        }
        Ok(images)
    }

    /// Removes the images of an app that no release of it refers to any more, where there were any
    /// `before`: an app of plain processes needs no Engine. What stays too long does no harm, so that
    /// it is no failure.
    pub async fn prune_images(&self, app: &Name, before: &Images) -> Result<(), Failure> {
        if before.ids.is_empty() {
            return Ok(());
        }
        let kept = self.images_of(app)?;
        if let Err(failure) = self.remove_images_but(app, &kept, before).await {
            remark(&format!("{app}: its images can't be pruned: {failure}"));
        }
        Ok(())
    }

    /// Removes the images that were built for an app on this host but these: by the names that they
    /// were given here, and left-overs without any. One that somebody gave another name keeps that;
    /// images of others stay, and so does what a container is made from; and what isn't known to be
    /// `dropped` stays for a while, for it may be about to be deployed.
    async fn remove_images_but(
        &self,
        app: &Name,
        kept: &Images,
        dropped: &Images,
    ) -> Result<(), Failure> {
        let engine = self.engine().await?;
        let labels = Labels::from([
            (
                landfall_build::BUILT_FOR.to_owned(),
                landfall_build::host_mark(&self.settings.home),
            ),
            (label::APP.to_owned(), app.to_string()),
        ]);
        for image in engine.images(&labels).await? {
            let is_dropped = dropped.ids.contains(&image.id) || !is_new(&image.labels);
            if kept.ids.contains(&image.id) || !is_dropped {
                continue;
            }
            let mut names = image.tags;
            if names.is_empty() {
                names.push(image.id);
            } else {
                let published = &dropped.repositories;
                names.retain(|name| {
                    landfall_build::is_given_name(name, app.as_str(), &image.labels, published)
                });
            }
            for name in names {
                engine.remove_image(&name).await?;
            }
        }
        Ok(())
    }

    /// Removes log segments that are too old, and the oldest where there is too much.
    pub async fn retain_logs(self: &Arc<Self>) -> Result<(), Failure> {
        let host = self.clone();
        tokio::task::spawn_blocking(move || host.retain_logs_now())
            .await
            .map_err(|error| Failure::new("host-failed", error.to_string()))?
    }

    fn retain_logs_now(&self) -> Result<(), Failure> {
        for row in self.ledger.environments().map_err(ledger_failed)? {
            let Some(release) = self
                .ledger
                .live_release(&row.app, &row.environment)
                .map_err(ledger_failed)?
            else {
                continue;
            };
            let limits = release.content.app.logs;
            let folder = self
                .home
                .environment(&row.app, &row.environment)
                .join("logs");
            let services = logs::folders(&folder, None).unwrap_or_default();
            for service in services {
                // Looked at before the ledger, which knows an instance before it writes anything.
                let segments = segment::list(&service);
                let instances = self
                    .ledger
                    .instances_of(&row.app, &row.environment)
                    .map_err(ledger_failed)?;
                let writing = instances.into_iter().map(|row| row.id).collect();
                let (keep, most) = (limits.keep.duration(), limits.max.bytes());
                let retained = segments.and_then(|segments| retain(segments, &writing, keep, most));
                if let Err(error) = retained {
                    remark(&format!("{} can't be tidied: {error}", service.display()));
                }
            }
        }
        Ok(())
    }
}

/// Whether an image was built so short a time ago that its release may be about to be sealed.
fn is_new(labels: &Labels) -> bool {
    let built = labels.get("org.opencontainers.image.created");
    let built = built.and_then(|built| built.parse::<jiff::Timestamp>().ok());
    let oldest = jiff::Timestamp::now() - UNREFERENCED;
    built.is_some_and(|built| built > oldest)
}

/// Removes segments of a folder, oldest first, but never the newest of an instance that is `writing`:
/// its supervisor would write on into a file that nobody finds.
fn retain(
    segments: Vec<Segment>,
    writing: &BTreeSet<String>,
    keep: Duration,
    most: u64,
) -> io::Result<()> {
    let newest: BTreeMap<String, PathBuf> = segments
        .iter()
        .filter(|segment| writing.contains(&segment.instance))
        .map(|segment| (segment.instance.clone(), segment.path.clone()))
        .collect();
    let oldest = SystemTime::now()
        .checked_sub(keep)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let mut size: u64 = segments.iter().map(|segment| segment.size).sum();
    for segment in segments {
        if newest.get(&segment.instance) == Some(&segment.path) {
            continue;
        }
        if size > most || written_before(&segment.path, oldest) {
            match fs::remove_file(&segment.path) {
                // Its supervisor removed it meanwhile.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => size -= segment.size,
            }
        }
    }
    Ok(())
}

fn written_before(path: &Path, time: SystemTime) -> bool {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|modified| modified < time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bed, FakeEngine};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// Segments of ten bytes, each last written so many days ago; those that are left.
    fn left(segments: &[(u64, &str, u32)], writing: &[&str], most: u64) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (first, instance, days) in segments {
            let path = folder.path().join(segment::file_name(*first, instance));
            fs::write(&path, "0123456789").unwrap();
            let file = fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - DAY * *days).unwrap();
        }
        let listed = segment::list(folder.path()).unwrap();
        let writing = writing.iter().map(|id| (*id).to_owned()).collect();
        retain(listed, &writing, DAY * 7, most).unwrap();
        let left = segment::list(folder.path()).unwrap();
        left.into_iter()
            .map(|segment| format!("{} {}", segment.instance, segment.first))
            .collect()
    }

    #[tokio::test]
    async fn an_image_goes_by_the_names_that_it_was_given_here() {
        let folder = tempfile::tempdir().unwrap();
        let engine = FakeEngine::start(folder.path());
        let bed = Bed::with_engine(&engine);
        let mark = landfall_build::host_mark(&bed.host.settings.home);
        let image = |id: &str, tags: &[&str]| {
            let value = serde_json::json!({
                "Id": id,
                "RepoTags": tags,
                "Config": { "Labels": {
                    (landfall_build::BUILT_FOR): mark,
                    (label::APP): "shop",
                    (label::ARTIFACT): "0123456789abcdef0123456789abcdef",
                } },
            });
            engine.has("images", id, value);
        };
        let built = "landfall/shop-web:0123456789abcdef";
        let tags = [built, "acme/shop:main-4f2c9ae", "keep:mine"];
        image("sha256:1", &tags);
        image("sha256:2", &[]);
        let dropped = Images {
            ids: BTreeSet::from(["sha256:1".to_owned()]),
            repositories: BTreeSet::from(["acme/shop".to_owned()]),
        };
        let app = "shop".parse().unwrap();
        bed.host.prune_images(&app, &dropped).await.unwrap();
        let mut removed = engine.removed();
        removed.sort();
        assert_eq!(removed, ["acme/shop:main-4f2c9ae", built, "sha256:2"]);
    }

    #[test]
    fn an_image_that_was_just_built_stays() {
        let built = |hours: i64| {
            let at = jiff::Timestamp::now() - jiff::Span::new().hours(hours);
            let label = "org.opencontainers.image.created".to_owned();
            is_new(&Labels::from([(label, at.to_string())]))
        };
        assert!(built(0));
        assert!(!built(2));
        assert!(!is_new(&Labels::new()));
    }

    #[test]
    fn what_is_being_written_stays_however_quiet_it_is() {
        let segments = [
            (1, "web", 30),
            (2, "web", 20),
            (3, "gone", 20),
            (4, "gone", 8),
        ];
        assert_eq!(left(&segments, &["web"], 1000), ["web 2"]);
        assert!(left(&segments, &[], 1000).is_empty());
    }

    #[test]
    fn the_oldest_go_where_there_is_too_much() {
        let segments = [
            (1, "web", 0),
            (2, "other", 0),
            (3, "other", 0),
            (4, "gone", 0),
        ];
        assert_eq!(left(&segments, &["web", "other"], 40).len(), 4);
        let kept = left(&segments, &["web", "other"], 20);
        assert_eq!(kept, ["web 1", "other 3"]);
        assert_eq!(left(&segments, &[], 20), ["other 3", "gone 4"]);
    }
}
