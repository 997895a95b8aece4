//! Volumes: named, each a folder of this machine that is ours to see.

use crate::{Engine, EngineError, Labels, Object, Removal, label};
use bollard::{
    models::{Volume as EngineVolume, VolumeCreateRequest},
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// A volume as the Engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The folder that it is, where it was made from one.
    pub device: Option<PathBuf>,
    /// Where the Engine mounts it.
    pub mountpoint: PathBuf,
    /// Its labels.
    pub labels: Labels,
}

impl Engine {
    /// Makes sure that there is a volume of this name that is the folder `device`, which must be
    /// there before a container with it starts. An empty one takes over content and owner of the
    /// image's folder when it is first used.
    ///
    /// One of the same name that isn't of the same host or is another folder:
    /// [`EngineError::Exists`], and nothing is touched.
    pub async fn ensure_volume(
        &self,
        name: &str,
        device: &Path,
        labels: &Labels,
    ) -> Result<Volume, EngineError> {
        if let Some(found) = self.volume(name).await? {
            return ours(found, device, labels);
        }
        let options = [
            ("type", "none".to_owned()),
            ("o", "bind".to_owned()),
            ("device", device.display().to_string()),
        ];
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver: Some("local".to_owned()),
            driver_opts: Some(options.map(|(key, value)| (key.to_owned(), value)).into()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let doing = format!("making the volume {name}");
        let made = self.docker().create_volume(request);
        let made = self.call(&doing, None, made).await?;
        // Somebody may have been quicker: the Engine gives theirs then.
        ours(understood(made), device, labels)
    }

    /// Looks at a volume.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError> {
        let doing = format!("looking at the volume {name}");
        let about = Some((Object::Volume, name));
        let looked = self.docker().inspect_volume(name);
        match self.call(&doing, about, looked).await {
            Ok(found) => Ok(Some(understood(found))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All volumes with these labels.
    pub async fn volumes(&self, labels: &Labels) -> Result<Vec<Volume>, EngineError> {
        let options = ListVolumesOptionsBuilder::new()
            .filters(&HashMap::from([(
                "label",
                crate::container::filters(labels),
            )]))
            .build();
        let listed = self.docker().list_volumes(Some(options));
        let listed = self.call("listing volumes", None, listed).await?;
        let found = listed.volumes.unwrap_or_default();
        Ok(found.into_iter().map(understood).collect())
    }

    /// Removes a volume; the folder that it was made from stays with its content.
    pub async fn remove_volume(&self, name: &str) -> Result<Removal, EngineError> {
        let doing = format!("removing the volume {name}");
        let about = Some((Object::Volume, name));
        let removed = self
            .docker()
            .remove_volume(name, None::<RemoveVolumeOptions>);
        crate::image::removal(self.call(&doing, about, removed).await)
    }
}

fn ours(found: Volume, device: &Path, labels: &Labels) -> Result<Volume, EngineError> {
    let same_home = found.labels.get(label::HOME) == labels.get(label::HOME);
    if same_home && found.device.as_deref() == Some(device) {
        return Ok(found);
    }
    Err(EngineError::Exists {
        object: Object::Volume,
        name: found.name,
        labels: found.labels,
        running: false,
    })
}

fn understood(found: EngineVolume) -> Volume {
    Volume {
        device: found.options.get("device").map(PathBuf::from),
        mountpoint: found.mountpoint.into(),
        labels: found.labels.into_iter().collect(),
        name: found.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_of_somebody_else_or_of_another_folder_is_not_taken() {
        let home = |home: &str| Labels::from([(label::HOME.to_owned(), home.to_owned())]);
        let found = |of: &str, device: &str| Volume {
            name: "v".to_owned(),
            device: Some(device.into()),
            mountpoint: "/m".into(),
            labels: home(of),
        };
        let device = Path::new("/d");
        assert!(ours(found("/a", "/d"), device, &home("/a")).is_ok());
        assert!(ours(found("/b", "/d"), device, &home("/a")).is_err());
        assert!(ours(found("/a", "/e"), device, &home("/a")).is_err());
    }
}
