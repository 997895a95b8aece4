//! What every container of ours has: its name, its labels, its place.

use std::collections::BTreeMap;

use landfall_app::Name;
use landfall_containers::{Attachment, ContainerSpecification, Labels, label};

use crate::{host::Host, runtime::network_name};

/// The name of an instance's container.
pub fn container_name(id: &str) -> String {
    format!("landfall.{id}")
}

/// The labels of everything of an app's environment: containers, networks, volumes.
pub fn labels(host: &Host, app: &Name, environment: &Name) -> Labels {
    let home = host.home.root().display().to_string();
    BTreeMap::from([
        (label::HOME.to_owned(), home),
        (label::APP.to_owned(), app.to_string()),
        (label::ENVIRONMENT.to_owned(), environment.to_string()),
    ])
}

/// Whose container it is, and from what image.
pub struct Frame<'a> {
    /// The app.
    pub app: &'a Name,
    /// The environment.
    pub environment: &'a Name,
    /// The service, or the backing service.
    pub service: &'a Name,
    /// The release; 0 where it is of none.
    pub release: u64,
    /// The instance.
    pub id: &'a str,
    /// The image, by id.
    pub image: &'a str,
    /// Names under which others on the network find it.
    pub aliases: Vec<String>,
}

/// A container of an app's environment without limits of its own, on the app's network.
pub fn frame(host: &Host, frame: Frame<'_>) -> ContainerSpecification {
    let mut labels = labels(host, frame.app, frame.environment);
    labels.insert(label::SERVICE.to_owned(), frame.service.to_string());
    labels.insert(label::RELEASE.to_owned(), frame.release.to_string());
    labels.insert(label::INSTANCE.to_owned(), frame.id.to_owned());
    ContainerSpecification {
        name: container_name(frame.id),
        image: frame.image.to_owned(),
        labels,
        attachment: Some(Attachment {
            network: network_name(frame.app, frame.environment),
            aliases: frame.aliases,
            address: None,
        }),
        ..ContainerSpecification::default()
    }
}
