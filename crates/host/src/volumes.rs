//! Volumes: the kept folders of services, each at its place in the state folder, or a link there to
//! where somebody moved it. Nothing removes one by itself.

mod backing;
mod content;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use landfall_api::wire::{
    Accepted,
    volume::{BackingData, VolumeChanged, VolumeRemoved, VolumeStatus},
};
use landfall_app::{Name, model::Volume};
use landfall_backup::{VolumeContents, volume::archive};
use landfall_release::Failure;

use crate::{
    home::make_folder,
    host::{Host, ledger_failed},
    lease::{Held, refuse_busy},
    report::remark,
    rollouts, runtime,
};

/// One volume of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// The service.
    pub service: Name,
    /// Its name.
    pub name: Name,
    /// What it is of a backing service, where `service` is one.
    pub backing: Option<BackingData>,
}

impl Place {
    /// Its path in the state folder, which may be a link.
    fn path(&self, host: &Host) -> PathBuf {
        host.home.volume(
            &self.app,
            &self.environment,
            &self.service,
            self.name.as_str(),
        )
    }

    /// What lies beside it while it is changed. No volume's name begins with a dot.
    fn beside(&self, host: &Host) -> PathBuf {
        self.path(host)
            .with_file_name(format!(".{}.new", self.name))
    }

    /// The folder that it is.
    pub fn folder(&self, host: &Host) -> Result<PathBuf, Failure> {
        content::real(&self.path(host)).map_err(|error| self.failed("isn't there", &error))
    }

    fn failed(&self, what: &str, error: &io::Error) -> Failure {
        let name = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
            _ => "volume-failed",
        };
        Failure::new(
            name,
            format!("{}.{} {what}: {error}", self.service, self.name),
        )
    }
}

/// The folder of a volume, wherever it was moved; its place in the state folder where it isn't there.
pub fn folder(host: &Host, app: &Name, environment: &Name, service: &Name, name: &str) -> PathBuf {
    let path = host.home.volume(app, environment, service, name);
    content::real(&path).unwrap_or(path)
}

/// What the live release says of an environment's volumes.
fn used(
    host: &Host,
    app: &Name,
    environment: &Name,
) -> Result<BTreeMap<(Name, Name), Volume>, Failure> {
    let live = host.ledger.live_release(app, environment);
    let Some(release) = live.map_err(ledger_failed)? else {
        return Ok(BTreeMap::new());
    };
    let services = release.content.app.services.into_iter();
    let volumes = services.flat_map(|(service, facts)| {
        let volumes = facts.volumes.into_iter();
        volumes.map(move |(name, volume)| ((service.clone(), name), volume))
    });
    Ok(volumes.collect())
}

/// The volumes on the disk, and the data of backing services in containers beside them.
fn found(host: &Host, app: &Name, environment: &Name) -> Result<Vec<Place>, Failure> {
    let names = |folder: &Path| -> Vec<Name> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        names.collect()
    };
    let folder = host.home.volumes(app, environment);
    let rows = host.ledger.backings_of(app, environment);
    let rows = rows.map_err(ledger_failed)?;
    let mut places = Vec::new();
    for service in names(&folder) {
        for name in names(&folder.join(service.as_str())) {
            let own = folder.join(service.as_str()).join(name.as_str());
            places.push(Place {
                app: app.clone(),
                environment: environment.clone(),
                backing: backing::owned(&rows, &own),
                service: service.clone(),
                name,
            });
        }
    }
    Ok(places)
}

/// One volume by `SERVICE.NAME`, or by its name alone where there is only one of it.
pub fn find(host: &Host, app: &Name, environment: &Name, text: &str) -> Result<Place, Failure> {
    let places = found(host, app, environment)?;
    let fits = |place: &&Place| match text.split_once('.') {
        Some((service, name)) => place.service.as_str() == service && place.name.as_str() == name,
        // What isn't a service's own is only meant by whoever writes it out.
        None => place.name.as_str() == text && place.backing.is_none(),
    };
    let mut fitting = places.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(place), None) => Ok(place.clone()),
        (first, _) => {
            let services = places.iter().filter(|place| place.backing.is_none());
            let known: Vec<_> = services
                .map(|place| format!("{}.{}", place.service, place.name))
                .collect();
            let message = match first {
                None => format!("{app} has no volume `{text}` in {environment}"),
                Some(_) => format!("several services of {app} have a volume `{text}`"),
            };
            Err(Failure::new("unknown-volume", message).with(
                "known",
                match known.as_slice() {
                    [] => "none: a volume is made when its service first starts".to_owned(),
                    known => known.join(", "),
                },
            ))
        }
    }
}

/// All volumes of an environment, also those that no service uses any more.
pub async fn list(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
) -> Result<Vec<VolumeStatus>, Failure> {
    let used = used(host, app, environment)?;
    let (host, app, environment) = (host.clone(), app.clone(), environment.clone());
    // Big trees take a while to add up.
    blocking(move || {
        let places = found(&host, &app, &environment)?.into_iter();
        let volumes = places.map(|place| {
            let path = place.path(&host);
            let folder = content::real(&path).unwrap_or_else(|_| path.clone());
            let size = landfall_backup::volume::size_on_disk(&folder).ok();
            let facts = used.get(&(place.service.clone(), place.name.clone()));
            VolumeStatus {
                path: facts.map(|volume| volume.path.clone()),
                backup: facts
                    .and_then(|volume| volume.backup.as_ref())
                    .map(|backup| backup.schedule.clone()),
                moved: path.is_symlink(),
                backing: place.backing,
                service: place.service,
                name: place.name,
                folder,
                size,
            }
        });
        Ok(volumes.collect())
    })
    .await
}

/// The folder of a volume that can be exported.
pub fn exportable(host: &Host, place: &Place) -> Result<PathBuf, Failure> {
    backing::refuse_export(place)?;
    place.folder(host)
}

/// Writes a volume as a tar archive, while its service runs or not.
pub fn export(host: &Host, place: &Place, to: impl Write) -> Result<(), Failure> {
    let folder = exportable(host, place)?;
    let archived = archive(&folder, to, |_| {});
    archived
        .map(drop)
        .map_err(|error| place.failed("can't be exported", &error))
}

/// Puts what an archive holds in the place of a volume's content. The app stands still for a moment.
pub async fn import(
    host: &Arc<Host>,
    place: &Place,
    by: &str,
    from: impl Read + Send + 'static,
) -> Result<VolumeChanged, Failure> {
    backing::refuse_import(place)?;
    refuse_busy(host, &place.app, &place.environment)?;
    let folder = place.folder(host)?;
    // On the same disk, wherever that is.
    let new = folder.with_file_name(format!(".{}.new", place.name));
    let (filling, failing) = (new.clone(), place.clone());
    let contents = blocking(move || {
        let filled = content::remove(&filling).and_then(|()| content::fill(&filling, from));
        filled.map_err(|error| {
            let _ = content::remove(&filling);
            failing.failed("can't be imported", &error)
        })
    })
    .await?;
    let (exchanged, failing) = (folder.clone(), place.clone());
    let start = halted(host, place, by, "import", move || {
        let done = content::exchange(&new, &exchanged);
        // What was there before, or where that failed what should have come.
        if let Err(error) = content::remove(&new) {
            remark(&format!("{} isn't removed: {error}", new.display()));
        }
        done.map_err(|error| failing.failed("can't be imported", &error))
    })
    .await?;
    Ok(changed(folder, &contents, start))
}

/// Moves a volume's data to another disk, or back into the state folder. The app stands still while
/// it is copied; where anything fails all is as before.
pub async fn relocate(
    host: &Arc<Host>,
    place: &Place,
    to: Option<PathBuf>,
    by: &str,
) -> Result<VolumeChanged, Failure> {
    backing::refuse_move(place)?;
    let (path, from) = (place.path(host), place.folder(host)?);
    let (beside, failing) = (place.beside(host), place.clone());
    let was_link = path.is_symlink();
    let new = match &to {
        None if !was_link => return Err(nothing_to_move(place, &from)),
        None => beside.clone(),
        Some(disk) => target(place, disk, &from)?,
    };
    let (old, copied, link) = (from.clone(), new.clone(), to.is_some());
    let (contents, start) = {
        let told = Arc::new(std::sync::Mutex::new(VolumeContents::default()));
        let telling = told.clone();
        let start = halted(host, place, by, "move", move || {
            let guard = copied.parent().filter(|_| link).map(Path::to_owned);
            let moving = || -> io::Result<VolumeContents> {
                if let Some(guard) = &guard {
                    make_folder(guard)?;
                }
                content::remove(&beside)?;
                let contents = content::copy(&old, &copied)?;
                if link {
                    std::os::unix::fs::symlink(&copied, &beside)?;
                }
                content::exchange(&beside, &path)?;
                Ok(contents)
            };
            let moved = moving().map_err(|error| {
                let _ = content::remove(&copied);
                let _ = content::remove(&beside);
                let _ = guard.map(fs::remove_dir);
                failing.failed("can't be moved", &error)
            })?;
            // The data is in its new place; what stays of the old one takes room and nothing else.
            // It lies beside now, or where the link led that lies beside now.
            let mut left = vec![&beside];
            if was_link {
                left.push(&old);
            }
            for left in left {
                if let Err(error) = content::remove(left) {
                    remark(&format!("{} isn't removed: {error}", left.display()));
                }
            }
            if was_link {
                // The folder around it was made for it alone.
                let _ = old.parent().map(fs::remove_dir);
            }
            *telling
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = moved;
            Ok(())
        })
        .await?;
        let contents = told
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        (contents, start)
    };
    let folder = place.folder(host)?;
    Ok(changed(folder, &contents, start))
}

/// Where a volume's data comes to lie on another disk.
fn target(place: &Place, disk: &Path, from: &Path) -> Result<PathBuf, Failure> {
    let bad = |what: String| {
        let message = format!("{}.{} can't be moved: {what}", place.service, place.name);
        Failure::new("volume-failed", message)
    };
    if !disk.is_absolute() || !disk.is_dir() {
        let what = format!("{} is no folder of this machine", disk.display());
        return Err(bad(what).with(
            "mend",
            "make it first, so that a disk that isn't mounted shows",
        ));
    }
    let disk = content::real(disk).map_err(|error| bad(error.to_string()))?;
    let Place {
        app,
        environment,
        service,
        name,
        ..
    } = place;
    let own = disk.join(format!("{app}.{environment}.{service}.{name}"));
    let data = own.join(content::DATA);
    if data == from {
        return Err(nothing_to_move(place, from));
    }
    if own.exists() {
        return Err(bad(format!("{} is there already", own.display())));
    }
    if disk.starts_with(from) {
        return Err(bad(format!("{} lies in it", disk.display())));
    }
    Ok(data)
}

fn nothing_to_move(place: &Place, folder: &Path) -> Failure {
    let message = format!(
        "{}.{} is in {} already",
        place.service,
        place.name,
        folder.display()
    );
    Failure::new("nothing-to-change", message)
}

fn changed(folder: PathBuf, contents: &VolumeContents, start: Option<Accepted>) -> VolumeChanged {
    VolumeChanged {
        folder,
        files: contents.files,
        bytes: contents.bytes,
        start,
    }
}

/// Does something while the environment stands still, and starts it again where it ran.
async fn halted(
    host: &Arc<Host>,
    place: &Place,
    by: &str,
    why: &str,
    work: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<Option<Accepted>, Failure> {
    let Place {
        app, environment, ..
    } = place;
    refuse_busy(host, app, environment)?;
    let state = host.ledger.environment(app, environment);
    let state = state.map_err(ledger_failed)?;
    let ran = state.is_some_and(|state| state.running && state.live.is_some());
    if ran {
        rollouts::stop(host, app, environment).await?;
    }
    let done = {
        let reason = format!("the {why} of a volume");
        let held = Held::take(host, app, environment, by, &reason, None);
        match held {
            Ok(_held) => blocking(work).await,
            Err(failure) => Err(failure),
        }
    };
    let start = match ran {
        true => Some(rollouts::start(host, app, environment, by.to_owned())),
        false => None,
    };
    match (done, start.transpose()) {
        (Ok(()), start) => start,
        (Err(failure), Ok(None)) => Err(failure),
        (Err(failure), Ok(Some(_))) => Err(failure.with("the app", "it is started again")),
        (Err(failure), Err(_)) => Err(failure.with("the app", "it stands still: landfall start")),
    }
}

/// Removes a volume that no service uses any more, with all that is in it.
pub async fn remove(host: &Arc<Host>, place: &Place) -> Result<VolumeRemoved, Failure> {
    if place.backing.is_some() {
        return backing::remove(host, place).await;
    }
    let used = used(host, &place.app, &place.environment)?;
    if used.contains_key(&(place.service.clone(), place.name.clone())) {
        let message = format!("{} uses the volume {}", place.service, place.name);
        return Err(Failure::new("volume-used", message).with(
            "mend",
            "take it out of the app file and deploy; or take all of it down: landfall down --purge",
        ));
    }
    refuse_busy(host, &place.app, &place.environment)?;
    let freed = erase(host, place).await?;
    forget(host, place).await;
    Ok(VolumeRemoved { freed })
}

/// Removes all volumes of an environment; says how many bytes that were.
pub async fn purge(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<u64, Failure> {
    let mut freed = 0;
    for place in found(host, app, environment)? {
        freed += erase(host, &place).await?;
    }
    let folder = host.home.volumes(app, environment);
    if let Err(error) = content::remove(&folder) {
        remark(&format!("{} isn't removed: {error}", folder.display()));
    }
    Ok(freed)
}

async fn erase(host: &Arc<Host>, place: &Place) -> Result<u64, Failure> {
    let (path, place) = (place.path(host), place.clone());
    blocking(move || {
        let failed = |error: io::Error| place.failed("can't be removed", &error);
        let folder = content::real(&path).ok();
        let freed = folder
            .as_ref()
            .and_then(|folder| landfall_backup::volume::size_on_disk(folder).ok());
        if let Some(folder) = folder.filter(|_| path.is_symlink()) {
            content::remove(&folder).map_err(failed)?;
            let _ = folder.parent().map(fs::remove_dir);
        }
        content::remove(&path).map_err(failed)?;
        Ok(freed.unwrap_or(0))
    })
    .await
}

/// Takes its name off the Engine, where there is one.
async fn forget(host: &Host, place: &Place) {
    let Place {
        app,
        environment,
        service,
        name,
        ..
    } = place;
    let forgotten = async {
        if runtime::gateway(host, app, environment)?.is_some() {
            let name = runtime::volume_name(app, environment, service, name);
            host.engine().await?.remove_volume(&name).await?;
        }
        Ok::<_, Failure>(())
    };
    if let Err(failure) = forgotten.await {
        remark(&format!("the Engine keeps the name of a volume: {failure}"));
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new("host-failed", error.to_string()))?
}
