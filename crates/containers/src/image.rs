//! Images: what the Engine has of them. Building and pulling is the desk's.

use crate::{Engine, EngineError, Labels, Object};
use bollard::{
    models::{HealthConfig, ImageConfig as EngineConfig, ImageInspect},
    query_parameters::{DataUsageOptions, ListImagesOptionsBuilder, RemoveImageOptionsBuilder},
};
use landfall_release::{HealthCheck, ImageConfig};
use std::collections::HashMap;

/// An image that the Engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Its id: `sha256:…`.
    pub id: String,
    /// Its names: `postgres:15`.
    pub tags: Vec<String>,
    /// Its names by the registry's digest: `postgres@sha256:…`.
    pub digests: Vec<String>,
    /// Its labels.
    pub labels: Labels,
    /// Size in bytes of all its layers; images share them.
    pub size: u64,
    /// The processor that it is made for, as Go calls it: `amd64`, `arm64`.
    pub architecture: String,
    /// When it was made, as RFC 3339 has it.
    pub created: Option<String>,
    /// What its author set.
    pub config: ImageConfig,
    /// The digests of its layers' contents, from the base on.
    pub layers: Vec<String>,
}

/// What became of something to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is removed.
    Done,
    /// It wasn't there.
    Missing,
    /// It is used, and stays; by what, in the Engine's words.
    InUse(String),
}

/// What images take of the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageSpace {
    /// How many images there are.
    pub images: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether layers that several images share were counted once; older Engines don't say.
    pub exact: bool,
}

impl Engine {
    /// Looks at an image, by id, name or digest.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let doing = format!("looking at the image {reference}");
        let about = Some((Object::Image, reference));
        let looked = self.docker().inspect_image(reference);
        match self.call(&doing, about, looked).await {
            Ok(found) => Ok(Some(understood(found))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All images with these labels.
    pub async fn images(&self, labels: &Labels) -> Result<Vec<Image>, EngineError> {
        let options = ListImagesOptionsBuilder::new()
            .filters(&HashMap::from([(
                "label",
                crate::container::filters(labels),
            )]))
            .build();
        let listed = self.docker().list_images(Some(options));
        let listed = self.call("listing images", None, listed).await?;
        let mut found = Vec::with_capacity(listed.len());
        for summary in listed {
            found.extend(self.image(&summary.id).await?);
        }
        Ok(found)
    }

    /// Removes an image by name (the name alone where it has others) or id. One that a container
    /// uses stays, also when that doesn't run.
    pub async fn remove_image(&self, reference: &str) -> Result<Removal, EngineError> {
        let options = RemoveImageOptionsBuilder::new().force(false).build();
        let doing = format!("removing the image {reference}");
        let about = Some((Object::Image, reference));
        let removed = self.docker().remove_image(reference, Some(options), None);
        removal(self.call(&doing, about, removed).await.map(drop))
    }

    /// What all images of the Engine take of the disk.
    pub async fn image_space(&self) -> Result<ImageSpace, EngineError> {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let asked = self.docker().df(None::<DataUsageOptions>);
        let usage = self
            .call("asking for what images take", None, asked)
            .await?;
        if let Some(images) = usage.image_usage {
            return Ok(ImageSpace {
                images: number(images.total_count.unwrap_or(0)),
                bytes: number(images.total_size.unwrap_or(0)),
                exact: true,
            });
        }
        let listed = self
            .docker()
            .list_images(Some(ListImagesOptionsBuilder::new().build()));
        let listed = self.call("listing images", None, listed).await?;
        Ok(ImageSpace {
            images: listed.len() as u64,
            bytes: listed.iter().map(|image| number(image.size)).sum(),
            exact: false,
        })
    }
}

/// What the Engine's answer to a removal means.
pub(crate) fn removal(done: Result<(), EngineError>) -> Result<Removal, EngineError> {
    match done {
        Ok(()) => Ok(Removal::Done),
        Err(error) if error.is_missing() => Ok(Removal::Missing),
        // Networks in use are 403, images and volumes 409.
        Err(EngineError::Refused {
            code: 403 | 409,
            message,
            ..
        }) => Ok(Removal::InUse(message)),
        Err(error) => Err(error),
    }
}

fn understood(found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    Image {
        id: found.id.unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        digests: found.repo_digests.unwrap_or_default(),
        labels: config
            .labels
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        size: found
            .size
            .and_then(|size| size.try_into().ok())
            .unwrap_or(0),
        architecture: found.architecture.unwrap_or_default(),
        created: found.created,
        config: configured(config),
        layers: found
            .root_fs
            .and_then(|root| root.layers)
            .unwrap_or_default(),
    }
}

fn configured(config: EngineConfig) -> ImageConfig {
    let environment = config.env.unwrap_or_default();
    let shell = config.shell.filter(|shell| !shell.is_empty());
    // The Engine has them in no order, and the first of them means something to some.
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.sort();
    let mut exposed = config.exposed_ports.unwrap_or_default();
    exposed.sort();
    ImageConfig {
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        environment: environment
            .iter()
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        user: config.user.unwrap_or_default(),
        directory: config.working_dir.unwrap_or_default(),
        stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
        health_check: config.healthcheck.and_then(|check| health(check, shell)),
        ports: exposed
            .iter()
            .filter_map(|port| port.strip_suffix("/tcp").unwrap_or(port).parse().ok())
            .collect(),
        volumes,
    }
}

/// A health check with the Engine's defaults written out; none where it is switched off.
fn health(check: HealthConfig, shell: Option<Vec<String>>) -> Option<HealthCheck> {
    let mut words = check.test.unwrap_or_default().into_iter();
    let command = match words.next()?.as_str() {
        "CMD" => words.collect::<Vec<_>>(),
        "CMD-SHELL" => {
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            shell.into_iter().chain(words).collect()
        }
        _ => return None,
    };
    // Nanoseconds, 0: the default.
    let milliseconds = |time: Option<i64>, default: u64| match time {
        Some(time) if time > 0 => (time as u64).div_ceil(1_000_000),
        _ => default,
    };
    let retries = check.retries.and_then(|count| u32::try_from(count).ok());
    (!command.is_empty()).then(|| HealthCheck {
        command,
        interval: milliseconds(check.interval, 30_000),
        timeout: milliseconds(check.timeout, 30_000),
        start_period: milliseconds(check.start_period, 0),
        retries: retries.filter(|count| *count > 0).unwrap_or(3),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[&str]) -> Option<Vec<String>> {
        Some(text.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_the_author_set_is_read() {
        let config = configured(EngineConfig {
            env: words(&["PATH=/bin", "OPTIONS=a=b", "EMPTY"]),
            exposed_ports: words(&["8080/tcp", "53/udp", "9000"]),
            volumes: words(&["/var/lib/b", "/var/lib/a"]),
            stop_signal: Some(String::new()),
            ..EngineConfig::default()
        });
        assert_eq!(config.environment["OPTIONS"], "a=b");
        assert_eq!(config.environment["EMPTY"], "");
        assert_eq!(config.ports, [8080, 9000]);
        assert_eq!(config.volumes, ["/var/lib/a", "/var/lib/b"]);
        assert_eq!(config.stop_signal, None);
    }

    #[test]
    fn health_checks_are_written_out() {
        let check = |test: &[&str], shell| {
            let given = HealthConfig {
                test: words(test),
                interval: Some(1_500_000_000),
                ..HealthConfig::default()
            };
            health(given, shell)
        };
        let program = check(&["CMD", "curl", "-f"], None).unwrap();
        assert_eq!(program.command, ["curl", "-f"]);
        assert_eq!((program.interval, program.timeout), (1500, 30_000));
        assert_eq!(program.retries, 3);
        let line = check(&["CMD-SHELL", "a || b"], None).unwrap();
        assert_eq!(line.command, ["/bin/sh", "-c", "a || b"]);
        let line = check(&["CMD-SHELL", "a"], words(&["/bin/bash", "-ec"])).unwrap();
        assert_eq!(line.command, ["/bin/bash", "-ec", "a"]);
        assert_eq!(check(&["NONE"], None), None);
        assert_eq!(check(&[], None), None);
    }

    #[test]
    fn in_use_is_an_answer() {
        let refused = |code| {
            removal(Err(EngineError::Refused {
                doing: String::new(),
                code,
                message: "used".to_owned(),
            }))
        };
        assert_eq!(refused(409).unwrap(), Removal::InUse("used".to_owned()));
        assert_eq!(refused(403).unwrap(), Removal::InUse("used".to_owned()));
        assert!(refused(500).is_err());
    }
}
